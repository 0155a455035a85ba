/* SPDX-License-Identifier: Apache-2.0 */

/* Memory runs out in the library, its threads and libcurl, against a real server: each function
 * works or says so, writes its outputs on success only, never hangs, and works the next time. */

#include "alloc.h"
#include "devserver.h"
#include "unit.h"

#include <curl/curl.h>
#include <freshet/curl.h>
#include <freshet/freshet.h>
#include <freshet/multi.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Longer than anything here takes with memory, on a slow machine. */
#define PATIENCE_MS 10000
/* What a sign-in waits for that may end with its deadline only. */
#define SHORT_MS 1500

struct world {
    struct devserver server;
    struct freshet *freshet;
    struct freshet_session *session; /* signed in */
    unsigned names;                  /* of sessions that were opened */
};

static struct world world;

/* Ends the section in which memory runs out: whether it came to nothing for that. `also` is another
 * status that this may have; 0 for none. */
static bool in_vain(int status, int also, const struct freshet_error *error)
{
    bool failed = alloc_disarm();

    if (status == FRESHET_OK)
        return false;
    if (!failed || (status != FRESHET_ENOMEM && (also == 0 || status != also)))
        fail_msg("%s: %s", freshet_status_name(status), error->message);
    assert_int_equal(error->status, status);
    assert_true(error->message[0] != '\0');
    return true;
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void open_and_close(const void *what)
{
    static const char *const origins[] = {"https://files.example.com"};
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet *freshet = NULL;
    struct freshet_error error = {0};
    int status;

    (void)what;
    options.url = world.server.dev.url;
    options.origins = origins;
    options.origins_count = 1;
    options.ca_file = "/nonexistent";
    options.proxy = "http://127.0.0.1:1";
    alloc_arm();
    status = freshet_open(&options, &freshet, &error);
    assert_int_equal(in_vain(status, 0, &error), freshet == NULL);
    freshet_close(freshet);
}

static void handles(void **state)
{
    (void)state;
    assert_true(alloc_every(open_and_close, NULL));
}

static void check_a_url(const void *what)
{
    struct freshet_error error = {0};
    bool loopback = false;
    int status;

    (void)what;
    alloc_arm();
    status = freshet_url_check(world.freshet, world.server.dev.url, &loopback, &error);
    assert_int_equal(in_vain(status, 0, &error), !loopback);
}

static void urls(void **state)
{
    (void)state;
    assert_true(alloc_every(check_a_url, NULL));
}

static struct freshet_session *open_session(void)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session *session = NULL;
    char name[32];

    (void)snprintf(name, sizeof(name), "session-%u", world.names++);
    options.on_demand = true;
    assert_int_equal(freshet_session_open(world.freshet, name, &options, &session, NULL),
                     FRESHET_OK);
    return session;
}

static void open_and_close_session(const void *what)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session *session = NULL;
    struct freshet_error error = {0};
    char name[32];
    int status;

    (void)what;
    (void)snprintf(name, sizeof(name), "session-%u", world.names++);
    options.username = "svc-demo";
    options.password_file = "/nonexistent";
    options.partner_id = "fd42";
    alloc_arm();
    status = freshet_session_open(world.freshet, name, &options, &session, &error);
    assert_int_equal(in_vain(status, 0, &error), session == NULL);
    freshet_session_close(session);
}

static void sessions(void **state)
{
    (void)state;
    assert_true(alloc_every(open_and_close_session, NULL));
}

/* ---- signing in and out ---------------------------------------------------------------------- */

/* What libcurl has no memory for is a failure of the network. A grant that came and cannot be
 * committed is not given up: its caller is told so at the deadline, and it is there when memory is.
 */
static void sign_in_and_out(const void *what)
{
    struct freshet_session *session = open_session();
    struct freshet_error error = {0};
    int64_t began = now_ms();
    int status;

    (void)what;
    alloc_arm();
    status = freshet_sign_in(session, "svc-demo", DEV_PASSWORD, SHORT_MS, &error);
    (void)in_vain(status, FRESHET_EUNAVAILABLE, &error);
    assert_true(now_ms() - began < SHORT_MS + PATIENCE_MS);
    if (freshet_ensure_fresh(session, NULL, NULL, &error) != FRESHET_OK) {
        assert_int_not_equal(status, FRESHET_OK);
        assert_int_equal(freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, &error), FRESHET_OK);
    }
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, &error), FRESHET_OK);
    alloc_arm();
    status = freshet_sign_out(session, false, &error);
    (void)in_vain(status, 0, &error);
    freshet_session_close(session);
}

static void signing_in_and_out(void **state)
{
    (void)state;
    assert_true(alloc_every(sign_in_and_out, NULL));
}

