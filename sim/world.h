/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/heap.h"
#include "base/post.h"
#include "base/time.h"
#include "core/session.h"
#include "plan.h"
#include "rules.h"
#include "store/codec.h"
#include "store/keyring.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One simulated world: platform, network, hosts with their clocks, a durable store, engines that
 * run the shipped core, callers and people. Its seed decides everything.
 *
 * Time is the true time in milliseconds since the beginning; each host sees it through clocks of
 * its own. Tokens are numbers: places in the platform's list. */

#define SIM_BEGINNING_MS INT64_C(1800000000000) /* by the calendar */

#define SIM_TOKENS   8192 /* that one account may see */
#define SIM_PARTNERS 3    /* partner ids that an account may have */
#define SIM_SKIPS    256  /* of each fault, the first so many may be left out one by one */
#define SIM_LINES    120  /* that are printed of a shrunk seed */
#define SIM_LINE     180  /* bytes of one */

/* What is left out of a world, to see whether it is broken without. */
struct sim_cut {
    unsigned engines;                             /* a bit for each that never starts */
    unsigned sessions;                            /* a bit for each that nobody uses */
    uint64_t faults;                              /* a bit for each kind */
    int64_t faults_end;                           /* an earlier end of all faults; 0: as planned */
    uint64_t strikes[SIM_FAULTS][SIM_SKIPS / 64]; /* single ones */
};

/* ---- the platform -------------------------------------------------------------------------- */

/* A refresh token or an access token, and what the platform knows of it. */
struct sim_token {
    unsigned family;   /* the sign-in that it comes from */
    unsigned partners; /* access: a bit for each id that it allows */
    int64_t spent_at;  /* refresh: first use, when rotation spends it; -1: unspent */
    int64_t expires_at;
};

/* One account a session. */
struct sim_account {
    struct sim_token tokens[SIM_TOKENS]; /* place 0 is none */
    int64_t ended_at[SIM_TOKENS];        /* of families that were revoked; 0: alive */
    unsigned count;
    unsigned families;
    unsigned partners; /* that the account has now */
    int64_t suspended_until;
    int64_t refused_until; /* the password is not accepted */
    int64_t challenged_until;
    int challenge; /* that is open: a status */
};

/* What an answer brought, and what an engine makes its snapshot of. */
struct sim_grant {
    unsigned access;
    unsigned refresh;
    unsigned partners;
    bool identified; /* an ID token came with it */
    int64_t lifetime_ms;
};

/* ---- the durable store, and the token cache beside it -------------------------------------- */

struct sim_cached {
    uint64_t generation;
    uint64_t incarnation;
    uint64_t boot;
    struct fsh_mono sent;
    struct sim_grant grant;
};

struct sim_row {
    unsigned char bytes[FSH_CODEC_BYTES];
    unsigned char *sealed; /* what stands beside it, or NULL */
    size_t sealed_len;
    struct sim_cached cached;
    /* What the checkers go by. */
    unsigned refresh_token; /* that must come out of the seal */
    uint64_t committed;     /* the highest generation */
    uint64_t lease_holder;
    int64_t lease_until;
    int64_t signed_out_at; /* -1: never */
    int64_t signed_in_at;  /* by the calendar: lease of the last automatic sign-in that was sent */
    uint64_t busy_attempt; /* told of already */
};

/* ---- hosts and engines ----------------------------------------------------------------------- */

struct sim_host {
    uint64_t boot;
    int64_t offset; /* of the clock that runs through suspend */
    int64_t drift;  /* in millionths */
    int64_t step;   /* of the calendar, which is right again when faults end */
};

enum sim_life { SIM_ALIVE, SIM_ENDED, SIM_SIGNED_OUT };

/* A session in one engine: the core, and what src/engine holds for it. */
struct sim_session {
    struct fsh_core core;
    unsigned leased;          /* refresh token of the flight */
    struct sim_grant made;    /* of the flight's answer */
    struct sim_grant adopted; /* by the cache */
    struct sim_grant force;   /* the snapshot that is handed out; access 0: none */
    uint64_t generation;      /* of the last that was */
    int64_t stored_last;      /* operations of a session reach the store in their order */
    struct fsh_mono tick_at;  /* of the one timer that counts */
    uint64_t tick_number;
    /* One caller at a time, and the person or operator behind the session. */
    bool waiting;
    bool strict; /* the caller asks for more than a usable token */
    uint64_t seen;
    struct fsh_mono deadline;
    int64_t ready_at; /* when a caller last got a token */
    bool person;      /* somebody is about to sign in or to answer */
    bool commanded;   /* the core has a person's command */
    /* What the checkers go by. */
    struct fsh_record read; /* what the store last told this engine */
    enum sim_life life;
    bool excused;      /* something came that may take the token away */
    int64_t leased_at; /* of the flight */
    int64_t lease_until;
    int64_t lease_wall; /* the calendar when it was asked for */
    struct fsh_mono probed_at;
    uint64_t came; /* its number in the line at the gate; 0: it stands in none */
    bool placed;
    /* What the trace said last of its callers. */
    uint64_t told_generation;
    int told_status;
    bool told_wait;
};

