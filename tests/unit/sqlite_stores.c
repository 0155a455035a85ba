/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_stores.h"

#include <freshet/status.h>
#include <stdio.h>
#include <string.h>

int sqlite_begin(void **state)
{
    static struct stores stores;

    stores_begin(&stores, "sqlite:");
    *state = &stores;
    return 0;
}

int sqlite_end(void **state)
{
    stores_end(*state);
    return 0;
}

/* ---- beside the store ---------------------------------------------------------------------- */

sqlite3 *raw_open(const char *path)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 5000);
    return db;
}

void raw(sqlite3 *db, const char *sql)
{
    char *why = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

void raw_once(const char *path, const char *sql)
{
    sqlite3 *db = raw_open(path);

    raw(db, sql);
    (void)sqlite3_close(db);
}

int raw_number(const char *path, const char *sql)
{
    sqlite3 *db = raw_open(path);
    sqlite3_stmt *statement = NULL;
    int number;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    number = sqlite3_column_int(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return number;
}

/* ---- one operation ------------------------------------------------------------------------- */

void refused(const struct stores *stores, int status, const char *word)
{
    struct freshet_error error = {0};
    struct fsh_secret_store *store = NULL;

    assert_int_equal(secrets_open(stores, &store, &error), status);
    assert_null(store);
    if (!strstr(error.message, word))
        fail_msg("no \"%s\" in: %s", word, error.message);
}

void fails(struct fsh_secret_store *store, const char *session, const char *word)
{
    struct fsh_store_op op = change(session, FSH_CHANGE_SIGN_OUT, 1, NULL);

    submit(store, &op);
    assert_int_equal(op.status, FRESHET_ESTORE);
    if (!strstr(op.why, word))
        fail_msg("no \"%s\" in: %s", word, op.why);
}

void works(struct fsh_secret_store *store, const char *session)
{
    struct fsh_store_op op = change(session, FSH_CHANGE_SIGN_OUT, 1, NULL);

    submit(store, &op);
    if (op.status != FRESHET_OK)
        fail_msg("%s", op.why);
    assert_string_equal(op.why, "");
}

void note(const struct stores *stores, const char *session, uint64_t number, uint64_t times)
{
    struct fsh_note_row row = {
        .writer = UINT64_MAX - 4,
        .number = number,
        .at_ms = 1000,
        .name = "refreshed",
        .status = -3,
        .value = -7,
        .times = times,
    };

    stores->secrets->ops->note(stores->secrets, session, &row);
}

size_t notes_of(const struct stores *stores, const char *session,
                struct fsh_note_row rows[FSH_NOTES_KEPT])
{
    size_t count = 99;

    assert_int_equal(
        stores->secrets->ops->read_notes(stores->secrets, session, rows, FSH_NOTES_KEPT, &count),
        FRESHET_OK);
    return count;
}

void put_label(struct stores *stores, const char *session, const char *label)
{
    struct fsh_store_op op = change(session, FSH_CHANGE_LABEL, 1, NULL);

    op.label = label;
    op.label_len = strlen(label);
    submit(stores->secrets, &op);
    if (op.status != FRESHET_OK)
        fail_msg("%s", op.why);
    assert_int_equal(op.verdict, FSH_VERDICT_DONE);
}
