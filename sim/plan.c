/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include "base/bounds.h"
#include "core/random.h"

#include <stddef.h>

/* The bound on recovery. What every world may need: the lease of an engine that died, the back-off
 * of platform and store, the pause between two automatic sign-ins or probes, exchanges, and a
 * caller who finds out. */
#define RECOVERY_MS 240000

struct fault {
    const char *name;
    int most;        /* chance in a thousand, at most */
    int often;       /* or: how often while faults last, about */
    unsigned likely; /* in a thousand: that a world has it */
};

static const struct fault faults[SIM_FAULTS] = {
    [SIM_LOST_REQUESTS] = {"lost requests", 120, 0, 500},
    [SIM_REFUSED_CONNECTIONS] = {"refused connections", 100, 0, 400},
    [SIM_LOST_ANSWERS] = {"lost answers", 200, 0, 600},
    [SIM_SLOW_NETWORK] = {"a slow network", 100, 0, 500},
    [SIM_TWO_REQUESTS] = {"requests that arrive twice", 60, 0, 400},
    [SIM_TWO_ANSWERS] = {"answers that arrive twice", 100, 0, 400},
    [SIM_SERVER_ERRORS] = {"server errors", 150, 0, 500},
    [SIM_FIREWALL_PAGES] = {"pages of a firewall", 120, 0, 400},
    [SIM_RATE_LIMITS] = {"rate limits", 60, 0, 300},
    [SIM_BAD_BODIES] = {"bad bodies", 80, 0, 400},
    [SIM_CHALLENGES] = {"challenges", 400, 0, 300},
    [SIM_WRONG_CODES] = {"wrong codes", 300, 0, 500},
    [SIM_STRAY_401S] = {"401s of the API itself", 10, 0, 400},
    [SIM_LATE_401S] = {"late reports of a 401", 500, 0, 500},
    [SIM_STORE_ERRORS] = {"store errors", 80, 0, 500},
    [SIM_LOST_WORDS] = {"words of the store that are lost", 80, 0, 500},
    [SIM_SLOW_STORE] = {"a slow store", 80, 0, 500},
    [SIM_CACHE_FAILURES] = {"failures of the token cache", 600, 0, 500},
    [SIM_CRASHES_BETWEEN] = {"crashes between two effects", 25, 0, 400},
    [SIM_PAUSES_BETWEEN] = {"pauses between two effects", 25, 0, 400},
    [SIM_OUTAGES] = {"outages", 0, 3, 500},
    [SIM_STORE_OUTAGES] = {"outages of the store", 0, 3, 300},
    [SIM_REVOCATIONS] = {"revocations", 0, 3, 400},
    [SIM_SUSPENSIONS] = {"suspensions", 0, 2, 150},
    [SIM_REFUSED_CREDENTIALS] = {"refused credentials", 0, 2, 150},
    [SIM_GROUP_CHANGES] = {"changes of groups", 0, 3, 400},
    [SIM_CRASHES] = {"crashes", 0, 3, 400},
    [SIM_STOPS] = {"clean stops", 0, 3, 300},
    [SIM_REBOOTS] = {"reboots", 0, 2, 300},
    [SIM_PAUSES] = {"pauses", 0, 4, 400},
    [SIM_SUSPENDS] = {"suspends", 0, 2, 300},
    [SIM_CLOCK_STEPS] = {"steps of the calendar", 0, 3, 300},
    [SIM_SIGN_OUTS] = {"sign-outs", 0, 3, 400},
    [SIM_SIGN_INS] = {"sign-ins of a live session", 0, 3, 300},
    [SIM_ROTATIONS] = {"rotations of the store's key", 0, 6, 500},
};

const char *sim_fault_name(enum sim_fault fault)
{
    return faults[fault].name;
}

static bool chance(uint64_t *random, unsigned thousandths)
{
    return fsh_core_draw(random) % 1000 < thousandths;
}

static int64_t pick(uint64_t *random, const int64_t *choices, size_t count)
{
    return choices[fsh_core_draw(random) % count];
}

int64_t sim_plan_refresh_life_ms(const struct sim_plan *plan, int session)
{
    return plan->short_refresh_life && plan->service[session] ? plan->lifetime_ms * 4
                                                              : INT64_C(30) * 24 * 3600 * 1000;
}

static void make_faults(struct sim_plan *plan, uint64_t *random)
{
    for (int i = 0; i < SIM_FAULTS; i++) {
        bool has = chance(random, faults[i].likely);
        int64_t draw = 1 + fsh_core_uniform(fsh_core_draw(random), faults[i].most);

        if (!has)
            continue;
        plan->rate[i] = i < SIM_FIRST_HAPPENING ? draw : plan->faults_end / faults[i].often;
    }
}

int64_t sim_plan_recovery_ms(const struct sim_plan *plan)
{
    int64_t bound = RECOVERY_MS;

    if (plan->rate[SIM_RATE_LIMITS])
        bound += FSH_RETRY_AFTER_MS;
    if (plan->rate[SIM_REFUSED_CREDENTIALS])
        bound += FSH_REFUSED_LAST_MS;
    /* A rotation that was lost shows when the token in hand ends. */
    if (plan->rotating)
        bound += plan->lifetime_ms;
    return bound;
}

void sim_plan_make(struct sim_plan *plan, uint64_t seed)
{
    static const int64_t lifetimes[] = {5000, 60000, 300000, 900000, 3600000, 3600000, 3600000};
    static const int64_t graces[] = {0, 2000, 10000, 60000};
    uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;

    *plan = (struct sim_plan){0};
    plan->rotating = chance(&random, 500);
    plan->newest_only = chance(&random, 500);
    plan->grace_ms = pick(&random, graces, 4);
    plan->lifetime_ms = pick(&random, lifetimes, 7);
    plan->engines = 1 + (int)(fsh_core_draw(&random) % SIM_ENGINES);
    plan->one_host = chance(&random, 500);
    for (int i = 0; i < SIM_SESSIONS; i++) {
        plan->service[i] = chance(&random, 500);
        plan->background[i] = chance(&random, plan->service[i] ? 900 : 600);
    }
    plan->short_refresh_life = chance(&random, 250) && plan->lifetime_ms >= 60000;
    plan->call_every_ms = 1 + plan->lifetime_ms / 40;
    if (plan->call_every_ms > 20000)
        plan->call_every_ms = 20000;
    plan->faults_end = plan->lifetime_ms * 6;
    if (plan->faults_end < 600000)
        plan->faults_end = 600000;
    make_faults(plan, &random);
    plan->end = plan->faults_end + sim_plan_recovery_ms(plan);
}
