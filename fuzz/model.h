/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include "core/session.h"

#include <stdbool.h>
#include <stdint.h>

/* What the core stands on when events are fuzzed: clocks, a store that answers late, fails, or
 * loses its word, a platform that answers anything, callers who wait, and another engine with the
 * same store. It carries out the core's effects as src/engine does, and traps when one of them, or
 * what the core then is, breaks a rule. */

/* The two engines, and the machine that they are on. */
#define MODEL_ME    1
#define MODEL_OTHER 2
#define MODEL_BOOT  1

#define MODEL_OPS     16
#define MODEL_CALLERS 3

/* An operation that was submitted to the store. */
struct model_op {
    uint64_t ticket;
    struct fsh_change change;
    struct fsh_stamp now;
    bool automatic; /* the lease of a sign-in that nobody asked for */
};

/* Something in the air beside the store's operations. */
struct model_air {
    bool pending;
    uint64_t ticket;
    enum fsh_errand errand;
};

struct model_caller {
    bool waiting;
    int64_t min_valid_ms;
    struct fsh_mono deadline;
    uint64_t seen;
};

/* What kind of event the core is being told. */
enum model_event {
    MODEL_TICK,
    MODEL_ASK,
    MODEL_REPORT_401,
    MODEL_COMMAND,
    MODEL_SIGN_OUT,
    MODEL_STORED,
    MODEL_ADOPTED,
    MODEL_ANSWERED,
    MODEL_CLOSE
};

struct model {
    struct fsh_policy policy;
    struct fsh_gate gate;
    struct fsh_core core;
    struct fsh_mono mono;
    struct fsh_wall wall;
    uint64_t random;

    struct fsh_record record; /* the store's */
    struct model_op ops[MODEL_OPS];
    unsigned op_count;
    struct model_air flight;
    struct model_air probe;
    struct model_air adopt;
    struct model_caller callers[MODEL_CALLERS];
    bool wake;
    bool closing;
    bool trace; /* tell on standard error what happens */

    /* The event, and what it may lead to. */
    enum model_event event;
    struct fsh_result result; /* of an answer */
    bool excused;             /* a usable token may be withdrawn */
    /* For the checks. */
    int64_t granted_ms;   /* lifetime of the flight's grant */
    uint64_t highest;     /* generation that was ever in force */
    uint64_t last_ticket; /* that was given out */
    unsigned commands;    /* that are under way: 0 or 1 */
    unsigned sign_outs;   /* that were not told yet */
    bool over;            /* ended or signed out, and no token came since */
    bool probed;
    struct fsh_mono probed_at;
    bool stepped; /* the calendar, or the other engine took part: pauses cannot be measured */
    bool signed_in;
    struct fsh_wall leased_at; /* of the lease that the next automatic sign-in is sent with */
    struct fsh_wall signed_in_at;
    unsigned busy;      /* effects since somebody outside did something, or time passed */
    uint64_t other;     /* attempt of the other engine; always even, the core's are odd */
    uint64_t other_has; /* generation that its lease reserved; 0: none */
};

void model_init(struct model *model, const struct fsh_policy *policy, uint64_t random, bool traced);

/* ---- events */

void model_tick(struct model *model);
/* Moves both clocks, and wakes whoever is due then. */
void model_pass(struct model *model, int64_t ms);
/* Waits until the core is due, if it ever is. False when it is not. */
bool model_pass_to_wake(struct model *model);
void model_ask(struct model *model, unsigned caller, int64_t min_valid_ms, int64_t patience_ms);
void model_unauthorized(struct model *model, uint64_t generation);
void model_command(struct model *model, enum fsh_errand errand);
void model_sign_out(struct model *model, bool hold);
void model_close(struct model *model);

/* The oldest operation of the store: done, failed, or done with the word of it lost. */
enum model_how { MODEL_DONE, MODEL_FAILED, MODEL_WORD_LOST };
void model_stored(struct model *model, enum model_how how);

/* The token cache's answer; lifetime 0: it has none. */
void model_adopted(struct model *model, int64_t age_ms, int64_t lifetime_ms);

/* The platform's answer to the flight, or to the probe. */
void model_answered(struct model *model, bool probe, const struct fsh_result *result);

/* Reports with tickets that nothing in the air has. */
void model_strangers(struct model *model, uint64_t ticket);

/* The other engine changes the record: takes a lease, commits, ends and so on. */
void model_other(struct model *model, enum fsh_change_kind kind, bool flag);

/* ---- rules.c: what keeps them, and what stops the run */

void model_must(bool holds, const char *what);
void model_trace(const struct model *model, const char *what, int64_t number, int64_t more);
/* Without the core's own word on it. */
bool model_usable(const struct model *model);
/* Changes the store's record, by the shipped lease protocol. */
enum fsh_verdict model_apply(struct model *model, const struct fsh_change *change,
                             struct fsh_stamp now);
void model_effect(struct model *model, const struct fsh_effect *effect);
/* What must hold after each event. */
void model_check(const struct model *model);

/* ---- ends */

/* From here on everything works: a session that can have a token must get one. */
void model_recover(struct model *model);

/* And closes, whatever was in the air. */
void model_drain(struct model *model);

#endif
