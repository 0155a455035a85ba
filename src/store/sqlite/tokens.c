/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "store/keyring.h"
#include "store/seal.h"
#include "store/sqlite/checkpoint.h"
#include "store/sqlite/sql.h"
#include "store/sqlite/sqlite.h"
#include "store/sqlite/thread.h"
#include "store/token_codec.h"

#include <freshet/status.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

struct tokens {
    struct fsh_token_cache cache;
    struct fsh_keyring *keyring;
    struct fsh_sqlite *db; /* the thread's */
    struct fsh_sqlite_checkpoint *checkpoint;
    struct fsh_sqlite_thread *thread;
};

/* ---- one operation: a status other than FRESHET_OK is of the whole transaction ------------- */

static struct fsh_seal_context context(const struct fsh_cache_op *op, uint64_t incarnation,
                                       uint64_t generation)
{
    return (struct fsh_seal_context){
        .purpose = FSH_SEAL_TOKEN,
        .record = op->session,
        .incarnation = incarnation,
        .generation = generation,
        .session_key = op->session_key,
    };
}

static int seal(struct tokens *tokens, const struct fsh_cache_op *op, unsigned char **ret_sealed,
                size_t *ret_len)
{
    struct fsh_seal_context bound = context(op, op->token->incarnation, op->token->generation);
    struct fsh_secret plain = {0};
    int status = fsh_token_encode(op->token, &plain);

    if (status == FRESHET_OK)
        status =
            fsh_seal(tokens->keyring, &bound, (const unsigned char *)fsh_base_secret_reveal(&plain),
                     plain.len, ret_sealed, ret_len);
    fsh_base_secret_done(&plain);
    return status;
}

