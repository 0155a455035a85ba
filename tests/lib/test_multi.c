/* SPDX-License-Identifier: Apache-2.0 */

/* The interceptor for libcurl's multi interface: many transfers, one loop, and none blocks it. */

#include "loop.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- waiting for a token ------------------------------------------------------------------- */

#define MANY 20

static bool is_one_of(CURL *const *list, CURL *easy)
{
    for (int i = 0; i < MANY; i++) {
        if (list[i] == easy)
            return true;
    }
    return false;
}

static void twenty_transfers_at_expiry_share_one_refresh_and_hold_nobody_up(void **state)
{
    struct loop *loop = *state;
    struct devserver *server = &loop->world->server;
    struct freshet_session *expired = open_used_up(loop->world, "svc-demo");
    struct freshet_session *fresh = open_signed_in(loop->world, "load-1");
    CURL *many[MANY];
    CURL *other = easy_new(loop, "/api/other");
    CURL *plain = easy_new(loop, "/_dev/counters");
    struct freshet_multi_message message = {0};

    delay_refreshes(loop->world, 1500);
    for (int i = 0; i < MANY; i++) {
        many[i] = easy_new(loop, "/api/x");
        add(loop, expired, many[i]);
    }
    add(loop, fresh, other);
    assert_int_equal(curl_multi_add_handle(loop->curl, plain), CURLM_OK);
    assert_int_equal(freshet_multi_count(loop->multi), MANY + 1);
    /* They came last and end first, one of them without Freshet: the loop goes on. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(until_message(loop, &message), FRESHET_OK);
        assert_true(message.easy == other || message.easy == plain);
        assert_int_equal(http_status_of(message.easy), 200);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(until_message(loop, &message), FRESHET_OK);
        assert_true(is_one_of(many, message.easy));
        assert_int_equal(message.code, CURLE_OK);
        assert_int_equal(http_status_of(message.easy), 200);
        curl_easy_cleanup(message.easy);
    }
    assert_idle(loop);
    assert_int_equal(devserver_counter(server, "refresh_attempts"), 1);
    assert_int_equal(devserver_counter(server, "api_requests"), MANY + 1);
    assert_int_equal(devserver_counter(server, "api_lacking_header"), 0);
    (void)curl_multi_remove_handle(loop->curl, plain);
    curl_easy_cleanup(plain);
    curl_easy_cleanup(other);
}

static void a_transfer_without_a_token_is_told_why_and_nothing_is_sent(void **state)
{
    struct loop *loop = *state;
    struct freshet_session *expired = open_used_up(loop->world, "svc-demo");
    struct freshet_session *nobody = open_person(loop->world, "ann");
    struct freshet_demand demand = {.timeout_ms = 200};
    struct freshet_curl_request request = {.demand = &demand};
    CURL *easy = easy_new(loop, "/api/x");
    struct freshet_multi_message message = {0};

    devserver_control(&loop->world->server, "POST", "/_dev/faults",
                      "{\"match\": \"/auth/refresh_token\", \"count\": -1, \"kind\": \"status\","
                      " \"status\": 503}");
    assert_int_equal(freshet_multi_add(loop->multi, expired, easy, &request, NULL), FRESHET_OK);
    assert_int_equal(until_message(loop, &message), FRESHET_EUNAVAILABLE);
    assert_ptr_equal(message.easy, easy);
    assert_int_equal(message.error.status, FRESHET_EUNAVAILABLE);
    assert_int_equal(message.error.http_status, 503);
    assert_int_not_equal(message.code, CURLE_OK);
    add(loop, nobody, easy);
    assert_int_equal(until_message(loop, &message), FRESHET_ESIGNEDOUT);
    assert_idle(loop);
    assert_int_equal(devserver_counter(&loop->world->server, "api_requests"), 0);
    curl_easy_cleanup(easy);
}

static void the_partner_is_chosen_for_each_transfer(void **state)
{
    struct loop *loop = *state;
    struct freshet_session *session = open_used_up(loop->world, "svc-two");
    char partner[] = "partner-id-acme";
    struct freshet_curl_request request = {.partner = partner};
    CURL *easy = easy_new(loop, "/api/x");

    /* Of one that waits it shows when the token has come, ... */
    add(loop, session, easy);
    assert_int_equal(until_answer(loop, easy), FRESHET_EPARTNERCHOICE);
    /* ... else at once. */
    assert_int_equal(freshet_multi_add(loop->multi, session, easy, NULL, NULL),
                     FRESHET_EPARTNERCHOICE);
    assert_int_equal(freshet_multi_add(loop->multi, session, easy, &request, NULL), FRESHET_OK);
    partner[0] = '\0'; /* it was copied */
    assert_int_equal(until_answer(loop, easy), 200);
    assert_idle(loop);
    curl_easy_cleanup(easy);
}

