/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite/label.h"

#include "base/error.h"
#include "store/codec.h"
#include "store/seal.h"
#include "store/sqlite/sql.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names are unique for ever, so the name is all that a label is bound to. */
static struct fsh_seal_context context_of(const char *name)
{
    return (struct fsh_seal_context){.purpose = FSH_SEAL_LABEL, .record = name};
}

int fsh_sqlite_label_put(struct fsh_sqlite *db, struct fsh_keyring *keyring,
                         struct fsh_store_op *op)
{
    struct fsh_seal_context context = context_of(op->session);
    char key[FSH_KEY_ID_TEXT] = "";
    unsigned char *sealed;
    sqlite3_stmt *write;
    size_t len;
    int status = fsh_seal(keyring, &context, op->label, op->label_len, &sealed, &len);

    if (status != FRESHET_OK) {
        op->status = status;
        (void)snprintf(op->why, sizeof(op->why), "%s",
                       "the label could not be sealed; see to the key file");
        return FRESHET_OK;
    }
    write = fsh_sqlite_statement(db, FSH_SQL_LABEL_WRITE);
    if (write) {
        (void)sqlite3_bind_text(write, 1, op->session, -1, SQLITE_STATIC);
        (void)sqlite3_bind_blob(write, 2, sealed, (int)len, SQLITE_STATIC);
        if (fsh_sealed_by(sealed, len, key))
            (void)sqlite3_bind_text(write, 3, key, -1, SQLITE_STATIC);
    }
    status = fsh_sqlite_run(db, write);
    free(sealed);
    return status;
}

int fsh_sqlite_label_reseal(struct fsh_keyring *keyring, const char *name,
                            const unsigned char *sealed, size_t len, unsigned char **ret_sealed,
                            size_t *ret_len, char *why, size_t why_size)
{
    struct fsh_seal_context context = context_of(name);

    return fsh_reseal(keyring, &context, sealed, len, ret_sealed, ret_len, why, why_size);
}

/* ---- listing ----------------------------------------------------------------------------- */

struct listing {
    struct fsh_keyring *keyring;
    int (*each)(void *data, const struct fsh_stored *session);
    void *data;
};

/* Hands out the row that `read` stands at. */
static int hand_out(const struct listing *listing, sqlite3_stmt *read,
                    const struct fsh_record *record)
{
    const char *name = (const char *)sqlite3_column_text(read, 0);
    struct fsh_seal_context context = context_of(name);
    struct fsh_stored session = {.name = name, .record = record};
    struct fsh_secret label = {0};
    char why[FSH_SEAL_WHY] = "";
    int status = FRESHET_OK;

    if (sqlite3_column_type(read, 2) != SQLITE_NULL) {
        const unsigned char *sealed = sqlite3_column_blob(read, 2);

        status = fsh_unseal(listing->keyring, &context, sealed,
                            (size_t)sqlite3_column_bytes(read, 2), &label, why, sizeof(why));
        if (status == FRESHET_ENOMEM)
            return status;
        session.unopened = status == FRESHET_OK ? NULL : why;
        session.label = status == FRESHET_OK ? fsh_base_secret_reveal(&label) : NULL;
        session.label_len = label.len;
    }
    status = listing->each(listing->data, &session);
    fsh_base_secret_done(&label);
    return status;
}

/* The first text behind all that begin with `prefix`, which is printable ASCII. */
static void end_of(const char *prefix, char *ret_end, size_t size)
{
    size_t len = strlen(prefix);

    (void)snprintf(ret_end, size, "%s", len ? prefix : "\x7f");
    if (len > 0 && len < size)
        ret_end[len - 1]++;
}

static int list_rows(const struct listing *listing, struct fsh_sqlite *db, sqlite3_stmt *read,
                     struct freshet_error *error)
{
    struct fsh_record record;
    int status = FRESHET_OK;
    int code = SQLITE_DONE;

    while (status == FRESHET_OK && (code = sqlite3_step(read)) == SQLITE_ROW) {
        /* One that cannot be read does not hide the others. */
        if (fsh_store_decode(sqlite3_column_blob(read, 1), (size_t)sqlite3_column_bytes(read, 1),
                             &record) == FRESHET_OK)
            status = hand_out(listing, read, &record);
        if (status == FRESHET_ENOMEM)
            (void)fsh_base_fail(error, status, NULL);
    }
    if (status == FRESHET_OK && code != SQLITE_DONE) {
        status = fsh_sqlite_failed(db);
        (void)fsh_base_fail(error, status, "%s", db->why);
    }
    return status;
}

int fsh_sqlite_labels_list(struct fsh_sqlite *db, struct fsh_keyring *keyring, const char *prefix,
                           int (*each)(void *data, const struct fsh_stored *session), void *data,
                           struct freshet_error *error)
{
    const struct listing listing = {keyring, each, data};
    sqlite3_stmt *read = fsh_sqlite_statement(db, FSH_SQL_LABELS);
    char end[FSH_NAME_MAX + 1];
    int status;

    if (!read) {
        status = fsh_sqlite_failed(db);
        return fsh_base_fail(error, status, "%s", db->why);
    }
    end_of(prefix, end, sizeof(end));
    (void)sqlite3_bind_text(read, 1, prefix, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(read, 2, end, -1, SQLITE_STATIC);
    fsh_keyring_refresh(keyring);
    status = list_rows(&listing, db, read, error);
    (void)sqlite3_reset(read);
    return status;
}
