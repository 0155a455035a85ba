/* SPDX-License-Identifier: Apache-2.0 */

/* The machine: its clocks, and what it grants to this process. */

#include "engine/clock.h"
#include "lib/doctor.h"

#include <curl/curl.h>
#include <errno.h>
#include <freshet/status.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

/* A header has whole seconds, and the wire takes its time. */
#define SKEW_MOST_MS 30000

/* Nobody who runs this has an earlier clock: 1 January 2024. */
#define WALL_LEAST_MS INT64_C(1704067200000)

/* ---- clocks ------------------------------------------------------------------------------ */

void fsh_doctor_compare_clocks(struct fsh_doctor *doctor, const char *date, struct fsh_wall sent,
                               struct fsh_wall came)
{
    int64_t theirs = (int64_t)curl_getdate(date, NULL) * 1000;
    int64_t ahead = 0;

    if (theirs < 0) {
        fsh_doctor_warn(doctor, "clock",
                        "the platform's Date header is none; the clocks cannot be compared");
        return;
    }
    /* Their second lasts until the next; ours is anywhere between the two moments. */
    if (sent.ms > theirs + 999)
        ahead = sent.ms - theirs - 999;
    else if (came.ms < theirs)
        ahead = came.ms - theirs;
    if (ahead > SKEW_MOST_MS || ahead < -SKEW_MOST_MS)
        fsh_doctor_warn(doctor, "clock",
                        "this machine's clock is %" PRId64 " s %s the platform's; set it, best by "
                        "NTP (tokens are kept fresh all the same, MFA codes made here fail)",
                        (ahead < 0 ? -ahead : ahead) / 1000, ahead < 0 ? "behind" : "ahead of");
    else
        fsh_doctor_good(doctor, "clock", "agrees with the platform's within %d s",
                        SKEW_MOST_MS / 1000);
}

static bool read_clock(clockid_t id, int64_t *ret_ms)
{
    struct timespec now;

    if (clock_gettime(id, &now) != 0)
        return false;
    *ret_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return true;
}

void fsh_doctor_clock(struct fsh_doctor *doctor)
{
    int64_t running = 0;
    int64_t awake = 0;

    /* The one that runs through suspend cannot be behind the one that does not. */
    if (!read_clock(CLOCK_MONOTONIC, &awake) || !read_clock(CLOCK_BOOTTIME, &running))
        fsh_doctor_bad(doctor, "clock", FRESHET_EINTERNAL,
                       "CLOCK_BOOTTIME cannot be read (%s); it needs Linux 2.6.39",
                       strerror(errno));
    else if (running < awake)
        fsh_doctor_bad(doctor, "clock", FRESHET_EINTERNAL,
                       "CLOCK_BOOTTIME is behind CLOCK_MONOTONIC; is its time namespace set up "
                       "wrongly?");
    else if (fsh_clock_boot() == 0)
        fsh_doctor_warn(doctor, "clock",
                        "/proc/sys/kernel/random/boot_id cannot be read; mount /proc, else each "
                        "start of a program costs a refresh");
    else
        fsh_doctor_good(doctor, "clock", "runs through suspend, and the boot has an id");
    if (fsh_clock_wall().ms < WALL_LEAST_MS)
        fsh_doctor_warn(doctor, "clock", "this machine's calendar is before 2024; set its clock");
}

/* ---- limits ------------------------------------------------------------------------------ */

static rlim_t limit(int resource)
{
    struct rlimit now = {0};

    (void)getrlimit(resource, &now);
    return now.rlim_cur;
}

void fsh_doctor_limits(struct fsh_doctor *doctor)
{
    bool good = true;

    if (limit(RLIMIT_CORE) != 0) {
        fsh_doctor_warn(doctor, "limits",
                        "a crash may write tokens to a core file; ulimit -c 0, or LimitCORE=0");
        good = false;
    }
    if (limit(RLIMIT_NOFILE) < 1024) {
        fsh_doctor_warn(doctor, "limits",
                        "only %" PRIu64 " files may be open at once; ulimit -n 1024, or "
                        "LimitNOFILE=1024",
                        (uint64_t)limit(RLIMIT_NOFILE));
        good = false;
    }
    /* Keys and secrets lie in locked pages. */
    if (limit(RLIMIT_MEMLOCK) < (rlim_t)1024 * 1024) {
        fsh_doctor_warn(doctor, "limits",
                        "only %" PRIu64 " KiB may be locked in memory, so that keys may be swapped "
                        "to a disk; ulimit -l 1024, or LimitMEMLOCK=1M",
                        (uint64_t)limit(RLIMIT_MEMLOCK) / 1024);
        good = false;
    }
    if (good)
        fsh_doctor_good(doctor, "limits", "no core files; enough open files and locked memory");
}
