/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_BASE_TIME_H
#define FSH_BASE_TIME_H

#include <stdint.h>

/* Two clocks that must never be mixed are two types. Both count milliseconds, and are passed in:
 * nothing below the engine reads a clock (rule 11). */

/* A moment on the clock that runs through suspend (CLOCK_BOOTTIME). Means nothing after a reboot.
 */
struct fsh_mono {
    int64_t ms;
};

/* A moment on the calendar, milliseconds since 1970 UTC. May step; never decides an expiry. */
struct fsh_wall {
    int64_t ms;
};

/* A monotonic moment that can be stored: it counts only during the boot that it names. */
struct fsh_stamp {
    int64_t ms;
    uint64_t boot;
};

/* Later than anything that happens. */
#define FSH_NEVER ((struct fsh_mono){INT64_MAX})

static inline struct fsh_mono fsh_mono_add(struct fsh_mono at, int64_t ms)
{
    if (ms > 0 && at.ms > INT64_MAX - ms)
        return FSH_NEVER;
    return (struct fsh_mono){at.ms + ms};
}

static inline struct fsh_mono fsh_mono_min(struct fsh_mono a, struct fsh_mono b)
{
    return a.ms < b.ms ? a : b;
}

static inline struct fsh_mono fsh_mono_max(struct fsh_mono a, struct fsh_mono b)
{
    return a.ms > b.ms ? a : b;
}

/* Milliseconds from `from` to `to`; negative when `to` lies before. */
static inline int64_t fsh_mono_until(struct fsh_mono from, struct fsh_mono to)
{
    return to.ms - from.ms;
}

#endif
