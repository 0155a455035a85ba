/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/remote_read.h"

#include "base/status.h"
#include "engine/ledger.h"
#include "profile/json.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORIGINS_MAX 256
#define LISTED_MAX  65536

/* ---- values ------------------------------------------------------------------------------ */

/* Whether a text may be the value of a header. */
static bool plain(const char *text, size_t most)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    }
    return len > 0 && len <= most;
}

/* RFC 9110, 5.6.2: a header's name is a token. */
static bool header_name(const char *text)
{
    static const char allowed[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t len = strlen(text);

    return len > 0 && len <= 64 && strspn(text, allowed) == len;
}

/* A string without a NUL in it; NULL for anything else. */
static const char *text_in(const json_t *value)
{
    const char *text = json_string_value(value);

    return text && strlen(text) == json_string_length(value) ? text : NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
    return text_in(json_object_get(object, key));
}

/* `otherwise` when it is missing, null or no whole number. */
static int64_t number_of(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? (int64_t)json_integer_value(value) : otherwise;
}

static uint64_t count_of(const json_t *object, const char *key)
{
    int64_t number = number_of(object, key, 0);

    return number > 0 ? (uint64_t)number : 0;
}

/* FRESHET_OK when it is missing or null; one that is not known is no more than unknown. */
static int status_of(const json_t *object, const char *key)
{
    const char *name = text_of(object, key);
    int status = name ? fsh_base_status_named(name) : FRESHET_OK;

    return status == FSH_STATUS_UNKNOWN ? FRESHET_EUNAVAILABLE : status;
}

/* ---- the platform ------------------------------------------------------------------------ */

void fsh_remote_platform_done(struct fsh_remote_platform *platform)
{
    for (size_t i = 0; i < platform->origins_count; i++)
        free(platform->origins[i]);
    free(platform->origins);
    free(platform->url);
    *platform = (struct fsh_remote_platform){0};
}

static int platform_of(const json_t *json, struct fsh_remote_platform *platform)
{
    const json_t *list = json_object_get(json, "origins");
    const char *url = text_of(json, "url");
    size_t count = json_array_size(list);

    if (!url || !plain(url, FSH_BODY_MAX) || count > ORIGINS_MAX)
        return FRESHET_EBADBODY;
    platform->url = strdup(url);
    platform->origins = calloc(count + 1, sizeof(*platform->origins));
    if (!platform->url || !platform->origins)
        return FRESHET_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const char *origin = text_in(json_array_get(list, i));

        if (!origin)
            return FRESHET_EBADBODY;
        platform->origins[i] = strdup(origin);
        if (!platform->origins[i])
            return FRESHET_ENOMEM;
        platform->origins_count++;
    }
    return FRESHET_OK;
}

int fsh_remote_read_platform(const char *body, size_t len, struct fsh_remote_platform *ret_platform)
{
    struct fsh_remote_platform platform = {0};
    json_t *json;
    int status = fsh_profile_json_object(body, len, &json);

    if (status != FRESHET_OK)
        return status;
    status = platform_of(json, &platform);
    fsh_profile_json_done(json);
    if (status == FRESHET_OK)
        *ret_platform = platform;
    else
        fsh_remote_platform_done(&platform);
    return status;
}

/* ---- a token ----------------------------------------------------------------------------- */

/* The caller frees the list, not its strings. */
static int partners_of(const json_t *token, char ***ret_partners, size_t *ret_count)
{
    const json_t *list = json_object_get(token, "partners");
    size_t count = json_array_size(list);
    char **partners;

    if (!json_is_array(list) || count > FSH_PARTNERS_MAX)
        return FRESHET_EBADBODY;
    partners = calloc(count + 1, sizeof(*partners));
    if (!partners)
        return FRESHET_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        union {
            const char *read;
            char *kept;
        } text = {.read = text_in(json_array_get(list, i))};

        if (!text.read || !plain(text.read, FSH_PARTNER_ID_MAX)) {
            free(partners);
            return FRESHET_EBADBODY;
        }
        partners[i] = text.kept;
    }
    *ret_partners = partners;
    *ret_count = count;
    return FRESHET_OK;
}

