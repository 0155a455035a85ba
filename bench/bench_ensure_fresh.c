/* SPDX-License-Identifier: Apache-2.0 */

/* What freshet_ensure_fresh costs with a fresh token, beside one reading of the clock, and a mutex
 * and a copy. A round is so many threads at once, and nanoseconds a call and thread. */

#include "platform.h"
#include "rounds.h"

#include <freshet/freshet.h>
#include <string.h>
#include <time.h>

#define CALLS   2000000
#define THREADS 8

static struct freshet_session *session;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char token[1024];

static void ours(void)
{
    for (int i = 0; i < CALLS; i++) {
        if (freshet_ensure_fresh(session, NULL, NULL, NULL) != FRESHET_OK)
            bench_die("freshet_ensure_fresh", NULL);
    }
}

static void one_clock(void)
{
    struct timespec now;

    for (int i = 0; i < CALLS; i++)
        (void)clock_gettime(CLOCK_BOOTTIME, &now);
}

static void mutex_and_copy(void)
{
    char copy[sizeof(token)];
    struct timespec now;

    for (int i = 0; i < CALLS; i++) {
        (void)clock_gettime(CLOCK_BOOTTIME, &now);
        (void)pthread_mutex_lock(&lock);
        memcpy(copy, token, sizeof(copy));
        (void)pthread_mutex_unlock(&lock);
        __asm__ volatile("" : : "r"(copy) : "memory");
    }
}

struct run {
    void (*work)(void);
    pthread_barrier_t *start;
    double ns;
};

static void *thread(void *data)
{
    struct run *run = data;
    double began;

    (void)pthread_barrier_wait(run->start);
    began = bench_now_ns();
    run->work();
    run->ns = (bench_now_ns() - began) / CALLS;
    return NULL;
}

/* The mean of the threads. */
static double measure(void (*work)(void), int threads)
{
    pthread_t ids[THREADS];
    struct run runs[THREADS];
    pthread_barrier_t start;
    double sum = 0;

    if (threads < 1 || threads > THREADS)
        bench_die("too many threads", NULL);
    (void)pthread_barrier_init(&start, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        runs[i] = (struct run){work, &start, 0};
        if (pthread_create(&ids[i], NULL, thread, &runs[i]) != 0)
            bench_die("pthread_create", NULL);
    }
    for (int i = 0; i < threads; i++) {
        (void)pthread_join(ids[i], NULL);
        sum += runs[i].ns;
    }
    (void)pthread_barrier_destroy(&start);
    return sum / threads;
}

static double round_ours(int threads)
{
    return measure(ours, threads);
}

static double round_clock(int threads)
{
    return measure(one_clock, threads);
}

static double round_mutex(int threads)
{
    return measure(mutex_and_copy, threads);
}

int main(void)
{
    static const struct bench_round rounds[] = {
        {"ours", round_ours},
        {"clock", round_clock},
        {"mutex", round_mutex},
    };
    struct bench_platform platform;
    struct freshet *freshet;
    int status;

    bench_platform_start(&platform);
    freshet = bench_platform_open(&platform);
    session = bench_session_open(freshet, "bench");
    bench_session_sign_in(session);
    status = bench_rounds(rounds, sizeof(rounds) / sizeof(rounds[0]));
    freshet_close(freshet);
    return status;
}
