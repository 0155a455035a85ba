/* SPDX-License-Identifier: Apache-2.0 */

/* What the keeper counts of its requests; metrics.c shows it. */

#include "keeper/metrics.h"

#include <freshet/status.h>
#include <stdlib.h>

/* Of a token that lives an hour and is refreshed five minutes before its end: what comes into the
 * lower buckets was saved late. */
const struct fsh_bounds fsh_metrics_left_bounds = {13,
                                                   {0, 1000, 5000, 15000, 30000, 60000, 120000,
                                                    300000, 600000, 1200000, 1800000, 2700000,
                                                    3600000}};

int fsh_metrics_new(struct fsh_metrics **ret_metrics)
{
    struct fsh_metrics *metrics = calloc(1, sizeof(*metrics));

    if (!metrics)
        return FRESHET_ENOMEM;
    *ret_metrics = metrics;
    return FRESHET_OK;
}

void fsh_metrics_free(struct fsh_metrics *metrics)
{
    free(metrics);
}

/* ---- answers ----------------------------------------------------------------------------- */

/* Where the count is, or is to be; NULL: there is no room. */
static struct fsh_answer_count *place(struct fsh_metrics *metrics, const struct fsh_route *route,
                                      unsigned http)
{
    size_t first = ((uintptr_t)route / sizeof(*route) * 31 + http) % FSH_METRICS_ANSWERS;

    for (size_t i = 0; i < FSH_METRICS_ANSWERS; i++) {
        struct fsh_answer_count *answer = &metrics->answers[(first + i) % FSH_METRICS_ANSWERS];

        if (answer->http == 0 || (answer->route == route && answer->http == http))
            return answer;
    }
    return NULL;
}

void fsh_metrics_answered(struct fsh_metrics *metrics, const struct fsh_route *route, unsigned http)
{
    struct fsh_answer_count *answer;

    if (!metrics || http == 0)
        return;
    answer = place(metrics, route, http);
    if (!answer) {
        metrics->answers_else++;
        return;
    }
    answer->route = route;
    answer->http = http;
    answer->count++;
}
