/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_ENGINE_ENGINE_H
#define FSH_ENGINE_ENGINE_H

#include "base/bounds.h"
#include "base/heap.h"
#include "base/post.h"
#include "base/secret.h"
#include "core/rest.h"
#include "core/session.h"
#include "engine/ledger.h"
#include "engine/view.h"
#include "profile/profile.h"
#include "store/store.h"

#include <freshet/error.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

/* The engine carries out what the core decides, for many sessions of one platform. It runs on one
 * thread, and has no clock, network or thread of its own: those are handed to it as `struct
 * fsh_io`. The loop (engine/loop.h) gives it the real ones, the scenario tests and the simulator
 * theirs.
 *
 * Everything below is for the engine's thread, unless it says otherwise. */

struct fsh_engine;
struct fsh_meter;
struct fsh_remote_keeper;
struct fsh_session;

/* One exchange with the platform, from its message to its reply. The engine owns it; the transport
 * has it from `send` until it calls fsh_engine_answered, or until `cancel`. */
struct fsh_request {
    struct fsh_session *session;
    enum fsh_exchange_kind kind;
    struct fsh_message message;
    struct fsh_token *token; /* a reference, when the message is authorized: its headers go along */
    bool fresh_connection;   /* the message must never be sent twice, not even by the transport */
    uint64_t if_generation;  /* to a keeper: the generation in hand, for If-None-Match; 0: none */
    int64_t timeout_ms;      /* 0: FSH_EXCHANGE_MS */
    uint64_t ticket;
    struct fsh_mono asked_at;
    struct fsh_call *call; /* of an MFA call; else NULL */
    void *transport;       /* the transport's own */
    LIST_ENTRY(fsh_request) in_session;
};

/* What the engine stands on. */
struct fsh_io {
    void *data;
    /* The clocks now, and fresh random bits. */
    struct fsh_now (*now)(void *data);
    /* The boot that CLOCK_BOOTTIME counts from. */
    uint64_t boot;
    /* Brings `post` to the engine's thread and runs it there, after this call. Any thread. */
    void (*post)(void *data, struct fsh_post *post);
    /* FRESHET_OK: the answer will come, not during this call. Else nothing was sent. */
    int (*send)(void *data, struct fsh_request *request);
    /* The request is no longer wanted: forget it, do not answer it. */
    void (*cancel)(void *data, struct fsh_request *request);
    /* Something happened that a program may want to hear of; `session` is valid during the call. */
    void (*event)(void *data, struct fsh_session *session, const struct fsh_ledger_entry *entry);
    /* The engine is done with a session and gives its reference back after this call. Or NULL. */
    void (*closed)(struct fsh_session *session);
    void *event_data;
};

struct fsh_engine_options {
    const struct fsh_profile *profile;
    struct fsh_secret_store *secrets; /* borrowed */
    struct fsh_token_cache *tokens;   /* borrowed */
    uint64_t holder;                  /* unique among the engines that share the store; not 0 */
    /* The sessions are this keeper's (engine/remote.h), and there are no stores; or NULL. Borrowed.
     */
    const struct fsh_remote_keeper *keeper;
};

enum fsh_call_kind {
    FSH_CALL_ENSURE,
    FSH_CALL_SIGN_IN,
    FSH_CALL_MFA,
    FSH_CALL_NEW_PASSWORD,
    FSH_CALL_SIGN_OUT,
    FSH_CALL_MFA_SETTINGS_GET,
    FSH_CALL_MFA_SETTINGS_PUT,
    FSH_CALL_TOTP_GET,
    FSH_CALL_TOTP_PUT,
    FSH_CALL_STATUS, /* of a keeper's session, as the next */
    FSH_CALL_EXPLAIN,
    FSH_CALL_KINDS
};

/* What a call brings along. The secrets are the call's own. */
struct fsh_call_input {
    struct fsh_secret username; /* SIGN_IN: empty for the session's own */
    struct fsh_secret password; /* SIGN_IN: empty for the session's own */
    struct fsh_secret code;     /* MFA, TOTP_PUT */
    struct fsh_secret new_password;
    bool remember_device;
    bool hold;       /* SIGN_OUT */
    int mfa_enabled; /* MFA_SETTINGS_PUT: 1, 0, -1 */
    char mfa_method[32];
};

/* A caller's wish. It is the caller's memory, and stays in place until `done` was called: on the
 * engine's thread, exactly once, with `status` and, unless that is FRESHET_OK, `error` set. */
