/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_BASE_HISTOGRAM_H
#define FSH_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

/* How often a time was how long, for metrics. Relaxed atomics: any thread may write and read, and a
 * reader may find one number a little ahead of another. Zero is its beginning. */

#define FSH_BOUNDS_MAX 16

/* Upper bounds of the buckets, in milliseconds, rising; above the last one there is one more. */
struct fsh_bounds {
    unsigned count;
    int64_t ms[FSH_BOUNDS_MAX];
};

struct fsh_histogram {
    atomic_uint_fast64_t buckets[FSH_BOUNDS_MAX + 1]; /* each for itself, not summed up */
    atomic_uint_fast64_t sum_ms;
};

static inline void fsh_base_observe(struct fsh_histogram *histogram,
                                    const struct fsh_bounds *bounds, int64_t ms)
{
    unsigned bucket = 0;

    while (bucket < bounds->count && ms > bounds->ms[bucket])
        bucket++;
    atomic_fetch_add_explicit(&histogram->buckets[bucket], 1, memory_order_relaxed);
    if (ms > 0)
        atomic_fetch_add_explicit(&histogram->sum_ms, (uint64_t)ms, memory_order_relaxed);
}

#endif
