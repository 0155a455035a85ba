/* SPDX-License-Identifier: Apache-2.0 */

/* The life of browser sessions: timeouts, restarts, forged cookies, foreign pages, clients that go,
 * and flights that land too late. */

#include "keeper/csrf.h"
#include "visit.h"

#include <freshet/admin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct page page_of(void **state)
{
    return (struct page){.visit = *state};
}

/* ---- pages of ours, and others ----------------------------------------------------------- */

static void only_our_pages_change_anything(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        const char *body;
    } changes[] = {
        {"POST", "/freshet/sign-in",
         "{\"username\": \"svc-demo\", \"password\": \"" DEV_PASSWORD "\"}"},
        {"POST", "/freshet/mfa", "{\"code\": \"123456\"}"},
        {"POST", "/freshet/new-password", "{\"new_password\": \"x\"}"},
        {"PUT", "/freshet/partner", "{\"partner\": \"fd42\"}"},
        {"DELETE", "/freshet/sessions/AAAAAAAAAAAAAAAAAAAAAA", ""},
        {"POST", "/freshet/sign-out", ""},
        {"POST", "/freshet/sign-out-everywhere", ""},
    };
    static const char *const foreign[] = {
        "",
        "X-Freshet-CSRF: 1\n",
        "Origin: " ORIGIN "\n",
        "Origin: " ORIGIN "\nX-Freshet-CSRF: \n",
        "Origin: null\nX-Freshet-CSRF: 1\n",
        "Origin: http://app.example.com\nX-Freshet-CSRF: 1\n",
        "Origin: https://app.example.com:443\nX-Freshet-CSRF: 1\n",
        "Origin: https://app.example.com.evil.example\nX-Freshet-CSRF: 1\n",
        "Origin: https://evil.example\nOrigin: " ORIGIN "\nX-Freshet-CSRF: 1\n",
        "Origin: " ORIGIN "\nOrigin: https://evil.example\nX-Freshet-CSRF: 1\n",
        "Referer: " ORIGIN "/\nX-Freshet-CSRF: 1\n",
    };
    struct page page = page_of(state);
    char text[1024];

    page_sign_in(&page, "svc-demo");
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        for (size_t j = 0; j < sizeof(foreign) / sizeof(foreign[0]); j++) {
            struct asked asked;
            int len = snprintf(text, sizeof(text), "%s %s\nCookie: %s\n%s\n%s", changes[i].method,
                               changes[i].path, page.cookie, foreign[j], changes[i].body);

            asked_init(&asked, &page.visit->keeper, &page.visit->peer, text, (size_t)len);
            asked_send(&asked);
            assert_int_equal(asked.answers, 1);
            assert_int_equal(asked.page->http, 403);
            assert_null(asked_field(&asked, "Set-Cookie"));
            asked_done(&asked);
        }
    }
    assert_int_equal(page_authz(&page, NULL), 200);
}

/* A slip of the finger does not leave a session behind that nobody can sign out any more. */
static void a_sign_in_that_is_refused_leaves_the_session_before(void **state)
{
    struct page page = page_of(state);

    page_sign_in(&page, "svc-demo");
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL,
                               "{\"username\": \"svc-demo\", \"password\": \"wrong\"}"),
                     401);
    assert_int_equal(page_authz(&page, NULL), 200);
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-out", NULL, NULL), 204);
    assert_int_equal(page_authz(&page, NULL), 401);
}

