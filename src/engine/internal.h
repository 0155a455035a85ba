/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_ENGINE_INTERNAL_H
#define FSH_ENGINE_INTERNAL_H

#include "engine/engine.h"
#include "engine/meter.h"

/* What the files of the engine share. */

struct fsh_shared_policy {
    struct fsh_policy policy;
    SLIST_ENTRY(fsh_shared_policy) in_engine;
};

/* Few enough to cost nothing, and enough that threads seldom meet. */
#define FSH_LOCKS 16

/* Far enough apart that two never share a cache line, wherever malloc puts the engine. */
#define FSH_LOCK_BYTES 128

struct fsh_engine {
    struct fsh_engine_options options;
    struct fsh_io io;
    struct fsh_gate gate;
    struct fsh_shelf *shelf; /* of sessions and their tokens */
    struct fsh_heap timers;  /* of sessions and of calls */
    size_t timer_count;      /* that may be set at once */
    uint32_t sessions_made;
    bool gate_opened;
    LIST_HEAD(, fsh_session) sessions;
    LIST_HEAD(, fsh_active) active;
    SLIST_HEAD(, fsh_active) touched; /* those that may have come to rest, or to their end */
    SLIST_HEAD(, fsh_shared_policy) policies;
    union {
        pthread_mutex_t lock;
        char apart[FSH_LOCK_BYTES];
    } locks[FSH_LOCKS]; /* see fsh_engine_lock */
    struct fsh_ledger ledger;
    struct fsh_meter meter;
};

struct fsh_now fsh_engine_now(const struct fsh_engine *engine);

/* Carries out what the core decided, asks for waiting callers again where that is due, and sets the
 * session's timer. */
void fsh_engine_carry_out(struct fsh_active *active, const struct fsh_effects *fx);

/* `token`, of which a reference is taken over, is in force from now on; NULL: none is. Who said
 * that it ran low has been heeded. */
void fsh_engine_put_in_force(struct fsh_session *session, struct fsh_token *token,
                             struct fsh_mono sent_at, int64_t lifetime_ms);

/* The flight that a poke led to is over. */
void fsh_engine_unheed(struct fsh_session *session);

/* Writes the ledger, and tells the program. */
void fsh_engine_note(struct fsh_session *session, enum fsh_note_kind note, int status,
                     int64_t value);

/* Wipes what a flight held. */
void fsh_engine_forget(struct fsh_active *active);

/* ---- session.c */

/* What its owner's secrets are sealed with besides; NULL for none. */
static inline const unsigned char *fsh_engine_session_key(const struct fsh_session *session)
{
    return session->keyed ? (const unsigned char *)session->name - FSH_SESSION_KEY : NULL;
}

/* NULL at rest. */
static inline struct fsh_active *fsh_engine_active(const struct fsh_session *session)
{
    return session->resting ? NULL : session->active;
}

/* Makes it active, if it is not, until fsh_engine_settle, and does what other threads have said.
 * NULL without memory: its timer tries again. */
struct fsh_active *fsh_engine_heed(struct fsh_session *session);

/* It may have come to rest, or to its end: fsh_engine_settle is to look. */
void fsh_engine_touch(struct fsh_active *active);

/* Folds away what is at rest, and ends what was closed. Nobody holds a session meanwhile. */
void fsh_engine_settle(struct fsh_engine *engine);

/* The session's timer rings. */
void fsh_engine_session_fire(struct fsh_session *session);

/* ---- calls.c */

/* Ends a call: takes it off its list and hands it back. With a status that is not FRESHET_OK, its
 * error is filled in from what the session knows. */
void fsh_engine_finish(struct fsh_call *call, int status, int64_t retry_after_ms);

/* The same, of a call whose status and error are set. */
void fsh_engine_hand_back(struct fsh_call *call);

/* Puts a call on a list, and sets its timer to its deadline. */
void fsh_engine_put_on(struct fsh_calls *list, struct fsh_call *call);

void fsh_engine_finish_all(struct fsh_calls *calls, int status);

/* Asks the core again for every waiting caller. */
void fsh_engine_ask_again(struct fsh_active *active);

/* A call's deadline has come. */
void fsh_engine_call_late(struct fsh_call *call);

void fsh_engine_input_done(struct fsh_call_input *input);

/* ---- exchange.c */

enum fsh_exchange_kind fsh_engine_kind_of(enum fsh_errand errand);

/* Sends what the core asks for. FRESHET_OK, or a status of this machine: nothing was sent. */
int fsh_engine_send(struct fsh_active *active, uint64_t ticket, enum fsh_errand errand);

/* Sends an MFA call with the token in force, and ends the call with its answer. */
void fsh_engine_send_call(struct fsh_call *call);

/* Forgets the request of the flight, of the probe, or of a call (NULL: all). */
void fsh_engine_cancel(struct fsh_active *active, bool (*which)(const struct fsh_request *));
void fsh_engine_request_free(struct fsh_request *request);

/* Records why an exchange granted nothing, for the callers' errors. */
void fsh_engine_failure(struct fsh_active *active, int http, const char *code, const char *detail);

/* The same for one, which is no longer wanted. */
void fsh_engine_give_up(struct fsh_request *request);

/* ---- count.c */

void fsh_engine_count_secrets(struct fsh_engine *engine, const struct fsh_store_op *op,
                              struct fsh_mono asked_at, struct fsh_mono now);
void fsh_engine_count_tokens(struct fsh_engine *engine, const struct fsh_cache_op *op,
                             struct fsh_mono asked_at, struct fsh_mono now);

/* `outcome` as in struct fsh_meter. */
void fsh_engine_count_exchange(const struct fsh_request *request, unsigned outcome);
void fsh_engine_count_note(struct fsh_session *session, enum fsh_note_kind note, int status,
                           struct fsh_mono now);

/* `before` was in force, `token` is; NULL for none. */
void fsh_engine_count_token(struct fsh_session *session, const struct fsh_token *before,
                            const struct fsh_token *token);
void fsh_engine_count_session(struct fsh_active *active);

/* It is no longer open. */
void fsh_engine_count_end(struct fsh_session *session);

/* ---- credentials.c */

/* The password of a service, from its file or its callback. */
int fsh_engine_password(const struct fsh_credentials *credentials, struct fsh_secret *ret_password,
                        struct freshet_error *error);

#endif
