/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_BROKEN_H
#define SIM_BROKEN_H

#include "rules.h"

#include <stddef.h>

/* The cores that are broken on purpose (src/core/mutant.h), each with the checker that must catch
 * it. */
struct sim_broken {
    const char *name;
    enum sim_rule rule;
    const char *text;
};

/* Number `index` of them, or NULL. */
const struct sim_broken *sim_broken(size_t index);

/* Breaks the core of this program: NULL when there is no such name, or when this program has no
 * broken cores. */
const struct sim_broken *sim_break(const char *name);

#endif
