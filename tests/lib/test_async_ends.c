/* SPDX-License-Identifier: Apache-2.0 */

/* Asynchronous calls that do not end by themselves: given up, closed, freed, forked. */

#include "calls.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- giving up ----------------------------------------------------------------------------- */

static void one_who_gives_up_leaves_the_flight_to_the_others(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_used_up(calls->world, "svc-demo");
    struct freshet_operation *operation;
    struct end ends[3] = {0};

    delay_refreshes(calls->world, 1000);
    (void)ask(calls, session, &ends[0]);
    operation = ask(calls, session, &ends[1]);
    (void)ask(calls, session, &ends[2]);
    freshet_operation_cancel(operation);
    freshet_operation_cancel(operation);
    assert_int_equal(until_ended(calls, &ends[1]), FRESHET_ECANCELED);
    assert_int_equal(ends[1].error.status, FRESHET_ECANCELED);
    assert_int_equal(until_ended(calls, &ends[0]), FRESHET_OK);
    assert_int_equal(until_ended(calls, &ends[2]), FRESHET_OK);
    assert_true(ends[1].turn < ends[0].turn);
    assert_int_equal(ends[1].times, 1);
    assert_int_equal(devserver_counter(&calls->world->server, "refresh_attempts"), 1);
}

static void a_flight_that_nobody_waits_for_any_more_lands_all_the_same(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_used_up(calls->world, "svc-demo");
    struct freshet_operation *operations[10];
    struct freshet_freshness freshness = {0};
    struct end ends[10] = {0};

    delay_refreshes(calls->world, 200);
    for (int i = 0; i < 10; i++)
        operations[i] = ask(calls, session, &ends[i]);
    for (int i = 0; i < 10; i++)
        freshet_operation_cancel(operations[i]);
    for (int i = 0; i < 10; i++)
        assert_int_equal(until_ended(calls, &ends[i]), FRESHET_ECANCELED);
    until_refreshes(session, 1);
    assert_int_equal(freshet_ensure_fresh(session, NULL, &freshness, NULL), FRESHET_OK);
    assert_int_equal(freshness.generation, 2);
    assert_int_equal(devserver_counter(&calls->world->server, "refresh_attempts"), 1);
}

static void a_call_that_ended_can_still_be_given_up(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_signed_in(calls->world, "svc-demo");
    struct freshet_operation *operation;
    struct end end = {0};

    operation = ask(calls, session, &end);
    assert_true(readable(calls));
    freshet_operation_cancel(operation);
    assert_int_equal(freshet_queue_dispatch(calls->queue), 1);
    assert_int_equal(end.status, FRESHET_ECANCELED);
    assert_false(end.knew_freshness);
}

static void a_sign_in_that_is_given_up_goes_on(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_person(calls->world, "ann");
    struct freshet_session_status status = {0};
    struct freshet_operation *operation = NULL;
    struct end end = {0};

    devserver_control(&calls->world->server, "POST", "/_dev/faults",
                      "{\"match\": \"/auth\", \"count\": 1, \"kind\": \"latency\", \"ms\": 200}");
    assert_int_equal(freshet_sign_in_async(session, "svc-demo", DEV_PASSWORD, 0, calls->queue,
                                           ended, &end, &operation, NULL),
                     FRESHET_OK);
    freshet_operation_cancel(operation);
    assert_int_equal(until_ended(calls, &end), FRESHET_ECANCELED);
    for (int tries = 0; tries < 6000 && !status.usable; tries++) {
        sleep_ms(5);
        assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
    }
    assert_true(status.usable);
    assert_int_equal(devserver_counter(&calls->world->server, "sign_ins"), 1);
}

/* ---- closing ------------------------------------------------------------------------------- */

static void calls_of_a_session_that_is_closed_are_told(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *waits = open_used_up(calls->world, "svc-demo");
    struct freshet_session *has = open_signed_in(calls->world, "load-1");
    struct freshet_operation *operation;
    struct end ends[3] = {0};

    delay_refreshes(calls->world, 200);
    (void)ask(calls, waits, &ends[0]);
    operation = ask(calls, waits, &ends[1]);
    (void)ask(calls, has, &ends[2]);
    freshet_operation_cancel(operation);
    freshet_session_close(waits);
    freshet_session_close(has);
    assert_int_equal(until_ended(calls, &ends[0]), FRESHET_ECLOSED);
    assert_int_equal(until_ended(calls, &ends[1]), FRESHET_ECANCELED);
    /* It had its token, which is of no use any more. */
    assert_int_equal(until_ended(calls, &ends[2]), FRESHET_ECLOSED);
}

static void calls_of_a_handle_that_is_closed_are_told(void **state)
{
    struct calls *calls = *state;
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct world other = {.server = calls->world->server};
    struct freshet_session *waits;
    struct freshet_session *has;
    struct end ends[2] = {0};

    options.url = calls->world->server.dev.url;
    assert_int_equal(freshet_open(&options, &other.freshet, NULL), FRESHET_OK);
    waits = open_used_up(&other, "svc-demo");
    has = open_signed_in(&other, "load-1");
    delay_refreshes(&other, 200);
    (void)ask(calls, waits, &ends[0]);
    (void)ask(calls, has, &ends[1]);
    freshet_close(other.freshet);
    assert_int_equal(until_ended(calls, &ends[0]), FRESHET_ECLOSED);
    assert_int_equal(until_ended(calls, &ends[1]), FRESHET_ECLOSED);
}

