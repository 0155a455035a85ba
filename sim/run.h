/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "world.h"

/* The deterministic simulator: one seed decides everything. It runs the shipped core, lease
 * protocol and record codec in a world in which everything goes wrong that can, and checks the
 * rules after every step. docs/simulator.md describes it. */

struct sim_outcome {
    enum sim_rule broken; /* SIM_RULE_NONE: all rules held */
    const char *how;
    int64_t at_ms;
    uint64_t session_ms; /* simulated, of all sessions of all engines */
    uint64_t steps;
    unsigned struck[SIM_FAULTS];
};

/* Runs one seed, without what `cut` leaves out. `out` gets every step, or the last ones when a rule
 * was broken, or nothing. */
struct sim_outcome sim_run(uint64_t seed, const struct sim_cut *cut, enum sim_telling telling,
                           FILE *out);

/* Finds a small world in which this seed still breaks `rule`, and prints it. */
void sim_shrink(uint64_t seed, enum sim_rule rule, FILE *out);

#endif
