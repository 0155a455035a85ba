/* SPDX-License-Identifier: Apache-2.0 */

/* The parent: starts one process after the other, kills each, and says what came of it as TAP. */

#include "rounds.h"
#include "store/keyfile.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <freshet/status.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Noreturn void give_up(const char *what)
{
    printf("Bail out! %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
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

static void make_folder(struct run *run)
{
    static const char *const places[] = {"/dev/shm", "/tmp"};

    for (size_t i = run->in_memory ? 0 : 1; i < 2; i++) {
        (void)snprintf(run->test.folder, sizeof(run->test.folder), "%s/freshet-kill-XXXXXX",
                       places[i]);
        if (mkdtemp(run->test.folder))
            return;
    }
    give_up("no temporary folder");
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

    make_folder(run);
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

/* ---- what came of it --------------------------------------------------------------------- */

static unsigned cases;

static bool tap(bool good, const char *what)
{
    printf("%s %u - %s\n", good ? "ok" : "not ok", ++cases, what);
    return good;
}

static bool missed_none(const struct run *run)
{
    unsigned missed = 0;

    for (unsigned i = 0; i < fault_point_count(); i++) {
        if (atomic_load(&run->test.shared->killed[i]) > 0)
            continue;
        printf("# nobody was killed at %s %s (passed %u times)\n", fault_points[i].name,
               fault_points[i].label, atomic_load(&run->test.shared->passed[i]));
        missed++;
    }
    return missed == 0;
}

static void tell(const struct run *run)
{
    const struct shared *shared = run->test.shared;

    printf("# seed %llu: %u kills at %u fault points, %u at random, %u ends in peace\n",
           (unsigned long long)run->seed, run->kills_at_points, fault_point_count(),
           run->kills_at_random, run->ends_in_peace);
    printf("# %u refreshes, %u sign-ins, %u sign-outs, %u ends, %u guests; %ld replays within the "
           "grace\n",
           shared->refreshes, shared->sign_ins, shared->sign_outs, shared->ends, shared->guests,
           devserver_counter(&run->test.server, "refresh_replays"));
    printf("# %u rotations reported lost, %u of them handled by the platform; the lease of a dead "
           "process met %u times\n",
           shared->losses, shared->spent, shared->waited);
}

static bool tell_problem(const struct run *run, bool good)
{
    if (!good)
        printf("# round %u of seed %llu: %s\n", run->test.shared->round,
               (unsigned long long)run->seed, run->test.shared->problem);
    return good;
}

static bool met_enough(const struct run *run)
{
    const struct shared *shared = run->test.shared;

    return shared->losses > 0 && shared->spent > 0 && shared->sign_outs > 0 && shared->ends > 0 &&
           shared->guests > 0 && shared->waited > 0 &&
           devserver_counter(&run->test.server, "refresh_replays") > 0;
}

static bool kill_many(struct run *run)
{
    char what[128];
    bool good = tell_problem(run, rounds_play(run));

    tell(run);
    (void)snprintf(what, sizeof(what), "%u kills", run->kills_wanted);
    good = tap(good, "nothing committed is lost, nothing spent is sent, no loss is silent") &&
           tap(run->kills_at_points + run->kills_at_random >= run->kills_wanted, what);
    if (good && !run->brief)
        good = (unsigned)tap(missed_none(run), "a kill at every fault point") &
               (unsigned)tap(met_enough(run), "losses, replays, sign-outs, ends, held leases");
    return good;
}

static bool notice(struct run *run)
{
    char what[64];
    bool good = tell_problem(run, rounds_play(run));

    tell(run);
    (void)snprintf(what, sizeof(what), "%s is noticed", run->test.broken);
    return tap(!good, what);
}

static bool share_among(struct run *run)
{
    char what[128];

    (void)snprintf(what, sizeof(what), "%u processes, %u expiries, one refresh each",
                   run->processes, run->expiries);
    return tap(tell_problem(run, several_share(&run->test, run->processes, run->expiries)), what);
}

/* ---- the command line --------------------------------------------------------------------- */

static const char usage[] =
    "Usage: test_kill [-s] [-m] [-r SEED] [-k KILLS [-q] | -b ORDER | -p PROCESSES]\n"
    "  -s  the session is a service's, not a person's\n"
    "  -m  the databases are in memory (/dev/shm)\n"
    "  -r  what is done and where it is killed; when random kills strike is left to the machine\n"
    "  -q  too few kills for all fault points\n"
    "  -b  breaks an order that must be noticed: publish-before-commit, replay-for-ever,\n"
    "      intent-not-written\n"
    "  -p  shares one session among processes, 200 expiries\n";

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

static bool parse(int argc, char **argv, struct run *run)
{
    int option;

    while ((option = getopt(argc, argv, "smr:k:qb:p:")) != -1) {
        switch (option) {
        case 's':
            run->test.service = true;
            break;
        case 'm':
            run->in_memory = true;
            break;
        case 'r':
            run->seed = strtoull(optarg, NULL, 10);
            break;
        case 'k':
            run->kills_wanted = number(optarg);
            break;
        case 'q':
            run->brief = true;
            break;
        case 'b':
            run->test.broken = optarg;
            break;
        case 'p':
            run->processes = number(optarg);
            break;
        default:
            return false;
        }
    }
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct run run = {
        .seed = (uint64_t)time(NULL),
        .kills_wanted = 1000,
        .expiries = 200,
        .usual_us = 40000,
    };
    bool good;

    if (!parse(argc, argv, &run)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    start(&run);
    if (run.processes > 0)
        good = share_among(&run);
    else
        good = run.test.broken ? notice(&run) : kill_many(&run);
    printf("1..%u\n", cases);
    tidy(&run);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
