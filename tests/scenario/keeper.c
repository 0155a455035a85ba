/* SPDX-License-Identifier: Apache-2.0 */

/* The keeper between callers and an engine: the shipped library over the scripted engine, with the
 * shipped handlers of the control API before it; and the shipped remote engine of a process that
 * asks it. What the keeper's server and two event loops do between them is done here, at the
 * scenario's moments: src/engine/loop.c is not linked, and clocks and semaphores are wrapped. */

#include "scenario.h"

#include "engine/loop.h"
#include "engine/remote_read.h"
#include "keeper/keeper.h"
#include "lib/internal.h"
#include "mail.h"

#include <errno.h>
#include <freshet/status.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Of the events and the browsers' part nothing is asked. */
const struct fsh_route fsh_events_routes[] = {{0}};
const struct fsh_route fsh_health_routes[] = {{0}};
const struct fsh_route fsh_authz_routes[] = {{0}};
const struct fsh_route fsh_browser_routes[] = {{0}};

/* The library's word for the thread of a handle. */
struct fsh_loop {
    struct actor *actor;
    void (*event)(void *data, struct fsh_session *session, const struct fsh_ledger_entry *entry);
    void *event_data;
};

struct keeper {
    struct actor *actor;
    struct fsh_keeper parts;
    struct fsh_loop loop;
    struct fsh_peer peer;
    struct mails mails;
    struct thread client; /* of the process that asks */
    int password;         /* its file */
    /* While it opens: what the engine is to stand on. */
    const struct fsh_engine_options *options;
    const struct fsh_io *io;
    struct fsh_remote_keeper asked; /* as the client knows it */
};

/* ---- the world, for what asks the system --------------------------------------------------- */

static struct keeper *current; /* the one that opens, or that the library posted to last */
static const struct scenario *world;

int __real_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __real_sem_wait(sem_t *sem);
int __wrap_sem_wait(sem_t *sem);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *data), void *data);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    int64_t ms;

    if (!world)
        return __real_clock_gettime(clock, ret_now);
    ms = clock == CLOCK_REALTIME ? world->wall.ms : world->mono.ms;
    ret_now->tv_sec = (time_t)(ms / 1000);
    ret_now->tv_nsec = (long)(ms % 1000) * 1000000;
    return 0;
}

/* The library waits for what it posted, and for no more than that. */
int __wrap_sem_wait(sem_t *sem)
{
    if (!current)
        return __real_sem_wait(sem);
    while (sem_trywait(sem) != 0) {
        if (!scenario_thread_step(&current->actor->thread))
            abort();
    }
    return 0;
}

/* There are none: what would wait on one must do with what is known now. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *data), void *data)
{
    (void)thread;
    (void)attributes;
    (void)run;
    (void)data;
    return EAGAIN;
}

/* ---- in the place of src/engine/loop.c ----------------------------------------------------- */

static void loop_event(void *data, struct fsh_session *session,
                       const struct fsh_ledger_entry *entry)
{
    struct keeper *keeper = ((struct actor *)data)->keeper;

    scenario_note(keeper->actor, "note", entry);
    keeper->loop.event(keeper->loop.event_data, session, entry);
}

int fsh_loop_start(const struct fsh_loop_options *options, struct fsh_loop **ret_loop,
                   struct freshet_error *error)
{
    struct keeper *keeper = current;
    struct fsh_io io = *keeper->io;

    (void)error;
    io.closed = options->closed;
    io.event = loop_event;
    keeper->loop = (struct fsh_loop){keeper->actor, options->event, options->event_data};
    *ret_loop = &keeper->loop;
    return fsh_engine_new(keeper->options, &io, &keeper->actor->thread.engine);
}

void fsh_loop_stop(struct fsh_loop *loop)
{
    if (!scenario_thread_end(&loop->actor->thread))
        scenario_problem(loop->actor->scenario, "a keeper did not come to its end");
}

