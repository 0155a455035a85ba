/* SPDX-License-Identifier: Apache-2.0 */

/* Transfers that do not end by themselves, in every state: removed, freed, closed, forked. */

#include "loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum state {
    ON_THE_LIST, /* refused, and dispatched */
    ENDED,       /* libcurl has its end */
    UNDER_WAY,   /* libcurl awaits its answer */
    WAITING,     /* for its token */
    ANSWERED,    /* the answer to its wish for a token waits to be dispatched */
    BEGUN,       /* libcurl has it, and was not called since */
    STATES
};

/* One transfer in each state that it can be in before it is handed back, of three sessions. */
struct states {
    struct freshet_session *expired;
    struct freshet_session *fresh;
    struct freshet_session *nobody;
    CURL *list[STATES];
};

static CURL *added(struct loop *loop, struct freshet_session *session, const char *path)
{
    CURL *easy = easy_new(loop, path);

    add(loop, session, easy);
    return easy;
}

/* Until Freshet's thread has answered every call that was made before. */
static void until_answered(struct freshet_session *session)
{
    struct freshet_session_status status;

    assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
}

/* Until libcurl has the ends of all but one. */
static void until_one_runs(struct loop *loop)
{
    int running = 2;

    for (int tries = 0; tries < 5000 && running > 1; tries++) {
        (void)curl_multi_poll(loop->curl, NULL, 0, 50, NULL);
        (void)curl_multi_perform(loop->curl, &running);
    }
    assert_int_equal(running, 1);
}

static void states_make(struct loop *loop, struct world *world, struct states *states)
{
    struct freshet_multi_message message = {0};
    char path[256];

    states->expired = open_used_up(world, "svc-demo");
    states->fresh = open_signed_in(world, "load-1");
    states->nobody = open_person(world, "ann");
    delay_refreshes(world, 1000);
    /* Of two that are refused the first is handed back. */
    (void)added(loop, states->nobody, "/api/x");
    states->list[ON_THE_LIST] = added(loop, states->nobody, "/api/x");
    until_answered(states->nobody);
    assert_int_equal(until_message(loop, &message), FRESHET_ESIGNEDOUT);
    curl_easy_cleanup(message.easy);

    states->list[ENDED] = added(loop, states->fresh, "/api/x");
    states->list[UNDER_WAY] = added(loop, states->fresh, "/api/slow?ms=1000");
    until_one_runs(loop);
    states->list[WAITING] = added(loop, states->expired, "/api/x");
    states->list[ANSWERED] = added(loop, states->nobody, "/api/x");
    until_answered(states->nobody);
    (void)snprintf(path, sizeof(path), "/api/redirect?to=%s/api/x", world->server.dev.url);
    states->list[BEGUN] = added(loop, states->fresh, path);
    assert_int_equal(freshet_multi_count(loop->multi), STATES);
}

static enum state state_of(const struct states *states, CURL *easy)
{
    int i = 0;

    while (i < STATES && states->list[i] != easy)
        i++;
    assert_int_not_equal(i, STATES);
    return (enum state)i;
}

/* Every transfer is handed back once, as it says there. */
static void assert_ends(struct loop *loop, struct states *states, const long expected[STATES])
{
    struct freshet_multi_message message = {0};

    for (int i = 0; i < STATES; i++) {
        int status = until_message(loop, &message);
        enum state state = state_of(states, message.easy);

        assert_int_equal(status == FRESHET_OK ? http_status_of(message.easy) : status,
                         expected[state]);
        curl_easy_cleanup(message.easy);
        states->list[state] = NULL;
    }
    assert_idle(loop);
}

/* ---- removed and freed --------------------------------------------------------------------- */

static void a_transfer_can_be_removed_in_any_state_and_added_again(void **state)
{
    static const long expected[STATES] = {200, 200, 200, 200, 200, 200};
    struct loop *loop = *state;
    struct states states;
    char url[256];

    states_make(loop, loop->world, &states);
    for (size_t i = 0; i < STATES; i++) {
        assert_int_equal(freshet_multi_remove(loop->multi, states.list[i]), FRESHET_OK);
        assert_int_equal(freshet_multi_remove(loop->multi, states.list[i]), FRESHET_EINVAL);
    }
    assert_int_equal(freshet_multi_count(loop->multi), 0);
    (void)url_of(loop->world, "/api/x", url);
    for (size_t i = 0; i < STATES; i++) {
        (void)curl_easy_setopt(states.list[i], CURLOPT_URL, url);
        add(loop, states.fresh, states.list[i]);
    }
    assert_ends(loop, &states, expected);
    /* The flight went on. */
    until_refreshes(states.expired, 1);
    assert_int_equal(freshet_ensure_fresh(states.expired, NULL, NULL, NULL), FRESHET_OK);
    assert_int_equal(devserver_counter(&loop->world->server, "refresh_attempts"), 1);
}

static void freed_with_transfers_in_every_state_the_handles_are_the_programs(void **state)
{
    struct loop *loop = *state;
    struct states states;
    char url[256];

    states_make(loop, loop->world, &states);
    freshet_multi_free(loop->multi);
    loop->multi = NULL;
    (void)url_of(loop->world, "/api/x", url);
    for (size_t i = 0; i < STATES; i++) {
        (void)curl_easy_setopt(states.list[i], CURLOPT_URL, url);
        assert_int_equal(curl_easy_perform(states.list[i]), CURLE_OK);
        /* Our headers are gone. */
        assert_int_equal(http_status_of(states.list[i]), 401);
        curl_easy_cleanup(states.list[i]);
    }
    assert_int_equal(freshet_multi_new(loop->curl, &loop->multi, NULL), FRESHET_OK);
    assert_idle(loop);
}