static void what_a_gateway_may_let_through(void **state)
{
    static const struct {
        const char *headers;
        unsigned http;
    } rows[] = {
        {"X-Original-Method: GET\n", 200},
        {"X-Original-Method: HEAD\n", 200},
        {"X-Forwarded-Method: OPTIONS\n", 200},
        {"X-Forwarded-Method: GET\nOrigin: https://evil.example\n", 200},
        {"", 403},
        {"X-Original-Method: \n", 403},
        {"X-Original-Method: get\n", 403},
        {"X-Original-Method: POST\n", 403},
        {"X-Original-Method: POST\nOrigin: " ORIGIN "\n", 403},
        {"X-Original-Method: POST\nX-Freshet-CSRF: 1\n", 403},
        {"X-Original-Method: POST\nOrigin: https://evil.example\nX-Freshet-CSRF: 1\n", 403},
        {"X-Original-Method: GET\nX-Forwarded-Method: POST\n", 403},
        {"X-Original-Method: GET\nX-Original-Method: POST\n", 403},
        {"X-Original-Method: POST\nOrigin: " ORIGIN "\nX-Freshet-CSRF: 1\n", 200},
        {"Origin: " ORIGIN "\nX-Freshet-CSRF: 1\n", 200},
        {"X-Original-Method: GET\nUpgrade: websocket\n", 403},
        {"X-Original-Method: GET\nUpgrade: websocket\nOrigin: https://evil.example\n", 403},
        {"X-Original-Method: GET\nUpgrade: websocket\nOrigin: " ORIGIN "\n", 200},
        {"X-Original-Method: GET\nUpgrade: \n", 200},
        {"X-Original-Method: GET\nSec-WebSocket-Key: AAAA\n", 403},
        {"X-Original-Method: GET\nSec-WebSocket-Version: 13\nOrigin: https://evil.example\n", 403},
        {"X-Original-Method: GET\nSec-WebSocket-Version: 13\nOrigin: " ORIGIN "\n", 200},
    };
    struct page page = page_of(state);

    page_sign_in(&page, "svc-demo");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (page_send(&page, "GET", "/authz", rows[i].headers, NULL) != rows[i].http)
            fail_msg("%s: %u", rows[i].headers, page.http);
    }
}

/* What is refused is no use: a foreign page's requests do not keep a session alive. */
static void refused_requests_are_no_use(void **state)
{
    struct page page = page_of(state);
    int32_t seen_s;

    page_sign_in(&page, "svc-demo");
    seen_s = page_browser(&page)->seen_s -= 100;
    assert_int_equal(page_send(&page, "GET", "/authz",
                               "X-Original-Method: POST\nOrigin: https://evil.example\n", NULL),
                     403);
    assert_int_equal(page_browser(&page)->seen_s, seen_s);
    assert_int_equal(page_authz(&page, NULL), 200);
    assert_in_range(page_browser(&page)->seen_s, seen_s + 100, seen_s + 200);
}

/* A reload without [browser] ends no session, and serves none. */
static void without_an_origin_nobody_is_served(void **state)
{
    struct page page = page_of(state);
    struct fsh_keeper *keeper = &page.visit->keeper;
    struct freshet_config *without = NULL;
    char path[128];
    FILE *file;

    page_sign_in(&page, "svc-demo");
    (void)snprintf(path, sizeof(path), "%s/without.conf", page.visit->folder);
    file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(file, "[platform]\nurl = https://api.example.com\n");
    assert_int_equal(fclose(file), 0);
    assert_int_equal(freshet_config_load(path, &without, NULL), FRESHET_OK);
    assert_int_equal(remove(path), 0);
    assert_int_equal(fsh_browsers_reload(keeper, without, NULL), FRESHET_OK);
    freshet_config_free(without);
    assert_int_equal(page_authz(&page, NULL), 401);
    assert_int_equal(page_send(&page, "GET", "/freshet/session", NULL, NULL), 401);
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-out", NULL, NULL), 404);
    assert_int_equal(fsh_browsers_reload(keeper, keeper->config, NULL), FRESHET_OK);
    assert_int_equal(page_authz(&page, NULL), 200);
}

/* ---- cookies ----------------------------------------------------------------------------- */

