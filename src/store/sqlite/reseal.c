/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "store/codec.h"
#include "store/kept.h"
#include "store/sqlite/database.h"
#include "store/sqlite/file.h"
#include "store/sqlite/label.h"
#include "store/sqlite/sqlite.h"
#include "store/tend.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What there is to know of a table of sealed records. */
struct table {
    enum fsh_seal_purpose purpose;
    const char *next; /* name of the first after ?1 that another key than ?2 seals */
    const char *read; /* what a record is bound to, and the sealed bytes */
    const char *write;
};

/* And of a kind of file. */
struct kind {
    const struct fsh_sqlite_schema *schema;
    const char *count; /* by key and table */
    const struct table *tables;
    size_t table_count;
};

static const struct table secrets_tables[] = {
    {FSH_SEAL_SECRETS,
     "SELECT name FROM session WHERE name > ?1 AND sealed IS NOT NULL AND key IS NOT ?2 ORDER BY "
     "name LIMIT 1",
     "SELECT key, sealed, record FROM session WHERE name=?1",
     "UPDATE session SET sealed=?2, key=?3 WHERE name=?1"},
    {FSH_SEAL_LABEL,
     "SELECT name FROM label WHERE name > ?1 AND key IS NOT ?2 ORDER BY name LIMIT 1",
     "SELECT key, sealed FROM label WHERE name=?1",
     "UPDATE label SET sealed=?2, key=?3 WHERE name=?1"},
};

static const struct table tokens_table = {
    FSH_SEAL_TOKEN,
    "SELECT name FROM token WHERE name > ?1 AND key IS NOT ?2 ORDER BY name LIMIT 1",
    "SELECT key, sealed, incarnation, generation FROM token WHERE name=?1",
    "UPDATE token SET sealed=?2, key=?3 WHERE name=?1",
};

static const struct kind kinds[] = {
    {&fsh_sqlite_secrets_schema,
     "SELECT key, count(*) FROM session WHERE sealed IS NOT NULL GROUP BY key UNION ALL "
     "SELECT key, count(*) FROM label GROUP BY key",
     secrets_tables, sizeof(secrets_tables) / sizeof(secrets_tables[0])},
    {&fsh_sqlite_tokens_schema, "SELECT key, count(*) FROM token GROUP BY key", &tokens_table, 1},
};

struct fsh_tend {
    const struct kind *kind;
    struct fsh_sqlite *db;
};

int fsh_store_sqlite_tend(const char *path, enum fsh_seal_purpose purpose,
                          struct fsh_tend **ret_tend, struct freshet_error *error)
{
    const struct kind *kind = &kinds[purpose == FSH_SEAL_TOKEN];
    struct fsh_tend *tend;
    int status;

    *ret_tend = NULL;
    if (!fsh_sqlite_file_exists(path))
        return FRESHET_OK;
    tend = calloc(1, sizeof(*tend));
    if (!tend)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    tend->kind = kind;
    status = fsh_sqlite_open(path, kind->schema, false, &tend->db, error);
    if (status != FRESHET_OK) {
        free(tend);
        return status;
    }
    *ret_tend = tend;
    return FRESHET_OK;
}

void fsh_tend_close(struct fsh_tend *tend)
{
    if (!tend)
        return;
    fsh_sqlite_close(tend->db);
    free(tend);
}

static int failed(struct fsh_tend *tend, int status, struct freshet_error *error)
{
    return fsh_base_fail(error, status, "%s", tend->db->why);
}

/* NULL with db->why. */
static sqlite3_stmt *prepare(struct fsh_tend *tend, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(tend->db->db, sql, -1, &statement, NULL) == SQLITE_OK)
        return statement;
    (void)fsh_sqlite_failed(tend->db);
    return NULL;
}

int fsh_tend_count(struct fsh_tend *tend, int (*each)(void *data, const char *id, uint64_t records),
                   void *data, struct freshet_error *error)
{
    sqlite3_stmt *count = prepare(tend, tend->kind->count);
    int status = FRESHET_OK;
    int code = SQLITE_ERROR;

    while (count && status == FRESHET_OK && (code = sqlite3_step(count)) == SQLITE_ROW) {
        const char *id = (const char *)sqlite3_column_text(count, 0);

        status = each(data, id ? id : "", (uint64_t)sqlite3_column_int64(count, 1));
    }
    if (status == FRESHET_OK && code != SQLITE_DONE)
        status = failed(tend, fsh_sqlite_failed(tend->db), error);
    (void)sqlite3_finalize(count);
    return status;
}

