/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_PROFILE_GRANT_H
#define FSH_PROFILE_GRANT_H

#include "profile/table.h"

#include <jansson.h>

/* Reads a grant out of an answer. FRESHET_EBADBODY with *ret_detail (static words for people), or
 * FRESHET_ENOMEM; *ret_grant is written on success only. */
int fsh_profile_grant(const struct fsh_profile_dialect *dialect, const json_t *body,
                      struct fsh_grant *ret_grant, const char **ret_detail);

/* Copies a field that may be a secret: a string of 1 to `most` printable ASCII bytes. A field that
 * is absent or null leaves *ret_secret empty. FRESHET_EBADBODY for anything else. */
int fsh_profile_secret_field(const json_t *body, const char *field, size_t most,
                             struct fsh_secret *ret_secret);

#endif
