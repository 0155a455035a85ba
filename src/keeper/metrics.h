/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_METRICS_H
#define FSH_KEEPER_METRICS_H

#include "base/histogram.h"
#include "keeper/request.h"

#include <stdio.h>

struct freshet;

/* What the keeper counts of its requests, and the page that shows that and what the engine counts
 * (GET /metrics). No name of a session or an account is on it, but those of the services that the
 * configuration names. */

/* Answers are counted by route and status; there is room for more than there are. */
#define FSH_METRICS_ANSWERS 512

struct fsh_answer_count {
    const struct fsh_route *route; /* NULL: of no route */
    unsigned http;                 /* 0: this place is free */
    uint64_t count;
};

struct fsh_metrics {
    struct fsh_histogram left; /* time left of a token when it was handed out */
    struct fsh_answer_count answers[FSH_METRICS_ANSWERS];
    uint64_t answers_else; /* that had no room */
};

/* ---- tally.c: what is counted here */

int fsh_metrics_new(struct fsh_metrics **ret_metrics);
void fsh_metrics_free(struct fsh_metrics *metrics);

/* A token was handed out that may be used for so many more milliseconds: at each answer with
 * headers. NULL metrics: nothing. */
extern const struct fsh_bounds fsh_metrics_left_bounds;

static inline void fsh_metrics_used(struct fsh_metrics *metrics, int64_t usable_ms)
{
    if (metrics)
        fsh_base_observe(&metrics->left, &fsh_metrics_left_bounds, usable_ms);
}

/* A request was answered; `route` NULL when it has none. */
void fsh_metrics_answered(struct fsh_metrics *metrics, const struct fsh_route *route,
                          unsigned http);

/* ---- metrics.c: the page */

/* NULL without memory. */
struct fsh_page *fsh_metrics_page(struct fsh_keeper *keeper);

/* ---- metrics_engine.c: what the engine counts */

void fsh_metrics_engine(FILE *out, const struct freshet *freshet);

#endif
