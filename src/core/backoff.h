/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CORE_BACKOFF_H
#define FSH_CORE_BACKOFF_H

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

/* Full jitter over a window that doubles from 1 s to 30 s (rule 6), after the failure number
 * `failures`, counted from 1. */
int64_t fsh_core_backoff_ms(uint32_t failures, uint64_t random);

/* How long automatic sign-ins pause after refused credentials (rule 8): 30 s, doubling to 15 min.
 * Without jitter: a pause that must not be undercut, or the account is locked out. */
int64_t fsh_core_refused_ms(uint32_t refusals, int64_t pause_ms);

/* Where somebody stands in the line at a gate; zero: nowhere. */
struct fsh_stand {
    struct fsh_stand *ahead;
    struct fsh_stand *behind;
    bool waits;
};

/* The gate in front of one platform, shared by all its sessions. While the platform fails, one
 * exchange at a time is let through to try it, and all others wait for what becomes of that. */
struct fsh_gate {
    struct fsh_mono retry_at;  /* nobody goes before */
    struct fsh_mono trial_to;  /* while it fails: until when the exchange that tries it may take */
    struct fsh_mono closed_to; /* the platform's own Retry-After: not even a person goes before */
    uint32_t failures;         /* in a row */
    uint32_t room;             /* flights at once that no person began; 0: any number */
    uint32_t taken;            /* ... that there are */
    struct fsh_stand *first;   /* of the line, whose members are the sessions' */
    struct fsh_stand *last;
};

/* Thousands of tokens may end together. A flight begins when there is room for one more, and takes
 * its place before it asks for a lease, so that who waits costs neither platform nor store. Who
 * came first goes first; each place that is given back is for the first of the line alone, so that
 * nobody looks in vain (fsh_core_next). A person's neither waits nor takes a place. */
bool fsh_core_gate_full(const struct fsh_gate *gate);
void fsh_core_gate_take(struct fsh_gate *gate);
void fsh_core_gate_give(struct fsh_gate *gate);

/* Joins the end of the line, and leaves it, wherever it stands; nothing when it already has. */
void fsh_core_gate_join(struct fsh_gate *gate, struct fsh_stand *stand);
void fsh_core_gate_quit(struct fsh_gate *gate, struct fsh_stand *stand);

/* Whether there is room, and it is this one's turn. */
bool fsh_core_gate_lets(const struct fsh_gate *gate, const struct fsh_stand *stand);

/* The moment from which an exchange may be sent. */
struct fsh_mono fsh_core_gate_opens(const struct fsh_gate *gate);

/* When news of the platform may come earliest: of the exchange that tries it, or of the next. */
struct fsh_mono fsh_core_gate_news(const struct fsh_gate *gate);

/* An exchange is sent: while the platform fails, the others wait until it must have ended. */
void fsh_core_gate_enter(struct fsh_gate *gate, struct fsh_mono now);

/* An exchange that entered was given up, or never left: it will tell nothing. True when others may
 * have waited for it: they are to look again. */
bool fsh_core_gate_leave(struct fsh_gate *gate);

/* The platform answered like one that works. True when it had not before: those who wait at the
 * gate are to look again. */
bool fsh_core_gate_worked(struct fsh_gate *gate);

/* It failed. retry_after_ms is -1 when it did not say. True as fsh_core_gate_leave. */
bool fsh_core_gate_failed(struct fsh_gate *gate, struct fsh_mono now, int64_t retry_after_ms,
                          uint64_t random);

#endif
