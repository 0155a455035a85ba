/* SPDX-License-Identifier: Apache-2.0 */
#include "broken.h"
#include "run.h"
#include "seeds.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHRUNK 3 /* failing seeds that are shrunk and printed; of the others, the numbers */

static const char usage[] =
    "usage: freshet-sim [--seeds N] [--from SEED] [--jobs N] [--tap]\n"
    "       freshet-sim --trace [--from SEED]\n"
    "       freshet-sim --broken NAME [--seeds N] [--tap]\n"
    "       freshet-sim --list\n"
    "\n"
    "Runs the session engine's core, lease protocol and record codec in simulated worlds in which\n"
    "everything goes wrong that can, and checks the rules after every step. A seed decides all of\n"
    "it: the same seed is the same run. One that breaks a rule is shrunk and printed.\n"
    "\n"
    "Liveness: when faults stop, every session is fresh again within 4 minutes; and 5 more in a\n"
    "world with rate limits (the longest Retry-After), 15 more where credentials were refused\n"
    "(the longest pause), a token's life more where refresh tokens rotate (a rotation that was\n"
    "lost shows when the token in hand ends).\n"
    "\n"
    "  --seeds N      how many seeds to run (default 1000)\n"
    "  --from SEED    the first of them (default 1)\n"
    "  --jobs N       in so many processes (default 1, at most 64)\n"
    "  --trace        print every step of one seed\n"
    "  --tap          speak TAP, as a test\n"
    "  --broken NAME  run a core that is broken on purpose until the checker that it is meant for\n"
    "                 notices; in the test program build-test/tests/freshet-sim-broken alone\n"
    "  --list         name the checkers and the broken cores\n"
    "\n"
    "Exit status: 0 when no rule was broken, 1 when one was (by a broken core: by its checker; "
    "with\n"
    "--tap 0, for then the test is good), 64 for wrong usage, 70 when a process of --jobs died.\n";

static bool number(const char *text, uint64_t *ret_number)
{
    char *end = NULL;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    return *end == '\0' && errno == 0;
}

static void list_all(void)
{
    printf("checkers:\n");
    for (int i = SIM_RULE_NONE + 1; i < SIM_RULES; i++)
        printf("  %-16s %s\n", sim_rule_name((enum sim_rule)i), sim_rule_text((enum sim_rule)i));
    printf("\nbroken cores, and the checker that catches each:\n");
    for (size_t i = 0; sim_broken(i); i++)
        printf("  %-16s %-14s %s\n", sim_broken(i)->name, sim_rule_name(sim_broken(i)->rule),
               sim_broken(i)->text);
}

static int trace(uint64_t seed)
{
    static const struct sim_cut whole;
    struct sim_outcome outcome = sim_run(seed, &whole, SIM_TELL_ALL, stdout);

    printf("seed %llu: %s\n", (unsigned long long)seed,
           outcome.broken == SIM_RULE_NONE ? "no rule broken" : outcome.how);
    return outcome.broken == SIM_RULE_NONE ? 0 : 1;
}

static void print_failed(const struct sim_tally *tally, FILE *out)
{
    for (unsigned i = 0; i < tally->failed_count && i < SHRUNK; i++) {
        sim_shrink(tally->failed[i], tally->failed_rule[i], out);
        (void)fprintf(out, "\n");
    }
    for (unsigned i = SHRUNK; i < tally->failed_count; i++)
        (void)fprintf(out, "seed %llu breaks %s\n", (unsigned long long)tally->failed[i],
                      sim_rule_name(tally->failed_rule[i]));
}

static void print_sum(const struct sim_tally *tally)
{
    double hours = (double)tally->session_ms / 3600000.0;

    printf("%llu seeds, %llu broken; %.0f session-hours in %.1f s: %.0f a second\n",
           (unsigned long long)tally->done, (unsigned long long)tally->broken, hours,
           tally->seconds, hours / tally->seconds);
    for (int i = SIM_RULE_NONE + 1; i < SIM_RULES && tally->broken; i++) {
        if (tally->by_rule[i])
            printf("# %s: %llu\n", sim_rule_name((enum sim_rule)i),
                   (unsigned long long)tally->by_rule[i]);
    }
}

