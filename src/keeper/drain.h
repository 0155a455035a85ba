/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_DRAIN_H
#define FSH_KEEPER_DRAIN_H

#include "keeper/keeper.h"
#include "keeper/loop.h"

/* How long those who wait for an answer are still answered. */
#define FSH_DRAIN_MS 10000

/* The keeper's last moments: nothing new is taken, who waits is answered, then the loop ends. All
 * zero before it begins. Main thread. */
struct fsh_drain {
    struct fsh_keeper *keeper;
    struct fsh_alarm look;
    int64_t until_ms;
};

/* Begins it. A second time: whoever still waits is let go, and the loop ends at once. `why` is for
 * the log. */
void fsh_drain_begin(struct fsh_drain *drain, struct fsh_keeper *keeper, const char *why);
void fsh_drain_stop(struct fsh_drain *drain);

#endif