static void forged_cookies(void **state)
{
    struct page page = page_of(state);
    struct page forged;
    char *value;
    char doubled[512];

    page_sign_in(&page, "svc-demo");
    forged = page;
    value = strchr(forged.cookie, '=') + 1;
    for (size_t i = 0; i < FSH_COOKIE_TEXT; i++) {
        char was = value[i];

        value[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(page_authz(&forged, NULL), 401);
        value[i] = was;
    }
    for (size_t len = 0; len < FSH_COOKIE_TEXT; len++) {
        char was = value[len];

        value[len] = '\0';
        assert_int_equal(page_authz(&forged, NULL), 401);
        value[len] = was;
    }
    assert_int_equal(page_authz(&forged, NULL), 200);
    (void)snprintf(doubled, sizeof(doubled), "Cookie: %s\n", page.cookie);
    assert_int_equal(page_authz(&page, doubled), 401);
    forged.cookie[0] = '\0';
    (void)snprintf(doubled, sizeof(doubled), "Cookie: %s; %s\n", page.cookie, page.cookie);
    assert_int_equal(page_authz(&forged, doubled), 401);
    /* None of them made a session, open or stored. */
    assert_int_equal(fsh_browsers_count(page.visit->keeper.browsers), 1);
    assert_int_equal(page_authz(&page, NULL), 200);
}

/* ---- timeouts ---------------------------------------------------------------------------- */

static void sessions_time_out(void **state)
{
    struct page page = page_of(state);
    struct fsh_browsers *browsers = page.visit->keeper.browsers;
    struct fsh_browser *browser;

    assert_int_equal(browsers->idle_s, 1800);
    assert_int_equal(browsers->absolute_s, 43200);
    page_sign_in(&page, "svc-demo");
    browser = page_browser(&page);
    browser->seen_s -= 1795;
    assert_int_equal(page_send(&page, "GET", "/freshet/session", NULL, NULL), 200);
    assert_in_range(fsh_browser_idle_ms(browsers, browser), 1, 5000);
    assert_int_equal(page_authz(&page, NULL), 200);
    assert_in_range(fsh_browser_idle_ms(browsers, browser), 1790000, 1800000);
    browser->seen_s -= 1801;
    assert_int_equal(page_authz(&page, NULL), 401);
    assert_true(page_says(&page, "idle timeout"));
    assert_int_equal(fsh_browsers_count(browsers), 0);

    page_sign_in(&page, "svc-demo");
    browser = page_browser(&page);
    browser->created_s -= 43201;
    assert_int_equal(page_send(&page, "GET", "/freshet/session", NULL, NULL), 401);
    assert_true(page_says(&page, "absolute timeout"));
    visit_settle(page.visit);
    visit_restart(page.visit);
    assert_int_equal(fsh_browsers_count(page.visit->keeper.browsers), 0);
}

/* Without a request, too; the longest unused first, and no more at once than is bearable. */
static void timeouts_are_swept(void **state)
{
    struct page pages[3];
    struct fsh_browsers *browsers;
    int32_t now_s = fsh_browsers_now();

    for (int i = 0; i < 3; i++) {
        pages[i] = page_of(state);
        page_sign_in(&pages[i], i == 1 ? "svc-two" : "svc-demo");
        page_browser(&pages[i])->seen_s = now_s - 100 + i;
    }
    browsers = pages[0].visit->keeper.browsers;
    fsh_browsers_sweep(browsers, now_s - 100 + 1799);
    assert_int_equal(fsh_browsers_count(browsers), 3);
    fsh_browsers_sweep(browsers, now_s - 100 + 1802);
    assert_int_equal(fsh_browsers_count(browsers), 1);
    assert_non_null(page_browser(&pages[2]));
    visit_settle(pages[0].visit);
    fsh_browsers_sweep(browsers, now_s + 1801);
    assert_int_equal(fsh_browsers_count(browsers), 0);
    visit_settle(pages[0].visit);
    assert_int_equal(browsers->accounts.count, 0);
    assert_int_equal(browsers->agents.count, 0);
}

static void used_sessions_come_last(void **state)
{
    struct page pages[2];
    struct fsh_browsers *browsers;

    for (int i = 0; i < 2; i++) {
        pages[i] = page_of(state);
        page_sign_in(&pages[i], "svc-demo");
        page_browser(&pages[i])->seen_s -= 1000;
    }
    browsers = pages[0].visit->keeper.browsers;
    assert_int_equal(page_authz(&pages[0], NULL), 200);
    fsh_browsers_sweep(browsers, fsh_browsers_now() + 900);
    assert_int_equal(fsh_browsers_count(browsers), 1);
    assert_non_null(page_browser(&pages[0]));
    visit_settle(pages[0].visit);
}

/* ---- restarts ---------------------------------------------------------------------------- */

static void a_restart_keeps_every_session(void **state)
{
    struct page pages[5];
    struct page other = page_of(state);
    struct fsh_browser *browser;
    char id[2048];
    char path[128];

    for (int i = 0; i < 5; i++) {
        pages[i] = page_of(state);
        assert_int_equal(page_send(&pages[i], "POST", "/freshet/sign-in",
                                   "X-Forwarded-For: 198.51.100.7\nUser-Agent: Browser 1\n",
                                   "{\"username\": \"svc-demo\", \"password\": \"" DEV_PASSWORD
                                   "\"}"),
                         200);
    }
    page_sign_in(&other, "load-7");
    assert_int_equal(page_send(&other, "POST", "/freshet/sign-out", NULL, NULL), 204);
    /* It was used a while ago, and the label says so. */
    browser = page_browser(&pages[1]);
    browser->created_s -= 2000;
    browser->seen_s -= 500;
    browser->saved_s -= 500;
    assert_int_equal(page_authz(&pages[1], NULL), 200);
    visit_restart(pages[0].visit);
    assert_int_equal(fsh_browsers_count(pages[0].visit->keeper.browsers), 5);
    browser = page_browser(&pages[1]);
    assert_in_range(fsh_browsers_now() - browser->created_s, 1998, 2010);
    assert_in_range(fsh_browsers_now() - browser->seen_s, 0, 10);
    for (int i = 0; i < 3; i++)
        assert_int_equal(page_authz(&pages[i], NULL), 200);
    assert_int_equal(page_authz(&other, NULL), 401);
    /* Those whose cookie did not come yet are listed, and ended, too. */
    (void)page_field(&pages[2], "X-Freshet-Session", id);
    assert_int_equal(page_send(&pages[0], "GET", "/freshet/sessions", NULL, NULL), 200);
    assert_true(page_says(&pages[0], id));
    assert_true(page_says(&pages[0], "\"address\":\"198.51.100.7\",\"agent\":\"Browser 1\""));
    fsh_cookie_short(page_browser(&pages[4])->hash, id);
    (void)snprintf(path, sizeof(path), "/freshet/sessions/%.64s", id);
    assert_int_equal(page_send(&pages[0], "DELETE", path, NULL, NULL), 204);
    assert_int_equal(page_authz(&pages[4], NULL), 401);
    assert_int_equal(page_send(&pages[0], "GET", "/freshet/session", NULL, NULL), 200);
    assert_true(page_says(&pages[0], "\"username\":\"svc-demo\""));
    assert_int_equal(page_send(&pages[0], "POST", "/freshet/sign-out-everywhere", NULL, NULL), 204);
    visit_restart(pages[0].visit);
    assert_int_equal(fsh_browsers_count(pages[0].visit->keeper.browsers), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(page_authz(&pages[i], NULL), 401);
}

/* A sign-in that was not granted leaves nothing, not even over a restart. */
static void challenges_do_not_outlive_the_keeper(void **state)
{
    struct page page = page_of(state);
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet_stored_session *list = NULL;
    size_t count = 1;

    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL,
                               "{\"username\": \"mfa\", \"password\": \"" DEV_PASSWORD "\"}"),
                     401);
    visit_restart(page.visit);
    assert_int_equal(page_send(&page, "POST", "/freshet/mfa", NULL, "{\"code\": \"123456\"}"), 409);
    visit_settle(page.visit);
    freshet_config_options(page.visit->keeper.config, &options);
    assert_int_equal(freshet_sessions_list(&options, &list, &count, NULL), FRESHET_OK);
    assert_int_equal(count, 0);
    free(list);
}

