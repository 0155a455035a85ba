/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite/database.h"

#include "base/error.h"
#include "store/sqlite/file.h"

#include <errno.h>
#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what went wrong --------------------------------------------------------------------- */

static const char disk_full[] = "the store's disk is full; make room, nothing is lost";
static const char not_writable[] = "the store cannot be written to; make it writable";

/* The path stands last: it may be long, and the advice must not be cut off. */
static int fail(struct fsh_sqlite *db, int status, const char *sentence)
{
    (void)snprintf(db->why, sizeof(db->why), "%s: %s", sentence, db->path);
    return status;
}

/* SQLite tells the system's error of some calls only; else it is what the last call left behind. */
static int fail_io(struct fsh_sqlite *db, int code)
{
    int error = sqlite3_system_errno(db->db) ? sqlite3_system_errno(db->db) : errno;
    char sentence[96];

    if (error == ENOSPC || error == EDQUOT || error == EFBIG)
        return fail(db, FRESHET_ESTORE, disk_full);
    db->broken = true;
    if (error == EROFS || error == EACCES || error == EPERM)
        return fail(db, FRESHET_ESTORE, not_writable);
    (void)snprintf(sentence, sizeof(sentence), "the store's disk failed (%s)",
                   error ? strerror(error) : sqlite3_errstr(code));
    return fail(db, FRESHET_ESTORE, sentence);
}

int fsh_sqlite_failed(struct fsh_sqlite *db)
{
    int code = db->db ? sqlite3_errcode(db->db) : SQLITE_NOMEM;

    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return fail(db, FRESHET_ENOMEM, "out of memory for the store");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fail(db, FRESHET_ESTORE,
                    "the store is locked by another program; end what holds it");
    case SQLITE_FULL:
        return fail(db, FRESHET_ESTORE, disk_full);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        db->broken = true;
        return fail(db, FRESHET_ESTORE, not_writable);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        db->broken = true;
        return fail(db, FRESHET_ESTORE,
                    "the store is damaged, and left as it is; bring back a copy, or move it away "
                    "and sign in anew");
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return fail_io(db, code);
    default:
        return fail(db, FRESHET_ESTORE, sqlite3_errstr(code));
    }
}

/* ---- statements -------------------------------------------------------------------------- */

sqlite3_stmt *fsh_sqlite_statement(struct fsh_sqlite *db, unsigned number)
{
    sqlite3_stmt **statement = &db->statements[number];

    if (*statement) {
        (void)sqlite3_reset(*statement);
        (void)sqlite3_clear_bindings(*statement);
    } else if (sqlite3_prepare_v3(db->db, db->schema->sql[number], -1, SQLITE_PREPARE_PERSISTENT,
                                  statement, NULL) != SQLITE_OK) {
        *statement = NULL;
    }
    return *statement;
}

int fsh_sqlite_run(struct fsh_sqlite *db, sqlite3_stmt *statement)
{
    int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    int status = code == SQLITE_DONE ? FRESHET_OK : fsh_sqlite_failed(db);

    if (statement)
        (void)sqlite3_reset(statement);
    return status;
}

static int execute(struct fsh_sqlite *db, const char *sql)
{
    return sqlite3_exec(db->db, sql, NULL, NULL, NULL) == SQLITE_OK ? FRESHET_OK
                                                                    : fsh_sqlite_failed(db);
}

