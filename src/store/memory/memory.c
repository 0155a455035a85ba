/* SPDX-License-Identifier: Apache-2.0 */
#include "store/memory/memory.h"

#include "base/error.h"
#include "store/codec.h"
#include "store/kept.h"

#include <freshet/status.h>
#include <pthread.h>
#include <search.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Both stores are a tree of rows by the session's name, under one lock. A row begins with its name,
 * which stands behind it in the same memory. */
struct tree {
    pthread_mutex_t lock;
    void *root;
};

/* Nothing is sealed here, but a wrong session key must open nothing, as in any store: beside what
 * it would seal stands a hash of it, zero for none. */
#define MARK_BYTES 16

struct record_row {
    const char *name;
    unsigned char mark[MARK_BYTES];
    unsigned char record[FSH_CODEC_BYTES]; /* written as any store writes it */
    struct fsh_kept kept;
    struct fsh_secret label;
};

struct token_row {
    const char *name;
    unsigned char mark[MARK_BYTES];
    struct fsh_token *token;
};

struct secrets {
    struct fsh_secret_store store;
    struct tree tree;
};

struct tokens {
    struct fsh_token_cache cache;
    struct tree tree;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The row of that name, or NULL. */
static void *find(struct tree *tree, const char *name)
{
    void **found = tfind(&name, &tree->root, by_name);

    return found ? *found : NULL;
}

/* A row of `size` bytes, zero but for its name; NULL without memory. */
static void *add(struct tree *tree, const char *name, size_t size)
{
    size_t len = strlen(name) + 1;
    char *row = calloc(1, size + len);

    if (!row)
        return NULL;
    *(const char **)(void *)row = memcpy(row + size, name, len);
    if (tsearch(row, &tree->root, by_name))
        return row;
    free(row);
    return NULL;
}

static void tree_done(struct tree *tree, void (*row_free)(void *row))
{
    tdestroy(tree->root, row_free);
    (void)pthread_mutex_destroy(&tree->lock);
}

static void record_row_free(void *data)
{
    struct record_row *row = data;

    fsh_store_kept_done(&row->kept);
    fsh_base_secret_done(&row->label);
    free(row);
}

static void token_row_free(void *data)
{
    struct token_row *row = data;

    fsh_token_unref(row->token);
    free(row);
}

static struct record_row *record_row(struct tree *tree, const char *name)
{
    struct record_row *row = add(tree, name, sizeof(*row));

    if (row)
        fsh_store_encode(&(struct fsh_record){0}, row->record);
    return row;
}

static void mark(const unsigned char *session_key, unsigned char ret_mark[MARK_BYTES])
{
    memset(ret_mark, 0, MARK_BYTES);
    if (session_key)
        (void)crypto_generichash(ret_mark, MARK_BYTES, session_key, FSH_SESSION_KEY, NULL, 0);
}

static bool opens(const unsigned char *session_key, const unsigned char row_mark[MARK_BYTES])
{
    unsigned char own[MARK_BYTES];

    mark(session_key, own);
    return sodium_memcmp(own, row_mark, MARK_BYTES) == 0;
}

/* What becomes of a row's secrets, with the session key that they are under. */
static int keep(struct record_row *row, struct fsh_store_op *op)
{
    enum fsh_change_kind kind = op->change.kind;
    int status;

    if (op->verdict != FSH_VERDICT_DONE)
        return FRESHET_OK;
    if (fsh_kept_needed(op, !fsh_base_secret_empty(&row->kept.device_key)) &&
        !fsh_kept_empty(&row->kept) && !opens(op->session_key, row->mark)) {
        if (kind != FSH_CHANGE_SIGN_OUT) {
            (void)snprintf(op->why, sizeof(op->why),
                           "the session is its owner's alone, who did "
                           "not come along; sign in again");
            return FRESHET_ESTORE;
        }
        fsh_store_kept_done(&row->kept);
    }
    status = fsh_store_keep(&row->kept, op);
    if (status == FRESHET_OK && fsh_kept_concerns(kind) && kind != FSH_CHANGE_LEASE)
        mark(op->session_key, row->mark);
    return status;
}

/* What leaves no row behind where there is none. */
static bool of_rows_alone(enum fsh_change_kind kind)
{
    return kind == FSH_CHANGE_READ || kind == FSH_CHANGE_LABEL || kind == FSH_CHANGE_REMOVE;
}

static int put_label(struct record_row *row, const struct fsh_store_op *op)
{
    struct fsh_secret label = {0};
    int status = fsh_base_secret_copy(op->label, op->label_len, &label);

    if (status == FRESHET_OK)
        fsh_base_secret_move(&row->label, &label);
    return status;
}

static int take_effect(struct tree *tree, struct record_row *row, struct fsh_store_op *op)
{
    int status = keep(row, op);

    if (status != FRESHET_OK || op->verdict != FSH_VERDICT_DONE)
        return status;
    if (op->change.kind == FSH_CHANGE_LABEL)
        return put_label(row, op);
    if (op->change.kind == FSH_CHANGE_REMOVE) {
        (void)tdelete(row, &tree->root, by_name);
        record_row_free(row);
        return FRESHET_OK;
    }
    fsh_store_encode(&op->record, row->record);
    return FRESHET_OK;
}

static void apply(struct tree *tree, struct fsh_store_op *op)
{
    struct record_row *row = find(tree, op->session);

    op->status = FRESHET_OK;
    op->why[0] = '\0';
    op->record = (struct fsh_record){0};
    if (!row && !of_rows_alone(op->change.kind)) {
        row = record_row(tree, op->session);
        op->status = row ? FRESHET_OK : FRESHET_ENOMEM;
    }
    if (row)
        op->status = fsh_store_decode(row->record, FSH_CODEC_BYTES, &op->record);
    if (op->status != FRESHET_OK)
        return;
    op->verdict = fsh_core_record_apply(&op->record, &op->change, op->now);
    if (row)
        op->status = take_effect(tree, row, op);
    if (op->status == FRESHET_OK)
        op->unresolved_ms = fsh_core_record_unresolved_ms(&op->record, op->change.attempt, op->now);
}

static void secrets_submit(struct fsh_secret_store *store, struct fsh_store_op *op)
{
    struct secrets *secrets = fsh_container_of(store, struct secrets, store);

    (void)pthread_mutex_lock(&secrets->tree.lock);
    apply(&secrets->tree, op);
    (void)pthread_mutex_unlock(&secrets->tree.lock);
    op->done(op);
}

struct listing {
    const char *prefix;
    int (*each)(void *data, const struct fsh_stored *session);
    void *data;
    int status;
};

static void list_row(const void *node, VISIT visit, void *data)
{
    const struct record_row *row = *(const struct record_row *const *)node;
    struct listing *listing = data;
    struct fsh_record record;
    struct fsh_stored session = {.name = row->name, .record = &record};

    if ((visit != postorder && visit != leaf) || listing->status != FRESHET_OK ||
        strncmp(row->name, listing->prefix, strlen(listing->prefix)) != 0 ||
        fsh_store_decode(row->record, FSH_CODEC_BYTES, &record) != FRESHET_OK)
        return;
    if (!fsh_base_secret_empty(&row->label)) {
        session.label = fsh_base_secret_reveal(&row->label);
        session.label_len = row->label.len;
    }
    listing->status = listing->each(listing->data, &session);
}

static int secrets_list(struct fsh_secret_store *store, const char *prefix,
                        int (*each)(void *data, const struct fsh_stored *session), void *data,
                        struct freshet_error *error)
{
    struct secrets *secrets = fsh_container_of(store, struct secrets, store);
    struct listing listing = {.prefix = prefix, .each = each, .data = data};

