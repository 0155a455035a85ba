/* SPDX-License-Identifier: Apache-2.0 */

/* Forward auth: a gateway asks about each request that it does not know the answer to. A cookie, or
 * a service named by the path, comes in; the headers of the request to the platform go out. */

#include "keeper/browser.h"
#include "keeper/csrf.h"
#include "keeper/log.h"
#include "keeper/metrics.h"
#include "keeper/wait.h"

#include "base/error.h"
#include "lib/ask.h"
#include "lib/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- answers ----------------------------------------------------------------------------- */

static void answer_problem(struct fsh_keeper_request *request, int status,
                           const struct freshet_error *error)
{
    fsh_request_answer(request, fsh_browser_problem(status, error));
}

static struct fsh_page *number_header(struct fsh_page *page, const char *name, uint64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    return fsh_page_header(page, name, text);
}

/* The times of a token, for a gateway's cache: until when it may be used, and how long it may do so
 * without asking again. Of another token than the one in force nothing is known. */
static struct fsh_page *times(struct fsh_page *page, struct fsh_metrics *metrics,
                              const struct freshet_session *session, uint64_t generation)
{
    struct fsh_mono now = fsh_clock_mono();
    struct fsh_freshness token;
    int64_t usable_ms = 0;
    int64_t fresh_ms = 0;
    uint64_t known;

    if (fsh_engine_view(&session->engine, &known, &token) && known == generation) {
        usable_ms = fsh_mono_until(now, token.usable_until);
        fresh_ms = fsh_mono_until(now, token.threshold_at);
        fsh_metrics_used(metrics, usable_ms);
    }
    page = number_header(page, "X-Freshet-Usable-Ms", usable_ms > 0 ? (uint64_t)usable_ms : 0);
    return number_header(page, "X-Freshet-Fresh-Ms", fresh_ms > 0 ? (uint64_t)fresh_ms : 0);
}

/* Whom the answer is about. */
struct subject {
    struct freshet_session *session;
    const char *id;      /* public */
    const char *partner; /* of the request; NULL: the session's default, or its only one */
};

static void answer_headers(struct fsh_keeper_request *request, const struct subject *subject)
{
    const struct freshet_headers *headers = NULL;
    struct freshet_error error = {0};
    struct fsh_page *page;
    /* There is no falling back (rule 4): an empty choice is one, of nothing that is allowed. */
    int status = freshet_headers_get(subject->session, subject->partner, &headers, &error);

    if (status != FRESHET_OK) {
        answer_problem(request, status, &error);
        return;
    }
    page = fsh_page_new(200, NULL, NULL, 0);
    for (size_t i = 0; i < headers->count; i++)
        page = fsh_page_header(page, headers->list[i].name, headers->list[i].value);
    page = fsh_page_header(page, "X-Freshet-Session", subject->id);
    page = number_header(page, "X-Freshet-Generation", headers->generation);
    page = times(page, request->keeper->metrics, subject->session, headers->generation);
    freshet_headers_unref(headers);
    fsh_request_answer(request, page);
}

/* ---- browsers ---------------------------------------------------------------------------- */

static void browser_then(struct fsh_keeper_request *request, struct fsh_browser *browser,
                         int status, const struct freshet_freshness *freshness,
                         const struct freshet_error *error)
{
    const char *asked = fsh_request_header(request, "X-Freshet-Partner");
    char id[FSH_COOKIE_SHORT];

    (void)freshness;
    if (status != FRESHET_OK) {
        if (freshet_status_class(status) == FRESHET_CLASS_ENDED)
            browser->dead = true;
        answer_problem(request, status, error);
        return;
    }
    browser->dead = false;
    fsh_cookie_short(browser->hash, id);
    answer_headers(request,
                   &(struct subject){browser->session, id, asked ? asked : browser->partner});
}

/* A service is named in the path, which a gateway's client does not reach. A name in a header is a
 * client's, or one of a gateway that was set up as they once were: nobody can say whose wish it is,
 * and so it is not guessed. False: it is answered. */
static bool is_browsers(struct fsh_keeper_request *request)
{
    const char *service = fsh_request_header(request, "X-Freshet-Service");

    if (!service)
        return true;
    fsh_log(FSH_LOG_WARNING, "authz-ambiguous", "service", service,
            FSH_LOG_NUMBER("uid", request->peer->uid), NULL);
    fsh_request_answer(
        request,
        fsh_page_fail(FRESHET_EINVAL,
                      "no service is chosen by X-Freshet-Service: ask /authz/service/NAME, "
                      "and clear the header for browsers"));
    return false;
}

static void authorize_browser(struct fsh_keeper_request *request)
{
    struct fsh_browsers *browsers = request->keeper->browsers;
    struct freshet_error error = {0};
    struct fsh_browser *browser = NULL;
    int status;

    if (!is_browsers(request))
        return;
    status = fsh_browsers_find(browsers, request, &browser, &error);
    if (status != FRESHET_OK) {
        answer_problem(request, status, &error);
        return;
    }
    if (!fsh_csrf_forwarded(request, browsers->origin)) {
        fsh_request_answer(request, fsh_page_http(403, "not from a page of the configured origin"));
        fsh_browser_unref(browser);
        return;
    }
    /* Not before: a foreign page's requests keep no session from its timeout. */
    fsh_browsers_use(browsers, browser);
    if (!fsh_lib_at_hand(browser->session, NULL, NULL)) {
        fsh_browser_wait(request, browser, NULL, browser_then);
        return;
    }
    browser_then(request, browser, FRESHET_OK, NULL, NULL);
    fsh_browser_unref(browser);
}

/* ---- services ---------------------------------------------------------------------------- */

