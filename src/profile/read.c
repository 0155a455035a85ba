/* SPDX-License-Identifier: Apache-2.0 */

/* Answers: what came back, as the outcomes that rules 6 and 7 tell apart. */

#include "profile/grant.h"
#include "profile/json.h"
#include "profile/retry_after.h"
#include "profile/table.h"

#include <freshet/status.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void to_printable(char *text)
{
    for (; *text; text++) {
        if (*text < ' ' || *text > '~')
            *text = '?';
    }
}

__attribute__((format(printf, 4, 5))) static void
conclude(struct fsh_answer *answer, enum fsh_outcome outcome, int status, const char *format, ...)
{
    va_list args;

    answer->outcome = outcome;
    answer->status = status;
    va_start(args, format);
    (void)vsnprintf(answer->detail, sizeof(answer->detail), format, args);
    va_end(args);
    to_printable(answer->detail);
}

/* ---- errors -------------------------------------------------------------------------------- */

/* The platform's own error code. Cognito's stands behind the name space: "ns#Code". */
static void read_code(const struct fsh_profile_dialect *dialect, const json_t *body,
                      struct fsh_answer *answer)
{
    const char *code = NULL;

    for (const char *const *field = dialect->code_fields; *field && !code; field++)
        code = json_string_value(json_object_get(body, *field));
    if (!code)
        return;
    if (strchr(code, '#'))
        code = strchr(code, '#') + 1;
    (void)snprintf(answer->code, sizeof(answer->code), "%.*s", (int)sizeof(answer->code) - 1, code);
    to_printable(answer->code);
}

enum situation { REFRESHING, SIGNING_IN, ANSWERING };

static enum situation situation_of(enum fsh_exchange_kind kind)
{
    switch (kind) {
    case FSH_EXCHANGE_SIGN_IN:
        return SIGNING_IN;
    case FSH_EXCHANGE_MFA:
    case FSH_EXCHANGE_NEW_PASSWORD:
        return ANSWERING;
    default:
        return REFRESHING;
    }
}

static int meaning(const struct fsh_profile_code *code, enum fsh_exchange_kind kind)
{
    if (kind == FSH_EXCHANGE_TOTP_PUT && code->challenge == FRESHET_EMFACODE)
        return code->challenge;
    switch (situation_of(kind)) {
    case SIGNING_IN:
        return code->sign_in;
    case ANSWERING:
        return code->challenge;
    case REFRESHING:
        break;
    }
    return code->refresh;
}

/* The status that the answer's code stands for; 0 when it is no verdict. */
static int definite(const struct fsh_profile_dialect *dialect, enum fsh_exchange_kind kind,
                    const char *code)
{
    for (const struct fsh_profile_code *row = dialect->codes; row->code; row++) {
        if (strcmp(row->code, code) == 0)
            return meaning(row, kind);
    }
    return 0;
}

/* A 401 is a verdict whatever its body says (rule 6). */
static int status_of_401(enum fsh_exchange_kind kind)
{
    switch (situation_of(kind)) {
    case SIGNING_IN:
        return FRESHET_ECREDENTIALS;
    case ANSWERING:
        return FRESHET_ECHALLENGEOVER;
    case REFRESHING:
        break;
    }
    return FRESHET_EENDED;
}

static void read_4xx(const struct fsh_profile_dialect *dialect, enum fsh_exchange_kind kind,
                     const struct fsh_reply *reply, struct fsh_answer *answer)
{
    json_t *body = NULL;
    int status = fsh_profile_json_object(reply->body, reply->body_len, &body);

    /* A body that could not be read may be a verdict, or say more than the 401 does. */
    if (status == FRESHET_ENOMEM) {
        conclude(answer, FSH_OUTCOME_TRANSIENT, status, "out of memory");
        return;
    }
    if (body)
        read_code(dialect, body, answer);
    status = answer->code[0] ? definite(dialect, kind, answer->code) : 0;
    if (status == 0 && reply->http_status == 401)
        status = status_of_401(kind);
    if (status != 0)
        conclude(answer, FSH_OUTCOME_DEFINITE, status, "the platform answered %d %s",
                 reply->http_status, answer->code);
    else
        conclude(answer, FSH_OUTCOME_TRANSIENT, FRESHET_EUNAVAILABLE, "the platform answered %d %s",
                 reply->http_status, body ? answer->code : "with a page instead of JSON");
    fsh_profile_json_done(body);
}

