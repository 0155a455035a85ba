/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <freshet/status.h>
#include <stdlib.h>

void fsh_base_heap_done(struct fsh_heap *heap)
{
    free(heap->nodes);
    *heap = (struct fsh_heap){0};
}

int fsh_base_heap_reserve(struct fsh_heap *heap, size_t timers)
{
    size_t room = heap->room ? heap->room : 16;
    struct fsh_timer **nodes;

    if (timers > UINT32_MAX)
        return FRESHET_ENOMEM;
    while (room < timers)
        room *= 2;
    if (room == heap->room)
        return FRESHET_OK;
    nodes = realloc(heap->nodes, room * sizeof(struct fsh_timer *));
    if (!nodes)
        return FRESHET_ENOMEM;
    heap->nodes = nodes;
    heap->room = room;
    return FRESHET_OK;
}

static void put(struct fsh_heap *heap, size_t index, struct fsh_timer *timer)
{
    heap->nodes[index] = timer;
    timer->place = (uint32_t)(index + 1);
}

static void sift_up(struct fsh_heap *heap, size_t index)
{
    struct fsh_timer *timer = heap->nodes[index];

    while (index > 0) {
        size_t parent = (index - 1) / 2;

        if (heap->nodes[parent]->at.ms <= timer->at.ms)
            break;
        put(heap, index, heap->nodes[parent]);
        index = parent;
    }
    put(heap, index, timer);
}

static void sift_down(struct fsh_heap *heap, size_t index)
{
    struct fsh_timer *timer = heap->nodes[index];

    for (;;) {
        size_t child = 2 * index + 1;

        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->nodes[child + 1]->at.ms < heap->nodes[child]->at.ms)
            child++;
        if (timer->at.ms <= heap->nodes[child]->at.ms)
            break;
        put(heap, index, heap->nodes[child]);
        index = child;
    }
    put(heap, index, timer);
}

static void take_out(struct fsh_heap *heap, struct fsh_timer *timer)
{
    size_t index = timer->place - 1;
    struct fsh_timer *last = heap->nodes[--heap->count];

    timer->place = 0;
    if (last == timer)
        return;
    put(heap, index, last);
    sift_up(heap, index);
    sift_down(heap, last->place - 1);
}

void fsh_base_heap_set(struct fsh_heap *heap, struct fsh_timer *timer, struct fsh_mono at)
{
    if (timer->place != 0 && timer->at.ms == at.ms)
        return;
    if (timer->place != 0)
        take_out(heap, timer);
    timer->at = at;
    if (at.ms == FSH_NEVER.ms)
        return;
    put(heap, heap->count++, timer);
    sift_up(heap, heap->count - 1);
}

struct fsh_timer *fsh_base_heap_first(const struct fsh_heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}
