/* SPDX-License-Identifier: Apache-2.0 */

/* Starts one process after the other, kills each, and looks at what came of it. */

#include "rounds.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define IDLE_TRIES 20000 /* looks, half a millisecond apart, until the devserver is at rest */
#define START_MS   60000

static int64_t now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void sleep_us(int64_t us)
{
    struct timespec pause = {us / 1000000, (us % 1000000) * 1000};

    (void)nanosleep(&pause, NULL);
}

/* ---- one round --------------------------------------------------------------------------- */

/* The dead process's request may still be at the platform: until it is through, time stands. */
static void await_platform(const struct run *run)
{
    for (int tries = 0; tries < IDLE_TRIES; tries++) {
        /* The one that asks is there too. */
        if (devserver_counter(&run->test.server, "connections_open") <= 1)
            return;
        sleep_us(500);
    }
    give_up("the devserver is never at rest");
}

static void pass_time(struct shared *shared)
{
    static const int64_t jumps[] = {0, SECOND, 11 * SECOND, 31 * SECOND};
    unsigned which = draw(shared, 8);

    clock_advance(which < 4 ? jumps[which] : LIFE + 31 * SECOND);
}

static void plan_script(struct shared *shared)
{
    unsigned what = draw(shared, 16);

    shared->script = (struct script){
        .refreshes = 1 + draw(shared, 3),
        .again = what == 0,
        .sign_out = what == 1 || what == 2,
        .end = what == 3,
        .lose_answer = what == 4 || what == 5 || what == 6,
        .lose_grace = what == 4,
        .guest = what == 7 || what == 8,
        .look_early = draw(shared, 3) == 0,
    };
}

/* The fault point of this round, and what makes a process pass it. */
static void plan_point(struct shared *shared, unsigned number)
{
    unsigned count = fault_point_count();
    struct script *script = &shared->script;

    shared->point = (int)(number % count);
    shared->pass = 1 + (number / count) % 3;
    switch (fault_points[shared->point].needs) {
    case NEEDS_SIGN_IN:
        script->again = true;
        break;
    case NEEDS_LOSS:
        script->lose_grace = true;
        /* fall through */
    case NEEDS_LOST_ANSWER:
        script->lose_answer = true;
        break;
    case NEEDS_SIGN_OUT:
        script->sign_out = true;
        break;
    case NEEDS_END:
        script->end = true;
        break;
    case NEEDS_GUEST:
        script->guest = true;
        break;
    default:
        if (strcmp(fault_points[shared->point].label, "write") == 0)
            shared->pass = 1 + draw(shared, 24);
        return;
    }
    shared->pass = 1; /* the others are passed once */
}

static void plan(struct run *run, unsigned round)
{
    struct shared *shared = run->test.shared;

    shared->round = round;
    shared->random = run->seed * 1000003u + round;
    (void)draw(shared, 1);
    plan_script(shared);
    shared->point = -1;
    if (round % 2 == 1)
        plan_point(shared, round / 2);
    pass_time(shared);
}

static void kill_at_random(struct run *run, pid_t pid, int started)
{
    struct pollfd ready = {.fd = started, .events = POLLIN};
    int64_t part = draw(run->test.shared, 1000);

    if (poll(&ready, 1, START_MS) != 1)
        give_up("a process does not start");
    sleep_us(run->usual_us * part * part / 1000000); /* rather early: some are slow */
    (void)kill(pid, SIGKILL);
}

/* False: the test has failed. */
static bool judge(struct run *run, int status, int64_t took_us)
{
    struct shared *shared = run->test.shared;

    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
        if (shared->point >= 0)
            run->kills_at_points++;
        else
            run->kills_at_random++;
        return true;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        run->ends_in_peace++;
        run->usual_us += (took_us - run->usual_us) / 8;
        return true;
    }
    if (shared->problem[0] == '\0')
        (void)snprintf(shared->problem, sizeof(shared->problem), "%s %d",
                       WIFSIGNALED(status) ? "it dies of signal" : "it exits with",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return false;
}

static bool check_platform(struct run *run)
{
    static const struct {
        const char *name;
        long most;
    } bounds[] = {
        {"reuse_detected", 0},
        {"refresh_in_flight_max_per_account", 1},
        {"sign_in_in_flight_max_per_account", 1},
        {"refresh_same_token_concurrent", 0},
    };
    struct shared *shared = run->test.shared;

    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        long value = devserver_counter(&run->test.server, bounds[i].name);

        if (value > bounds[i].most) {
            (void)snprintf(shared->problem, sizeof(shared->problem), "the platform counts %s: %ld",
                           bounds[i].name, value);
            return false;
        }
    }
    return true;
}

static bool play(struct run *run, bool random_kill)
{
    int64_t began = now_us();
    int status = 0;
    int started[2];
    pid_t pid;

    if (pipe2(started, O_CLOEXEC) != 0)
        give_up("pipe");
    (void)fflush(stdout);
    pid = fork();
    if (pid < 0)
        give_up("fork");
    if (pid == 0)
        worker_run(&run->test, started[1]);
    (void)close(started[1]);
    if (random_kill)
        kill_at_random(run, pid, started[0]);
    if (waitpid(pid, &status, 0) != pid)
        give_up("waitpid");
    (void)close(started[0]);
    await_platform(run);
    return judge(run, status, now_us() - began);
}

/* ---- all of them */

bool rounds_play(struct run *run)
{
    struct shared *shared = run->test.shared;
    unsigned most = 4 * run->kills_wanted + 200;
    unsigned round = 1;

    for (; run->kills_at_points + run->kills_at_random < run->kills_wanted && round < most;
         round++) {
        plan(run, round);
        /* Some live to the end. */
        if (!play(run, shared->point < 0 && round % 16 != 0) ||
            (round % 32 == 0 && !check_platform(run)))
            return false;
    }
    /* At the end one is left in peace; what it leaves behind is good. */
    plan(run, 2 * round);
    shared->script = (struct script){.refreshes = 2};
    if (!play(run, false) || !check_platform(run))
        return false;
    plan(run, 2 * round);
    shared->script = (struct script){.refreshes = 1};
    return play(run, false) && check_platform(run);
}