/* ---- success ------------------------------------------------------------------------------- */

static void bad_body(struct fsh_answer *answer, const char *detail)
{
    conclude(answer, FSH_OUTCOME_UNKNOWN, FRESHET_EBADBODY, "%s", detail);
}

static void out_of_memory(struct fsh_answer *answer)
{
    conclude(answer, FSH_OUTCOME_UNKNOWN, FRESHET_ENOMEM, "out of memory");
}

static enum fsh_challenge challenge_of(const struct fsh_profile_dialect *dialect, const char *name)
{
    for (const struct fsh_profile_name *row = dialect->challenges; row->name; row++) {
        if (strcmp(row->name, name) == 0)
            return (enum fsh_challenge)row->meaning;
    }
    return FSH_CHALLENGE_OTHER;
}

static int status_of_challenge(enum fsh_challenge challenge)
{
    if (challenge == FSH_CHALLENGE_MFA)
        return FRESHET_EMFA;
    return challenge == FSH_CHALLENGE_NEW_PASSWORD ? FRESHET_ENEWPASSWORD
                                                   : FRESHET_ECHALLENGEUNKNOWN;
}

static void read_challenge(const struct fsh_profile_dialect *dialect, const json_t *body,
                           struct fsh_answer *answer)
{
    const struct fsh_profile_fields *fields = &dialect->fields;
    const char *name = json_string_value(json_object_get(body, fields->ret_challenge));
    int status;

    if (!name || json_object_get(body, fields->ret_access_token)) {
        bad_body(answer, "the answer is neither a grant nor a challenge");
        return;
    }
    status = fsh_profile_secret_field(body, fields->ret_session, FSH_CHALLENGE_MAX,
                                      &answer->challenge_session);
    if (status == FRESHET_ENOMEM) {
        out_of_memory(answer);
        return;
    }
    if (status != FRESHET_OK || fsh_base_secret_empty(&answer->challenge_session)) {
        bad_body(answer, "the challenge comes without a usable session");
        return;
    }
    answer->challenge = challenge_of(dialect, name);
    conclude(answer, FSH_OUTCOME_CHALLENGE, status_of_challenge(answer->challenge),
             "the platform asks for %.64s", name);
}

static void read_grant(const struct fsh_profile_dialect *dialect, const json_t *body,
                       struct fsh_answer *answer)
{
    const char *detail = "";
    const json_t *challenge = json_object_get(body, dialect->fields.ret_challenge);
    int status;

    if (challenge && !json_is_null(challenge)) {
        read_challenge(dialect, body, answer);
        return;
    }
    status = fsh_profile_grant(dialect, body, &answer->grant, &detail);
    if (status == FRESHET_EBADBODY)
        bad_body(answer, detail);
    else if (status != FRESHET_OK)
        out_of_memory(answer);
    else
        conclude(answer, FSH_OUTCOME_GRANT, FRESHET_OK, "granted");
}

static void read_settings(const struct fsh_profile_dialect *dialect, const json_t *body,
                          struct fsh_answer *answer)
{
    const struct fsh_profile_fields *fields = &dialect->fields;
    const json_t *enabled = json_object_get(body, fields->ret_mfa_enabled);
    const char *preferred = json_string_value(json_object_get(body, fields->ret_mfa_preferred));

    answer->mfa.enabled = json_is_boolean(enabled) ? json_is_true(enabled) : -1;
    (void)snprintf(answer->mfa.preferred, sizeof(answer->mfa.preferred), "%.*s",
                   (int)sizeof(answer->mfa.preferred) - 1, preferred ? preferred : "");
    to_printable(answer->mfa.preferred);
    conclude(answer, FSH_OUTCOME_GRANT, FRESHET_OK, "answered");
}

