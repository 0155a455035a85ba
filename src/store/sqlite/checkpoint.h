/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_SQLITE_CHECKPOINT_H
#define FSH_STORE_SQLITE_CHECKPOINT_H

#include "store/sqlite/database.h"

/* Brings the write-ahead log into the database, beside the store's thread: done by the way, it
 * would hold a refresh up for some 30 ms. It has a thread and a connection of its own, which are
 * made when the log has grown for the first time; a program that runs for a moment never has them.
 */
struct fsh_sqlite_checkpoint;

/* NULL without memory. */
struct fsh_sqlite_checkpoint *fsh_sqlite_checkpoint_new(const char *path,
                                                        const struct fsh_sqlite_schema *schema);
void fsh_sqlite_checkpoint_free(struct fsh_sqlite_checkpoint *checkpoint);

/* Looks at the log after a transaction of `db`, the store's own connection. */
void fsh_sqlite_checkpoint_see_to(struct fsh_sqlite_checkpoint *checkpoint, struct fsh_sqlite *db);

#endif
