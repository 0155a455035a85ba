/* SPDX-License-Identifier: Apache-2.0 */

/* The library against a real platform: real HTTP, real JWTs, real threads, real time. */

#include "lib.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- opening ------------------------------------------------------------------------------- */

static void bad_options_are_refused_with_a_reason(void **state)
{
    static const struct {
        const char *url;
        const char *profile;
        const char *secrets;
        int status;
        const char *word;
    } rows[] = {
        {NULL, NULL, NULL, FRESHET_ECONFIG, "url"},
        {"", NULL, NULL, FRESHET_EINVAL, "URL"},
        {"api.example.com", NULL, NULL, FRESHET_EINVAL, "https://"},
        {"http://api.example.com", NULL, NULL, FRESHET_EINSECURE, "https"},
        {"https://api.example.com", "nonesuch", NULL, FRESHET_ECONFIG, "partner-rotating"},
        {"https://api.example.com", NULL, "paper:", FRESHET_ECONFIG, "memory:"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct freshet_options options = FRESHET_OPTIONS_INIT;
        struct freshet *freshet = NULL;
        struct freshet_error error = {0};

        options.url = rows[i].url;
        options.profile = rows[i].profile;
        options.secrets = rows[i].secrets;
        assert_int_equal(freshet_open(&options, &freshet, &error), rows[i].status);
        assert_int_equal(error.status, rows[i].status);
        assert_non_null(strstr(error.message, rows[i].word));
        assert_null(freshet);
    }
}

static void bad_sessions_are_refused_with_a_reason(void **state)
{
    struct world *world = *state;
    struct freshet_session_options service = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session *session = NULL;
    struct freshet_error error = {0};
    char long_name[200];

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(freshet_session_open(world->freshet, "", NULL, &session, &error),
                     FRESHET_EINVAL);
    assert_int_equal(freshet_session_open(world->freshet, NULL, NULL, &session, &error),
                     FRESHET_EINVAL);
    assert_int_equal(freshet_session_open(world->freshet, "a b", NULL, &session, &error),
                     FRESHET_EINVAL);
    assert_int_equal(freshet_session_open(world->freshet, "a\n", NULL, &session, &error),
                     FRESHET_EINVAL);
    assert_int_equal(freshet_session_open(world->freshet, long_name, NULL, &session, &error),
                     FRESHET_EINVAL);
    service.threshold_ms = -1;
    assert_int_equal(freshet_session_open(world->freshet, "svc", &service, &session, &error),
                     FRESHET_EINVAL);
    assert_null(session);
    if (embedded_only("a keeper's service needs no credentials here"))
        return;
    service.threshold_ms = 0;
    service.kind = FRESHET_SERVICE;
    assert_int_equal(freshet_session_open(world->freshet, "svc", &service, &session, &error),
                     FRESHET_EINVAL);
    assert_null(session);
}

/* Of a token of an hour: with a threshold of 10 minutes it is refreshed 10 to 12 minutes ahead,
 * where 5 to 6 are the handle's. */
static void a_session_may_have_a_threshold_of_its_own(void **state)
{
    struct world *world = *state;
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session_status status;
    struct freshet_session *session = NULL;

    if (embedded_only("a keeper's own threshold says when it refreshes"))
        return;
    options.threshold_ms = 600000;
    assert_int_equal(freshet_session_open(world->freshet, "ann", &options, &session, NULL), 0);
    assert_int_equal(freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, NULL), FRESHET_OK);
    assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
    assert_in_range(status.next_ms, 1, 3000000);
    assert_in_range(status.next_ms + status.age_ms, 2880000 - 1000, 3000000);
    freshet_session_close(session);
}

static void a_handle_closes_with_sessions_open_and_twice_opened_handles_coexist(void **state)
{
    struct world *world = *state;
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet *second = NULL;
    struct freshet_session *session = NULL;

    options.url = world->server.dev.url;
    assert_int_equal(freshet_open(&options, &second, NULL), FRESHET_OK);
    assert_int_equal(freshet_session_open(second, "ann", NULL, &session, NULL), FRESHET_OK);
    assert_int_equal(freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, NULL), FRESHET_OK);
    freshet_close(second);
    freshet_close(NULL);
}