/* ---- a session that is signed in ------------------------------------------------------------- */

static void use(const void *what)
{
    const struct freshet_headers *headers = NULL;
    struct freshet_freshness freshness = {0};
    struct freshet_session_status status;
    struct freshet_error error = {0};

    (void)what;
    alloc_arm();
    /* These have nothing to allocate. */
    assert_int_equal(freshet_ensure_fresh(world.session, NULL, &freshness, &error), FRESHET_OK);
    assert_int_equal(freshet_headers_get(world.session, NULL, &headers, &error), FRESHET_OK);
    assert_int_equal(freshet_session_status(world.session, &status, &error), FRESHET_OK);
    assert_int_equal(freshet_unauthorized(world.session, freshness.generation + 1), FRESHET_OK);
    assert_false(alloc_disarm());
    freshet_headers_unref(headers);
}

static void using_a_token_allocates_nothing(void **state)
{
    (void)state;
    assert_true(alloc_every(use, NULL));
}

static void set_partner(const void *what)
{
    const struct freshet_headers *headers = NULL;
    int status;

    assert_int_equal(freshet_partner_set(world.session, NULL), FRESHET_OK);
    alloc_arm();
    status = freshet_partner_set(world.session, what);
    if (alloc_disarm())
        assert_int_equal(status, FRESHET_ENOMEM);
    /* Set, or as before. */
    assert_int_equal(freshet_headers_get(world.session, NULL, &headers, NULL),
                     status == FRESHET_OK ? FRESHET_EPARTNER : FRESHET_OK);
    freshet_headers_unref(headers);
    assert_int_equal(freshet_partner_set(world.session, NULL), FRESHET_OK);
}

static void the_partner(void **state)
{
    (void)state;
    assert_true(alloc_every(set_partner, "fd7"));
}

static void begin_totp(const void *what)
{
    struct freshet_totp totp = {0};
    struct freshet_error error = {0};
    int64_t began = now_ms();
    int status;

    (void)what;
    alloc_arm();
    status = freshet_totp_begin(world.session, PATIENCE_MS, &totp, &error);
    if (in_vain(status, FRESHET_EUNAVAILABLE, &error))
        assert_true(!totp.uri && !totp.secret && now_ms() - began < PATIENCE_MS);
    freshet_totp_done(&totp);
}

static void calls_of_mfa(void **state)
{
    (void)state;
    assert_true(alloc_every(begin_totp, NULL));
}

/* ---- the interceptor ------------------------------------------------------------------------- */

static size_t discard(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes;
    (void)data;
    return size * count;
}

static void get(const void *what)
{
    struct freshet_curl_request request = {.headers = curl_slist_append(NULL, "X-Own: 1")};
    struct freshet_error error = {0};
    CURL *easy = curl_easy_init();
    CURLcode code = CURLE_OK;
    long http_status = 0;
    int status;

    (void)curl_easy_setopt(easy, CURLOPT_URL, what);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)PATIENCE_MS);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    alloc_arm();
    status = freshet_curl_perform(world.session, easy, &request, &code, &error);
    if (in_vain(status, FRESHET_EOUTCOME, &error)) {
        if (status == FRESHET_EOUTCOME)
            assert_int_not_equal(code, CURLE_OPERATION_TIMEDOUT);
        assert_int_equal(freshet_curl_perform(world.session, easy, &request, &code, &error),
                         FRESHET_OK);
    }
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http_status);
    assert_int_equal(http_status, 200);
    curl_easy_cleanup(easy);
    curl_slist_free_all(request.headers);
}

static void the_interceptor(void **state)
{
    char url[256];

    (void)state;
    (void)snprintf(url, sizeof(url), "%s/api/orders", world.server.dev.url);
    assert_true(alloc_every(get, url));
}

/* ---- asynchronous calls ---------------------------------------------------------------------- */

static void done(void *data, int status, const struct freshet_freshness *freshness,
                 const struct freshet_error *error)
{
    (void)freshness;
    (void)error;
    *(int *)data = status;
}

static void dispatch(struct freshet_queue *queue, const int *status)
{
    int64_t began = now_ms();

    while (*status == 1) {
        struct pollfd ready = {.fd = freshet_queue_fd(queue), .events = POLLIN};

        assert_true(now_ms() - began < PATIENCE_MS);
        (void)poll(&ready, 1, 100);
        (void)freshet_queue_dispatch(queue);
    }
}