/* ---- an event loop of one's own ------------------------------------------------------------ */

#define SOCKETS 32

/* What libcurl wants to be watched. */
struct watch {
    struct pollfd fds[SOCKETS]; /* the first is Freshet's */
    long timeout_ms;
};

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
    struct watch *watch = data;
    struct pollfd *place = NULL;

    (void)easy;
    (void)socket_data;
    for (int i = SOCKETS - 1; i > 0; i--) {
        if (watch->fds[i].fd == fd || (watch->fds[i].fd < 0 && !place))
            place = &watch->fds[i];
        if (watch->fds[i].fd == fd)
            break;
    }
    assert_non_null(place);
    place->fd = what == CURL_POLL_REMOVE ? -1 : fd;
    place->events =
        (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
    return 0;
}

static int on_timer(CURLM *curl, long timeout_ms, void *data)
{
    struct watch *watch = data;

    (void)curl;
    watch->timeout_ms = timeout_ms;
    return 0;
}

static void watch_init(struct watch *watch, struct loop *loop)
{
    watch->timeout_ms = -1;
    for (int i = 0; i < SOCKETS; i++)
        watch->fds[i].fd = -1;
    watch->fds[0].fd = freshet_multi_fd(loop->multi);
    watch->fds[0].events = POLLIN;
    (void)curl_multi_setopt(loop->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(loop->curl, CURLMOPT_SOCKETDATA, watch);
    (void)curl_multi_setopt(loop->curl, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(loop->curl, CURLMOPT_TIMERDATA, watch);
}

static void watch_once(struct watch *watch, struct loop *loop)
{
    /* libcurl sets its timer anew when it wants another. */
    int timeout = watch->timeout_ms >= 0 ? (int)watch->timeout_ms : 30000;
    int ready = poll(watch->fds, SOCKETS, timeout);
    int running;

    assert_true(ready > 0 || watch->timeout_ms >= 0);
    if (ready == 0) {
        watch->timeout_ms = -1;
        (void)curl_multi_socket_action(loop->curl, CURL_SOCKET_TIMEOUT, 0, &running);
        return;
    }
    for (int i = 1; i < SOCKETS; i++) {
        short events = watch->fds[i].revents;

        if (watch->fds[i].fd >= 0 && events != 0)
            (void)curl_multi_socket_action(loop->curl, watch->fds[i].fd,
                                           (events & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0) |
                                               (events & POLLOUT ? CURL_CSELECT_OUT : 0) |
                                               (events & POLLERR ? CURL_CSELECT_ERR : 0),
                                           &running);
    }
}

static void an_event_loop_with_socket_action_works_as_well(void **state)
{
    struct loop *loop = *state;
    struct freshet_session *expired = open_used_up(loop->world, "svc-demo");
    struct freshet_session *fresh = open_signed_in(loop->world, "load-1");
    struct freshet_multi_message message = {0};
    struct watch watch = {0};
    int left = 10;

    delay_refreshes(loop->world, 100);
    watch_init(&watch, loop);
    for (int i = 0; i < left; i++)
        add(loop, i % 2 ? expired : fresh, easy_new(loop, "/api/x"));
    while (left > 0) {
        watch_once(&watch, loop);
        while (freshet_multi_info_read(loop->multi, &message) == 1) {
            assert_int_equal(message.status, FRESHET_OK);
            assert_int_equal(http_status_of(message.easy), 200);
            curl_easy_cleanup(message.easy);
            left--;
        }
    }
    assert_int_equal(freshet_multi_count(loop->multi), 0);
    assert_int_equal(devserver_counter(&loop->world->server, "refresh_attempts"), 1);
}

/* ---- what goes along ----------------------------------------------------------------------- */

static void ones_own_headers_go_along_but_not_under_our_names(void **state)
{
    struct loop *loop = *state;
    struct freshet_session *session = open_used_up(loop->world, "svc-demo");
    struct freshet_curl_request request = {0};
    CURL *easy = easy_new(loop, "/api/x");

    request.headers = curl_slist_append(request.headers, "authorization: Bearer forged");
    request.headers = curl_slist_append(request.headers, "X-PREFERRED-PARTNER-ID: fd666");
    request.headers = curl_slist_append(request.headers, "X-Request-Id: own-1");
    /* Of one that waits, and of one that does not. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(freshet_multi_add(loop->multi, session, easy, &request, NULL), FRESHET_OK);
        assert_int_equal(until_answer(loop, easy), 200);
    }
    assert_int_equal(devserver_counter(&loop->world->server, "api_duplicate_header"), 0);
    /* X-Request-Id went along: the second request seemed the first one, sent again. */
    assert_int_equal(devserver_counter(&loop->world->server, "resent_requests"), 1);
    /* The handle can be used again: its headers are the caller's own, and our token is gone. */
    assert_int_equal(curl_easy_perform(easy), CURLE_OK);
    assert_int_equal(http_status_of(easy), 401);
    assert_int_equal(devserver_counter(&loop->world->server, "api_bad_token"), 1);
    curl_easy_cleanup(easy);
    curl_slist_free_all(request.headers);
}

static void a_foreign_url_is_refused_before_anything_is_sent(void **state)
{
    static const struct {
        const char *url;
        int status;
    } rows[] = {
        {"https://evil.example/api/x", FRESHET_EORIGIN},
        {"http://evil.example/api/x", FRESHET_EINSECURE},
        {"http://127.0.0.1:1/api/x", FRESHET_EORIGIN},
        {"evil.example", FRESHET_EINVAL},
    };
    struct loop *loop = *state;
    struct freshet_session *session = open_signed_in(loop->world, "svc-demo");
    struct freshet_error error = {0};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CURL *easy = easy_new(loop, rows[i].url);

        assert_int_equal(freshet_multi_add(loop->multi, session, easy, NULL, &error),
                         rows[i].status);
        curl_easy_cleanup(easy);
    }
    assert_idle(loop);
}

static void a_url_that_is_changed_while_it_waits_is_looked_at_again(void **state)
{
    struct loop *loop = *state;
    struct freshet_session *session = open_used_up(loop->world, "svc-demo");
    CURL *easy = easy_new(loop, "/api/x");

    add(loop, session, easy);
    (void)curl_easy_setopt(easy, CURLOPT_URL, "https://evil.example/api/x");
    assert_int_equal(until_answer(loop, easy), FRESHET_EORIGIN);
    assert_idle(loop);
    curl_easy_cleanup(easy);
}

static void a_redirect_elsewhere_ends_the_transfer_before_its_request(void **state)
{
    struct loop *loop = *state;
    struct devserver elsewhere = {0};
    struct freshet_session *session = open_signed_in(loop->world, "svc-demo");
    char path[256];
    CURL *easy;

    devserver_start(&elsewhere, "http", NULL);
    (void)snprintf(path, sizeof(path), "/api/redirect?to=%s/api/x", elsewhere.dev.url);
    easy = easy_new(loop, path);
    add(loop, session, easy);
    assert_int_equal(until_answer(loop, easy), FRESHET_EORIGIN);
    assert_int_equal(devserver_counter(&elsewhere, "requests"), 0);
    curl_easy_cleanup(easy);
    (void)snprintf(path, sizeof(path), "/api/redirect?to=%s/api/x", loop->world->server.dev.url);
    easy = easy_new(loop, path);
    add(loop, session, easy);
    assert_int_equal(until_answer(loop, easy), 200);
    assert_int_equal(devserver_counter(&loop->world->server, "api_requests"), 3);
    assert_int_equal(devserver_counter(&loop->world->server, "api_lacking_header"), 0);
    curl_easy_cleanup(easy);
    devserver_stop(&elsewhere);
}

static void loopback_is_never_reached_through_a_proxy(void **state)
{
    struct loop *loop = *state;
    struct freshet_session *session = open_signed_in(loop->world, "svc-demo");
    CURL *easy = easy_new(loop, "/api/x");

    /* A proxy that answers nothing: whoever used it would fail. */
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "http://127.0.0.1:1");
    add(loop, session, easy);
    assert_int_equal(until_answer(loop, easy), 200);
    curl_easy_cleanup(easy);
}

