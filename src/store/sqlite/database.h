/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_SQLITE_DATABASE_H
#define FSH_STORE_SQLITE_DATABASE_H

#include "base/bounds.h"

#include <freshet/error.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>

/* One connection to one database file of Freshet's, for one thread at a time.
 *
 * The file is its owner's alone: it is created so, and refused otherwise, and so are the files that
 * SQLite keeps beside it. A file of another program, of a newer version, or damaged is refused and
 * left as it is. After trouble the connection is closed, and opened again by the next transaction,
 * so that all is well again as soon as the disk is. */

/* How long another connection's lock is waited for. */
#define FSH_SQLITE_BUSY_MS 5000

/* Pages in the write-ahead log at which it is brought into the database. */
#define FSH_SQLITE_WAL_PAGES 1000

enum { FSH_SQLITE_STATEMENTS = 14 };

/* What is in a file of one kind. */
struct fsh_sqlite_schema {
    int application_id;
    const char *what;         /* for error texts */
    const char *synchronous;  /* PRAGMA */
    const char *const *steps; /* step N brings a file of version N - 1 to N */
    int version;              /* how many steps there are */
    const char *const *sql;   /* statements by number, for fsh_sqlite_statement */
};

struct fsh_sqlite {
    const struct fsh_sqlite_schema *schema;
    char *path;
    sqlite3 *db; /* NULL after trouble */
    sqlite3_stmt *statements[FSH_SQLITE_STATEMENTS];
    sqlite3_stmt *version;
    dev_t device; /* of the file: another in its place is not written to */
    ino_t inode;
    bool known;    /* device and inode are */
    bool broken;   /* what failed calls for a new connection */
    int wal_pages; /* as of the last commit */
    char why[FSH_WHY_MAX];
};

/* What may be in the file `path` of a store. */
extern const struct fsh_sqlite_schema fsh_sqlite_secrets_schema;
extern const struct fsh_sqlite_schema fsh_sqlite_tokens_schema;

/* Opens a database; with `create` one that is not there yet is made. FRESHET_ECONFIG for a file
 * that others may read or that is something else, FRESHET_ESTORE, FRESHET_ENOMEM. */
int fsh_sqlite_open(const char *path, const struct fsh_sqlite_schema *schema, bool create,
                    struct fsh_sqlite **ret_db, struct freshet_error *error);
void fsh_sqlite_close(struct fsh_sqlite *db);

/* Begins a transaction, of which a `writing` one has the database to itself. FRESHET_ESTORE or
 * FRESHET_ENOMEM, with db->why, and no transaction. */
int fsh_sqlite_begin(struct fsh_sqlite *db, bool writing);

/* Ends it. When it fails nothing was written. */
int fsh_sqlite_commit(struct fsh_sqlite *db);
void fsh_sqlite_rollback(struct fsh_sqlite *db);

/* A statement of the schema, reset; NULL as in fsh_sqlite_failed. */
sqlite3_stmt *fsh_sqlite_statement(struct fsh_sqlite *db, unsigned number);

/* Runs a statement that returns no rows. */
int fsh_sqlite_run(struct fsh_sqlite *db, sqlite3_stmt *statement);

/* The status of what SQLite failed at last, and db->why. The transaction must be rolled back. */
int fsh_sqlite_failed(struct fsh_sqlite *db);

#endif
