/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;

    (void)clock_gettime(id, &now); /* these clocks always exist on Linux */
    return (int64_t)now.tv_sec * DEV_SECOND_NS + now.tv_nsec;
}

int64_t dev_mono_ns(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

int64_t dev_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}
