/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_SIGNALS_H
#define FSH_KEEPER_SIGNALS_H

#include "keeper/drain.h"
#include "keeper/keeper.h"
#include "keeper/loop.h"

/* Signals, as the main loop gets them: SIGHUP reloads, SIGTERM and SIGINT drain. */
struct fsh_signals {
    struct fsh_keeper *keeper;
    struct fsh_watch watch;
    struct fsh_drain drain;
};

/* Takes them over; before any thread is made, so that all of them leave these signals to the loop.
 * `keeper` has its loop. */
int fsh_signals_start(struct fsh_signals *signals, struct fsh_keeper *keeper,
                      struct freshet_error *error);
void fsh_signals_stop(struct fsh_signals *signals);

#endif