/* ---- signing in ---------------------------------------------------------------------------- */

static void a_person_signs_in_and_gets_both_headers(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    const struct freshet_headers *headers = NULL;
    struct freshet_freshness freshness = {0};
    char url[256];

    assert_int_equal(freshet_ensure_fresh(session, NULL, &freshness, NULL), FRESHET_OK);
    assert_int_equal(freshness.generation, 1);
    assert_in_range(freshness.expires_ms, 3590000, 3600000);
    assert_int_equal(freshness.expires_ms - freshness.usable_ms, 30000);
    assert_int_equal(freshet_headers_get(session, NULL, &headers, NULL), FRESHET_OK);
    assert_int_equal(headers->count, 2);
    assert_int_equal(headers->generation, 1);
    assert_string_equal(headers->list[0].name, "Authorization");
    assert_memory_equal(headers->list[0].value, "Bearer ey", 9);
    assert_string_equal(headers->list[1].name, "X-Preferred-Partner-Id");
    assert_string_equal(headers->list[1].value, "fd42");
    assert_int_equal(get(session, url_of(world, "/api/x", url), NULL, NULL), 200);
    /* They outlive the session. */
    freshet_session_close(session);
    assert_string_equal(headers->list[1].value, "fd42");
    freshet_headers_unref(freshet_headers_ref(headers));
    freshet_headers_unref(headers);
    freshet_headers_unref(NULL);
}

static void wrong_credentials_are_told_and_leak_nothing(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_person(world, "ann");
    struct freshet_error error = {0};

    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, &error), FRESHET_ESIGNEDOUT);
    assert_int_equal(freshet_sign_in(session, "svc-demo", "canary-password", 0, &error),
                     FRESHET_ECREDENTIALS);
    assert_int_equal(error.status, FRESHET_ECREDENTIALS);
    assert_string_equal(error.code, "NotAuthorizedException");
    assert_null(strstr(error.message, "canary"));
    assert_int_equal(freshet_sign_in(session, "svc-demo", NULL, 0, &error), FRESHET_EINVAL);
    assert_int_equal(freshet_sign_in(session, "svc-demo", "", 0, &error), FRESHET_EINVAL);
    assert_int_equal(freshet_answer_mfa(session, "123456", false, 0, &error), FRESHET_ENOCHALLENGE);
    freshet_session_close(session);
}

static void suspended_and_partnerless_accounts_are_told(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_person(world, "ann");
    const struct freshet_headers *headers = NULL;
    struct freshet_error error = {0};

    assert_int_equal(freshet_sign_in(session, "suspended", DEV_PASSWORD, 0, &error),
                     FRESHET_ESUSPENDED);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, &error), FRESHET_ESUSPENDED);
    assert_int_equal(freshet_sign_in(session, "nopartner", DEV_PASSWORD, 0, &error), FRESHET_OK);
    assert_int_equal(freshet_headers_get(session, NULL, &headers, &error), FRESHET_EPARTNER);
    freshet_session_close(session);
}

static void one_of_two_partners_is_chosen_or_none(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_signed_in(world, "svc-two");
    const struct freshet_headers *headers = NULL;
    struct freshet_curl_request request = {0};
    struct freshet_error error = {0};
    char url[256];

    assert_int_equal(freshet_headers_get(session, NULL, &headers, &error), FRESHET_EPARTNERCHOICE);
    assert_non_null(strstr(error.message, "partner-id-acme"));
    assert_int_equal(freshet_headers_get(session, "fd42", &headers, &error), FRESHET_EPARTNER);
    assert_int_equal(get(session, url_of(world, "/api/x", url), NULL, &error),
                     FRESHET_EPARTNERCHOICE);
    assert_int_equal(devserver_counter(&world->server, "api_requests"), 0);
    request.partner = "fd1";
    assert_int_equal(get(session, url, &request, &error), 200);
    assert_int_equal(freshet_partner_set(session, "partner-id-acme"), FRESHET_OK);
    assert_int_equal(freshet_headers_get(session, NULL, &headers, &error), FRESHET_OK);
    assert_string_equal(headers->list[1].value, "partner-id-acme");
    freshet_headers_unref(headers);
    assert_int_equal(freshet_partner_set(session, NULL), FRESHET_OK);
    assert_int_equal(freshet_headers_get(session, NULL, &headers, &error), FRESHET_EPARTNERCHOICE);
    assert_int_equal(freshet_partner_set(session, ""), FRESHET_EINVAL);
    freshet_session_close(session);
}

