/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_ENGINES  3
#define SIM_SESSIONS 2

/* What may go wrong, each kind with a stream of random numbers of its own: leaving one out disturbs
 * the others as little as can be, so that a failing seed can be shrunk. */
enum sim_fault {
    /* Met by a message, an operation or an effect: chances in a thousand. */
    SIM_LOST_REQUESTS,
    SIM_REFUSED_CONNECTIONS,
    SIM_LOST_ANSWERS,
    SIM_SLOW_NETWORK,
    SIM_TWO_REQUESTS,
    SIM_TWO_ANSWERS,
    SIM_SERVER_ERRORS,
    SIM_FIREWALL_PAGES,
    SIM_RATE_LIMITS,
    SIM_BAD_BODIES,
    SIM_CHALLENGES,
    SIM_WRONG_CODES,
    SIM_STRAY_401S,
    SIM_LATE_401S,
    SIM_STORE_ERRORS,
    SIM_LOST_WORDS,
    SIM_SLOW_STORE,
    SIM_CACHE_FAILURES,
    SIM_CRASHES_BETWEEN,
    SIM_PAUSES_BETWEEN,
    /* Now and then: mean milliseconds between two. */
    SIM_OUTAGES,
    SIM_STORE_OUTAGES,
    SIM_REVOCATIONS,
    SIM_SUSPENSIONS,
    SIM_REFUSED_CREDENTIALS,
    SIM_GROUP_CHANGES,
    SIM_CRASHES,
    SIM_STOPS,
    SIM_REBOOTS,
    SIM_PAUSES,
    SIM_SUSPENDS,
    SIM_CLOCK_STEPS,
    SIM_SIGN_OUTS,
    SIM_SIGN_INS,
    SIM_ROTATIONS,
    SIM_FAULTS
};

#define SIM_FIRST_HAPPENING SIM_OUTAGES

/* One world, as its seed decides it. */
struct sim_plan {
    bool rotating;
    bool newest_only; /* a sign-in revokes the tokens of the one before */
    int64_t grace_ms;
    int64_t lifetime_ms;
    bool short_refresh_life; /* of services: they sign in anew before its end */
    int engines;
    bool one_host; /* the engines share clock, boot and store; else each has a host of its own */
    bool service[SIM_SESSIONS];
    bool background[SIM_SESSIONS];
    int64_t call_every_ms;
    int64_t faults_end; /* from then on nothing fails: liveness is checked */
    int64_t end;
    int64_t rate[SIM_FAULTS]; /* see enum sim_fault; 0: never */
};

void sim_plan_make(struct sim_plan *plan, uint64_t seed);

int64_t sim_plan_refresh_life_ms(const struct sim_plan *plan, int session);

/* How long after the end of all faults every session of such a world must be fresh again. */
int64_t sim_plan_recovery_ms(const struct sim_plan *plan);

const char *sim_fault_name(enum sim_fault fault);

#endif
