/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <string.h>

/* Leaves out of a failing seed whatever it does not need: sessions, engines, kinds of faults, the
 * time after which nothing fails, and then the single strikes of those faults that are left. Each
 * try is a whole run; one that breaks the same rule is kept. */

#define TRIES 4000

struct search {
    uint64_t seed;
    enum sim_rule rule;
    struct sim_cut cut; /* the smallest world yet that breaks the rule */
    struct sim_outcome outcome;
    unsigned tries;
};

static bool try_cut(struct search *search, const struct sim_cut *cut)
{
    struct sim_outcome outcome;

    if (search->tries >= TRIES)
        return false;
    search->tries++;
    outcome = sim_run(search->seed, cut, SIM_TELL_NOTHING, NULL);
    if (outcome.broken != search->rule)
        return false;
    search->cut = *cut;
    search->outcome = outcome;
    return true;
}

static void fewer_of_all(struct search *search)
{
    for (unsigned i = 0; i < SIM_SESSIONS; i++) {
        struct sim_cut cut = search->cut;

        cut.sessions |= 1U << i;
        (void)try_cut(search, &cut);
    }
    for (unsigned i = 0; i < SIM_ENGINES; i++) {
        struct sim_cut cut = search->cut;

        cut.engines |= 1U << i;
        (void)try_cut(search, &cut);
    }
    for (unsigned i = 0; i < SIM_FAULTS; i++) {
        struct sim_cut cut = search->cut;

        cut.faults |= UINT64_C(1) << i;
        (void)try_cut(search, &cut);
    }
}

/* Faults may stop when the rule is broken, or, for liveness, at any earlier time. */
static void less_time(struct search *search, int64_t planned_end)
{
    int64_t high = planned_end;
    int64_t low = 0;

    if (search->outcome.at_ms + 1 < high) {
        struct sim_cut cut = search->cut;

        cut.faults_end = search->outcome.at_ms + 1;
        if (try_cut(search, &cut))
            high = cut.faults_end;
    }
    while (high - low > 1000) {
        struct sim_cut cut = search->cut;

        cut.faults_end = low + (high - low) / 2;
        if (try_cut(search, &cut))
            high = cut.faults_end;
        else
            low = cut.faults_end;
    }
}

static bool skipped(const struct sim_cut *cut, unsigned fault, unsigned number)
{
    return (cut->strikes[fault][number / 64] & UINT64_C(1) << (number % 64)) != 0;
}

/* Leaves out runs of `size` strikes of one fault, wherever that can be done. */
static bool fewer_strikes_of(struct search *search, unsigned fault, unsigned size)
{
    bool any = false;

    for (unsigned first = 0; first < search->outcome.struck[fault] && first < SIM_SKIPS;
         first += size) {
        struct sim_cut cut = search->cut;
        bool changed = false;

        for (unsigned i = first; i < first + size && i < SIM_SKIPS; i++) {
            changed = changed || !skipped(&cut, fault, i);
            cut.strikes[fault][i / 64] |= UINT64_C(1) << (i % 64);
        }
        any = (changed && try_cut(search, &cut)) || any;
    }
    return any;
}

static bool fewer_strikes(struct search *search)
{
    bool any = false;

    for (unsigned size = SIM_SKIPS; size > 0; size /= 4) {
        for (unsigned fault = 0; fault < SIM_FAULTS; fault++)
            any = fewer_strikes_of(search, fault, size) || any;
    }
    return any;
}

/* ---- printing -------------------------------------------------------------------------------- */

static void print_world(const struct search *search, FILE *out)
{
    struct sim_plan plan;
    int engines = 0;

    sim_plan_make(&plan, search->seed);
    for (int i = 0; i < plan.engines; i++)
        engines += !(search->cut.engines & 1U << i);
    (void)fprintf(out, "  %d engine%s%s; tokens of %lld s; refresh tokens %s", engines,
                  engines == 1 ? "" : "s",
                  engines == 1    ? ""
                  : plan.one_host ? " on one host"
                                  : " on hosts of their own",
                  (long long)plan.lifetime_ms / 1000, plan.rotating ? "rotate" : "stay");
    if (plan.rotating)
        (void)fprintf(out, ", with %lld s of grace", (long long)plan.grace_ms / 1000);
    for (int i = 0; i < SIM_SESSIONS; i++) {
        if (!(search->cut.sessions & 1U << i))
            (void)fprintf(out, "; a %s, refreshed %s", plan.service[i] ? "service" : "person",
                          plan.background[i] ? "in the background" : "when used");
    }
    (void)fprintf(out, "\n");
}

static void print_faults(const struct search *search, FILE *out)
{
    const char *before = "  it needs ";

    for (unsigned fault = 0; fault < SIM_FAULTS; fault++) {
        unsigned count = 0;

        for (unsigned i = 0; i < search->outcome.struck[fault]; i++)
            count += i >= SIM_SKIPS || !skipped(&search->cut, fault, i);
        if (count == 0 || search->cut.faults & UINT64_C(1) << fault)
            continue;
        (void)fprintf(out, "%s%s (%u)", before, sim_fault_name((enum sim_fault)fault), count);
        before = ", ";
    }
    (void)fprintf(out, "%s\n", before[0] == ',' ? "" : "  it needs no fault");
}

void sim_shrink(uint64_t seed, enum sim_rule rule, FILE *out)
{
    struct search search = {.seed = seed, .rule = rule};
    struct sim_plan plan;

    sim_plan_make(&plan, seed);
    if (!try_cut(&search, &(struct sim_cut){0}))
        return;
    fewer_of_all(&search);
    less_time(&search, plan.faults_end);
    while (fewer_strikes(&search))
        ;
    fewer_of_all(&search);
    (void)fprintf(out, "seed %llu breaks %s: %s\n", (unsigned long long)seed, sim_rule_name(rule),
                  search.outcome.how);
    print_world(&search, out);
    print_faults(&search, out);
    (void)sim_run(seed, &search.cut, SIM_TELL_LAST, out);
}
