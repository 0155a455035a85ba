/* SPDX-License-Identifier: Apache-2.0 */

/* What a keeper's session tells its keeper: reports of 401s and commands; and the documents that
 * come back. */

#include "remote_world.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reports of 401s ---------------------------------------------------------------------- */

static void ten_thousand_reports_are_one(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};

    open_live(world, false);
    for (int i = 0; i < 10000; i++)
        fsh_engine_unauthorized(world->session, 5);
    run(world);
    /* Until the keeper has judged it, the token is not for new callers. */
    begin(world, &caller, FSH_CALL_ENSURE, 20000);
    assert_int_equal(caller.status, 1);
    assert_int_equal(world->sent, 2);
    take_report(world);
    answer(world, taken(world, "GET", BILL AT_ONCE), 304, "");
    assert_int_equal(caller.status, FRESHET_OK);
    report(world, 5);
    assert_int_equal(in_air(world), 0);
    /* What its probe found out is looked at a little later. */
    pass(world, 2000);
    token(world, taken(world, "GET", BILL AT_ONCE), 6, 0, HOUR);
    assert_int_equal(world->session->token->generation, 6);
}

static void a_token_that_is_judged_dead_is_gone(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};
    uint64_t generation;

    open_live(world, false);
    report(world, 5);
    take_report(world);
    refuse(world, 401, "FRESHET_EENDED");
    assert_false(view(world, &generation));
    assert_int_equal(world->note, FSH_NOTE_ENDED);
    begin(world, &caller, FSH_CALL_ENSURE, 0);
    assert_int_equal(caller.status, FRESHET_EENDED);
}

static void a_401_of_an_old_generation_is_not_reported(void **state)
{
    struct world *world = *state;

    open_live(world, false);
    report(world, 4);
    assert_int_equal(world->sent, 1);
}

static void the_same_401_is_reported_again_after_the_pause_of_probes(void **state)
{
    struct world *world = *state;

    open_live(world, false);
    report(world, 5);
    take_report(world);
    unchanged(world);
    pass(world, 2000);
    unchanged(world);
    pass(world, 28000);
    report(world, 5);
    take_report(world);
}

static void a_report_that_nobody_takes_is_kept_and_callers_go_on(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};

    open_live(world, false);
    report(world, 5);
    no_answer(world, taken(world, "POST", BILL "/unauthorized"), false);
    begin(world, &caller, FSH_CALL_ENSURE, 20000);
    assert_int_equal(caller.status, FRESHET_OK);
    pass(world, 31000);
    take_report(world);
    refuse(world, 401, "FRESHET_EENDED");
}

/* A program that runs for one request meets a 401, and ends. */
static void a_session_that_closes_delivers_its_report(void **state)
{
    struct world *world = *state;

    open_live(world, false);
    fsh_engine_unauthorized(world->session, 5);
    fsh_engine_session_close(world->session);
    run(world);
    assert_false(fsh_engine_empty(world->engine));
    take_report(world);
    assert_true(fsh_engine_empty(world->engine));
}

/* ---- commands ----------------------------------------------------------------------------- */

static void who_signed_in_finds_the_token(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};
    struct fsh_request *request;
    uint64_t generation;

    open_world(world, false);
    refuse(world, 401, "FRESHET_ESIGNEDOUT");
    assert_int_equal(fsh_base_secret_copy("ann", 3, &caller.call.in.username), FRESHET_OK);
    assert_int_equal(fsh_base_secret_copy("pw", 2, &caller.call.in.password), FRESHET_OK);
    begin(world, &caller, FSH_CALL_SIGN_IN, 20000);
    request = taken(world, "POST", BILL "/sign-in");
    assert_string_equal(fsh_base_secret_reveal(&request->message.body),
                        "{\"timeout_ms\":19950,\"username\":\"ann\",\"password\":\"pw\"}");
    assert_true(request->fresh_connection);
    answer(world, request, 200, "{}");
    assert_int_equal(caller.status, 1);
    grant(world, 1);
    assert_int_equal(caller.status, FRESHET_OK);
    assert_true(view(world, &generation));
}

