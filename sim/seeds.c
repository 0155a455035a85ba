/* SPDX-License-Identifier: Apache-2.0 */
#include "seeds.h"

#include "run.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a process counts, in memory that all of them share. */
struct counts {
    atomic_uint_fast64_t done;
    atomic_uint_fast64_t broken;
    uint64_t session_ms;
    uint64_t by_rule[SIM_RULES];
    uint64_t failed[SIM_FAILED];
    enum sim_rule failed_rule[SIM_FAILED];
    unsigned failed_count;
};

static double seconds_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void remember(struct counts *counts, uint64_t seed, enum sim_rule rule)
{
    counts->by_rule[rule]++;
    if (counts->failed_count < SIM_FAILED) {
        counts->failed[counts->failed_count] = seed;
        counts->failed_rule[counts->failed_count++] = rule;
    }
    atomic_fetch_add(&counts->broken, 1);
}

static void show_progress(const struct sim_seeds *seeds, const struct counts *counts, double *shown)
{
    double now = seconds_now();
    uint64_t done = 0;
    uint64_t broken = 0;

    if (!seeds->progress || now - *shown < 0.2)
        return;
    *shown = now;
    for (unsigned i = 0; i < seeds->jobs; i++) {
        done += atomic_load(&counts[i].done);
        broken += atomic_load(&counts[i].broken);
    }
    (void)fprintf(stderr, "\r%llu of %llu seeds, %llu broken ", (unsigned long long)done,
                  (unsigned long long)seeds->count, (unsigned long long)broken);
}

/* Every seed that falls to process `me`. */
static void work(const struct sim_seeds *seeds, struct counts *counts, unsigned me)
{
    static const struct sim_cut whole;
    struct counts *mine = &counts[me];
    double shown = seconds_now();

    for (uint64_t i = me; i < seeds->count; i += seeds->jobs) {
        struct sim_outcome outcome = sim_run(seeds->from + i, &whole, SIM_TELL_NOTHING, NULL);

        mine->session_ms += outcome.session_ms;
        if (outcome.broken != SIM_RULE_NONE)
            remember(mine, seeds->from + i, outcome.broken);
        atomic_fetch_add(&mine->done, 1);
        if (me == 0)
            show_progress(seeds, counts, &shown);
        if (seeds->until != SIM_RULE_NONE && outcome.broken == seeds->until)
            break;
    }
}

static bool wait_for(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            return false;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int work_in_processes(const struct sim_seeds *seeds, struct counts *counts)
{
    pid_t children[SIM_JOBS] = {0};
    bool good = true;

    for (unsigned i = 1; i < seeds->jobs; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            work(seeds, counts, i);
            _exit(0);
        }
        good = good && children[i] > 0;
    }
    work(seeds, counts, 0);
    for (unsigned i = 1; i < seeds->jobs; i++)
        good = (children[i] <= 0 || wait_for(children[i])) && good;
    return good ? 0 : -1;
}

/* Keeps the failing seeds in their order. */
static void add_failed(struct sim_tally *tally, uint64_t seed, enum sim_rule rule)
{
    unsigned place = tally->failed_count++;

    while (place > 0 && tally->failed[place - 1] > seed) {
        tally->failed[place] = tally->failed[place - 1];
        tally->failed_rule[place] = tally->failed_rule[place - 1];
        place--;
    }
    tally->failed[place] = seed;
    tally->failed_rule[place] = rule;
}

static void add_up(const struct counts *counts, struct sim_tally *tally)
{
    tally->done += atomic_load(&counts->done);
    tally->broken += atomic_load(&counts->broken);
    tally->session_ms += counts->session_ms;
    for (int i = 0; i < SIM_RULES; i++)
        tally->by_rule[i] += counts->by_rule[i];
    for (unsigned i = 0; i < counts->failed_count; i++)
        add_failed(tally, counts->failed[i], counts->failed_rule[i]);
}

int sim_seeds_run(const struct sim_seeds *seeds, struct sim_tally *ret_tally)
{
    size_t size = seeds->jobs * sizeof(struct counts);
    struct sim_tally tally = {0};
    double begin = seconds_now();
    struct counts *counts =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int result;

    if (counts == MAP_FAILED)
        return -1;
    result = work_in_processes(seeds, counts);
    if (seeds->progress)
        (void)fprintf(stderr, "\r\033[K");
    for (unsigned i = 0; i < seeds->jobs; i++)
        add_up(&counts[i], &tally);
    tally.seconds = seconds_now() - begin;
    (void)munmap(counts, size);
    *ret_tally = tally;
    return result;
}
