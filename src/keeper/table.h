/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_TABLE_H
#define FSH_KEEPER_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* A hash table of things that have their node in themselves, 16 bytes each, where uthash takes 56:
 * of browser sessions there may be a million. It grows by one bucket at a time (linear hashing,
 * Litwin 1980), so that no request pays for all. It never shrinks. The hash must be a good one, and
 * one that nobody outside can choose. */
struct fsh_table_node {
    struct fsh_table_node *next;
    uint64_t hash;
};

struct fsh_table {
    struct fsh_table_node **buckets;
    size_t room;  /* buckets that there is memory for */
    size_t level; /* a power of two: so many buckets there were before the split ones */
    size_t split; /* so many of them were split */
    size_t count;
};

/* FRESHET_ENOMEM. */
int fsh_table_init(struct fsh_table *table);
void fsh_table_done(struct fsh_table *table);

/* Cannot fail: when memory is short the table just does not grow. */
void fsh_table_add(struct fsh_table *table, struct fsh_table_node *node, uint64_t hash);
void fsh_table_remove(struct fsh_table *table, struct fsh_table_node *node);

/* The first node of that hash, and the next one of the same hash; NULL: none. */
struct fsh_table_node *fsh_table_first(const struct fsh_table *table, uint64_t hash);
struct fsh_table_node *fsh_table_next(const struct fsh_table_node *node);

#endif
