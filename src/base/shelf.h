/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_BASE_SHELF_H
#define FSH_BASE_SHELF_H

#include <stddef.h>

/* Memory for what stays: sessions and their tokens, of which there may be a million. A flight takes
 * some hundred blocks of malloc's for a moment. What stays is not taken from among those: it would
 * leave holes between them that fit little else, a tenth of all memory, and the more of them there
 * are, the longer each flight walks through cold memory in search of what fits.
 *
 * Blocks of one size stand on boards, which are malloc's; a board without a block goes back. Blocks
 * larger than FSH_SHELF_MOST have one of their own, and so have all with sanitizers, which then
 * watch them. Any thread. */
struct fsh_shelf;

#define FSH_SHELF_MOST 4096

/* FRESHET_ENOMEM. */
int fsh_shelf_new(struct fsh_shelf **ret_shelf);

/* The owner needs no more blocks; those that are out stay good, and the shelf goes with the last.
 * NULL is allowed. */
void fsh_shelf_free(struct fsh_shelf *shelf);

/* A block, all zero and aligned for anything; NULL without memory. With NULL for the shelf it has a
 * board of its own. */
void *fsh_shelf_take(struct fsh_shelf *shelf, size_t size);

/* Wipes it. NULL is allowed. */
void fsh_shelf_give(void *taken);

#endif
