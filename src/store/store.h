/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_STORE_H
#define FSH_STORE_STORE_H

#include "base/bounds.h"
#include "base/post.h"
#include "base/secret.h"
#include "core/record.h"
#include "store/token.h"

#include <freshet/error.h>

/* Two contracts, because a refresh token must not live where access tokens do.
 *
 * Both are asynchronous. The engine submits an operation, which it owns and keeps in place until
 * the store has called its `done`: on any thread, perhaps before submit returns, exactly once. A
 * store completes the operations of one session in the order of their submission, and its effects
 * are durable before it says so. It never waits for the engine. */

/* The secrets that stand beside a record. Empty ones are absent. */
struct fsh_kept {
    struct fsh_secret refresh_token;
    struct fsh_secret device_key;
    struct fsh_secret device_group_key;
};

void fsh_store_kept_done(struct fsh_kept *kept);

/* One change of one record. */
struct fsh_store_op {
    struct fsh_post post; /* for whoever brings it back to the engine */
    void (*done)(struct fsh_store_op *op);
    const char *session; /* its name; borrowed until done */
    /* FSH_SESSION_KEY bytes that only the session's owner carries, and that its secrets are sealed
     * with besides the store's key; NULL for none. Borrowed until done. */
    const unsigned char *session_key;
    struct fsh_change change;
    const void *label; /* LABEL: its bytes, FSH_LABEL_MAX at the most; borrowed until done */
    size_t label_len;
    struct fsh_stamp now;     /* of this host; a store with a clock of its own
                                 (a database of many hosts) uses that */
    struct fsh_kept kept;     /* in: comes with a COMMIT; out: of a LEASE */
    int status;               /* out: FRESHET_OK, or FRESHET_ESTORE and the like */
    enum fsh_verdict verdict; /* out */
    struct fsh_record record; /* out: as it now is */
    int64_t unresolved_ms;    /* out: fsh_core_record_unresolved_ms */
    char why[FSH_WHY_MAX];    /* out, with another status than FRESHET_OK: one sentence, or "" */
};

struct fsh_secret_store;

/* One entry of the ledger as it is kept with the session. Names are text, so that programs of
 * several versions may share a store. */
struct fsh_note_row {
    uint64_t writer; /* the engine */
    uint64_t number; /* the engine's own, of the entry: the same again replaces `times` */
    int64_t at_ms;   /* since 1970 */
    char name[32];
    int status;
    int64_t value;
    uint64_t times;
};

/* A session of a store, as it is listed: valid during the call that it is handed to. */
struct fsh_stored {
    const char *name;
    const struct fsh_record *record;
    const void *label; /* NULL without one, and when it does not open */
    size_t label_len;
    const char *unopened; /* why the label that is there does not open; else NULL */
};

/* That are kept of a session. */
#define FSH_NOTES_KEPT 64

struct fsh_secret_store_ops {
    void (*submit)(struct fsh_secret_store *store, struct fsh_store_op *op);
    /* All operations are done, and none is submitted any more. */
    void (*close)(struct fsh_secret_store *store);
    /* Keeps an entry of the ledger, soon, and at the latest when the store is closed. It may be
     * lost with the process. Any thread; never waits. NULL in a store that keeps none. */
    void (*note)(struct fsh_secret_store *store, const char *session,
                 const struct fsh_note_row *row);
    /* Reads the latest entries of a session that were kept, the oldest first, at most `room`. Waits
     * for the store. Any thread. NULL in a store that keeps none. */
    int (*read_notes)(struct fsh_secret_store *store, const char *session,
                      struct fsh_note_row *ret_rows, size_t room, size_t *ret_count);
    /* Hands each session whose name begins with `prefix` to `each`, with its label, in the order of
     * their names, until it returns something else than FRESHET_OK, which is returned. `each` must
     * not use the store. Waits for the store. Any thread. */
    int (*list)(struct fsh_secret_store *store, const char *prefix,
                int (*each)(void *data, const struct fsh_stored *session), void *data,
                struct freshet_error *error);
};

struct fsh_secret_store {
    const struct fsh_secret_store_ops *ops;
};

/* What becomes of the secrets beside a record with a change that took effect: the same in every
 * store. `kept` is what stands there; `op->kept` is given and taken as fsh_change_kind says.
 * FRESHET_ENOMEM leaves `kept` as it was. */
int fsh_store_keep(struct fsh_kept *kept, struct fsh_store_op *op);

enum fsh_cache_kind { FSH_CACHE_PUT, FSH_CACHE_GET, FSH_CACHE_DROP };

/* One use of the token cache. The cache may forget at any time: a miss costs a refresh. It never
 * goes back: a PUT of an older generation than it has is ignored, and so is a DROP. */
struct fsh_cache_op {
    struct fsh_post post;
    void (*done)(struct fsh_cache_op *op);
    const char *session;
    const unsigned char *session_key; /* as in struct fsh_store_op */
    enum fsh_cache_kind kind;
    struct fsh_token *token; /* PUT: a reference, the operation's; GET: out, likewise, or NULL */
    struct fsh_shelf *shelf; /* GET: for a token that is made of what was stored; or NULL */
    uint64_t generation;     /* DROP: that one and any older */
    int status;              /* out */
    char why[FSH_WHY_MAX];   /* out, as in struct fsh_store_op */
};

struct fsh_token_cache;

struct fsh_token_cache_ops {
    void (*submit)(struct fsh_token_cache *cache, struct fsh_cache_op *op);
    void (*close)(struct fsh_token_cache *cache);
};

struct fsh_token_cache {
    const struct fsh_token_cache_ops *ops;
};

struct fsh_keyring;

struct fsh_store_options {
    const char *where;           /* "memory:", or "sqlite:" and the path of a file */
    struct fsh_keyring *keyring; /* a reference is taken; NULL for none: memory: needs none */
};

/* Opens what a configuration names: "memory:" lives as long as it is open. FRESHET_ECONFIG for
 * what is no store, for sqlite: without keys, and for a file that others may read; FRESHET_ESTORE
 * for one that cannot be used for now, is damaged, or was written by a newer version. */
int fsh_store_secrets_open(const struct fsh_store_options *options,
                           struct fsh_secret_store **ret_store, struct freshet_error *error);
int fsh_store_tokens_open(const struct fsh_store_options *options,
                          struct fsh_token_cache **ret_cache, struct freshet_error *error);

/* Whether a store of that name seals what it keeps, and so needs keys. */
bool fsh_store_seals(const char *where);

/* Hands each session that the secret store at `where` knows to `each`, in the order of their names,
 * until it returns something else than FRESHET_OK, which is returned. Needs no key. A store that is
 * not there yet knows none. */
int fsh_store_sessions(const char *where,
                       int (*each)(void *data, const char *name, const struct fsh_record *record),
                       void *data, struct freshet_error *error);

#endif