struct fsh_call {
    enum fsh_call_kind kind;
    struct fsh_session *session;
    int64_t min_valid_ms; /* ENSURE */
    struct fsh_mono deadline;
    void (*done)(struct fsh_call *call);
    void *data; /* the caller's */
    int status;

    /* The engine's. They stand here, since a herd is released with what is above alone. */
    struct fsh_post post;
    struct fsh_timer timer;
    uint64_t flights;
    TAILQ_ENTRY(fsh_call) in_list;
    TAILQ_HEAD(fsh_calls, fsh_call) * list;

    struct fsh_call_input in; /* not of ENSURE */
    struct freshet_error error;
    struct fsh_mfa_answer mfa; /* out, of the MFA calls; the caller ends it */
    struct fsh_secret answer;  /* out, of STATUS and EXPLAIN: the keeper's; the caller ends it */
};

/* Where a service's password comes from. */
struct fsh_credentials {
    char *username;      /* owned; NULL: sign-in brings it */
    char *password_file; /* owned; read at each sign-in; or */
    int (*password)(void *data, char *ret_password, size_t size);
    void *password_data;
};

void fsh_engine_credentials_done(struct fsh_credentials *credentials);

/* Counted for status and metrics. Written by the engine's thread alone. */
struct fsh_counters {
    _Atomic uint32_t refreshes;
    _Atomic uint32_t sign_ins;
    _Atomic uint32_t failures; /* exchanges that granted nothing */
    _Atomic uint32_t waited;   /* callers who waited for a flight */
    _Atomic uint32_t ended;
};

struct fsh_session_options {
    const char *name;
    const unsigned char *session_key; /* FSH_SESSION_KEY bytes, copied; or NULL */
    size_t size; /* of the owner's struct, which begins with a struct fsh_session; 0: of that */
    bool service;
    bool background;
    bool first_party;
    int64_t threshold_ms;
    int64_t sign_in_pause_ms;
    struct fsh_credentials credentials; /* moved from when the session is made */
};

/* What became of the word that a caller met a token below its threshold. */
enum fsh_poke {
    FSH_POKE_NONE,
    FSH_POKE_SAID,
    FSH_POKE_HEEDED /* a refresh is wished for; until that has ended nobody needs to say so again */
};

/* What a session has while something goes on. At rest it has none of it, which is what lets a
 * million of them stay in memory (docs/decisions/0009-at-rest.md). */
struct fsh_active {
    struct fsh_session *session;
    struct fsh_core core;
    struct fsh_calls waiting; /* ENSURE */
    struct fsh_calls signing_out;
    struct fsh_calls commands; /* at most one: SIGN_IN, MFA, NEW_PASSWORD */
    bool wake;                 /* the waiting are to be asked for again */
    bool asking;               /* they are being asked for */
    bool touched;              /* in the engine's list of those that may have come to rest */
    bool flying;               /* a flight is being measured: */
    bool refreshing;           /* ... a refresh, else a sign-in */
    struct fsh_mono flight_at; /* ... that began then */

    /* The flight's, wiped with FSH_EFFECT_FORGET. */
    struct fsh_kept leased;
    struct fsh_grant grant;
    struct fsh_token *made;      /* what the grant, or the cache, brought; not yet in force */
    struct fsh_call_input input; /* of the command, until its reply */
    /* The last failure, for the callers' errors. */
    int failed_http;
    char failed_code[FSH_CODE_MAX];
    char failed_detail[160];
    char store_why[FSH_WHY_MAX]; /* what the store said last; "" while it works */
    /* The open challenge. */
    struct fsh_secret challenge_session;
    struct fsh_secret challenge_username;

    unsigned in_air; /* store and cache operations that are not done */
    LIST_HEAD(fsh_requests, fsh_request) requests;
    LIST_ENTRY(fsh_active) in_engine;
    SLIST_ENTRY(fsh_active) in_touched;
};

/* What a session always has. Each byte of it counts, a million times. */
struct fsh_session {
    struct fsh_engine *engine;
    const struct fsh_policy *policy;           /* shared */
    const char *name;                          /* in the same memory, behind the owner's struct */
    const struct fsh_credentials *credentials; /* never NULL */
    union {
        struct fsh_active *active; /* unless resting */
        struct fsh_rest rest;
        struct fsh_remote *remote; /* a keeper's session, which counts as resting */
    };
    struct fsh_timer timer;
    LIST_ENTRY(fsh_session) in_engine;

