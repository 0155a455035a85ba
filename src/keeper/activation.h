/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_ACTIVATION_H
#define FSH_KEEPER_ACTIVATION_H

#include "keeper/request.h"

#include <freshet/error.h>

#define FSH_ACTIVATION_MAX 16 /* sockets of one door */

/* Listening sockets that the service manager hands over (sd_listen_fds(3)), by the names that its
 * units give them: `control` and `browser`. */
struct fsh_activation {
    struct {
        int fds[FSH_ACTIVATION_MAX]; /* whoever takes one sets it to -1 */
        int count;
    } doors[FSH_DOOR_BROWSER + 1];
};

/* Takes them, none at all included, out of the environment. What is not a listening Unix stream
 * socket with one of the two names is refused: FRESHET_ECONFIG, and none stays open. Before any
 * thread is made. */
int fsh_activation_take(struct fsh_activation *ret_activation, struct freshet_error *error);

/* Closes those that nobody took. */
void fsh_activation_done(struct fsh_activation *activation);

#endif
