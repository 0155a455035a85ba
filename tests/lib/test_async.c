/* SPDX-License-Identifier: Apache-2.0 */

/* Asynchronous calls: each completes once, where and when the program asks. */

#include "calls.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- completing ---------------------------------------------------------------------------- */

struct hold {
    sem_t begun;
    sem_t go_on;
};

/* A password that takes its time: it holds Freshet's thread. */
static int slow_password(void *data, char *ret_password, size_t size)
{
    struct hold *hold = data;

    (void)sem_post(&hold->begun);
    (void)sem_wait(&hold->go_on);
    (void)strncpy(ret_password, DEV_PASSWORD, size - 1);
    return 0;
}

static void a_token_at_hand_needs_nobody_else(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_signed_in(calls->world, "svc-demo");
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session *service = NULL;
    struct hold hold;
    struct end end = {0};

    if (embedded_only("nothing of the program's can hold its thread up")) {
        freshet_session_close(session);
        return;
    }
    (void)sem_init(&hold.begun, 0, 0);
    (void)sem_init(&hold.go_on, 0, 0);
    options.kind = FRESHET_SERVICE;
    options.username = "load-1";
    options.password = slow_password;
    options.password_data = &hold;
    assert_int_equal(
        freshet_session_open(calls->world->freshet, "service", &options, &service, NULL),
        FRESHET_OK);
    (void)sem_wait(&hold.begun);
    (void)ask(calls, session, &end);
    assert_int_equal(end.times, 0);
    assert_int_equal(freshet_queue_dispatch(calls->queue), 1);
    assert_int_equal(end.times, 1);
    assert_int_equal(end.status, FRESHET_OK);
    assert_int_equal(end.freshness.generation, 1);
    assert_in_range(end.freshness.usable_ms, 3500000, 3570000);
    assert_false(end.knew_error);
    (void)sem_post(&hold.go_on);
    freshet_session_close(service);
    (void)sem_destroy(&hold.begun);
    (void)sem_destroy(&hold.go_on);
}

static void completions_come_on_the_thread_that_dispatches(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_used_up(calls->world, "svc-demo");
    struct end end = {0};

    (void)ask(calls, session, &end);
    assert_int_equal(until_ended(calls, &end), FRESHET_OK);
    assert_true(pthread_equal(end.thread, pthread_self()));
    assert_int_equal(end.freshness.generation, 2);
}

static void the_descriptor_is_readable_while_completions_wait(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_signed_in(calls->world, "svc-demo");
    struct end ends[2] = {0};

    assert_false(readable(calls));
    assert_int_equal(freshet_queue_dispatch(calls->queue), 0);
    (void)ask(calls, session, &ends[0]);
    (void)ask(calls, session, &ends[1]);
    assert_true(readable(calls));
    assert_true(readable(calls));
    assert_int_equal(freshet_queue_dispatch(calls->queue), 2);
    assert_true(ends[0].turn < ends[1].turn);
    assert_false(readable(calls));
}

static void a_refusal_is_a_completion_with_its_detail(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_person(calls->world, "ann");
    struct end end = {0};

    (void)ask(calls, session, &end);
    assert_int_equal(until_ended(calls, &end), FRESHET_ESIGNEDOUT);
    assert_true(end.knew_error);
    assert_int_equal(end.error.status, FRESHET_ESIGNEDOUT);
    assert_false(end.knew_freshness);
}

