/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/meter.h"

const struct fsh_bounds fsh_engine_latency_bounds = {
    14, {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000}};

/* ---- sessions ---------------------------------------------------------------------------- */

uint8_t fsh_engine_meter_mark(bool service, enum fsh_meter_state state, bool challenged)
{
    return (uint8_t)(1 + ((service ? 1 : 0) * FSH_METER_STATES + state) * 2 + (challenged ? 1 : 0));
}

static _Atomic uint32_t *place(struct fsh_meter *meter, uint8_t mark)
{
    unsigned place = mark - 1u;

    return &meter
                ->sessions[place / (FSH_METER_STATES * 2)][place / 2 % FSH_METER_STATES][place % 2];
}

void fsh_engine_meter_session(struct fsh_meter *meter, uint8_t before, uint8_t now)
{
    if (before == now)
        return;
    if (before)
        atomic_fetch_sub_explicit(place(meter, before), 1, memory_order_relaxed);
    if (now)
        atomic_fetch_add_explicit(place(meter, now), 1, memory_order_relaxed);
}

bool fsh_engine_meter_read(uint8_t mark, enum fsh_meter_state *ret_state, bool *ret_challenged)
{
    if (mark == 0)
        return false;
    *ret_state = (mark - 1u) / 2 % FSH_METER_STATES;
    *ret_challenged = (mark - 1u) % 2 != 0;
    return true;
}

void fsh_engine_meter_note(struct fsh_meter *meter, enum fsh_note_kind note, int status)
{
    if (note >= FSH_NOTE_KINDS)
        return;
    fsh_engine_add(&meter->notes[note]);
    if ((note == FSH_NOTE_ENDED || note == FSH_NOTE_SIGNED_OUT) && status <= 0 &&
        -status < FSH_METER_REASONS)
        fsh_engine_add(&meter->ended[-status]);
}

/* ---- tokens ------------------------------------------------------------------------------ */

/* A life of up to 2^(FIRST + level) ms has its end in the ring of that level. */
#define FIRST_LEVEL_BITS 16

/* A life is half a ring at the most, so that what ends within it never meets an old slot. */
static unsigned level_of(int64_t lifetime_ms)
{
    unsigned level = 0;

    while (level < FSH_ENDS_LEVELS - 1 && lifetime_ms > INT64_C(1) << (FIRST_LEVEL_BITS + level))
        level++;
    return level;
}

static int64_t slot_at(unsigned level, int64_t ms)
{
    const int64_t width = (INT64_C(1) << (FIRST_LEVEL_BITS + level)) / (FSH_ENDS_SLOTS / 2);

    return ms > 0 ? ms / width : 0;
}

static _Atomic uint32_t *slot(struct fsh_ends *ends, int64_t at)
{
    return &ends->slots[(uint64_t)at % FSH_ENDS_SLOTS];
}

/* Forgets the ends that have passed. */
static void pass(struct fsh_ends *ends, int64_t now)
{
    int64_t first = atomic_load_explicit(&ends->first, memory_order_relaxed);

    if (now - first > FSH_ENDS_SLOTS)
        first = now - FSH_ENDS_SLOTS;
    for (; first < now; first++)
        atomic_store_explicit(slot(ends, first), 0, memory_order_relaxed);
    atomic_store_explicit(&ends->first, now, memory_order_release);
}

/* The slot of a token's end, or NULL when that has passed or is beyond what a ring can count. */
static _Atomic uint32_t *end_of(struct fsh_meter *meter, struct fsh_mono now,
                                struct fsh_mono sent_at, int64_t lifetime_ms)
{
    unsigned level = level_of(lifetime_ms);
    struct fsh_ends *ends = &meter->ends[level];
    int64_t today = slot_at(level, now.ms);
    int64_t end = slot_at(level, sent_at.ms + lifetime_ms - fsh_core_margin_ms(lifetime_ms));

    if (today > atomic_load_explicit(&ends->first, memory_order_relaxed))
        pass(ends, today);
    return end >= today && end < today + FSH_ENDS_SLOTS ? slot(ends, end) : NULL;
}

void fsh_engine_meter_token_in(struct fsh_meter *meter, struct fsh_mono now,
                               struct fsh_mono sent_at, int64_t lifetime_ms)
{
    _Atomic uint32_t *end = end_of(meter, now, sent_at, lifetime_ms);

    if (end)
        atomic_fetch_add_explicit(end, 1, memory_order_relaxed);
}

void fsh_engine_meter_token_out(struct fsh_meter *meter, struct fsh_mono now,
                                struct fsh_mono sent_at, int64_t lifetime_ms)
{
    _Atomic uint32_t *end = end_of(meter, now, sent_at, lifetime_ms);

    if (end && atomic_load_explicit(end, memory_order_relaxed) > 0)
        atomic_fetch_sub_explicit(end, 1, memory_order_relaxed);
}

uint64_t fsh_engine_meter_usable(const struct fsh_meter *meter, struct fsh_mono now)
{
    uint64_t usable = 0;

    for (unsigned level = 0; level < FSH_ENDS_LEVELS; level++) {
        const struct fsh_ends *ends = &meter->ends[level];
        int64_t first = atomic_load_explicit(&ends->first, memory_order_acquire);
        int64_t at = slot_at(level, now.ms);

        for (at = at > first ? at : first; at < first + FSH_ENDS_SLOTS; at++)
            usable += atomic_load_explicit(&ends->slots[(uint64_t)at % FSH_ENDS_SLOTS],
                                           memory_order_relaxed);
    }
    return usable;
}
