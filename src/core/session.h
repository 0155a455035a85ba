/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CORE_SESSION_H
#define FSH_CORE_SESSION_H

#include "base/time.h"
#include "core/backoff.h"
#include "core/freshness.h"
#include "core/record.h"

#include <stdbool.h>
#include <stdint.h>

/* The session state machine, sans I/O: (state, event, now) -> effects.
 *
 * It decides everything and does nothing. Whoever drives it (the engine; the simulator) hands it
 * what happened, carries out the effects that it returns, in their order, and reports back with the
 * ticket of the effect. It sees no token, no password and no message, only what is known of them.
 *
 * Inside, events only note facts; then one function, advance(), looks at all of them and starts
 * what is due. So no order of events can lose a wish, and "when to look again" falls out of the
 * same conditions. At most one effect of a session is in the air, beside the probe. */

/* What does not change while a session is open. Shared by many sessions, borrowed. */
struct fsh_policy {
    bool service;     /* signs in by itself (rule 8); others wait for a person */
    bool background;  /* refreshes before callers notice (rule 2) */
    bool rotating;    /* refresh tokens are replaced at each use */
    bool probe;       /* the platform has a call that confirms a 401 */
    bool first_party; /* external users are refused */
    int64_t threshold_ms;
    int64_t grace_ms;        /* of rotation */
    int64_t refresh_life_ms; /* 0: not known */
    int64_t sign_in_pause_ms;
};

/* The circumstances of one step. */
struct fsh_now {
    struct fsh_mono mono;
    struct fsh_wall wall;
    uint64_t random; /* 64 uniform bits, used up by the step */
};

/* What the session is busy with. */
enum fsh_step {
    FSH_STEP_IDLE,
    FSH_STEP_READ,    /* of the record */
    FSH_STEP_ADOPT,   /* of another engine's token, from the token cache */
    FSH_STEP_LEASE,   /* asks the store for the lease */
    FSH_STEP_SEND,    /* asks the platform */
    FSH_STEP_COMMIT,  /* of a grant */
    FSH_STEP_RELEASE, /* of the lease, without a grant */
    FSH_STEP_END,
    FSH_STEP_PARK,
    FSH_STEP_LOSE,
    FSH_STEP_SIGN_OUT,
    FSH_STEPS
};

/* What a flight asks the platform. */
enum fsh_errand {
    FSH_ERRAND_NONE,
    FSH_ERRAND_REFRESH,
    FSH_ERRAND_SIGN_IN,
    FSH_ERRAND_MFA,
    FSH_ERRAND_NEW_PASSWORD,
    FSH_ERRAND_PROBE
};

/* How the platform answered an errand. */
enum fsh_result_kind {
    FSH_RESULT_GRANT,
    FSH_RESULT_CHALLENGE,
    FSH_RESULT_DEFINITE,
    FSH_RESULT_TRANSIENT, /* surely nothing was done */
    FSH_RESULT_UNKNOWN,   /* it may have been done */
    FSH_RESULT_LOCAL      /* nothing was sent, for a reason of this machine */
};

/* What the core needs to know of an answer. */
struct fsh_result {
    enum fsh_result_kind kind;
    int status; /* what a caller would be told; OK for a grant */
    int64_t retry_after_ms;
    int64_t lifetime_ms; /* of a grant */
    bool refresh_token;  /* a refresh token came with it */
    bool identified;     /* `suspended` and `external` were told */
    bool suspended;
    bool external;
};

/* Why something happened: the entries of the ledger, free of secrets by their types. */
enum fsh_note_kind {
    FSH_NOTE_OPENED,
    FSH_NOTE_REFRESH_BACKGROUND, /* a refresh began: the timer */
    FSH_NOTE_REFRESH_CALLER,     /* ... a caller found less than the threshold left */
    FSH_NOTE_REFRESH_NEEDED,     /* ... no usable token is left */
    FSH_NOTE_REFRESH_REPLAY,     /* ... again, within the grace of rotation */
    FSH_NOTE_SIGN_IN_AUTOMATIC,
    FSH_NOTE_SIGN_IN_EXPLICIT,
    FSH_NOTE_ANSWERED_CHALLENGE,
    FSH_NOTE_REFRESHED,
    FSH_NOTE_SIGNED_IN,
    FSH_NOTE_ADOPTED, /* another engine's result */
    FSH_NOTE_FAILED,  /* an exchange: status; value: ms until the gate opens */
    FSH_NOTE_STORE_FAILED,
    FSH_NOTE_WAITING_FOR_LEASE,
    FSH_NOTE_CHALLENGED,
    FSH_NOTE_PARKED,
    FSH_NOTE_401_LATE,
    FSH_NOTE_401_HELD,
    FSH_NOTE_401_UNUSABLE, /* of a token that was no longer usable */
    FSH_NOTE_401_COUNTS,
    FSH_NOTE_PROBE,
    FSH_NOTE_PROBE_SAYS_ALIVE,
    FSH_NOTE_PROBE_SAYS_DEAD,
    FSH_NOTE_PROBE_FAILED,
    FSH_NOTE_ENDED, /* status: the reason */
    FSH_NOTE_SIGNED_OUT,
    FSH_NOTE_LOST_ROTATION,
    FSH_NOTE_KINDS
};

