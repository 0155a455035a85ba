/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/loop.h"

#include "base/error.h"
#include "engine/clock.h"

#include <errno.h>
#include <freshet/status.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define RANDOM 32 /* numbers that are drawn at once: a system call costs more than a step */

struct fsh_loop {
    struct fsh_engine *engine;
    struct fsh_http *http;
    int timer; /* a timerfd: it goes on through suspend, unlike the timeout of poll(2) */
    pthread_t thread;
    uint64_t boot;
    uint64_t random[RANDOM]; /* those from `randoms` on are used up */
    unsigned randoms;

    pthread_mutex_t lock; /* of the inbox */
    struct fsh_post *first;
    struct fsh_post **last;

    struct fsh_post stop;
    bool stopping;
    struct fsh_mono stop_by;
};

/* ---- what the engine stands on ----------------------------------------------------------- */

static struct fsh_now io_now(void *data)
{
    struct fsh_loop *loop = data;

    if (loop->randoms == 0) {
        randombytes_buf(loop->random, sizeof(loop->random));
        loop->randoms = RANDOM;
    }
    return (struct fsh_now){
        .mono = fsh_clock_mono(),
        .wall = fsh_clock_wall(),
        .random = loop->random[--loop->randoms],
    };
}

void fsh_loop_post(struct fsh_loop *loop, struct fsh_post *post)
{
    bool was_empty;

    post->next = NULL;
    (void)pthread_mutex_lock(&loop->lock);
    was_empty = loop->first == NULL;
    *loop->last = post;
    loop->last = &post->next;
    (void)pthread_mutex_unlock(&loop->lock);
    /* Who finds something in the inbox finds it awake. */
    if (was_empty)
        fsh_http_wakeup(loop->http);
}

static void io_post(void *data, struct fsh_post *post)
{
    fsh_loop_post(data, post);
}

static int io_send(void *data, struct fsh_request *request)
{
    struct fsh_loop *loop = data;

    return fsh_http_send(loop->http, request);
}

static void io_cancel(void *data, struct fsh_request *request)
{
    struct fsh_loop *loop = data;

    fsh_http_cancel(loop->http, request);
}

/* ---- the thread -------------------------------------------------------------------------- */

static void drain(struct fsh_loop *loop)
{
    struct fsh_post *post;

    (void)pthread_mutex_lock(&loop->lock);
    post = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    (void)pthread_mutex_unlock(&loop->lock);
    while (post) {
        struct fsh_post *next = post->next; /* the post may be freed by its run */

        post->run(post);
        post = next;
    }
}

static bool inbox_empty(struct fsh_loop *loop)
{
    bool empty;

    (void)pthread_mutex_lock(&loop->lock);
    empty = loop->first == NULL;
    (void)pthread_mutex_unlock(&loop->lock);
    return empty;
}

static void set_timer(struct fsh_loop *loop, struct fsh_mono at)
{
    struct itimerspec when = {0};

    if (loop->stopping)
        at = fsh_mono_min(at, loop->stop_by);
    if (at.ms != FSH_NEVER.ms) {
        /* Zero would disarm it; a moment that has passed fires at once. */
        int64_t ms = at.ms > 0 ? at.ms : 1;

        when.it_value.tv_sec = (time_t)(ms / 1000);
        when.it_value.tv_nsec = (long)(ms % 1000) * 1000000;
    }
    (void)timerfd_settime(loop->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void wait_for_more(struct fsh_loop *loop)
{
    uint64_t expirations;

    set_timer(loop, fsh_engine_wake_at(loop->engine));
    /* Only one wake-up a batch is sent, so a batch that came meanwhile is looked for. */
    fsh_http_wait(loop->http, loop->timer, inbox_empty(loop) ? 60000 : 0);
    (void)!read(loop->timer, &expirations, sizeof(expirations));
}

static bool ended(struct fsh_loop *loop)
{
    if (!loop->stopping)
        return false;
    if (fsh_clock_mono().ms >= loop->stop_by.ms)
        fsh_engine_abandon(loop->engine);
    return fsh_engine_empty(loop->engine);
}

static void *run(void *data)
{
    struct fsh_loop *loop = data;

    for (;;) {
        drain(loop);
        fsh_http_perform(loop->http);
        fsh_engine_run(loop->engine);
        if (ended(loop)) {
            /* What was posted before the last call ended, such as its cancellation. */
            drain(loop);
            return NULL;
        }
        wait_for_more(loop);
    }
}

static void stop_run(struct fsh_post *post)
{
    struct fsh_loop *loop = fsh_container_of(post, struct fsh_loop, stop);

    loop->stopping = true;
    loop->stop_by = fsh_mono_add(fsh_clock_mono(), FSH_EXCHANGE_MS);
    fsh_engine_close_all(loop->engine);
}

/* ---- start and stop ---------------------------------------------------------------------- */

static void loop_free(struct fsh_loop *loop)
{
    fsh_engine_free(loop->engine);
    fsh_http_free(loop->http);
    if (loop->timer >= 0)
        (void)close(loop->timer);
    (void)pthread_mutex_destroy(&loop->lock);
    free(loop);
}

/* Signals are for the program's own threads. */
static int start_thread(struct fsh_loop *loop)
{
    sigset_t all;
    sigset_t before;
    int failed;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&loop->thread, NULL, run, loop);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

static int make_parts(struct fsh_loop *loop, const struct fsh_loop_options *options,
                      struct freshet_error *error)
{
    struct fsh_engine_options engine = options->engine;
    struct fsh_io io = {
        .data = loop,
        .now = io_now,
        .boot = fsh_clock_boot(),
        .post = io_post,
        .send = io_send,
        .cancel = io_cancel,
        .event = options->event,
        .closed = options->closed,
        .event_data = options->event_data,
    };
    int status = fsh_http_new(&options->http, &loop->http, error);

    if (status != FRESHET_OK)
        return status;
    randombytes_buf(&engine.holder, sizeof(engine.holder));
    engine.holder |= 1;
    if (fsh_engine_new(&engine, &io, &loop->engine) != FRESHET_OK)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    loop->timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->timer < 0)
        return fsh_base_fail(error, FRESHET_ELIMIT, "no timer to be had: %s", strerror(errno));
    return FRESHET_OK;
}

int fsh_loop_start(const struct fsh_loop_options *options, struct fsh_loop **ret_loop,
                   struct freshet_error *error)
{
    struct fsh_loop *loop = calloc(1, sizeof(*loop));
    int status;
    int failed;

    if (!loop)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    loop->timer = -1;
    loop->last = &loop->first;
    (void)pthread_mutex_init(&loop->lock, NULL);
    status = make_parts(loop, options, error);
    if (status != FRESHET_OK) {
        loop_free(loop);
        return status;
    }
    failed = start_thread(loop);
    if (failed) {
        loop_free(loop);
        return fsh_base_fail(error, FRESHET_ELIMIT, "no thread to be had: %s", strerror(failed));
    }
    *ret_loop = loop;
    return FRESHET_OK;
}

void fsh_loop_stop(struct fsh_loop *loop)
{
    loop->stop.run = stop_run;
    fsh_loop_post(loop, &loop->stop);
    (void)pthread_join(loop->thread, NULL);
    loop_free(loop);
}

struct fsh_engine *fsh_loop_engine(struct fsh_loop *loop)
{
    return loop->engine;
}
