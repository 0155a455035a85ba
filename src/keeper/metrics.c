/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/metrics.h"

#include "keeper/events.h"
#include "keeper/keeper.h"
#include "keeper/openmetrics.h"
#include "keeper/server.h"

#include <stdlib.h>
#include <string.h>

/* ---- answers ----------------------------------------------------------------------------- */

static void write_answers(FILE *out, const struct fsh_metrics *metrics)
{
    static const struct fsh_metric requests = {
        FSH_FAMILY_COUNTER, "requests", NULL,
        "Requests that were answered, by route and status; without a route, those of none."};

    fsh_openmetrics_family(out, &requests);
    for (size_t i = 0; i < FSH_METRICS_ANSWERS; i++) {
        const struct fsh_answer_count *answer = &metrics->answers[i];
        const struct fsh_route *route = answer->route;
        char status[8];

        if (answer->http == 0)
            continue;
        (void)snprintf(status, sizeof(status), "%u", answer->http % 1000);
        fsh_openmetrics_value(out, &requests,
                              FSH_LABELS("door",
                                         !route                            ? ""
                                         : route->door == FSH_DOOR_BROWSER ? "browser"
                                                                           : "control",
                                         "method", route ? route->method : "", "route",
                                         route ? route->pattern : "", "status", status),
                              answer->count);
    }
    if (metrics->answers_else)
        fsh_openmetrics_value(out, &requests,
                              FSH_LABELS("door", "", "method", "", "route", "", "status", ""),
                              metrics->answers_else);
}

/* ---- the page ---------------------------------------------------------------------------- */

static void write_one(FILE *out, enum fsh_family family, const char *name, const char *help,
                      uint64_t value)
{
    struct fsh_metric metric = {family, name, NULL, help};

    fsh_openmetrics_family(out, &metric);
    fsh_openmetrics_value(out, &metric, NULL, value);
}

static void write_server(FILE *out, const struct fsh_server *server)
{
    struct fsh_server_counts counts;

    fsh_server_counts(server, &counts);
    write_one(out, FSH_FAMILY_GAUGE, "connections", "Connections that are open.",
              counts.connections);
    write_one(out, FSH_FAMILY_GAUGE, "requests_waiting", "Requests that are under way.",
              counts.requests);
    write_one(out, FSH_FAMILY_COUNTER, "connections_accepted", "Connections that were accepted.",
              counts.accepted);
    write_one(out, FSH_FAMILY_COUNTER, "connections_refused",
              "Connections that were answered 503, for there was no place.", counts.refused);
    write_one(out, FSH_FAMILY_COUNTER, "connections_displaced",
              "Idle connections that were closed to make place for others.", counts.displaced);
    write_one(out, FSH_FAMILY_COUNTER, "connections_timed_out",
              "Connections that were closed, for they took too long.", counts.timed_out);
}

static void write_keeper(FILE *out, const struct fsh_keeper *keeper)
{
    static const struct fsh_metric build = {FSH_FAMILY_INFO, "build", NULL,
                                            "The version that runs."};
    static const struct fsh_metric left = {
        FSH_FAMILY_HISTOGRAM, "time_left", "seconds",
        "For how long a token could still be used when it was handed out."};
    struct fsh_events_counts events;

    fsh_openmetrics_family(out, &build);
    fsh_openmetrics_value(out, &build, FSH_LABELS("version", FRESHET_VERSION), 1);
    write_server(out, keeper->server);
    write_answers(out, keeper->metrics);
    fsh_openmetrics_family(out, &left);
    fsh_openmetrics_histogram(out, &left, NULL, &keeper->metrics->left, &fsh_metrics_left_bounds);
    fsh_events_counts(keeper->events, &events);
    write_one(out, FSH_FAMILY_GAUGE, "event_readers", "Readers of /v1/events.", events.readers);
    write_one(out, FSH_FAMILY_COUNTER, "event_readers_dropped",
              "Readers of /v1/events that were too slow.", events.dropped);
    write_one(out, FSH_FAMILY_COUNTER, "events", "Events of sessions.", events.events);
    write_one(out, FSH_FAMILY_COUNTER, "events_lost",
              "Events of sessions that came faster than the keeper could take them.", events.lost);
}

struct fsh_page *fsh_metrics_page(struct fsh_keeper *keeper)
{
    struct fsh_page *page = NULL;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    bool good;

    if (!out)
        return NULL;
    write_keeper(out, keeper);
    fsh_metrics_engine(out, keeper->freshet);
    fsh_openmetrics_end(out);
    good = !ferror(out);
    if (fclose(out) == 0 && good)
        page = fsh_page_new(200, FSH_OPENMETRICS_TYPE, text, len);
    free(text);
    return page;
}
