/* SPDX-License-Identifier: Apache-2.0 */
#include "core/freshness.h"

#include "core/random.h"

bool fsh_core_ever_usable(int64_t lifetime_ms)
{
    return lifetime_ms > fsh_core_margin_ms(lifetime_ms);
}

struct fsh_freshness fsh_core_freshness(struct fsh_mono sent_at, int64_t lifetime_ms,
                                        int64_t threshold_ms, uint64_t random)
{
    struct fsh_freshness token = fsh_core_moments(sent_at, lifetime_ms, threshold_ms);
    int64_t threshold = fsh_mono_until(token.threshold_at, token.expires_at);

    token.background_at =
        fsh_mono_add(token.threshold_at, -fsh_core_uniform(random, threshold / 5));
    return token;
}

bool fsh_core_satisfies(const struct fsh_freshness *token, struct fsh_mono now,
                        int64_t min_valid_ms)
{
    int64_t lifetime = fsh_mono_until(token->sent_at, token->expires_at);
    int64_t wanted = fsh_core_least(min_valid_ms, lifetime - lifetime / 4);

    return now.ms < token->usable_until.ms && fsh_mono_until(now, token->expires_at) >= wanted;
}