struct sim_engine {
    bool up;
    bool closing;
    int host;
    uint64_t holder;
    uint64_t life; /* one more at each start and crash: reports of an earlier one are dropped */
    uint64_t random;
    int64_t paused_until;
    struct fsh_gate gate;
    uint64_t came;             /* the last number that was given there */
    struct fsh_mono closed_to; /* the platform's Retry-After, for the checker */
    struct sim_session sessions[SIM_SESSIONS];
};

/* ---- events ------------------------------------------------------------------------------------
 */

enum sim_event_kind {
    SIM_TICK,    /* an engine's timer */
    SIM_CALL,    /* a caller asks */
    SIM_LATE,    /* a caller's deadline */
    SIM_LEAVE,   /* a request leaves an engine */
    SIM_ARRIVE,  /* ... reaches the platform */
    SIM_ANSWER,  /* an answer, or a time-out, reaches the engine */
    SIM_STORE,   /* an operation reaches the store */
    SIM_STORED,  /* its report reaches the engine */
    SIM_ADOPTED, /* the token cache's does */
    SIM_REPORT,  /* a caller's request was answered 401 */
    SIM_PERSON,  /* somebody signs in or answers a challenge */
    SIM_RESEAL,  /* a rotation of the store's key comes to its next record */
    SIM_HAPPEN,  /* a fault of the kind that happens now and then */
    SIM_START
};

struct sim_event {
    struct fsh_timer timer;
    enum sim_event_kind kind;
    int engine;
    int session;
    uint64_t life;
    uint64_t ticket;
    struct fsh_mono started; /* by the engine's clock */
    enum sim_fault fault;
    /* Requests and answers. */
    enum fsh_errand errand;
    unsigned token; /* the refresh token that is sent, or a probe's access token */
    struct fsh_result result;
    struct sim_grant grant;
    uint64_t generation;
    bool extra; /* a request that a proxy sent once more; a call beside the usual ones */
    /* Operations of the store and their reports. */
    struct fsh_change change;
    bool commanded; /* for a person's command */
    int status;
    enum fsh_verdict verdict;
    struct fsh_record record;
    int64_t unresolved_ms;
    unsigned leased;
    int64_t leased_at;
    int64_t lease_until;
    struct sim_event *next_free;
};

enum sim_telling { SIM_TELL_NOTHING, SIM_TELL_ALL, SIM_TELL_LAST };

struct sim_world {
    uint64_t seed;
    const struct sim_cut *cut;
    struct sim_plan plan;
    struct fsh_policy policies[SIM_SESSIONS];
    int64_t now;
    uint64_t random;
    uint64_t streams[SIM_FAULTS];
    unsigned struck[SIM_FAULTS]; /* how often each did, those left out included */
    struct fsh_heap queue;
    size_t queued;
    struct sim_event *free_events;
    struct sim_account accounts[SIM_SESSIONS];
    int64_t outage_until;
    struct sim_row rows[SIM_SESSIONS];
    struct fsh_keyring *keyring; /* of the store */
    int64_t store_out_until;
    struct sim_host hosts[SIM_ENGINES];
    struct sim_engine engines[SIM_ENGINES];
    uint64_t lives;
    enum sim_rule broken; /* the first that was */
    const char *how;
    uint64_t steps;
    int64_t tick_time;
    unsigned tick_count; /* of timers, at that time */
    enum sim_telling telling;
    FILE *out;
    char (*lines)[SIM_LINE]; /* SIM_LINES of them, when the last are to be told */
    uint64_t line_count;
};

/* ---- world.c */

uint64_t sim_draw(struct sim_world *world);
int64_t sim_uniform(struct sim_world *world, int64_t most);
bool sim_chance(struct sim_world *world, unsigned thousandths);

/* Draws from the stream of one fault. */
int64_t sim_fault_uniform(struct sim_world *world, enum sim_fault fault, int64_t most);

/* Whether a fault strikes here: one of the first kind, by its chance; one of the other, because it
 * is its time. Never after the end of faults, nor when this strike is left out. */
bool sim_strikes(struct sim_world *world, enum sim_fault fault);

bool sim_faulty(const struct sim_world *world);

