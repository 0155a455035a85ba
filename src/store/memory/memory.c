/* SPDX-License-Identifier: Apache-2.0 */
#include "store/memory/memory.h"

#include "base/error.h"

#include <freshet/status.h>
#include <pthread.h>
#include <search.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Both stores are a tree of entries by the session's name, under one lock. */
struct tree {
    pthread_mutex_t lock;
    void *root;
};

struct entry {
    char *name;
    struct fsh_record record;
    struct fsh_kept kept;
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
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static void entry_free(void *node)
{
    struct entry *entry = node;

    fsh_store_kept_done(&entry->kept);
    fsh_token_unref(entry->token);
    free(entry->name);
    free(entry);
}

static struct entry *entry_new(const char *name)
{
    struct entry *entry = calloc(1, sizeof(*entry));

    if (!entry)
        return NULL;
    entry->name = strdup(name);
    if (!entry->name) {
        free(entry);
        return NULL;
    }
    return entry;
}

/* The entry of that name, made when there is none; NULL without memory. */
static struct entry *find_or_add(struct tree *tree, const char *name)
{
    struct entry *entry = entry_new(name);
    struct entry **found;

    if (!entry)
        return NULL;
    found = tsearch(entry, &tree->root, by_name);
    if (!found || *found != entry)
        entry_free(entry);
    return found ? *found : NULL;
}

static void tree_done(struct tree *tree)
{
    tdestroy(tree->root, entry_free);
    (void)pthread_mutex_destroy(&tree->lock);
}

static void apply(struct tree *tree, struct fsh_store_op *op)
{
    struct entry *entry = find_or_add(tree, op->session);
    struct fsh_record record;

    op->status = FRESHET_ENOMEM;
    if (!entry)
        return;
    record = entry->record;
    op->verdict = fsh_core_record_apply(&record, &op->change, op->now);
    op->status = fsh_store_keep(&entry->kept, op);
    if (op->status != FRESHET_OK)
        return;
    if (op->verdict == FSH_VERDICT_DONE)
        entry->record = record;
    op->record = entry->record;
    op->unresolved_ms = fsh_core_record_unresolved_ms(&record, op->change.attempt, op->now);
}

static void secrets_submit(struct fsh_secret_store *store, struct fsh_store_op *op)
{
    struct secrets *secrets = fsh_container_of(store, struct secrets, store);

    (void)pthread_mutex_lock(&secrets->tree.lock);
    apply(&secrets->tree, op);
    (void)pthread_mutex_unlock(&secrets->tree.lock);
    op->done(op);
}

static void secrets_close(struct fsh_secret_store *store)
{
    struct secrets *secrets = fsh_container_of(store, struct secrets, store);

    tree_done(&secrets->tree);
    free(secrets);
}

static void use(struct tree *tree, struct fsh_cache_op *op)
{
    struct entry *entry = find_or_add(tree, op->session);

    op->status = entry ? FRESHET_OK : FRESHET_ENOMEM;
    if (!entry)
        return;
    if (op->kind == FSH_CACHE_GET) {
        op->token = fsh_token_ref(entry->token);
        return;
    }
    fsh_token_unref(entry->token);
    entry->token = op->kind == FSH_CACHE_PUT ? op->token : NULL;
    op->token = NULL;
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

    tree_done(&tokens->tree);
    free(tokens);
}

static const struct fsh_secret_store_ops secrets_ops = {secrets_submit, secrets_close};
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
