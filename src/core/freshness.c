/* SPDX-License-Identifier: Apache-2.0 */
#include "core/freshness.h"

#include "core/random.h"

#define MARGIN_LEAST_MS 1000
#define MARGIN_MOST_MS  30000

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t fsh_core_margin_ms(int64_t lifetime_ms)
{
    int64_t margin = least(MARGIN_MOST_MS, lifetime_ms / 10);

    return margin < MARGIN_LEAST_MS ? MARGIN_LEAST_MS : margin;
}

int64_t fsh_core_threshold_ms(int64_t threshold_ms, int64_t lifetime_ms)
{
    int64_t threshold = least(threshold_ms, lifetime_ms / 4);
    int64_t margin = fsh_core_margin_ms(lifetime_ms);

    return threshold < margin ? margin : threshold;
}

bool fsh_core_ever_usable(int64_t lifetime_ms)
{
    return lifetime_ms > fsh_core_margin_ms(lifetime_ms);
}

struct fsh_freshness fsh_core_freshness(struct fsh_mono sent_at, int64_t lifetime_ms,
                                        int64_t threshold_ms, uint64_t random)
{
    int64_t threshold = fsh_core_threshold_ms(threshold_ms, lifetime_ms);
    int64_t jitter = fsh_core_uniform(random, threshold / 5);
    struct fsh_freshness token = {
        .sent_at = sent_at,
        .background_at = fsh_mono_add(sent_at, lifetime_ms - threshold - jitter),
        .threshold_at = fsh_mono_add(sent_at, lifetime_ms - threshold),
        .usable_until = fsh_mono_add(sent_at, lifetime_ms - fsh_core_margin_ms(lifetime_ms)),
        .expires_at = fsh_mono_add(sent_at, lifetime_ms),
    };

    return token;
}

bool fsh_core_satisfies(const struct fsh_freshness *token, struct fsh_mono now,
                        int64_t min_valid_ms)
{
    int64_t lifetime = fsh_mono_until(token->sent_at, token->expires_at);
    int64_t wanted = least(min_valid_ms, lifetime - lifetime / 4);

    return now.ms < token->usable_until.ms && fsh_mono_until(now, token->expires_at) >= wanted;
}