static void a_challenge_comes_back_as_its_status(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};
    struct caller code = {.call.in.remember_device = true};
    struct fsh_request *request;

    open_world(world, false);
    begin(world, &caller, FSH_CALL_SIGN_IN, 20000);
    problem(world, taken(world, "POST", BILL "/sign-in"), 401, "FRESHET_EMFA");
    assert_int_equal(caller.status, FRESHET_EMFA);
    assert_int_equal(fsh_base_secret_copy("123456", 6, &code.call.in.code), FRESHET_OK);
    begin(world, &code, FSH_CALL_MFA, 20000);
    request = taken(world, "POST", BILL "/mfa");
    assert_string_equal(fsh_base_secret_reveal(&request->message.body),
                        "{\"timeout_ms\":19950,\"remember_device\":true,\"code\":\"123456\"}");
    problem(world, request, 401, "FRESHET_EMFACODE");
    assert_int_equal(code.status, FRESHET_EMFACODE);
}

static void a_sign_in_whose_answer_was_lost_is_not_sent_again(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};

    open_live(world, false);
    begin(world, &caller, FSH_CALL_SIGN_IN, 20000);
    /* Nobody was there to take it. */
    no_answer(world, taken(world, "POST", BILL "/sign-in"), false);
    assert_int_equal(caller.status, 1);
    pass(world, 100);
    no_answer(world, taken(world, "POST", BILL "/sign-in"), true);
    assert_int_equal(caller.status, FRESHET_EOUTCOME);
    pass(world, 100);
    assert_int_equal(in_air(world), 0);
}

static void a_sign_out_takes_the_token_away(void **state)
{
    struct world *world = *state;
    struct caller caller = {.call.in.hold = true};
    struct fsh_request *request;
    uint64_t generation;

    open_live(world, false);
    begin(world, &caller, FSH_CALL_SIGN_OUT, 20000);
    no_answer(world, taken(world, "POST", BILL "/sign-out"), true);
    pass(world, 100);
    request = taken(world, "POST", BILL "/sign-out");
    assert_string_equal(fsh_base_secret_reveal(&request->message.body), "{\"hold\":true}");
    answer(world, request, 204, "");
    assert_int_equal(caller.status, FRESHET_OK);
    assert_false(view(world, &generation));
}

static void commands_end_when_cancelled_late_or_closed(void **state)
{
    struct world *world = *state;
    struct caller cancelled = {0};
    struct caller late = {0};
    struct caller closed = {0};
    struct caller waiting = {0};

    open_world(world, false);
    refuse(world, 401, "FRESHET_ESIGNEDOUT");
    begin(world, &cancelled, FSH_CALL_MFA_SETTINGS_GET, 20000);
    fsh_engine_call_cancel(&cancelled.call);
    assert_int_equal(cancelled.status, FRESHET_ECANCELED);
    assert_int_equal(in_air(world), 0);
    begin(world, &late, FSH_CALL_STATUS, 1000);
    pass(world, 1000);
    assert_int_equal(late.status, FRESHET_EUNAVAILABLE);
    assert_int_equal(in_air(world), 0);
    begin(world, &closed, FSH_CALL_EXPLAIN, 20000);
    begin(world, &waiting, FSH_CALL_ENSURE, 20000);
    fsh_engine_session_close(world->session);
    assert_int_equal(closed.status, FRESHET_ECLOSED);
    assert_int_equal(waiting.status, FRESHET_ECLOSED);
}

static void a_name_is_fit_for_a_path(void **state)
{
    struct world *world = *state;
    struct fsh_session_options options = {.name = "../a%?b", .threshold_ms = 1};
    struct fsh_session *session;

    open_world(world, false);
    assert_int_equal(fsh_engine_session_open(world->engine, &options, &session, NULL), FRESHET_OK);
    problem(world, taken(world, "GET", "/v1/sessions/%2E%2E%2Fa%25%3Fb/token?"), 404,
            "FRESHET_ENOSESSION");
}

