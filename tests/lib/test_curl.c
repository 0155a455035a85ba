/* SPDX-License-Identifier: Apache-2.0 */

/* The libcurl interceptor: both headers or neither, and only to the platform's origins. */

#include "certificate.h"
#include "lib.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    char bytes[4096];
    size_t len;
};

static size_t take(char *bytes, size_t size, size_t count, void *data)
{
    struct text *text = data;
    size_t len = size * count;

    if (len > sizeof(text->bytes) - 1 - text->len)
        return 0;
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    text->bytes[text->len] = '\0';
    return len;
}

/* A header's value as the devserver's echo shows it. */
static void assert_echo(const struct text *text, const char *field, const char *value)
{
    json_t *echo = json_loads(text->bytes, 0, NULL);

    assert_non_null(echo);
    assert_string_equal(json_string_value(json_object_get(echo, field)), value);
    json_decref(echo);
}

static void the_callers_headers_go_along_but_not_under_our_names(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    struct freshet_curl_request request = {0};
    struct text text = {0};
    CURL *easy = curl_easy_init();
    char url[256];
    long http_status = 0;

    request.headers = curl_slist_append(request.headers, "authorization: Bearer forged");
    request.headers = curl_slist_append(request.headers, "X-PREFERRED-PARTNER-ID: fd666");
    request.headers = curl_slist_append(request.headers, "X-Preferred-Partner-Id;");
    request.headers = curl_slist_append(request.headers, "X-Request-Id: own-1");
    (void)curl_easy_setopt(easy, CURLOPT_URL, url_of(world, "/api/x", url));
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, &text);
    assert_int_equal(freshet_curl_perform(session, easy, &request, NULL, NULL), FRESHET_OK);
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http_status);
    assert_int_equal(http_status, 200);
    assert_echo(&text, "partner", "fd42");
    /* The handle can be used again: its headers are the caller's own, and our token is gone. */
    text.len = 0;
    assert_int_equal(curl_easy_perform(easy), CURLE_OK);
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http_status);
    assert_int_not_equal(http_status, 200);
    curl_easy_cleanup(easy);
    curl_slist_free_all(request.headers);
    freshet_session_close(session);
}

static void a_body_is_sent_once(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    struct freshet_curl_request request = {0};
    struct text text = {0};
    CURL *easy = curl_easy_init();
    char url[256];

    request.headers = curl_slist_append(request.headers, "X-Request-Id: once");
    (void)curl_easy_setopt(easy, CURLOPT_URL, url_of(world, "/api/orders", url));
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, "{\"a\": 1}");
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, &text);
    assert_int_equal(freshet_curl_perform(session, easy, &request, NULL, NULL), FRESHET_OK);
    assert_echo(&text, "method", "POST");
    assert_int_equal(devserver_counter(&world->server, "resent_requests"), 0);
    curl_easy_cleanup(easy);
    curl_slist_free_all(request.headers);
    freshet_session_close(session);
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
    struct world *world = *state;
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    struct freshet_error error = {0};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(get(session, rows[i].url, NULL, &error), rows[i].status);
    freshet_session_close(session);
}

static void a_program_without_an_interceptor_asks_where_the_headers_may_go(void **state)
{
    static const char *const origins[] = {"https://files.example.com", "https://localhost:8443"};
    static const struct {
        const char *url;
        int status;
        bool loopback;
    } rows[] = {
        {"https://api.example.com/orders?a=b", FRESHET_OK, false},
        {"https://API.example.com:443/", FRESHET_OK, false},
        {"https://files.example.com/x", FRESHET_OK, false},
        {"https://localhost:8443/x", FRESHET_OK, true},
        {"https://localhost/x", FRESHET_EORIGIN, false},
        {"https://api.example.com.evil.example/", FRESHET_EORIGIN, false},
        {"https://api.example.com@evil.example/", FRESHET_EINVAL, false},
        {"http://api.example.com/", FRESHET_EINSECURE, false},
        {"api.example.com/orders", FRESHET_EINVAL, false},
        {"", FRESHET_EINVAL, false},
        {NULL, FRESHET_EINVAL, false},
    };
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet *freshet = NULL;

    (void)state;
    options.url = "https://api.example.com/v1";
    options.origins = origins;
    options.origins_count = 2;
    assert_int_equal(freshet_open(&options, &freshet, NULL), FRESHET_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct freshet_error error = {0};
        bool loopback = false;

        assert_int_equal(freshet_url_check(freshet, rows[i].url, &loopback, &error),
                         rows[i].status);
        assert_int_equal(loopback, rows[i].loopback);
        assert_int_equal(error.status, rows[i].status);
    }
    assert_int_equal(freshet_url_check(freshet, rows[0].url, NULL, NULL), FRESHET_OK);
    freshet_close(freshet);
}

static void a_redirect_elsewhere_ends_the_transfer_before_its_request(void **state)
{
    struct world *world = *state;
    struct devserver elsewhere = {0};
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    struct freshet_error error = {0};
    char path[512];
    char url[512];

    devserver_start(&elsewhere, "http", NULL);
    (void)snprintf(path, sizeof(path), "%s/api/redirect?to=%s/api/x", world->server.dev.url,
                   elsewhere.dev.url);
    assert_int_equal(get(session, path, NULL, &error), FRESHET_EORIGIN);
    assert_int_equal(devserver_counter(&elsewhere, "api_requests"), 0);
    (void)snprintf(url, sizeof(url), "%s/api/redirect?to=%s/api/x", world->server.dev.url,
                   world->server.dev.url);
    assert_int_equal(get(session, url, NULL, &error), 200);
    assert_int_equal(devserver_counter(&world->server, "api_lacking_authorization"), 0);
    assert_int_equal(devserver_counter(&world->server, "api_lacking_partner"), 0);
    devserver_stop(&elsewhere);
    freshet_session_close(session);
}