/* ---- clients that go, and flights -------------------------------------------------------- */

static void a_client_that_goes_leaves_no_session(void **state)
{
    struct page page = page_of(state);
    struct asked asked;

    page_ask(&page, &asked, "POST", "/freshet/sign-in", NULL,
             "{\"username\": \"svc-demo\", \"password\": \"" DEV_PASSWORD "\"}");
    assert_int_equal(asked.answers, 0);
    asked_go(&asked);
    /* Another one, so that something is there to wait for. */
    for (int i = 0; i < 3; i++)
        page_sign_in(&page, "svc-two");
    visit_settle(page.visit);
    assert_int_equal(asked.answers, 0);
    asked_done(&asked);
    assert_int_equal(fsh_browsers_count(page.visit->keeper.browsers), 1);
    visit_restart(page.visit);
    assert_int_equal(fsh_browsers_count(page.visit->keeper.browsers), 1);
}

static void until_used_up(struct page *page)
{
    struct freshet_freshness freshness;

    while (freshet_ensure_fresh(page_browser(page)->session,
                                &(struct freshet_demand){.timeout_ms = -1}, &freshness,
                                NULL) == FRESHET_OK) {
        const struct timespec pause = {.tv_nsec = 20000000};

        (void)nanosleep(&pause, NULL);
    }
}

