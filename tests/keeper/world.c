/* SPDX-License-Identifier: Apache-2.0 */

/* Preloaded into a program under test: the file that FRESHET_TEST_WORLD names says how far its
 * clocks run ahead, and whether its disk is full. The devserver follows the same file (--clock).
 * When the clock is moved, timers that are set ring as they do when a machine wakes from its sleep.
 */

/* Both names of pwrite(2) are defined below. */
#undef _FILE_OFFSET_BITS

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS INT64_C(1000000000)
#define TIMERS    1024 /* descriptors above it are not moved */
#define EXPORT    __attribute__((visibility("default")))

struct world {
    _Atomic int64_t ahead_ns;
    _Atomic int64_t disk_full;
};

struct timer {
    bool absolute; /* armed, for a moment of CLOCK_BOOTTIME or CLOCK_REALTIME */
    int flags;
    struct itimerspec when; /* as the program sees it */
};

static struct world nowhere;
static struct world *world = &nowhere;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct timer timers[TIMERS];

static int (*true_clock_gettime)(clockid_t, struct timespec *);
static int (*true_settime)(int, int, const struct itimerspec *, struct itimerspec *);
static ssize_t (*true_pwrite)(int, const void *, size_t, off_t);

static void find(const char *name, void *ret_function)
{
    *(void **)ret_function = dlsym(RTLD_NEXT, name);
    if (!*(void **)ret_function)
        abort();
}

static void add(struct timespec *at, int64_t ns)
{
    int64_t sum = (int64_t)at->tv_sec * SECOND_NS + at->tv_nsec + ns;

    at->tv_sec = (time_t)(sum / SECOND_NS);
    at->tv_nsec = (long)(sum % SECOND_NS);
}

EXPORT int clock_gettime(clockid_t id, struct timespec *now)
{
    int failed;

    if (!true_clock_gettime)
        find("clock_gettime", &true_clock_gettime);
    failed = true_clock_gettime(id, now);
    if (failed == 0 && (id == CLOCK_BOOTTIME || id == CLOCK_REALTIME))
        add(now, atomic_load(&world->ahead_ns));
    return failed;
}

/* Sets a timer by the true clock. */
static int set_true(int fd, int flags, const struct itimerspec *when, struct itimerspec *before)
{
    struct itimerspec true_time = *when;
    bool armed = when->it_value.tv_sec != 0 || when->it_value.tv_nsec != 0;

    if (armed && (flags & TFD_TIMER_ABSTIME))
        add(&true_time.it_value, -atomic_load(&world->ahead_ns));
    if (armed && (true_time.it_value.tv_sec < 0 ||
                  (true_time.it_value.tv_sec == 0 && true_time.it_value.tv_nsec <= 0)))
        true_time.it_value = (struct timespec){0, 1};
    return true_settime(fd, flags, &true_time, before);
}

EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *when,
                           struct itimerspec *before)
{
    int failed;

    if (!true_settime)
        find("timerfd_settime", &true_settime);
    (void)pthread_mutex_lock(&lock);
    failed = set_true(fd, flags, when, before);
    if (failed == 0 && fd < TIMERS)
        timers[fd] =
            (struct timer){.absolute = (flags & TFD_TIMER_ABSTIME) &&
                                       (when->it_value.tv_sec != 0 || when->it_value.tv_nsec != 0),
                           .flags = flags,
                           .when = *when};
    (void)pthread_mutex_unlock(&lock);
    return failed;
}

/* A descriptor may be another file's by now: then the call fails, and nothing is lost. One that has
 * rung is set for the past again, and rings once more, which timers must bear. */
static void *follow(void *nothing)
{
    int64_t seen = atomic_load(&world->ahead_ns);

    for (;;) {
        int64_t now = atomic_load(&world->ahead_ns);

        (void)pthread_mutex_lock(&lock);
        for (int fd = 0; now != seen && fd < TIMERS; fd++) {
            if (timers[fd].absolute && set_true(fd, timers[fd].flags, &timers[fd].when, NULL) != 0)
                timers[fd].absolute = false;
        }
        (void)pthread_mutex_unlock(&lock);
        seen = now;
        (void)nanosleep(&(struct timespec){0, 2000000}, NULL);
    }
    return nothing;
}

EXPORT ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at)
{
    if (!true_pwrite)
        find("pwrite64", &true_pwrite);
    if (atomic_load(&world->disk_full)) {
        errno = ENOSPC;
        return -1;
    }
    return true_pwrite(fd, bytes, len, at);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return pwrite64(fd, bytes, len, at);
}

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("FRESHET_TEST_WORLD");
    int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
    void *page = fd >= 0 ? mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                         : MAP_FAILED;
    sigset_t all;
    sigset_t before;
    pthread_t thread;

    find("timerfd_settime", &true_settime);
    if (page == MAP_FAILED)
        abort();
    (void)close(fd);
    world = page;
    /* Signals are the program's. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&thread, NULL, follow, NULL) != 0)
        abort();
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_detach(thread);
}
