/* SPDX-License-Identifier: Apache-2.0 */
#include "stores.h"

#include <dirent.h>
#include <freshet/status.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct waiting_op {
    struct fsh_store_op op;
    sem_t done;
};

struct waiting_use {
    struct fsh_cache_op op;
    sem_t done;
};

static const unsigned char key[32] = {7, 1, 4};

void stores_open(struct stores *stores)
{
    struct freshet_error error = {0};

    if (secrets_open(stores, &stores->secrets, &error) != FRESHET_OK ||
        tokens_open(stores, &stores->tokens, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
}

void stores_close(struct stores *stores)
{
    if (stores->secrets)
        stores->secrets->ops->close(stores->secrets);
    if (stores->tokens)
        stores->tokens->ops->close(stores->tokens);
    stores->secrets = NULL;
    stores->tokens = NULL;
}

void stores_begin(struct stores *stores, const char *kind)
{
    const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";

    memset(stores, 0, sizeof(*stores));
    stores->kind = kind;
    (void)snprintf(stores->folder, sizeof(stores->folder), "%s/freshet-test-XXXXXX",
                   access(base, W_OK) == 0 ? base : "/tmp");
    assert_non_null(mkdtemp(stores->folder));
    (void)snprintf(stores->secrets_path, sizeof(stores->secrets_path), "%s/secrets.db",
                   stores->folder);
    (void)snprintf(stores->tokens_path, sizeof(stores->tokens_path), "%s/tokens.db",
                   stores->folder);
    assert_int_equal(fsh_keyring_fixed(key, &stores->keyring), FRESHET_OK);
    stores_open(stores);
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[400];

    while (dir && (entry = readdir(dir))) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        (void)unlink(path);
    }
    if (dir)
        (void)closedir(dir);
    (void)rmdir(folder);
}

void stores_end(struct stores *stores)
{
    stores_close(stores);
    fsh_keyring_unref(stores->keyring);
    remove_folder(stores->folder);
}

int secrets_open(const struct stores *stores, struct fsh_secret_store **ret_store,
                 struct freshet_error *ret_error)
{
    char where[128];
    struct fsh_store_options options = {where, stores->keyring};

    (void)snprintf(where, sizeof(where), "%s%s", stores->kind,
                   strcmp(stores->kind, "memory:") == 0 ? "" : stores->secrets_path);
    return fsh_store_secrets_open(&options, ret_store, ret_error);
}

int tokens_open(const struct stores *stores, struct fsh_token_cache **ret_cache,
                struct freshet_error *ret_error)
{
    char where[128];
    struct fsh_store_options options = {where, stores->keyring};

    (void)snprintf(where, sizeof(where), "%s%s", stores->kind,
                   strcmp(stores->kind, "memory:") == 0 ? "" : stores->tokens_path);
    return fsh_store_tokens_open(&options, ret_cache, ret_error);
}

struct fsh_store_op change(const char *session, enum fsh_change_kind kind, uint64_t holder,
                           const struct fsh_record *record)
{
    struct fsh_store_op op = {
        .session = session,
        .change = {.kind = kind, .holder = holder, .attempt = holder * 2 + 1, .hold = false},
        .now = {1000, 1},
    };

    if (record) {
        op.change.incarnation = record->incarnation;
        op.change.generation = record->generation;
        op.change.reserved = record->lease.generation;
    }
    return op;
}

struct fsh_secret secret(const char *text)
{
    struct fsh_secret copy = {0};

    assert_int_equal(fsh_base_secret_copy(text, strlen(text), &copy), FRESHET_OK);
    return copy;
}

static void op_done(struct fsh_store_op *op)
{
    (void)sem_post(&fsh_container_of(op, struct waiting_op, op)->done);
}

void submit(struct fsh_secret_store *store, struct fsh_store_op *op)
{
    struct waiting_op waiting = {.op = *op};

    waiting.op.done = op_done;
    (void)sem_init(&waiting.done, 0, 0);
    store->ops->submit(store, &waiting.op);
    (void)sem_wait(&waiting.done);
    (void)sem_destroy(&waiting.done);
    *op = waiting.op;
}

static void use_done(struct fsh_cache_op *op)
{
    (void)sem_post(&fsh_container_of(op, struct waiting_use, op)->done);
}

void use(struct fsh_token_cache *cache, struct fsh_cache_op *op)
{
    struct waiting_use waiting = {.op = *op};

    waiting.op.done = use_done;
    (void)sem_init(&waiting.done, 0, 0);
    cache->ops->submit(cache, &waiting.op);
    (void)sem_wait(&waiting.done);
    (void)sem_destroy(&waiting.done);
    *op = waiting.op;
}

struct fsh_record look(struct fsh_secret_store *store, const char *session)
{
    struct fsh_store_op op = change(session, FSH_CHANGE_READ, 9, NULL);

    submit(store, &op);
    if (op.status != FRESHET_OK)
        fail_msg("%s", op.why);
    return op.record;
}

void sign_in(struct fsh_secret_store *store, const char *session, const char *refresh_token,
             const char *device_key)
{
    struct fsh_record record = look(store, session);
    struct fsh_store_op op = change(session, FSH_CHANGE_LEASE, 1, &record);

    op.change.purpose = FSH_PURPOSE_SIGN_IN;
    submit(store, &op);
    assert_int_equal(op.status, FRESHET_OK);
    assert_int_equal(op.verdict, FSH_VERDICT_DONE);
    fsh_store_kept_done(&op.kept);
    op = change(session, FSH_CHANGE_COMMIT, 1, &op.record);
    op.change.purpose = FSH_PURPOSE_SIGN_IN;
    op.change.refreshable = refresh_token[0] != '\0';
    op.kept.refresh_token = secret(refresh_token);
    op.kept.device_key = secret(device_key);
    op.kept.device_group_key = secret(device_key);
    submit(store, &op);
    assert_int_equal(op.status, FRESHET_OK);
    assert_int_equal(op.verdict, FSH_VERDICT_DONE);
    fsh_store_kept_done(&op.kept);
}

int lease(struct fsh_secret_store *store, const char *session, enum fsh_purpose purpose,
          struct fsh_kept *ret_kept, char ret_why[FSH_WHY_MAX])
{
    struct fsh_record record = look(store, session);
    struct fsh_store_op op = change(session, FSH_CHANGE_LEASE, 1, &record);
    struct fsh_store_op back = change(session, FSH_CHANGE_RELEASE, 1, &record);

    op.change.purpose = purpose;
    back.change.purpose = purpose;
    back.change.resolved = true;
    submit(store, &op);
    if (ret_kept)
        *ret_kept = op.kept;
    else
        fsh_store_kept_done(&op.kept);
    if (ret_why)
        memcpy(ret_why, op.why, sizeof(op.why));
    if (op.status != FRESHET_OK)
        return op.status;
    assert_int_equal(op.verdict, FSH_VERDICT_DONE);
    submit(store, &back);
    assert_int_equal(back.status, FRESHET_OK);
    return FRESHET_OK;
}

bool hands_out(struct fsh_secret_store *store, const char *session, const char *refresh_token)
{
    struct fsh_kept kept = {0};
    bool same;

    assert_int_equal(lease(store, session, FSH_PURPOSE_REFRESH, &kept, NULL), FRESHET_OK);
    same = strcmp(fsh_base_secret_reveal(&kept.refresh_token), refresh_token) == 0;
    assert_true(fsh_base_secret_empty(&kept.device_key));
    fsh_store_kept_done(&kept);
    return same;
}

void put(struct fsh_token_cache *cache, const char *session, uint64_t generation)
{
    static char partner[] = "fd42";
    char *const partners[] = {partner};
    struct fsh_secret value = secret("Bearer x");
    struct fsh_cache_op op = {.session = session, .kind = FSH_CACHE_PUT};

    assert_int_equal(fsh_token_new(NULL, 1, generation, (struct fsh_stamp){5, 1}, 1000, &value,
                                   "X-Preferred-Partner-Id", partners, 1, &op.token),
                     FRESHET_OK);
    use(cache, &op);
    assert_int_equal(op.status, FRESHET_OK);
    fsh_token_unref(op.token);
}

uint64_t get(struct fsh_token_cache *cache, const char *session)
{
    struct fsh_cache_op op = {.session = session, .kind = FSH_CACHE_GET};
    uint64_t generation;

    use(cache, &op);
    assert_int_equal(op.status, FRESHET_OK);
    generation = op.token ? op.token->generation : 0;
    fsh_token_unref(op.token);
    return generation;
}
