/* SPDX-License-Identifier: Apache-2.0 */
#include "kill.h"

#include <sys/timerfd.h>
#include <time.h>

/* The linker brings the calls of this program's own objects here (--wrap); those of libcurl and
 * SQLite go by the true clock. */
int __real_clock_gettime(clockid_t id, struct timespec *now);
int __wrap_clock_gettime(clockid_t id, struct timespec *now);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec *when,
                           struct itimerspec *before);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *when,
                           struct itimerspec *before);

#define SECOND_NS INT64_C(1000000000)

static _Atomic int64_t *ahead;

void clock_follow(_Atomic int64_t *ahead_ns)
{
    ahead = ahead_ns;
}

void clock_advance(int64_t ms)
{
    atomic_fetch_add(ahead, ms * 1000000);
}

static void add(struct timespec *at, int64_t ns)
{
    int64_t sum = (int64_t)at->tv_sec * SECOND_NS + at->tv_nsec + ns;

    at->tv_sec = (time_t)(sum / SECOND_NS);
    at->tv_nsec = (long)(sum % SECOND_NS);
}

int __wrap_clock_gettime(clockid_t id, struct timespec *now)
{
    int failed = __real_clock_gettime(id, now);

    if (failed == 0 && (id == CLOCK_BOOTTIME || id == CLOCK_REALTIME))
        add(now, atomic_load(ahead));
    return failed;
}

/* A timer is set for the moment that the clock shows now; when the clock is moved while somebody
 * waits, it does not ring earlier. */
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *when,
                           struct itimerspec *before)
{
    struct itimerspec true_time = *when;
    bool armed = when->it_value.tv_sec != 0 || when->it_value.tv_nsec != 0;

    if (armed)
        add(&true_time.it_value, -atomic_load(ahead));
    if (armed && (true_time.it_value.tv_sec < 0 || true_time.it_value.tv_nsec <= 0))
        true_time.it_value = (struct timespec){0, 1};
    return __real_timerfd_settime(fd, flags, &true_time, before);
}
