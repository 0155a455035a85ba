/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include "core/mutant.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef FSH_MUTANTS
enum fsh_mutant fsh_core_mutant;
#define BROKEN (fsh_core_mutant != FSH_MUTANT_NONE)
#else
#define BROKEN false
#endif

static const char *const broken[FSH_MUTANTS_COUNT] = {
    [FSH_MUTANT_NO_LEASE] = "no-lease",
    [FSH_MUTANT_NO_SWAP] = "no-swap",
    [FSH_MUTANT_EXPIRED] = "expired",
    [FSH_MUTANT_DROPS] = "drops",
    [FSH_MUTANT_NO_GRACE] = "no-grace",
    [FSH_MUTANT_READOPTS] = "readopts",
    [FSH_MUTANT_UNDOES_SIGN_OUT] = "undoes-sign-out",
    [FSH_MUTANT_WAITS] = "waits",
    [FSH_MUTANT_HALF] = "half",
    [FSH_MUTANT_GIVES_UP] = "gives-up",
};

static const char usage[] =
    "usage: freshet-sim [--seeds N] [--from SEED] [--trace] [--tap]\n"
    "\n"
    "Runs the session engine's core, lease protocol and record codec in simulated worlds in which\n"
    "everything goes wrong that can, and checks the rules after every step. A seed decides all of\n"
    "it: the same seed is the same run.\n"
    "\n"
    "  --seeds N    how many seeds to run (default 1000)\n"
    "  --from SEED  the first of them (default 1)\n"
    "  --trace      print every step; for one seed\n"
    "  --tap        speak TAP, as a test\n"
    "  --broken NAME  run a core that is broken on purpose, and stop at the first seed that\n"
    "               notices; in the test program freshet-sim-broken alone\n"
    "\n"
    "Exit status: 0 when no rule was broken, 1 when one was, 64 for wrong usage.\n";

static bool break_core(const char *name)
{
    for (int i = 1; i < FSH_MUTANTS_COUNT; i++) {
        if (strcmp(broken[i], name) != 0)
            continue;
#ifdef FSH_MUTANTS
        fsh_core_mutant = (enum fsh_mutant)i;
        return true;
#endif
    }
    (void)fprintf(stderr, "freshet-sim: this program has no core that is broken like \"%s\"\n",
                  name);
    return false;
}

static bool number(const char *text, uint64_t *ret_number)
{
    char *end = NULL;

    if (text[0] < '0' || text[0] > '9')
        return false;
    *ret_number = strtoull(text, &end, 10);
    return *end == '\0';
}

static int run_all(uint64_t from, uint64_t seeds, bool trace, bool tap)
{
    struct timespec begin;
    struct timespec end;
    uint64_t failed = 0;
    uint64_t session_ms = 0;
    double seconds;

    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t seed = from; seed - from < seeds && !(failed && BROKEN); seed++) {
        uint64_t ms = 0;

        FILE *out = tap ? stderr : stdout;
        bool violated = sim_run(seed, 0, trace, NULL, &ms) != NULL;

        if (violated) {
            (void)fprintf(out, "seed %llu is broken; ", (unsigned long long)seed);
            sim_shrink(seed, out);
        }
        failed += violated;
        session_ms += ms;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    if (tap)
        printf("%s 1 - seeds %llu to %llu\n1..1\n# ", failed ? "not ok" : "ok",
               (unsigned long long)from, (unsigned long long)(from + seeds - 1));
    printf("%llu seeds, %llu broken; %.0f session-hours in %.1f s: %.0f a second\n",
           (unsigned long long)seeds, (unsigned long long)failed, (double)session_ms / 3600000.0,
           seconds, (double)session_ms / 3600000.0 / seconds);
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 'n'},
        {"from", required_argument, NULL, 'f'},
        {"trace", no_argument, NULL, 't'},
        {"tap", no_argument, NULL, 'p'},
        {"broken", required_argument, NULL, 'b'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    uint64_t seeds = 1000;
    uint64_t from = 1;
    bool trace = false;
    bool tap = false;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            (void)fputs(usage, stdout);
            return 0;
        }
        if ((option == 'n' && number(optarg, &seeds)) || (option == 'f' && number(optarg, &from)))
            continue;
        if (option == 'b' && break_core(optarg))
            continue;
        if (option == 't' || option == 'p') {
            trace = trace || option == 't';
            tap = tap || option == 'p';
            continue;
        }
        (void)fputs(usage, stderr);
        return 64;
    }
    return run_all(from, seeds, trace, tap);
}