static int make_token(const json_t *json, char *const *partners, size_t count,
                      struct fsh_token **ret_token)
{
    const char *authorization = text_of(json, "authorization");
    const char *preset = text_of(json, "partner");
    struct fsh_secret value = {0};
    struct fsh_token *token;
    int status = fsh_base_secret_copy(authorization, strlen(authorization), &value);

    if (status == FRESHET_OK)
        status = fsh_token_new(NULL, 0, count_of(json, "generation"), (struct fsh_stamp){0, 0},
                               number_of(json, "lifetime_ms", 0), &value,
                               text_of(json, "partner_header"), partners, count, &token);
    fsh_base_secret_done(&value);
    if (status != FRESHET_OK)
        return status;
    token->preset = preset ? strdup(preset) : NULL;
    if (preset && !token->preset) {
        fsh_token_unref(token);
        return FRESHET_ENOMEM;
    }
    *ret_token = token;
    return FRESHET_OK;
}

static bool token_makes_sense(const json_t *json)
{
    const char *authorization = text_of(json, "authorization");
    const char *header = text_of(json, "partner_header");
    const char *preset = text_of(json, "partner");
    int64_t lifetime = number_of(json, "lifetime_ms", 0);
    int64_t age = number_of(json, "age_ms", -1);

    return authorization && plain(authorization, FSH_TOKEN_MAX + 64) && header &&
           header_name(header) && (!preset || plain(preset, FSH_PARTNER_ID_MAX)) &&
           number_of(json, "generation", 0) > 0 && lifetime > 0 &&
           lifetime <= FSH_LIFETIME_ABSURD_MS && age >= 0 && age <= FSH_LIFETIME_ABSURD_MS;
}

static int token_of(const json_t *json, struct fsh_fetched *ret_fetched)
{
    char **partners = NULL;
    struct fsh_fetched fetched = {0};
    size_t count = 0;
    int status = token_makes_sense(json) ? partners_of(json, &partners, &count) : FRESHET_EBADBODY;

    if (status == FRESHET_OK)
        status = platform_of(json_object_get(json, "platform"), &fetched.platform);
    if (status == FRESHET_OK)
        status = make_token(json, partners, count, &fetched.token);
    free(partners);
    if (status != FRESHET_OK) {
        fsh_remote_platform_done(&fetched.platform);
        return status;
    }
    fetched.age_ms = number_of(json, "age_ms", 0);
    fetched.refresh_in_ms = number_of(json, "refresh_in_ms", -1);
    *ret_fetched = fetched;
    return FRESHET_OK;
}

int fsh_remote_read_token(const char *body, size_t len, struct fsh_fetched *ret_fetched)
{
    json_t *json;
    int status = fsh_profile_json_object(body, len, &json);

    if (status != FRESHET_OK)
        return status;
    status = token_of(json, ret_fetched);
    fsh_profile_json_done(json);
    return status;
}

/* ---- problems ---------------------------------------------------------------------------- */

static void take_problem(const json_t *json, struct fsh_problem *problem)
{
    const char *name = text_of(json, "code");
    const char *code = text_of(json, "platform_code");
    const char *detail = text_of(json, "detail");
    int status = name ? fsh_base_status_named(name) : FSH_STATUS_UNKNOWN;
    int64_t retry = number_of(json, "retry_after_ms", -1);
    int64_t http = number_of(json, "platform_status", 0);

    if (status == FSH_STATUS_UNKNOWN || status == FRESHET_OK)
        return;
    problem->status = status;
    problem->retry_after_ms =
        retry > FSH_RETRY_AFTER_MS ? FSH_RETRY_AFTER_MS : (retry < 0 ? -1 : retry);
    problem->platform_http = http >= 100 && http <= 599 ? (int)http : 0;
    (void)snprintf(problem->code, sizeof(problem->code), "%s", code ? code : "");
    (void)snprintf(problem->detail, sizeof(problem->detail), "%s",
                   detail ? detail : freshet_status_text(status));
}

