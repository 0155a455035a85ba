/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "base/fault.h"
#include "store/codec.h"
#include "store/kept.h"
#include "store/keyring.h"
#include "store/sqlite/checkpoint.h"
#include "store/sqlite/file.h"
#include "store/sqlite/label.h"
#include "store/sqlite/ledger.h"
#include "store/sqlite/sql.h"
#include "store/sqlite/sqlite.h"
#include "store/sqlite/thread.h"

#include <freshet/status.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct secrets {
    struct fsh_secret_store store;
    struct fsh_keyring *keyring;
    struct fsh_sqlite *db; /* the thread's */
    struct fsh_sqlite_checkpoint *checkpoint;
    struct fsh_sqlite_thread *thread;
    struct fsh_sqlite_notes notes;
};

/* ---- one operation ----------------------------------------------------------------------- */

static int op_failed(struct fsh_store_op *op, int status, const char *why)
{
    op->status = status;
    (void)snprintf(op->why, sizeof(op->why), "%s", why);
    return FRESHET_OK;
}

/* The record of the row that `read` stands at. One that cannot be read is unavailable, and stays.
 */
static int decode(sqlite3_stmt *read, int column, struct fsh_record *ret_record)
{
    const unsigned char *bytes = sqlite3_column_blob(read, column);

    return fsh_store_decode(bytes, (size_t)sqlite3_column_bytes(read, column), ret_record);
}

static int unseal(struct secrets *secrets, struct fsh_store_op *op, sqlite3_stmt *read,
                  const struct fsh_record *before, struct fsh_kept *ret_kept)
{
    const unsigned char *sealed = sqlite3_column_blob(read, 1);

    if (sqlite3_column_type(read, 1) == SQLITE_NULL)
        return FRESHET_OK;
    return fsh_kept_unseal(secrets->keyring, op->session, op->session_key, before, sealed,
                           (size_t)sqlite3_column_bytes(read, 1), ret_kept, op->why,
                           sizeof(op->why));
}

/* The statement for the row, or for a new one without; the secrets are still to be bound. */
static sqlite3_stmt *bind_record(struct fsh_sqlite *db, unsigned number, int64_t row,
                                 const struct fsh_store_op *op,
                                 unsigned char bytes[FSH_CODEC_BYTES])
{
    sqlite3_stmt *write = fsh_sqlite_statement(db, row ? number : FSH_SQL_SESSION_NEW);

    fsh_store_encode(&op->record, bytes);
    if (!write)
        return NULL;
    if (row)
        (void)sqlite3_bind_int64(write, 1, row);
    else
        (void)sqlite3_bind_text(write, 1, op->session, -1, SQLITE_STATIC);
    (void)sqlite3_bind_blob(write, 2, bytes, FSH_CODEC_BYTES, SQLITE_STATIC);
    return write;
}

/* A status other than FRESHET_OK is of the whole transaction. */
static int write_record(struct secrets *secrets, int64_t row, const struct fsh_store_op *op)
{
    unsigned char bytes[FSH_CODEC_BYTES];

    return fsh_sqlite_run(secrets->db,
                          bind_record(secrets->db, FSH_SQL_SESSION_RECORD, row, op, bytes));
}

