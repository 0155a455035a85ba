/* SPDX-License-Identifier: Apache-2.0 */

/* freshetd: the keeper. */

#include "keeper/keeper.h"
#include "keeper/loop.h"
#include "keeper/server.h"
#include "keeper/socket.h"

#include "base/error.h"
#include "base/post.h"

#include <errno.h>
#include <freshet/status.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* All that the process has, in the order in which it comes and, backwards, goes. */
struct program {
    struct fsh_keeper keeper;
    struct fsh_watch signals;
    struct fsh_watch completions;
    struct fsh_socket sockets[2];
};

struct arguments {
    const char *config;
    bool check;
};

static const char usage[] = "usage: freshetd --config FILE [--check]\n"
                            "\n"
                            "Keeps sessions fresh and hands out their headers on Unix sockets.\n"
                            "\n"
                            "  -c, --config FILE  the configuration; else FRESHET_CONFIG says it\n"
                            "      --check        read the configuration, say what is wrong, end\n"
                            "  -h, --help         this text\n"
                            "  -V, --version      the version\n";

/* ---- options ----------------------------------------------------------------------------- */

/* FRESHET_OK and *ret_done: all is said. */
static int parse(int argc, char *argv[], struct arguments *ret_arguments, bool *ret_done)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int option;

    ret_arguments->config = getenv("FRESHET_CONFIG");
    while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            ret_arguments->config = optarg;
            break;
        case 'k':
            ret_arguments->check = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            *ret_done = true;
            return FRESHET_OK;
        case 'V':
            (void)puts("freshetd " FRESHET_VERSION);
            *ret_done = true;
            return FRESHET_OK;
        default:
            return FRESHET_EINVAL;
        }
    }
    if (optind < argc || !ret_arguments->config || ret_arguments->config[0] == '\0') {
        (void)fputs(usage, stderr);
        return FRESHET_EINVAL;
    }
    return FRESHET_OK;
}

static void tell_problem(void *data, const char *text)
{
    (void)data;
    (void)fprintf(stderr, "freshetd: %s\n", text);
}

/* What only starting would show besides: who is granted what. */
static int check(const char *path)
{
    struct freshet_error error;
    struct freshet_config *config = NULL;
    int status = freshet_config_check(path, tell_problem, NULL, NULL);

    if (status != FRESHET_OK || freshet_config_load(path, &config, NULL) != FRESHET_OK)
        return status;
    for (size_t i = 0; i < freshet_config_session_count(config); i++) {
        char section[160];
        struct fsh_grants *grants = NULL;

        (void)snprintf(section, sizeof(section), "session %s",
                       freshet_config_session_name(config, i));
        if (fsh_grants_new(freshet_config_get(config, section, "allow"), &grants, &error) !=
            FRESHET_OK) {
            status = error.status;
            (void)fprintf(stderr, "freshetd: [%s] %s\n", section, error.message);
        }
        fsh_grants_free(grants);
    }
    freshet_config_free(config);
    return status;
}

/* ---- the loop's descriptors -------------------------------------------------------------- */

static void on_signal(struct fsh_watch *watch, uint32_t events)
{
    struct program *program = fsh_container_of(watch, struct program, signals);
    struct signalfd_siginfo signal;

    (void)events;
    if (read(watch->fd, &signal, sizeof(signal)) != (ssize_t)sizeof(signal))
        return;
    program->keeper.draining = true;
    fsh_main_loop_stop(program->keeper.loop);
}

static void on_completions(struct fsh_watch *watch, uint32_t events)
{
    struct program *program = fsh_container_of(watch, struct program, completions);

    (void)events;
    (void)freshet_queue_dispatch(program->keeper.queue);
}

static int watch(struct program *program, struct fsh_watch *watch, struct freshet_error *error)
{
    if (fsh_main_loop_watch(program->keeper.loop, watch, EPOLLIN) != FRESHET_OK)
        return fsh_base_fail(error, FRESHET_ELIMIT, "a descriptor cannot be watched: %s",
                             strerror(errno));
    return FRESHET_OK;
}

