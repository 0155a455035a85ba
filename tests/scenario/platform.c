/* SPDX-License-Identifier: Apache-2.0 */

/* The platform of a scenario: it answers what the file says, or not at all. */

#include "scenario.h"

#include <freshet/status.h>
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

const char *scenario_kind_name(int kind)
{
    return kinds[kind];
}

/* ---- tokens
 * ------------------------------------------------------------------------------------
 */

static char *base64(const char *bytes)
{
    size_t room =
        sodium_base64_encoded_len(strlen(bytes), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *text = malloc(room);

    if (!text)
        abort();
    return sodium_bin2base64(text, room, (const unsigned char *)bytes, strlen(bytes),
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* A JWT with these claims, and a signature of nobody. Takes the reference. */
static json_t *jwt(json_t *claims)
{
    char *plain = json_dumps(claims, JSON_COMPACT);
    char *first = base64("{\"alg\":\"RS256\"}");
    char *second = base64(plain);
    char *third = base64("nobody signed this");
    json_t *token = json_sprintf("%s.%s.%s", first, second, third);

    free(plain);
    free(first);
    free(second);
    free(third);
    json_decref(claims);
    return token;
}

/* A copy in which each {"jwt": {claims}} is an encoded token. */
static json_t *with_tokens(const json_t *value)
{
    const char *key;
    json_t *member;
    json_t *copy;
    size_t index;

    if (json_is_object(value) && json_object_size(value) == 1 &&
        json_is_object(json_object_get(value, "jwt")))
        return jwt(json_deep_copy(json_object_get(value, "jwt")));
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

/* ---- grants
 * ------------------------------------------------------------------------------------
 */

#define LIFE_MAX INT64_C(1000000000000)

static const struct key grant_keys[] = {
    {"lifetime", ANYTHING},        {"jwt_lifetime", WHOLE | NIL},
    {"access_token", TEXT},        {"groups", LIST | NIL},
    {"refresh_token", TEXT | NIL}, {"id_token", TRUTH},
    {"device_key", TEXT},          {"device_group_key", TEXT},
    {"token_type", TEXT},          {NULL, 0},
};

static json_t *access_token(struct scenario *scenario, const json_t *given)
{
    const json_t *text = json_object_get(given, "access_token");
    const json_t *lifetime = json_object_get(given, "lifetime");
    const json_t *jwt_lifetime = json_object_get(given, "jwt_lifetime");
    json_int_t now = scenario->wall.ms / 1000;
    json_int_t life = json_integer_value(lifetime) > 0 ? json_integer_value(lifetime) : 3600;
    unsigned number = (unsigned)++scenario->orders;

    if (text)
        return json_deep_copy(text);
    if (json_is_null(jwt_lifetime))
        return json_sprintf("opaque-access-token-%u", number);
    if (jwt_lifetime)
        life = json_integer_value(jwt_lifetime);
    /* Beyond any calendar, and yet no overflow. */
    life = life > LIFE_MAX ? LIFE_MAX : life < -LIFE_MAX ? -LIFE_MAX : life;
    return jwt(
        json_pack("{s:I, s:I, s:I}", "iat", now, "exp", now + life, "jti", (json_int_t)number));
}

static json_t *id_token(struct scenario *scenario, const json_t *given)
{
    const json_t *groups = json_object_get(given, "groups");
    json_int_t now = scenario->wall.ms / 1000;
    json_t *claims = json_pack("{s:I, s:I}", "iat", now, "exp", now + 3600);

    if (!groups)
        (void)json_object_set_new(claims, "cognito:groups", json_pack("[s]", "fd42"));
    else if (!json_is_null(groups))
        (void)json_object_set_new(claims, "cognito:groups", json_deep_copy(groups));
    return jwt(claims);
}

static void add(json_t *body, const char *name, const json_t *value)
{
    if (value && !json_is_null(value))
        (void)json_object_set_new(body, name, json_deep_copy(value));
}

/* The short form of a grant: what is not said is that of an ordinary one of an
 * hour. */
static json_t *grant(struct scenario *scenario, const json_t *given)
{
    const json_t *lifetime = json_object_get(given, "lifetime");
    bool omit = strcmp(scenario_text_of(given, "lifetime", ""), "omit") == 0;
    json_t *body = json_object();

    (void)json_object_set_new(body, "AccessToken", access_token(scenario, given));
    (void)json_object_set_new(body, "TokenType",
                              json_string(scenario_text_of(given, "token_type", "Bearer")));
    if (scenario_truth_of(given, "id_token", true))
        (void)json_object_set_new(body, "IdToken", id_token(scenario, given));
    if (!lifetime)
        (void)json_object_set_new(body, "ExpiresIn", json_integer(3600));
    else if (!omit)
        (void)json_object_set_new(body, "ExpiresIn", json_deep_copy(lifetime));
    add(body, "RefreshToken", json_object_get(given, "refresh_token"));
    add(body, "DeviceKey", json_object_get(given, "device_key"));
    add(body, "DeviceGroupKey", json_object_get(given, "device_group_key"));
    return body;
}

/* What an ordinary platform grants. */
static json_t *usual_grant(struct scenario *scenario, enum fsh_exchange_kind kind)
{
    bool rotates = strstr(scenario_text_of(scenario->config, "profile", ""), "rotating") != NULL;
    json_t *given = json_object();
    json_t *body;

    if (rotates || kind != FSH_EXCHANGE_REFRESH)
        (void)json_object_set_new(given, "refresh_token",
                                  json_sprintf("refresh-of-works-%u", ++scenario->granted));
    body = grant(scenario, given);
    json_decref(given);
    return body;
}

/* Of a body of blanks. */
#define BYTES_MAX 1000000

/* ---- answers
 * -----------------------------------------------------------------------------------
 */

static void remember_secrets(struct scenario *scenario, const json_t *body)
{
    static const struct {
        const char *field;
        enum secret_kind kind;
    } fields[] = {
        {"AccessToken", SECRET_ACCESS},   {"IdToken", SECRET_ACCESS},
        {"RefreshToken", SECRET_REFRESH}, {"Session", SECRET_OTHER},
        {"DeviceKey", SECRET_OTHER},      {"DeviceGroupKey", SECRET_OTHER},
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        scenario_secret(scenario, fields[i].kind, scenario_text_of(body, fields[i].field, NULL));
}

static char *body_of(struct scenario *scenario, enum fsh_exchange_kind kind, const json_t *step)
{
    const json_t *given = json_object_get(step, "grant");
    json_t *json = NULL;
    char *body;

    if (json_object_get(step, "bytes")) {
        size_t len = (size_t)scenario_whole_of(scenario, step, "bytes", 0, BYTES_MAX, 0);

        body = malloc(len + 1);
        if (!body)
            abort();
        memset(body, ' ', len);
        body[len] = '\0';
        return body;
    }
    if (given && scenario_keys(scenario, "grant", given, grant_keys))
        json = grant(scenario, given);
    else if (json_object_get(step, "json"))
        json = with_tokens(json_object_get(step, "json"));
    else if (json_object_get(step, "works"))
        json = usual_grant(scenario, kind);
    if (!json)
        return strdup(scenario_text_of(step, "text", ""));
    remember_secrets(scenario, json);
    body = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return body;
}

/* The others tell the engine nothing. */
static char *header_of(struct scenario *scenario, const json_t *step, const char *name)
{
    static const struct key known[] = {
        {"Retry-After", TEXT}, {"Date", TEXT}, {"Location", TEXT}, {NULL, 0}};
    const json_t *headers = json_object_get(step, "headers");
    const char *value = scenario_text_of(headers, name, NULL);

    if (headers)
        (void)scenario_keys(scenario, "headers", headers, known);
    return value ? strdup(value) : NULL;
}

static bool lost(struct scenario *scenario, const json_t *step, struct fsh_reply *reply)
{
    const char *how = scenario_text_of(step, "lost", NULL);

    if (!how)
        return false;
    if (strcmp(how, "unsent") != 0 && strcmp(how, "sent") != 0 && strcmp(how, "truncated") != 0)
        scenario_problem(scenario, "lost: \"unsent\", \"sent\" or \"truncated\"");
    reply->complete = false;
    reply->sent = strcmp(how, "unsent") != 0;
    if (strcmp(how, "truncated") != 0)
        reply->http_status = 0;
    reply->failure = reply->sent ? "the connection was lost" : "connection refused";
    return true;
}

static struct answer *answer_new(struct scenario *scenario, enum fsh_exchange_kind kind,
                                 const json_t *step)
{
    struct answer *answer = calloc(1, sizeof(*answer));

    if (!answer)
        abort();
    answer->body = body_of(scenario, kind, step);
    answer->retry_after = header_of(scenario, step, "Retry-After");
    answer->date = header_of(scenario, step, "Date");
    answer->reply = (struct fsh_reply){
        .complete = true,
        .sent = true,
        .http_status = (int)scenario_whole_of(scenario, step, "status", 0, 999, 200),
        .retry_after = answer->retry_after,
        .date = answer->date,
        .body = answer->body,
        .body_len = strlen(answer->body),
    };
    scenario_charge(scenario, 1 + answer->reply.body_len / 256);
    if (!lost(scenario, step, &answer->reply) && answer->reply.body_len > FSH_BODY_MAX) {
        /* The transport reads no further. */
        answer->reply.complete = false;
        answer->reply.failure = "the answer is longer than 256 KiB";
    }
    if (!answer->reply.complete)
        answer->reply.body_len = 0;
    return answer;
}

static void answer_free(struct answer *answer)
{
    if (!answer)
        return;
    free(answer->body);
    free(answer->retry_after);
    free(answer->date);
    free(answer);
}

/* ---- requests in the air
 * ----------------------------------------------------------------------- */

int scenario_platform_send(struct actor *actor, struct fsh_request *request)
{
    struct scenario *scenario = actor->scenario;
    struct air *air = calloc(1, sizeof(*air));

    if (!air)
        abort();
    scenario_trace(scenario, "%s sends %s", actor->name, kinds[request->kind]);
    scenario_check_send(actor, request);
    actor->sent[request->kind]++;
    air->request = request;
    air->actor = actor;
    air->order = ++scenario->orders;
    air->until = fsh_mono_add(scenario->mono, FSH_EXCHANGE_MS);
    request->transport = air;
    LIST_INSERT_HEAD(&scenario->in_air, air, in_list);
    return FRESHET_OK;
}

bool scenario_in_air(const struct scenario *scenario, int kind)
{
    const struct air *air;

    LIST_FOREACH (air, &scenario->in_air, in_list) {
        if ((int)air->request->kind == kind)
            return true;
    }
    return false;
}

static void air_free(struct air *air)
{
    LIST_REMOVE(air, in_list);
    answer_free(air->answer);
    free(air);
}

void scenario_platform_cancel(struct actor *actor, struct fsh_request *request)
{
    scenario_trace(actor->scenario, "%s gives up its %s", actor->name, kinds[request->kind]);
    air_free(request->transport);
}

/* Takes `answer`. */
static void hand_over(struct air *air, struct answer *answer)
{
    struct fsh_request *request = air->request;
    struct actor *actor = air->actor;

    if (actor->paused) {
        answer_free(air->answer);
        air->answer = answer;
        return;
    }
    scenario_trace(actor->scenario, "%s gets the answer to its %s: %s %d", actor->name,
                   kinds[request->kind], answer->reply.complete ? "complete" : "incomplete",
                   answer->reply.http_status);
    air_free(air);
    fsh_engine_answered(request, &answer->reply);
    answer_free(answer);
}

static struct answer *given_up(void)
{
    struct answer *answer = calloc(1, sizeof(*answer));

    if (!answer)
        abort();
    answer->reply.sent = true;
    answer->reply.failure = "no answer within 15 s";
    return answer;
}

/* The oldest that is to be answered at this moment. */
static struct air *due(struct scenario *scenario)
{
    struct air *found = NULL;
    struct air *air;

    LIST_FOREACH (air, &scenario->in_air, in_list) {
        if (air->actor->paused || (found && found->order < air->order))
            continue;
        if (scenario->platform || air->until.ms <= scenario->mono.ms)
            found = air;
    }
    return found;
}

bool scenario_platform_run(struct scenario *scenario)
{
    struct air *air = due(scenario);

    if (!air)
        return false;
    if (scenario->platform)
        hand_over(air, answer_new(scenario, air->request->kind, scenario->platform));
    else
        hand_over(air, given_up());
    return true;
}

struct fsh_mono scenario_platform_wake_at(const struct scenario *scenario)
{
    struct fsh_mono at = FSH_NEVER;
    struct air *air;

    LIST_FOREACH (air, &scenario->in_air, in_list) {
        if (!air->actor->paused)
            at = fsh_mono_min(at, air->until);
    }
    return at;
}

void scenario_platform_resume(struct actor *actor)
{
    struct air *air = LIST_FIRST(&actor->scenario->in_air);

    while (air) {
        struct air *next = LIST_NEXT(air, in_list);
        struct answer *answer = air->answer;

        if (air->actor == actor && answer) {
            air->answer = NULL;
            hand_over(air, answer);
            next = LIST_FIRST(&actor->scenario->in_air);
        }
        air = next;
    }
}

void scenario_platform_close(struct scenario *scenario)
{
    if (!LIST_EMPTY(&scenario->in_air))
        scenario_problem(scenario, "an engine was closed and forgot a request in the air");
    while (!LIST_EMPTY(&scenario->in_air))
        air_free(LIST_FIRST(&scenario->in_air));
}

/* ---- steps
 * -------------------------------------------------------------------------------------
 */

static struct air *asked(struct scenario *scenario, const json_t *step)
{
    const char *name = scenario_text_of(step, "reply", "");
    bool any = !json_object_get(step, "engine");
    const struct actor *actor = scenario_actor(scenario, step);
    struct air *found = NULL;
    struct air *air;

    LIST_FOREACH (air, &scenario->in_air, in_list) {
        if ((int)air->request->kind != scenario_kind(name) || (!any && air->actor != actor))
            continue;
        if (found)
            scenario_problem(scenario, "several requests \"%s\" are in the air: name the engine",
                             name);
        found = air;
    }
    if (!found)
        scenario_problem(scenario, "no request \"%s\" is in the air", name);
    return found;
}

void scenario_reply_step(struct scenario *scenario, const json_t *step)
{
    struct air *air = asked(scenario, step);

    if (!air || scenario_failed(scenario))
        return;
    hand_over(air, answer_new(scenario, air->request->kind, step));
    scenario_settle(scenario);
}

void scenario_platform_step(struct scenario *scenario, const json_t *step)
{
    static const struct key keys[] = {
        {"status", WHOLE}, {"headers", OBJECT}, {"grant", OBJECT}, {"json", OBJECT},
        {"text", TEXT},    {"lost", TEXT},      {"works", TRUTH},  {NULL, 0},
    };
    const json_t *how = json_object_get(step, "platform");

    if (json_is_string(how) && strcmp(json_string_value(how), "scripted") == 0)
        scenario->platform = NULL;
    else if (scenario_keys(scenario, "platform", how, keys))
        scenario->platform = how;
    scenario_settle(scenario);
}