void fsh_remote_read_problem(int http_status, const char *body, size_t len,
                             struct fsh_problem *ret_problem)
{
    json_t *json;
    int status = fsh_profile_json_object(body, len, &json);

    /* Rule 6: the HTTP status alone may be a gateway's, or of what is no keeper. */
    *ret_problem = (struct fsh_problem){
        .status = status == FRESHET_ENOMEM ? status : FRESHET_EUNAVAILABLE,
        .retry_after_ms = -1,
    };
    (void)snprintf(ret_problem->detail, sizeof(ret_problem->detail),
                   status == FRESHET_ENOMEM ? "out of memory for the keeper's answer, HTTP %d"
                                            : "the keeper answered HTTP %d without saying why",
                   http_status);
    if (status != FRESHET_OK)
        return;
    take_problem(json, ret_problem);
    fsh_profile_json_done(json);
}

/* ---- status ------------------------------------------------------------------------------ */

static bool phase_of(const json_t *json, enum freshet_phase *ret_phase)
{
    static const char *const phases[] = {
        [FRESHET_PHASE_NONE] = "none",   [FRESHET_PHASE_LIVE] = "live",
        [FRESHET_PHASE_ENDED] = "ended", [FRESHET_PHASE_SIGNED_OUT] = "signed_out",
        [FRESHET_PHASE_HELD] = "held",
    };
    const char *name = text_of(json, "phase");

    for (unsigned i = 0; name && i < sizeof(phases) / sizeof(phases[0]); i++) {
        if (strcmp(name, phases[i]) == 0) {
            *ret_phase = (enum freshet_phase)i;
            return true;
        }
    }
    return false;
}

int fsh_remote_read_status(const char *body, size_t len, struct freshet_session_status *ret_status)
{
    enum freshet_phase phase = FRESHET_PHASE_NONE;
    json_t *json;
    int status = fsh_profile_json_object(body, len, &json);

    if (status != FRESHET_OK)
        return status;
    status = phase_of(json, &phase) ? FRESHET_OK : FRESHET_EBADBODY;
    if (status == FRESHET_OK)
        *ret_status = (struct freshet_session_status){
            .phase = phase,
            .status = status_of(json, "status"),
            .usable = json_is_true(json_object_get(json, "usable")),
            .challenge = status_of(json, "challenge"),
            .freshness = {count_of(json, "generation"), number_of(json, "usable_ms", 0),
                          number_of(json, "expires_ms", 0)},
            .age_ms = number_of(json, "age_ms", -1),
            .next_ms = number_of(json, "next_ms", -1),
            .refreshes = count_of(json, "refreshes"),
            .sign_ins = count_of(json, "sign_ins"),
            .failures = count_of(json, "failures"),
            .waited = count_of(json, "waited"),
            .ended = count_of(json, "ended"),
            .partners = (size_t)count_of(json, "partners"),
        };
    fsh_profile_json_done(json);
    return status;
}

static bool listed_of(const json_t *json, struct freshet_stored_session *ret_session)
{
    const char *name = text_of(json, "name");
    enum freshet_phase phase;

    if (!name || !plain(name, FSH_NAME_MAX) || !phase_of(json, &phase))
        return false;
    *ret_session = (struct freshet_stored_session){
        .phase = phase,
        .reason = phase == FRESHET_PHASE_LIVE || phase == FRESHET_PHASE_NONE
                      ? FRESHET_OK
                      : status_of(json, "status"),
        .generation = count_of(json, "generation"),
        .parked = status_of(json, "challenge"),
    };
    (void)snprintf(ret_session->name, sizeof(ret_session->name), "%s", name);
    return true;
}

static int sessions_of(const json_t *json, struct freshet_stored_session **ret_list,
                       size_t *ret_count)
{
    const json_t *list = json_object_get(json, "sessions");
    size_t count = json_array_size(list);
    struct freshet_stored_session *sessions = NULL;

    if (!json_is_array(list) || count > LISTED_MAX)
        return FRESHET_EBADBODY;
    if (count > 0 && !(sessions = calloc(count, sizeof(*sessions))))
        return FRESHET_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (!listed_of(json_array_get(list, i), &sessions[i])) {
            free(sessions);
            return FRESHET_EBADBODY;
        }
    }
    *ret_list = sessions;
    *ret_count = count;
    return FRESHET_OK;
}