static void mfa_is_answered_remembered_and_managed(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_person(world, "mfa");
    struct freshet_mfa_settings settings = {0};
    struct freshet_totp totp = {0};
    struct freshet_error error = {0};
    char code[16];

    assert_int_equal(freshet_sign_in(session, "mfa", DEV_PASSWORD, 0, &error), FRESHET_EMFA);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, &error), FRESHET_EMFA);
    assert_int_equal(freshet_answer_new_password(session, "x", 0, &error), FRESHET_ENOCHALLENGE);
    assert_int_equal(freshet_answer_mfa(session, "000000", true, 0, &error), FRESHET_EMFACODE);
    assert_int_equal(devclient_totp(&world->server.dev, "mfa", code), 0);
    assert_int_equal(freshet_answer_mfa(session, code, true, 0, &error), FRESHET_OK);
    assert_int_equal(freshet_mfa_settings_get(session, 0, &settings, &error), FRESHET_OK);
    assert_int_equal(settings.enabled, 1);
    assert_string_equal(settings.preferred, "totp");
    assert_int_equal(freshet_totp_begin(session, 0, &totp, &error), FRESHET_OK);
    assert_memory_equal(totp.uri, "otpauth://totp/", 15);
    freshet_totp_done(&totp);
    assert_int_equal(freshet_totp_confirm(session, "000000", 0, &error), FRESHET_EMFACODE);
    assert_int_equal(freshet_sign_out(session, false, &error), FRESHET_OK);
    /* The device is remembered, also after a sign-out. */
    assert_int_equal(freshet_sign_in(session, "mfa", DEV_PASSWORD, 0, &error), FRESHET_OK);
    assert_int_equal(freshet_mfa_settings_put(session, 0, NULL, 0, &error), FRESHET_OK);
    freshet_session_close(session);
}

static void new_password_then_mfa(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_person(world, "newmfa");
    struct freshet_error error = {0};
    char code[16];

    assert_int_equal(freshet_sign_in(session, "newmfa", DEV_PASSWORD, 0, &error),
                     FRESHET_ENEWPASSWORD);
    assert_int_equal(freshet_answer_new_password(session, "short", 0, &error),
                     FRESHET_EPASSWORDPOLICY);
    assert_int_equal(freshet_answer_new_password(session, "Better-Password-1", 0, &error),
                     FRESHET_EMFA);
    assert_int_equal(devclient_totp(&world->server.dev, "newmfa", code), 0);
    assert_int_equal(freshet_answer_mfa(session, code, false, 0, &error), FRESHET_OK);
    freshet_session_close(session);
}

static void a_service_signs_in_by_itself_or_says_why_not(void **state)
{
    struct world *world = *state;
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session *session = NULL;
    struct freshet_error error = {0};
    char path[] = P_tmpdir "/freshet-test-password-XXXXXX";
    int fd = mkstemp(path);

    if (embedded_only("the password's file is the keeper's; see test_keeper.c"))
        return;
    options.kind = FRESHET_SERVICE;
    options.username = "svc-demo";
    options.password_file = "/nonexistent/password";
    assert_int_equal(freshet_session_open(world->freshet, "a", &options, &session, NULL),
                     FRESHET_OK);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, &error), FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, "/nonexistent/password"));
    freshet_session_close(session);

    assert_int_equal(write(fd, DEV_PASSWORD "\n", sizeof(DEV_PASSWORD)), sizeof(DEV_PASSWORD));
    (void)close(fd);
    options.password_file = path;
    assert_int_equal(freshet_session_open(world->freshet, "b", &options, &session, NULL),
                     FRESHET_OK);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, &error), FRESHET_OK);
    freshet_session_close(session);
    (void)unlink(path);
}

