/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite/examine.h"

#include "base/error.h"
#include "store/sqlite/database.h"
#include "store/sqlite/file.h"
#include "store/sqlite/sql.h"

#include <errno.h>
#include <freshet/status.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct look {
    const char *path;
    const struct fsh_sqlite_schema *schema;
    struct fsh_sqlite_examined *examined;
    struct freshet_error *error;
    sqlite3 *db;
};

static int failed(const struct look *look)
{
    int code = look->db ? sqlite3_errcode(look->db) & 0xff : SQLITE_NOMEM;

    switch (code) {
    case SQLITE_NOMEM:
        return fsh_base_fail(look->error, FRESHET_ENOMEM, NULL);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fsh_base_fail(look->error, FRESHET_ESTORE,
                             "locked by another program; end what holds it: %s", look->path);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return fsh_base_fail(look->error, FRESHET_ESTORE,
                             "damaged; bring back a copy, or move it away and sign in anew: %s",
                             look->path);
    default:
        return fsh_base_fail(look->error, FRESHET_ESTORE, "cannot be read (%s): %s",
                             look->db ? sqlite3_errmsg(look->db) : "no memory", look->path);
    }
}

/* ---- what is in it ----------------------------------------------------------------------- */

static sqlite3_stmt *ask(const struct look *look, const char *sql, int *ret_status)
{
    sqlite3_stmt *statement = NULL;

    *ret_status = FRESHET_OK;
    if (sqlite3_prepare_v2(look->db, sql, -1, &statement, NULL) != SQLITE_OK)
        *ret_status = failed(look);
    return statement;
}

static int number(const struct look *look, const char *sql, sqlite3_int64 *ret_number)
{
    int status;
    sqlite3_stmt *statement = ask(look, sql, &status);

    if (status == FRESHET_OK && sqlite3_step(statement) == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(statement, 0);
    else if (status == FRESHET_OK)
        status = failed(look);
    (void)sqlite3_finalize(statement);
    return status;
}

static int check_schema(const struct look *look)
{
    sqlite3_int64 id = 0;
    sqlite3_int64 version = 0;
    sqlite3_int64 tables = 0;
    int status = number(look, "PRAGMA application_id", &id);

    if (status == FRESHET_OK)
        status = number(look, "PRAGMA user_version", &version);
    if (status == FRESHET_OK)
        status = number(look, "SELECT count(*) FROM sqlite_schema", &tables);
    if (status != FRESHET_OK)
        return status;
    if (id != look->schema->application_id && (id != 0 || version != 0 || tables != 0))
        return fsh_base_fail(look->error, FRESHET_ECONFIG, "no file of %s; name another: %s",
                             look->schema->what, look->path);
    if (version > look->schema->version)
        return fsh_base_fail(look->error, FRESHET_ESTORE,
                             "written by a newer version of Freshet; update this one: %s",
                             look->path);
    look->examined->version = (int)version;
    return FRESHET_OK;
}

static int check_pages(const struct look *look)
{
    int status;
    sqlite3_stmt *statement = ask(look, "PRAGMA quick_check(1)", &status);

    if (status != FRESHET_OK)
        return status;
    if (sqlite3_step(statement) != SQLITE_ROW)
        status = failed(look);
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), "ok") != 0)
        status = fsh_base_fail(look->error, FRESHET_ESTORE,
                               "damaged (%.60s); bring back a copy, or move it away and sign in "
                               "anew: %s",
                               (const char *)sqlite3_column_text(statement, 0), look->path);
    (void)sqlite3_finalize(statement);
    return status;
}

static void add_use(struct fsh_sqlite_examined *examined, const char *key, uint64_t records)
{
    struct fsh_sqlite_use *use = examined->uses;
    struct fsh_sqlite_use *end = use + examined->use_count;

    while (use < end && strcmp(use->key, key) != 0)
        use++;
    if (use == end && examined->use_count == FSH_SQLITE_USES_MAX)
        return;
    if (use == end) {
        examined->use_count++;
        use->records = 0;
        (void)snprintf(use->key, sizeof(use->key), "%s", key);
    }
    use->records += records;
}