static void a_failure_of_libcurl_is_told_with_its_code(void **state)
{
    struct loop *loop = *state;
    struct freshet_session *session = open_signed_in(loop->world, "svc-demo");
    CURL *easy = easy_new(loop, "/api/x");
    CURL *plain = easy_new(loop, "/nothing");
    struct freshet_multi_message message = {0};

    devserver_control(&loop->world->server, "POST", "/_dev/faults",
                      "{\"match\": \"/api\", \"count\": 2, \"kind\": \"reset_after\"}");
    (void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    add(loop, session, easy);
    assert_int_equal(until_message(loop, &message), FRESHET_EOUTCOME);
    assert_int_not_equal(message.code, CURLE_OK);
    assert_int_equal(message.error.status, FRESHET_EOUTCOME);
    /* Also of a transfer without Freshet. */
    (void)curl_easy_setopt(plain, CURLOPT_FAILONERROR, 1L);
    assert_int_equal(curl_multi_add_handle(loop->curl, plain), CURLM_OK);
    assert_int_equal(until_message(loop, &message), FRESHET_EOUTCOME);
    assert_ptr_equal(message.easy, plain);
    assert_int_equal(message.code, CURLE_HTTP_RETURNED_ERROR);
    (void)curl_multi_remove_handle(loop->curl, plain);
    curl_easy_cleanup(plain);
    curl_easy_cleanup(easy);
}

/* ---- 401s ---------------------------------------------------------------------------------- */

static void many_401s_end_the_session_once(void **state)
{
    struct loop *loop = *state;
    struct freshet_session *session = open_signed_in(loop->world, "svc-demo");
    struct freshet_session_status status;
    struct freshet_multi_message message = {0};
    CURL *easy;

    devserver_control(&loop->world->server, "POST", "/_dev/revoke",
                      "{\"username\": \"svc-demo\", \"what\": \"access\"}");
    for (int i = 0; i < 5; i++)
        add(loop, session, easy_new(loop, "/api/x"));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(until_message(loop, &message), FRESHET_OK);
        assert_int_equal(http_status_of(message.easy), 401);
        curl_easy_cleanup(message.easy);
    }
    assert_int_equal(devserver_counter(&loop->world->server, "api_401"), 5);
    easy = easy_new(loop, "/api/x");
    add(loop, session, easy);
    assert_int_equal(until_answer(loop, easy), FRESHET_EENDED);
    assert_int_equal(devserver_counter(&loop->world->server, "api_401"), 5);
    assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
    assert_int_equal(status.ended, 1);
    curl_easy_cleanup(easy);
}