void fsh_loop_post(struct fsh_loop *loop, struct fsh_post *post)
{
    current = loop->actor->keeper;
    scenario_thread_post(&loop->actor->thread, post);
}

struct fsh_engine *fsh_loop_engine(struct fsh_loop *loop)
{
    return loop->actor->thread.engine;
}

/* ---- the process that asks ----------------------------------------------------------------- */

static struct keeper *keeper_of(void *data)
{
    return ((struct actor *)data)->keeper;
}

static void client_post(void *data, struct fsh_post *post)
{
    scenario_thread_post(&keeper_of(data)->client, post);
}

static int client_send(void *data, struct fsh_request *request)
{
    struct keeper *keeper = keeper_of(data);

    scenario_trace(keeper->actor->scenario, "%s is asked: %s %s", keeper->actor->name,
                   request->message.method, request->message.path);
    mail_send(&keeper->mails, request, keeper->actor->scenario->mono);
    return FRESHET_OK;
}

static void client_cancel(void *data, struct fsh_request *request)
{
    mail_cancel(&keeper_of(data)->mails, request);
}

static void client_event(void *data, struct fsh_session *session,
                         const struct fsh_ledger_entry *entry)
{
    (void)session;
    scenario_note(data, "client's note", entry);
}

static int open_client(struct keeper *keeper, const struct fsh_io *engine)
{
    struct actor *actor = keeper->actor;
    struct fsh_session_options options = scenario_session_options(actor->scenario);
    struct fsh_engine_options client = {
        .profile = keeper->options->profile,
        .holder = actor->holder,
        .keeper = &keeper->asked,
    };
    struct fsh_io io = *engine;
    int status;

    keeper->asked.socket = strdup("control.sock");
    keeper->asked.platform.url =
        strdup(scenario_text_of(actor->scenario->config, "url", "https://api.example.com"));
    options.size = sizeof(struct freshet_session); /* for the library's fast path */
    io.post = client_post;
    io.send = client_send;
    io.cancel = client_cancel;
    io.event = client_event;
    status = fsh_engine_new(&client, &io, &keeper->client.engine);
    if (status == FRESHET_OK)
        status = fsh_engine_session_open(keeper->client.engine, &options, &actor->asked, NULL);
    return status;
}

/* ---- the keeper ---------------------------------------------------------------------------- */

/* A file that is nowhere but here. The keeper wants them to be the owner's alone. */
static int new_file(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0 || fchmod(fd, 0600) != 0)
        abort();
    return fd;
}

static int write_config(const struct keeper *keeper)
{
    struct scenario *scenario = keeper->actor->scenario;
    const json_t *config = scenario->config;
    struct fsh_session_options options = scenario_session_options(scenario);
    int fd = new_file("freshet.conf");

    (void)dprintf(fd, "[platform]\nurl = %s\nprofile = %s\n",
                  scenario_text_of(config, "url", "https://api.example.com"),
                  scenario_text_of(config, "profile", "partner"));
    (void)dprintf(fd, "[session %s]\nthreshold = %lldms\non_demand = %s\nfirst_party = %s\n",
                  options.name, (long long)options.threshold_ms, options.background ? "no" : "yes",
                  options.first_party ? "yes" : "no");
    if (options.service)
        (void)dprintf(fd, "username = %s\npassword_file = /proc/self/fd/%d\n",
                      scenario_text_of(config, "username", "svc"), keeper->password);
    if (json_object_get(config, "partner_id"))
        (void)dprintf(fd, "partner_id = %s\n", scenario_text_of(config, "partner_id", ""));
    return fd;
}

static int read_config(struct keeper *keeper, struct freshet_error *error)
{
    char path[32];
    int fd = write_config(keeper);
    int status;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    status = freshet_config_load(path, &keeper->parts.config, error);
    (void)close(fd);
    return status;
}

