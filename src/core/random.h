/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CORE_RANDOM_H
#define FSH_CORE_RANDOM_H

#include <stdint.h>

/* The core draws no randomness: each step is handed 64 uniform bits, and takes what it needs from
 * them here. */

/* The next 64 bits of the stream that begins with *state (splitmix64, Steele et al. 2014). */
static inline uint64_t fsh_core_draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A number in [0, most], from 64 uniform bits. The bias of the remainder is below most / 2^64. */
static inline int64_t fsh_core_uniform(uint64_t random, int64_t most)
{
    return most <= 0 ? 0 : (int64_t)(random % ((uint64_t)most + 1));
}

#endif
