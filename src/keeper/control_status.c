/* SPDX-License-Identifier: Apache-2.0 */

/* What there is, how it is, and why. */

#include "keeper/control.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

/* ---- one session ------------------------------------------------------------------------- */

static const char *phase_name(enum freshet_phase phase)
{
    static const char *const names[] = {
        [FRESHET_PHASE_NONE] = "none",   [FRESHET_PHASE_LIVE] = "live",
        [FRESHET_PHASE_ENDED] = "ended", [FRESHET_PHASE_SIGNED_OUT] = "signed_out",
        [FRESHET_PHASE_HELD] = "held",
    };

    return names[phase];
}

static json_int_t at_least_0(int64_t ms)
{
    return ms > 0 ? ms : 0;
}

json_t *fsh_control_status_json(const struct fsh_entry *entry,
                                const struct freshet_session_status *status)
{
    const struct freshet_freshness *freshness = &status->freshness;

    return json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
        "name", freshet_session_name(entry->session), "kind", entry->service ? "service" : "person",
        "phase", phase_name(status->phase), "status", freshet_status_name(status->status), "usable",
        status->usable, "challenge",
        status->challenge == FRESHET_OK ? NULL : freshet_status_name(status->challenge),
        "generation", (json_int_t)freshness->generation, "usable_ms",
        at_least_0(freshness->usable_ms), "expires_ms", at_least_0(freshness->expires_ms), "age_ms",
        (json_int_t)status->age_ms, "next_ms", (json_int_t)status->next_ms, "refreshes",
        (json_int_t)status->refreshes, "sign_ins", (json_int_t)status->sign_ins, "failures",
        (json_int_t)status->failures, "waited", (json_int_t)status->waited, "ended",
        (json_int_t)status->ended, "partners", (json_int_t)status->partners);
}

static void status_of(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    struct fsh_ask *ask = fsh_ask_new(request, entry, fsh_ask_answer_status);

    /* As if a call that has no outcome of its own had ended. */
    if (ask)
        fsh_ask_done(ask, FRESHET_OK, NULL, NULL);
}

void fsh_control_status(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_READ, status_of);
}

/* ---- all of them ------------------------------------------------------------------------- */

/* A request for the list, while the sessions are looked at. */
struct listing {
    struct fsh_keeper_request *request; /* NULL once the client has gone */
    size_t count;
    size_t pending;
    struct item {
        struct listing *listing;
        struct fsh_entry *entry; /* a reference */
        bool known;
        struct freshet_session_status status;
    } items[];
};

