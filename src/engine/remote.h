/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_ENGINE_REMOTE_H
#define FSH_ENGINE_REMOTE_H

#include "engine/engine.h"
#include "engine/remote_read.h"

/* Sessions of a keeper, in the place of the core's: of an engine with options.keeper. The keeper
 * decides everything (docs/decisions/0016-remote.md); what is here only keeps the access token that
 * it handed out, so that callers find it as they find the engine's own: one fetch of a session at a
 * time, callers wait only without a usable token, and a token serves to its end while the keeper is
 * away.
 *
 * All of it is for the engine's thread, and stands on struct fsh_io like the engine itself. */

struct fsh_remote;

/* How long a keeper that is away is left alone at the most while somebody waits for it. */
#define FSH_REMOTE_RETRY_MS 1000

/* What is asked of the keeper. */
enum fsh_remote_ask_kind {
    FSH_ASK_FETCH,  /* the token */
    FSH_ASK_REPORT, /* of a 401 */
    FSH_ASK_CALL    /* what a caller wants */
};

/* One exchange with the keeper. */
struct fsh_remote_ask {
    struct fsh_request request; /* first */
    enum fsh_remote_ask_kind kind;
    struct fsh_remote *remote;
    struct fsh_call *call; /* of CALL */
    struct fsh_mono sent_at;
    struct fsh_mono until; /* FETCH: the keeper answers by then; */
    bool peek;             /* it does not wait at all; */
    bool longest;          /* it is given as long as a fetch ever is; */
    bool judged;           /* it tells what became of a 401; */
    bool confirms;         /* it tells whether the token in hand is over, too; */
    int64_t min_valid_ms;  /* and this is what is asked for */
    uint64_t generation;   /* of REPORT */
    char path[640];        /* see request.message.path */
    LIST_ENTRY(fsh_remote_ask) in_remote;
};

struct fsh_remote {
    struct fsh_session *session;
    struct fsh_calls waiting;  /* ENSURE */
    struct fsh_calls commands; /* the others */
    struct fsh_calls granted;  /* commands that brought a token, which is yet to be fetched */
    LIST_HEAD(fsh_remote_asks, fsh_remote_ask) asks;
    struct fsh_remote_ask *fetch; /* in the air, or NULL */
    struct fsh_remote_ask *report;
    bool confirming;          /* whether the token in hand is over is yet to be heard */
    bool any;                 /* the token in hand may be of another keeper: ask without it */
    struct fsh_mono next_at;  /* of the next fetch in the background */
    struct fsh_mono look_at;  /* of the next look at what the keeper has at hand */
    struct fsh_mono retry_at; /* nothing is asked before */
    struct fsh_mono again_at; /* while `stale`: nothing newer is wanted before */
    uint32_t away;            /* how often in a row the keeper did not answer */
    uint32_t stale;           /* ... had nothing newer, when something newer was wanted */
    uint64_t undelivered;     /* generation of a report that the keeper has yet to get; 0: none */
    uint64_t delivered;       /* ... and of the last that it got */
    struct fsh_mono delivered_at;
    struct fsh_mono report_at;  /* when it is told again, having come again too early; or NEVER */
    struct fsh_problem problem; /* why there is no token; its status is FRESHET_OK at first */
};

/* NULL without memory. */
struct fsh_remote *fsh_remote_new(struct fsh_session *session);
void fsh_remote_free(struct fsh_remote *remote);

/* The session is open. */
void fsh_remote_begin(struct fsh_remote *remote);

/* Tells all callers FRESHET_ECLOSED, and forgets what is in the air, but for the report of a 401:
 * whoever met one and ends must not keep it to itself. */
void fsh_remote_close(struct fsh_remote *remote);

/* Whether nothing is left to be done after that; and the time for it is over. */
bool fsh_remote_closed(const struct fsh_remote *remote);
void fsh_remote_abandon(struct fsh_remote *remote);

/* Takes a caller's wish; see fsh_engine_call. */
void fsh_remote_call(struct fsh_call *call);

/* Nobody wants to know the outcome of what was sent for a call. */
void fsh_remote_call_forget(struct fsh_call *call);

/* A call's deadline has come. */
void fsh_remote_call_late(struct fsh_call *call);

/* Does what other threads have said. */
void fsh_remote_heed(struct fsh_remote *remote);

/* The session's timer rings. */
void fsh_remote_fire(struct fsh_remote *remote);

/* The keeper's answer; the request is gone afterwards. remote_answer.c */
void fsh_remote_answered(struct fsh_request *request, const struct fsh_reply *reply);

/* ---- remote.c, for remote_answer.c */

/* Whether a token is in hand that may be used now; or that does for a caller. */
bool fsh_remote_usable(const struct fsh_remote *remote, struct fsh_mono now);
bool fsh_remote_satisfied(const struct fsh_remote *remote, struct fsh_mono now,
                          int64_t min_valid_ms);

/* The ends of calls. */
void fsh_remote_refuse(struct fsh_call *call, const struct fsh_problem *problem);
void fsh_remote_succeed(struct fsh_call *call);
void fsh_remote_release_granted(struct fsh_remote *remote);

/* A 401 of that generation no longer keeps callers waiting: they may go on with what they have. */
void fsh_remote_clear_report(struct fsh_remote *remote, uint64_t generation);

/* Starts what is due, and sets the session's timer. */
void fsh_remote_advance(struct fsh_remote *remote);

/* ---- remote_ask.c: what is sent. FRESHET_OK, or a status of this machine: nothing was. */

/* `wait`: the keeper may take until `until`; else it answers at once. */
int fsh_remote_send_fetch(struct fsh_remote *remote, int64_t min_valid_ms, bool wait,
                          struct fsh_mono until);
int fsh_remote_send_report(struct fsh_remote *remote, uint64_t generation);
int fsh_remote_send_call(struct fsh_remote *remote, struct fsh_call *call);

/* Whether the same may be asked again when it is not known what became of it. */
bool fsh_remote_repeatable(enum fsh_call_kind kind);

/* Takes an exchange off its session, with what it holds; the transport must be done with it. */
void fsh_remote_ask_free(struct fsh_remote_ask *ask);

/* Forgets one that is in the air. NULL is allowed. */
void fsh_remote_ask_cancel(struct fsh_remote_ask *ask);

#endif
