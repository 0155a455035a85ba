/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CORE_RECORD_H
#define FSH_CORE_RECORD_H

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

/* The durable half of a session, and the lease protocol as pure functions on it.
 *
 * Every store keeps one record a session and changes it in one way only: read it, hand it to
 * fsh_core_record_apply with the store's own time, write it back, all in one transaction. So the
 * rules of leases and of compare-and-swap stand here once, for every store and for the simulator.
 * The secrets that belong to a record (the refresh token, the device's keys) are kept beside it by
 * the store; what becomes of them follows from the change (see fsh_change_kind). */

enum fsh_phase {
    FSH_PHASE_NONE, /* never signed in */
    FSH_PHASE_LIVE,
    FSH_PHASE_ENDED,      /* by the platform, for `reason` */
    FSH_PHASE_SIGNED_OUT, /* by its user */
    FSH_PHASE_HELD        /* signed out by an operator: back by login only */
};

enum fsh_purpose { FSH_PURPOSE_NONE, FSH_PURPOSE_REFRESH, FSH_PURPOSE_SIGN_IN };

/* Who may ask the platform for new tokens of the session, until when. */
struct fsh_lease {
    uint64_t holder; /* an engine; 0: nobody */
    uint64_t attempt;
    uint64_t generation; /* reserved for what the attempt brings */
    struct fsh_stamp until;
    enum fsh_purpose purpose;
};

/* No attempt of its own: these are odd. */
#define FSH_ATTEMPTS_SEVERAL 2

struct fsh_record {
    uint64_t incarnation; /* one more at each sign-in, end and sign-out */
    uint64_t generation;  /* of the last grant that was committed; never restarts */
    uint64_t reserved;    /* the highest ever reserved; never restarts, and may have gaps */
    enum fsh_phase phase;
    int reason;       /* a status: why it is not live, or why it is not refreshable */
    bool refreshable; /* a refresh token stands beside the record */
    int parked;       /* the status of the challenge that an automatic sign-in met; 0: not parked */
    struct fsh_wall refresh_until; /* estimated end of the refresh token; 0: not known */
    struct fsh_wall sign_in_at;    /* no automatic sign-in before */
    uint32_t refusals;             /* of credentials, in a row */
    struct fsh_lease lease;
    /* The first refresh that may have spent the refresh token and whose outcome is not known
     * (rule 7): its attempt, 0 for none, and when it took its lease. FSH_ATTEMPTS_SEVERAL when
     * others asked in between. */
    uint64_t unresolved;
    struct fsh_stamp unresolved_at;
};

enum fsh_change_kind {
    /* Nothing; returns the record. Secrets: none move. */
    FSH_CHANGE_READ,
    /* Takes or renews the lease for `purpose` and reserves a generation. Secrets: the store hands
     * out the refresh token (for a refresh) and the device's keys (for a sign-in). */
    FSH_CHANGE_LEASE,
    /* Gives the lease back without a grant. Secrets: none move. */
    FSH_CHANGE_RELEASE,
    /* A grant of the attempt: generation, and for a sign-in the incarnation, move on. Secrets: the
     * refresh token is replaced by the one that comes with the change, if one does; a sign-in
     * without one removes the old; the device's keys are replaced if they come. */
    FSH_CHANGE_COMMIT,
    /* The session is over, for `reason`. Secrets: the refresh token goes. */
    FSH_CHANGE_END,
    /* The same by its user (`hold`: by an operator), without a condition (rule 10). */
    FSH_CHANGE_SIGN_OUT,
    /* The challenge `reason` needs an operator (rule 9). Gives the lease back. */
    FSH_CHANGE_PARK,
    /* The refresh token may be spent and its successor is lost (rule 7). Secrets: it goes. */
    FSH_CHANGE_LOSE,
    /* Nothing of the record: the label that comes with the change is put beside it. STALE without a
     * record to stand beside. Secrets: none move. */
    FSH_CHANGE_LABEL,
    /* The session is forgotten, and its name is never used again. STALE while it is live, BUSY
     * while a lease is in force. Secrets: all go. */
    FSH_CHANGE_REMOVE
};

/* What is to be changed. `incarnation` and `generation` are the compare of compare-and-swap: those
 * that the engine last read. */
struct fsh_change {
    enum fsh_change_kind kind;
    uint64_t incarnation;
    uint64_t generation;
    uint64_t holder;
    uint64_t attempt;
    uint64_t reserved; /* COMMIT: the generation that the attempt's lease reserved */
    enum fsh_purpose purpose;
    int reason;
    bool hold;         /* SIGN_OUT */
    bool resolved;     /* RELEASE: this attempt has surely not spent the refresh token */
    bool refreshable;  /* COMMIT: a refresh token comes with it, or the old one stays good */
    uint32_t refusals; /* RELEASE */
    struct fsh_wall sign_in_at;    /* LEASE for a sign-in, RELEASE: earliest next automatic one */
    struct fsh_wall wall;          /* LEASE for an automatic sign-in: now, */
    int64_t pause_ms;              /* ... the pause between two, */
    struct fsh_wall known_at;      /* ... and sign_in_at of the record that it was decided by */
    struct fsh_wall refresh_until; /* COMMIT, when a refresh token comes with it; else 0 */
};

enum fsh_verdict {
    FSH_VERDICT_DONE,
    FSH_VERDICT_BUSY, /* another engine holds the lease: look again in 50 ms */
    FSH_VERDICT_STALE /* incarnation or generation moved on: what the record says now, stands */
};

/* Applies `change` to `record` at the time `now` of the store's clock. The record is changed only
 * when the verdict is DONE. */
enum fsh_verdict fsh_core_record_apply(struct fsh_record *record, const struct fsh_change *change,
                                       struct fsh_stamp now);

/* How long automatic sign-ins still pause (rule 8), in milliseconds. `pause_ms` lies between two;
 * it grows with the refusals. */
int64_t fsh_core_record_pause_ms(const struct fsh_record *record, struct fsh_wall now,
                                 int64_t pause_ms);

/* How long ago the unresolved refresh began, in milliseconds: -1 when there is none but `attempt`
 * itself, INT64_MAX when it was before the last boot. */
int64_t fsh_core_record_unresolved_ms(const struct fsh_record *record, uint64_t attempt,
                                      struct fsh_stamp now);

#endif
