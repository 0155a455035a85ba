/* SPDX-License-Identifier: Apache-2.0 */

/* The profile `partner`: questions byte for byte, answers sorted into the outcomes of rules 6
 * and 7. */

#include "profile/json.h"
#include "profile/jwt.h"
#include "profile/profile.h"
#include "profile/retry_after.h"
#include "unit.h"

#include <freshet/status.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fsh_secret text(const char *bytes)
{
    struct fsh_secret secret = {0};

    assert_int_equal(fsh_base_secret_copy(bytes, strlen(bytes), &secret), FRESHET_OK);
    return secret;
}

/* ---- questions ------------------------------------------------------------------------------- */

static void questions_are_what_the_platform_expects(void **state)
{
    const struct fsh_profile *profile = fsh_profile_find("partner");
    struct fsh_secret secret = text("s\"1");
    struct fsh_secret session = text("sess");
    struct fsh_question question = {
        .username = "ann",
        .password = &secret,
        .device_key = &session,
        .device_group_key = &session,
        .session = &session,
        .code = &secret,
        .new_password = &secret,
        .refresh_token = &secret,
        .remember_device = true,
        .mfa_enabled = 0,
        .mfa_method = "totp",
    };
    static const struct {
        enum fsh_exchange_kind kind;
        const char *method;
        const char *path;
        bool authorized;
        const char *body;
    } rows[] = {
        {FSH_EXCHANGE_SIGN_IN, "POST", "/auth", false,
         "{\"username\":\"ann\",\"password\":\"s\\\"1\",\"device_key\":\"sess\","
         "\"device_group_key\":\"sess\"}"},
        {FSH_EXCHANGE_MFA, "PUT", "/auth/challenge/mfa-token", false,
         "{\"username\":\"ann\",\"session\":\"sess\",\"mfa_token\":\"s\\\"1\","
         "\"remember_device\":true}"},
        {FSH_EXCHANGE_NEW_PASSWORD, "PUT", "/auth/challenge/new-password", false,
         "{\"username\":\"ann\",\"session\":\"sess\",\"new_password\":\"s\\\"1\"}"},
        {FSH_EXCHANGE_REFRESH, "POST", "/auth/refresh_token", false,
         "{\"refresh_token\":\"s\\\"1\"}"},
        {FSH_EXCHANGE_PROBE, "GET", "/auth/mfa/settings", true, ""},
        {FSH_EXCHANGE_MFA_SETTINGS_GET, "GET", "/auth/mfa/settings", true, ""},
        {FSH_EXCHANGE_MFA_SETTINGS_PUT, "PUT", "/auth/mfa/settings", true,
         "{\"mfa_enabled\":false,\"preferred_method\":\"totp\"}"},
        {FSH_EXCHANGE_TOTP_GET, "GET", "/auth/mfa/configure/totp", true, ""},
        {FSH_EXCHANGE_TOTP_PUT, "PUT", "/auth/mfa/configure/totp", true,
         "{\"mfa_token\":\"s\\\"1\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fsh_message message = {0};

        assert_int_equal(fsh_profile_ask(profile, rows[i].kind, &question, &message), FRESHET_OK);
        assert_string_equal(message.method, rows[i].method);
        assert_string_equal(message.path, rows[i].path);
        assert_int_equal(message.authorized, rows[i].authorized);
        assert_string_equal(fsh_base_secret_reveal(&message.body), rows[i].body);
        fsh_profile_message_done(&message);
    }
    fsh_base_secret_done(&secret);
    fsh_base_secret_done(&session);
}

static void questions_that_lack_something_are_refused(void **state)
{
    const struct fsh_profile *profile = fsh_profile_find("partner");
    struct fsh_secret bad_utf8 = text("\xff\xfe");
    struct fsh_secret empty = {0};
    struct fsh_question question = {.username = "ann", .password = &empty, .mfa_enabled = -1};
    struct fsh_message message = {0};

    (void)state;
    assert_int_equal(fsh_profile_ask(profile, FSH_EXCHANGE_SIGN_IN, &question, &message),
                     FRESHET_EINVAL);
    question.password = &bad_utf8;
    assert_int_equal(fsh_profile_ask(profile, FSH_EXCHANGE_SIGN_IN, &question, &message),
                     FRESHET_EINVAL);
    question.password = NULL;
    assert_int_equal(fsh_profile_ask(profile, FSH_EXCHANGE_SIGN_IN, &question, &message),
                     FRESHET_EINVAL);
    assert_int_equal(fsh_profile_ask(profile, FSH_EXCHANGE_REFRESH, &question, &message),
                     FRESHET_EINVAL);
    fsh_base_secret_done(&bad_utf8);
}

static void the_scheme_is_the_profiles(void **state)
{
    struct fsh_secret token = text("abc");
    struct fsh_secret bad = text("a b");
    struct fsh_secret value = {0};

    (void)state;
    assert_int_equal(fsh_profile_authorization(fsh_profile_find("partner"), &token, &value), 0);
    assert_string_equal(fsh_base_secret_reveal(&value), "Bearer abc");
    assert_int_equal(fsh_profile_authorization(fsh_profile_find("partner-bare"), &token, &value),
                     0);
    assert_string_equal(fsh_base_secret_reveal(&value), "abc");
    assert_int_equal(fsh_profile_authorization(fsh_profile_find("partner"), &bad, &value),
                     FRESHET_EBADBODY);
    assert_null(fsh_profile_find("nonesuch"));
    fsh_base_secret_done(&token);
    fsh_base_secret_done(&bad);
    fsh_base_secret_done(&value);
}

/* ---- answers --------------------------------------------------------------------------------- */

struct answer_row {
    enum fsh_exchange_kind kind;
    int http;
    const char *body;
    enum fsh_outcome outcome;
    int status;
};

#define REFRESH FSH_EXCHANGE_REFRESH
#define SIGN_IN FSH_EXCHANGE_SIGN_IN
#define MFA     FSH_EXCHANGE_MFA
#define NAE     "{\"code\":\"NotAuthorizedException\"}"

static const struct answer_row answers[] = {
    {REFRESH, 200, "{\"AccessToken\":\"a\"}", FSH_OUTCOME_GRANT, FRESHET_OK},
    {REFRESH, 201, "{\"AccessToken\":\"a\",\"TokenType\":\"bearer\"}", FSH_OUTCOME_GRANT, 0},
    {REFRESH, 200, "{\"AccessToken\":\"a\",\"TokenType\":\"mac\"}", FSH_OUTCOME_UNKNOWN,
     FRESHET_EBADBODY},
    {REFRESH, 200, "{\"AccessToken\":1}", FSH_OUTCOME_UNKNOWN, FRESHET_EBADBODY},
    {REFRESH, 200, "{\"AccessToken\":\"\"}", FSH_OUTCOME_UNKNOWN, FRESHET_EBADBODY},
    {REFRESH, 200, "{\"AccessToken\":\"a b\"}", FSH_OUTCOME_UNKNOWN, FRESHET_EBADBODY},
    {REFRESH, 200, "{\"AccessToken\":\"a\",\"IdToken\":\"no.jwt\"}", FSH_OUTCOME_UNKNOWN,
     FRESHET_EBADBODY},
    {REFRESH, 200, "{\"AccessToken\":\"a\",\"RefreshToken\":7}", FSH_OUTCOME_UNKNOWN,
     FRESHET_EBADBODY},
    {REFRESH, 200, "", FSH_OUTCOME_UNKNOWN, FRESHET_EBADBODY},
    {REFRESH, 200, "null", FSH_OUTCOME_UNKNOWN, FRESHET_EBADBODY},
    {REFRESH, 200, "{\"AccessToken\":\"a\"} trailing", FSH_OUTCOME_UNKNOWN, FRESHET_EBADBODY},
    {REFRESH, 204, "", FSH_OUTCOME_UNKNOWN, FRESHET_EBADBODY},
    {REFRESH, 401, "", FSH_OUTCOME_DEFINITE, FRESHET_EENDED},
    {REFRESH, 400, NAE, FSH_OUTCOME_DEFINITE, FRESHET_EENDED},
    {REFRESH, 400, "{\"__type\":\"com.amazon#NotAuthorizedException\"}", FSH_OUTCOME_DEFINITE,
     FRESHET_EENDED},
    {REFRESH, 400, "{\"error\":\"invalid_grant\"}", FSH_OUTCOME_DEFINITE, FRESHET_EENDED},
    {REFRESH, 400, "{\"code\":\"UserDisabledException\"}", FSH_OUTCOME_DEFINITE,
     FRESHET_ESUSPENDED},
    {REFRESH, 400, "{\"code\":\"CodeMismatchException\"}", FSH_OUTCOME_TRANSIENT,
     FRESHET_EUNAVAILABLE},
    {REFRESH, 403, "<html>", FSH_OUTCOME_TRANSIENT, FRESHET_EUNAVAILABLE},
    {REFRESH, 404, "{}", FSH_OUTCOME_TRANSIENT, FRESHET_EUNAVAILABLE},
    {REFRESH, 408, "", FSH_OUTCOME_TRANSIENT, FRESHET_EUNAVAILABLE},
    {REFRESH, 429, "{\"code\":\"TooManyRequestsException\"}", FSH_OUTCOME_TRANSIENT,
     FRESHET_EUNAVAILABLE},
    {REFRESH, 302, "", FSH_OUTCOME_TRANSIENT, FRESHET_EUNAVAILABLE},
    {REFRESH, 500, NAE, FSH_OUTCOME_UNKNOWN, FRESHET_EUNAVAILABLE},
    {REFRESH, 503, "", FSH_OUTCOME_UNKNOWN, FRESHET_EUNAVAILABLE},
    {REFRESH, 999, "", FSH_OUTCOME_UNKNOWN, FRESHET_EUNAVAILABLE},
    {SIGN_IN, 401, NAE, FSH_OUTCOME_DEFINITE, FRESHET_ECREDENTIALS},
    {SIGN_IN, 200, "{\"Challenge\":\"SOFTWARE_TOKEN_MFA\",\"Session\":\"s\"}",
     FSH_OUTCOME_CHALLENGE, FRESHET_EMFA},
    {SIGN_IN, 200, "{\"Challenge\":\"NEW_PASSWORD_REQUIRED\",\"Session\":\"s\"}",
     FSH_OUTCOME_CHALLENGE, FRESHET_ENEWPASSWORD},
    {SIGN_IN, 200, "{\"Challenge\":\"X\",\"Session\":\"s\"}", FSH_OUTCOME_CHALLENGE,
     FRESHET_ECHALLENGEUNKNOWN},
    {SIGN_IN, 200, "{\"Challenge\":\"SMS_MFA\"}", FSH_OUTCOME_UNKNOWN, FRESHET_EBADBODY},
    {SIGN_IN, 200, "{\"Challenge\":\"SMS_MFA\",\"Session\":\"s\",\"AccessToken\":\"a\"}",
     FSH_OUTCOME_UNKNOWN, FRESHET_EBADBODY},
    {MFA, 400, "{\"code\":\"CodeMismatchException\"}", FSH_OUTCOME_DEFINITE, FRESHET_EMFACODE},
    {MFA, 400, "{\"code\":\"ExpiredCodeException\"}", FSH_OUTCOME_DEFINITE, FRESHET_ECHALLENGEOVER},
    {MFA, 401, NAE, FSH_OUTCOME_DEFINITE, FRESHET_ECHALLENGEOVER},
    {FSH_EXCHANGE_NEW_PASSWORD, 400, "{\"code\":\"InvalidPasswordException\"}",
     FSH_OUTCOME_DEFINITE, FRESHET_EPASSWORDPOLICY},
    {FSH_EXCHANGE_PROBE, 200, "anything", FSH_OUTCOME_GRANT, FRESHET_OK},
    {FSH_EXCHANGE_PROBE, 401, "", FSH_OUTCOME_DEFINITE, FRESHET_EENDED},
    {FSH_EXCHANGE_PROBE, 403, "", FSH_OUTCOME_TRANSIENT, FRESHET_EUNAVAILABLE},
    {FSH_EXCHANGE_TOTP_GET, 200, "{}", FSH_OUTCOME_UNKNOWN, FRESHET_EBADBODY},
    {FSH_EXCHANGE_TOTP_PUT, 400, "{\"code\":\"CodeMismatchException\"}", FSH_OUTCOME_DEFINITE,
     FRESHET_EMFACODE},
};

static void read(enum fsh_exchange_kind kind, int http, const char *body,
                 struct fsh_answer *ret_answer)
{
    struct fsh_reply reply = {
        .complete = true,
        .sent = true,
        .http_status = http,
        .body = body,
        .body_len = strlen(body),
    };

    fsh_profile_read(fsh_profile_find("partner"), kind, &reply, (struct fsh_wall){0}, ret_answer);
}

static void answers_are_sorted_into_outcomes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const struct answer_row *row = &answers[i];
        struct fsh_answer answer;

        read(row->kind, row->http, row->body, &answer);
        if (answer.outcome != row->outcome || answer.status != row->status)
            fail_msg("row %zu: %d %s: outcome %d, %s (%s)", i, row->http, row->body, answer.outcome,
                     freshet_status_name(answer.status), answer.detail);
        fsh_profile_answer_done(&answer);
    }
}