static void a_401_that_the_handle_still_has_is_not_told_again(void **state)
{
    struct loop *loop = *state;
    struct freshet_session *session = open_signed_in(loop->world, "svc-demo");
    struct freshet_session_status status;
    CURL *easy = easy_new(loop, "/api/x");

    devserver_control(&loop->world->server, "POST", "/_dev/revoke",
                      "{\"username\": \"svc-demo\", \"what\": \"access\"}");
    add(loop, session, easy);
    assert_int_equal(until_answer(loop, easy), 401);
    assert_int_equal(freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, NULL), FRESHET_OK);
    add(loop, session, easy);
    assert_int_equal(http_status_of(easy), 401);
    assert_int_equal(freshet_multi_remove(loop->multi, easy), FRESHET_OK);
    assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
    assert_true(status.usable);
    add(loop, session, easy);
    assert_int_equal(until_answer(loop, easy), 200);
    curl_easy_cleanup(easy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(twenty_transfers_at_expiry_share_one_refresh_and_hold_nobody_up),
        WITH_LOOP(a_transfer_without_a_token_is_told_why_and_nothing_is_sent),
        WITH_LOOP(the_partner_is_chosen_for_each_transfer),
        WITH_LOOP(an_event_loop_with_socket_action_works_as_well),
        WITH_LOOP(ones_own_headers_go_along_but_not_under_our_names),
        WITH_LOOP(a_foreign_url_is_refused_before_anything_is_sent),
        WITH_LOOP(a_url_that_is_changed_while_it_waits_is_looked_at_again),
        WITH_LOOP(a_redirect_elsewhere_ends_the_transfer_before_its_request),
        WITH_LOOP(loopback_is_never_reached_through_a_proxy),
        WITH_LOOP(a_failure_of_libcurl_is_told_with_its_code),
        WITH_LOOP(many_401s_end_the_session_once),
        WITH_LOOP(a_401_that_the_handle_still_has_is_not_told_again),
    };

    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests_name("multi", tests, NULL, NULL);
}
