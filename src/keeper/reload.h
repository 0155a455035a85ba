/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_RELOAD_H
#define FSH_KEEPER_RELOAD_H

#include "keeper/keeper.h"

/* Reads the configuration anew, and then swaps: sessions, who may do what with them, and how it is
 * logged. With anything wrong in it all stays as it was, and the log says what and where. What only
 * a start can change (platform, stores, sockets, user) is named in the log, and stays. Main
 * thread. */
void fsh_reload(struct fsh_keeper *keeper);

#endif
