/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_ENGINE_LOOP_H
#define FSH_ENGINE_LOOP_H

#include "engine/engine.h"
#include "engine/http.h"

#include <freshet/error.h>

/* One thread with real clocks and a real network, and the engine on it. */
struct fsh_loop;

struct fsh_loop_options {
    struct fsh_engine_options engine; /* its holder is filled in here */
    struct fsh_http_options http;
    /* As in struct fsh_io; on the loop's thread. May be NULL. */
    void (*event)(void *data, struct fsh_session *session, const struct fsh_ledger_entry *entry);
    void (*closed)(struct fsh_session *session);
    void *event_data;
};

int fsh_loop_start(const struct fsh_loop_options *options, struct fsh_loop **ret_loop,
                   struct freshet_error *error);

/* Closes all sessions, waits up to FSH_EXCHANGE_MS for what must not be lost, ends the thread and
 * frees everything. Not from the loop's own thread. */
void fsh_loop_stop(struct fsh_loop *loop);

/* Runs `post` on the loop's thread. Any thread. */
void fsh_loop_post(struct fsh_loop *loop, struct fsh_post *post);

struct fsh_engine *fsh_loop_engine(struct fsh_loop *loop);

#endif