struct service_wait {
    struct fsh_keeper_request *request; /* NULL: the client has gone */
    struct fsh_entry *entry;            /* a reference */
    struct freshet_operation *operation;
};

/* The partner is named in the path, too: who sends a header to a gateway chooses none (rule 4). */
static void answer_service(struct fsh_keeper_request *request, struct freshet_session *session)
{
    answer_headers(request,
                   &(struct subject){session, freshet_session_name(session), request->segments[1]});
}

/* The service that the path names, if the peer has the verb on it. Else NULL, and the request is
 * answered: whether there is one of that name is told only to those who may do something with it.
 */
static struct fsh_entry *find_service(struct fsh_keeper_request *request, enum fsh_verb verb)
{
    struct fsh_entry *entry = fsh_registry_find(request->keeper->registry, request->segments[0]);
    unsigned verbs = fsh_grants_verbs(entry ? entry->grants : NULL, request->peer);

    if (entry && entry->session && (verbs & (unsigned)verb) != 0)
        return entry;
    answer_problem(request, !entry && verbs != 0 ? FRESHET_ENOSESSION : FRESHET_EACCESS, NULL);
    return NULL;
}

static void service_done(void *data, int status, const struct freshet_freshness *freshness,
                         const struct freshet_error *error)
{
    struct service_wait *wait = data;
    struct fsh_keeper_request *request = wait->request;
    struct freshet_session *session = wait->entry->session;

    (void)freshness;
    if (request) {
        request->gone = NULL;
        /* A reload may have swapped the grants while it waited. */
        if (!(fsh_grants_verbs(wait->entry->grants, request->peer) & FSH_VERB_READ))
            answer_problem(request, FRESHET_EACCESS, NULL);
        else if (status == FRESHET_OK && session)
            answer_service(request, session);
        else
            answer_problem(request, status == FRESHET_OK ? FRESHET_ECLOSED : status, error);
    }
    fsh_entry_unref(wait->entry);
    free(wait);
}

static void service_gone(struct fsh_keeper_request *request)
{
    struct service_wait *wait = request->data;

    wait->request = NULL;
    freshet_operation_cancel(wait->operation);
}

static void authorize_service(struct fsh_keeper_request *request)
{
    struct fsh_entry *entry = find_service(request, FSH_VERB_READ);
    struct freshet_error error = {0};
    struct service_wait *wait;
    int status;

    if (!entry)
        return;
    if (fsh_lib_at_hand(entry->session, NULL, NULL)) {
        answer_service(request, entry->session);
        return;
    }
    wait = calloc(1, sizeof(*wait));
    if (!wait) {
        answer_problem(request, FRESHET_ENOMEM, NULL);
        return;
    }
    *wait = (struct service_wait){.request = request, .entry = fsh_entry_ref(entry)};
    status = freshet_ensure_fresh_async(entry->session, NULL, request->keeper->queue, service_done,
                                        wait, &wait->operation, &error);
    if (status != FRESHET_OK) {
        service_done(wait, status, NULL, &error);
        return;
    }
    request->data = wait;
    request->gone = service_gone;
}

/* ---- requests ---------------------------------------------------------------------------- */

/* Digits alone, and no generation is 0. */
static bool read_generation(const char *text, uint64_t *ret_generation)
{
    uint64_t generation = 0;

    for (; text && *text; text++) {
        if (*text < '0' || *text > '9' ||
            __builtin_mul_overflow(generation, UINT64_C(10), &generation) ||
            __builtin_add_overflow(generation, (uint64_t)(*text - '0'), &generation))
            return false;
    }
    *ret_generation = generation;
    return generation > 0;
}

/* The generation of the token that was answered with 401; false: it is answered. */
static bool take_generation(struct fsh_keeper_request *request, uint64_t *ret_generation)
{
    if (read_generation(fsh_request_header(request, "X-Freshet-Generation"), ret_generation))
        return true;
    fsh_request_answer(request,
                       fsh_page_fail(FRESHET_EINVAL, "X-Freshet-Generation is a number above 0"));
    return false;
}

/* The gateway saw a 401: it need not prove that a page of ours meant the request, for it is not the
 * browser that asks. */
static void report_browser(struct fsh_keeper_request *request)
{
    struct fsh_browser *browser = NULL;
    struct freshet_error error = {0};
    uint64_t generation;
    int status;

    if (!is_browsers(request) || !take_generation(request, &generation))
        return;
    status = fsh_browsers_find(request->keeper->browsers, request, &browser, &error);
    if (status != FRESHET_OK) {
        answer_problem(request, status, &error);
        return;
    }
    (void)freshet_unauthorized(browser->session, generation);
    fsh_browser_unref(browser);
    fsh_request_answer(request, fsh_page_new(204, NULL, NULL, 0));
}

static void report_service(struct fsh_keeper_request *request)
{
    struct fsh_entry *entry = find_service(request, FSH_VERB_REPORT);
    uint64_t generation;

    if (!entry || !take_generation(request, &generation))
        return;
    (void)freshet_unauthorized(entry->session, generation);
    fsh_request_answer(request, fsh_page_new(204, NULL, NULL, 0));
}

const struct fsh_route fsh_authz_routes[] = {
    {FSH_DOOR_BROWSER, "GET", "/authz", authorize_browser},
    {FSH_DOOR_BROWSER, "POST", "/authz/unauthorized", report_browser},
    {FSH_DOOR_BROWSER, "GET", "/authz/service/:name", authorize_service},
    {FSH_DOOR_BROWSER, "GET", "/authz/service/:name/partner/:partner", authorize_service},
    {FSH_DOOR_BROWSER, "POST", "/authz/service/:name/unauthorized", report_service},
    {0},
};
