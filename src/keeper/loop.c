/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/loop.h"

#include "engine/clock.h"

#include <errno.h>
#include <freshet/status.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH     64
#define LONGEST_S 60

struct fsh_main_loop {
    int fd;
    bool stopping;
    int64_t now_ms;
    unsigned round; /* counts the rounds in which alarms are rung */
    struct fsh_alarm *alarms;
    /* What epoll_wait brought, and how much of it is still to be told. */
    struct epoll_event events[BATCH];
    int first;
    int count;
};

/* ---- alarms ------------------------------------------------------------------------------ */

/* Two heaps as one; both may be NULL. */
static struct fsh_alarm *meld(struct fsh_alarm *a, struct fsh_alarm *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->at_ms < a->at_ms) {
        struct fsh_alarm *first = b;

        b = a;
        a = first;
    }
    b->next = a->child;
    if (b->next)
        b->next->back = b;
    b->back = a;
    a->child = b;
    return a;
}

/* The heap of a list of siblings: in pairs from the left, then all from the right. */
static struct fsh_alarm *meld_siblings(struct fsh_alarm *list)
{
    struct fsh_alarm *pairs = NULL;
    struct fsh_alarm *root = NULL;

    while (list) {
        struct fsh_alarm *a = list;
        struct fsh_alarm *b = a->next;

        list = b ? b->next : NULL;
        a->next = a->back = NULL;
        if (b)
            b->next = b->back = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct fsh_alarm *next = pairs->next;

        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void fsh_main_loop_unset(struct fsh_main_loop *loop, struct fsh_alarm *alarm)
{
    struct fsh_alarm *below;

    if (!alarm->set)
        return;
    below = meld_siblings(alarm->child);
    if (loop->alarms == alarm) {
        loop->alarms = below;
    } else {
        if (alarm->back->child == alarm)
            alarm->back->child = alarm->next;
        else
            alarm->back->next = alarm->next;
        if (alarm->next)
            alarm->next->back = alarm->back;
        loop->alarms = meld(loop->alarms, below);
    }
    alarm->child = alarm->next = alarm->back = NULL;
    alarm->set = false;
}

void fsh_main_loop_alarm(struct fsh_main_loop *loop, struct fsh_alarm *alarm, int64_t in_ms)
{
    fsh_main_loop_unset(loop, alarm);
    alarm->at_ms = loop->now_ms + (in_ms > 0 ? in_ms : 0);
    alarm->set = true;
    alarm->round = loop->round;
    loop->alarms = meld(loop->alarms, alarm);
}

/* Those that are due now; what they set anew waits for the next round, and with it those of the
 * same millisecond that come after it. */
static void ring(struct fsh_main_loop *loop)
{
    int64_t now_ms = loop->now_ms;
    int left = 1024; /* descriptors want their turn */

    loop->round++;
    while (left-- > 0 && loop->alarms && loop->alarms->at_ms <= now_ms &&
           loop->alarms->round != loop->round && !loop->stopping) {
        struct fsh_alarm *alarm = loop->alarms;

        fsh_main_loop_unset(loop, alarm);
        alarm->ring(alarm);
    }
}

/* ---- descriptors ------------------------------------------------------------------------- */

int fsh_main_loop_watch(struct fsh_main_loop *loop, struct fsh_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    return epoll_ctl(loop->fd, EPOLL_CTL_ADD, watch->fd, &event) == 0 ? FRESHET_OK : FRESHET_ELIMIT;
}

void fsh_main_loop_unwatch(struct fsh_main_loop *loop, struct fsh_watch *watch)
{
    (void)epoll_ctl(loop->fd, EPOLL_CTL_DEL, watch->fd, NULL);
    /* What was already brought of it must not be told. */
    for (int i = loop->first; i < loop->count; i++) {
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
    }
}

/* ---- the loop ---------------------------------------------------------------------------- */

int64_t fsh_main_loop_now(const struct fsh_main_loop *loop)
{
    return loop->now_ms;
}

int fsh_main_loop_new(struct fsh_main_loop **ret_loop)
{
    struct fsh_main_loop *loop = calloc(1, sizeof(*loop));

    if (!loop)
        return FRESHET_ENOMEM;
    loop->fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->fd < 0) {
        free(loop);
        return FRESHET_ELIMIT;
    }
    loop->now_ms = fsh_clock_mono().ms;
    *ret_loop = loop;
    return FRESHET_OK;
}

void fsh_main_loop_free(struct fsh_main_loop *loop)
{
    if (!loop)
        return;
    (void)close(loop->fd);
    free(loop);
}

static int patience(const struct fsh_main_loop *loop)
{
    int64_t ms = LONGEST_S * 1000;

    if (loop->alarms && loop->alarms->at_ms - loop->now_ms < ms)
        ms = loop->alarms->at_ms - loop->now_ms;
    return ms > 0 ? (int)ms : 0;
}

int fsh_main_loop_run(struct fsh_main_loop *loop)
{
    while (!loop->stopping) {
        loop->now_ms = fsh_clock_mono().ms;
        loop->first = 0;
        loop->count = epoll_wait(loop->fd, loop->events, BATCH, patience(loop));
        if (loop->count < 0 && errno != EINTR)
            return FRESHET_EINTERNAL;
        loop->now_ms = fsh_clock_mono().ms;
        while (loop->first < loop->count && !loop->stopping) {
            const struct epoll_event *event = &loop->events[loop->first++];
            struct fsh_watch *watch = event->data.ptr;

            if (watch)
                watch->ready(watch, event->events);
        }
        loop->count = 0;
        ring(loop);
    }
    return FRESHET_OK;
}

void fsh_main_loop_stop(struct fsh_main_loop *loop)
{
    loop->stopping = true;
}
