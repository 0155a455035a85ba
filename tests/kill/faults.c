/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#include "kill.h"
#include "profile/profile.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STORE(name)                                                                                \
    {name, FSH_CHANGE_READ, "read", NEEDS_NOTHING},                                                \
        {name, FSH_CHANGE_LEASE, "lease", NEEDS_NOTHING},                                          \
        {name, FSH_CHANGE_RELEASE, "release", NEEDS_LOST_ANSWER},                                  \
        {name, FSH_CHANGE_COMMIT, "commit", NEEDS_NOTHING},                                        \
        {name, FSH_CHANGE_END, "end", NEEDS_END},                                                  \
        {name, FSH_CHANGE_SIGN_OUT, "sign-out", NEEDS_SIGN_OUT},                                   \
    {                                                                                              \
        name, FSH_CHANGE_LOSE, "lose", NEEDS_LOSS                                                  \
    }
#define HTTP(name)                                                                                 \
    {name, FSH_EXCHANGE_SIGN_IN, "sign-in", NEEDS_SIGN_IN},                                        \
    {                                                                                              \
        name, FSH_EXCHANGE_REFRESH, "refresh", NEEDS_NOTHING                                       \
    }
#define PLAIN(name)                                                                                \
    {                                                                                              \
        name, 0, "any", NEEDS_NOTHING                                                              \
    }

/* Every point there is: a process that passes another one fails. */
const struct point fault_points[POINTS] = {
    STORE("engine-submit"), /* before the store is asked */
    STORE("engine-stored"), /* the store's word is there, and nobody has acted on it */
    HTTP("http-begin"),     /* the request is made, and no connection */
    HTTP("http-connected"), /* the next byte is the request's first */
    HTTP("http-wait"),      /* the request is on its way, or the platform is at it */
    HTTP("http-answer"),    /* the answer is there, and nobody has read it */
    PLAIN("engine-publish"),
    PLAIN("engine-published"),
};

static struct shared *order; /* NULL: nobody is killed */
static const char *broken_order;

unsigned fault_point_count(void)
{
    unsigned count = 0;

    while (count < POINTS && fault_points[count].name)
        count++;
    return count;
}

void faults_arm(struct shared *shared, const char *broken)
{
    order = shared;
    broken_order = broken;
}

static unsigned index_of(const char *name, int kind)
{
    for (unsigned i = 0; i < POINTS && fault_points[i].name; i++)
        if (fault_points[i].kind == kind && strcmp(fault_points[i].name, name) == 0)
            return i;
    worker_fail(order, "the fault point %s (%d) is not in the table", name, kind);
}

void fsh_fault(const char *name, int kind)
{
    unsigned index;

    if (!order || kind < 0)
        return;
    index = index_of(name, kind);
    atomic_fetch_add(&order->passed[index], 1);
    if ((int)index != order->point || --order->pass > 0)
        return;
    atomic_fetch_add(&order->killed[index], 1);
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

bool fsh_fault_breaks(const char *name)
{
    return broken_order && strcmp(broken_order, name) == 0;
}
