/* SPDX-License-Identifier: Apache-2.0 */

/* The browser API: what a page and a gateway see of it, and what must not be. */

#include "visit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct page page_of(void **state)
{
    return (struct page){.visit = *state};
}

static void from_sign_in_to_sign_out(void **state)
{
    struct page page = page_of(state);
    char value[2048];
    char again[2048];

    assert_int_equal(page_authz(&page, NULL), 401);
    assert_true(page_says(&page, "FRESHET_ESIGNEDOUT"));
    assert_int_equal(page_send(&page, "GET", "/freshet/session", NULL, NULL), 401);
    page_sign_in(&page, "svc-demo");
    assert_true(page_says(&page, "\"username\":\"svc-demo\""));
    assert_true(page_says(&page, "\"partners\":[\"fd42\"]"));

    assert_int_equal(page_authz(&page, NULL), 200);
    assert_memory_equal(page_field(&page, "Authorization", value), "Bearer ", 7);
    assert_string_equal(page_field(&page, "X-Preferred-Partner-Id", value), "fd42");
    assert_in_range(strtoll(page_field(&page, "X-Freshet-Fresh-Ms", value), NULL, 10), 3200000,
                    3300000);
    assert_in_range(strtoll(page_field(&page, "X-Freshet-Usable-Ms", value), NULL, 10), 3500000,
                    3570000);
    assert_in_range(strtoll(page_field(&page, "X-Freshet-Generation", value), NULL, 10), 1, 9);
    assert_string_not_equal(page_field(&page, "X-Freshet-Session", value), "");
    assert_null(strstr(page.cookie, value));
    assert_int_equal(page_send(&page, "GET", "/freshet/sessions", NULL, NULL), 200);
    (void)snprintf(again, sizeof(again), "\"id\":\"%.30s\",\"current\":true", value);
    assert_true(page_says(&page, again));

    assert_int_equal(page_send(&page, "POST", "/freshet/sign-out", NULL, NULL), 204);
    assert_string_equal(page.cookie, "");
    assert_int_equal(fsh_browsers_count(page.visit->keeper.browsers), 0);
    assert_int_equal(page_authz(&page, NULL), 401);
}

/* Each answer to a challenge brings another cookie, and none but the last is good for anything. */
static void challenges(void **state)
{
    struct page page = page_of(state);
    struct page earlier;
    char code[16];
    char body[128];

    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL,
                               "{\"username\": \"newmfa\", \"password\": \"" DEV_PASSWORD "\"}"),
                     401);
    assert_true(page_says(&page, "FRESHET_ENEWPASSWORD"));
    assert_string_not_equal(page.cookie, "");
    assert_int_equal(page_authz(&page, NULL), 401);
    assert_int_equal(page_send(&page, "GET", "/freshet/session", NULL, NULL), 401);
    earlier = page;
    assert_int_equal(page_send(&page, "POST", "/freshet/mfa", NULL, "{\"code\": \"123456\"}"), 409);
    assert_string_not_equal(page.cookie, earlier.cookie);
    assert_int_equal(page_send(&earlier, "POST", "/freshet/new-password", NULL,
                               "{\"new_password\": \"Another-one-not-secret-1\"}"),
                     409);
    assert_int_equal(
        page_send(&page, "POST", "/freshet/new-password", NULL, "{\"new_password\": \"x\"}"), 400);
    assert_true(page_says(&page, "FRESHET_EPASSWORDPOLICY"));
    assert_int_equal(page_send(&page, "POST", "/freshet/new-password", NULL,
                               "{\"new_password\": \"Another-one-not-secret-1\"}"),
                     401);
    assert_true(page_says(&page, "FRESHET_EMFA\""));
    earlier = page;
    assert_int_equal(page_send(&page, "POST", "/freshet/mfa", NULL, "{\"code\": \"000000\"}"), 401);
    assert_true(page_says(&page, "FRESHET_EMFACODE"));
    assert_string_not_equal(page.cookie, earlier.cookie);
    assert_int_equal(devclient_totp(&page.visit->server.dev, "newmfa", code), 0);
    (void)snprintf(body, sizeof(body), "{\"code\": \"%s\"}", code);
    assert_int_equal(page_send(&earlier, "POST", "/freshet/mfa", NULL, body), 409);
    earlier = page;
    assert_int_equal(page_send(&page, "POST", "/freshet/mfa", NULL, body), 200);
    assert_true(page_says(&page, "\"username\":\"newmfa\""));
    assert_string_not_equal(page.cookie, earlier.cookie);
    assert_int_equal(page_authz(&page, NULL), 200);
    assert_int_equal(page_authz(&earlier, NULL), 401);
    assert_int_equal(page.visit->keeper.browsers->attempts.count, 0);
}

