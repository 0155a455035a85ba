/* SPDX-License-Identifier: Apache-2.0 */

/* What freshet_ensure_fresh costs with a fresh token, beside one reading of the clock, and a mutex
 * and a copy: nanoseconds a call and thread, the median of several rounds taken in turn. */

#include <freshet/freshet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALLS  2000000
#define ROUNDS 9

static struct freshet_session *session;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char token[1024];

static double now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void ours(void)
{
    for (int i = 0; i < CALLS; i++) {
        if (freshet_ensure_fresh(session, NULL, NULL, NULL) != FRESHET_OK)
            abort();
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
    began = now_ns();
    run->work();
    run->ns = (now_ns() - began) / CALLS;
    return NULL;
}

/* The mean of the threads. */
static double measure(void (*work)(void), int threads)
{
    pthread_t ids[8];
    struct run runs[8];
    pthread_barrier_t start;
    double sum = 0;

    (void)pthread_barrier_init(&start, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        runs[i] = (struct run){work, &start, 0};
        if (pthread_create(&ids[i], NULL, thread, &runs[i]) != 0)
            abort();
    }
    for (int i = 0; i < threads; i++) {
        (void)pthread_join(ids[i], NULL);
        sum += runs[i].ns;
    }
    (void)pthread_barrier_destroy(&start);
    return sum / threads;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof(double), by_value);
    return values[ROUNDS / 2];
}

static void table(int threads)
{
    double mine[ROUNDS];
    double clock[ROUNDS];
    double mutex[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        mine[i] = measure(ours, threads);
        clock[i] = measure(one_clock, threads);
        mutex[i] = measure(mutex_and_copy, threads);
    }
    printf("ensure_fresh/%d %.2f %.2f 1.5 clock_gettime\n", threads, median(mine), median(clock));
    printf("ensure_fresh/mutex%d %.2f %.2f 1.0 mutex and copy\n", threads, median(mine),
           median(mutex));
}

int main(int argc, char **argv)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet *freshet = NULL;
    struct freshet_error error;

    if (argc != 2)
        return 64;
    options.url = argv[1];
    if (freshet_open(&options, &freshet, &error) != FRESHET_OK ||
        freshet_session_open(freshet, "bench", NULL, &session, &error) != FRESHET_OK ||
        freshet_sign_in(session, "svc-demo", "demo-password-not-secret", 0, &error) != FRESHET_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    table(1);
    table(2);
    freshet_close(freshet);
    return 0;
}