/* Adds what a table's rows are sealed with; *ret_rows is how many there are. */
static int count_uses(const struct look *look, const char *table, uint64_t *ret_rows)
{
    char sql[96];
    sqlite3_stmt *statement;
    int status;
    int code = SQLITE_DONE;

    *ret_rows = 0;
    (void)snprintf(sql, sizeof(sql), "SELECT ifnull(key, ''), count(*) FROM %s GROUP BY 1", table);
    statement = ask(look, sql, &status);
    while (status == FRESHET_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(statement, 0);
        uint64_t rows = (uint64_t)sqlite3_column_int64(statement, 1);

        *ret_rows += rows;
        /* What has ended keeps its record, and nothing that is sealed. */
        if (key && key[0] != '\0')
            add_use(look->examined, key, rows);
    }
    if (status == FRESHET_OK && code != SQLITE_DONE)
        status = failed(look);
    (void)sqlite3_finalize(statement);
    return status;
}

static int look_inside(const struct look *look)
{
    bool secrets = look->schema == &fsh_sqlite_secrets_schema;
    uint64_t labels;
    int status = check_schema(look);

    if (status == FRESHET_OK)
        status = check_pages(look);
    /* Below version 1 the file is empty. */
    if (status == FRESHET_OK && look->examined->version > 0)
        status = count_uses(look, secrets ? "session" : "token", &look->examined->records);
    if (status == FRESHET_OK && secrets && look->examined->version >= FSH_SQLITE_LABELS_SINCE)
        status = count_uses(look, "label", &labels);
    return status;
}

/* ---- the file ---------------------------------------------------------------------------- */

/* The path as part of a URI. */
static bool escape(const char *path, char *ret_uri, size_t size)
{
    size_t at = strlen(ret_uri);

    for (; *path && at + 4 < size; path++) {
        if (strchr("%?#", *path))
            at += (size_t)snprintf(ret_uri + at, size - at, "%%%02x", (unsigned char)*path);
        else
            ret_uri[at++] = *path;
    }
    ret_uri[at] = '\0';
    return *path == '\0';
}

static int connect(struct look *look, const char *options)
{
    char uri[PATH_MAX + 64] = "file:";

    if (!escape(look->path, uri, sizeof(uri) - 32))
        return fsh_base_fail(look->error, FRESHET_ECONFIG, "the store's path is too long");
    (void)snprintf(uri + strlen(uri), sizeof(uri) - strlen(uri), "?%s", options);
    if (sqlite3_open_v2(uri, &look->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) != SQLITE_OK)
        return failed(look);
    (void)sqlite3_busy_timeout(look->db, FSH_SQLITE_BUSY_MS);
    return FRESHET_OK;
}

static int look_with(struct look *look, const char *options)
{
    int status;

    *look->examined = (struct fsh_sqlite_examined){0};
    status = connect(look, options);
    if (status == FRESHET_OK)
        status = look_inside(look);
    (void)sqlite3_close(look->db);
    look->db = NULL;
    return status;
}

static uint64_t size_of_log(const char *path)
{
    char name[PATH_MAX + 8];
    struct stat file;

    (void)snprintf(name, sizeof(name), "%s-wal", path);
    return stat(name, &file) == 0 ? (uint64_t)file.st_size : 0;
}

int fsh_sqlite_examine(const char *path, bool secrets, struct fsh_sqlite_examined *ret_examined,
                       struct freshet_error *error)
{
    struct fsh_sqlite_examined examined;
    struct look look = {
        .path = path,
        .schema = secrets ? &fsh_sqlite_secrets_schema : &fsh_sqlite_tokens_schema,
        .examined = &examined,
        .error = error,
    };
    struct statvfs disk;
    struct stat file;
    int status = fsh_sqlite_file_check(path, &file, error);

    if (status != FRESHET_OK)
        return status;
    /* Without a log nobody has it open, or nothing was written since: then it is read as it lies,
     * for a connection would make a log. Who has opened it meanwhile may have confused that. */
    status = FRESHET_ESTORE;
    if (size_of_log(path) == 0)
        status = look_with(&look, "immutable=1");
    if (status != FRESHET_OK && size_of_log(path) > 0)
        status = look_with(&look, "mode=ro");
    if (status != FRESHET_OK)
        return status;
    examined.log = size_of_log(path);
    if (statvfs(path, &disk) != 0)
        return fsh_base_fail(error, FRESHET_ESTORE, "cannot be looked at (%s): %s", strerror(errno),
                             path);
    examined.free = (uint64_t)disk.f_bavail * disk.f_frsize;
    *ret_examined = examined;
    return FRESHET_OK;
}