static void a_challenge_does_not_wait_for_ever(void **state)
{
    struct page page = page_of(state);
    struct fsh_browsers *browsers = page.visit->keeper.browsers;

    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL,
                               "{\"username\": \"mfa\", \"password\": \"" DEV_PASSWORD "\"}"),
                     401);
    assert_int_equal(browsers->attempts.count, 1);
    fsh_browsers_sweep(browsers, fsh_browsers_now() + 290);
    assert_int_equal(browsers->attempts.count, 1);
    fsh_browsers_sweep(browsers, fsh_browsers_now() + 301);
    assert_int_equal(browsers->attempts.count, 0);
    visit_settle(page.visit);
    assert_int_equal(page_send(&page, "POST", "/freshet/mfa", NULL, "{\"code\": \"123456\"}"), 409);
    assert_true(page_says(&page, "FRESHET_ENOCHALLENGE"));
}

static void too_many_attempts(void **state)
{
    static const char wrong[] = "{\"username\": \"svc-demo\", \"password\": \"wrong\"}";
    static const char other[] = "{\"username\": \"SVC-Demo\", \"password\": \"wrong\"}";
    struct page page = page_of(state);
    struct page another = page_of(state);
    char value[2048];

    for (int i = 0; i < 10; i++) {
        assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL, i % 2 ? wrong : other),
                         401);
        assert_true(page_says(&page, "FRESHET_ECREDENTIALS"));
    }
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL, wrong), 429);
    assert_true(page_says(&page, "FRESHET_ERATE"));
    assert_in_range(strtol(page_field(&page, "Retry-After", value), NULL, 10), 50, 60);
    /* Another account's holder is not hindered; who is signed in neither. */
    for (int i = 0; i < 15; i++)
        page_sign_in(&another, "svc-two");
    assert_int_equal(devserver_counter(&page.visit->server, "sign_ins") >= 15, true);
    visit_settle(page.visit);
    /* Nothing is left of those that were refused. */
    assert_int_equal(fsh_browsers_count(page.visit->keeper.browsers), 1);
}

/* By where it comes from, whatever the account. */
static void too_many_from_one_address(void **state)
{
    struct page page = page_of(state);
    char body[128];
    int refused = 0;

    for (int i = 0; i < 70; i++) {
        (void)snprintf(body, sizeof(body), "{\"username\": \"nobody-%d\", \"password\": \"x\"}", i);
        refused += page_send(&page, "POST", "/freshet/sign-in",
                             "X-Forwarded-For: 203.0.113.9, 2001:db8::1\n", body) == 429;
    }
    assert_in_range(refused, 1, 10);
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in",
                               "X-Forwarded-For: 2001:db8::ffff:1\n",
                               "{\"username\": \"nobody\", \"password\": \"x\"}"),
                     429);
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in",
                               "X-Forwarded-For: 2001:db8::1, 2001:db8:0:1::1\n",
                               "{\"username\": \"nobody\", \"password\": \"x\"}"),
                     401);
}

static void partners(void **state)
{
    struct page page = page_of(state);
    char value[2048];

    page_sign_in(&page, "svc-two");
    assert_true(page_says(&page, "\"partner\":null"));
    assert_int_equal(page_authz(&page, NULL), 409);
    assert_int_equal(page_authz(&page, "X-Freshet-Partner: fd1\n"), 200);
    assert_string_equal(page_field(&page, "X-Preferred-Partner-Id", value), "fd1");
    assert_int_equal(page_authz(&page, "X-Freshet-Partner: fd2\n"), 403);
    assert_int_equal(page_authz(&page, "X-Freshet-Partner: \n"), 403);
    assert_int_equal(page_send(&page, "PUT", "/freshet/partner", NULL, "{\"partner\": \"fd2\"}"),
                     403);
    assert_int_equal(
        page_send(&page, "PUT", "/freshet/partner", NULL, "{\"partner\": \"partner-id-acme\"}"),
        200);
    assert_true(page_says(&page, "\"partner\":\"partner-id-acme\""));
    assert_int_equal(page_authz(&page, NULL), 200);
    assert_string_equal(page_field(&page, "X-Preferred-Partner-Id", value), "partner-id-acme");
    assert_int_equal(page_authz(&page, "X-Freshet-Partner: fd1\n"), 200);
    assert_string_equal(page_field(&page, "X-Preferred-Partner-Id", value), "fd1");
    assert_int_equal(page_authz(&page, "X-Preferred-Partner-Id: fd1\n"), 200);
    assert_string_equal(page_field(&page, "X-Preferred-Partner-Id", value), "partner-id-acme");
    visit_restart(page.visit);
    assert_int_equal(page_authz(&page, NULL), 200);
    assert_string_equal(page_field(&page, "X-Preferred-Partner-Id", value), "partner-id-acme");
    assert_int_equal(page_send(&page, "PUT", "/freshet/partner", NULL, "{\"partner\": null}"), 200);
    assert_int_equal(page_authz(&page, NULL), 409);
    page_sign_in(&page, "nopartner");
    assert_int_equal(page_authz(&page, NULL), 403);
}