    /* What other threads see: times without a lock, the token with fsh_engine_lock. */
    struct fsh_view view;
    struct fsh_token *token;

    /* What other threads say. The post is in the inbox while `posted`, and must not be posted
     * again before it was run. */
    struct fsh_post post;
    atomic_uint_fast64_t reported; /* generation of a 401 that is on its way to the core */
    atomic_uchar poked;            /* enum fsh_poke */
    atomic_bool posted;

    bool resting : 1;
    bool closing : 1;
    bool keyed : 1;       /* a session key stands before the name, until the engine's end of it */
    atomic_bool closed;   /* the owner's mark */
    atomic_uchar metered; /* what it counts as: fsh_engine_meter_mark */
    atomic_bool refused;  /* its last sign-in was, in whatever process */
    uint32_t number;
    atomic_uint references;
    struct fsh_counters counters;
};

int fsh_engine_new(const struct fsh_engine_options *options, const struct fsh_io *io,
                   struct fsh_engine **ret_engine);

/* All sessions must be gone. */
void fsh_engine_free(struct fsh_engine *engine);

/* Makes a session and lets it begin: it reads its record, and a service signs in. Its name is not
 * checked for being unique. One reference is the engine's; no other is made. */
int fsh_engine_session_open(struct fsh_engine *engine, struct fsh_session_options *options,
                            struct fsh_session **ret_session, struct freshet_error *error);

/* Keeps the session's memory. Without the engine's own reference only what the owner added, `name`
 * and `closed` are of use. Any thread. */
void fsh_engine_session_ref(struct fsh_session *session);
void fsh_engine_session_unref(struct fsh_session *session);

/* Ends a session's use. Its callers are told FRESHET_ECLOSED now. What must not be lost (a rotation
 * or a sign-in in the air, a commit) is brought to its end first; then, in fsh_engine_run or when
 * its post is run, the engine gives up its reference. */
void fsh_engine_session_close(struct fsh_session *session);

/* The same for all sessions. */
void fsh_engine_close_all(struct fsh_engine *engine);

/* Frees what is still being brought to its end: the deadline for closing has passed. */
void fsh_engine_abandon(struct fsh_engine *engine);

bool fsh_engine_empty(const struct fsh_engine *engine);

/* Takes a caller's wish. */
void fsh_engine_call(struct fsh_call *call);

/* The caller gives up: its `done` is called with FRESHET_ECANCELED, unless it was called before.
 * A flight that it waited for goes on. */
void fsh_engine_call_cancel(struct fsh_call *call);

/* A 401 for the token of `generation`. Any thread. */
void fsh_engine_unauthorized(struct fsh_session *session, uint64_t generation);

/* A caller went on with a token below its threshold: see to a refresh. Any thread; cheap when
 * somebody did before. */
void fsh_engine_poke(struct fsh_session *session);

/* The transport's answer; `reply` is borrowed. The request is gone afterwards. */
void fsh_engine_answered(struct fsh_request *request, const struct fsh_reply *reply);

/* Does what is due by now. */
void fsh_engine_run(struct fsh_engine *engine);

/* When fsh_engine_run is due next. */
struct fsh_mono fsh_engine_wake_at(const struct fsh_engine *engine);

/* A reference to the token in force; NULL when there is none. Any thread. */
struct fsh_token *fsh_engine_token(struct fsh_session *session);

/* The lock of what threads share of a session, shared itself by some sessions: of the token, and of
 * what the owner wants to change from any thread. Any thread. */
pthread_mutex_t *fsh_engine_lock(const struct fsh_session *session);

/* A copy of the session's core, to look at; at rest it is as good as before. */
void fsh_engine_core(const struct fsh_session *session, struct fsh_core *ret_core);

/* The times of the token in force; false when there is none. Any thread, no lock. */
static inline bool fsh_engine_view(const struct fsh_session *session, uint64_t *ret_generation,
                                   struct fsh_freshness *ret_token)
{
    return fsh_view_read(&session->view, session->policy->threshold_ms, ret_generation, ret_token);
}

struct fsh_ledger *fsh_engine_ledger(struct fsh_engine *engine);

/* What it counts. Any thread. */
const struct fsh_meter *fsh_engine_meter(const struct fsh_engine *engine);

uint64_t fsh_engine_holder(const struct fsh_engine *engine);
const struct fsh_profile *fsh_engine_profile(const struct fsh_engine *engine);

#endif
