/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_ENGINE_METER_H
#define FSH_ENGINE_METER_H

#include "base/histogram.h"
#include "base/time.h"
#include "core/freshness.h"
#include "core/record.h"
#include "core/session.h"
#include "profile/profile.h"
#include "store/store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an engine counts of all its sessions, for metrics. Relaxed atomics: written by the engine's
 * thread, but for the 401s, and read by any at any time, so that a reader may find one number a
 * little ahead of another. It has no clock of its own. Zero is its beginning. */

/* Of flights, exchanges and stores: the engine's clock counts milliseconds. */
extern const struct fsh_bounds fsh_engine_latency_bounds;

/* ---- how many tokens are usable now ------------------------------------------------------ */

/* A token ceases to be usable without anything happening, and nobody looks at a million of them.
 * So their ends are counted in rings of slots, by the length of their lives: a slot is a small part
 * of a life, and a ring is longer than the lives in it. */
#define FSH_ENDS_LEVELS 20
#define FSH_ENDS_SLOTS  512

struct fsh_ends {
    atomic_int_fast64_t first; /* the slot before which all ends have passed */
    _Atomic uint32_t slots[FSH_ENDS_SLOTS];
};

/* ---- the meter --------------------------------------------------------------------------- */

/* What a session is: its record's phase, or that nothing is known yet. */
enum fsh_meter_state {
    FSH_METER_NONE = FSH_PHASE_NONE,
    FSH_METER_LIVE = FSH_PHASE_LIVE,
    FSH_METER_ENDED = FSH_PHASE_ENDED,
    FSH_METER_SIGNED_OUT = FSH_PHASE_SIGNED_OUT,
    FSH_METER_HELD = FSH_PHASE_HELD,
    FSH_METER_OPENING,
    FSH_METER_STATES
};

/* How an exchange ended: enum fsh_result_kind, or it was given up. */
#define FSH_METER_OUTCOMES  (FSH_RESULT_LOCAL + 2)
#define FSH_METER_ABANDONED (FSH_RESULT_LOCAL + 1)

enum fsh_meter_flight { FSH_METER_REFRESH, FSH_METER_SIGN_IN, FSH_METER_FLIGHTS };

#define FSH_METER_CHANGES (FSH_CHANGE_LOSE + 1)
#define FSH_METER_CACHES  (FSH_CACHE_DROP + 1)
#define FSH_METER_REASONS 64 /* a status is above its negative */

struct fsh_use_meter {
    struct fsh_histogram latency;
    atomic_uint_fast64_t failures;
};

struct fsh_meter {
    atomic_uint_fast64_t exchanges[FSH_EXCHANGE_KINDS][FSH_METER_OUTCOMES];
    struct fsh_histogram exchange[FSH_EXCHANGE_KINDS]; /* of those that were answered */
    struct fsh_histogram flight[FSH_METER_FLIGHTS];    /* from its begin to its outcome */
    struct fsh_use_meter secrets[FSH_METER_CHANGES];
    struct fsh_use_meter tokens[FSH_METER_CACHES];
    /* CLOCK_BOOTTIME when a store could not be used; 0: its last use was good. */
    atomic_int_fast64_t secrets_failed_at;
    atomic_int_fast64_t tokens_failed_at;
    atomic_uint_fast64_t waited;                   /* callers who waited */
    atomic_uint_fast64_t coalesced;                /* ... for what was under way already */
    atomic_uint_fast64_t ended[FSH_METER_REASONS]; /* and signed out */
    atomic_uint_fast64_t notes[FSH_NOTE_KINDS];
    /* 401s that were dropped where they were reported: not of the token in force; said before. */
    atomic_uint_fast64_t late_401s;
    atomic_uint_fast64_t repeated_401s;
    _Atomic uint32_t sessions[2][FSH_METER_STATES][2]; /* service, state, challenged */
    struct fsh_ends ends[FSH_ENDS_LEVELS];
};

static inline void fsh_engine_add(atomic_uint_fast64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* A session is what it was not: `before` and `now` are what fsh_engine_meter_mark said; 0: it is
 * not open. */
void fsh_engine_meter_session(struct fsh_meter *meter, uint8_t before, uint8_t now);

/* A number for what a session counts as, never 0. */
uint8_t fsh_engine_meter_mark(bool service, enum fsh_meter_state state, bool challenged);

/* What a mark stands for; false for 0. */
bool fsh_engine_meter_read(uint8_t mark, enum fsh_meter_state *ret_state, bool *ret_challenged);

/* A note of the ledger. */
void fsh_engine_meter_note(struct fsh_meter *meter, enum fsh_note_kind note, int status);

/* A token is in force now, or no longer; from `sent_at`, for `lifetime_ms`. */
void fsh_engine_meter_token_in(struct fsh_meter *meter, struct fsh_mono now,
                               struct fsh_mono sent_at, int64_t lifetime_ms);
void fsh_engine_meter_token_out(struct fsh_meter *meter, struct fsh_mono now,
                                struct fsh_mono sent_at, int64_t lifetime_ms);

/* How many of those in force are usable: a life's hundredth more or less. Any thread. */
uint64_t fsh_engine_meter_usable(const struct fsh_meter *meter, struct fsh_mono now);

#endif
