/* SPDX-License-Identifier: Apache-2.0 */

/* What a page may know of its session, and of the account's others; and the partner it chooses. */

#include "keeper/browser.h"

#include "base/error.h"
#include "engine/clock.h"
#include "engine/ledger.h"
#include "keeper/wait.h"
#include "lib/internal.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define RECENT  16
#define LOOK_MS 5000

/* ---- the session ------------------------------------------------------------------------- */

static json_t *entry_json(const struct fsh_ledger_entry *entry)
{
    return json_pack("{s:I, s:I, s:s, s:s, s:s, s:I, s:I}", "number", (json_int_t)entry->number,
                     "at_ms", (json_int_t)entry->wall.ms, "name", fsh_engine_note_name(entry->note),
                     "what", fsh_engine_note_text(entry->note), "status",
                     freshet_status_name(entry->status), "value", (json_int_t)entry->value, "times",
                     (json_int_t)entry->times);
}

/* What happened to it since the keeper began: nothing here waits for the store. */
static json_t *recent_json(const struct freshet_session *session)
{
    struct fsh_engine *engine = fsh_loop_engine(session->freshet->loop);
    struct fsh_ledger_entry entries[RECENT];
    json_t *list = json_array();
    size_t count =
        fsh_engine_ledger_read(fsh_engine_ledger(engine), session->engine.number, entries, RECENT);

    for (size_t i = 0; list && i < count; i++) {
        if (json_array_append_new(list, entry_json(&entries[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *partners_json(const struct fsh_token *token)
{
    json_t *list = json_array();

    for (size_t i = 0; list && token && i < token->partner_count; i++) {
        if (json_array_append_new(list, json_string(token->partners[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int64_t wall_ms(int32_t at_s)
{
    return fsh_clock_wall().ms - ((int64_t)fsh_browsers_now() - at_s) * 1000;
}

static int64_t at_least_0(int64_t ms)
{
    return ms > 0 ? ms : 0;
}

json_t *fsh_browser_self_json(struct fsh_browsers *browsers, struct fsh_browser *browser)
{
    struct fsh_session *engine = &browser->session->engine;
    struct fsh_token *token = fsh_engine_token(engine);
    struct fsh_mono now = fsh_clock_mono();
    struct fsh_freshness times = {.usable_until = now, .expires_at = now, .sent_at = now};
    uint64_t generation = 0;
    json_t *self;

    (void)fsh_engine_view(engine, &generation, &times);
    self = json_pack("{s:s, s:o, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "username",
                     browser->account->text, "partners", partners_json(token), "partner",
                     browser->partner, "generation", (json_int_t)generation, "usable_ms",
                     (json_int_t)at_least_0(times.usable_until.ms - now.ms), "expires_ms",
                     (json_int_t)at_least_0(times.expires_at.ms - now.ms), "lifetime_ms",
                     (json_int_t)(times.expires_at.ms - times.sent_at.ms), "refreshes",
                     (json_int_t)atomic_load(&engine->counters.refreshes), "created_at",
                     (json_int_t)at_least_0(wall_ms(browser->created_s)), "idle_ends_ms",
                     (json_int_t)fsh_browser_idle_ms(browsers, browser), "absolute_ends_ms",
                     (json_int_t)fsh_browser_absolute_ms(browsers, browser), "recent",
                     recent_json(browser->session));
    fsh_token_unref(token);
    return self;
}

static void tell_self(struct fsh_keeper_request *request, struct fsh_browser *browser, int status,
                      const struct freshet_freshness *freshness, const struct freshet_error *error)
{
    enum freshet_class class = freshet_status_class(status);

    (void)freshness;
    /* Without a token there is still a session, as long as nobody says that it is over. */
    if (class == FRESHET_CLASS_OK || class == FRESHET_CLASS_RETRY || class == FRESHET_CLASS_UNKNOWN)
        fsh_request_answer(
            request, fsh_page_json(200, fsh_browser_self_json(request->keeper->browsers, browser)));
    else
        fsh_request_answer(request, fsh_browser_problem(status, error));
}

/* The session of the cookie, or NULL: then the request was answered. */
static struct fsh_browser *find(struct fsh_keeper_request *request)
{
    struct fsh_browsers *browsers = request->keeper->browsers;
    struct freshet_error error = {0};
    struct fsh_browser *browser = NULL;
    int status = fsh_browsers_find(browsers, request, &browser, &error);

    if (status == FRESHET_OK)
        return browser;
    fsh_request_answer(request, browsers ? fsh_browser_problem(status, &error)
                                         : fsh_page_http(404, "no [browser] is configured"));
    return NULL;
}

/* To look at a session renews no token that is there, used up or not; what is not there may be in
 * the store. */
static void look(struct fsh_keeper_request *request, struct fsh_browser *browser)
{
    const struct freshet_demand demand = {.timeout_ms = LOOK_MS};
    struct fsh_freshness times;
    uint64_t generation;

    if (fsh_engine_view(&browser->session->engine, &generation, &times)) {
        tell_self(request, browser, FRESHET_OK, NULL, NULL);
        fsh_browser_unref(browser);
        return;
    }
    fsh_browser_wait(request, browser, &demand, tell_self);
}

void fsh_browser_self(struct fsh_keeper_request *request)
{
    struct fsh_browser *browser = find(request);

    if (browser)
        look(request, browser);
}

/* ---- the partner ------------------------------------------------------------------------- */

static bool good_partner(const char *partner)
{
    size_t len = strlen(partner);

    for (size_t i = 0; i < len; i++) {
        if (partner[i] <= ' ' || partner[i] > '~')
            return false;
    }
    return len > 0 && len <= FSH_PARTNER_ID_MAX;
}

/* Known partners are told apart from others when the choice is made, not only when it is used. */
static int check_partner(struct fsh_browser *browser, const char *partner,
                         struct freshet_error *error)
{
    const struct freshet_headers *headers = NULL;
    int status = freshet_headers_get(browser->session, partner, &headers, error);

    freshet_headers_unref(headers);
    return status == FRESHET_EPARTNER ? status : FRESHET_OK;
}

/* A choice on its way to the store. */
struct choice {
    struct fsh_keeper_request *request; /* NULL: the client has gone */
    struct fsh_browser *browser;        /* a reference */
    char *before;
    const char *chosen; /* the session's */
};

static void choice_gone(struct fsh_keeper_request *request)
{
    struct choice *choice = request->data;

    choice->request = NULL;
}

static void chosen(void *data, int status, const struct freshet_freshness *freshness,
                   const struct freshet_error *error)
{
    struct choice *choice = data;
    struct fsh_browser *browser = choice->browser;
    struct fsh_keeper_request *request = choice->request;

    (void)freshness;
    /* What the store does not have is not so, unless somebody chose again meanwhile. */
    if (status != FRESHET_OK && browser->partner == choice->chosen) {
        free(browser->partner);
        browser->partner = choice->before;
        choice->before = NULL;
    }
    free(choice->before);
    free(choice);
    if (request)
        request->gone = NULL;
    if (request && status == FRESHET_OK && !browser->over) {
        look(request, browser);
        return;
    }
    if (request)
        fsh_request_answer(request, fsh_browser_problem(
                                        status == FRESHET_OK ? FRESHET_ESIGNEDOUT : status, error));
    fsh_browser_unref(browser);
}

/* Takes over the reference. */
static void choose(struct fsh_keeper_request *request, struct fsh_browser *browser,
                   const char *partner)
{
    struct choice *choice = calloc(1, sizeof(*choice));
    char *own = partner ? strdup(partner) : NULL;
    struct freshet_error error = {0};
    int status;

    if (!choice || (partner && !own)) {
        free(choice);
        free(own);
        fsh_request_answer(request, fsh_browser_problem(FRESHET_ENOMEM, NULL));
        fsh_browser_unref(browser);
        return;
    }
    *choice = (struct choice){request, browser, browser->partner, own};
    request->data = choice;
    request->gone = choice_gone;
    browser->partner = own;
    status = fsh_browser_save(request->keeper->browsers, browser, chosen, choice, &error);
    if (status != FRESHET_OK)
        chosen(choice, status, NULL, &error);
}

/* What a body asks for; an answer that is no choice at all is refused here. */
static int read_choice(const json_t *partner, struct fsh_browser *browser, const char **ret_partner,
                       struct freshet_error *error)
{
    const char *text = json_string_value(partner);

    if (!json_is_null(partner) && (!text || !good_partner(text)))
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "partner: null, or 1 to %d bytes without spaces", FSH_PARTNER_ID_MAX);
    *ret_partner = text;
    return text ? check_partner(browser, text, error) : FRESHET_OK;
}

void fsh_browser_choose_partner(struct fsh_keeper_request *request)
{
    struct freshet_error error = {0};
    struct fsh_browser *browser;
    const char *text = NULL;
    json_t *partner = NULL;
    json_t *body;
    int status;

    if (!fsh_browser_changes(request))
        return;
    body = fsh_browser_body(request, "{s:o}", "partner", &partner);
    browser = body ? find(request) : NULL;
    if (browser) {
        fsh_browsers_use(request->keeper->browsers, browser);
        status = read_choice(partner, browser, &text, &error);
        if (status == FRESHET_OK) {
            choose(request, browser, text);
        } else {
            fsh_request_answer(request, fsh_browser_problem(status, &error));
            fsh_browser_unref(browser);
        }
    }
    json_decref(body);
}

/* ---- the account's sessions -------------------------------------------------------------- */

static void address_text(const struct in6_addr *address, char ret_text[FSH_CLIENT_ADDRESS])
{
    ret_text[0] = '\0';
    if (IN6_IS_ADDR_V4MAPPED(address))
        (void)inet_ntop(AF_INET, &address->s6_addr[12], ret_text, FSH_CLIENT_ADDRESS);
    else if (!IN6_IS_ADDR_UNSPECIFIED(address))
        (void)inet_ntop(AF_INET6, address, ret_text, FSH_CLIENT_ADDRESS);
}

static json_t *listed_json(const struct fsh_browser *browser, const struct fsh_browser *asks)
{
    char id[FSH_COOKIE_SHORT];
    char address[FSH_CLIENT_ADDRESS];

    fsh_cookie_short(browser->hash, id);
    address_text(&browser->address, address);
    return json_pack("{s:s, s:b, s:I, s:I, s:s, s:s}", "id", id, "current", browser == asks,
                     "created_at", (json_int_t)at_least_0(wall_ms(browser->created_s)), "seen_at",
                     (json_int_t)at_least_0(wall_ms(browser->seen_s)), "address", address, "agent",
                     browser->agent->text);
}

void fsh_browser_list(struct fsh_keeper_request *request)
{
    struct fsh_browsers *browsers = request->keeper->browsers;
    struct fsh_browser *asks = find(request);
    json_t *list;

    if (!asks)
        return;
    list = json_array();
    for (const struct fsh_browser *browser = asks->account->first; list && browser;
         browser = browser->next) {
        bool past = browser->dead || fsh_browser_idle_ms(browsers, browser) == 0 ||
                    fsh_browser_absolute_ms(browsers, browser) == 0;

        if (!past && json_array_append_new(list, listed_json(browser, asks)) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    fsh_request_answer(request,
                       fsh_page_json(200, list ? json_pack("{s:o}", "sessions", list) : NULL));
    fsh_browser_unref(asks);
}
