/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/heap.h"
#include "base/post.h"
#include "base/time.h"
#include "core/session.h"
#include "store/codec.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The deterministic simulator: one seed decides everything. It runs the shipped core, lease
 * protocol and record codec against a platform, a network, clocks, callers and a durable store of
 * its own, with everything going wrong that can, and checks the rules after every step.
 *
 * Time is the true time in milliseconds since the beginning; each engine sees it through a clock of
 * its own. */

#define SIM_ENGINES  3
#define SIM_SESSIONS 2
#define SIM_TOKENS   4096 /* refresh and access tokens that a session may see */
#define SIM_TRACE    64   /* lines that are printed of a failing seed */

/* ---- what a seed may make go wrong --------------------------------------------------------- */

struct sim_plan {
    bool rotating;
    int64_t grace_ms;
    bool service;
    bool background;
    int engines;
    int64_t lifetime_ms;
    bool one_host;      /* the engines share a clock and a boot */
    int64_t faults_end; /* from then on nothing fails: liveness is checked */
    int64_t end;
    /* Chances in a thousand. */
    unsigned lost_request;
    unsigned lost_response;
    unsigned server_error;
    unsigned waf;
    unsigned duplicate;
    unsigned store_error;
    unsigned slow;
    /* Mean milliseconds between such events; 0: never. */
    int64_t outage_every;
    int64_t revocation_every;
    int64_t crash_every;
    int64_t pause_every;
    int64_t sign_out_every;
    int64_t step_every;
    int64_t store_outage_every;
    int64_t call_every;
};

/* ---- the platform --------------------------------------------------------------------------- */

/* A refresh token, or an access token: a number, and what the platform knows of it. */
struct sim_token {
    uint64_t family;    /* the sign-in that it comes from */
    int64_t spent_at;   /* refresh: first use, when rotation spends it; -1: unspent */
    int64_t expires_at; /* access */
    bool access;
};

/* One account a session. */
struct sim_account {
    struct sim_token tokens[SIM_TOKENS]; /* place 0 is none */
    unsigned count;
    uint64_t families;
    uint64_t live_family; /* older ones are revoked */
};

/* ---- the durable store ----------------------------------------------------------------------- */

struct sim_row {
    unsigned char bytes[FSH_CODEC_BYTES];
    unsigned refresh_token; /* place in the platform's tokens; 0: none */
    uint64_t cached_generation;
    uint64_t cached_incarnation;
    unsigned cached_token;
    int64_t cached_sent; /* by the engines' clock */
    int64_t cached_lifetime;
    uint64_t cached_boot;
    /* For the checkers. */
    uint64_t committed;    /* the highest generation */
    int64_t signed_out_at; /* -1 */
    int64_t sign_in_leased_at;
};

/* ---- an engine ---------------------------------------------------------------------------------
 */

struct sim_session {
    struct fsh_core core;
    unsigned leased;       /* refresh token of the flight */
    unsigned grant_access; /* of the flight's answer */
    unsigned grant_refresh;
    int64_t grant_lifetime;
    unsigned adopted; /* token that the cache gave */
    int64_t adopted_lifetime;
    unsigned token;      /* in force */
    uint64_t generation; /* of the token in force */
    bool excused;        /* something happened that may take the token away */
    bool over;           /* ended or signed out, and no token came since */
    bool returning;      /* somebody is about to sign in */
    int64_t ready_at;    /* when a caller last got a token */
    bool waiting;        /* a caller */
    bool strict;         /* ... who asks for more than a usable token */
    uint64_t seen;
    int64_t deadline;
    int64_t stored_last; /* operations of a session reach the store in their order */
    int64_t tick_at;     /* of the one timer that counts */
    uint64_t tick_number;
};

struct sim_engine {
    bool up;
    uint64_t holder;
    uint64_t life; /* one more at each start; reports of an earlier life are dropped */
    uint64_t boot;
    int64_t offset; /* of its clock */
    int64_t drift;  /* in millionths */
    int64_t wall_step;
    int64_t paused_until;
    struct fsh_gate gate;
    struct sim_session sessions[SIM_SESSIONS];
};

/* ---- the world ----------------------------------------------------------------------------------
 */

