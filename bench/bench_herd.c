/* SPDX-License-Identifier: Apache-2.0 */

/* A herd at expiry: a session without a usable token, so many callers who all want one, and one
 * refresh. The platform holds its answer until all of them wait. A round is the time from that
 * answer to the moment at which the last caller was released. Beside it, what the machine needs to
 * wake so many threads at all: one broadcast of a condition variable. */

#include "platform.h"
#include "rounds.h"

#include <errno.h>
#include <freshet/freshet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BESIDE      20    /* blocking threads beside the asynchronous callers */
#define STACK       65536 /* bytes of a blocking thread's */
#define SHORT_LIFE  2     /* seconds: of which one is the margin before expiry */
#define PATIENCE_MS 15000 /* for all callers to wait */

static struct bench_platform platform;
static struct freshet *freshet;

/* ---- the session ------------------------------------------------------------------------- */

static struct freshet_session_status look(struct freshet_session *session)
{
    struct freshet_session_status status;
    struct freshet_error error;

    if (freshet_session_status(session, &status, &error) != FRESHET_OK)
        bench_die("freshet_session_status", error.message);
    return status;
}

/* Signed in, and the token has had its time. */
static struct freshet_session *session_at_expiry(void)
{
    static unsigned number;
    struct freshet_session *session;
    struct freshet_session_status status;
    char name[32];

    (void)snprintf(name, sizeof(name), "herd-%u", number++);
    session = bench_session_open(freshet, name);
    bench_session_sign_in(session);
    atomic_store(&platform.refreshes, 0);
    for (status = look(session); status.usable; status = look(session))
        bench_sleep_ms((long)status.freshness.usable_ms + 1);
    return session;
}

/* Has the refresh answered when all wait for it. */
static void release(struct freshet_session *session, int callers)
{
    double began = bench_now_ns();

    while (look(session).waited < (uint64_t)callers) {
        if (bench_now_ns() - began > PATIENCE_MS * 1e6)
            bench_die("not all callers wait", NULL);
        bench_sleep_ms(1);
    }
    (void)sem_wait(&platform.asked);
    (void)sem_post(&platform.answer);
}

/* One refresh was asked for, and callers were released by it. */
static double end(struct freshet_session *session, double last)
{
    struct freshet_session_status status = look(session);

    if (atomic_load(&platform.refreshes) != 1 || status.refreshes != 1 || !status.usable)
        bench_die("it was not exactly one refresh", NULL);
    freshet_session_close(session);
    return last - atomic_load(&platform.answered);
}

/* ---- blocking callers -------------------------------------------------------------------- */

struct blocking {
    struct freshet_session *session; /* NULL: waits for the broadcast */
    pthread_t thread;
    double released;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t news;
    int waiting;
    bool over;
} broadcast = {.lock = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER};

static void *block(void *data)
{
    struct blocking *caller = data;
    struct freshet_error error;

    if (freshet_ensure_fresh(caller->session, NULL, NULL, &error) != FRESHET_OK)
        bench_die("freshet_ensure_fresh", error.message);
    caller->released = bench_now_ns();
    return NULL;
}

static void *await_broadcast(void *data)
{
    struct blocking *caller = data;

    (void)pthread_mutex_lock(&broadcast.lock);
    broadcast.waiting++;
    while (!broadcast.over)
        (void)pthread_cond_wait(&broadcast.news, &broadcast.lock);
    (void)pthread_mutex_unlock(&broadcast.lock);
    caller->released = bench_now_ns();
    return NULL;
}

/* Returns how many there are: as many as the machine gives. */
static int start_blocking(struct freshet_session *session, struct blocking *callers, int count)
{
    pthread_attr_t attributes;
    int started = 0;
    int failed = 0;

    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK);
    while (started < count && failed == 0) {
        callers[started].session = session;
        failed = pthread_create(&callers[started].thread, &attributes,
                                session ? block : await_broadcast, &callers[started]);
        started += failed == 0;
    }
    (void)pthread_attr_destroy(&attributes);
    if (started < count)
        (void)fprintf(stderr, "the machine gives %d threads of %d: %s\n", started, count,
                      strerror(failed));
    return started;
}

