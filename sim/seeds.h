/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_SEEDS_H
#define SIM_SEEDS_H

#include "rules.h"

#include <stdbool.h>
#include <stdint.h>

/* Many seeds, one after the other or in several processes. */
struct sim_seeds {
    uint64_t from;
    uint64_t count;
    unsigned jobs;       /* processes, 1 to SIM_JOBS */
    enum sim_rule until; /* stop at the first seed that breaks this one; SIM_RULE_NONE: run all */
    bool progress;       /* a line that counts, on standard error */
};

#define SIM_JOBS   64
#define SIM_FAILED 8 /* failing seeds that each process remembers */

/* What they came to. */
struct sim_tally {
    uint64_t done;
    uint64_t session_ms;
    uint64_t broken; /* seeds */
    uint64_t by_rule[SIM_RULES];
    uint64_t failed[SIM_JOBS * SIM_FAILED]; /* the first of them, ascending */
    enum sim_rule failed_rule[SIM_JOBS * SIM_FAILED];
    unsigned failed_count;
    double seconds;
};

/* 0, or -1 with errno set. */
int sim_seeds_run(const struct sim_seeds *seeds, struct sim_tally *ret_tally);

#endif
