/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
    "\n"
    "Exit status: 0 when no rule was broken, 1 when one was, 64 for wrong usage.\n";

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
    for (uint64_t seed = from; seed - from < seeds; seed++) {
        uint64_t ms = 0;

        failed += (uint64_t)sim_run(seed, trace, tap ? stderr : stdout, &ms);
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
        {"seeds", required_argument, NULL, 'n'}, {"from", required_argument, NULL, 'f'},
        {"trace", no_argument, NULL, 't'},       {"tap", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
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