static void what_cannot_be_is_refused_at_once(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_person(calls->world, "ann");
    struct freshet_queue *queue = calls->queue;
    struct end end = {0};

    assert_int_equal(freshet_ensure_fresh_async(session, NULL, NULL, ended, &end, NULL, NULL),
                     FRESHET_EINVAL);
    assert_int_equal(freshet_ensure_fresh_async(session, NULL, queue, NULL, &end, NULL, NULL),
                     FRESHET_EINVAL);
    assert_int_equal(freshet_sign_in_async(session, "a", NULL, 0, queue, ended, &end, NULL, NULL),
                     FRESHET_EINVAL);
    assert_int_equal(freshet_sign_in_async(session, "a", "", 0, queue, ended, &end, NULL, NULL),
                     FRESHET_EINVAL);
    assert_int_equal(
        freshet_answer_mfa_async(session, NULL, false, 0, queue, ended, &end, NULL, NULL),
        FRESHET_EINVAL);
    assert_int_equal(
        freshet_answer_new_password_async(session, "", 0, queue, ended, &end, NULL, NULL),
        FRESHET_EINVAL);
    assert_int_equal(freshet_queue_dispatch(queue), 0);
    assert_int_equal(end.times, 0);
    freshet_queue_free(NULL);
}

/* ---- the herd ------------------------------------------------------------------------------ */

#define LOOPS    4
#define A_LOOP   250
#define BLOCKING 20

struct herd {
    struct freshet_session *session;
    pthread_barrier_t start;
    atomic_int good;
};

static void herd_ended(void *data, int status, const struct freshet_freshness *freshness,
                       const struct freshet_error *error)
{
    struct herd *herd = data;

    (void)error;
    if (status == FRESHET_OK && freshness->generation == 2)
        atomic_fetch_add(&herd->good, 1);
}

static void *loop_thread(void *data)
{
    struct herd *herd = data;
    struct freshet_queue *queue = NULL;
    struct pollfd ready = {.events = POLLIN};
    int left = A_LOOP;

    if (freshet_queue_new(&queue, NULL) != FRESHET_OK)
        return NULL;
    ready.fd = freshet_queue_fd(queue);
    (void)pthread_barrier_wait(&herd->start);
    for (int i = 0; i < A_LOOP; i++)
        (void)freshet_ensure_fresh_async(herd->session, NULL, queue, herd_ended, herd, NULL, NULL);
    while (left > 0 && poll(&ready, 1, 30000) == 1)
        left -= freshet_queue_dispatch(queue);
    freshet_queue_free(queue);
    return NULL;
}

static void *blocking_thread(void *data)
{
    struct herd *herd = data;

    (void)pthread_barrier_wait(&herd->start);
    if (freshet_ensure_fresh(herd->session, NULL, NULL, NULL) == FRESHET_OK)
        atomic_fetch_add(&herd->good, 1);
    return NULL;
}

static void a_herd_of_loops_and_threads_shares_one_refresh(void **state)
{
    struct calls *calls = *state;
    struct herd herd = {.session = open_used_up(calls->world, "svc-demo")};
    pthread_t threads[LOOPS + BLOCKING];

    (void)pthread_barrier_init(&herd.start, NULL, LOOPS + BLOCKING);
    for (int i = 0; i < LOOPS + BLOCKING; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < LOOPS ? loop_thread : blocking_thread, &herd), 0);
    for (int i = 0; i < LOOPS + BLOCKING; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_barrier_destroy(&herd.start);
    assert_int_equal(atomic_load(&herd.good), LOOPS * A_LOOP + BLOCKING);
    assert_int_equal(devserver_counter(&calls->world->server, "refresh_attempts"), 1);
    assert_int_equal(devserver_counter(&calls->world->server, "refreshes"), 1);
}

/* ---- deadlines and limits ------------------------------------------------------------------ */

static void nobody_waits_longer_than_he_said(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_used_up(calls->world, "svc-demo");
    struct freshet_demand demands[] = {{.timeout_ms = -1}, {.timeout_ms = 50}};
    struct end ends[3] = {0};

    delay_refreshes(calls->world, 1000);
    (void)ask(calls, session, &ends[2]);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(freshet_ensure_fresh_async(session, &demands[i], calls->queue, ended,
                                                    &ends[i], NULL, NULL),
                         FRESHET_OK);
        assert_int_equal(until_ended(calls, &ends[i]), FRESHET_EUNAVAILABLE);
    }
    assert_int_equal(until_ended(calls, &ends[2]), FRESHET_OK);
    assert_int_equal(ends[2].turn - ends[0].turn, 2);
}