/* ---- staying signed in --------------------------------------------------------------------- */

#define HERD 50

struct herd {
    struct freshet_session *session;
    pthread_barrier_t start;
    atomic_int good;
};

static void *herd_thread(void *data)
{
    struct herd *herd = data;

    (void)pthread_barrier_wait(&herd->start);
    if (freshet_ensure_fresh(herd->session, NULL, NULL, NULL) == FRESHET_OK)
        atomic_fetch_add(&herd->good, 1);
    return NULL;
}

static void a_herd_at_expiry_shares_one_refresh(void **state)
{
    struct world *world = *state;
    struct freshet_session_status status;
    struct herd herd = {0};
    pthread_t threads[HERD];

    devserver_control(&world->server, "PUT", "/_dev/lifetime", "{\"seconds\": 2}");
    herd.session = open_signed_in(world, "svc-demo");
    until_unusable(herd.session);
    (void)pthread_barrier_init(&herd.start, NULL, HERD);
    for (int i = 0; i < HERD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, herd_thread, &herd), 0);
    for (int i = 0; i < HERD; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_barrier_destroy(&herd.start);
    assert_int_equal(atomic_load(&herd.good), HERD);
    assert_int_equal(devserver_counter(&world->server, "refreshes"), 1);
    assert_int_equal(devserver_counter(&world->server, "refresh_in_flight_max"), 1);
    assert_int_equal(freshet_session_status(herd.session, &status, NULL), FRESHET_OK);
    assert_int_equal(status.refreshes, 1);
    freshet_session_close(herd.session);
}

/* Every way in which the refresh can fail short of a verdict: the token in hand goes on. */
static void nothing_short_of_a_verdict_ends_a_session(void **state)
{
    static const char *const faults[] = {
        "\"kind\": \"status\", \"status\": 503, \"retry_after\": \"0\"",
        "\"kind\": \"status\", \"status\": 429, \"retry_after\": \"0\"",
        "\"kind\": \"status\", \"status\": 403",
        "\"kind\": \"reset_before\"",
        "\"kind\": \"reset_after\"",
        "\"kind\": \"truncate\"",
        "\"kind\": \"html\"",
        "\"kind\": \"giant\", \"bytes\": 1000000",
        "\"kind\": \"body\", \"status\": 200, \"body\": \"[]\"",
    };
    struct world *world = *state;
    struct freshet_session_status status;
    struct freshet_session *session;
    struct freshet_error error = {0};
    uint64_t before;
    char fault[256];
    char url[256];

    devserver_control(&world->server, "PUT", "/_dev/lifetime", "{\"seconds\": 8}");
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        /* Twice: libcurl by itself sends a POST again when a reused connection turns out dead. */
        (void)snprintf(fault, sizeof(fault),
                       "{\"match\": \"/auth/refresh_token\", \"count\": 2, %s}", faults[i]);
        session = open_signed_in(world, "svc-demo");
        assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
        before = status.failures;
        devserver_control(&world->server, "POST", "/_dev/faults", fault);
        /* Asking for more than there is sets off a refresh, and awaits it. */
        struct freshet_demand demand = {.min_valid_ms = 6000};

        sleep_ms(2100);
        assert_int_equal(freshet_ensure_fresh(session, &demand, NULL, &error), FRESHET_OK);
        assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
        assert_int_equal(status.failures - before, 1);
        assert_int_equal(status.phase, FRESHET_PHASE_LIVE);
        assert_true(status.usable);
        assert_int_equal(get(session, url_of(world, "/api/x", url), NULL, &error), 200);
        devserver_control(&world->server, "DELETE", "/_dev/faults", NULL);
        freshet_session_close(session);
    }
}

