/* SPDX-License-Identifier: Apache-2.0 */

/* The headers of a session's next request, or the token that they are made of: what nearly all
 * requests ask for. With a usable token the answer is there at once, and mostly the very page that
 * answered before. */

#include "keeper/control.h"
#include "keeper/metrics.h"

#include <freshet/status.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void etag_of(uint64_t generation, char ret_etag[24])
{
    (void)snprintf(ret_etag, 24, "\"%" PRIu64 "\"", generation);
}

/* RFC 9110, section 13.1.2: one tag is enough, for there is one of a session at a time. */
static bool is_known(struct fsh_keeper_request *request, uint64_t generation)
{
    const char *known = fsh_request_header(request, "If-None-Match");
    char etag[24];

    if (!known)
        return false;
    if (strncmp(known, "W/", 2) == 0)
        known += 2;
    etag_of(generation, etag);
    return strcmp(known, etag) == 0;
}

static struct fsh_page *not_modified(uint64_t generation)
{
    char etag[24];

    etag_of(generation, etag);
    return fsh_page_header(fsh_page_new(304, NULL, "", 0), "ETag", etag);
}

/* ---- headers ----------------------------------------------------------------------------- */

static struct fsh_page *render(const struct freshet_headers *headers, int64_t usable_s)
{
    json_t *list = json_array();
    char etag[24];

    for (size_t i = 0; i < headers->count; i++)
        (void)json_array_append_new(
            list, json_pack("[s, s]", headers->list[i].name, headers->list[i].value));
    if (json_array_size(list) != headers->count) {
        json_decref(list);
        return NULL;
    }
    etag_of(headers->generation, etag);
    return fsh_page_header(
        fsh_page_json(200, json_pack("{s:o, s:I, s:I}", "headers", list, "generation",
                                     (json_int_t)headers->generation, "usable_ms",
                                     (json_int_t)usable_s * 1000)),
        "ETag", etag);
}

/* In whole seconds, so that a page tells too little rather than too much for as long as it is
 * kept. */
static struct fsh_page *page_of(struct fsh_entry *entry, const char *partner,
                                const struct freshet_headers *headers, int64_t usable_ms)
{
    int64_t usable_s = usable_ms > 0 ? usable_ms / 1000 : 0;
    struct fsh_page *page;

    if (partner)
        return render(headers, usable_s);
    if (entry->rendered.page && entry->rendered.generation == headers->generation &&
        entry->rendered.usable_s == usable_s)
        return fsh_page_ref(entry->rendered.page);
    page = render(headers, usable_s);
    fsh_page_unref(entry->rendered.page);
    entry->rendered.page = fsh_page_ref(page);
    entry->rendered.generation = headers->generation;
    entry->rendered.usable_s = usable_s;
    return page;
}

/* Answers with the token at hand. False: it has gone just now. */
static bool answer_headers(struct fsh_keeper_request *request, struct fsh_entry *entry,
                           const struct freshet_freshness *freshness)
{
    const char *partner = fsh_request_argument(request, "partner");
    int64_t usable_ms = freshness->usable_ms;
    const struct freshet_headers *headers;
    struct freshet_error error;
    struct fsh_page *page;
    int status = freshet_headers_get(entry->session, partner, &headers, &error);

    if (status == FRESHET_EUNAVAILABLE)
        return false;
    if (status != FRESHET_OK) {
        fsh_request_answer(request, fsh_page_problem(status, &error));
        return true;
    }
    fsh_metrics_used(request->keeper->metrics, usable_ms);
    if (headers->generation != freshness->generation)
        usable_ms = 0; /* a newer one, whose time is not known yet */
    if (is_known(request, headers->generation))
        page = not_modified(headers->generation);
    else
        page = page_of(entry, partner, headers, usable_ms);
    freshet_headers_unref(headers);
    fsh_request_answer(request, page ? page : fsh_page_problem(FRESHET_ENOMEM, NULL));
    return true;
}

/* ---- the token itself -------------------------------------------------------------------- */