/* ---- closed -------------------------------------------------------------------------------- */

static const long when_closed[STATES] = {
    [ON_THE_LIST] = FRESHET_ESIGNEDOUT,
    [ENDED] = 200,
    [UNDER_WAY] = 200,
    [BEGUN] = 200,
    [WAITING] = FRESHET_ECLOSED,
    [ANSWERED] = FRESHET_ECLOSED,
};

static void a_session_may_close_with_transfers_in_every_state(void **state)
{
    struct loop *loop = *state;
    struct states states;

    states_make(loop, loop->world, &states);
    freshet_session_close(states.expired);
    freshet_session_close(states.fresh);
    freshet_session_close(states.nobody);
    assert_ends(loop, &states, when_closed);
}

static void a_handle_may_close_with_transfers_in_every_state(void **state)
{
    struct loop *loop = *state;
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct world other = {.server = loop->world->server};
    struct states states;

    options.url = loop->world->server.dev.url;
    assert_int_equal(freshet_open(&options, &other.freshet, NULL), FRESHET_OK);
    states_make(loop, &other, &states);
    freshet_close(other.freshet);
    assert_ends(loop, &states, when_closed);
}

static void a_401_for_a_session_that_is_closed_is_nobodys(void **state)
{
    struct loop *loop = *state;
    struct freshet_session *session = open_signed_in(loop->world, "svc-demo");
    CURL *easy = easy_new(loop, "/api/x");

    devserver_control(&loop->world->server, "POST", "/_dev/revoke",
                      "{\"username\": \"svc-demo\", \"what\": \"access\"}");
    add(loop, session, easy);
    freshet_session_close(session);
    assert_int_equal(until_answer(loop, easy), 401);
    assert_idle(loop);
    curl_easy_cleanup(easy);
}

/* ---- misused and forked -------------------------------------------------------------------- */

static void what_cannot_be_is_refused_at_once(void **state)
{
    struct loop *loop = *state;
    struct freshet_session *session = open_signed_in(loop->world, "svc-demo");
    struct freshet_multi *multi = NULL;
    struct freshet_error error = {0};
    CURLM *elsewhere = curl_multi_init();
    CURL *easy = easy_new(loop, "/api/x");

    assert_int_equal(freshet_multi_new(NULL, &multi, &error), FRESHET_EINVAL);
    assert_null(multi);
    assert_int_equal(freshet_multi_add(loop->multi, session, NULL, NULL, &error), FRESHET_EINVAL);
    assert_int_equal(freshet_multi_remove(loop->multi, easy), FRESHET_EINVAL);
    assert_int_equal(curl_multi_add_handle(elsewhere, easy), CURLM_OK);
    assert_int_equal(freshet_multi_add(loop->multi, session, easy, NULL, &error), FRESHET_EINVAL);
    assert_int_equal(curl_multi_remove_handle(elsewhere, easy), CURLM_OK);
    assert_int_equal(freshet_multi_count(loop->multi), 0);
    add(loop, session, easy);
    assert_int_equal(freshet_multi_add(loop->multi, session, easy, NULL, &error), FRESHET_EINVAL);
    assert_int_equal(until_answer(loop, easy), 200);
    assert_idle(loop);
    curl_easy_cleanup(easy);
    (void)curl_multi_cleanup(elsewhere);
}

static int in_child(struct loop *loop, struct freshet_session *session, CURL *easy, CURL *another)
{
    struct freshet_multi_message message;

    if (freshet_multi_add(loop->multi, session, another, NULL, NULL) != FRESHET_EFORKED ||
        freshet_multi_remove(loop->multi, easy) != FRESHET_EFORKED ||
        freshet_multi_info_read(loop->multi, &message) != FRESHET_EFORKED)
        return 1;
    freshet_multi_free(loop->multi);
    return 0;
}

static void a_child_of_fork_is_told_so(void **state)
{
    struct loop *loop = *state;
    struct freshet_session *session = open_used_up(loop->world, "svc-demo");
    CURL *easy = easy_new(loop, "/api/x");
    CURL *another = easy_new(loop, "/api/x");
    int status = -1;
    pid_t pid;

    delay_refreshes(loop->world, 200);
    add(loop, session, easy);
    pid = fork();
    if (pid == 0)
        _exit(in_child(loop, session, easy, another));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(until_answer(loop, easy), 200);
    curl_easy_cleanup(another);
    curl_easy_cleanup(easy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(a_transfer_can_be_removed_in_any_state_and_added_again),
        WITH_LOOP(freed_with_transfers_in_every_state_the_handles_are_the_programs),
        WITH_LOOP(a_session_may_close_with_transfers_in_every_state),
        WITH_LOOP(a_handle_may_close_with_transfers_in_every_state),
        WITH_LOOP(a_401_for_a_session_that_is_closed_is_nobodys),
        WITH_LOOP(what_cannot_be_is_refused_at_once),
        WITH_LOOP(a_child_of_fork_is_told_so),
    };

    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests_name("multi-ends", tests, NULL, NULL);
}
