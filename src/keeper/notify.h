/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_NOTIFY_H
#define FSH_KEEPER_NOTIFY_H

#include "keeper/loop.h"

#include <stdint.h>

/* What the service manager is told, over NOTIFY_SOCKET (sd_notify(3)); without one, nothing. Main
 * thread. */
struct fsh_notify {
    struct fsh_main_loop *loop;
    struct fsh_alarm watchdog;
    int64_t every_ms; /* half of what the manager's watchdog wants; 0: it wants nothing */
};

/* Begins to answer the watchdog, if WATCHDOG_USEC and WATCHDOG_PID ask this process. The loop
 * answers it, so that one that is stuck does not. */
void fsh_notify_start(struct fsh_notify *notify, struct fsh_main_loop *loop);
void fsh_notify_stop(struct fsh_notify *notify);

void fsh_notify_ready(const char *status); /* also: a reload has ended */
void fsh_notify_reloading(void);
void fsh_notify_stopping(const char *status);

#endif