static void read_totp(const struct fsh_profile_dialect *dialect, const json_t *body,
                      struct fsh_answer *answer)
{
    const struct fsh_profile_fields *fields = &dialect->fields;
    int status =
        fsh_profile_secret_field(body, fields->ret_qr_uri, FSH_CHALLENGE_MAX, &answer->mfa.qr_uri);

    if (status == FRESHET_OK)
        status = fsh_profile_secret_field(body, fields->ret_qr_secret, FSH_CREDENTIAL_MAX,
                                          &answer->mfa.qr_secret);
    if (status == FRESHET_ENOMEM) {
        out_of_memory(answer);
        return;
    }
    if (status != FRESHET_OK || fsh_base_secret_empty(&answer->mfa.qr_uri)) {
        bad_body(answer, "the answer has no usable QR code");
        return;
    }
    conclude(answer, FSH_OUTCOME_GRANT, FRESHET_OK, "answered");
}

static void read_2xx(const struct fsh_profile_dialect *dialect, enum fsh_exchange_kind kind,
                     const struct fsh_reply *reply, struct fsh_answer *answer)
{
    json_t *body = NULL;
    int status;

    /* Of these the status alone tells. */
    if (kind == FSH_EXCHANGE_PROBE || kind == FSH_EXCHANGE_MFA_SETTINGS_PUT ||
        kind == FSH_EXCHANGE_TOTP_PUT) {
        conclude(answer, FSH_OUTCOME_GRANT, FRESHET_OK, "answered");
        return;
    }
    status = fsh_profile_json_object(reply->body, reply->body_len, &body);
    if (status == FRESHET_ENOMEM)
        out_of_memory(answer);
    else if (!body)
        bad_body(answer, "the answer is no JSON object");
    else if (kind == FSH_EXCHANGE_MFA_SETTINGS_GET)
        read_settings(dialect, body, answer);
    else if (kind == FSH_EXCHANGE_TOTP_GET)
        read_totp(dialect, body, answer);
    else
        read_grant(dialect, body, answer);
    fsh_profile_json_done(body);
}

/* ---- all ----------------------------------------------------------------------------------- */

static void read_incomplete(const struct fsh_reply *reply, struct fsh_answer *answer)
{
    const char *failure = reply->failure ? reply->failure : "no complete answer came";

    conclude(answer, reply->sent ? FSH_OUTCOME_UNKNOWN : FSH_OUTCOME_TRANSIENT,
             FRESHET_EUNAVAILABLE, "%s", failure);
}

void fsh_profile_read(const struct fsh_profile *profile, enum fsh_exchange_kind kind,
                      const struct fsh_reply *reply, struct fsh_wall now,
                      struct fsh_answer *ret_answer)
{
    const struct fsh_profile_dialect *dialect = profile->dialect;
    int http = reply->http_status;

    *ret_answer = (struct fsh_answer){
        .http_status = http,
        .retry_after_ms = fsh_profile_retry_after(reply->retry_after, reply->date, now),
        .mfa = {.enabled = -1},
    };
    if (!reply->complete)
        read_incomplete(reply, ret_answer);
    else if (http >= 200 && http < 300)
        read_2xx(dialect, kind, reply, ret_answer);
    else if (http >= 400 && http < 500)
        read_4xx(dialect, kind, reply, ret_answer);
    else if (http >= 300 && http < 400)
        conclude(ret_answer, FSH_OUTCOME_TRANSIENT, FRESHET_EUNAVAILABLE,
                 "the platform answered %d: a redirect of sign-in is not followed", http);
    else
        conclude(ret_answer, FSH_OUTCOME_UNKNOWN, FRESHET_EUNAVAILABLE, "the platform answered %d",
                 http);
}

void fsh_profile_answer_done(struct fsh_answer *answer)
{
    if (!answer)
        return;
    fsh_base_secret_done(&answer->challenge_session);
    fsh_profile_grant_done(&answer->grant);
    fsh_base_secret_done(&answer->mfa.qr_uri);
    fsh_base_secret_done(&answer->mfa.qr_secret);
}