/* An account's sessions, and nobody else's. */
static void all_sessions_of_an_account(void **state)
{
    struct page one = page_of(state);
    struct page two = page_of(state);
    struct page other = page_of(state);
    char id[2048];
    char path[128];

    page_sign_in(&one, "svc-demo");
    page_sign_in(&two, "svc-demo");
    page_sign_in(&other, "load-1");
    assert_int_equal(page_authz(&two, NULL), 200);
    (void)snprintf(path, sizeof(path), "/freshet/sessions/%.64s",
                   page_field(&two, "X-Freshet-Session", id));
    assert_int_equal(page_send(&other, "GET", "/freshet/sessions", NULL, NULL), 200);
    assert_false(page_says(&other, id));
    assert_int_equal(page_send(&other, "DELETE", path, NULL, NULL), 404);
    assert_int_equal(page_send(&other, "DELETE", "/freshet/sessions/x", NULL, NULL), 404);
    assert_int_equal(page_authz(&two, NULL), 200);
    assert_int_equal(page_send(&one, "GET", "/freshet/sessions", NULL, NULL), 200);
    assert_true(page_says(&one, id));
    assert_int_equal(page_send(&one, "DELETE", path, NULL, NULL), 204);
    assert_string_not_equal(one.cookie, "");
    assert_int_equal(page_authz(&two, NULL), 401);
    assert_int_equal(page_authz(&one, NULL), 200);
    page_sign_in(&two, "svc-demo");
    assert_int_equal(page_send(&one, "POST", "/freshet/sign-out-everywhere", NULL, NULL), 204);
    assert_int_equal(page_authz(&one, NULL), 401);
    assert_int_equal(page_authz(&two, NULL), 401);
    assert_int_equal(page_authz(&other, NULL), 200);
    assert_int_equal(fsh_browsers_count(one.visit->keeper.browsers), 1);
}

/* Who signs in again has one session, not two. */
static void a_sign_in_replaces(void **state)
{
    struct page page = page_of(state);
    struct page before;

    page_sign_in(&page, "svc-demo");
    before = page;
    page_sign_in(&page, "svc-demo");
    assert_string_not_equal(page.cookie, before.cookie);
    assert_int_equal(page_authz(&before, NULL), 401);
    assert_int_equal(page_authz(&page, NULL), 200);
    /* One that is refused takes nothing away but the cookie. */
    before = page;
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL,
                               "{\"username\": \"svc-demo\", \"password\": \"wrong\"}"),
                     401);
    assert_int_equal(page_authz(&before, NULL), 200);
}

