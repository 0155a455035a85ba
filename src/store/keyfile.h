/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_KEYFILE_H
#define FSH_STORE_KEYFILE_H

#include "store/keys.h"

#include <freshet/error.h>
#include <stdbool.h>
#include <sys/stat.h>

/* The file that keys are kept in. Each function fills `error`, with what is the case and what to do
 * about it. */

/* Reads it. *ret_about is the file that was read, as fstat(2) tells. FRESHET_ECONFIG when it is
 * missing, of another format, too large, or others may read it: any permission of group or others,
 * but for a file of root's with 0440, as systemd makes credentials. */
int fsh_keyfile_read(const char *path, struct fsh_keys **ret_keys, struct stat *ret_about,
                     struct freshet_error *error);

/* Whether both are the same state of the same file. */
bool fsh_keyfile_same(const struct stat *a, const struct stat *b);

/* Makes a file, 0600, whole or not at all, durable. FRESHET_ECONFIG when there is one. */
int fsh_keyfile_create(const char *path, const struct fsh_keys *keys, struct freshet_error *error);

/* Waits until no other process edits the file, and keeps others from it until *ret_lock is closed.
 * Readers need no lock. */
int fsh_keyfile_lock(const char *path, int *ret_lock, struct freshet_error *error);

/* Puts other keys in the place of a locked file's, whole or not at all, durable; owner and
 * permissions stay. FRESHET_ECONFIG when the file cannot be replaced. */
int fsh_keyfile_replace(const char *path, const struct fsh_keys *keys, struct freshet_error *error);

#endif