int fsh_remote_read_sessions(const char *body, size_t len, struct freshet_stored_session **ret_list,
                             size_t *ret_count)
{
    json_t *json;
    int status = fsh_profile_json_object(body, len, &json);

    if (status != FRESHET_OK)
        return status;
    status = sessions_of(json, ret_list, ret_count);
    fsh_profile_json_done(json);
    return status;
}

/* ---- the ledger -------------------------------------------------------------------------- */

static struct freshet_ledger_entry entry_of(const json_t *json)
{
    const char *name = text_of(json, "name");
    enum fsh_note_kind note = name ? fsh_engine_note_kind(name) : FSH_NOTE_KINDS;
    bool known = note != FSH_NOTE_KINDS;

    /* Its words are this program's own: they are static, and hold nothing. */
    return (struct freshet_ledger_entry){
        .number = count_of(json, "number"),
        .at_ms = number_of(json, "at_ms", 0),
        .what = known ? fsh_engine_note_text(note) : "something that this version does not know",
        .name = known ? fsh_engine_note_name(note) : "unknown",
        .status = status_of(json, "status"),
        .value = number_of(json, "value", 0),
        .times = count_of(json, "times"),
    };
}

int fsh_remote_read_ledger(const char *body, size_t len, struct freshet_ledger_entry *ret_entries,
                           size_t room, size_t *ret_count)
{
    const json_t *list;
    json_t *json;
    int status = fsh_profile_json_object(body, len, &json);

    if (status != FRESHET_OK)
        return status;
    list = json_object_get(json, "entries");
    if (json_is_array(list)) {
        size_t all = json_array_size(list);
        size_t count = all < room ? all : room;

        for (size_t i = 0; i < count; i++)
            ret_entries[i] = entry_of(json_array_get(list, all - count + i));
        *ret_count = count;
    } else {
        status = FRESHET_EBADBODY;
    }
    fsh_profile_json_done(json);
    return status;
}

/* ---- MFA --------------------------------------------------------------------------------- */

int fsh_remote_read_mfa(const char *body, size_t len, int *ret_enabled, char *ret_preferred,
                        size_t size)
{
    const json_t *enabled;
    const char *preferred;
    json_t *json;
    int status = fsh_profile_json_object(body, len, &json);

    if (status != FRESHET_OK)
        return status;
    enabled = json_object_get(json, "enabled");
    preferred = text_of(json, "preferred");
    *ret_enabled = json_is_boolean(enabled) ? json_is_true(enabled) : -1;
    (void)snprintf(ret_preferred, size, "%s",
                   preferred && plain(preferred, size - 1) ? preferred : "");
    fsh_profile_json_done(json);
    return FRESHET_OK;
}

int fsh_remote_read_totp(const char *body, size_t len, struct fsh_secret *ret_uri,
                         struct fsh_secret *ret_secret)
{
    struct fsh_secret uri_copy = {0};
    const char *uri;
    const char *secret;
    json_t *json;
    int status = fsh_profile_json_object(body, len, &json);

    if (status != FRESHET_OK)
        return status;
    uri = text_of(json, "uri");
    secret = text_of(json, "secret");
    if (!uri || !secret || !plain(uri, FSH_CHALLENGE_MAX) || !plain(secret, FSH_CREDENTIAL_MAX))
        status = FRESHET_EBADBODY;
    if (status == FRESHET_OK)
        status = fsh_base_secret_copy(uri, strlen(uri), &uri_copy);
    if (status == FRESHET_OK)
        status = fsh_base_secret_copy(secret, strlen(secret), ret_secret);
    if (status == FRESHET_OK)
        fsh_base_secret_move(ret_uri, &uri_copy);
    fsh_base_secret_done(&uri_copy);
    fsh_profile_json_done(json);
    return status;
}
