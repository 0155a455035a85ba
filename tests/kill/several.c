/* SPDX-License-Identifier: Apache-2.0 */
#include "kill.h"

#include <freshet/status.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS   2 /* a process */
#define PROCESSES 8 /* at the most */
#define HANGS_S   300

/* All threads of all processes meet here, before and after each expiry. */
struct meeting {
    pthread_barrier_t barrier;
    unsigned expiries;
    _Atomic uint64_t generation; /* that somebody got after the last expiry */
};

struct asker {
    const struct kill_test *test;
    struct meeting *meeting;
    struct freshet_session *session;
    bool first; /* of all: it moves the clock */
    pthread_t thread;
};

static void ask(struct asker *asker)
{
    struct shared *shared = asker->test->shared;
    struct freshet_freshness fresh = {0};
    struct freshet_error error = {0};
    uint64_t theirs = 0;
    int status = freshet_ensure_fresh(asker->session, NULL, &fresh, &error);

    if (status != FRESHET_OK)
        worker_fail(shared, "a caller is told %d: %s", status, error.message);
    if (!atomic_compare_exchange_strong(&asker->meeting->generation, &theirs, fresh.generation) &&
        theirs != fresh.generation)
        worker_fail(shared, "of one expiry came the generations %llu and %llu",
                    (unsigned long long)theirs, (unsigned long long)fresh.generation);
}

static void *run(void *data)
{
    struct asker *asker = data;
    struct meeting *meeting = asker->meeting;

    for (unsigned i = 0; i < meeting->expiries; i++) {
        if (asker->first) {
            atomic_store(&meeting->generation, 0);
            clock_advance(LIFE);
        }
        (void)pthread_barrier_wait(&meeting->barrier);
        ask(asker);
        (void)pthread_barrier_wait(&meeting->barrier);
    }
    return NULL;
}

_Noreturn static void share_session(const struct kill_test *test, struct meeting *meeting,
                                    unsigned number)
{
    struct asker askers[THREADS];
    struct freshet *freshet;
    struct freshet_session *session;

    (void)alarm(HANGS_S);
    worker_open(test, &freshet, &session);
    for (unsigned i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){test, meeting, session, number == 0 && i == 0, 0};
        if (pthread_create(&askers[i].thread, NULL, run, &askers[i]) != 0)
            worker_fail(test->shared, "no thread to be had");
    }
    for (unsigned i = 0; i < THREADS; i++)
        (void)pthread_join(askers[i].thread, NULL);
    freshet_close(freshet);
    _exit(EXIT_SUCCESS);
}

_Noreturn static void sign_in(const struct kill_test *test)
{
    struct freshet *freshet;
    struct freshet_session *session;
    struct freshet_error error = {0};

    worker_open(test, &freshet, &session);
    if (freshet_sign_in(session, test->account, DEV_PASSWORD, 0, &error) != FRESHET_OK)
        worker_fail(test->shared, "%s", error.message);
    freshet_close(freshet);
    _exit(EXIT_SUCCESS);
}

static bool complain(const struct kill_test *test, const char *what, long value)
{
    if (test->shared->problem[0] == '\0')
        (void)snprintf(test->shared->problem, sizeof(test->shared->problem), "%s: %ld", what,
                       value);
    return false;
}

/* One refresh each, one at a time, and none of them again. */
static bool count(const struct kill_test *test, unsigned expiries)
{
    const struct {
        const char *name;
        long expected;
    } counters[] = {
        {"refreshes", (long)expiries},
        {"refresh_attempts", (long)expiries},
        {"refresh_replays", 0},
        {"reuse_detected", 0},
        {"refresh_in_flight_max_per_account", 1},
        {"sign_ins", 1},
    };

    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        long value = devserver_counter(&test->server, counters[i].name);

        if (value != counters[i].expected)
            return complain(test, counters[i].name, value);
    }
    return true;
}

static struct meeting *meeting_new(unsigned processes, unsigned expiries)
{
    struct meeting *meeting =
        mmap(NULL, sizeof(*meeting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_barrierattr_t shared;

    if (meeting == MAP_FAILED)
        return NULL;
    meeting->expiries = expiries;
    (void)pthread_barrierattr_init(&shared);
    (void)pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    (void)pthread_barrier_init(&meeting->barrier, &shared, processes * THREADS);
    (void)pthread_barrierattr_destroy(&shared);
    return meeting;
}

/* Waits for one process more, whichever ends first. */
static bool await(const struct kill_test *test)
{
    int status = 0;

    /* The devserver is a child too, and does not end. */
    return (wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           complain(test, "a process ends with", status);
}

bool several_share(const struct kill_test *test, unsigned processes, unsigned expiries)
{
    struct meeting *meeting = meeting_new(processes, expiries);
    pid_t pids[PROCESSES];
    bool good;

    if (!meeting || processes > PROCESSES)
        return complain(test, "so many processes cannot be", processes);
    (void)fflush(stdout);
    pids[0] = fork();
    if (pids[0] == 0)
        sign_in(test);
    good = await(test);
    for (unsigned i = 0; good && i < processes; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            share_session(test, meeting, i);
    }
    /* One that fails leaves the others waiting for it. */
    for (unsigned i = 0; i < processes && good; i++) {
        good = await(test);
        for (unsigned j = 0; !good && j < processes; j++)
            (void)kill(pids[j], SIGKILL);
    }
    return good && count(test, expiries);
}