static void who_asks_for_more_waits_for_it(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session;
    struct freshet_demand demand = {.min_valid_ms = 6000};
    struct end end = {0};

    devserver_control(&calls->world->server, "PUT", "/_dev/lifetime", "{\"seconds\": 8}");
    session = open_signed_in(calls->world, "svc-demo");
    sleep_ms(2100);
    assert_int_equal(
        freshet_ensure_fresh_async(session, &demand, calls->queue, ended, &end, NULL, NULL),
        FRESHET_OK);
    assert_int_equal(until_ended(calls, &end), FRESHET_OK);
    assert_int_equal(end.freshness.generation, 2);
}

#define MOST 65536

static void a_queue_has_a_limit_and_says_so(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_signed_in(calls->world, "svc-demo");
    struct end *ends = calloc(MOST, sizeof(*ends));
    struct end one_more = {0};
    struct chain chain = {calls, session, &one_more, 1};
    struct freshet_error error = {0};

    assert_non_null(ends);
    assert_int_equal(
        freshet_ensure_fresh_async(session, NULL, calls->queue, starts_another, &chain, NULL, NULL),
        FRESHET_OK);
    for (int i = 1; i < MOST; i++)
        (void)ask(calls, session, &ends[i]);
    assert_int_equal(
        freshet_ensure_fresh_async(session, NULL, calls->queue, ended, &one_more, NULL, &error),
        FRESHET_ELIMIT);
    assert_non_null(strstr(error.message, "65536"));
    /* Whoever is delivered has made room, also for what he begins himself. */
    assert_int_equal(freshet_queue_dispatch(calls->queue), MOST);
    assert_int_equal(chain.status, FRESHET_OK);
    assert_int_equal(one_more.times, 0);
    assert_int_equal(freshet_queue_dispatch(calls->queue), 1);
    assert_int_equal(one_more.times, 1);
    for (int i = 1; i < MOST; i++)
        assert_int_equal(ends[i].times, 1);
    free(ends);
}

/* ---- what a done may do -------------------------------------------------------------------- */

static void what_a_done_begins_is_left_for_the_next_dispatch(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_signed_in(calls->world, "svc-demo");
    struct end next = {0};
    struct chain chain = {calls, session, &next, 1};

    assert_int_equal(
        freshet_ensure_fresh_async(session, NULL, calls->queue, starts_another, &chain, NULL, NULL),
        FRESHET_OK);
    assert_int_equal(freshet_queue_dispatch(calls->queue), 1);
    assert_int_equal(chain.status, FRESHET_OK);
    assert_int_equal(next.times, 0);
    assert_true(readable(calls));
    assert_int_equal(freshet_queue_dispatch(calls->queue), 1);
    assert_int_equal(next.status, FRESHET_OK);
}

static void cancels_another(void *data, int status, const struct freshet_freshness *freshness,
                            const struct freshet_error *error)
{
    (void)status;
    (void)freshness;
    (void)error;
    freshet_operation_cancel(*(struct freshet_operation **)data);
}

static void a_done_may_cancel_what_is_delivered_after_it(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_signed_in(calls->world, "svc-demo");
    struct freshet_operation *operation = NULL;
    struct end end = {0};

    assert_int_equal(freshet_ensure_fresh_async(session, NULL, calls->queue, cancels_another,
                                                &operation, NULL, NULL),
                     FRESHET_OK);
    operation = ask(calls, session, &end);
    assert_int_equal(freshet_queue_dispatch(calls->queue), 2);
    assert_int_equal(end.times, 1);
    assert_int_equal(end.status, FRESHET_ECANCELED);
}

