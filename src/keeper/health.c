/* SPDX-License-Identifier: Apache-2.0 */

/* How the keeper is: /healthz, /readyz and /metrics, for any peer of control.sock. They name no
 * session: who has no verb on one learns nothing of it. */

#include "keeper/keeper.h"
#include "keeper/metrics.h"
#include "lib/glance.h"

#include <freshet/status.h>

/* ---- ready ------------------------------------------------------------------------------- */

/* Whether it is known how a service is: what its first refresh or sign-in brought. One that was
 * refused before a restart is not tried again for up to a quarter of an hour. */
static bool tried(const struct fsh_entry *entry)
{
    struct fsh_glance glance;

    if (!entry->session)
        return true;
    fsh_lib_glance(entry->session, &glance);
    if (glance.usable || glance.challenged || glance.refused || glance.failures > 0)
        return true;
    return glance.state != FSH_METER_OPENING && glance.state != FSH_METER_NONE &&
           glance.state != FSH_METER_LIVE;
}

static unsigned untried(const struct fsh_keeper *keeper)
{
    unsigned count = 0;

    for (const struct fsh_entry *entry = fsh_registry_first(keeper->registry); entry;
         entry = entry->next)
        count += entry->configured && entry->service && !tried(entry);
    return count;
}

/* Why it is not ready, as an array of sentences; NULL without memory. */
static json_t *reasons(const struct fsh_keeper *keeper)
{
    json_t *list = json_array();
    unsigned services = untried(keeper);
    int failed = list ? 0 : -1;

    if (keeper->draining)
        failed |= json_array_append_new(list, json_string("it is draining"));
    if (!keeper->ready)
        failed |= json_array_append_new(list, json_string("it is starting"));
    if (fsh_lib_secrets_down(keeper->freshet))
        failed |= json_array_append_new(list, json_string("the secret store cannot be used"));
    if (fsh_lib_tokens_down(keeper->freshet))
        failed |= json_array_append_new(list, json_string("the token cache cannot be used"));
    if (services > 0)
        failed |= json_array_append_new(
            list, json_sprintf("service sessions that have not been tried yet: %u", services));
    if (failed == 0)
        return list;
    json_decref(list);
    return NULL;
}

static struct fsh_page *readiness(const struct fsh_keeper *keeper)
{
    json_t *why = reasons(keeper);
    const char *status = keeper->draining ? "draining" : "not ready";

    if (!why)
        return NULL;
    if (json_array_size(why) > 0)
        return fsh_page_json(503, json_pack("{s:s, s:o}", "status", status, "reasons", why));
    json_decref(why);
    return fsh_page_json(200, json_pack("{s:s}", "status", "ready"));
}

static void handle_ready(struct fsh_keeper_request *request)
{
    fsh_request_answer(request, readiness(request->keeper));
}

/* ---- alive, and in numbers --------------------------------------------------------------- */

/* The loop that answers is all that there is to ask. */
static void handle_health(struct fsh_keeper_request *request)
{
    fsh_request_answer(request, fsh_page_json(200, json_pack("{s:s}", "status", "alive")));
}

static void handle_metrics(struct fsh_keeper_request *request)
{
    fsh_request_answer(request, fsh_metrics_page(request->keeper));
}

const struct fsh_route fsh_health_routes[] = {
    {FSH_DOOR_CONTROL, "GET", "/healthz", handle_health},
    {FSH_DOOR_CONTROL, "GET", "/readyz", handle_ready},
    {FSH_DOOR_CONTROL, "GET", "/metrics", handle_metrics},
    {0},
};