/* Returns when the last of them was released. */
static double join_blocking(const struct blocking *callers, int count)
{
    double last = 0;

    for (int i = 0; i < count; i++) {
        (void)pthread_join(callers[i].thread, NULL);
        if (callers[i].released > last)
            last = callers[i].released;
    }
    return last;
}

static double round_threads(int count)
{
    struct freshet_session *session = session_at_expiry();
    struct blocking *callers = calloc((size_t)count, sizeof(*callers));
    double last;

    if (!callers)
        bench_die("out of memory", NULL);
    count = start_blocking(session, callers, count);
    release(session, count);
    last = join_blocking(callers, count);
    free(callers);
    return end(session, last);
}

static bool all_wait_for_broadcast(int count)
{
    bool all;

    (void)pthread_mutex_lock(&broadcast.lock);
    all = broadcast.waiting == count;
    (void)pthread_mutex_unlock(&broadcast.lock);
    return all;
}

static double round_broadcast(int count)
{
    struct blocking *callers = calloc((size_t)count, sizeof(*callers));
    double began;
    double last;

    if (!callers)
        bench_die("out of memory", NULL);
    broadcast.over = false;
    broadcast.waiting = 0;
    count = start_blocking(NULL, callers, count);
    while (!all_wait_for_broadcast(count))
        bench_sleep_ms(1);
    began = bench_now_ns();
    (void)pthread_mutex_lock(&broadcast.lock);
    broadcast.over = true;
    (void)pthread_cond_broadcast(&broadcast.news);
    (void)pthread_mutex_unlock(&broadcast.lock);
    last = join_blocking(callers, count);
    free(callers);
    return last - began;
}

/* ---- asynchronous callers ---------------------------------------------------------------- */

struct herd {
    int left;
    double last;
};

static void done(void *data, int status, const struct freshet_freshness *freshness,
                 const struct freshet_error *error)
{
    struct herd *herd = data;

    if (status != FRESHET_OK || freshness->generation == 0)
        bench_die("freshet_ensure_fresh_async", error ? error->message : NULL);
    /* They come one after the other: the last one's time is enough. */
    if (--herd->left == 0)
        herd->last = bench_now_ns();
}

static void start_async(struct freshet_session *session, struct freshet_queue *queue,
                        struct herd *herd)
{
    struct freshet_error error;

    for (int i = 0; i < herd->left; i++) {
        if (freshet_ensure_fresh_async(session, NULL, queue, done, herd, NULL, &error) !=
            FRESHET_OK)
            bench_die("freshet_ensure_fresh_async", error.message);
    }
}

/* An event loop with nothing else to do. */
static void dispatch_all(struct freshet_queue *queue, const struct herd *herd)
{
    struct pollfd ready = {.fd = freshet_queue_fd(queue), .events = POLLIN};

    while (herd->left > 0) {
        if (poll(&ready, 1, PATIENCE_MS) < 1)
            bench_die("callers were not released", NULL);
        (void)freshet_queue_dispatch(queue);
    }
}

static double round_async(int count)
{
    struct freshet_session *session = session_at_expiry();
    struct blocking beside[BESIDE] = {0};
    struct herd herd = {.left = count};
    struct freshet_queue *queue;
    struct freshet_error error;
    double last;

    if (freshet_queue_new(&queue, &error) != FRESHET_OK)
        bench_die("freshet_queue_new", error.message);
    start_async(session, queue, &herd);
    if (start_blocking(session, beside, BESIDE) != BESIDE)
        bench_die("pthread_create", NULL);
    release(session, count + BESIDE);
    dispatch_all(queue, &herd);
    last = join_blocking(beside, BESIDE);
    freshet_queue_free(queue);
    return end(session, last > herd.last ? last : herd.last);
}

int main(void)
{
    static const struct bench_round rounds[] = {
        {"async", round_async},
        {"threads", round_threads},
        {"broadcast", round_broadcast},
    };
    int status;

    bench_platform_start(&platform);
    atomic_store(&platform.expires_in, SHORT_LIFE);
    freshet = bench_platform_open(&platform);
    status = bench_rounds(rounds, sizeof(rounds) / sizeof(rounds[0]));
    freshet_close(freshet);
    return status;
}
