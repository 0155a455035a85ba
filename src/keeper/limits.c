/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/limits.h"

#include <freshet/status.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SETS 2048
#define WAYS 8

/* One of those who tried: the generic cell rate algorithm, which needs one number. */
struct place {
    uint64_t who;
    int64_t clear_ms; /* when all attempts will be as if they had not been; 0: nobody */
};

struct fsh_limits {
    unsigned char key[crypto_shorthash_KEYBYTES]; /* so that nobody can choose a set */
    struct place places[SETS][WAYS];
};

int fsh_limits_new(struct fsh_limits **ret_limits)
{
    struct fsh_limits *limits = calloc(1, sizeof(*limits));

    if (!limits)
        return FRESHET_ENOMEM;
    crypto_shorthash_keygen(limits->key);
    *ret_limits = limits;
    return FRESHET_OK;
}

void fsh_limits_free(struct fsh_limits *limits)
{
    free(limits);
}

static uint64_t hash(const struct fsh_limits *limits, const struct fsh_limited *who)
{
    unsigned char out[crypto_shorthash_BYTES];
    uint64_t value;

    (void)crypto_shorthash(out, (const unsigned char *)who->text, who->len, limits->key);
    memcpy(&value, out, sizeof(value));
    return value ^ ((uint64_t)(unsigned char)who->kind << 56);
}

static struct place *find(struct fsh_limits *limits, uint64_t who)
{
    struct place *set = limits->places[who % SETS];

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].clear_ms != 0 && set[i].who == who)
            return &set[i];
    }
    return NULL;
}

/* The place of somebody new: the one that is clear first. */
static struct place *make(struct fsh_limits *limits, uint64_t who)
{
    struct place *set = limits->places[who % SETS];
    struct place *place = &set[0];

    for (unsigned i = 1; i < WAYS; i++) {
        if (set[i].clear_ms < place->clear_ms)
            place = &set[i];
    }
    *place = (struct place){.who = who};
    return place;
}

static int64_t wait_ms(struct fsh_limits *limits, const struct fsh_limited *who, int64_t now_ms)
{
    const struct place *place = find(limits, hash(limits, who));
    int64_t wait;

    if (!place)
        return 0;
    wait = place->clear_ms - now_ms - (int64_t)(who->limit.burst - 1) * who->limit.pause_ms;
    return wait > 0 ? wait : 0;
}

int64_t fsh_limits_take(struct fsh_limits *limits, const struct fsh_limited *who, size_t count,
                        int64_t now_ms)
{
    int64_t longest = 0;

    for (size_t i = 0; i < count; i++) {
        int64_t wait = wait_ms(limits, &who[i], now_ms);

        longest = wait > longest ? wait : longest;
    }
    for (size_t i = 0; i < count && longest == 0; i++) {
        uint64_t name = hash(limits, &who[i]);
        struct place *place = find(limits, name);

        if (!place)
            place = make(limits, name);
        if (place->clear_ms < now_ms)
            place->clear_ms = now_ms;
        place->clear_ms += who[i].limit.pause_ms;
    }
    return longest;
}

void fsh_limits_give_back(struct fsh_limits *limits, const struct fsh_limited *who, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct place *place = find(limits, hash(limits, &who[i]));

        if (place)
            place->clear_ms -= who[i].limit.pause_ms;
    }
}
