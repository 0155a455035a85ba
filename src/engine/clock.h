/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_ENGINE_CLOCK_H
#define FSH_ENGINE_CLOCK_H

#include "base/time.h"

#include <time.h>

/* The clock that runs through suspend (rule 11). In the vDSO: no system call. Any thread. */
static inline struct fsh_mono fsh_clock_mono(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (struct fsh_mono){(int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000};
}

static inline struct fsh_wall fsh_clock_wall(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (struct fsh_wall){(int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000};
}

/* A number for the boot that CLOCK_BOOTTIME counts from, made of the kernel's boot id; 0 where
 * that cannot be read: then no stored time counts. */
uint64_t fsh_clock_boot(void);

#endif
