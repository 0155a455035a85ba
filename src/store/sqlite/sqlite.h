/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_SQLITE_SQLITE_H
#define FSH_STORE_SQLITE_SQLITE_H

#include "store/store.h"
#include "store/tend.h"

/* Stores in database files, with a thread each. Several handles and several processes may share
 * one. `path` is that of the file; it is copied. See docs/stores.md. */
int fsh_store_sqlite_secrets(const char *path, struct fsh_keyring *keyring,
                             struct fsh_secret_store **ret_store, struct freshet_error *error);
int fsh_store_sqlite_tokens(const char *path, struct fsh_keyring *keyring,
                            struct fsh_token_cache **ret_cache, struct freshet_error *error);

/* As fsh_tend_open. */
int fsh_store_sqlite_tend(const char *path, enum fsh_seal_purpose purpose,
                          struct fsh_tend **ret_tend, struct freshet_error *error);

/* As fsh_store_sessions. */
int fsh_store_sqlite_sessions(const char *path,
                              int (*each)(void *data, const char *name,
                                          const struct fsh_record *record),
                              void *data, struct freshet_error *error);

#endif