/* Whether this pair is not left out. */
bool sim_takes_part(const struct sim_world *world, int engine, int session);

/* A new event after `delay`. */
struct sim_event *sim_event(struct sim_world *world, enum sim_event_kind kind, int engine,
                            int session, int64_t delay);

/* Another after `event`, with all that it holds. */
struct sim_event *sim_follow(struct sim_world *world, enum sim_event_kind kind,
                             const struct sim_event *event, int64_t delay);

/* The first violation counts. */
void sim_violated(struct sim_world *world, enum sim_rule rule, const char *how);

/* A line of the trace; costs nothing when nobody reads it. */
void sim_tell(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One that begins with an engine and a session. */
void sim_say(struct sim_world *world, int engine, int session, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

void sim_world_done(struct sim_world *world);

/* ---- platform.c */

/* Answers a request: a SIM_ARRIVE. */
void sim_platform_receive(struct sim_world *world, struct sim_event *event);
bool sim_platform_accepts(const struct sim_world *world, int session, unsigned token);

/* ---- store.c */

void sim_store_begin(struct sim_world *world);
void sim_store_done(struct sim_world *world);
void sim_store_receive(struct sim_world *world, struct sim_event *event);
struct fsh_record sim_store_read(struct sim_world *world, int session);
/* Whether everything that is sealed opens. */
void sim_store_check(struct sim_world *world);
/* Somebody rotates the store's key, and comes from record to record. */
void sim_store_rotate(struct sim_world *world);
void sim_store_reseal(struct sim_world *world, const struct sim_event *event);
/* The cache keeps what a flight brought, before its commit; may hand it out; forgets it. */
void sim_cache_put(struct sim_world *world, int engine, int session,
                   const struct fsh_change *change);
bool sim_cache_get(struct sim_world *world, int engine, int session, uint64_t generation,
                   struct sim_event *ret_event);
void sim_cache_drop(struct sim_world *world, int session, uint64_t generation);

/* ---- engine.c */

void sim_engine_start(struct sim_world *world, int engine);
void sim_engine_event(struct sim_world *world, struct sim_event *event);
void sim_engine_carry_out(struct sim_world *world, int engine, int session,
                          const struct fsh_effects *fx);
struct fsh_now sim_engine_now(struct sim_world *world, int engine);
struct fsh_mono sim_engine_mono(const struct sim_world *world, int engine);

/* ---- callers.c */

void sim_callers_call(struct sim_world *world, int engine, int session);
void sim_callers_ask_again(struct sim_world *world, int engine, int session);
void sim_callers_late(struct sim_world *world, const struct sim_event *event);
/* A person's command ended with `status`. */
void sim_callers_replied(struct sim_world *world, int engine, int session, int status);
void sim_callers_person(struct sim_world *world, const struct sim_event *event);

/* ---- happen.c */

void sim_happen_begin(struct sim_world *world);
void sim_happen(struct sim_world *world, const struct sim_event *event);
void sim_happen_crash(struct sim_world *world, int engine);
void sim_happen_pause(struct sim_world *world, int engine, enum sim_fault fault);

/* ---- check.c: the rules, at what they are about */

void sim_check_lease(struct sim_world *world, const struct sim_event *event,
                     const struct fsh_record *before);
void sim_check_commit(struct sim_world *world, const struct sim_event *event,
                      const struct fsh_record *before, const struct fsh_record *after);
void sim_check_record(struct sim_world *world, const struct fsh_record *given,
                      const struct fsh_record *back);
/* After each event of a session. */
void sim_check_line(struct sim_world *world, int engine, int session);
void sim_check_send(struct sim_world *world, int engine, int session, enum fsh_errand errand);
void sim_check_leave(struct sim_world *world, const struct sim_event *event);
void sim_check_publish(struct sim_world *world, int engine, int session, uint64_t generation,
                       const struct sim_grant *grant);
void sim_check_withdraw(struct sim_world *world, int engine, int session);
void sim_check_token(struct sim_world *world, int engine, int session);
void sim_check_headers(struct sim_world *world, int engine, int session);
void sim_check_recovery(struct sim_world *world);

/* ---- words.c */

const char *sim_engine_name(int engine);
const char *sim_session_name(const struct sim_world *world, int session);
const char *sim_errand_name(enum fsh_errand errand);
const char *sim_change_name(const struct fsh_change *change);
const char *sim_phase_name(enum fsh_phase phase);
const char *sim_note_text(enum fsh_note_kind note);
/* A status without its prefix. */
const char *sim_status_name(int status);
/* A line about an answer; `what` says where it is. */
void sim_tell_answer(struct sim_world *world, const struct sim_event *event, const char *what);

#endif