/* Signs in, and waits until the token is used up; refreshes take so long from then on. */
static void sign_in_and_use_up(struct page *page, int refresh_ms)
{
    char fault[128];

    devserver_control(&page->visit->server, "PUT", "/_dev/lifetime", "{\"seconds\": 2}");
    page_sign_in(page, "svc-demo");
    (void)snprintf(fault, sizeof(fault),
                   "{\"match\": \"/auth/refresh_token\", \"count\": -1, \"kind\": \"latency\","
                   " \"ms\": %d}",
                   refresh_ms);
    devserver_control(&page->visit->server, "POST", "/_dev/faults", fault);
    until_used_up(page);
}

/* Rule 10: who waited for the flight is told that it is over, whatever lands. */
static void sign_out_wins_over_a_flight(void **state)
{
    struct page page = page_of(state);
    struct page outer;
    struct asked asked;
    struct asked left;

    sign_in_and_use_up(&page, 1000);
    outer = page;
    page_ask(&page, &asked, "GET", "/authz", "X-Original-Method: GET\n", NULL);
    page_ask(&page, &left, "GET", "/authz", "X-Original-Method: GET\n", NULL);
    assert_int_equal(asked.answers, 0);
    asked_go(&left);
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-out", NULL, NULL), 204);
    visit_answer(page.visit, &asked);
    assert_null(asked_field(&asked, "Authorization"));
    page_read(&page, &asked);
    asked_done(&asked);
    assert_int_equal(left.answers, 0);
    asked_done(&left);
    assert_int_equal(page.http, 401);
    assert_int_equal(page_authz(&outer, NULL), 401);
    visit_restart(page.visit);
    assert_int_equal(page_authz(&outer, NULL), 401);
}

/* The same, when another session of the account ends it. */
static void a_kill_wins_over_a_flight(void **state)
{
    struct page page = page_of(state);
    struct page killer = page_of(state);
    struct asked asked;
    char id[FSH_COOKIE_SHORT];
    char path[64];

    page_sign_in(&killer, "svc-demo");
    sign_in_and_use_up(&page, 1000);
    page_ask(&page, &asked, "GET", "/authz", "X-Original-Method: GET\n", NULL);
    assert_int_equal(asked.answers, 0);
    fsh_cookie_short(page_browser(&page)->hash, id);
    (void)snprintf(path, sizeof(path), "/freshet/sessions/%s", id);
    assert_int_equal(page_send(&killer, "DELETE", path, NULL, NULL), 204);
    visit_answer(page.visit, &asked);
    assert_int_equal(asked.page->http, 401);
    assert_null(asked_field(&asked, "Authorization"));
    asked_done(&asked);
    assert_int_equal(page_authz(&page, NULL), 401);
    assert_int_equal(page_authz(&killer, NULL), 200);
}

