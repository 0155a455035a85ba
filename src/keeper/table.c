/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/table.h"

#include <freshet/status.h>
#include <stdlib.h>

#define FIRST_BUCKETS 16

int fsh_table_init(struct fsh_table *table)
{
    *table = (struct fsh_table){.room = FIRST_BUCKETS, .level = FIRST_BUCKETS};
    table->buckets = calloc(FIRST_BUCKETS, sizeof(struct fsh_table_node *));
    return table->buckets ? FRESHET_OK : FRESHET_ENOMEM;
}

void fsh_table_done(struct fsh_table *table)
{
    free(table->buckets);
    table->buckets = NULL;
}

static struct fsh_table_node **bucket(const struct fsh_table *table, uint64_t hash)
{
    size_t place = (size_t)hash & (table->level - 1);

    if (place < table->split)
        place = (size_t)hash & (2 * table->level - 1);
    return &table->buckets[place];
}

/* Splits one more bucket in two. */
static void grow(struct fsh_table *table)
{
    struct fsh_table_node **from;
    struct fsh_table_node **to;
    size_t used = table->level + table->split;

    if (used == table->room) {
        struct fsh_table_node **more =
            reallocarray(table->buckets, 2 * used, sizeof(struct fsh_table_node *));

        if (!more)
            return;
        table->buckets = more;
        table->room = 2 * used;
    }
    from = &table->buckets[table->split];
    to = &table->buckets[used];
    *to = NULL;
    while (*from) {
        struct fsh_table_node *node = *from;

        if (node->hash & table->level) {
            *from = node->next;
            node->next = *to;
            *to = node;
        } else {
            from = &node->next;
        }
    }
    if (++table->split == table->level) {
        table->level *= 2;
        table->split = 0;
    }
}

void fsh_table_add(struct fsh_table *table, struct fsh_table_node *node, uint64_t hash)
{
    struct fsh_table_node **at;

    if (table->count >= table->level + table->split)
        grow(table);
    at = bucket(table, hash);
    node->hash = hash;
    node->next = *at;
    *at = node;
    table->count++;
}

void fsh_table_remove(struct fsh_table *table, struct fsh_table_node *node)
{
    for (struct fsh_table_node **at = bucket(table, node->hash); *at; at = &(*at)->next) {
        if (*at == node) {
            *at = node->next;
            node->next = NULL;
            table->count--;
            return;
        }
    }
}

static struct fsh_table_node *of_hash(struct fsh_table_node *node, uint64_t hash)
{
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct fsh_table_node *fsh_table_first(const struct fsh_table *table, uint64_t hash)
{
    return of_hash(*bucket(table, hash), hash);
}

struct fsh_table_node *fsh_table_next(const struct fsh_table_node *node)
{
    return of_hash(node->next, node->hash);
}
