/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite/thread.h"

#include "base/error.h"

#include <freshet/status.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fsh_sqlite_thread {
    struct fsh_sqlite_duty duty;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct fsh_post *first;
    struct fsh_post **last;
    bool put_off;
    bool stopping;
    struct timespec idle_at; /* CLOCK_MONOTONIC; with put_off */
};

static struct timespec idle_at(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += FSH_SQLITE_IDLE_MS / 1000;
    return at;
}

/* Waits for something to do, under the lock; false when it is what was put off. */
static bool wait_for_more(struct fsh_sqlite_thread *thread)
{
    while (!thread->first && !thread->stopping) {
        if (!thread->put_off)
            (void)pthread_cond_wait(&thread->more, &thread->lock);
        else if (pthread_cond_timedwait(&thread->more, &thread->lock, &thread->idle_at) != 0)
            return thread->first != NULL;
    }
    return thread->first != NULL;
}

static struct fsh_post *take(struct fsh_sqlite_thread *thread)
{
    struct fsh_post *posts = thread->first;
    struct fsh_post **end = &posts;

    for (unsigned i = 0; i < FSH_SQLITE_GROUP && *end; i++)
        end = &(*end)->next;
    thread->first = *end;
    *end = NULL;
    if (!thread->first)
        thread->last = &thread->first;
    return posts;
}

static void *run(void *data)
{
    struct fsh_sqlite_thread *thread = data;
    bool stopping = false;

    while (!stopping) {
        struct fsh_post *posts = NULL;

        (void)pthread_mutex_lock(&thread->lock);
        if (wait_for_more(thread))
            posts = take(thread);
        else
            thread->put_off = false;
        stopping = thread->stopping && !posts;
        (void)pthread_mutex_unlock(&thread->lock);
        if (posts)
            thread->duty.group(thread->duty.data, posts);
        else
            thread->duty.idle(thread->duty.data);
    }
    return NULL;
}

static void thread_free(struct fsh_sqlite_thread *thread)
{
    (void)pthread_cond_destroy(&thread->more);
    (void)pthread_mutex_destroy(&thread->lock);
    free(thread);
}

/* Signals are for the program's own threads. */
static int start(struct fsh_sqlite_thread *thread)
{
    sigset_t all;
    sigset_t before;
    int failed;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&thread->thread, NULL, run, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

int fsh_sqlite_thread_start(const struct fsh_sqlite_duty *duty,
                            struct fsh_sqlite_thread **ret_thread, struct freshet_error *error)
{
    struct fsh_sqlite_thread *thread = calloc(1, sizeof(*thread));
    pthread_condattr_t clock;
    int failed;

    if (!thread)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    thread->duty = *duty;
    thread->last = &thread->first;
    (void)pthread_mutex_init(&thread->lock, NULL);
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&thread->more, &clock);
    (void)pthread_condattr_destroy(&clock);
    failed = start(thread);
    if (failed) {
        thread_free(thread);
        return fsh_base_fail(error, FRESHET_ELIMIT, "no thread to be had: %s", strerror(failed));
    }
    *ret_thread = thread;
    return FRESHET_OK;
}

void fsh_sqlite_thread_stop(struct fsh_sqlite_thread *thread)
{
    if (!thread)
        return;
    (void)pthread_mutex_lock(&thread->lock);
    thread->stopping = true;
    (void)pthread_cond_signal(&thread->more);
    (void)pthread_mutex_unlock(&thread->lock);
    (void)pthread_join(thread->thread, NULL);
    thread_free(thread);
}

void fsh_sqlite_thread_submit(struct fsh_sqlite_thread *thread, struct fsh_post *post)
{
    post->next = NULL;
    (void)pthread_mutex_lock(&thread->lock);
    *thread->last = post;
    thread->last = &post->next;
    (void)pthread_cond_signal(&thread->more);
    (void)pthread_mutex_unlock(&thread->lock);
}

void fsh_sqlite_thread_put_off(struct fsh_sqlite_thread *thread)
{
    (void)pthread_mutex_lock(&thread->lock);
    if (!thread->put_off) {
        thread->put_off = true;
        thread->idle_at = idle_at();
        (void)pthread_cond_signal(&thread->more);
    }
    (void)pthread_mutex_unlock(&thread->lock);
}
