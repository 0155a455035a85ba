/* SPDX-License-Identifier: Apache-2.0 */

/* The control API without its socket: which sessions a request leaves behind. */

#include "visit.h"

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

/* Whoever asks next has its call behind those of the ones that went. */
static void it_leaves_nothing_when_its_client_goes_either(void **state)
{
    struct visit *visit = *state;
    struct asked gone;
    struct asked again;
    struct asked after;

    ask(visit, &gone, "GET /v1/sessions/typo/headers\n\n");
    assert_true(known(visit, "typo"));
    asked_go(&gone);
    ask(visit, &after, "GET /v1/sessions/other\n\n");
    visit_answer(visit, &after);
    asked_done(&after);
    assert_false(known(visit, "typo"));
    /* Of two that ask the one that stays is answered. */
    ask(visit, &gone, "GET /v1/sessions/typo\n\n");
    ask(visit, &again, "GET /v1/sessions/typo\n\n");
    asked_go(&gone);
    visit_answer(visit, &again);
    assert_int_equal(again.page->http, 404);
    assert_false(known(visit, "typo"));
    asked_done(&again);
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
    };

    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests_name("keeper-control", tests, NULL, NULL);
}
