/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SQLITE_STORES_H
#define TESTS_SQLITE_STORES_H

#include "stores.h"

#include <sqlite3.h>

/* What the tests of the stores in SQLite files share: they begin and end with stores of their own,
 * and look beside the store at what lies in its file. */
int sqlite_begin(void **state);
int sqlite_end(void **state);

sqlite3 *raw_open(const char *path);
void raw(sqlite3 *db, const char *sql);
void raw_once(const char *path, const char *sql);
int raw_number(const char *path, const char *sql);

/* The secret store cannot be opened: the status, and a word of the sentence. */
void refused(const struct stores *stores, int status, const char *word);

/* A sign-out fails with that word in its sentence; or works. */
void fails(struct fsh_secret_store *store, const char *session, const char *word);
void works(struct fsh_secret_store *store, const char *session);

/* An entry of the ledger; the entries there are, and their count. */
void note(const struct stores *stores, const char *session, uint64_t number, uint64_t times);
size_t notes_of(const struct stores *stores, const char *session,
                struct fsh_note_row rows[FSH_NOTES_KEPT]);

void put_label(struct stores *stores, const char *session, const char *label);

#endif