static json_t *list_json(const struct listing *listing)
{
    json_t *list = json_array();

    for (size_t i = 0; i < listing->count; i++) {
        const struct item *item = &listing->items[i];

        /* One that was closed meanwhile is none, nor one that is not granted any more. */
        if (item->known && item->entry->session &&
            fsh_grants_verbs(item->entry->grants, listing->request->peer) != 0 &&
            json_array_append_new(list, fsh_control_status_json(item->entry, &item->status)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:o}", "sessions", list);
}

static void item_settled(struct listing *listing)
{
    if (--listing->pending > 0)
        return;
    if (listing->request)
        fsh_request_answer(listing->request, fsh_page_json(200, list_json(listing)));
    for (size_t i = 0; i < listing->count; i++)
        fsh_entry_unref(listing->items[i].entry);
    free(listing);
}

static void item_looked(void *data, int status, const struct freshet_freshness *freshness,
                        const struct freshet_error *error)
{
    struct item *item = data;

    (void)freshness;
    (void)error;
    item->known = status == FRESHET_OK;
    item_settled(item->listing);
}

static void listing_gone(struct fsh_keeper_request *request)
{
    struct listing *listing = request->data;

    listing->request = NULL;
}

/* Those on which the peer has any verb. */
static size_t collect(struct fsh_keeper_request *request, struct listing *listing)
{
    struct fsh_entry *entry = fsh_registry_first(request->keeper->registry);
    size_t count = 0;

    for (; entry; entry = entry->next) {
        if (fsh_grants_verbs(entry->grants, request->peer) == 0)
            continue;
        if (listing)
            listing->items[count] = (struct item){listing, fsh_entry_ref(entry), false, {0}};
        count++;
    }
    return count;
}

void fsh_control_sessions(struct fsh_keeper_request *request)
{
    size_t count = collect(request, NULL);
    struct listing *listing = calloc(1, sizeof(*listing) + count * sizeof(listing->items[0]));

    if (!listing) {
        fsh_request_answer(request, fsh_page_problem(FRESHET_ENOMEM, NULL));
        return;
    }
    listing->request = request;
    listing->count = collect(request, listing);
    listing->pending = listing->count + 1;
    request->data = listing;
    request->gone = listing_gone;
    for (size_t i = 0; i < listing->count; i++) {
        struct item *item = &listing->items[i];

        if (fsh_lib_status_async(item->entry->session, &item->status, request->keeper->queue,
                                 item_looked, item, NULL) != FRESHET_OK)
            listing->pending--;
    }
    item_settled(listing);
}

/* ---- why --------------------------------------------------------------------------------- */

static json_t *entries_json(const struct freshet_ledger_entry *entries, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        const struct freshet_ledger_entry *entry = &entries[i];

        if (json_array_append_new(
                list, json_pack("{s:I, s:I, s:s, s:s, s:s, s:I, s:I}", "number",
                                (json_int_t)entry->number, "at_ms", (json_int_t)entry->at_ms,
                                "name", entry->name, "what", entry->what, "status",
                                freshet_status_name(entry->status), "value",
                                (json_int_t)entry->value, "times", (json_int_t)entry->times)) !=
            0) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:o}", "entries", list);
}

static bool answer_explained(struct fsh_ask *ask, int status, const struct freshet_error *error)
{
    fsh_request_answer(ask->request,
                       status == FRESHET_OK
                           ? fsh_page_json(200, entries_json(ask->entries, ask->entry_count))
                           : fsh_page_problem(status, error));
    return false;
}

static void explain(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    struct fsh_ask *ask = fsh_ask_new(request, entry, answer_explained);
    struct freshet_error error;

    if (!ask)
        return;
    ask->entries = calloc(FSH_CONTROL_ENTRIES, sizeof(ask->entries[0]));
    if (!ask->entries) {
        fsh_ask_made(ask, FRESHET_ENOMEM, NULL);
        return;
    }
    fsh_ask_made(ask,
                 fsh_lib_explain_async(entry->session, ask->entries, FSH_CONTROL_ENTRIES,
                                       &ask->entry_count, request->keeper->queue, fsh_ask_done, ask,
                                       &error),
                 &error);
}

void fsh_control_explain(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_READ, explain);
}

/* ---- the platform ------------------------------------------------------------------------ */

/* The origin of a URL, as it was written. */
static json_t *origin_json(const char *url, size_t len)
{
    const char *host = memmem(url, len, "://", 3);
    size_t end = host ? (size_t)(host - url) + 3 : 0;

    while (end < len && url[end] != '/')
        end++;
    return json_stringn(url, end);
}

static json_t *origins_json(const struct freshet_config *config)
{
    const char *url = freshet_config_get(config, "platform", "url");
    const char *more = freshet_config_get(config, "platform", "origins");
    json_t *list = json_array();
    int failed = json_array_append_new(list, origin_json(url, strlen(url)));

    while (more && *more) {
        size_t len = strcspn(more, " ");

        failed |= json_array_append_new(list, origin_json(more, len));
        more += len;
        more += strspn(more, " ");
    }
    if (failed) {
        json_decref(list);
        return NULL;
    }
    return list;
}

json_t *fsh_control_platform_json(const struct freshet_config *config)
{
    return json_pack("{s:s, s:o}", "url", freshet_config_get(config, "platform", "url"), "origins",
                     origins_json(config));
}

void fsh_control_platform(struct fsh_keeper_request *request)
{
    const struct freshet_config *config = request->keeper->config;
    struct freshet_options options = FRESHET_OPTIONS_INIT;

    freshet_config_options(config, &options);
    fsh_request_answer(
        request,
        fsh_page_json(200, json_pack("{s:s, s:o, s:s, s:I, s:s}", "url", options.url, "origins",
                                     origins_json(config), "profile",
                                     options.profile ? options.profile : "partner", "threshold_ms",
                                     (json_int_t)(options.threshold_ms ? options.threshold_ms
                                                                       : FSH_CONTROL_THRESHOLD_MS),
                                     "version", FRESHET_VERSION)));
}
