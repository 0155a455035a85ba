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
 * meets a writer reads old and new, notices, and reads again, but never races. */
struct fsh_view {
    atomic_uint_fast64_t sequence;
    atomic_uint_fast64_t generation; /* 0: no token is in force */
    atomic_int_fast64_t sent_at;
    atomic_int_fast64_t threshold_at;
    atomic_int_fast64_t usable_until;
    atomic_int_fast64_t expires_at;
};

static inline void fsh_view_write(struct fsh_view *view, uint64_t generation,
                                  const struct fsh_freshness *token)
{
    uint_fast64_t sequence = atomic_load_explicit(&view->sequence, memory_order_relaxed);

    atomic_store_explicit(&view->sequence, sequence + 1, memory_order_relaxed);
    /* Release on each field: none of them may become visible before the odd sequence does. */
    atomic_store_explicit(&view->generation, generation, memory_order_release);
    atomic_store_explicit(&view->sent_at, token->sent_at.ms, memory_order_release);
    atomic_store_explicit(&view->threshold_at, token->threshold_at.ms, memory_order_release);
    atomic_store_explicit(&view->usable_until, token->usable_until.ms, memory_order_release);
    atomic_store_explicit(&view->expires_at, token->expires_at.ms, memory_order_release);
    atomic_store_explicit(&view->sequence, sequence + 2, memory_order_release);
}

/* False when no token is in force. */
static inline bool fsh_view_read(const struct fsh_view *view, uint64_t *ret_generation,
                                 struct fsh_freshness *ret_token)
{
    uint_fast64_t before;
    uint_fast64_t generation;
    struct fsh_freshness token = {0};

    do {
        before = atomic_load_explicit(&view->sequence, memory_order_acquire);
        generation = atomic_load_explicit(&view->generation, memory_order_acquire);
        token.sent_at.ms = atomic_load_explicit(&view->sent_at, memory_order_acquire);
        token.threshold_at.ms = atomic_load_explicit(&view->threshold_at, memory_order_acquire);
        token.usable_until.ms = atomic_load_explicit(&view->usable_until, memory_order_acquire);
        token.expires_at.ms = atomic_load_explicit(&view->expires_at, memory_order_acquire);
    } while ((before & 1) != 0 ||
             before != atomic_load_explicit(&view->sequence, memory_order_relaxed));
    if (generation == 0)
        return false;
    *ret_generation = generation;
    *ret_token = token;
    return true;
}

#endif
