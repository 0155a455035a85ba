/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/drain.h"

#include "base/post.h"
#include "keeper/events.h"
#include "keeper/log.h"
#include "keeper/notify.h"
#include "keeper/server.h"

#include <stddef.h>

#define LOOK_MS 10

static size_t waiting(const struct fsh_keeper *keeper)
{
    struct fsh_server_counts counts;

    fsh_server_counts(keeper->server, &counts);
    return counts.requests;
}

static void finish(struct fsh_drain *drain)
{
    size_t left = waiting(drain->keeper);

    fsh_log(left > 0 ? FSH_LOG_WARNING : FSH_LOG_INFO, "drained",
            FSH_LOG_NUMBER("unanswered", left), NULL);
    fsh_main_loop_stop(drain->keeper->loop);
}

static void look(struct fsh_alarm *alarm)
{
    struct fsh_drain *drain = fsh_container_of(alarm, struct fsh_drain, look);
    struct fsh_main_loop *loop = drain->keeper->loop;

    if (waiting(drain->keeper) == 0 || fsh_main_loop_now(loop) >= drain->until_ms)
        finish(drain);
    else
        fsh_main_loop_alarm(loop, alarm, LOOK_MS);
}

void fsh_drain_begin(struct fsh_drain *drain, struct fsh_keeper *keeper, const char *why)
{
    if (drain->keeper) {
        drain->until_ms = 0;
        fsh_main_loop_alarm(keeper->loop, &drain->look, 0);
        return;
    }
    *drain = (struct fsh_drain){.keeper = keeper,
                                .look.ring = look,
                                .until_ms = fsh_main_loop_now(keeper->loop) + FSH_DRAIN_MS};
    keeper->draining = true;
    keeper->ready = false;
    fsh_notify_stopping("answering those who wait");
    fsh_log(FSH_LOG_INFO, "draining", "signal", why, FSH_LOG_NUMBER("waiting", waiting(keeper)),
            NULL);
    fsh_events_drain(keeper->events);
    fsh_server_drain(keeper->server);
    fsh_main_loop_alarm(keeper->loop, &drain->look, 0);
}

void fsh_drain_stop(struct fsh_drain *drain)
{
    if (drain->keeper)
        fsh_main_loop_unset(drain->keeper->loop, &drain->look);
}