enum fsh_effect_kind {
    FSH_EFFECT_STORE,      /* submit `change` to the secret store, then fsh_core_stored */
    FSH_EFFECT_ADOPT,      /* get the token of `generation` from the cache, then fsh_core_adopted */
    FSH_EFFECT_SEND,       /* ask the platform, then fsh_core_answered */
    FSH_EFFECT_CANCEL,     /* what is in the air is no longer wanted; its report will be ignored */
    FSH_EFFECT_PUBLISH,    /* the flight's grant is the token in force: generation, freshness */
    FSH_EFFECT_WITHDRAW,   /* no token is in force */
    FSH_EFFECT_FORGET,     /* the flight is over: wipe what it held */
    FSH_EFFECT_REPLY,      /* tell the person's call (sign-in, answer) its status */
    FSH_EFFECT_SIGNED_OUT, /* tell the callers of sign-out their status */
    FSH_EFFECT_WAKE,       /* ask for the waiting callers again */
    FSH_EFFECT_GATE,       /* what was known of the platform has changed: let the others look */
    FSH_EFFECT_NOTE        /* write the ledger */
};

struct fsh_effect {
    enum fsh_effect_kind kind;
    uint64_t ticket; /* STORE, ADOPT, SEND */
    union {
        struct fsh_change change;
        struct {
            enum fsh_errand errand;
        } send;
        struct {
            uint64_t generation;
        } publish, adopt;
        struct {
            enum fsh_note_kind note;
            int status;
            int64_t value;
        } note;
        int status; /* REPLY, SIGNED_OUT */
    };
};

/* More than any step returns; fsh_core checks. */
#define FSH_EFFECTS_MAX 24

struct fsh_effects {
    unsigned count;
    struct fsh_effect list[FSH_EFFECTS_MAX];
};

/* Whether a caller gets the token in force, waits, or is told why not. */
enum fsh_answer_kind { FSH_ANSWER_READY, FSH_ANSWER_WAIT, FSH_ANSWER_REFUSED };

struct fsh_caller_answer {
    enum fsh_answer_kind kind;
    int status;             /* REFUSED: why */
    int64_t retry_after_ms; /* REFUSED: when another try makes sense; -1: time does not help */
};

/* The state of one session. Its fields are the core's; others read through the functions below. */
struct fsh_core {
    const struct fsh_policy *policy;
    struct fsh_gate *gate; /* the platform's, shared */
    uint64_t holder;       /* this engine */
    uint64_t ticket;       /* of the step's effect; reports with another are ignored */
    uint64_t probe_ticket;
    uint64_t ticket_count;

    struct fsh_record record; /* as last read */
    uint64_t published;       /* generation of the token in force; 0: none */
    uint64_t withdrawn;       /* the latest that was in force and is not to come back */
    struct fsh_freshness token;

    enum fsh_step step;
    enum fsh_errand errand;     /* of the flight; NONE when there is none */
    enum fsh_purpose purpose;   /* of its lease */
    bool in_air;                /* the step's effect is submitted and not reported */
    struct fsh_mono started_at; /* of the step's effect */
    struct fsh_mono retry_at;   /* of a step that is to be submitted again */
    uint64_t attempt;
    uint64_t reserved;        /* generation of the flight */
    struct fsh_mono sent_at;  /* when its request was sent */
    struct fsh_result result; /* of the flight's exchange */
    bool refused;             /* ... refused the credentials of an automatic sign-in */
    int64_t unresolved_ms;    /* see fsh_core_stored */
    uint64_t waiting_for;     /* attempt of the other engine that is waited for */
    int ending;               /* why the session is to be ended; 0: not */
    uint64_t flights;         /* that are over */

