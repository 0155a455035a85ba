/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_PRIVILEGES_H
#define FSH_KEEPER_PRIVILEGES_H

#include <freshet/error.h>
#include <stdbool.h>

/* What the process gives up, so that nobody looks into it and a defect in it reaches little. */

/* No core, no debugger of the same user, no new privileges by executing something. First of all.
 * FRESHET_EINTERNAL: the kernel refused. */
int fsh_privileges_harden(struct freshet_error *error);

/* Keeps memory out of the swap: all of it, since a token is also in the buffers of libcurl, its TLS
 * library and the heap. That can be had only without a limit: below one, what is allocated later
 * would fail. Root raises the limit itself.
 *
 *  stays  the process keeps the capabilities that it has; CAP_IPC_LOCK is above the limit.
 *  FRESHET_ELIMIT: it was refused, nothing is locked, `error` says what to raise. */
int fsh_privileges_lock(bool stays, struct freshet_error *error);

/* Becomes a user, with its groups, for good: without a way back. Only root can.
 *
 *  user  by name or number.
 *  FRESHET_ECONFIG: there is none of that name, or it is not root who asks. Nothing has changed, or
 *  the process must end. */
int fsh_privileges_drop(const char *user, struct freshet_error *error);

#endif
