/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_LIB_INTERNAL_H
#define FSH_LIB_INTERNAL_H

#include "engine/clock.h"
#include "engine/loop.h"
#include "engine/origin.h"
#include "lib/ask.h"

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

/* Checks that the headers may go to `url`, and finds out whether that is on this machine. */
int fsh_lib_origins_check(const struct fsh_shared_origins *shared, const char *url,
                          bool *ret_loopback, struct freshet_error *error);

struct freshet {
    /* A page that the kernel wipes in a child of fork(2): so the fast path notices a fork by one
     * load, where getpid(2) would be a system call. */
    const unsigned *alive;
    struct fsh_loop *loop;
    struct fsh_shared_origins *origins;
    struct fsh_secret_store *secrets;
    struct fsh_token_cache *tokens;
    int64_t threshold_ms;
    uint64_t boot;                    /* as fsh_clock_boot */
    struct fsh_remote_keeper *keeper; /* the sessions are its: there are no stores; or NULL */
    struct fsh_events events;
};

/* Which partner id a session's requests bear when the call names none. */
struct fsh_partner {
    char *setting; /* that the program set, or NULL */
    char *preset;  /* of the options, or NULL */
};

/* A session as the program holds it. It goes with its last reference, of which the engine has one
 * until it is `closed`. */
struct freshet_session {
    struct fsh_session engine; /* first: see struct fsh_session_options */
    struct freshet *freshet;
    struct fsh_partner *partner; /* under fsh_engine_lock; NULL: nothing is chosen */
};

#define FSH_ALIVE 0x46526573u

static inline bool fsh_lib_forked(const struct freshet *freshet)
{
    return *freshet->alive != FSH_ALIVE;
}

/* The options as this version knows them: what an older program does not know is the default.
 * FRESHET_EINVAL. */
int fsh_lib_options(const struct freshet_options *given, struct freshet_options *ret_options,
                    struct freshet_error *error);

/* FRESHET_ECONFIG: there is no such profile, and these there are. */
int fsh_lib_unknown_profile(const char *name, struct freshet_error *error);

enum freshet_phase fsh_lib_phase(enum fsh_phase phase);

/* Runs `fn(data)` on the engine's thread and returns when it is done. */
void fsh_lib_on_engine(struct freshet *freshet, void (*fn)(void *data), void *data);

/* For struct fsh_loop_options. */
void fsh_lib_session_closed(struct fsh_session *session);

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

/* Copies an optional string of the caller. FRESHET_EINVAL: it is empty or longer than `most`. */
int fsh_lib_copy_text(const char *text, size_t most, const char *what, struct fsh_secret *ret_copy,
                      struct freshet_error *error);

/* Wipes what a call was made with and what it brought, whether it was handed over or not. */
void fsh_lib_call_done(struct fsh_call *call);

/* `ret_freshness` may be NULL. */
void fsh_lib_tell(uint64_t generation, const struct fsh_freshness *token, struct fsh_mono now,
                  struct freshet_freshness *ret_freshness);

/* ---- async.c */

/* Whether this is a child of fork(2) of the process that made the queue. */
bool fsh_lib_queue_forked(const struct freshet_queue *queue);

/* Takes an operation of the queue that is no session's call, and that cannot be called off:
 * freshet_queue_free waits for its end, which must not wait for the platform. As
 * freshet_sign_in_async. */
int fsh_lib_operation_begin(struct freshet_queue *queue, freshet_done_fn *done, void *data,
                            struct freshet_operation **ret_operation, struct freshet_error *error);

/* Its end: `done` is told the status, with `why` (one sentence, or "" for the status's). Any
 * thread. */
void fsh_lib_operation_end(struct freshet_operation *operation, int status, const char *why);

/* Where a call's outcome goes: called before its `done`, with FRESHET_OK alone. */
typedef void fsh_lib_bring_fn(struct fsh_call *call, void *where);

/* Queues a call of the session's of which `kind` and `in` are set; they are moved from, whatever
 * becomes of it. `bring` may be NULL. As freshet_sign_in_async. */
int fsh_lib_call_async(struct freshet_session *session, struct fsh_call *call, int64_t timeout_ms,
                       fsh_lib_bring_fn *bring, void *where, struct freshet_queue *queue,
                       freshet_done_fn *done, void *data, struct freshet_error *error);

/* ---- session.c */

/* Looks at a session, on the engine's thread. Whether the store is still to tell what it has. */
bool fsh_lib_look(struct freshet_session *session, struct freshet_session_status *ret_status);

/* ---- events.c */

int fsh_lib_events_init(struct fsh_events *events, struct freshet_error *error);
void fsh_lib_events_done(struct fsh_events *events);

/* For struct fsh_loop_options; `data` is the struct freshet. */
void fsh_lib_event(void *data, struct fsh_session *session, const struct fsh_ledger_entry *entry);

#endif
