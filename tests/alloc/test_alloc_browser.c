/* SPDX-License-Identifier: Apache-2.0 */

/* Memory runs out while the keeper serves browsers: each request is answered at most once, no
 * session stays open that nobody has, and a cookie that was given away is good or void. */

#include "alloc.h"
#include "asked.h"
#include "fake_lib.h"
#include "keeper/browser.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITES "Origin: https://app.example.com\nX-Freshet-CSRF: 1\n"

struct visitor {
    struct fsh_keeper keeper;
    char cookie[128];
};

/* One request, and the ends of the library's calls that it makes. Its HTTP status; 0: it has no
 * page, so that the connection is closed. */
static unsigned ask(struct visitor *visitor, const char *line, const char *headers,
                    const char *body)
{
    static const struct fsh_peer peer = {.uid = 54321, .gid = 54321};
    static struct asked asked;
    char text[1024];
    int len = snprintf(text, sizeof(text), "%s\nCookie: %s\nUser-Agent: x\n%s\n%s", line,
                       visitor->cookie, headers, body);
    const char *cookie;
    unsigned http;

    asked_init(&asked, &visitor->keeper, &peer, text, (size_t)len);
    asked_send(&asked);
    while (fake_lib_end(true))
        continue;
    assert_int_equal(asked.answers, 1);
    http = asked.page ? asked.page->http : 0;
    cookie = asked_field(&asked, "Set-Cookie");
    if (cookie)
        (void)snprintf(visitor->cookie, sizeof(visitor->cookie), "%.*s", (int)strcspn(cookie, ";"),
                       cookie);
    asked_done(&asked);
    return http;
}

/* The outcome of the calls to come: an index into those of fake_lib.c. */
enum { OUTCOME_OK = 0, OUTCOME_MFA = 1 };

static void visit(struct visitor *visitor)
{
    const char *password = "{\"username\": \"ann\", \"password\": \"x\"}";
    unsigned http;

    fake_lib_outcome(OUTCOME_MFA);
    (void)ask(visitor, "POST /freshet/sign-in", WRITES, password);
    fake_lib_outcome(OUTCOME_OK);
    (void)ask(visitor, "POST /freshet/mfa", WRITES, "{\"code\": \"123456\"}");
    http = ask(visitor, "POST /freshet/sign-in", WRITES, password);
    assert_true(http == 200 || http == 0 || http == 400 || http >= 500);
    (void)ask(visitor, "PUT /freshet/partner", WRITES, "{\"partner\": \"fd42\"}");
    (void)ask(visitor, "GET /authz", "X-Original-Method: GET\n", "");
    (void)ask(visitor, "GET /freshet/session", "", "");
    (void)ask(visitor, "GET /freshet/sessions", "", "");
    (void)ask(visitor, "POST /authz/unauthorized", "X-Freshet-Generation: 1\n", "");
    (void)ask(visitor, "GET /authz", "X-Original-Method: GET\n", "");
    (void)ask(visitor, "DELETE /freshet/sessions/AAAAAAAAAAAAAAAAAAAAAA", WRITES, "");
    (void)ask(visitor, "POST /freshet/sign-out-everywhere", WRITES, "");
}

static void visit_once(const void *what)
{
    struct visitor visitor = {0};
    struct freshet_error error;

    (void)what;
    fake_lib_begin(&visitor.keeper);
    alloc_arm();
    if (fsh_browsers_new(&visitor.keeper, visitor.keeper.config, &visitor.keeper.browsers,
                         &error) == FRESHET_OK)
        visit(&visitor);
    else
        assert_int_equal(error.status, FRESHET_ENOMEM);
    /* The next try works. */
    if (alloc_disarm() && visitor.keeper.browsers) {
        visitor.cookie[0] = '\0';
        assert_int_equal(ask(&visitor, "POST /freshet/sign-in", WRITES,
                             "{\"username\": \"ann\", \"password\": \"x\"}"),
                         200);
        assert_int_equal(ask(&visitor, "GET /authz", "X-Original-Method: GET\n", ""), 200);
        assert_int_equal(ask(&visitor, "POST /freshet/sign-out", WRITES, ""), 204);
        assert_int_equal(ask(&visitor, "GET /authz", "X-Original-Method: GET\n", ""), 401);
    }
    fsh_browsers_free(visitor.keeper.browsers);
    assert_int_equal(fake_lib_sessions(), 0);
}

static void without_memory(void **state)
{
    (void)state;
    assert_true(alloc_every(visit_once, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_memory)};

    alloc_init();
    return cmocka_run_group_tests_name("alloc_browser", tests, NULL, NULL);
}