static void closes_session(void *data, int status, const struct freshet_freshness *freshness,
                           const struct freshet_error *error)
{
    (void)status;
    (void)freshness;
    (void)error;
    freshet_session_close(data);
}

static void a_done_may_close_the_session(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_signed_in(calls->world, "svc-demo");
    struct end end = {0};

    assert_int_equal(freshet_ensure_fresh_async(session, NULL, calls->queue, closes_session,
                                                session, NULL, NULL),
                     FRESHET_OK);
    (void)ask(calls, session, &end);
    assert_int_equal(freshet_queue_dispatch(calls->queue), 2);
    assert_int_equal(end.status, FRESHET_ECLOSED);
}

/* ---- signing in and out -------------------------------------------------------------------- */

static void a_person_signs_in_answers_and_signs_out(void **state)
{
    struct calls *calls = *state;
    struct freshet_session *session = open_person(calls->world, "newmfa");
    struct freshet_queue *queue = calls->queue;
    struct end ends[6] = {0};
    char code[16];

    assert_int_equal(freshet_sign_in_async(session, "newmfa", DEV_PASSWORD, 0, queue, ended,
                                           &ends[0], NULL, NULL),
                     FRESHET_OK);
    assert_int_equal(freshet_sign_in_async(session, "newmfa", DEV_PASSWORD, 0, queue, ended,
                                           &ends[1], NULL, NULL),
                     FRESHET_OK);
    assert_int_equal(until_ended(calls, &ends[1]), FRESHET_EBUSY);
    assert_int_equal(until_ended(calls, &ends[0]), FRESHET_ENEWPASSWORD);
    assert_int_equal(freshet_answer_new_password_async(session, "Better-Password-1", 0, queue,
                                                       ended, &ends[2], NULL, NULL),
                     FRESHET_OK);
    assert_int_equal(until_ended(calls, &ends[2]), FRESHET_EMFA);
    assert_int_equal(
        freshet_answer_mfa_async(session, "000000", false, 0, queue, ended, &ends[3], NULL, NULL),
        FRESHET_OK);
    assert_int_equal(until_ended(calls, &ends[3]), FRESHET_EMFACODE);
    assert_int_equal(devclient_totp(&calls->world->server.dev, "newmfa", code), 0);
    assert_int_equal(
        freshet_answer_mfa_async(session, code, false, 0, queue, ended, &ends[4], NULL, NULL),
        FRESHET_OK);
    assert_int_equal(until_ended(calls, &ends[4]), FRESHET_OK);
    assert_false(ends[4].knew_freshness);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, NULL), FRESHET_OK);
    assert_int_equal(freshet_sign_out_async(session, true, queue, ended, &ends[5], NULL, NULL),
                     FRESHET_OK);
    assert_int_equal(until_ended(calls, &ends[5]), FRESHET_OK);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, NULL), FRESHET_EHELD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CALLS(a_token_at_hand_needs_nobody_else),
        WITH_CALLS(completions_come_on_the_thread_that_dispatches),
        WITH_CALLS(the_descriptor_is_readable_while_completions_wait),
        WITH_CALLS(a_refusal_is_a_completion_with_its_detail),
        WITH_CALLS(what_cannot_be_is_refused_at_once),
        WITH_CALLS(a_herd_of_loops_and_threads_shares_one_refresh),
        WITH_CALLS(nobody_waits_longer_than_he_said),
        WITH_CALLS(who_asks_for_more_waits_for_it),
        WITH_CALLS(a_queue_has_a_limit_and_says_so),
        WITH_CALLS(what_a_done_begins_is_left_for_the_next_dispatch),
        WITH_CALLS(a_done_may_cancel_what_is_delivered_after_it),
        WITH_CALLS(a_done_may_close_the_session),
        WITH_CALLS(a_person_signs_in_answers_and_signs_out),
    };

    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests_name("async", tests, NULL, NULL);
}