int fsh_tend_lock(struct fsh_tend *tend, struct freshet_error *error)
{
    int status = fsh_sqlite_begin(tend->db, true);

    return status == FRESHET_OK ? status : failed(tend, status, error);
}

void fsh_tend_unlock(struct fsh_tend *tend)
{
    fsh_sqlite_rollback(tend->db);
}

/* ---- sealing anew ---------------------------------------------------------------------------- */

/* One round over the records of a table. */
struct round {
    struct fsh_tend *tend;
    const struct table *table;
    struct fsh_keyring *keyring;
    struct fsh_reseals *reseals;
    char name[FSH_NAME_MAX + 1]; /* of the record at hand; "" before the first */
    bool over;
};

/* Finds the next, without a lock. */
static int find_next(struct round *round)
{
    sqlite3_stmt *next = prepare(round->tend, round->table->next);
    char sealing[FSH_KEY_ID_TEXT];
    int code = SQLITE_ERROR;
    int status = FRESHET_OK;

    fsh_keyring_refresh(round->keyring);
    fsh_keyring_sealing(round->keyring, sealing);
    if (next) {
        (void)sqlite3_bind_text(next, 1, round->name, -1, SQLITE_TRANSIENT);
        (void)sqlite3_bind_text(next, 2, sealing, -1, SQLITE_STATIC);
        code = sqlite3_step(next);
    }
    if (code == SQLITE_ROW)
        (void)snprintf(round->name, sizeof(round->name), "%s", sqlite3_column_text(next, 0));
    else if (code != SQLITE_DONE)
        status = fsh_sqlite_failed(round->tend->db);
    round->over = code == SQLITE_DONE;
    (void)sqlite3_finalize(next);
    return status;
}

/* A sealed row, and what it is sealed as anew. */
struct row {
    sqlite3_stmt *read; /* stands at it */
    unsigned char *anew;
    size_t len;
    char why[FSH_SEAL_WHY];
};

static int reseal_secrets(const struct round *round, struct row *row)
{
    const unsigned char *record_bytes = sqlite3_column_blob(row->read, 2);
    const unsigned char *sealed = sqlite3_column_blob(row->read, 1);
    struct fsh_record record;
    int status =
        fsh_store_decode(record_bytes, (size_t)sqlite3_column_bytes(row->read, 2), &record);

    if (status != FRESHET_OK) {
        (void)snprintf(row->why, sizeof(row->why),
                       "a record cannot be read: damaged, or of another version of Freshet");
        return status;
    }
    return fsh_kept_reseal(round->keyring, round->name, &record, sealed,
                           (size_t)sqlite3_column_bytes(row->read, 1), &row->anew, &row->len,
                           row->why, sizeof(row->why));
}

static int reseal_token(const struct round *round, struct row *row)
{
    const unsigned char *sealed = sqlite3_column_blob(row->read, 1);
    const struct fsh_seal_context context = {
        .purpose = FSH_SEAL_TOKEN,
        .record = round->name,
        .incarnation = (uint64_t)sqlite3_column_int64(row->read, 2),
        .generation = (uint64_t)sqlite3_column_int64(row->read, 3),
    };

    return fsh_reseal(round->keyring, &context, sealed, (size_t)sqlite3_column_bytes(row->read, 1),
                      &row->anew, &row->len, row->why, sizeof(row->why));
}

static int reseal_label(const struct round *round, struct row *row)
{
    const unsigned char *sealed = sqlite3_column_blob(row->read, 1);

    return fsh_sqlite_label_reseal(round->keyring, round->name, sealed,
                                   (size_t)sqlite3_column_bytes(row->read, 1), &row->anew,
                                   &row->len, row->why, sizeof(row->why));
}

static int reseal_any(const struct round *round, struct row *row)
{
    switch (round->table->purpose) {
    case FSH_SEAL_SECRETS:
        return reseal_secrets(round, row);
    case FSH_SEAL_TOKEN:
        return reseal_token(round, row);
    case FSH_SEAL_LABEL:
        break;
    }
    return reseal_label(round, row);
}

