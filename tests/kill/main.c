/* SPDX-License-Identifier: Apache-2.0 */

/* The parent: starts one process after the other, kills each, and says what came of it as TAP. */

#include "kill.h"
#include "store/keyfile.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <freshet/status.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define IDLE_TRIES 20000 /* looks, half a millisecond apart, until the devserver is at rest */
#define START_MS   60000

struct run {
    struct kill_test test;
    uint64_t seed;
    unsigned kills_wanted;
    _Atomic int64_t *ahead;
    char clock_file[96];
    unsigned kills_at_points;
    unsigned kills_at_random;
    unsigned ends_in_peace;
    int64_t usual_us; /* that a process takes from its start to its end in peace */
};

_Noreturn static void give_up(const char *what)
{
    printf("Bail out! %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

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

/* ---- set-up ------------------------------------------------------------------------------ */

static void *share(size_t size, int fd)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

    if (memory == MAP_FAILED)
        give_up("mmap");
    return memory;
}

static void make_clock(struct run *run)
{
    int fd;

    (void)snprintf(run->clock_file, sizeof(run->clock_file), "%s/clock", run->test.folder);
    fd = open(run->clock_file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(*run->ahead)) != 0)
        give_up("the clock's file");
    run->ahead = share(sizeof(*run->ahead), fd);
    (void)close(fd);
    clock_follow(run->ahead);
}

static void make_key(const struct kill_test *test)
{
    struct fsh_keys *keys = NULL;

    if (fsh_keys_new(&keys) != FRESHET_OK || fsh_keys_add(keys, NULL) != FRESHET_OK ||
        fsh_keyfile_create(test->key_file, keys, NULL) != FRESHET_OK)
        give_up("the key file");
    fsh_keys_unref(keys);
}

static void start(struct run *run)
{
    struct kill_test *test = &run->test;
    const char *options[] = {"--clock", run->clock_file, "--rotate",   "--grace", "10",
                             "--reuse", "revoke",        "--lifetime", "3600",    NULL};

    (void)snprintf(test->folder, sizeof(test->folder), "/tmp/freshet-kill-XXXXXX");
    if (!mkdtemp(test->folder))
        give_up("no temporary folder");
    (void)snprintf(test->key_file, sizeof(test->key_file), "%s/key", test->folder);
    (void)snprintf(test->secrets, sizeof(test->secrets), "%s/secrets.db", test->folder);
    (void)snprintf(test->tokens, sizeof(test->tokens), "%s/tokens.db", test->folder);
    make_clock(run);
    make_key(test);
    test->account = test->service ? "svc-demo" : "load-1";
    test->shared = share(sizeof(*test->shared), -1);
    devserver_start(&test->server, "http", options);
    /* Once here instead of in each fork: it is most of what starting costs. */
    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        give_up("libsodium or libcurl");
}

static void tidy(struct run *run)
{
    static const char *const names[] = {"key",           "clock",          "secrets.db",
                                        "tokens.db",     "secrets.db-wal", "secrets.db-shm",
                                        "tokens.db-wal", "tokens.db-shm"};
    char path[128];

    devserver_stop(&run->test.server);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", run->test.folder, names[i]);
        (void)unlink(path);
    }
    if (rmdir(run->test.folder) != 0)
        printf("# left behind: %s\n", run->test.folder);
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
        .look_early = draw(shared, 12) == 0,
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
    default:
        if (strncmp(fault_points[shared->point].name, "sqlite-", 7) == 0)
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
    unsigned part = draw(run->test.shared, 1000);

    if (poll(&ready, 1, START_MS) != 1)
        give_up("a process does not start");
    sleep_us(run->usual_us * part / 900);
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

/* ---- the whole --------------------------------------------------------------------------- */

static bool all(struct run *run)
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

static unsigned cases;

static bool tap(bool good, const char *what)
{
    printf("%s %u - %s\n", good ? "ok" : "not ok", ++cases, what);
    return good;
}

static unsigned points_missed(const struct run *run)
{
    unsigned missed = 0;

    for (unsigned i = 0; i < fault_point_count(); i++) {
        if (atomic_load(&run->test.shared->killed[i]) > 0)
            continue;
        printf("# nobody was killed at %s %s (passed %u times)\n", fault_points[i].name,
               fault_points[i].label, atomic_load(&run->test.shared->passed[i]));
        missed++;
    }
    return missed;
}

static void tell(const struct run *run)
{
    const struct shared *shared = run->test.shared;

    printf("# seed %llu: %u kills at %u fault points, %u at random, %u ends in peace\n",
           (unsigned long long)run->seed, run->kills_at_points, fault_point_count(),
           run->kills_at_random, run->ends_in_peace);
    printf("# %u refreshes, %u sign-ins, %u sign-outs, %u ends; %ld replays within the grace; "
           "%u rotations reported lost, %u of them handled by the platform; "
           "the lease of a dead process met %u times; %lld us a process\n",
           shared->refreshes, shared->sign_ins, shared->sign_outs, shared->ends,
           devserver_counter(&run->test.server, "refresh_replays"), shared->losses, shared->spent,
           shared->waited, (long long)run->usual_us);
}

static bool enough(const struct run *run)
{
    const struct shared *shared = run->test.shared;

    return shared->losses > 0 && shared->spent > 0 && shared->sign_outs > 0 && shared->ends > 0 &&
           shared->waited > 0 && devserver_counter(&run->test.server, "refresh_replays") > 0;
}

static bool tell_results(const struct run *run, bool good)
{
    const struct shared *shared = run->test.shared;
    char what[128];
    bool all_good = true;

    tell(run);
    if (!good)
        printf("# round %u of seed %llu: %s\n", shared->round, (unsigned long long)run->seed,
               shared->problem);
    if (run->test.broken) {
        (void)snprintf(what, sizeof(what), "%s is noticed", run->test.broken);
        all_good = tap(!good, what);
    } else {
        all_good =
            tap(good, "nothing committed is lost, nothing spent is sent, no loss is silent") &&
            all_good;
        (void)snprintf(what, sizeof(what), "%u kills", run->kills_wanted);
        all_good =
            tap(run->kills_at_points + run->kills_at_random >= run->kills_wanted, what) && all_good;
        all_good = tap(points_missed(run) == 0, "a kill at every fault point") && all_good;
        all_good = tap(enough(run), "losses, replays, sign-outs, ends and held leases were met") &&
                   all_good;
    }
    printf("1..%u\n", cases);
    return all_good;
}

int main(int argc, char **argv)
{
    struct run run = {.seed = (uint64_t)time(NULL), .kills_wanted = 1000, .usual_us = 40000};
    int option;
    bool good;

    while ((option = getopt(argc, argv, "sk:r:b:")) != -1) {
        if (option == 's')
            run.test.service = true;
        else if (option == 'k')
            run.kills_wanted = (unsigned)strtoul(optarg, NULL, 10);
        else if (option == 'r')
            run.seed = strtoull(optarg, NULL, 10);
        else if (option == 'b')
            run.test.broken = optarg;
        else
            return 2;
    }
    start(&run);
    good = tell_results(&run, all(&run));
    tidy(&run);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