/* Before any thread is made, so that all of them leave these signals to the loop. */
static int take_signals(struct program *program, struct freshet_error *error)
{
    sigset_t set;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    program->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    program->signals.ready = on_signal;
    if (program->signals.fd < 0)
        return fsh_base_fail(error, FRESHET_ELIMIT, "signals: %s", strerror(errno));
    return watch(program, &program->signals, error);
}

/* ---- start and stop ---------------------------------------------------------------------- */

static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int listen_at(struct program *program, enum fsh_door door, struct freshet_error *error)
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
    int fd;
    int status;

    if (!path)
        return FRESHET_OK;
    status = fsh_socket_listen(path, doors[door].mode, group, &program->sockets[door], &fd, error);
    if (status != FRESHET_OK)
        return status;
    return fsh_server_listen(program->keeper.server, door, fd, error);
}

static int open_sessions(struct fsh_keeper *keeper, struct freshet_error *error)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    int status;

    freshet_config_options(keeper->config, &options);
    status = freshet_open(&options, &keeper->freshet, error);
    if (status == FRESHET_OK)
        status = freshet_queue_new(&keeper->queue, error);
    if (status == FRESHET_OK && fsh_registry_new(keeper->freshet, &keeper->registry) != FRESHET_OK)
        status = fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    if (status == FRESHET_OK)
        status = fsh_registry_apply(keeper->registry, keeper->config, error);
    return status;
}

static int start(struct program *program, const struct arguments *arguments,
                 struct freshet_error *error)
{
    struct fsh_keeper *keeper = &program->keeper;
    int status;

    keeper->config_path = arguments->config;
    status = freshet_config_load(arguments->config, &keeper->config, error);
    if (status != FRESHET_OK)
        return status;
    raise_descriptors();
    if (fsh_main_loop_new(&keeper->loop) != FRESHET_OK)
        return fsh_base_fail(error, FRESHET_ELIMIT, "the loop: %s", strerror(errno));
    status = take_signals(program, error);
    if (status == FRESHET_OK)
        status = open_sessions(keeper, error);
    if (status != FRESHET_OK)
        return status;
    program->completions =
        (struct fsh_watch){.fd = freshet_queue_fd(keeper->queue), .ready = on_completions};
    status = watch(program, &program->completions, error);
    if (status == FRESHET_OK)
        status = fsh_server_new(keeper, &keeper->server, error);
    if (status == FRESHET_OK)
        status = listen_at(program, FSH_DOOR_CONTROL, error);
    if (status == FRESHET_OK)
        status = listen_at(program, FSH_DOOR_BROWSER, error);
    keeper->ready = status == FRESHET_OK;
    return status;
}

/* Who waits for an answer goes first, then what might still answer. */
static void stop(struct program *program)
{
    struct fsh_keeper *keeper = &program->keeper;

    for (size_t i = 0; i < 2; i++)
        fsh_socket_done(&program->sockets[i]);
    fsh_server_free(keeper->server);
    /* Calls that cannot be called off end with their sessions. */
    fsh_registry_free(keeper->registry);
    freshet_queue_free(keeper->queue);
    freshet_close(keeper->freshet);
    if (program->signals.fd >= 0)
        (void)close(program->signals.fd);
    fsh_main_loop_free(keeper->loop);
    freshet_config_free(keeper->config);
}

int main(int argc, char *argv[])
{
    struct program program = {.signals.fd = -1};
    struct arguments arguments = {0};
    struct freshet_error error;
    bool done = false;
    int status = parse(argc, argv, &arguments, &done);

    if (status != FRESHET_OK || done)
        return freshet_status_exit_code(status);
    if (arguments.check)
        return freshet_status_exit_code(check(arguments.config));
    status = start(&program, &arguments, &error);
    if (status == FRESHET_OK) {
        status = fsh_main_loop_run(program.keeper.loop);
        if (status != FRESHET_OK)
            (void)fsh_base_fail(&error, status, "the loop: %s", strerror(errno));
    }
    if (status != FRESHET_OK)
        (void)fprintf(stderr, "freshetd: %s\n", error.message);
    stop(&program);
    return freshet_status_exit_code(status);
}