static int write_back(const struct round *round, const unsigned char *sealed, size_t len)
{
    sqlite3_stmt *write = prepare(round->tend, round->table->write);
    char key[FSH_KEY_ID_TEXT] = "";
    int status;

    if (write) {
        (void)fsh_sealed_by(sealed, len, key);
        (void)sqlite3_bind_text(write, 1, round->name, -1, SQLITE_STATIC);
        (void)sqlite3_bind_blob(write, 2, sealed, (int)len, SQLITE_STATIC);
        (void)sqlite3_bind_text(write, 3, key, -1, SQLITE_STATIC);
    }
    status = fsh_sqlite_run(round->tend->db, write);
    (void)sqlite3_finalize(write);
    return status;
}

static void count_failed(struct round *round, const char *why)
{
    if (round->reseals->failed++ == 0)
        (void)snprintf(round->reseals->why, sizeof(round->reseals->why), "%s", why);
}

/* The row as it is now, with the database's write lock. */
static int reseal_row(struct round *round, sqlite3_stmt *read)
{
    const char *key = (const char *)sqlite3_column_text(read, 0);
    char sealing[FSH_KEY_ID_TEXT];
    struct row row = {.read = read};
    int status;

    fsh_keyring_refresh(round->keyring);
    fsh_keyring_sealing(round->keyring, sealing);
    if (sqlite3_column_type(read, 1) == SQLITE_NULL || (key && strcmp(key, sealing) == 0))
        return FRESHET_OK; /* somebody was first */
    status = reseal_any(round, &row);
    if (status == FRESHET_OK) {
        status = write_back(round, row.anew, row.len);
        round->reseals->done += status == FRESHET_OK;
    } else if (status == FRESHET_ESTORE) {
        count_failed(round, row.why);
        status = FRESHET_OK;
    }
    free(row.anew);
    return status;
}

static int reseal_in_lock(struct round *round)
{
    sqlite3_stmt *read = prepare(round->tend, round->table->read);
    int code = SQLITE_ERROR;
    int status = FRESHET_OK;

    if (read) {
        (void)sqlite3_bind_text(read, 1, round->name, -1, SQLITE_STATIC);
        code = sqlite3_step(read);
    }
    if (code == SQLITE_ROW)
        status = reseal_row(round, read);
    else if (code != SQLITE_DONE)
        status = fsh_sqlite_failed(round->tend->db);
    (void)sqlite3_finalize(read);
    return status;
}

static int reseal_one(struct round *round)
{
    struct fsh_sqlite *db = round->tend->db;
    int status = fsh_sqlite_begin(db, true);

    if (status != FRESHET_OK)
        return status;
    status = reseal_in_lock(round);
    if (status == FRESHET_OK)
        return fsh_sqlite_commit(db);
    fsh_sqlite_rollback(db);
    return status;
}

static int64_t nanoseconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* SQLite has no queue of those who wait for its lock: they look now and then. So the lock is left
 * free for as long as it was held. */
static void let_others(int64_t since)
{
    int64_t held = nanoseconds() - since;
    struct timespec pause = {held / 1000000000, held % 1000000000};

    (void)nanosleep(&pause, NULL);
}

static int go_round(struct round *round, void (*told)(void *data), void *data)
{
    int status = find_next(round);

    while (status == FRESHET_OK && !round->over) {
        int64_t since = nanoseconds();

        status = reseal_one(round);
        if (status == FRESHET_OK) {
            told(data);
            let_others(since);
            status = find_next(round);
        }
    }
    return status;
}

int fsh_tend_reseal(struct fsh_tend *tend, struct fsh_keyring *keyring, void (*told)(void *data),
                    void *data, struct fsh_reseals *ret_reseals, struct freshet_error *error)
{
    struct fsh_reseals reseals = {0};
    int status = FRESHET_OK;

    for (size_t i = 0; status == FRESHET_OK && i < tend->kind->table_count; i++) {
        struct round round = {
            .tend = tend,
            .table = &tend->kind->tables[i],
            .keyring = keyring,
            .reseals = &reseals,
        };

        status = go_round(&round, told, data);
    }
    if (status != FRESHET_OK)
        return failed(tend, status, error);
    *ret_reseals = reseals;
    return FRESHET_OK;
}