static void no_answer_is_unknown_only_when_something_was_sent(void **state)
{
    struct fsh_reply reply = {.failure = "no\nroute", .body = ""};
    struct fsh_answer answer;

    (void)state;
    fsh_profile_read(fsh_profile_find("partner"), REFRESH, &reply, (struct fsh_wall){0}, &answer);
    assert_int_equal(answer.outcome, FSH_OUTCOME_TRANSIENT);
    assert_string_equal(answer.detail, "no?route");
    reply.sent = true;
    reply.http_status = 200; /* the headers came, the body did not */
    fsh_profile_read(fsh_profile_find("partner"), REFRESH, &reply, (struct fsh_wall){0}, &answer);
    assert_int_equal(answer.outcome, FSH_OUTCOME_UNKNOWN);
}

static void codes_and_details_are_printable_and_bounded(void **state)
{
    struct fsh_answer answer;
    char body[1024];
    char code[600];

    (void)state;
    memset(code, 'x', sizeof(code) - 1);
    code[sizeof(code) - 1] = '\0';
    (void)snprintf(body, sizeof(body), "{\"code\":\"\\u001b[31m\\u00e9%s\"}", code);
    read(REFRESH, 400, body, &answer);
    assert_memory_equal(answer.code, "?[31m", 5);
    for (const char *c = answer.code; *c; c++)
        assert_in_range(*c, ' ', '~');
    assert_in_range(strlen(answer.code), 1, FSH_CODE_MAX - 1);
    fsh_profile_answer_done(&answer);
}

