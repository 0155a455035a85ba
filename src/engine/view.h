/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_ENGINE_VIEW_H
#define FSH_ENGINE_VIEW_H

#include "base/time.h"
#include "core/freshness.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What freshet_ensure_fresh needs to know of the token in force, readable by any thread without a
 * lock, an allocation or a shared write: a sequence lock (Lameter 2005) of one writer, the engine.
 * An odd sequence means that it is being written. The fields are atomics, so that a reader that
 * meets a writer reads old and new, notices, and reads again, but never races. The token's moments
 * follow from these few, and are not kept. */
struct fsh_view {
    atomic_uint_fast64_t generation; /* 0: no token is in force */
    atomic_int_fast64_t sent_at;
    atomic_int_fast64_t lifetime;
    atomic_uint sequence;
};

static inline void fsh_view_write(struct fsh_view *view, uint64_t generation,
                                  struct fsh_mono sent_at, int64_t lifetime_ms)
{
    unsigned sequence = atomic_load_explicit(&view->sequence, memory_order_relaxed);

    atomic_store_explicit(&view->sequence, sequence + 1, memory_order_relaxed);
    /* Release on each field: none of them may become visible before the odd sequence does. */
    atomic_store_explicit(&view->generation, generation, memory_order_release);
    atomic_store_explicit(&view->sent_at, sent_at.ms, memory_order_release);
    atomic_store_explicit(&view->lifetime, lifetime_ms, memory_order_release);
    atomic_store_explicit(&view->sequence, sequence + 2, memory_order_release);
}

/* False when no token is in force. */
static inline bool fsh_view_read(const struct fsh_view *view, int64_t threshold_ms,
                                 uint64_t *ret_generation, struct fsh_freshness *ret_token)
{
    unsigned before;
    uint64_t generation;
    struct fsh_mono sent_at;
    int64_t lifetime;

    do {
        before = atomic_load_explicit(&view->sequence, memory_order_acquire);
        generation = atomic_load_explicit(&view->generation, memory_order_acquire);
        sent_at.ms = atomic_load_explicit(&view->sent_at, memory_order_acquire);
        lifetime = atomic_load_explicit(&view->lifetime, memory_order_acquire);
    } while ((before & 1) != 0 ||
             before != atomic_load_explicit(&view->sequence, memory_order_relaxed));
    if (generation == 0)
        return false;
    *ret_generation = generation;
    *ret_token = fsh_core_moments(sent_at, lifetime, threshold_ms);
    return true;
}

#endif