static int run(const struct sim_seeds *seeds, bool tap)
{
    struct sim_tally tally;

    if (sim_seeds_run(seeds, &tally) != 0) {
        (void)fprintf(stderr, "freshet-sim: a process could not do its part\n");
        return 70;
    }
    print_failed(&tally, tap ? stderr : stdout);
    if (tap)
        printf("%s 1 - seeds %llu to %llu\n1..1\n# ", tally.broken ? "not ok" : "ok",
               (unsigned long long)seeds->from,
               (unsigned long long)(seeds->from + seeds->count - 1));
    print_sum(&tally);
    return tally.broken ? 1 : 0;
}

/* Whether the checker that a broken core is meant for notices it. */
static int run_broken(const struct sim_broken *broken, struct sim_seeds *seeds, bool tap)
{
    struct sim_tally tally;
    bool caught;

    seeds->jobs = 1;
    seeds->until = broken->rule;
    if (sim_seeds_run(seeds, &tally) != 0)
        return 70;
    caught = tally.by_rule[broken->rule] > 0;
    if (caught && !tap)
        sim_shrink(seeds->from + tally.done - 1, broken->rule, stdout);
    if (tap)
        printf("%s 1 - %s is caught by %s\n1..1\n# ", caught ? "ok" : "not ok", broken->name,
               sim_rule_name(broken->rule));
    if (caught)
        printf("%s: caught by %s at seed %llu\n", broken->name, sim_rule_name(broken->rule),
               (unsigned long long)(seeds->from + tally.done - 1));
    else
        printf("%s: not caught by %s in %llu seeds\n", broken->name, sim_rule_name(broken->rule),
               (unsigned long long)tally.done);
    /* A test is good when it is caught. */
    return caught != tap ? 1 : 0;
}

struct arguments {
    struct sim_seeds seeds;
    const char *broken;
    bool trace;
    bool tap;
    bool list;
    bool help;
};

static bool read_arguments(int argc, char **argv, struct arguments *args)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 'n'},
        {"from", required_argument, NULL, 'f'},
        {"jobs", required_argument, NULL, 'j'},
        {"broken", required_argument, NULL, 'b'},
        {"trace", no_argument, NULL, 't'},
        {"tap", no_argument, NULL, 'p'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    uint64_t jobs = 1;
    bool good = true;
    int option;

    while (good && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'n')
            good = number(optarg, &args->seeds.count);
        else if (option == 'f')
            good = number(optarg, &args->seeds.from);
        else if (option == 'j')
            good = number(optarg, &jobs) && jobs >= 1 && jobs <= SIM_JOBS;
        else if (option == 'b')
            args->broken = optarg;
        else
            good = option != '?';
        args->trace = args->trace || option == 't';
        args->tap = args->tap || option == 'p';
        args->list = args->list || option == 'l';
        args->help = args->help || option == 'h';
    }
    args->seeds.jobs = (unsigned)jobs;
    args->seeds.progress = !args->tap && isatty(STDERR_FILENO);
    return good && optind == argc;
}

int main(int argc, char **argv)
{
    struct arguments args = {.seeds = {.from = 1, .count = 1000, .jobs = 1}};
    const struct sim_broken *broken = NULL;

    if (!read_arguments(argc, argv, &args)) {
        (void)fputs(usage, stderr);
        return 64;
    }
    if (args.help || args.list) {
        if (args.help)
            (void)fputs(usage, stdout);
        else
            list_all();
        return 0;
    }
    if (args.broken && !(broken = sim_break(args.broken))) {
        (void)fprintf(stderr,
                      "freshet-sim: no broken core \"%s\" in this program; --list names them, and "
                      "build-test/tests/freshet-sim-broken has them (make test builds it)\n",
                      args.broken);
        return 64;
    }
    if (args.trace)
        return trace(args.seeds.from);
    return broken ? run_broken(broken, &args.seeds, args.tap) : run(&args.seeds, args.tap);
}
