/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_BASE_HEAP_H
#define FSH_BASE_HEAP_H

#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A binary heap of timers, the earliest first. The nodes are embedded in what they wake; the heap
 * owns only its array of pointers. */
struct fsh_timer {
    struct fsh_mono at; /* changed only through fsh_base_heap_set */
    uint32_t place;     /* 1 + index in the heap; 0: not in it */
    bool call;          /* the owner's mark: what kind of thing it wakes */
};

struct fsh_heap {
    struct fsh_timer **nodes;
    size_t count;
    size_t room;
};

void fsh_base_heap_done(struct fsh_heap *heap);

/* Makes room for one more timer than are ever set at once, so that setting cannot fail.
 * FRESHET_ENOMEM changes nothing. */
int fsh_base_heap_reserve(struct fsh_heap *heap, size_t timers);

/* Sets, moves, or with FSH_NEVER removes a timer. There must be room. */
void fsh_base_heap_set(struct fsh_heap *heap, struct fsh_timer *timer, struct fsh_mono at);

/* The earliest timer, or NULL. */
struct fsh_timer *fsh_base_heap_first(const struct fsh_heap *heap);

#endif