static void too_many_partners_are_a_bad_body(void **state)
{
    json_t *groups = json_array();
    struct fsh_secret claims = {0};
    struct fsh_secret body = {0};
    struct fsh_answer answer;
    char token[16384];
    json_t *json;

    (void)state;
    for (int i = 0; i < FSH_PARTNERS_MAX + 1; i++)
        (void)json_array_append_new(groups, json_sprintf("fd%d", i));
    json = json_pack("{s:o}", "cognito:groups", groups);
    assert_int_equal(fsh_profile_json_dump(json, &claims), FRESHET_OK);
    json_decref(json);
    (void)strcpy(token, "e30.");
    (void)sodium_bin2base64(token + 4, sizeof(token) - 16,
                            (const unsigned char *)fsh_base_secret_reveal(&claims), claims.len,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    (void)strcat(token, ".c2ln");
    json = json_pack("{s:s, s:s}", "AccessToken", "a", "IdToken", token);
    assert_int_equal(fsh_profile_json_dump(json, &body), FRESHET_OK);
    json_decref(json);
    read(REFRESH, 200, fsh_base_secret_reveal(&body), &answer);
    assert_int_equal(answer.outcome, FSH_OUTCOME_UNKNOWN);
    assert_non_null(strstr(answer.detail, "256"));
    fsh_profile_answer_done(&answer);
    fsh_base_secret_done(&claims);
    fsh_base_secret_done(&body);
}

/* ---- JWT ------------------------------------------------------------------------------------- */

static void only_strict_jwts_are_read(void **state)
{
    static const char *const bad[] = {
        "",
        ".",
        "..",
        "e30.e30",
        "e30..c2ln",
        "e30.e30.",
        "e30=.e30.c2ln",
        "e30.e30.c2ln.x",
        "e30.e3!.c2ln",
        "e30.W10.c2ln" /* an array */,
        "e30.e31.c2ln" /* left-over bits */,
        "e30.e30.c2 n",
        " e30.e30.c2ln",
    };
    json_t *claims = NULL;

    (void)state;
    assert_int_equal(fsh_profile_jwt_claims("e30.e30.c2ln", 12, &claims), FRESHET_OK);
    assert_non_null(claims);
    fsh_profile_json_done(claims);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(fsh_profile_jwt_claims(bad[i], strlen(bad[i]), &claims), FRESHET_EBADBODY);
}

static void lifetimes_of_claims(void **state)
{
    static const struct {
        const char *claims;
        bool told;
        int64_t ms;
    } rows[] = {
        {"{\"iat\":100,\"exp\":160}", true, 60000},
        {"{\"iat\":100.5,\"exp\":101}", true, 500},
        {"{\"iat\":160,\"exp\":100}", true, 0},
        {"{\"iat\":\"100\",\"exp\":160}", false, 0},
        {"{\"exp\":160}", false, 0},
        {"{\"iat\":-1,\"exp\":160}", false, 0},
        {"{\"iat\":1,\"exp\":1e300}", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *claims = NULL;
        int64_t ms = 0;

        assert_int_equal(fsh_profile_json_object(rows[i].claims, strlen(rows[i].claims), &claims),
                         FRESHET_OK);
        assert_int_equal(fsh_profile_jwt_lifetime(claims, &ms), rows[i].told);
        assert_int_equal(ms, rows[i].ms);
        fsh_profile_json_done(claims);
    }
}

/* ---- Retry-After ------------------------------------------------------------------------------
 */

static void retry_after_in_all_its_forms(void **state)
{
    static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";
    static const struct {
        const char *value;
        const char *date;
        int64_t ms;
    } rows[] = {
        {NULL, NULL, -1},
        {"0", NULL, 0},
        {"120", NULL, 120000},
        {" 7", NULL, 7000},
        {"99999999999999999999999", NULL, FSH_RETRY_AFTER_MS},
        {"-5", NULL, -1},
        {"1.5", NULL, -1},
        {"", NULL, -1},
        {"soon", NULL, -1},
        {"Sun, 06 Nov 1994 08:50:37 GMT", date, 60000},
        {"Sunday, 06-Nov-94 08:50:37 GMT", date, 60000},
        {"Sun Nov  6 08:50:37 1994", date, 60000},
        {"Sun, 06 Nov 1994 08:48:37 GMT", date, 0},
        {"Sun, 06 Nov 1994 08:49:47 GMT", NULL, 10000}, /* by this machine's calendar */
        {"Sun, 06 Nov 1994 08:50:37 GMT", "nonsense", 60000},
        {"Sun, 31 Feb 1994 08:50:37 GMT", date, -1},
        {"Sun, 06 Nov 1994 25:50:37 GMT", date, -1},
        {"Sun, 06 Nov 1994 08:50:37 CET", date, -1},
        {"Sun, 06 Nov 1994 08:50:37 GMT and more", date, -1},
    };
    const struct fsh_wall now = {INT64_C(784111777000)};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t ms = fsh_profile_retry_after(rows[i].value, rows[i].date, now);

        if (ms != rows[i].ms)
            fail_msg("%s: %lld", rows[i].value ? rows[i].value : "none", (long long)ms);
    }
}

static void dates_count_leap_years(void **state)
{
    static const struct {
        const char *date;
        int64_t seconds;
    } rows[] = {
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Tue, 29 Feb 2000 12:00:00 GMT", 951825600},
        {"Wed, 01 Mar 2000 00:00:00 GMT", 951868800},
        {"Fri, 31 Dec 2100 23:59:59 GMT", 4133980799},
        {"Tue, 24 Nov 2026 00:00:00 GMT", 1795478400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fsh_wall at = {0};

        assert_true(fsh_profile_http_date(rows[i].date, &at));
        assert_int_equal(at.ms / 1000, rows[i].seconds);
    }
}

/* ---- without memory -----------------------------------------------------------------------------
 */

static unsigned allocations_left;

static void *failing_malloc(size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return malloc(size);
}

static void without_memory_nothing_is_lost_or_leaked(void **state)
{
    static const char body[] =
        "{\"AccessToken\":\"a\",\"RefreshToken\":\"r\",\"IdToken\":\"e30.e30.c2ln\"}";
    bool granted = false;

    (void)state;
    json_set_alloc_funcs(failing_malloc, free);
    for (unsigned allowed = 0; allowed < 200 && !granted; allowed++) {
        struct fsh_answer answer;

        allocations_left = allowed;
        read(REFRESH, 200, body, &answer);
        granted = answer.outcome == FSH_OUTCOME_GRANT;
        assert_true(granted || answer.outcome == FSH_OUTCOME_UNKNOWN);
        fsh_profile_answer_done(&answer);
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(granted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_what_the_platform_expects),
        cmocka_unit_test(questions_that_lack_something_are_refused),
        cmocka_unit_test(the_scheme_is_the_profiles),
        cmocka_unit_test(answers_are_sorted_into_outcomes),
        cmocka_unit_test(no_answer_is_unknown_only_when_something_was_sent),
        cmocka_unit_test(codes_and_details_are_printable_and_bounded),
        cmocka_unit_test(too_many_partners_are_a_bad_body),
        cmocka_unit_test(only_strict_jwts_are_read),
        cmocka_unit_test(lifetimes_of_claims),
        cmocka_unit_test(retry_after_in_all_its_forms),
        cmocka_unit_test(dates_count_leap_years),
        cmocka_unit_test(without_memory_nothing_is_lost_or_leaked),
    };

    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