static int open_parts(struct keeper *keeper, struct freshet_error *error)
{
    struct fsh_keeper *parts = &keeper->parts;
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct fsh_entry *entry;
    int status = read_config(keeper, error);

    if (status != FRESHET_OK)
        return status;
    /* Its stores are behind the door: see fsh_loop_start. */
    freshet_config_options(parts->config, &options);
    status = freshet_open(&options, &parts->freshet, error);
    if (status == FRESHET_OK)
        status = freshet_queue_new(&parts->queue, error);
    if (status == FRESHET_OK)
        status = fsh_registry_new(parts->freshet, &parts->registry);
    if (status == FRESHET_OK)
        status = fsh_registry_apply(parts->registry, parts->config, error);
    if (status != FRESHET_OK)
        return status;
    entry = fsh_registry_find(parts->registry, SESSION_NAME);
    keeper->actor->session = &entry->session->engine;
    return FRESHET_OK;
}

static int keeper_open(struct actor *actor, const struct fsh_engine_options *options,
                       const struct fsh_io *io)
{
    struct keeper *keeper = calloc(1, sizeof(*keeper));
    struct freshet_error error;
    int status;

    if (!keeper)
        abort();
    actor->keeper = current = keeper;
    world = actor->scenario;
    *keeper = (struct keeper){.actor = actor, .options = options, .io = io};
    keeper->peer.uid = getuid();
    scenario_thread_begin(&keeper->client);
    mails_init(&keeper->mails, actor->scenario, &keeper->parts, &keeper->peer);
    keeper->password = new_file("password");
    (void)dprintf(keeper->password, "%s\n", SERVICE_PASSWORD);
    status = open_parts(keeper, &error);
    if (status != FRESHET_OK)
        scenario_problem(actor->scenario, "the keeper: %s", error.message);
    else
        status = open_client(keeper, io);
    keeper->options = NULL;
    keeper->io = NULL;
    return status;
}

static bool keeper_run(struct actor *actor)
{
    struct keeper *keeper = actor->keeper;
    struct fsh_mono now = actor->scenario->mono;
    bool busy = false;

    if (scenario_thread_due(&keeper->client, now)) {
        scenario_thread_turn(&keeper->client);
        busy = true;
    }
    busy = mails_deliver(&keeper->mails) || busy;
    busy = freshet_queue_dispatch(keeper->parts.queue) > 0 || busy;
    return mails_return(&keeper->mails, now) || busy;
}

static struct fsh_mono keeper_wake_at(const struct actor *actor)
{
    const struct keeper *keeper = actor->keeper;

    return fsh_mono_min(fsh_engine_wake_at(keeper->client.engine), mails_wake_at(&keeper->mails));
}

/* The library's fast path. */
static bool keeper_at_hand(const struct actor *actor, int64_t min_valid_ms)
{
    struct freshet_demand demand = {.min_valid_ms = min_valid_ms};

    return fsh_lib_at_hand(fsh_container_of(actor->asked, struct freshet_session, engine), &demand,
                           NULL);
}

/* Calls that cannot be called off end with their sessions, in the queue. */
static void close_registry(struct keeper *keeper)
{
    fsh_registry_free(keeper->parts.registry);
    if (!keeper->actor->thread.engine)
        return;
    do {
        scenario_thread_turn(&keeper->actor->thread);
    } while (keeper->parts.queue && freshet_queue_dispatch(keeper->parts.queue) > 0);
}

static void keeper_close(struct actor *actor)
{
    struct keeper *keeper = actor->keeper;

    if (!scenario_thread_end(&keeper->client))
        scenario_problem(actor->scenario, "a client of the keeper did not come to its end");
    mails_done(&keeper->mails);
    close_registry(keeper);
    freshet_queue_free(keeper->parts.queue);
    freshet_close(keeper->parts.freshet);
    freshet_config_free(keeper->parts.config);
    (void)close(keeper->password);
    actor->keeper = NULL;
    current = NULL;
    world = NULL;
    free(keeper->asked.socket);
    free(keeper->asked.platform.url);
    free(keeper);
}

const struct mode scenario_keeper = {keeper_open, keeper_run, keeper_wake_at, keeper_at_hand,
                                     keeper_close};
