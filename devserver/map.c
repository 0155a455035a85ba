/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    unsigned char key[DEV_DIGEST_LEN];
    uint32_t chain; /* 1 + index of the next entry of the same bucket; 0: the last */
    uint32_t used;
    /* The payload follows; 40 bytes of header keep it aligned for 8. */
};

static struct entry *entry_at(const struct dev_map *map, size_t index)
{
    return (struct entry *)(void *)(map->entries + index * map->entry_size);
}

/* The keys are digests: any four bytes of them are as good as a hash. */
static uint32_t *bucket_of(const struct dev_map *map, const unsigned char *key)
{
    uint32_t hash;

    memcpy(&hash, key, sizeof(hash));
    return &map->buckets[hash & (map->room - 1)];
}

bool dev_map_init(struct dev_map *map, size_t room, size_t payload_size)
{
    *map = (struct dev_map){.room = room};
    map->entry_size = sizeof(struct entry) + (payload_size + 7) / 8 * 8;
    map->entries = calloc(room, map->entry_size);
    map->buckets = calloc(room, sizeof(*map->buckets));
    return map->entries && map->buckets;
}

void dev_map_done(struct dev_map *map)
{
    free(map->entries);
    free(map->buckets);
    *map = (struct dev_map){0};
}

void dev_map_clear(struct dev_map *map)
{
    for (size_t i = 0; i < map->filled; i++)
        entry_at(map, i)->used = 0;
    memset(map->buckets, 0, map->room * sizeof(*map->buckets));
    map->filled = 0;
    map->next = 0;
}

/* The link that points at the key's entry, or NULL. */
static uint32_t *find_link(const struct dev_map *map, const unsigned char *key)
{
    for (uint32_t *link = bucket_of(map, key); *link != 0; link = &entry_at(map, *link - 1)->chain)
        if (memcmp(entry_at(map, *link - 1)->key, key, DEV_DIGEST_LEN) == 0)
            return link;
    return NULL;
}

void *dev_map_find(struct dev_map *map, const unsigned char key[DEV_DIGEST_LEN])
{
    const uint32_t *link = find_link(map, key);

    return link ? entry_at(map, *link - 1) + 1 : NULL;
}

void dev_map_remove(struct dev_map *map, const unsigned char key[DEV_DIGEST_LEN])
{
    uint32_t *link = find_link(map, key);

    if (link) {
        struct entry *entry = entry_at(map, *link - 1);

        *link = entry->chain;
        entry->used = 0;
    }
}

void *dev_map_put(struct dev_map *map, const unsigned char key[DEV_DIGEST_LEN])
{
    size_t index = map->next;
    struct entry *entry = entry_at(map, index);
    uint32_t *bucket;

    if (entry->used) {
        unsigned char oldest[DEV_DIGEST_LEN];

        memcpy(oldest, entry->key, sizeof(oldest));
        dev_map_remove(map, oldest);
    }
    map->next = (index + 1) % map->room;
    if (map->filled < index + 1)
        map->filled = index + 1;
    memset(entry, 0, map->entry_size);
    memcpy(entry->key, key, DEV_DIGEST_LEN);
    entry->used = 1;
    bucket = bucket_of(map, key);
    entry->chain = *bucket;
    *bucket = (uint32_t)(index + 1);
    return entry + 1;
}

void dev_map_each(struct dev_map *map, void (*visit)(void *payload, void *context), void *context)
{
    for (size_t i = 0; i < map->filled; i++)
        if (entry_at(map, i)->used)
            visit(entry_at(map, i) + 1, context);
}
