/* SPDX-License-Identifier: Apache-2.0 */

/* The control API without its socket: what a request leaves behind. */

#include "visit.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void ask(struct visit *visit, struct asked *asked, const char *text)
{
    asked_init(asked, &visit->keeper, &visit->peer, text, strlen(text));
    asked->request.door = FSH_DOOR_CONTROL;
    asked_send(asked);
}

static bool known(const struct visit *visit, const char *name)
{
    return fsh_registry_find(visit->keeper.registry, name) != NULL;
}

/* All that is under way ends. */
static void end_queue(struct visit *visit)
{
    freshet_queue_free(visit->keeper.queue);
    assert_int_equal(freshet_queue_new(&visit->keeper.queue, NULL), FRESHET_OK);
}

static void a_name_that_nobody_knows_leaves_nothing(void **state)
{
    struct visit *visit = *state;
    struct asked asked;

    ask(visit, &asked, "GET /v1/sessions/typo/headers\n\n");
    visit_answer(visit, &asked);
    assert_int_equal(asked.page->http, 404);
    assert_false(known(visit, "typo"));
    asked_done(&asked);
}

static void it_leaves_nothing_when_its_client_goes_either(void **state)
{
    struct visit *visit = *state;
    struct asked gone;
    struct asked again;

    ask(visit, &gone, "GET /v1/sessions/typo/headers\n\n");
    assert_true(known(visit, "typo"));
    asked_go(&gone);
    end_queue(visit);
    assert_false(known(visit, "typo"));
    /* Of two that ask the one that stays is answered. */
    ask(visit, &gone, "GET /v1/sessions/typo\n\n");
    ask(visit, &again, "GET /v1/sessions/typo\n\n");
    asked_go(&gone);
    visit_answer(visit, &again);
    assert_int_equal(again.page->http, 404);
    asked_done(&again);
    end_queue(visit);
    assert_false(known(visit, "typo"));
}

static void who_is_being_signed_in_stays(void **state)
{
    struct visit *visit = *state;
    struct asked gone;
    struct asked asked;

    ask(visit, &gone, "GET /v1/sessions/ann\n\n");
    asked_go(&gone);
    ask(visit, &asked,
        "POST /v1/sessions/ann/sign-in\n\n"
        "{\"username\": \"svc-demo\", \"password\": \"" DEV_PASSWORD "\"}");
    visit_answer(visit, &asked);
    assert_int_equal(asked.page->http, 200);
    assert_true(known(visit, "ann"));
    asked_done(&asked);
}

/* Else the end of the queue would wait for the platform, or for the call's deadline. */
static void what_waits_for_the_platform_is_called_off_with_the_queue(void **state)
{
    static const char *const questions[] = {
        "GET /v1/sessions/ann/mfa-settings\n\n",
        "PUT /v1/sessions/ann/mfa-settings\n\n{\"enabled\": true}",
        "POST /v1/sessions/ann/totp\n\n",
        "PUT /v1/sessions/ann/totp\n\n{\"code\": \"123456\"}",
    };
    struct visit *visit = *state;
    struct asked asked;

    ask(visit, &asked,
        "POST /v1/sessions/ann/sign-in\n\n"
        "{\"username\": \"svc-demo\", \"password\": \"" DEV_PASSWORD "\"}");
    visit_answer(visit, &asked);
    assert_int_equal(asked.page->http, 200);
    asked_done(&asked);
    devserver_control(&visit->server, "POST", "/_dev/faults",
                      "{\"match\": \"/auth/mfa\", \"count\": -1, \"kind\": \"latency\","
                      " \"ms\": 120000}");
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        ask(visit, &asked, questions[i]);
        assert_int_equal(asked.answers, 0);
        end_queue(visit);
        assert_int_equal(asked.answers, 1);
        assert_non_null(strstr(asked.page->body, "FRESHET_ECANCELED"));
        asked_done(&asked);
    }
}

static int set_up(void **state)
{
    struct visit *visit;

    if (visit_setup(state) != 0)
        return -1;
    visit = *state;
    visit->peer.uid = getuid(); /* trusted */
    return 0;
}

#define WITH_VISIT(test) cmocka_unit_test_setup_teardown(test, set_up, visit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_VISIT(a_name_that_nobody_knows_leaves_nothing),
        WITH_VISIT(it_leaves_nothing_when_its_client_goes_either),
        WITH_VISIT(who_is_being_signed_in_stays),
        WITH_VISIT(what_waits_for_the_platform_is_called_off_with_the_queue),
    };

    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests_name("keeper-control", tests, NULL, NULL);
}
