/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_STORES_H
#define TESTS_STORES_H

#include "store/keyring.h"
#include "store/store.h"
#include "unit.h"

/* What the tests of the stores begin with: a folder of their own, keys, and stores in it. */
struct stores {
    const char *kind; /* "memory:" or "sqlite:" */
    char folder[64];
    char secrets_path[96];
    char tokens_path[96];
    struct fsh_keyring *keyring;
    struct fsh_secret_store *secrets;
    struct fsh_token_cache *tokens;
};

/* Makes the folder and opens the stores; and the other way round. */
void stores_begin(struct stores *stores, const char *kind);
void stores_end(struct stores *stores);

/* They do what a restart does. */
void stores_open(struct stores *stores);
void stores_close(struct stores *stores);

/* Opens one store more on the same file; the status, with the sentence in *ret_error. */
int secrets_open(const struct stores *stores, struct fsh_secret_store **ret_store,
                 struct freshet_error *ret_error);
int tokens_open(const struct stores *stores, struct fsh_token_cache **ret_cache,
                struct freshet_error *ret_error);

/* A change of `session` by the engine `holder`, as of what `record` says; NULL for a new one. */
struct fsh_store_op change(const char *session, enum fsh_change_kind kind, uint64_t holder,
                           const struct fsh_record *record);

struct fsh_secret secret(const char *text);

/* Submits and waits. */
void submit(struct fsh_secret_store *store, struct fsh_store_op *op);
void use(struct fsh_token_cache *cache, struct fsh_cache_op *op);

/* Reads the record. */
struct fsh_record look(struct fsh_secret_store *store, const char *session);

/* Signs in: a lease and its commit, with what comes along; "" for nothing. */
void sign_in(struct fsh_secret_store *store, const char *session, const char *refresh_token,
             const char *device_key);

/* The status of a lease, for a refresh or a sign-in, which is given back at once. What it handed
 * out is in *ret_kept, if that is not NULL. */
int lease(struct fsh_secret_store *store, const char *session, enum fsh_purpose purpose,
          struct fsh_kept *ret_kept, char ret_why[FSH_WHY_MAX]);

/* Whether a lease for a refresh hands out that token. */
bool hands_out(struct fsh_secret_store *store, const char *session, const char *refresh_token);

/* Puts a token into the cache; gets it: its generation, 0 for a miss. */
void put(struct fsh_token_cache *cache, const char *session, uint64_t generation);
uint64_t get(struct fsh_token_cache *cache, const char *session);

#endif