static int write_all(struct secrets *secrets, int64_t row, struct fsh_store_op *op,
                     const struct fsh_kept *kept)
{
    unsigned char bytes[FSH_CODEC_BYTES];
    unsigned char *sealed;
    size_t len;
    char key[17] = "";
    sqlite3_stmt *write;
    int status = fsh_kept_seal(secrets->keyring, op->session, op->session_key, &op->record, kept,
                               &sealed, &len);

    if (status != FRESHET_OK)
        return op_failed(op, status, "the secrets could not be sealed; see to the key file");
    write = bind_record(secrets->db, FSH_SQL_SESSION_WRITE, row, op, bytes);
    if (write && sealed) {
        (void)sqlite3_bind_blob(write, 3, sealed, (int)len, SQLITE_STATIC);
        if (fsh_sealed_by(sealed, len, key))
            (void)sqlite3_bind_text(write, 4, key, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int(write, 5, !fsh_base_secret_empty(&kept->device_key));
    }
    status = fsh_sqlite_run(secrets->db, write);
    free(sealed);
    return status;
}

static int drop_row(struct secrets *secrets, unsigned number, const char *session)
{
    sqlite3_stmt *drop = fsh_sqlite_statement(secrets->db, number);

    if (drop)
        (void)sqlite3_bind_text(drop, 1, session, -1, SQLITE_STATIC);
    return fsh_sqlite_run(secrets->db, drop);
}

/* The pages that become free are overwritten (secure_delete). */
static int remove_all(struct secrets *secrets, const struct fsh_store_op *op)
{
    int status = drop_row(secrets, FSH_SQL_SESSION_DROP, op->session);

    FSH_FAULT("store-removing", FSH_CHANGE_REMOVE);
    if (status == FRESHET_OK)
        status = drop_row(secrets, FSH_SQL_LABEL_DROP, op->session);
    if (status == FRESHET_OK)
        status = fsh_sqlite_notes_drop(&secrets->notes, secrets->db, op->session);
    FSH_FAULT("store-written", FSH_CHANGE_REMOVE);
    return status;
}

/* What the change took effect on is written; `read` stands at the row, or is NULL without one. */
static int take_effect(struct secrets *secrets, struct fsh_store_op *op, sqlite3_stmt *read,
                       const struct fsh_record *before)
{
    enum fsh_change_kind kind = op->change.kind;
    struct fsh_kept kept = {0};
    int64_t row = read ? sqlite3_column_int64(read, 2) : 0;
    int status = FRESHET_OK;

    if (read && fsh_kept_needed(op, sqlite3_column_int(read, 3) != 0))
        status = unseal(secrets, op, read, before, &kept);
    /* Who signs out wants the secrets gone, readable or not (rule 10). */
    if (status != FRESHET_OK && kind != FSH_CHANGE_SIGN_OUT) {
        op->status = status;
        return FRESHET_OK;
    }
    op->why[0] = '\0';
    op->status = fsh_store_keep(&kept, op);
    if (op->status == FRESHET_OK) {
        if (read)
            (void)sqlite3_reset(read);
        status = fsh_kept_concerns(kind) && kind != FSH_CHANGE_LEASE
                     ? write_all(secrets, row, op, &kept)
                     : write_record(secrets, row, op);
        FSH_FAULT("store-written", kind);
    }
    fsh_store_kept_done(&kept);
    return op->status == FRESHET_OK ? status : FRESHET_OK;
}

static int put_label(struct secrets *secrets, struct fsh_store_op *op)
{
    int status = fsh_sqlite_label_put(secrets->db, secrets->keyring, op);

    FSH_FAULT("store-written", FSH_CHANGE_LABEL);
    return status;
}

static int carry_out(struct secrets *secrets, struct fsh_store_op *op, sqlite3_stmt *read,
                     const struct fsh_record *before)
{
    if (op->change.kind == FSH_CHANGE_READ)
        return FRESHET_OK;
    if (op->change.kind == FSH_CHANGE_LABEL)
        return put_label(secrets, op);
    if (op->change.kind != FSH_CHANGE_REMOVE)
        return take_effect(secrets, op, read, before);
    if (read)
        (void)sqlite3_reset(read);
    return remove_all(secrets, op);
}

/* A status other than FRESHET_OK is of the whole transaction; the operation's own is in it. */
static int apply(struct secrets *secrets, struct fsh_store_op *op)
{
    sqlite3_stmt *read = fsh_sqlite_statement(secrets->db, FSH_SQL_SESSION_READ);
    struct fsh_record before = {0};
    int status = FRESHET_OK;
    int code;

    op->status = FRESHET_OK;
    op->why[0] = '\0';
    if (!read)
        return fsh_sqlite_failed(secrets->db);
    (void)sqlite3_bind_text(read, 1, op->session, -1, SQLITE_STATIC);
    code = sqlite3_step(read);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return fsh_sqlite_failed(secrets->db);
    if (code == SQLITE_ROW && decode(read, 0, &before) != FRESHET_OK) {
        (void)sqlite3_reset(read);
        return op_failed(op, FRESHET_ESTORE,
                         "the session's record cannot be read: damaged, or of another version of "
                         "Freshet; it is left as it is");
    }
    op->record = before;
    op->verdict = fsh_core_record_apply(&op->record, &op->change, op->now);
    op->unresolved_ms = fsh_core_record_unresolved_ms(&op->record, op->change.attempt, op->now);
    if (op->verdict == FSH_VERDICT_DONE)
        status = carry_out(secrets, op, code == SQLITE_ROW ? read : NULL, &before);
    (void)sqlite3_reset(read);
    return status;
}

/* ---- many operations --------------------------------------------------------------------- */

static struct fsh_store_op *op_of(struct fsh_post *post)
{
    return fsh_container_of(post, struct fsh_store_op, post);
}

/* Without posts, the entries of the ledger alone. */
static int do_all(struct secrets *secrets, struct fsh_post *posts)
{
    bool writing = !posts;
    int status;

    for (struct fsh_post *post = posts; post; post = post->next)
        writing = writing || op_of(post)->change.kind != FSH_CHANGE_READ;
    FSH_FAULT("store-begin", posts ? (int)op_of(posts)->change.kind : FSH_FAULT_LEDGER);
    status = fsh_sqlite_begin(secrets->db, writing);
    FSH_FAULT("store-begun", posts ? (int)op_of(posts)->change.kind : FSH_FAULT_LEDGER);
    if (status != FRESHET_OK)
        return status;
    if (writing)
        fsh_keyring_refresh(secrets->keyring);
    for (struct fsh_post *post = posts; status == FRESHET_OK && post; post = post->next)
        status = apply(secrets, op_of(post));
    if (status == FRESHET_OK && writing)
        status = fsh_sqlite_notes_write(&secrets->notes, secrets->db);
    FSH_FAULT("store-commit", posts ? (int)op_of(posts)->change.kind : FSH_FAULT_LEDGER);
    if (status == FRESHET_OK)
        status = fsh_sqlite_commit(secrets->db);
    else
        fsh_sqlite_rollback(secrets->db);
    FSH_FAULT("store-committed", posts ? (int)op_of(posts)->change.kind : FSH_FAULT_LEDGER);
    fsh_sqlite_notes_ended(&secrets->notes, status == FRESHET_OK);
    return status;
}

static void complete(struct fsh_store_op *op, int status, const char *why)
{
    if (status != FRESHET_OK)
        (void)op_failed(op, status, why);
    /* What a lease handed out is nobody's when it was not taken. */
    if (op->status != FRESHET_OK)
        fsh_store_kept_done(&op->kept);
    op->done(op);
}

static void group(void *data, struct fsh_post *posts)
{
    struct secrets *secrets = data;
    int status;

    fsh_sqlite_checkpoint_enter(secrets->checkpoint);
    status = do_all(secrets, posts);
    fsh_sqlite_checkpoint_leave(secrets->checkpoint, secrets->db);
    while (posts) {
        struct fsh_post *next = posts->next; /* the operation is its owner's once it is done */

        complete(op_of(posts), status, secrets->db->why);
        posts = next;
    }
}

/* The entries of the ledger that came with nothing else. */
static void idle(void *data)
{
    struct secrets *secrets = data;

    if (!fsh_sqlite_notes_waiting(&secrets->notes))
        return;
    fsh_sqlite_checkpoint_enter(secrets->checkpoint);
    (void)do_all(secrets, NULL);
    fsh_sqlite_checkpoint_leave(secrets->checkpoint, secrets->db);
}

/* ---- the contract ------------------------------------------------------------------------ */

static struct secrets *own(struct fsh_secret_store *store)
{
    return fsh_container_of(store, struct secrets, store);
}

static void submit(struct fsh_secret_store *store, struct fsh_store_op *op)
{
    fsh_sqlite_thread_submit(own(store)->thread, &op->post);
}

static void note(struct fsh_secret_store *store, const char *session,
                 const struct fsh_note_row *row)
{
    fsh_sqlite_notes_add(&own(store)->notes, session, row);
    fsh_sqlite_thread_put_off(own(store)->thread);
}

/* With a connection of its own: the store's is its thread's. */
static int read_notes(struct fsh_secret_store *store, const char *session,
                      struct fsh_note_row *ret_rows, size_t room, size_t *ret_count)
{
    struct fsh_sqlite *db;
    int status =
        fsh_sqlite_open(own(store)->db->path, &fsh_sqlite_secrets_schema, false, &db, NULL);

    if (status != FRESHET_OK)
        return status;
    status = fsh_sqlite_notes_read(db, session, ret_rows, room, ret_count);
    fsh_sqlite_close(db);
    return status;
}

/* Likewise. */
static int list(struct fsh_secret_store *store, const char *prefix,
                int (*each)(void *data, const struct fsh_stored *session), void *data,
                struct freshet_error *error)
{
    struct fsh_sqlite *db;
    int status =
        fsh_sqlite_open(own(store)->db->path, &fsh_sqlite_secrets_schema, false, &db, error);

    if (status != FRESHET_OK)
        return status;
    status = fsh_sqlite_labels_list(db, own(store)->keyring, prefix, each, data, error);
    fsh_sqlite_close(db);
    return status;
}

static void close_store(struct fsh_secret_store *store)
{
    struct secrets *secrets = own(store);

    fsh_sqlite_thread_stop(secrets->thread);
    fsh_sqlite_checkpoint_free(secrets->checkpoint);
    fsh_sqlite_close(secrets->db);
    fsh_sqlite_notes_done(&secrets->notes);
    fsh_keyring_unref(secrets->keyring);
    free(secrets);
}

int fsh_store_sqlite_secrets(const char *path, struct fsh_keyring *keyring,
                             struct fsh_secret_store **ret_store, struct freshet_error *error)
{
    static const struct fsh_secret_store_ops ops = {submit, close_store, note, read_notes, list};
    struct secrets *secrets = calloc(1, sizeof(*secrets));
    struct fsh_sqlite_duty duty = {secrets, group, idle};
    int status;

    if (!secrets)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    secrets->store.ops = &ops;
    secrets->keyring = fsh_keyring_ref(keyring);
    fsh_sqlite_notes_init(&secrets->notes);
    status = fsh_sqlite_open(path, &fsh_sqlite_secrets_schema, true, &secrets->db, error);
    if (status == FRESHET_OK) {
        secrets->checkpoint = fsh_sqlite_checkpoint_new(path, &fsh_sqlite_secrets_schema);
        if (!secrets->checkpoint)
            status = fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    }
    if (status == FRESHET_OK)
        status = fsh_sqlite_thread_start(&duty, &secrets->thread, error);
    if (status != FRESHET_OK) {
        close_store(&secrets->store);
        return status;
    }
    *ret_store = &secrets->store;
    return FRESHET_OK;
}

int fsh_store_sqlite_sessions(const char *path,
                              int (*each)(void *data, const char *name,
                                          const struct fsh_record *record),
                              void *data, struct freshet_error *error)
{
    struct fsh_sqlite *db;
    struct fsh_record record;
    sqlite3_stmt *read;
    int code = SQLITE_ERROR;
    int status;

    if (!fsh_sqlite_file_exists(path))
        return FRESHET_OK;
    status = fsh_sqlite_open(path, &fsh_sqlite_secrets_schema, false, &db, error);
    if (status != FRESHET_OK)
        return status;
    read = fsh_sqlite_statement(db, FSH_SQL_SESSIONS);
    /* One that cannot be read does not hide the others. */
    while (status == FRESHET_OK && read && (code = sqlite3_step(read)) == SQLITE_ROW) {
        if (decode(read, 1, &record) == FRESHET_OK)
            status = each(data, (const char *)sqlite3_column_text(read, 0), &record);
    }
    if (status == FRESHET_OK && code != SQLITE_DONE) {
        status = fsh_sqlite_failed(db);
        (void)fsh_base_fail(error, status, "%s", db->why);
    }
    fsh_sqlite_close(db);
    return status;
}