/* Rule 12: above the bound of an account the session goes that was not used for the longest. */
static void an_account_has_only_so_many_sessions(void **state)
{
    struct page pages[4];
    struct page other = page_of(state);
    struct fsh_browsers *browsers = other.visit->keeper.browsers;

    assert_int_equal(browsers->most_of_one, 100);
    browsers->most_of_one = 3;
    page_sign_in(&other, "load-1");
    for (int i = 0; i < 3; i++) {
        pages[i] = page_of(state);
        page_sign_in(&pages[i], "svc-demo");
        page_browser(&pages[i])->seen_s -= 100 - i;
    }
    assert_int_equal(page_authz(&pages[0], NULL), 200);
    pages[3] = page_of(state);
    page_sign_in(&pages[3], "svc-demo");
    assert_int_equal(page_authz(&pages[1], NULL), 401);
    for (int i = 0; i < 4; i++)
        assert_int_equal(page_authz(&pages[i], NULL), i == 1 ? 401 : 200);
    assert_int_equal(page_authz(&other, NULL), 200);
    /* In place of its own, it takes nobody's. */
    page_sign_in(&pages[2], "svc-demo");
    for (int i = 0; i < 4; i++)
        assert_int_equal(page_authz(&pages[i], NULL), i == 1 ? 401 : 200);
    visit_settle(other.visit);
    /* What a restart reads is in the order of use, too, and more than there may be now. */
    for (int i = 0; i < 4; i++) {
        struct fsh_browser *browser = i == 1 ? NULL : page_browser(&pages[i]);

        if (browser) {
            browser->seen_s = fsh_browsers_now() - (i == 2 ? 100 : 200 + i);
            assert_int_equal(fsh_browser_save(browsers, browser, NULL, NULL, NULL), FRESHET_OK);
        }
    }
    visit_restart(other.visit);
    browsers = other.visit->keeper.browsers;
    browsers->most_of_one = 2;
    page_sign_in(&pages[1], "svc-demo");
    for (int i = 0; i < 4; i++)
        assert_int_equal(page_authz(&pages[i], NULL), i == 0 || i == 3 ? 401 : 200);
    visit_settle(other.visit);
    visit_restart(other.visit);
    assert_int_equal(fsh_browsers_count(other.visit->keeper.browsers), 3);
}

/* Above the bound of all nobody is signed out for somebody else, and the platform is not asked. */
static void there_are_only_so_many_sessions(void **state)
{
    static const char body[] = "{\"username\": \"load-9\", \"password\": \"" DEV_PASSWORD "\"}";
    struct page pages[2];
    struct page other = page_of(state);
    struct fsh_browsers *browsers = other.visit->keeper.browsers;
    struct asked asked[2];
    char value[2048];
    unsigned granted = 0;
    long before;

    assert_int_equal(browsers->most, 1000000);
    browsers->most = 2;
    for (int i = 0; i < 2; i++) {
        pages[i] = page_of(state);
        page_sign_in(&pages[i], i ? "load-1" : "svc-demo");
    }
    before = devserver_counter(&other.visit->server, "sign_ins");
    for (int i = 0; i < 20; i++)
        assert_int_equal(page_send(&other, "POST", "/freshet/sign-in", NULL, body), 503);
    assert_true(page_says(&other, "FRESHET_ELIMIT"));
    assert_in_range(strtol(page_field(&other, "Retry-After", value), NULL, 10), 60, 60);
    assert_int_equal(devserver_counter(&other.visit->server, "sign_ins"), before);
    page_sign_in(&pages[0], "svc-demo");
    assert_int_equal(page_authz(&pages[1], NULL), 200);
    /* Of two at once the last free place is one's; nothing is left of the other. */
    assert_int_equal(page_send(&pages[1], "POST", "/freshet/sign-out", NULL, NULL), 204);
    for (int i = 0; i < 2; i++)
        page_ask(&other, &asked[i], "POST", "/freshet/sign-in", NULL, body);
    for (int i = 0; i < 2; i++) {
        visit_answer(other.visit, &asked[i]);
        assert_true(asked[i].page->http == 200 || asked[i].page->http == 503);
        granted += asked[i].page->http == 200;
        asked_done(&asked[i]);
    }
    assert_int_equal(granted, 1);
    assert_int_equal(fsh_browsers_count(browsers), 2);
    visit_settle(other.visit);
    visit_restart(other.visit);
    assert_int_equal(fsh_browsers_count(other.visit->keeper.browsers), 2);
}

/* Not by a service's name, without a grant: whether there is one or not. */
static void services_need_a_grant(void **state)
{
    struct page page = page_of(state);

    assert_int_equal(page_send(&page, "GET", "/authz/service/billing", NULL, NULL), 403);
    assert_true(page_says(&page, "FRESHET_EACCESS"));
    assert_int_equal(page_send(&page, "POST", "/authz/service/billing/unauthorized",
                               "X-Freshet-Generation: 1\n", NULL),
                     403);
}

/* What a client sends is no service's name, with a cookie or without; nor is it passed over, for
 * the gateway may have been set up to name services so. */
