/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_SQLITE_LABEL_H
#define FSH_STORE_SQLITE_LABEL_H

#include "store/keyring.h"
#include "store/sqlite/database.h"
#include "store/store.h"

/* Labels: what a session's owner keeps beside its record, sealed with the host's keys alone. */

/* Puts the label of `op` in the transaction under way. A status other than FRESHET_OK is of the
 * whole transaction; the operation's own is in it. */
int fsh_sqlite_label_put(struct fsh_sqlite *db, struct fsh_keyring *keyring,
                         struct fsh_store_op *op);

/* As `list` of fsh_secret_store_ops. */
int fsh_sqlite_labels_list(struct fsh_sqlite *db, struct fsh_keyring *keyring, const char *prefix,
                           int (*each)(void *data, const struct fsh_stored *session), void *data,
                           struct freshet_error *error);

/* Seals one anew, as fsh_reseal. */
int fsh_sqlite_label_reseal(struct fsh_keyring *keyring, const char *name,
                            const unsigned char *sealed, size_t len, unsigned char **ret_sealed,
                            size_t *ret_len, char *why, size_t why_size);

#endif