/* Rule 10: no sign-in that had begun brings up a session after a sign-out everywhere. */
static void sign_out_everywhere_ends_sign_ins(void **state)
{
    static const char body[] = "{\"username\": \"mfa\", \"password\": \"" DEV_PASSWORD "\"}";
    struct page page = page_of(state);
    struct page challenged = page_of(state);
    struct page answers = page_of(state);
    struct page other = page_of(state);
    struct asked begun;
    struct asked answered;
    char code[16];
    char answer[64];

    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL, body), 401);
    assert_int_equal(page_send(&challenged, "POST", "/freshet/sign-in", NULL, body), 401);
    assert_int_equal(page_send(&answers, "POST", "/freshet/sign-in", NULL, body), 401);
    assert_int_equal(devclient_totp(&page.visit->server.dev, "mfa", code), 0);
    (void)snprintf(answer, sizeof(answer), "{\"code\": \"%s\"}", code);
    assert_int_equal(page_send(&page, "POST", "/freshet/mfa", NULL, answer), 200);
    page_ask(&answers, &answered, "POST", "/freshet/mfa", NULL, answer);
    page_ask(&other, &begun, "POST", "/freshet/sign-in", NULL, body);
    assert_int_equal(answered.answers + begun.answers, 0);
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-out-everywhere", NULL, NULL), 204);
    visit_answer(page.visit, &answered);
    assert_int_equal(answered.page->http, 401);
    assert_non_null(strstr(answered.page->body, "FRESHET_ESIGNEDOUT"));
    asked_done(&answered);
    visit_answer(page.visit, &begun);
    assert_non_null(strstr(begun.page->body, "FRESHET_ESIGNEDOUT"));
    asked_done(&begun);
    assert_int_equal(page_send(&challenged, "POST", "/freshet/mfa", NULL, answer), 409);
    visit_settle(page.visit);
    assert_int_equal(fsh_browsers_count(page.visit->keeper.browsers), 0);
    visit_restart(page.visit);
    assert_int_equal(fsh_browsers_count(page.visit->keeper.browsers), 0);
}

/* All wait for one refresh. */
static void one_flight_for_all(void **state)
{
    struct page page = page_of(state);
    struct asked asked[20];
    long before;

    sign_in_and_use_up(&page, 300);
    before = devserver_counter(&page.visit->server, "refreshes");
    for (int i = 0; i < 20; i++)
        page_ask(&page, &asked[i], "GET", "/authz", "X-Original-Method: GET\n", NULL);
    for (int i = 0; i < 20; i++) {
        visit_answer(page.visit, &asked[i]);
        assert_int_equal(asked[i].page->http, 200);
        asked_done(&asked[i]);
    }
    assert_int_equal(devserver_counter(&page.visit->server, "refreshes") - before, 1);
}

