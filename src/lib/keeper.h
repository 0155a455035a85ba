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

/* Which platform the keeper is of. As above; FRESHET_EBADBODY. */
int fsh_lib_keeper_platform(const char *socket, struct fsh_remote_platform *ret_platform,
                            struct freshet_error *error);

/* FRESHET_ECONFIG, unless `url` is at the origin of the keeper's platform. */
int fsh_lib_keeper_same(const char *socket, const struct fsh_remote_platform *platform,
                        const char *url, struct freshet_error *error);

#endif