static void a_caller_without_a_token_is_told_when_to_come_back(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_person(world, "ann");
    struct freshet_error error = {0};

    devserver_control(&world->server, "POST", "/_dev/faults",
                      "{\"match\": \"/auth\", \"count\": -1, \"kind\": \"status\","
                      " \"status\": 503, \"retry_after\": \"120\"}");
    assert_int_equal(freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, &error),
                     FRESHET_EUNAVAILABLE);
    assert_int_equal(error.http_status, 503);
    assert_int_equal(freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, &error),
                     FRESHET_EUNAVAILABLE);
    assert_in_range(error.retry_after_ms, 110000, 120000);
    freshet_session_close(session);
}

static void rotated_refresh_tokens_are_each_used_once(void **state)
{
    static const char *const arguments[] = {"--rotate", "--grace", "0", "--lifetime", "1.5", NULL};
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct devserver server = {0};
    struct freshet *freshet = NULL;
    struct freshet_session *session = NULL;

    (void)state;
    devserver_start(&server, "http", arguments);
    options.url = server.dev.url;
    options.profile = "partner-rotating";
    assert_int_equal(freshet_open(&options, &freshet, NULL), FRESHET_OK);
    assert_int_equal(freshet_session_open(freshet, "ann", NULL, &session, NULL), FRESHET_OK);
    assert_int_equal(freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, NULL), FRESHET_OK);
    while (devserver_counter(&server, "refreshes") < 4) {
        assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, NULL), FRESHET_OK);
        sleep_ms(20);
    }
    assert_int_equal(devserver_counter(&server, "reuse_detected"), 0);
    freshet_close(freshet);
    devserver_stop(&server);
}

static void a_401_ends_the_session_once(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    struct freshet_session_status status;
    struct freshet_error error = {0};
    char url[256];

    devserver_control(&world->server, "POST", "/_dev/revoke",
                      "{\"username\": \"svc-demo\", \"what\": \"access\"}");
    assert_int_equal(get(session, url_of(world, "/api/x", url), NULL, &error), 401);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, &error), FRESHET_EENDED);
    assert_int_equal(get(session, url, NULL, &error), FRESHET_EENDED);
    assert_int_equal(devserver_counter(&world->server, "api_401"), 1);
    assert_int_equal(freshet_unauthorized(session, 1), FRESHET_OK);
    assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
    assert_int_equal(status.ended, 1);
    assert_int_equal(freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, &error), FRESHET_OK);
    assert_int_equal(freshet_unauthorized(session, 1), FRESHET_OK);
    assert_int_equal(get(session, url, NULL, &error), 200);
    freshet_session_close(session);
}

static void signed_out_is_signed_out(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    const struct freshet_headers *headers = NULL;
    struct freshet_error error = {0};

    assert_int_equal(freshet_sign_out(session, false, &error), FRESHET_OK);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, &error), FRESHET_ESIGNEDOUT);
    assert_int_equal(freshet_headers_get(session, NULL, &headers, &error), FRESHET_EUNAVAILABLE);
    assert_int_equal(freshet_sign_out(session, true, &error), FRESHET_OK);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, &error), FRESHET_EHELD);
    freshet_session_close(session);
}

/* ---- threads, forks, events ---------------------------------------------------------------- */

static void *waiting_thread(void *data)
{
    struct freshet_session *session = data;
    struct freshet_demand demand = {.timeout_ms = 60000};

    return (void *)(intptr_t)freshet_ensure_fresh(session, &demand, NULL, NULL);
}

static void who_waits_at_the_close_is_told(void **state)
{
    struct world *world = *state;
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet *freshet = NULL;
    struct freshet_session_status status;
    struct freshet_session *session = NULL;
    pthread_t thread;
    void *result;

    options.url = world->server.dev.url;
    devserver_control(&world->server, "PUT", "/_dev/lifetime", "{\"seconds\": 2}");
    assert_int_equal(freshet_open(&options, &freshet, NULL), FRESHET_OK);
    assert_int_equal(freshet_session_open(freshet, "ann", NULL, &session, NULL), FRESHET_OK);
    assert_int_equal(freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, NULL), FRESHET_OK);
    devserver_control(&world->server, "POST", "/_dev/faults",
                      "{\"match\": \"/auth\", \"count\": -1, \"kind\": \"latency\","
                      " \"ms\": 10000}");
    until_unusable(session);
    assert_int_equal(pthread_create(&thread, NULL, waiting_thread, session), 0);
    do {
        sleep_ms(5);
        assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
    } while (status.waited == 0);
    freshet_close(freshet);
    (void)pthread_join(thread, &result);
    assert_int_equal((int)(intptr_t)result, FRESHET_ECLOSED);
}

