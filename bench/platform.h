/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_PLATFORM_H
#define BENCH_PLATFORM_H

#include <freshet/session.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* A platform inside the benchmark's own process: a thread with a socket on loopback that signs
 * everybody in, and answers a refresh when it is told to. So the moment of an answer is known by
 * the clock that its effects are measured with. */
struct bench_platform {
    char url[64];
    int listener;
    pthread_t thread;
    atomic_int expires_in; /* seconds, of the tokens of a sign-in; those of a refresh live longer */
    sem_t asked;           /* posted when a refresh has come */
    sem_t answer;          /* post it to have a refresh answered */
    atomic_int refreshes;  /* that have come */
    _Atomic double
        answered; /* when the last one's answer was about to be written, by bench_now_ns */
};

/* Runs until the process ends. */
void bench_platform_start(struct bench_platform *platform);

/* A handle of the platform. */
struct freshet *bench_platform_open(const struct bench_platform *platform);

/* An on-demand session of that handle, not signed in; and signed in. */
struct freshet_session *bench_session_open(struct freshet *freshet, const char *name);
void bench_session_sign_in(struct freshet_session *session);

#endif
