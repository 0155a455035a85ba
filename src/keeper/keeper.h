/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_KEEPER_H
#define FSH_KEEPER_KEEPER_H

#include "keeper/registry.h"
#include "keeper/request.h"

#include <freshet/async.h>
#include <freshet/config.h>
#include <freshet/freshet.h>

/* What the parts of the keeper share. One a process; the main thread's. */
struct fsh_keeper {
    struct freshet_config *config; /* what it began with: a reload swaps sessions, not this */
    struct freshet *freshet;
    struct freshet_queue *queue; /* where asynchronous calls end */
    struct fsh_registry *registry;
    struct fsh_browsers *browsers; /* NULL without [browser] */
    struct fsh_metrics *metrics;
    struct fsh_events_hub *events;
    struct fsh_main_loop *loop;
    struct fsh_server *server;
    const char *config_path;
    bool draining; /* SIGTERM came: nothing new is taken */
    bool ready;
};

#endif
