/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/notify.h"

#include "base/post.h"

#include <inttypes.h>
#include <stddef.h>
#include <systemd/sd-daemon.h>
#include <time.h>

static void answer_watchdog(struct fsh_alarm *alarm)
{
    struct fsh_notify *notify = fsh_container_of(alarm, struct fsh_notify, watchdog);

    (void)sd_notify(0, "WATCHDOG=1");
    fsh_main_loop_alarm(notify->loop, alarm, notify->every_ms);
}

void fsh_notify_start(struct fsh_notify *notify, struct fsh_main_loop *loop)
{
    uint64_t within_us = 0;

    *notify = (struct fsh_notify){.loop = loop, .watchdog.ring = answer_watchdog};
    if (sd_watchdog_enabled(0, &within_us) <= 0)
        return;
    notify->every_ms = within_us >= 4000 ? (int64_t)(within_us / 2000) : 1;
    answer_watchdog(&notify->watchdog);
}

void fsh_notify_stop(struct fsh_notify *notify)
{
    if (notify->loop)
        fsh_main_loop_unset(notify->loop, &notify->watchdog);
}

void fsh_notify_ready(const char *status)
{
    (void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void fsh_notify_reloading(void)
{
    struct timespec now;

    /* Type=notify-reload tells by the time which of several this one belongs to. */
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading the configuration",
                     (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void fsh_notify_stopping(const char *status)
{
    (void)sd_notifyf(0, "STOPPING=1\nSTATUS=%s", status);
}