static void no_header_names_a_service(void **state)
{
    struct page page = page_of(state);

    for (int i = 0; i < 2; i++) {
        assert_int_equal(page_authz(&page, "X-Freshet-Service: billing\n"), 400);
        assert_true(page_says(&page, "/authz/service/NAME"));
        assert_int_equal(page_authz(&page, "X-Freshet-Service: \n"), 400);
        assert_int_equal(page_send(&page, "POST", "/authz/unauthorized",
                                   "X-Freshet-Service: billing\nX-Freshet-Generation: 1\n", NULL),
                         400);
        if (i == 0)
            page_sign_in(&page, "svc-demo");
    }
    assert_int_equal(page_authz(&page, NULL), 200);
}

/* Rule 3: by generation. */
static void reports_of_401(void **state)
{
    static const char *const bad[] = {NULL,
                                      "X-Freshet-Generation: \n",
                                      "X-Freshet-Generation: 0\n",
                                      "X-Freshet-Generation: -1\n",
                                      "X-Freshet-Generation: 1x\n",
                                      "X-Freshet-Generation: 18446744073709551616\n"};
    struct page page = page_of(state);
    char value[2048];
    char report[128];

    page_sign_in(&page, "svc-demo");
    assert_int_equal(page_authz(&page, NULL), 200);
    (void)snprintf(report, sizeof(report), "X-Freshet-Generation: %.20s\n",
                   page_field(&page, "X-Freshet-Generation", value));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(page_send(&page, "POST", "/authz/unauthorized", bad[i], NULL), 400);
    assert_int_equal(page_send(&page, "POST", "/authz/unauthorized",
                               "X-Freshet-Generation: 18446744073709551615\n", NULL),
                     204);
    assert_int_equal(page_authz(&page, NULL), 200);
    assert_int_equal(page_send(&page, "POST", "/authz/unauthorized", report, NULL), 204);
    assert_int_equal(page_authz(&page, NULL), 401);
    assert_true(page_says(&page, "FRESHET_EENDED"));
    assert_int_equal(page_send(&page, "GET", "/freshet/session", NULL, NULL), 401);
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-out", NULL, NULL), 204);
}

static void bodies(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "[]",
        "{}",
        "null",
        "{\"username\": \"a\"}",
        "{\"username\": \"a\", \"password\": 1}",
        "{\"username\": \"a\", \"password\": \"b\", \"more\": 1}",
        "{\"username\": \"\", \"password\": \"b\"}",
        "{\"username\": \"a\", \"password\": \"\"}",
        "{\"username\": \"a\", \"username\": \"b\", \"password\": \"b\"}",
        "{\"username\": \"a\\u0000b\", \"password\": \"b\"}",
        "{\"username\": \"a\", \"password\": \"b\"} x",
        "{\"username\": \"\xff\", \"password\": \"b\"}",
    };
    struct page page = page_of(state);
    char *big = malloc(10000);

    assert_non_null(big);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL, bad[i]), 400);
    (void)snprintf(big, 10000, "{\"password\": \"b\", \"username\": \"%0201d\"}", 0);
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL, big), 400);
    (void)snprintf(big, 10000, "{\"username\": \"a\", \"password\": \"%05000d\"}", 0);
    assert_int_equal(page_send(&page, "POST", "/freshet/sign-in", NULL, big), 400);
    free(big);
    page_sign_in(&page, "svc-demo");
    assert_int_equal(page_send(&page, "PUT", "/freshet/partner", NULL, "{\"partner\": 1}"), 400);
    assert_int_equal(page_send(&page, "PUT", "/freshet/partner", NULL, "{\"partner\": \"\"}"), 400);
    assert_int_equal(page_send(&page, "PUT", "/freshet/partner", NULL, "{\"partner\": \"a b\"}"),
                     400);
    assert_int_equal(page_send(&page, "PUT", "/freshet/partner", NULL, "{}"), 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(from_sign_in_to_sign_out, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(challenges, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(a_challenge_does_not_wait_for_ever, visit_setup,
                                        visit_teardown),
        cmocka_unit_test_setup_teardown(too_many_attempts, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(too_many_from_one_address, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(partners, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(all_sessions_of_an_account, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(a_sign_in_replaces, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(an_account_has_only_so_many_sessions, visit_setup,
                                        visit_teardown),
        cmocka_unit_test_setup_teardown(there_are_only_so_many_sessions, visit_setup,
                                        visit_teardown),
        cmocka_unit_test_setup_teardown(services_need_a_grant, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(no_header_names_a_service, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(reports_of_401, visit_setup, visit_teardown),
        cmocka_unit_test_setup_teardown(bodies, visit_setup, visit_teardown),
    };

    return cmocka_run_group_tests_name("keeper_browser", tests, NULL, NULL);
}