enum sim_event_kind {
    SIM_TICK,   /* an engine's timer */
    SIM_CALL,   /* a caller asks */
    SIM_SEND,   /* a request reaches the platform */
    SIM_ANSWER, /* an answer reaches the engine */
    SIM_STORE,  /* an operation reaches the store */
    SIM_STORED, /* its report reaches the engine */
    SIM_ADOPTED,
    SIM_UNAUTHORIZED,
    SIM_DEADLINE,
    SIM_OUTAGE,
    SIM_REVOCATION,
    SIM_CRASH,
    SIM_RESTART,
    SIM_PAUSE,
    SIM_SIGN_OUT,
    SIM_SIGN_IN,
    SIM_STEP,
    SIM_STORE_OUTAGE,
    SIM_EVENTS
};

struct sim_event {
    struct fsh_timer timer;
    enum sim_event_kind kind;
    int engine;
    int session;
    uint64_t life;
    uint64_t ticket;
    enum fsh_errand errand;
    unsigned token; /* refresh or access token that is sent */
    uint64_t generation;
    struct fsh_change change;
    unsigned new_refresh;
    unsigned new_access;
    int64_t lifetime;
    int64_t sent; /* by the engine's clock */
    struct fsh_result result;
    int status;
    enum fsh_verdict verdict;
    struct fsh_record record;
    int64_t unresolved;
    unsigned leased;
    bool explicit; /* a sign-in that somebody asked for */
    struct sim_event *next_free;
};

struct sim_world {
    uint64_t seed;
    uint64_t random;
    struct sim_plan plan;
    struct fsh_policy policy;
    int64_t now;
    struct fsh_heap queue;
    size_t queued;
    struct sim_event *free_events;
    struct sim_account accounts[SIM_SESSIONS];
    int64_t outage_until;
    struct sim_row rows[SIM_SESSIONS];
    int64_t store_out_until;
    struct sim_engine engines[SIM_ENGINES];
    uint64_t lives;
    const char *violation;
    bool trace;
    char lines[SIM_TRACE][160];
    uint64_t line_count;
    uint64_t steps;
    int64_t tick_time;
    unsigned tick_count; /* of timers, at that time */
    uint64_t refreshes;
    uint64_t reads;
};

/* ---- world.c */

uint64_t sim_draw(struct sim_world *world);
int64_t sim_uniform(struct sim_world *world, int64_t most);
bool sim_chance(struct sim_world *world, unsigned thousandths);
/* An exponential-like pause around a mean. */
int64_t sim_around(struct sim_world *world, int64_t mean);

struct sim_event *sim_event(struct sim_world *world, enum sim_event_kind kind, int engine,
                            int session, int64_t delay);
void sim_note(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Records the first violation. */
void sim_violated(struct sim_world *world, const char *what);
bool sim_faulty(const struct sim_world *world);

/* ---- platform.c */

/* Processes a request at the platform; `event` is a SIM_SEND, and its result is filled in. Returns
 * how many milliseconds the answer needs, -1 for an answer that never comes. */
int64_t sim_platform_process(struct sim_world *world, struct sim_event *event);
bool sim_platform_accepts(const struct sim_world *world, int session, unsigned token);

/* ---- store.c */

void sim_store_process(struct sim_world *world, struct sim_event *event);
struct fsh_record sim_store_read(struct sim_world *world, int session);

/* ---- engine.c */

void sim_engine_start(struct sim_world *world, int engine, bool new_boot);
/* A caller asks. */
void sim_engine_call(struct sim_world *world, int engine, int session);
void sim_engine_event(struct sim_world *world, struct sim_event *event);
struct fsh_now sim_engine_now(struct sim_world *world, int engine);

/* ---- run.c */

/* What can be left out of a world, to see whether it is broken without it. */
#define SIM_FAULTS 15
const char *sim_fault_name(unsigned fault);

/* Runs one seed, without the faults whose bits are set in `without`. Returns NULL when all rules
 * held, else the first that was broken; then the last steps are printed to `out`, unless that is
 * NULL. */
const char *sim_run(uint64_t seed, unsigned without, bool trace, FILE *out,
                    uint64_t *ret_session_ms);

/* Finds out which faults a broken seed needs, and prints the smallest world that is still broken.
 */
void sim_shrink(uint64_t seed, FILE *out);

#endif
