/* SPDX-License-Identifier: Apache-2.0 */
#include "base/shelf.h"

#include "base/post.h"
#include "base/secret.h"

#include <freshet/status.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define UNIT 8 /* what a pointer and a 64-bit number need; malloc's 16 would cost a session 8 */

/* Less than what malloc asks the system for, and so much that little is left over at its end. */
#define BOARD_BYTES (32 * 1024)

/* What is handed out begins with `next`: that is the shelf's only while the block is back. */
struct block {
    struct board *board;
    struct block *next;
};

struct board {
    struct fsh_shelf *shelf; /* NULL: its one block is of no shelf */
    LIST_ENTRY(board) in_shelf;
    struct block *back;
    size_t stride; /* bytes of a block */
    uint32_t room; /* blocks */
    uint32_t used; /* of them; those behind were never taken */
    uint32_t out;
}; /* and the blocks */

_Static_assert((sizeof(struct board) + offsetof(struct block, next)) % UNIT == 0,
               "what is handed out is aligned");

struct fsh_shelf {
    pthread_mutex_t lock;
    size_t boards;
    bool open;
    LIST_HEAD(, board) with_room[FSH_SHELF_MOST / UNIT + 1]; /* by units of their strides */
};

static size_t stride_of(size_t size)
{
    return (size + offsetof(struct block, next) + UNIT - 1) / UNIT * UNIT;
}

static struct board *board_new(struct fsh_shelf *shelf, size_t stride, uint32_t room)
{
    struct board *board = malloc(sizeof(struct board) + room * stride);

    if (!board)
        return NULL;
    *board = (struct board){.shelf = shelf, .stride = stride, .room = room};
    return board;
}

static struct block *take_from(struct board *board)
{
    struct block *block = board->back;

    if (block) {
        board->back = block->next;
    } else {
        block = (struct block *)(void *)((char *)(board + 1) + board->used * board->stride);
        block->board = board;
        board->used++;
    }
    board->out++;
    return block;
}

/* ---- on a shelf -------------------------------------------------------------------------- */

/* A board for a stride, with room for a block; under the lock. */
static struct board *find(struct fsh_shelf *shelf, size_t stride)
{
    struct board *board = LIST_FIRST(&shelf->with_room[stride / UNIT]);

    if (board)
        return board;
    board = board_new(shelf, stride, (uint32_t)((BOARD_BYTES - sizeof(struct board)) / stride));
    if (!board)
        return NULL;
    LIST_INSERT_HEAD(&shelf->with_room[stride / UNIT], board, in_shelf);
    shelf->boards++;
    return board;
}

static struct block *take(struct fsh_shelf *shelf, size_t stride)
{
    struct block *block = NULL;
    struct board *board;

    (void)pthread_mutex_lock(&shelf->lock);
    board = find(shelf, stride);
    if (board) {
        block = take_from(board);
        if (board->out == board->room)
            LIST_REMOVE(board, in_shelf);
    }
    (void)pthread_mutex_unlock(&shelf->lock);
    return block;
}

static void shelf_free(struct fsh_shelf *shelf)
{
    (void)pthread_mutex_destroy(&shelf->lock);
    free(shelf);
}

static void give(struct fsh_shelf *shelf, struct block *block)
{
    struct board *board = block->board;
    bool empty;
    bool last;

    (void)pthread_mutex_lock(&shelf->lock);
    block->next = board->back;
    board->back = block;
    if (board->out == board->room)
        LIST_INSERT_HEAD(&shelf->with_room[board->stride / UNIT], board, in_shelf);
    empty = --board->out == 0;
    if (empty) {
        LIST_REMOVE(board, in_shelf);
        shelf->boards--;
    }
    last = !shelf->open && shelf->boards == 0;
    (void)pthread_mutex_unlock(&shelf->lock);
    if (empty)
        free(board);
    if (last)
        shelf_free(shelf);
}

/* ---- for all ----------------------------------------------------------------------------- */

int fsh_shelf_new(struct fsh_shelf **ret_shelf)
{
    struct fsh_shelf *shelf = calloc(1, sizeof(*shelf));

    if (!shelf)
        return FRESHET_ENOMEM;
    (void)pthread_mutex_init(&shelf->lock, NULL);
    shelf->open = true;
    *ret_shelf = shelf;
    return FRESHET_OK;
}

void fsh_shelf_free(struct fsh_shelf *shelf)
{
    bool last;

    if (!shelf)
        return;
    (void)pthread_mutex_lock(&shelf->lock);
    shelf->open = false;
    last = shelf->boards == 0;
    (void)pthread_mutex_unlock(&shelf->lock);
    if (last)
        shelf_free(shelf);
}

static bool alone(const struct fsh_shelf *shelf, size_t stride)
{
#ifdef FSH_SANITIZED
    (void)shelf;
    (void)stride;
    return true;
#else
    return !shelf || stride > FSH_SHELF_MOST;
#endif
}

void *fsh_shelf_take(struct fsh_shelf *shelf, size_t size)
{
    size_t stride = stride_of(size);
    struct block *block = NULL;

    if (alone(shelf, stride)) {
        struct board *board = board_new(NULL, stride, 1);

        block = board ? take_from(board) : NULL;
    } else {
        block = take(shelf, stride);
    }
    return block ? memset(&block->next, 0, stride - offsetof(struct block, next)) : NULL;
}

void fsh_shelf_give(void *taken)
{
    struct block *block;

    if (!taken)
        return;
    block = fsh_container_of(taken, struct block, next);
    fsh_base_wipe(taken, block->board->stride - offsetof(struct block, next));
    if (block->board->shelf)
        give(block->board->shelf, block);
    else
        free(block->board);
}