static void call_async(const void *what)
{
    struct freshet_session *session = open_session();
    struct freshet_queue *queue = NULL;
    struct freshet_operation *operation = NULL;
    struct freshet_error error = {0};
    int ended = 1;
    int status;

    (void)what;
    alloc_arm();
    status = freshet_queue_new(&queue, &error);
    if (in_vain(status, 0, &error)) {
        assert_null(queue);
        freshet_session_close(session);
        return;
    }
    alloc_arm();
    status = freshet_sign_in_async(session, "svc-demo", DEV_PASSWORD, SHORT_MS, queue, done, &ended,
                                   &operation, &error);
    if (status == FRESHET_OK)
        dispatch(queue, &ended);
    else
        assert_null(operation);
    (void)alloc_disarm();
    if (status != FRESHET_OK)
        assert_true(status == FRESHET_ENOMEM && ended == 1);
    else
        assert_true(ended == FRESHET_OK || ended == FRESHET_ENOMEM ||
                    ended == FRESHET_EUNAVAILABLE);
    freshet_queue_free(queue);
    freshet_session_close(session);
}

static void asynchronous_calls(void **state)
{
    (void)state;
    assert_true(alloc_every(call_async, NULL));
}

/* ---- many transfers -------------------------------------------------------------------------- */

/* Runs what was added to its end, within bounds. */
static void until_handed_back(CURLM *curl, struct freshet_multi *multi,
                              struct freshet_multi_message *ret_message)
{
    struct curl_waitfd extra = {.fd = freshet_multi_fd(multi), .events = CURL_WAIT_POLLIN};
    int64_t began = now_ms();
    int running;

    while (freshet_multi_info_read(multi, ret_message) == 0) {
        assert_true(now_ms() - began < PATIENCE_MS);
        (void)curl_multi_perform(curl, &running);
        (void)curl_multi_poll(curl, &extra, 1, 10, NULL);
    }
}

/* One transfer of a session that has its token, or must be told that there is none. */
static void transfer(const void *what, struct freshet_session *session, int expected)
{
    struct freshet_curl_request request = {.partner = "fd42"};
    struct freshet_multi_message message = {0};
    struct freshet_multi *multi = NULL;
    struct freshet_error error = {0};
    CURL *easy = curl_easy_init();
    CURLM *curl = curl_multi_init();
    int status;

    (void)curl_easy_setopt(easy, CURLOPT_URL, what);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    alloc_arm();
    status = freshet_multi_new(curl, &multi, &error);
    if (!in_vain(status, 0, &error)) {
        alloc_arm();
        status = freshet_multi_add(multi, session, easy, &request, &error);
        if (status == FRESHET_OK) {
            until_handed_back(curl, multi, &message);
            assert_ptr_equal(message.easy, easy);
            if (message.status == expected)
                (void)alloc_disarm();
            else
                assert_true(in_vain(message.status, FRESHET_EOUTCOME, &message.error));
        } else {
            assert_true(in_vain(status, 0, &error));
        }
        assert_int_equal(freshet_multi_count(multi), 0);
        assert_int_equal(freshet_multi_add(multi, session, easy, &request, &error), FRESHET_OK);
        until_handed_back(curl, multi, &message);
        assert_int_equal(message.status, expected);
    } else {
        assert_null(multi);
    }
    freshet_multi_free(multi);
    curl_multi_cleanup(curl);
    curl_easy_cleanup(easy);
}

static void transfer_at_hand(const void *what)
{
    transfer(what, world.session, FRESHET_OK);
}

static void transfer_that_waits(const void *what)
{
    struct freshet_session *session = open_session();

    transfer(what, session, FRESHET_ESIGNEDOUT);
    freshet_session_close(session);
}

static void the_multi_interceptor(void **state)
{
    char url[256];

    (void)state;
    (void)snprintf(url, sizeof(url), "%s/api/orders", world.server.dev.url);
    assert_true(alloc_every(transfer_at_hand, url));
    assert_true(alloc_every(transfer_that_waits, url));
}

/* ---------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;

    (void)state;
    devserver_start(&world.server, "http", NULL);
    options.url = world.server.dev.url;
    if (freshet_open(&options, &world.freshet, NULL) != FRESHET_OK)
        return -1;
    world.session = open_session();
    return freshet_sign_in(world.session, "svc-demo", DEV_PASSWORD, 0, NULL);
}

static int teardown(void **state)
{
    (void)state;
    freshet_close(world.freshet);
    devserver_stop(&world.server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles),
        cmocka_unit_test(urls),
        cmocka_unit_test(sessions),
        cmocka_unit_test(using_a_token_allocates_nothing),
        cmocka_unit_test(the_partner),
        cmocka_unit_test(calls_of_mfa),
        cmocka_unit_test(the_interceptor),
        cmocka_unit_test(asynchronous_calls),
        cmocka_unit_test(the_multi_interceptor),
        cmocka_unit_test(signing_in_and_out),
    };

    alloc_init();
    return cmocka_run_group_tests_name("alloc-lib", tests, setup, teardown);
}