    (void)pthread_mutex_lock(&secrets->tree.lock);
    twalk_r(secrets->tree.root, list_row, &listing);
    (void)pthread_mutex_unlock(&secrets->tree.lock);
    if (listing.status == FRESHET_ENOMEM)
        (void)fsh_base_fail(error, listing.status, NULL);
    return listing.status;
}

static void secrets_close(struct fsh_secret_store *store)
{
    struct secrets *secrets = fsh_container_of(store, struct secrets, store);

    tree_done(&secrets->tree, record_row_free);
    free(secrets);
}

static void replace(struct token_row *row, struct fsh_token *token)
{
    fsh_token_unref(row->token);
    row->token = token;
}

static void put(struct token_row *row, struct fsh_cache_op *op)
{
    if (row->token && row->token->generation > op->token->generation)
        return;
    replace(row, op->token);
    mark(op->session_key, row->mark);
    op->token = NULL;
}

static void use(struct tree *tree, struct fsh_cache_op *op)
{
    struct token_row *row = find(tree, op->session);

    op->status = FRESHET_OK;
    if (op->kind == FSH_CACHE_PUT) {
        row = row ? row : add(tree, op->session, sizeof(*row));
        if (row)
            put(row, op);
        else
            op->status = FRESHET_ENOMEM;
    } else if (op->kind == FSH_CACHE_GET) {
        op->token = row && opens(op->session_key, row->mark) ? fsh_token_ref(row->token) : NULL;
    } else if (row && row->token && row->token->generation <= op->generation) {
        replace(row, NULL);
    }
}

static void tokens_submit(struct fsh_token_cache *cache, struct fsh_cache_op *op)
{
    struct tokens *tokens = fsh_container_of(cache, struct tokens, cache);

    (void)pthread_mutex_lock(&tokens->tree.lock);
    use(&tokens->tree, op);
    (void)pthread_mutex_unlock(&tokens->tree.lock);
    op->done(op);
}

static void tokens_close(struct fsh_token_cache *cache)
{
    struct tokens *tokens = fsh_container_of(cache, struct tokens, cache);

    tree_done(&tokens->tree, token_row_free);
    free(tokens);
}

static const struct fsh_secret_store_ops secrets_ops = {
    .submit = secrets_submit,
    .close = secrets_close,
    .list = secrets_list,
};
static const struct fsh_token_cache_ops tokens_ops = {tokens_submit, tokens_close};

int fsh_store_memory_secrets(struct fsh_secret_store **ret_store, struct freshet_error *error)
{
    struct secrets *secrets = calloc(1, sizeof(*secrets));

    if (!secrets)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    (void)pthread_mutex_init(&secrets->tree.lock, NULL);
    secrets->store.ops = &secrets_ops;
    *ret_store = &secrets->store;
    return FRESHET_OK;
}

int fsh_store_memory_tokens(struct fsh_token_cache **ret_cache, struct freshet_error *error)
{
    struct tokens *tokens = calloc(1, sizeof(*tokens));

    if (!tokens)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    (void)pthread_mutex_init(&tokens->tree.lock, NULL);
    tokens->cache.ops = &tokens_ops;
    *ret_cache = &tokens->cache;
    return FRESHET_OK;
}
