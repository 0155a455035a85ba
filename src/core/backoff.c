/* SPDX-License-Identifier: Apache-2.0 */
#include "core/backoff.h"

#include "base/bounds.h"
#include "core/mutant.h"
#include "core/random.h"

static int64_t doubled(int64_t first, int64_t last, uint32_t times)
{
    int64_t window = first;

    for (uint32_t i = 0; i < times && window < last; i++)
        window *= 2;
    return window < last ? window : last;
}

int64_t fsh_core_backoff_ms(uint32_t failures, uint64_t random)
{
    return fsh_core_uniform(random,
                            doubled(FSH_BACKOFF_FIRST_MS, FSH_BACKOFF_LAST_MS, failures - 1));
}

int64_t fsh_core_refused_ms(uint32_t refusals, int64_t pause_ms)
{
    return doubled(pause_ms, FSH_REFUSED_LAST_MS, refusals - 1);
}

bool fsh_core_gate_full(const struct fsh_gate *gate)
{
    return gate->room > 0 && gate->taken >= gate->room;
}

void fsh_core_gate_take(struct fsh_gate *gate)
{
    gate->taken++;
}

void fsh_core_gate_give(struct fsh_gate *gate)
{
    gate->taken--;
}

void fsh_core_gate_join(struct fsh_gate *gate, struct fsh_stand *stand)
{
    if (stand->waits)
        return;
    *stand = (struct fsh_stand){.ahead = gate->last, .waits = true};
    if (gate->last)
        gate->last->behind = stand;
    else
        gate->first = stand;
    gate->last = stand;
}

void fsh_core_gate_quit(struct fsh_gate *gate, struct fsh_stand *stand)
{
    if (!stand->waits)
        return;
    if (stand->ahead)
        stand->ahead->behind = stand->behind;
    else
        gate->first = stand->behind;
    if (stand->behind)
        stand->behind->ahead = stand->ahead;
    else
        gate->last = stand->ahead;
    *stand = (struct fsh_stand){0};
}

bool fsh_core_gate_lets(const struct fsh_gate *gate, const struct fsh_stand *stand)
{
    return !fsh_core_gate_full(gate) && (gate->first == stand || FSH_MUTANT(JUMPS));
}

struct fsh_mono fsh_core_gate_opens(const struct fsh_gate *gate)
{
    return fsh_mono_max(fsh_core_gate_news(gate), gate->trial_to);
}

struct fsh_mono fsh_core_gate_news(const struct fsh_gate *gate)
{
    return FSH_MUTANT(IMPATIENT) ? gate->retry_at : fsh_mono_max(gate->retry_at, gate->closed_to);
}

void fsh_core_gate_enter(struct fsh_gate *gate, struct fsh_mono now)
{
    if (gate->failures > 0)
        gate->trial_to = fsh_mono_add(now, FSH_EXCHANGE_MS);
}

bool fsh_core_gate_leave(struct fsh_gate *gate)
{
    bool trial = gate->trial_to.ms != 0;

    gate->trial_to = (struct fsh_mono){0};
    return trial;
}

bool fsh_core_gate_worked(struct fsh_gate *gate)
{
    bool failed_before = gate->failures > 0;

    gate->failures = 0;
    gate->retry_at = gate->trial_to = gate->closed_to = (struct fsh_mono){0};
    return failed_before;
}

bool fsh_core_gate_failed(struct fsh_gate *gate, struct fsh_mono now, int64_t retry_after_ms,
                          uint64_t random)
{
    bool trial = fsh_core_gate_leave(gate);

    if (gate->failures < UINT32_MAX)
        gate->failures++;
    gate->retry_at = fsh_mono_add(now, fsh_core_backoff_ms(gate->failures, random));
    if (retry_after_ms < 0)
        return trial;
    if (retry_after_ms > FSH_RETRY_AFTER_MS)
        retry_after_ms = FSH_RETRY_AFTER_MS;
    gate->closed_to = fsh_mono_max(gate->closed_to, fsh_mono_add(now, retry_after_ms));
    return trial;
}
