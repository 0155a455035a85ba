/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_PROGRAM_H
#define FSH_KEEPER_PROGRAM_H

#include "keeper/activation.h"
#include "keeper/keeper.h"
#include "keeper/notify.h"
#include "keeper/signals.h"
#include "keeper/socket.h"

/* All that freshetd has, in the order in which it comes and, backwards, goes. All zero before
 * fsh_program_start. */
struct fsh_program {
    struct fsh_activation activation;
    struct fsh_keeper keeper;
    struct fsh_signals signals;
    struct fsh_socket sockets[FSH_DOOR_BROWSER + 1];
    struct fsh_watch completions;
    struct fsh_notify notify;
};

/* Starts to serve what the configuration says. Before any other thread is made; sockets and limits
 * come first, then the process becomes its user, then keys and stores are opened. Whatever it
 * returns, fsh_program_stop ends it. */
int fsh_program_start(struct fsh_program *program, const char *config_path,
                      struct freshet_error *error);

/* Until a signal ends it. */
int fsh_program_run(struct fsh_program *program, struct freshet_error *error);

void fsh_program_stop(struct fsh_program *program);

#endif
