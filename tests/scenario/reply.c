/* SPDX-License-Identifier: Apache-2.0 */

/* The platform of a scenario: it answers what the file says. */

#include "scenario.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[FSH_EXCHANGE_KINDS] = {
    [FSH_EXCHANGE_SIGN_IN] = "sign_in",
    [FSH_EXCHANGE_MFA] = "mfa",
    [FSH_EXCHANGE_NEW_PASSWORD] = "new_password",
    [FSH_EXCHANGE_REFRESH] = "refresh",
    [FSH_EXCHANGE_PROBE] = "probe",
    [FSH_EXCHANGE_MFA_SETTINGS_GET] = "mfa_settings_get",
    [FSH_EXCHANGE_MFA_SETTINGS_PUT] = "mfa_settings_put",
    [FSH_EXCHANGE_TOTP_GET] = "totp_get",
    [FSH_EXCHANGE_TOTP_PUT] = "totp_put",
};

int scenario_kind(const char *name)
{
    for (int i = 0; i < FSH_EXCHANGE_KINDS; i++) {
        if (name && strcmp(kinds[i], name) == 0)
            return i;
    }
    return -1;
}

/* ---- tokens
 * --------------------------------------------------------------------------------------- */

static void append_base64(char *text, size_t room, const char *bytes)
{
    size_t len = strlen(text);

    (void)sodium_bin2base64(text + len, room - len, (const unsigned char *)bytes, strlen(bytes),
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* A JWT with these claims, and a signature of nobody. */
static json_t *jwt(const json_t *claims)
{
    char token[16384] = "";
    char *text = json_dumps(claims, JSON_COMPACT);

    append_base64(token, sizeof(token), "{\"alg\":\"RS256\"}");
    (void)strcat(token, ".");
    append_base64(token, sizeof(token), text);
    (void)strcat(token, ".");
    append_base64(token, sizeof(token), "signature");
    free(text);
    return json_string(token);
}

/* Replaces each {"jwt": {claims}} by an encoded token. */
static json_t *with_tokens(const json_t *value)
{
    const char *key;
    json_t *member;
    json_t *copy;
    size_t index;

    if (json_is_object(value) && json_is_object(json_object_get(value, "jwt")))
        return jwt(json_object_get(value, "jwt"));
    if (json_is_object(value)) {
        copy = json_object();
        json_object_foreach ((json_t *)(uintptr_t)value, key, member)
            (void)json_object_set_new(copy, key, with_tokens(member));
        return copy;
    }
    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach (value, index, member)
            (void)json_array_append_new(copy, with_tokens(member));
        return copy;
    }
    return json_deep_copy(value);
}

static int64_t whole(const json_t *value, int64_t preset)
{
    return json_is_integer(value) ? json_integer_value(value) : preset;
}

/* The short form of a grant: what is not said is that of an ordinary one of an hour. */
static json_t *grant(struct scenario *scenario, const json_t *given)
{
    const json_t *lifetime = json_object_get(given, "lifetime");
    const json_t *refresh_token = json_object_get(given, "refresh_token");
    const json_t *groups = json_object_get(given, "groups");
    int64_t now = scenario->wall.ms / 1000;
    int64_t life = whole(json_object_get(given, "jwt_lifetime"), whole(lifetime, 3600));
    json_t *claims = json_pack("{s:I, s:I, s:s}", "iat", (json_int_t)now, "exp",
                               (json_int_t)(now + life), "jti", "canary-access");
    json_t *id = json_pack("{s:I, s:I}", "iat", (json_int_t)now, "exp", (json_int_t)(now + life));
    json_t *body = json_pack("{s:o, s:s}", "AccessToken", jwt(claims), "TokenType", "Bearer");

    (void)json_object_set_new(id, "cognito:groups",
                              groups ? json_deep_copy(groups) : json_pack("[s]", "fd42"));
    if (!json_is_false(json_object_get(given, "id_token")))
        (void)json_object_set_new(body, "IdToken", jwt(id));
    if (!lifetime)
        (void)json_object_set_new(body, "ExpiresIn", json_integer(3600));
    else if (!json_is_string(lifetime) || strcmp(json_string_value(lifetime), "omit") != 0)
        (void)json_object_set_new(body, "ExpiresIn", json_deep_copy(lifetime));
    if (refresh_token)
        (void)json_object_set_new(body, "RefreshToken", json_deep_copy(refresh_token));
    json_decref(claims);
    json_decref(id);
    return body;
}

/* ---- replies
 * ---------------------------------------------------------------------------------------- */

static char *body_of(struct scenario *scenario, const json_t *step)
{
    const json_t *text = json_object_get(step, "text");
    const json_t *bytes = json_object_get(step, "bytes");
    json_t *json = NULL;
    char *body;

    if (text)
        return strdup(json_string_value(text));
    if (bytes) {
        size_t len = (size_t)json_integer_value(bytes);

        body = calloc(1, len + 1);
        memset(body, ' ', len);
        return body;
    }
    if (json_object_get(step, "grant"))
        json = grant(scenario, json_object_get(step, "grant"));
    else if (json_object_get(step, "json"))
        json = with_tokens(json_object_get(step, "json"));
    body = json ? json_dumps(json, JSON_COMPACT) : strdup("");
    json_decref(json);
    return body;
}

static struct fsh_request *take(struct scenario *scenario, const json_t *step)
{
    const char *name = json_string_value(json_object_get(step, "reply"));
    const struct actor *actor = scenario_actor(scenario, step);
    int kind = scenario_kind(name);

    for (unsigned i = 0; i < scenario->in_air_count; i++) {
        struct fsh_request *request = scenario->in_air[i];

        if ((int)request->kind == kind && request->session == actor->session) {
            scenario->in_air[i] = scenario->in_air[--scenario->in_air_count];
            return request;
        }
    }
    scenario_problem(scenario, "no request \"%s\" is in the air", name ? name : "?");
    return NULL;
}

static const char *header(const json_t *step, const char *name)
{
    return json_string_value(json_object_get(json_object_get(step, "headers"), name));
}

void scenario_reply(struct scenario *scenario, const json_t *step)
{
    const char *lost = json_string_value(json_object_get(step, "lost"));
    struct fsh_request *request = take(scenario, step);
    char *body = body_of(scenario, step);
    struct fsh_reply reply = {
        .complete = !lost,
        .sent = !lost || strcmp(lost, "unsent") != 0,
        .http_status = lost ? 0 : (int)whole(json_object_get(step, "status"), 200),
        .retry_after = header(step, "Retry-After"),
        .date = header(step, "Date"),
        .body = body,
        .body_len = strlen(body),
        .failure = lost ? "the connection was lost" : NULL,
    };

    if (request)
        fsh_engine_answered(request, &reply);
    free(body);
    scenario_settle(scenario);
}