static void a_redirect_to_another_origin_of_the_platform_takes_both_headers_along(void **state)
{
    struct world *world = *state;
    const char *origins[1];
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet *freshet = NULL;
    struct freshet_session *session = NULL;
    struct devserver files = {0};
    struct freshet_error error = {0};
    char url[512];

    devserver_start(&files, "http", NULL);
    origins[0] = files.dev.url;
    options.url = world->server.dev.url;
    options.origins = origins;
    options.origins_count = 1;
    assert_int_equal(freshet_open(&options, &freshet, NULL), FRESHET_OK);
    assert_int_equal(freshet_session_open(freshet, "ann", NULL, &session, NULL), FRESHET_OK);
    assert_int_equal(freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, NULL), FRESHET_OK);
    (void)snprintf(url, sizeof(url), "%s/api/redirect?to=%s/api/x", world->server.dev.url,
                   files.dev.url);
    /* The other devserver did not issue the token; what counts is what it was sent. */
    assert_int_equal(get(session, url, NULL, &error), 401);
    assert_int_equal(devserver_counter(&files, "api_requests"), 1);
    assert_int_equal(devserver_counter(&files, "api_lacking_authorization"), 0);
    assert_int_equal(devserver_counter(&files, "api_lacking_partner"), 0);
    freshet_close(freshet);
    devserver_stop(&files);
}

static void loopback_is_never_reached_through_a_proxy(void **state)
{
    struct world *world = *state;
    struct freshet_session *session;
    struct freshet_error error = {0};
    char url[256];

    /* A proxy that answers nothing: whoever used it would fail. */
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(setenv("all_proxy", "http://127.0.0.1:1", 1), 0);
    session = open_signed_in(world, "svc-demo");
    assert_int_equal(get(session, url_of(world, "/api/x", url), NULL, &error), 200);
    (void)unsetenv("http_proxy");
    (void)unsetenv("all_proxy");
    freshet_session_close(session);
}

static void a_failure_of_libcurl_is_told_with_its_code(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    struct freshet_error error = {0};
    CURLcode code = CURLE_OK;
    CURL *easy = curl_easy_init();
    char url[256];

    devserver_control(&world->server, "POST", "/_dev/faults",
                      "{\"match\": \"/api\", \"count\": 1, \"kind\": \"reset_after\"}");
    (void)curl_easy_setopt(easy, CURLOPT_URL, url_of(world, "/api/x", url));
    (void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    assert_int_equal(freshet_curl_perform(session, easy, NULL, &code, &error), FRESHET_EOUTCOME);
    assert_int_not_equal(code, CURLE_OK);
    curl_easy_cleanup(easy);
    freshet_session_close(session);
}

/* ---- TLS ----------------------------------------------------------------------------------- */

static int sign_in_over_tls(const struct devserver *server, const char *ca_file,
                            struct freshet_error *error)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet *freshet = NULL;
    struct freshet_session *session = NULL;
    int status;

    options.url = server->dev.url;
    options.ca_file = ca_file;
    assert_int_equal(freshet_open(&options, &freshet, NULL), FRESHET_OK);
    assert_int_equal(freshet_session_open(freshet, "ann", NULL, &session, NULL), FRESHET_OK);
    status = freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, error);
    freshet_close(freshet);
    return status;
}

static void a_certificate_that_nobody_vouches_for_is_refused(void **state)
{
    struct certificate certificate;
    struct devserver server = {0};
    struct freshet_error error = {0};

    (void)state;
    certificate_make(&certificate);
    const char *const arguments[] = {"--tls-cert", certificate.cert, "--tls-key", certificate.key,
                                     NULL};
    devserver_start(&server, "https", arguments);
    /* Nor is TLS to loopback sent through a proxy, which here would answer nothing. */
    assert_int_equal(setenv("https_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(sign_in_over_tls(&server, NULL, &error), FRESHET_EUNAVAILABLE);
    assert_non_null(strstr(error.message, "certificate"));
    assert_int_equal(sign_in_over_tls(&server, certificate.cert, &error), FRESHET_OK);
    (void)unsetenv("https_proxy");
    devserver_stop(&server);
    certificate_remove(&certificate);
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(the_callers_headers_go_along_but_not_under_our_names),
        WITH_WORLD(a_body_is_sent_once),
        WITH_WORLD(a_foreign_url_is_refused_before_anything_is_sent),
        cmocka_unit_test(a_program_without_an_interceptor_asks_where_the_headers_may_go),
        WITH_WORLD(a_redirect_elsewhere_ends_the_transfer_before_its_request),
        WITH_WORLD(a_redirect_to_another_origin_of_the_platform_takes_both_headers_along),
        WITH_WORLD(loopback_is_never_reached_through_a_proxy),
        WITH_WORLD(a_failure_of_libcurl_is_told_with_its_code),
        cmocka_unit_test(a_certificate_that_nobody_vouches_for_is_refused),
    };

    return cmocka_run_group_tests_name("curl", tests, NULL, NULL);
}
