/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/program.h"

#include "base/error.h"
#include "base/post.h"
#include "keeper/browser.h"
#include "keeper/events.h"
#include "keeper/log.h"
#include "keeper/metrics.h"
#include "keeper/privileges.h"
#include "keeper/server.h"
#include "lib/keeper.h"

#include <errno.h>
#include <freshet/status.h>
#include <jansson.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

/* ---- what is asked of the system while it may still be asked ------------------------------ */

/* A connection is a descriptor; a start as root or a unit may allow more than the usual 1024. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    rlim_t wanted;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    wanted = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = wanted;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void lock_memory(bool stays)
{
    struct freshet_error error;

    if (fsh_privileges_lock(stays, &error) != FRESHET_OK)
        fsh_log(FSH_LOG_WARNING, "memory-not-locked", "message", error.message, NULL);
}

/* jansson's own free, for builds whose free(3) does not wipe. */
static void wipe_and_free(void *block)
{
    if (block)
        explicit_bzero(block, malloc_usable_size(block));
    free(block);
}

/* ---- sockets ------------------------------------------------------------------------------ */

static int make_socket(struct fsh_program *program, enum fsh_door door, struct freshet_error *error)
{
    static const struct {
        const char *key;
        mode_t mode;
    } doors[] = {
        /* Anybody may connect: who is granted nothing gets nothing. */
        [FSH_DOOR_CONTROL] = {"control_socket", 0666},
        [FSH_DOOR_BROWSER] = {"browser_socket", 0660},
    };
    const struct freshet_config *config = program->keeper.config;
    const char *path = freshet_config_get(config, "keeper", doors[door].key);
    const char *group =
        door == FSH_DOOR_BROWSER ? freshet_config_get(config, "keeper", "gateway_group") : NULL;
    int *count = &program->activation.doors[door].count;
    int status;

    /* What the service manager passed stands in for what we would make. */
    if (!path || *count > 0)
        return FRESHET_OK;
    status = fsh_socket_listen(path, doors[door].mode, group, &program->sockets[door],
                               &program->activation.doors[door].fds[0], error);
    if (status == FRESHET_OK)
        *count = 1;
    return status;
}

static int make_sockets(struct fsh_program *program, struct freshet_error *error)
{
    int status = make_socket(program, FSH_DOOR_CONTROL, error);

    if (status == FRESHET_OK)
        status = make_socket(program, FSH_DOOR_BROWSER, error);
    if (status == FRESHET_OK && program->activation.doors[FSH_DOOR_CONTROL].count == 0 &&
        program->activation.doors[FSH_DOOR_BROWSER].count == 0)
        status = fsh_base_fail(error, FRESHET_ECONFIG,
                               "there is no socket to serve; set control_socket in [keeper]");
    return status;
}

static int serve_sockets(struct fsh_program *program, enum fsh_door door,
                         struct freshet_error *error)
{
    int status = FRESHET_OK;

    for (int i = 0; i < program->activation.doors[door].count && status == FRESHET_OK; i++) {
        int fd = program->activation.doors[door].fds[i];

        program->activation.doors[door].fds[i] = -1;
        status = fsh_server_listen(program->keeper.server, door, fd, error);
    }
    return status;
}

/* ---- the rest ----------------------------------------------------------------------------- */

static void completions_ready(struct fsh_watch *watch, uint32_t events)
{
    struct fsh_program *program = fsh_container_of(watch, struct fsh_program, completions);

    (void)events;
    (void)freshet_queue_dispatch(program->keeper.queue);
}

/* Everything for which the process needs what it gives up next. */
static int prepare(struct fsh_program *program, struct freshet_error *error)
{
    const struct freshet_config *config = program->keeper.config;
    const char *user = freshet_config_get(config, "keeper", "user");
    int status;

    fsh_log_setup(freshet_config_get(config, "keeper", "log_level"),
                  freshet_config_get(config, "keeper", "log_format"));
    json_set_alloc_funcs(malloc, wipe_and_free);
    raise_descriptors();
    lock_memory(!user);
    status = make_sockets(program, error);
    if (status == FRESHET_OK && user)
        status = fsh_privileges_drop(user, error);
    return status;
}

