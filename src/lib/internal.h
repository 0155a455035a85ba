/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_LIB_INTERNAL_H
#define FSH_LIB_INTERNAL_H

#include "engine/clock.h"
#include "engine/loop.h"
#include "engine/origin.h"

#include <freshet/freshet.h>
#include <pthread.h>
#include <semaphore.h>

#define FSH_EVENTS 256

/* Events that wait to be taken. */
struct fsh_events {
    pthread_mutex_t lock;
    int fd; /* an eventfd: readable while `count` is not 0 */
    unsigned first;
    unsigned count;
    uint64_t lost;
    struct freshet_event ring[FSH_EVENTS];
};

/* The origins of a handle, shared with the transfers that outlive it. */
struct fsh_shared_origins {
    atomic_uint references;
    struct fsh_origins origins;
};

struct fsh_shared_origins *fsh_lib_origins_ref(struct fsh_shared_origins *shared);

/* NULL is allowed. */
void fsh_lib_origins_unref(struct fsh_shared_origins *shared);

struct freshet {
    /* A page that the kernel wipes in a child of fork(2): so the fast path notices a fork by one
     * load, where getpid(2) would be a system call. */
    const unsigned *alive;
    struct fsh_loop *loop;
    struct fsh_shared_origins *origins;
    struct fsh_secret_store *secrets;
    struct fsh_token_cache *tokens;
    int64_t threshold_ms;
    struct fsh_events events;
};

/* The program's half of a session. It goes with its last reference, one of which is the engine's
 * half; after `closed` only the fields below it may be used. */
struct freshet_session {
    struct freshet *freshet;
    struct fsh_session *engine;
    atomic_bool closed;
    atomic_uint references;
    char *name;
    char *preset; /* partner id of the options, or NULL */
    pthread_mutex_t lock;
    char *setting; /* partner id that the program set, or NULL */
};

#define FSH_ALIVE 0x46526573u

static inline bool fsh_lib_forked(const struct freshet *freshet)
{
    return *freshet->alive != FSH_ALIVE;
}

/* Runs `fn(data)` on the engine's thread and returns when it is done. */
void fsh_lib_on_engine(struct freshet *freshet, void (*fn)(void *data), void *data);

struct freshet_session *fsh_lib_session_ref(struct freshet_session *session);
void fsh_lib_session_unref(struct freshet_session *session);

/* ---- calls: the fields kind, in and min_valid_ms are set by the makers below ---- */

/* Hands a call whose `done` is set to the engine. timeout_ms as in struct freshet_demand. */
void fsh_lib_submit(struct freshet_session *session, struct fsh_call *call, int64_t timeout_ms);

/* Hands a call to the engine and waits for its end. Returns call->status, and fills `error`. */
int fsh_lib_call(struct freshet_session *session, struct fsh_call *call, int64_t timeout_ms,
                 struct freshet_error *error);

void fsh_lib_make_ensure(const struct freshet_demand *demand, struct fsh_call *call);
int fsh_lib_make_sign_in(struct freshet_session *session, const char *username,
                         const char *password, struct fsh_call *call, struct freshet_error *error);
int fsh_lib_make_mfa(const char *code, bool remember_device, struct fsh_call *call,
                     struct freshet_error *error);
int fsh_lib_make_new_password(const char *new_password, struct fsh_call *call,
                              struct freshet_error *error);

/* Wipes what a call was made with and what it brought, whether it was handed over or not. */
void fsh_lib_call_done(struct fsh_call *call);

/* Whether the token in force does for the demand: the fast path. Sees to a refresh below the
 * threshold. */
bool fsh_lib_at_hand(struct freshet_session *session, const struct freshet_demand *demand,
                     struct freshet_freshness *ret_freshness);

/* `ret_freshness` may be NULL. */
void fsh_lib_tell(uint64_t generation, const struct fsh_freshness *token, struct fsh_mono now,
                  struct freshet_freshness *ret_freshness);

/* ---- async.c */

/* Whether this is a child of fork(2) of the process that made the queue. */
bool fsh_lib_queue_forked(const struct freshet_queue *queue);

/* ---- events.c */

int fsh_lib_events_init(struct fsh_events *events, struct freshet_error *error);
void fsh_lib_events_done(struct fsh_events *events);

/* For struct fsh_loop_options; `data` is the struct freshet. */
void fsh_lib_event(void *data, struct fsh_session *session, const struct fsh_ledger_entry *entry);

/* Copies an optional string of the caller's. FRESHET_EINVAL when it is longer than `most`. */
int fsh_lib_copy_text(const char *text, size_t most, const char *what, struct fsh_secret *ret_copy,
                      struct freshet_error *error);

#endif