    struct fsh_mono read_at; /* when the record was last read */
    bool loaded;             /* the record was read */
    bool wanted;             /* a caller asked for a refresh, or for a token */
    bool signing_out;
    bool holding;
    enum fsh_errand command; /* a person's: SIGN_IN, MFA, NEW_PASSWORD */
    int challenge;           /* status of the open challenge; 0: none */
    uint32_t store_failures;
    struct fsh_mono store_at; /* not before, after a failure of the store */
    struct fsh_mono next_try; /* when a token may be had earliest; FSH_NEVER */
    struct fsh_mono wake_at;
    int failure;              /* status of the last failed attempt to get a token */
    uint64_t reported;        /* generation of a 401 that is held */
    bool probing;             /* a probe is in the air */
    bool confirmed;           /* ... by a probe */
    uint64_t suspect;         /* generation that a probe is to be sent for; 0: none */
    uint64_t probed;          /* generation that the probe in the air was sent with */
    struct fsh_mono probe_at; /* not before */
    bool closing;
    bool placed;            /* the flight has a place at the gate */
    bool due;               /* it is time for a flight, if the gate lets it */
    struct fsh_stand stand; /* ... where it waits for one */
    bool clean;             /* this attempt has surely not spent the refresh token */
    bool replay;            /* an earlier attempt may have spent it */
};

/* A session as it is before its first step: it will read its record. `policy` and `gate` must
 * outlive it. `holder` is unique among all engines that share the store, and not 0. */
void fsh_core_init(struct fsh_core *core, const struct fsh_policy *policy, struct fsh_gate *gate,
                   uint64_t holder);

/* Time has passed, or nothing is known to have: does what is due. */
void fsh_core_tick(struct fsh_core *core, struct fsh_now now, struct fsh_effects *fx);

/* A caller asks for a token with min_valid_ms left, by `deadline`. `seen` is NULL for a new caller;
 * for one who asks again after FSH_EFFECT_WAKE, what fsh_core_flights said at its first question.
 */
struct fsh_caller_answer fsh_core_ask(struct fsh_core *core, struct fsh_now now,
                                      int64_t min_valid_ms, struct fsh_mono deadline,
                                      const uint64_t *seen, struct fsh_effects *fx);

/* The session that is to look now, by fsh_core_tick, since it stands first at the gate: it may go,
 * or does not know yet when the gate opens. NULL: none. Whoever drives sessions asks after each
 * event of any of them, until there is none. */
struct fsh_core *fsh_core_next(const struct fsh_gate *gate, struct fsh_mono now);

/* How many flights are over: who waited for one compares. */
uint64_t fsh_core_flights(const struct fsh_core *core);

/* A request with the token of `generation` was answered 401 (rule 3). */
void fsh_core_unauthorized(struct fsh_core *core, struct fsh_now now, uint64_t generation,
                           struct fsh_effects *fx);

/* A person signs in or answers the open challenge. Returns FRESHET_OK when it is under way (the
 * outcome comes as FSH_EFFECT_REPLY), else why not. */
int fsh_core_command(struct fsh_core *core, struct fsh_now now, enum fsh_errand errand,
                     struct fsh_effects *fx);

/* Signs out, now: what is in the air loses (rule 10). */
void fsh_core_sign_out(struct fsh_core *core, struct fsh_now now, bool hold,
                       struct fsh_effects *fx);

/* The store's report on an FSH_EFFECT_STORE. With `status` FRESHET_OK, the verdict and the record
 * as it now is; else the store failed, and whether the change took effect is not known.
 * unresolved_ms is fsh_core_record_unresolved_ms by the store's clock. */
void fsh_core_stored(struct fsh_core *core, struct fsh_now now, uint64_t ticket, int status,
                     enum fsh_verdict verdict, const struct fsh_record *record,
                     int64_t unresolved_ms, struct fsh_effects *fx);

/* The cache's report on an FSH_EFFECT_ADOPT: the token's lifetime and when its request was sent, or
 * lifetime 0 when the cache has none of that generation and boot. */
void fsh_core_adopted(struct fsh_core *core, struct fsh_now now, uint64_t ticket,
                      struct fsh_mono sent_at, int64_t lifetime_ms, struct fsh_effects *fx);

/* The platform's answer to an FSH_EFFECT_SEND. */
void fsh_core_answered(struct fsh_core *core, struct fsh_now now, uint64_t ticket,
                       const struct fsh_result *result, struct fsh_effects *fx);

/* Nothing new begins any more. What must not be lost (a rotation in the air, a change that is to be
 * written) goes on; other exchanges are given up and their lease goes back. */
void fsh_core_close(struct fsh_core *core, struct fsh_now now, struct fsh_effects *fx);

/* Whether nothing is left to be done after fsh_core_close. */
bool fsh_core_closed(const struct fsh_core *core);

/* The time for that is over. */
void fsh_core_abandon(struct fsh_core *core);

/* When fsh_core_tick is due; FSH_NEVER when only an event can change anything. */
struct fsh_mono fsh_core_wake_at(const struct fsh_core *core);

/* Why a caller who cannot have a token cannot: a status. */
int fsh_core_why(const struct fsh_core *core);

/* Whether the token in force may be used now. */
bool fsh_core_usable(const struct fsh_core *core, struct fsh_mono now);

#endif