static int put(struct tokens *tokens, struct fsh_cache_op *op)
{
    sqlite3_stmt *write;
    unsigned char *sealed;
    size_t len;
    char key[17] = "";
    int status = seal(tokens, op, &sealed, &len);

    if (status != FRESHET_OK) {
        op->status = status;
        return FRESHET_OK;
    }
    write = fsh_sqlite_statement(tokens->db, FSH_SQL_TOKEN_WRITE);
    if (write) {
        (void)sqlite3_bind_text(write, 1, op->session, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(write, 2, (int64_t)op->token->incarnation);
        (void)sqlite3_bind_int64(write, 3, (int64_t)op->token->generation);
        (void)sqlite3_bind_blob(write, 4, sealed, (int)len, SQLITE_STATIC);
        if (fsh_sealed_by(sealed, len, key))
            (void)sqlite3_bind_text(write, 5, key, -1, SQLITE_STATIC);
    }
    status = fsh_sqlite_run(tokens->db, write);
    free(sealed);
    return status;
}

/* What cannot be read is a miss: it costs a refresh, and what is wrong shows there. */
static int open_row(struct tokens *tokens, struct fsh_cache_op *op, sqlite3_stmt *read)
{
    struct fsh_seal_context bound = context(op, (uint64_t)sqlite3_column_int64(read, 0),
                                            (uint64_t)sqlite3_column_int64(read, 1));
    const unsigned char *sealed = sqlite3_column_blob(read, 2);
    struct fsh_secret plain = {0};
    struct fsh_token *token = NULL;
    int status = fsh_unseal(tokens->keyring, &bound, sealed, (size_t)sqlite3_column_bytes(read, 2),
                            &plain, op->why, sizeof(op->why));

    if (status == FRESHET_OK)
        status = fsh_token_decode(&plain, op->shelf, &token);
    fsh_base_secret_done(&plain);
    if (status == FRESHET_OK && token->generation == bound.generation &&
        token->incarnation == bound.incarnation)
        op->token = token;
    else
        fsh_token_unref(token);
    return status == FRESHET_ENOMEM ? status : FRESHET_OK;
}

static int get(struct tokens *tokens, struct fsh_cache_op *op)
{
    sqlite3_stmt *read = fsh_sqlite_statement(tokens->db, FSH_SQL_TOKEN_READ);
    int code;

    op->token = NULL;
    if (!read)
        return fsh_sqlite_failed(tokens->db);
    (void)sqlite3_bind_text(read, 1, op->session, -1, SQLITE_STATIC);
    code = sqlite3_step(read);
    if (code == SQLITE_ROW)
        op->status = open_row(tokens, op, read);
    else if (code != SQLITE_DONE)
        return fsh_sqlite_failed(tokens->db);
    (void)sqlite3_reset(read);
    return FRESHET_OK;
}

static int drop(struct tokens *tokens, struct fsh_cache_op *op)
{
    sqlite3_stmt *write = fsh_sqlite_statement(tokens->db, FSH_SQL_TOKEN_DROP);

    if (write) {
        (void)sqlite3_bind_text(write, 1, op->session, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int64(write, 2, (int64_t)op->generation);
    }
    return fsh_sqlite_run(tokens->db, write);
}

static int use(struct tokens *tokens, struct fsh_cache_op *op)
{
    op->status = FRESHET_OK;
    op->why[0] = '\0';
    switch (op->kind) {
    case FSH_CACHE_PUT:
        return put(tokens, op);
    case FSH_CACHE_GET:
        return get(tokens, op);
    case FSH_CACHE_DROP:
        break;
    }
    return drop(tokens, op);
}

/* ---- many operations --------------------------------------------------------------------- */

static struct fsh_cache_op *op_of(struct fsh_post *post)
{
    return fsh_container_of(post, struct fsh_cache_op, post);
}

static int do_all(struct tokens *tokens, struct fsh_post *posts)
{
    bool writing = false;
    int status;

    for (struct fsh_post *post = posts; post; post = post->next)
        writing = writing || op_of(post)->kind != FSH_CACHE_GET;
    status = fsh_sqlite_begin(tokens->db, writing);
    if (status != FRESHET_OK)
        return status;
    if (writing)
        fsh_keyring_refresh(tokens->keyring);
    for (struct fsh_post *post = posts; status == FRESHET_OK && post; post = post->next)
        status = use(tokens, op_of(post));
    if (status == FRESHET_OK)
        return fsh_sqlite_commit(tokens->db);
    fsh_sqlite_rollback(tokens->db);
    return status;
}

static void complete(struct fsh_cache_op *op, int status, const char *why)
{
    if (status != FRESHET_OK) {
        op->status = status;
        (void)snprintf(op->why, sizeof(op->why), "%s", why);
    }
    if (op->status != FRESHET_OK && op->kind == FSH_CACHE_GET) {
        fsh_token_unref(op->token);
        op->token = NULL;
    }
    op->done(op);
}

static void group(void *data, struct fsh_post *posts)
{
    struct tokens *tokens = data;
    int status;

    fsh_sqlite_checkpoint_enter(tokens->checkpoint);
    status = do_all(tokens, posts);
    fsh_sqlite_checkpoint_leave(tokens->checkpoint, tokens->db);
    while (posts) {
        struct fsh_post *next = posts->next; /* the operation is its owner's once it is done */

        complete(op_of(posts), status, tokens->db->why);
        posts = next;
    }
}

static void idle(void *data)
{
    (void)data; /* nothing is ever put off */
}

/* ---- the contract ------------------------------------------------------------------------ */

static struct tokens *own(struct fsh_token_cache *cache)
{
    return fsh_container_of(cache, struct tokens, cache);
}

static void submit(struct fsh_token_cache *cache, struct fsh_cache_op *op)
{
    if (op->kind == FSH_CACHE_GET)
        op->token = NULL;
    fsh_sqlite_thread_submit(own(cache)->thread, &op->post);
}

static void close_cache(struct fsh_token_cache *cache)
{
    struct tokens *tokens = own(cache);

    fsh_sqlite_thread_stop(tokens->thread);
    fsh_sqlite_checkpoint_free(tokens->checkpoint);
    fsh_sqlite_close(tokens->db);
    fsh_keyring_unref(tokens->keyring);
    free(tokens);
}

int fsh_store_sqlite_tokens(const char *path, struct fsh_keyring *keyring,
                            struct fsh_token_cache **ret_cache, struct freshet_error *error)
{
    static const struct fsh_token_cache_ops ops = {submit, close_cache};
    struct tokens *tokens = calloc(1, sizeof(*tokens));
    struct fsh_sqlite_duty duty = {tokens, group, idle};
    int status;

    if (!tokens)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    tokens->cache.ops = &ops;
    tokens->keyring = fsh_keyring_ref(keyring);
    status = fsh_sqlite_open(path, &fsh_sqlite_tokens_schema, true, &tokens->db, error);
    if (status == FRESHET_OK) {
        tokens->checkpoint = fsh_sqlite_checkpoint_new(path, &fsh_sqlite_tokens_schema);
        if (!tokens->checkpoint)
            status = fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    }
    if (status == FRESHET_OK)
        status = fsh_sqlite_thread_start(&duty, &tokens->thread, error);
    if (status != FRESHET_OK) {
        close_cache(&tokens->cache);
        return status;
    }
    *ret_cache = &tokens->cache;
    return FRESHET_OK;
}
