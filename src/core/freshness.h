/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CORE_FRESHNESS_H
#define FSH_CORE_FRESHNESS_H

#include "base/time.h"

#include <stdbool.h>

/* The moments of one access token (rules 2 and 11), all counted from when its request was sent.
 *
 *   sent_at ....... background_at .. threshold_at ............ usable_until . expires_at
 *           fresh                 ^ the timer     a caller      ^ callers wait
 *                                   refreshes     refreshes
 */
struct fsh_freshness {
    struct fsh_mono sent_at;
    struct fsh_mono background_at;
    struct fsh_mono threshold_at;
    struct fsh_mono usable_until;
    struct fsh_mono expires_at;
};

static inline int64_t fsh_core_least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t fsh_core_most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Rule 11: usable ends max(1 s, min(30 s, lifetime / 10)) before expiry. */
static inline int64_t fsh_core_margin_ms(int64_t lifetime_ms)
{
    return fsh_core_most(1000, fsh_core_least(30000, lifetime_ms / 10));
}

/* Rule 2: min(threshold, lifetime / 4), and no less than the margin: a token of a few seconds would
 * otherwise be refreshed after its use has ended. */
static inline int64_t fsh_core_threshold_ms(int64_t threshold_ms, int64_t lifetime_ms)
{
    return fsh_core_most(fsh_core_least(threshold_ms, lifetime_ms / 4),
                         fsh_core_margin_ms(lifetime_ms));
}

/* The moments of a token without jitter: background_at is threshold_at. Inline, since every call of
 * freshet_ensure_fresh does it. */
static inline struct fsh_freshness fsh_core_moments(struct fsh_mono sent_at, int64_t lifetime_ms,
                                                    int64_t threshold_ms)
{
    struct fsh_mono expires_at = fsh_mono_add(sent_at, lifetime_ms);
    struct fsh_mono threshold_at = {expires_at.ms -
                                    fsh_core_threshold_ms(threshold_ms, lifetime_ms)};

    return (struct fsh_freshness){
        .sent_at = sent_at,
        .background_at = threshold_at,
        .threshold_at = threshold_at,
        .usable_until = {expires_at.ms - fsh_core_margin_ms(lifetime_ms)},
        .expires_at = expires_at,
    };
}

/* A token whose margin eats its life is never usable: a bad body (rule 11). */
bool fsh_core_ever_usable(int64_t lifetime_ms);

/* The moments of a token; `random` is uniform and places the timer within its jitter. */
struct fsh_freshness fsh_core_freshness(struct fsh_mono sent_at, int64_t lifetime_ms,
                                        int64_t threshold_ms, uint64_t random);

/* Whether a caller who asks for min_valid_ms gets this token at once.
 *
 * No token can be asked to have more left than three quarters of its life: a caller who asks for
 * more than a new token has would otherwise set off one refresh a call. */
bool fsh_core_satisfies(const struct fsh_freshness *token, struct fsh_mono now,
                        int64_t min_valid_ms);

#endif