static int in_child(struct freshet_session *session, struct freshet *freshet)
{
    const struct freshet_headers *headers = NULL;
    struct freshet_session_status status;
    struct freshet_event event;

    if (freshet_ensure_fresh(session, NULL, NULL, NULL) != FRESHET_EFORKED ||
        freshet_headers_get(session, NULL, &headers, NULL) != FRESHET_EFORKED ||
        freshet_unauthorized(session, 1) != FRESHET_EFORKED ||
        freshet_sign_in(session, "a", "b", 0, NULL) != FRESHET_EFORKED ||
        freshet_sign_out(session, false, NULL) != FRESHET_EFORKED ||
        freshet_session_status(session, &status, NULL) != FRESHET_EFORKED ||
        freshet_event_next(freshet, &event, NULL) != FRESHET_EFORKED ||
        freshet_url_check(freshet, "https://a.example", NULL, NULL) != FRESHET_EFORKED ||
        freshet_event_fd(freshet) != -1)
        return 1;
    freshet_session_close(session);
    freshet_close(freshet);
    return 0;
}

static void a_child_of_fork_is_told_so(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    int status = -1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(in_child(session, world->freshet));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, NULL), FRESHET_OK);
    freshet_session_close(session);
}

static void events_and_ledger_tell_what_happened(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    struct pollfd ready = {.fd = freshet_event_fd(world->freshet), .events = POLLIN};
    struct freshet_ledger_entry entries[32];
    struct freshet_event event;
    uint64_t lost = 1;
    size_t count = 0;
    bool found = false;

    assert_int_equal(poll(&ready, 1, 0), 1);
    while (freshet_event_next(world->freshet, &event, &lost) == 1)
        found = found || (strcmp(event.entry.name, "signed_in") == 0 &&
                          strcmp(event.session, "svc-demo") == 0);
    assert_true(found);
    assert_int_equal(lost, 0);
    assert_int_equal(poll(&ready, 1, 0), 0);
    assert_int_equal(freshet_explain(session, entries, 32, &count), FRESHET_OK);
    assert_true(count >= 3);
    assert_string_equal(entries[0].name, "opened");
    assert_string_equal(entries[count - 1].name, "signed_in");
    freshet_session_close(session);
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_refused_with_a_reason),
        WITH_WORLD(bad_sessions_are_refused_with_a_reason),
        WITH_WORLD(a_session_may_have_a_threshold_of_its_own),
        WITH_WORLD(a_handle_closes_with_sessions_open_and_twice_opened_handles_coexist),
        WITH_WORLD(a_person_signs_in_and_gets_both_headers),
        WITH_WORLD(wrong_credentials_are_told_and_leak_nothing),
        WITH_WORLD(suspended_and_partnerless_accounts_are_told),
        WITH_WORLD(one_of_two_partners_is_chosen_or_none),
        WITH_WORLD(mfa_is_answered_remembered_and_managed),
        WITH_WORLD(new_password_then_mfa),
        WITH_WORLD(a_service_signs_in_by_itself_or_says_why_not),
        WITH_WORLD(a_herd_at_expiry_shares_one_refresh),
        WITH_WORLD(nothing_short_of_a_verdict_ends_a_session),
        WITH_WORLD(a_caller_without_a_token_is_told_when_to_come_back),
        cmocka_unit_test(rotated_refresh_tokens_are_each_used_once),
        WITH_WORLD(a_401_ends_the_session_once),
        WITH_WORLD(signed_out_is_signed_out),
        WITH_WORLD(who_waits_at_the_close_is_told),
        WITH_WORLD(a_child_of_fork_is_told_so),
        WITH_WORLD(events_and_ledger_tell_what_happened),
    };

    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests_name("lib", tests, NULL, NULL);
}