/* ---- documents ---------------------------------------------------------------------------- */

static void documents_are_read(void **state)
{
    static const char status_text[] =
        "{\"name\":\"billing\",\"kind\":\"service\",\"phase\":\"held\",\"status\":\"FRESHET_"
        "EHELD\","
        "\"usable\":false,\"challenge\":\"FRESHET_EMFA\",\"generation\":9,\"usable_ms\":1,"
        "\"expires_ms\":2,\"age_ms\":3,\"next_ms\":4,\"refreshes\":5,\"sign_ins\":6,"
        "\"failures\":7,\"waited\":8,\"ended\":1,\"partners\":2}";
    static const char ledger_text[] =
        "{\"entries\":[{\"number\":1,\"name\":\"refreshed\"},{\"number\":2,\"name\":\"ended\","
        "\"status\":\"FRESHET_EENDED\",\"at_ms\":5,\"value\":6,\"times\":7},"
        "{\"number\":3,\"name\":\"invented\"}]}";
    struct freshet_session_status status;
    struct freshet_ledger_entry entries[2];
    struct freshet_stored_session *list;
    struct fsh_problem told;
    char listed[sizeof(status_text) + 32];
    size_t count;

    (void)state;
    assert_int_equal(fsh_remote_read_status(status_text, strlen(status_text), &status), FRESHET_OK);
    assert_int_equal(status.phase, FRESHET_PHASE_HELD);
    assert_int_equal(status.status, FRESHET_EHELD);
    assert_int_equal(status.challenge, FRESHET_EMFA);
    assert_int_equal(status.freshness.generation, 9);
    assert_int_equal(status.waited, 8);
    assert_int_equal(status.partners, 2);
    assert_int_equal(fsh_remote_read_ledger(ledger_text, strlen(ledger_text), entries, 2, &count),
                     FRESHET_OK);
    assert_int_equal(count, 2);
    assert_string_equal(entries[0].name, "ended");
    assert_int_equal(entries[0].status, FRESHET_EENDED);
    assert_int_equal(entries[0].times, 7);
    assert_string_equal(entries[1].name, "unknown");
    (void)snprintf(listed, sizeof(listed), "{\"sessions\":[%s]}", status_text);
    assert_int_equal(fsh_remote_read_sessions(listed, strlen(listed), &list, &count), FRESHET_OK);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].name, "billing");
    assert_int_equal(list[0].reason, FRESHET_EHELD);
    free(list);
    fsh_remote_read_problem(404, "not found", 9, &told);
    assert_int_equal(told.status, FRESHET_EUNAVAILABLE);
    fsh_remote_read_problem(502, "{\"code\":\"FRESHET_OK\"}", 21, &told);
    assert_int_equal(told.status, FRESHET_EUNAVAILABLE);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(ten_thousand_reports_are_one),
        CASE(a_token_that_is_judged_dead_is_gone),
        CASE(a_401_of_an_old_generation_is_not_reported),
        CASE(the_same_401_is_reported_again_after_the_pause_of_probes),
        CASE(a_report_that_nobody_takes_is_kept_and_callers_go_on),
        CASE(a_session_that_closes_delivers_its_report),
        CASE(who_signed_in_finds_the_token),
        CASE(a_challenge_comes_back_as_its_status),
        CASE(a_sign_in_whose_answer_was_lost_is_not_sent_again),
        CASE(a_sign_out_takes_the_token_away),
        CASE(commands_end_when_cancelled_late_or_closed),
        CASE(a_name_is_fit_for_a_path),
        cmocka_unit_test(documents_are_read),
    };

    return cmocka_run_group_tests_name("remote_calls", tests, NULL, NULL);
}
