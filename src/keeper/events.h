/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_EVENTS_H
#define FSH_KEEPER_EVENTS_H

#include "keeper/keeper.h"

#include <freshet/ledger.h>

/* The hub of what happens to sessions: it alone takes the handle's events, on the main loop, and
 * hands each to the readers of GET /v1/events, who get those of the sessions that they may read at
 * that moment, and to the log. */
struct fsh_events_hub;

/* The latest are kept, for readers who come back. */
#define FSH_EVENTS_KEPT 256

/* Readers at the most; more are answered 503. Each of them costs a stream's memory. Anybody may be
 * one, so a uid has a share; root and the keeper's own user do not. */
#define FSH_EVENTS_READERS 64
#define FSH_EVENTS_SHARE   16

#define FSH_EVENTS_ALIVE_MS 15000 /* between two signs of life to a reader */

struct fsh_events_counts {
    uint64_t events;
    uint64_t lost;    /* not taken in time */
    uint64_t dropped; /* readers who were too slow */
    size_t readers;
};

/* Of a keeper whose handle is open and whose loop is made. */
int fsh_events_new(struct fsh_keeper *keeper, struct fsh_events_hub **ret_hub,
                   struct freshet_error *error);

/* Its readers must be gone: the server goes first. NULL is allowed. */
void fsh_events_free(struct fsh_events_hub *hub);

/* Ends all streams, and opens no more: the keeper drains. */
void fsh_events_drain(struct fsh_events_hub *hub);

void fsh_events_counts(const struct fsh_events_hub *hub, struct fsh_events_counts *ret_counts);

/* An entry of a ledger as the API shows it; NULL without memory. */
json_t *fsh_events_entry(const struct freshet_ledger_entry *entry);

/* ---- events_log.c */

/* Writes the log's line of an event, if it is worth one. */
void fsh_events_log(const struct freshet_event *event);

#endif
