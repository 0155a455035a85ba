/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_LIB_KEEPER_H
#define FSH_LIB_KEEPER_H

#include "base/secret.h"
#include "engine/remote_read.h"

#include <freshet/client.h>
#include <freshet/error.h>
#include <stdbool.h>

/* The few things that are asked of a keeper beside its sessions, by the thread that wants to know.
 * What sessions ask goes through engine/remote.h. */

/* The path of the socket that `secrets` of the options names with keeper:, or NULL. */
const char *fsh_lib_keeper_socket(const char *secrets);

/* FRESHET_ECONFIG for a path that cannot be a socket's. */
int fsh_lib_keeper_check(const char *socket, struct freshet_error *error);

/* GETs a path. FRESHET_EUNAVAILABLE when nobody answers; what the keeper refuses with;
 * FRESHET_ENOMEM.
 */
int fsh_lib_keeper_get(const char *socket, const char *path, struct fsh_secret *ret_body,
                       struct freshet_error *error);

/* A keeper that is to be of the platform at `url`; NULL: of whichever it is. As above;
 * FRESHET_ENOMEM. */
int fsh_lib_keeper_new(const char *socket, const char *url, struct fsh_remote_keeper **ret_keeper,
                       struct freshet_error *error);

/* NULL is allowed. */
void fsh_lib_keeper_free(struct fsh_remote_keeper *keeper);

/* Asks it which platform it is of, which is taken over by one that was made without a url.
 * FRESHET_ECONFIG: another than it is to be; else as fsh_lib_keeper_get; FRESHET_EBADBODY. */
int fsh_lib_keeper_meet(struct fsh_remote_keeper *keeper, struct freshet_error *error);

#endif
