/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_SQLITE_LEDGER_H
#define FSH_STORE_SQLITE_LEDGER_H

#include "store/sqlite/database.h"
#include "store/store.h"

#include <pthread.h>
#include <sys/queue.h>

/* Entries of the ledger on their way to the database. They are no reason for a transaction of their
 * own while others are under way. Any thread adds, the store's writes. */

/* That wait at the most; beyond it the oldest go. */
#define FSH_SQLITE_NOTES_MAX 1024

struct fsh_sqlite_note;

struct fsh_sqlite_notes {
    pthread_mutex_t lock;
    TAILQ_HEAD(fsh_sqlite_note_list, fsh_sqlite_note) waiting;
    unsigned count;
    struct fsh_sqlite_note_list written; /* with the transaction under way; the store thread's */
};

void fsh_sqlite_notes_init(struct fsh_sqlite_notes *notes);
void fsh_sqlite_notes_done(struct fsh_sqlite_notes *notes);

/* Without memory it is lost. */
void fsh_sqlite_notes_add(struct fsh_sqlite_notes *notes, const char *session,
                          const struct fsh_note_row *row);

/* Drops those of a session, kept and waiting, in the transaction under way. */
int fsh_sqlite_notes_drop(struct fsh_sqlite_notes *notes, struct fsh_sqlite *db,
                          const char *session);

bool fsh_sqlite_notes_waiting(struct fsh_sqlite_notes *notes);

/* Writes what waits, in the transaction under way; then the end of that must be told. */
int fsh_sqlite_notes_write(struct fsh_sqlite_notes *notes, struct fsh_sqlite *db);
void fsh_sqlite_notes_ended(struct fsh_sqlite_notes *notes, bool committed);

/* Reads those of a session, as fsh_secret_store_ops says. */
int fsh_sqlite_notes_read(struct fsh_sqlite *db, const char *session, struct fsh_note_row *ret_rows,
                          size_t room, size_t *ret_count);

#endif
