/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_SQLITE_CHECKPOINT_H
#define FSH_STORE_SQLITE_CHECKPOINT_H

#include "store/sqlite/database.h"

/* Brings the write-ahead log into the database, beside the store's thread: done by the way, it
 * would hold a refresh up for some 30 ms. It has a thread and a connection of its own, which are
 * made when the log has grown for the first time; a program that runs for a moment never has them.
 *
 * While changes come without a pause there is always a rest that is not brought in yet, and the log
 * would grow for ever. So when all but that rest is done, the store's thread waits for it. */
struct fsh_sqlite_checkpoint;

/* NULL without memory. */
struct fsh_sqlite_checkpoint *fsh_sqlite_checkpoint_new(const char *path,
                                                        const struct fsh_sqlite_schema *schema);
void fsh_sqlite_checkpoint_free(struct fsh_sqlite_checkpoint *checkpoint);

/* The store's thread says so before and after it writes by `db`, its own connection. */
void fsh_sqlite_checkpoint_enter(struct fsh_sqlite_checkpoint *checkpoint);
void fsh_sqlite_checkpoint_leave(struct fsh_sqlite_checkpoint *checkpoint,
                                 const struct fsh_sqlite *db);

#endif
