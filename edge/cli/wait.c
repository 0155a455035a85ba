/* SPDX-License-Identifier: Apache-2.0 */

/* What is waited for, on a terminal, when it takes long. */

#include "cli.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t over;
    pthread_t thread;
    const char *what;
    bool running;
    bool ending;
} waiting = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void show(unsigned seconds)
{
    char line[128];
    int len = snprintf(line, sizeof(line), "\r\033[Kfreshet: %.80s (%u s) ", waiting.what, seconds);

    (void)!write(STDERR_FILENO, line, (size_t)len);
}

static void *watch(void *data)
{
    struct timespec next;
    unsigned seconds = 0;

    (void)data;
    (void)clock_gettime(CLOCK_MONOTONIC, &next);
    (void)pthread_mutex_lock(&waiting.lock);
    while (!waiting.ending) {
        next.tv_sec++;
        while (!waiting.ending &&
               pthread_cond_timedwait(&waiting.over, &waiting.lock, &next) == 0) {
            /* Woken: see whether it is over. */
        }
        if (!waiting.ending)
            show(++seconds);
    }
    if (seconds > 0)
        (void)!write(STDERR_FILENO, "\r\033[K", 4);
    (void)pthread_mutex_unlock(&waiting.lock);
    return NULL;
}

void fsh_cli_wait_begin(struct fsh_cli *cli, const char *what)
{
    pthread_condattr_t attributes;
    sigset_t all;
    sigset_t before;

    if (fsh_cli_wants_json(cli) || !isatty(STDERR_FILENO))
        return;
    waiting.what = what;
    waiting.ending = false;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&waiting.over, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    /* Signals are the main thread's. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    waiting.running = pthread_create(&waiting.thread, NULL, watch, NULL) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void fsh_cli_wait_end(struct fsh_cli *cli)
{
    (void)cli;
    if (!waiting.running)
        return;
    (void)pthread_mutex_lock(&waiting.lock);
    waiting.ending = true;
    (void)pthread_cond_signal(&waiting.over);
    (void)pthread_mutex_unlock(&waiting.lock);
    (void)pthread_join(waiting.thread, NULL);
    (void)pthread_cond_destroy(&waiting.over);
    waiting.running = false;
}