static void freeing_a_queue_ends_its_calls_and_takes_no_more(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *waits = open_used_up(calls->world, "svc-demo");
    struct freshet_session *has = open_signed_in(calls->world, "load-1");
    struct end ends[3] = {0};
    struct end never = {0};
    struct chain chain = {calls, has, &never, 1};

    delay_refreshes(calls->world, 200);
    (void)ask(calls, waits, &ends[0]);
    (void)ask(calls, waits, &ends[1]);
    (void)ask(calls, has, &ends[2]);
    assert_int_equal(
        freshet_ensure_fresh_async(waits, NULL, calls->queue, starts_another, &chain, NULL, NULL),
        FRESHET_OK);
    freshet_queue_free(calls->queue);
    calls->queue = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ends[i].times, 1);
        assert_int_equal(ends[i].status, FRESHET_ECANCELED);
    }
    assert_int_equal(chain.status, FRESHET_ECLOSED);
    assert_int_equal(never.times, 0);
    until_refreshes(waits, 1);
    assert_int_equal(freshet_ensure_fresh(waits, NULL, NULL, NULL), FRESHET_OK);
}

/* ---- forks --------------------------------------------------------------------------------- */

static int in_child(struct calls *calls, struct freshet_session *session,
                    struct freshet_operation *operation)
{
    struct freshet_queue *queue = calls->queue;
    struct end end = {0};

    if (freshet_ensure_fresh_async(session, NULL, queue, ended, &end, NULL, NULL) !=
            FRESHET_EFORKED ||
        freshet_sign_in_async(session, "a", "b", 0, queue, ended, &end, NULL, NULL) !=
            FRESHET_EFORKED ||
        freshet_answer_mfa_async(session, "1", false, 0, queue, ended, &end, NULL, NULL) !=
            FRESHET_EFORKED ||
        freshet_answer_new_password_async(session, "a", 0, queue, ended, &end, NULL, NULL) !=
            FRESHET_EFORKED ||
        freshet_sign_out_async(session, false, queue, ended, &end, NULL, NULL) != FRESHET_EFORKED ||
        freshet_queue_dispatch(queue) != FRESHET_EFORKED)
        return 1;
    freshet_operation_cancel(operation);
    freshet_queue_free(queue);
    return end.times;
}

static void a_child_of_fork_is_told_so(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_used_up(calls->world, "svc-demo");
    struct freshet_operation *operation;
    struct end end = {0};
    int status = -1;
    pid_t pid;

    delay_refreshes(calls->world, 200);
    operation = ask(calls, session, &end);
    pid = fork();
    if (pid == 0)
        _exit(in_child(calls, session, operation));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(until_ended(calls, &end), FRESHET_OK);
}

/* Forked while the process has one thread, so that the child may have a handle of its own. */
static int in_child_that_opens_anew(struct world *world, struct freshet_queue *parents)
{
    struct calls calls = {.world = world};
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet_session *session;
    struct end end = {0};
    int status;

    options.url = world->server.dev.url;
    if (freshet_open(&options, &world->freshet, NULL) != FRESHET_OK ||
        freshet_queue_new(&calls.queue, NULL) != FRESHET_OK)
        return 1;
    session = open_signed_in(world, "svc-demo");
    status = freshet_ensure_fresh_async(session, NULL, parents, ended, &end, NULL, NULL);
    (void)ask(&calls, session, &end);
    if (status != FRESHET_EFORKED || until_ended(&calls, &end) != FRESHET_OK)
        return 2;
    freshet_queue_free(calls.queue);
    freshet_close(world->freshet);
    return 0;
}

static void a_child_that_opens_anew_needs_a_queue_of_its_own(void **state)
{
    struct world world = {0};
    struct freshet_queue *queue = NULL;
    int status = -1;
    pid_t pid;

    (void)state;
    devserver_start(&world.server, "http", NULL);
    assert_int_equal(freshet_queue_new(&queue, NULL), FRESHET_OK);
    pid = fork();
    if (pid == 0)
        _exit(in_child_that_opens_anew(&world, queue));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    freshet_queue_free(queue);
    devserver_stop(&world.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CALLS(one_who_gives_up_leaves_the_flight_to_the_others),
        WITH_CALLS(a_flight_that_nobody_waits_for_any_more_lands_all_the_same),
        WITH_CALLS(a_call_that_ended_can_still_be_given_up),
        WITH_CALLS(a_sign_in_that_is_given_up_goes_on),
        WITH_CALLS(calls_of_a_session_that_is_closed_are_told),
        WITH_CALLS(calls_of_a_handle_that_is_closed_are_told),
        WITH_CALLS(freeing_a_queue_ends_its_calls_and_takes_no_more),
        WITH_CALLS(a_child_of_fork_is_told_so),
        cmocka_unit_test(a_child_that_opens_anew_needs_a_queue_of_its_own),
    };

    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests_name("async-ends", tests, NULL, NULL);
}