static int number_of(struct fsh_sqlite *db, const char *sql, int *ret_number)
{
    sqlite3_stmt *statement = NULL;
    int status = FRESHET_OK;

    if (sqlite3_prepare_v2(db->db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        *ret_number = sqlite3_column_int(statement, 0);
    else
        status = fsh_sqlite_failed(db);
    (void)sqlite3_finalize(statement);
    return status;
}

/* ---- the schema -------------------------------------------------------------------------- */

static int check_version(struct fsh_sqlite *db, int version)
{
    if (version <= db->schema->version)
        return FRESHET_OK;
    return fail(db, FRESHET_ESTORE,
                "the store was written by a newer version of Freshet; update this one");
}

/* Looks again inside the transaction: another process may have been first. */
static int migrate(struct fsh_sqlite *db)
{
    char number[64];
    int version = 0;
    int status = execute(db, "BEGIN IMMEDIATE");

    if (status != FRESHET_OK)
        return status;
    status = number_of(db, "PRAGMA user_version", &version);
    if (status == FRESHET_OK)
        status = check_version(db, version);
    for (; status == FRESHET_OK && version < db->schema->version; version++)
        status = execute(db, db->schema->steps[version]);
    (void)snprintf(number, sizeof(number), "PRAGMA application_id=%d; PRAGMA user_version=%d",
                   db->schema->application_id, db->schema->version);
    if (status == FRESHET_OK)
        status = execute(db, number);
    if (status == FRESHET_OK)
        status = execute(db, "COMMIT");
    if (status != FRESHET_OK)
        (void)sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

/* What the file says of itself, at one moment. */
struct about {
    int id;
    int version;
    int tables;
};

static int read_about(struct fsh_sqlite *db, struct about *ret_about)
{
    int status = execute(db, "BEGIN");

    if (status == FRESHET_OK)
        status = number_of(db, "PRAGMA application_id", &ret_about->id);
    if (status == FRESHET_OK)
        status = number_of(db, "PRAGMA user_version", &ret_about->version);
    if (status == FRESHET_OK)
        status = number_of(db, "SELECT count(*) FROM sqlite_schema", &ret_about->tables);
    if (status == FRESHET_OK)
        status = execute(db, "COMMIT");
    return status;
}

static int check_schema(struct fsh_sqlite *db)
{
    struct about about = {0};
    char sentence[96];
    int status = read_about(db, &about);

    if (status != FRESHET_OK)
        return status;
    if (about.id != db->schema->application_id &&
        (about.id != 0 || about.version != 0 || about.tables != 0)) {
        (void)snprintf(sentence, sizeof(sentence), "this is no file of %s; name another",
                       db->schema->what);
        return fail(db, FRESHET_ECONFIG, sentence);
    }
    if (about.version < db->schema->version)
        return migrate(db);
    return check_version(db, about.version);
}

/* ---- the connection ---------------------------------------------------------------------- */

static int on_commit(void *data, sqlite3 *connection, const char *name, int pages)
{
    (void)connection;
    (void)name;
    ((struct fsh_sqlite *)data)->wal_pages = pages;
    return SQLITE_OK;
}

static void disconnect(struct fsh_sqlite *db)
{
    for (size_t i = 0; i < FSH_SQLITE_STATEMENTS; i++) {
        (void)sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }
    (void)sqlite3_finalize(db->version);
    db->version = NULL;
    (void)sqlite3_close(db->db);
    db->db = NULL;
}

/* In trouble nothing is written any more, not even what SQLite tidies up when it closes. */
static void drop(struct fsh_sqlite *db)
{
    if (db->db)
        (void)sqlite3_db_config(db->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    disconnect(db);
    db->broken = false;
}

/* The lock that turns the log on is exclusive: SQLite does not wait for it. */
static int turn_log_on(struct fsh_sqlite *db)
{
    sqlite3_stmt *statement = NULL;
    int status = FRESHET_OK;

    for (int waited = 0;; waited += 10) {
        int code = sqlite3_prepare_v2(db->db, "PRAGMA journal_mode=WAL", -1, &statement, NULL);

        code = code == SQLITE_OK ? sqlite3_step(statement) : code;
        if (code == SQLITE_ROW &&
            sqlite3_stricmp((const char *)sqlite3_column_text(statement, 0), "wal") != 0)
            status = fail(db, FRESHET_ESTORE, "the file system cannot keep a write-ahead log");
        else if (code != SQLITE_ROW)
            status = fsh_sqlite_failed(db);
        (void)sqlite3_finalize(statement);
        if ((code & 0xff) != SQLITE_BUSY || waited >= FSH_SQLITE_BUSY_MS)
            return status;
        status = FRESHET_OK;
        (void)sqlite3_sleep(10);
    }
}

static int set_up(struct fsh_sqlite *db)
{
    char pragmas[160];
    int status;

    (void)sqlite3_busy_timeout(db->db, FSH_SQLITE_BUSY_MS);
    /* Pages that were freed are overwritten, so that what was there does not lie about. */
    (void)snprintf(pragmas, sizeof(pragmas),
                   "PRAGMA synchronous=%s; PRAGMA secure_delete=ON; PRAGMA trusted_schema=OFF; "
                   "PRAGMA journal_size_limit=16777216; PRAGMA wal_autocheckpoint=0",
                   db->schema->synchronous);
    status = execute(db, pragmas);
    /* Before the log is turned on, which writes to the file. */
    if (status == FRESHET_OK)
        status = check_schema(db);
    return status;
}

static int check_file(struct fsh_sqlite *db, struct freshet_error *error)
{
    struct stat file;
    int status = fsh_sqlite_file_check(db->path, &file, error);

    if (status == FRESHET_OK && db->known &&
        (file.st_dev != db->device || file.st_ino != db->inode))
        return fsh_base_fail(error, FRESHET_ESTORE,
                             "another file is in the store's place; start this program again: %s",
                             db->path);
    if (status == FRESHET_OK) {
        db->device = file.st_dev;
        db->inode = file.st_ino;
    }
    return status;
}

static int connect(struct fsh_sqlite *db)
{
    struct freshet_error error = {0};
    int status = check_file(db, &error);

    if (status != FRESHET_OK) {
        (void)snprintf(db->why, sizeof(db->why), "%.*s", (int)sizeof(db->why) - 1, error.message);
        return status;
    }
    errno = 0;
    if (sqlite3_open_v2(db->path, &db->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        status = fsh_sqlite_failed(db);
    if (status == FRESHET_OK)
        status = set_up(db);
    if (status == FRESHET_OK)
        status = turn_log_on(db);
    if (status != FRESHET_OK) {
        drop(db);
        return status;
    }
    (void)sqlite3_wal_hook(db->db, on_commit, db);
    db->known = true;
    return FRESHET_OK;
}

int fsh_sqlite_open(const char *path, const struct fsh_sqlite_schema *schema, bool create,
                    struct fsh_sqlite **ret_db, struct freshet_error *error)
{
    struct fsh_sqlite *db = calloc(1, sizeof(*db));
    int status = FRESHET_OK;

    if (db)
        db->path = strdup(path);
    if (!db || !db->path) {
        free(db);
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    }
    db->schema = schema;
    if (create)
        status = fsh_sqlite_file_create(path, error);
    if (status == FRESHET_OK) {
        status = connect(db);
        if (status != FRESHET_OK)
            (void)fsh_base_fail(error, status, "%s", db->why);
    }
    if (status != FRESHET_OK) {
        fsh_sqlite_close(db);
        return status;
    }
    *ret_db = db;
    return FRESHET_OK;
}

void fsh_sqlite_close(struct fsh_sqlite *db)
{
    if (!db)
        return;
    disconnect(db);
    free(db->path);
    free(db);
}

/* ---- transactions ------------------------------------------------------------------------ */

/* A database under a file that is no more would take every change, and all would be lost. */
static bool replaced(const struct fsh_sqlite *db)
{
    struct stat file;

    return lstat(db->path, &file) != 0 || file.st_dev != db->device || file.st_ino != db->inode;
}

/* A newer version may have been here since. */
static int check_now(struct fsh_sqlite *db)
{
    int version;

    if (!db->version &&
        sqlite3_prepare_v3(db->db, "PRAGMA user_version", -1, SQLITE_PREPARE_PERSISTENT,
                           &db->version, NULL) != SQLITE_OK)
        return fsh_sqlite_failed(db);
    if (sqlite3_step(db->version) != SQLITE_ROW) {
        (void)sqlite3_reset(db->version);
        return fsh_sqlite_failed(db);
    }
    version = sqlite3_column_int(db->version, 0);
    (void)sqlite3_reset(db->version);
    return check_version(db, version);
}

int fsh_sqlite_begin(struct fsh_sqlite *db, bool writing)
{
    int status = FRESHET_OK;

    errno = 0;
    if (db->db && replaced(db))
        drop(db);
    if (!db->db)
        status = connect(db);
    if (status != FRESHET_OK)
        return status == FRESHET_ENOMEM ? status : FRESHET_ESTORE;
    status = execute(db, writing ? "BEGIN IMMEDIATE" : "BEGIN");
    if (status == FRESHET_OK)
        status = check_now(db);
    if (status != FRESHET_OK)
        fsh_sqlite_rollback(db);
    return status;
}

int fsh_sqlite_commit(struct fsh_sqlite *db)
{
    int status = execute(db, "COMMIT");

    if (status != FRESHET_OK)
        fsh_sqlite_rollback(db);
    return status;
}

void fsh_sqlite_rollback(struct fsh_sqlite *db)
{
    if (!sqlite3_get_autocommit(db->db)) {
        for (size_t i = 0; i < FSH_SQLITE_STATEMENTS; i++)
            (void)sqlite3_reset(db->statements[i]);
        (void)sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
    }
    /* Without memory not even that may work. */
    if (db->broken || !sqlite3_get_autocommit(db->db))
        drop(db);
}
