/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_LIMITS_H
#define FSH_KEEPER_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* How often somebody may try to sign in: by account, and by the address that the gateway names.
 *
 * A table of fixed size, so that no flood of names takes memory: 16,384 of them in 256 KiB. When a
 * place is needed the one goes that has waited off most, so that a flood of new names does not wash
 * away those that have tried too often. An attempt that succeeds is given back. */
struct fsh_limits;

/* So many attempts at once, then one each `pause_ms`. */
struct fsh_limit {
    unsigned burst;
    int64_t pause_ms;
};

/* A person who mistypes is not hindered; a program that guesses gets 1,440 a day. */
#define FSH_LIMIT_ACCOUNT ((struct fsh_limit){10, 60000})
/* Many people may be behind one address. */
#define FSH_LIMIT_ADDRESS ((struct fsh_limit){60, 2000})

/* Who tries. */
struct fsh_limited {
    struct fsh_limit limit;
    char kind; /* so that an account and an address of the same text are two */
    const char *text;
    size_t len;
};

int fsh_limits_new(struct fsh_limits **ret_limits);
void fsh_limits_free(struct fsh_limits *limits);

/* Counts one attempt of each of `who`, or, when one of them has none left, of none. Returns 0, or
 * the milliseconds until there will be one. `now_ms` is CLOCK_BOOTTIME. */
int64_t fsh_limits_take(struct fsh_limits *limits, const struct fsh_limited *who, size_t count,
                        int64_t now_ms);

/* The attempt was a good one. */
void fsh_limits_give_back(struct fsh_limits *limits, const struct fsh_limited *who, size_t count);

#endif