static int open_sessions(struct fsh_keeper *keeper, struct freshet_error *error)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    int status;

    freshet_config_options(keeper->config, &options);
    /* Of its own socket it would wait for itself. */
    if (fsh_lib_keeper_socket(options.secrets))
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "secrets = keeper: is for programs that use the keeper; it needs a "
                             "store of its own, such as sqlite:FILE");
    status = freshet_open(&options, &keeper->freshet, error);
    if (status == FRESHET_OK)
        status = freshet_queue_new(&keeper->queue, error);
    if (status == FRESHET_OK && fsh_registry_new(keeper->freshet, &keeper->registry) != FRESHET_OK)
        status = fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    if (status == FRESHET_OK && fsh_metrics_new(&keeper->metrics) != FRESHET_OK)
        status = fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    if (status == FRESHET_OK)
        status = fsh_events_new(keeper, &keeper->events, error);
    if (status == FRESHET_OK)
        status = fsh_registry_apply(keeper->registry, keeper->config, error);
    if (status == FRESHET_OK)
        status = fsh_browsers_new(keeper, keeper->config, &keeper->browsers, error);
    return status;
}

static int serve(struct fsh_program *program, struct freshet_error *error)
{
    struct fsh_keeper *keeper = &program->keeper;
    int status;

    program->completions =
        (struct fsh_watch){.fd = freshet_queue_fd(keeper->queue), .ready = completions_ready};
    if (fsh_main_loop_watch(keeper->loop, &program->completions, EPOLLIN) != FRESHET_OK)
        return fsh_base_fail(error, FRESHET_ELIMIT, "a descriptor cannot be watched: %s",
                             strerror(errno));
    status = fsh_server_new(keeper, &keeper->server, error);
    if (status == FRESHET_OK)
        status = serve_sockets(program, FSH_DOOR_CONTROL, error);
    if (status == FRESHET_OK)
        status = serve_sockets(program, FSH_DOOR_BROWSER, error);
    return status;
}

int fsh_program_start(struct fsh_program *program, const char *config_path,
                      struct freshet_error *error)
{
    struct fsh_keeper *keeper = &program->keeper;
    int status = fsh_privileges_harden(error);

    if (status == FRESHET_OK)
        status = fsh_activation_take(&program->activation, error);
    keeper->config_path = config_path;
    if (status == FRESHET_OK)
        status = freshet_config_load(config_path, &keeper->config, error);
    if (status == FRESHET_OK)
        status = prepare(program, error);
    if (status == FRESHET_OK && fsh_main_loop_new(&keeper->loop) != FRESHET_OK)
        status = fsh_base_fail(error, FRESHET_ELIMIT, "the loop: %s", strerror(errno));
    if (status == FRESHET_OK)
        status = fsh_signals_start(&program->signals, keeper, error);
    if (status == FRESHET_OK)
        status = open_sessions(keeper, error);
    if (status == FRESHET_OK)
        status = serve(program, error);
    return status;
}

int fsh_program_run(struct fsh_program *program, struct freshet_error *error)
{
    struct fsh_keeper *keeper = &program->keeper;
    int status;

    keeper->ready = true;
    fsh_log(FSH_LOG_INFO, "serving", "version", FRESHET_VERSION,
            FSH_LOG_NUMBER("sessions", freshet_config_session_count(keeper->config)), NULL);
    fsh_notify_start(&program->notify, keeper->loop);
    fsh_notify_ready("serving");
    status = fsh_main_loop_run(keeper->loop);
    if (status != FRESHET_OK)
        return fsh_base_fail(error, status, "the loop: %s", strerror(errno));
    return status;
}

/* Who waits for an answer goes first, then what might still answer. */
void fsh_program_stop(struct fsh_program *program)
{
    struct fsh_keeper *keeper = &program->keeper;

    fsh_notify_stop(&program->notify);
    for (size_t i = 0; i < sizeof(program->sockets) / sizeof(program->sockets[0]); i++)
        fsh_socket_done(&program->sockets[i]);
    fsh_server_free(keeper->server);
    fsh_activation_done(&program->activation);
    fsh_events_free(keeper->events);
    fsh_registry_free(keeper->registry);
    freshet_queue_free(keeper->queue);
    fsh_browsers_free(keeper->browsers);
    freshet_close(keeper->freshet);
    fsh_metrics_free(keeper->metrics);
    fsh_signals_stop(&program->signals);
    fsh_main_loop_free(keeper->loop);
    freshet_config_free(keeper->config);
}