static void a_platform_that_is_down(void **state)
{
    static const char body[] = "{\"username\": \"svc-demo\", \"password\": \"" DEV_PASSWORD "\"}";
    struct page page = page_of(state);
    char value[2048];

    devserver_control(&page.visit->server, "POST", "/_dev/faults",
                      "{\"match\": \"/auth\", \"count\": 1, \"kind\": \"status\","
                      " \"status\": 503}");
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL, body), 503);
    assert_in_range(strtol(page_field(&page, "Retry-After", value), NULL, 10), 1, 2);
    assert_string_equal(page.cookie, "");
    /* Nobody was refused: no attempt of the account is counted, however often. */
    devserver_control(&page.visit->server, "POST", "/_dev/faults",
                      "{\"match\": \"/auth\", \"count\": 1, \"kind\": \"status\","
                      " \"status\": 503, \"retry_after\": \"100\"}");
    for (int i = 0; i < 30; i++)
        assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL, body), 503);
    assert_in_range(strtol(page_field(&page, "Retry-After", value), NULL, 10), 90, 100);
    /* The address pays, or who guesses would do so for nothing meanwhile. */
    for (int i = 0; i < 40; i++)
        (void)page_send(&page, "POST", "/freshet/sign-in", NULL, body);
    assert_int_equal(page.http, 429);
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", "X-Real-IP: 192.0.2.5\n", body),
                     503);
    visit_settle(page.visit);
}

/* ---- labels ------------------------------------------------------------------------------ */

static void labels_are_read_as_written(void **state)
{
    char agent[FSH_CLIENT_AGENT] = {0};
    char account[FSH_BROWSER_ACCOUNT_MAX + 1] = {0};
    struct fsh_browser_about about = {
        .account = account, .agent = agent, .created_s = 5, .seen_s = 90};
    struct fsh_browser_about read;
    unsigned char label[FSH_LABEL_MAX];
    char texts[FSH_LABEL_MAX + 3];
    size_t len;

    (void)state;
    memset(agent, 'a', sizeof(agent) - 1);
    memset(account, 'b', sizeof(account) - 1);
    about.address.s6_addr[15] = 1;
    len = fsh_browser_label_write(&about, 1000000, 100, label);
    assert_true(fsh_browser_label_read(label, len, 1000000, 100, texts, &read));
    assert_string_equal(read.account, account);
    assert_string_equal(read.agent, agent);
    assert_null(read.partner);
    assert_int_equal(read.address.s6_addr[15], 1);
    assert_int_equal(read.created_s, 5);
    assert_int_equal(read.seen_s, 90);
    /* After a boot, ten minutes later by the calendar: before this clock began. */
    assert_true(fsh_browser_label_read(label, len, 1600000, 20, texts, &read));
    assert_int_equal(read.created_s, 20 - 600 - 95);
    /* A calendar that went back: as if it had been now. */
    assert_true(fsh_browser_label_read(label, len, 0, 20, texts, &read));
    assert_int_equal(read.seen_s, 20);
    for (size_t i = 0; i < len; i++)
        assert_false(fsh_browser_label_read(label, i, 1000000, 100, texts, &read));
    label[0] ^= 0xff;
    assert_false(fsh_browser_label_read(label, len, 1000000, 100, texts, &read));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_our_pages_change_anything, visit_setup,
                                        visit_teardown),
        cmocka_unit_test_setup_teardown(a_sign_in_that_is_refused_leaves_the_session_before,
                                        visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(what_a_gateway_may_let_through, visit_setup,
                                        visit_teardown),
        cmocka_unit_test_setup_teardown(refused_requests_are_no_use, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(without_an_origin_nobody_is_served, visit_setup,
                                        visit_teardown),
        cmocka_unit_test_setup_teardown(forged_cookies, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(sessions_time_out, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(timeouts_are_swept, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(used_sessions_come_last, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(a_restart_keeps_every_session, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(challenges_do_not_outlive_the_keeper, visit_setup,
                                        visit_teardown),
        cmocka_unit_test_setup_teardown(a_client_that_goes_leaves_no_session, visit_setup,
                                        visit_teardown),
        cmocka_unit_test_setup_teardown(sign_out_wins_over_a_flight, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(a_kill_wins_over_a_flight, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(sign_out_everywhere_ends_sign_ins, visit_setup,
                                        visit_teardown),
        cmocka_unit_test_setup_teardown(one_flight_for_all, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(a_platform_that_is_down, visit_setup, visit_teardown),
        cmocka_unit_test(labels_are_read_as_written),
    };

    return cmocka_run_group_tests_name("keeper_session", tests, NULL, NULL);
}