static json_t *partners_json(const struct fsh_lib_token *token)
{
    json_t *list = json_array();

    for (size_t i = 0; i < token->partner_count; i++) {
        if (json_array_append_new(list, json_string(token->partners[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static struct fsh_page *render_token(const struct fsh_lib_token *token, json_t *platform)
{
    char etag[24];
    json_t *value = json_pack(
        "{s:o, s:s, s:s, s:o, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "platform", platform,
        "authorization", token->authorization, "partner_header", token->partner_header, "partners",
        partners_json(token), "partner", token->partner[0] ? token->partner : NULL, "generation",
        (json_int_t)token->generation, "usable_ms", (json_int_t)token->usable_ms, "expires_ms",
        (json_int_t)token->expires_ms, "age_ms", (json_int_t)token->age_ms, "lifetime_ms",
        (json_int_t)token->lifetime_ms, "threshold_ms", (json_int_t)token->threshold_ms,
        "refresh_in_ms", (json_int_t)token->refresh_in_ms);

    etag_of(token->generation, etag);
    return fsh_page_header(fsh_page_json(200, value), "ETag", etag);
}

static bool answer_token(struct fsh_keeper_request *request, struct fsh_entry *entry,
                         const struct freshet_freshness *freshness)
{
    struct fsh_lib_token token;
    struct fsh_page *page;

    (void)freshness;
    if (fsh_lib_token_take(entry->session, &token, NULL) != FRESHET_OK)
        return false;
    page = is_known(request, token.generation)
               ? not_modified(token.generation)
               : render_token(&token, fsh_control_platform_json(request->keeper->config));
    fsh_lib_token_give(&token);
    fsh_request_answer(request, page ? page : fsh_page_problem(FRESHET_ENOMEM, NULL));
    return true;
}

/* ---- both -------------------------------------------------------------------------------- */

typedef bool answer_fn(struct fsh_keeper_request *request, struct fsh_entry *entry,
                       const struct freshet_freshness *freshness);

/* The engine has said that there is a token. It is not asked for once more: below the threshold
 * that would wish for the next refresh. */
static bool answer_after(struct fsh_ask *ask, int status, const struct freshet_error *error,
                         answer_fn *answer)
{
    if (status == FRESHET_OK && answer(ask->request, ask->entry, &ask->freshness))
        return false;
    /* It was there when the call ended, and has gone since. */
    fsh_request_answer(ask->request, status == FRESHET_OK
                                         ? fsh_page_problem(FRESHET_EUNAVAILABLE, NULL)
                                         : fsh_page_problem(status, error));
    return false;
}

static bool headers_later(struct fsh_ask *ask, int status, const struct freshet_error *error)
{
    return answer_after(ask, status, error, answer_headers);
}

static bool token_later(struct fsh_ask *ask, int status, const struct freshet_error *error)
{
    return answer_after(ask, status, error, answer_token);
}

/* Answers at once, or when the flight has landed. */
static void answer_fresh(struct fsh_keeper_request *request, struct fsh_entry *entry,
                         answer_fn *now, fsh_ask_answer_fn *later)
{
    struct freshet_demand demand = {0};
    struct freshet_freshness freshness;
    struct freshet_error error;
    struct fsh_ask *ask;

    if (!fsh_control_number(request, "min_valid_ms", 0, INT64_MAX, &demand.min_valid_ms) ||
        !fsh_control_number(request, "timeout_ms", -1, FSH_CONTROL_TIMEOUT_MAX_MS,
                            &demand.timeout_ms) ||
        (fsh_lib_at_hand(entry->session, &demand, &freshness) && now(request, entry, &freshness)))
        return;
    ask = fsh_ask_new(request, entry, later);
    if (!ask)
        return;
    ask->cancels = true;
    fsh_ask_made(ask,
                 freshet_ensure_fresh_async(entry->session, &demand, request->keeper->queue,
                                            fsh_ask_done, ask, &ask->operation, &error),
                 &error);
}

static void headers(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    answer_fresh(request, entry, answer_headers, headers_later);
}

void fsh_control_headers(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_READ, headers);
}

static void token(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    answer_fresh(request, entry, answer_token, token_later);
}

void fsh_control_token(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_READ, token);
}
