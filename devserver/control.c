/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <stdlib.h>
#include <string.h>

/* Without authentication: this is a tool on loopback, and so are its secrets. */

#define LIFETIME_MIN 0.05
#define LIFETIME_MAX (366 * 86400.0)

static void done(struct dev_reply *reply)
{
    dev_reply_json(reply, MHD_HTTP_OK, json_pack("{s:b}", "ok", true));
}

static void not_found(struct dev_reply *reply)
{
    dev_reply_error(reply, MHD_HTTP_NOT_FOUND, "ResourceNotFoundException", "no such account");
}

void dev_control_counters(struct dev_request *request, struct dev_reply *reply)
{
    dev_reply_json(reply, MHD_HTTP_OK, dev_counters_json(&request->server->counters));
}

void dev_control_counters_reset(struct dev_request *request, struct dev_reply *reply)
{
    struct dev_server *server = request->server;

    pthread_mutex_lock(&server->lock);
    dev_counters_reset(&server->counters);
    dev_accounts_counters_reset(&server->accounts);
    dev_map_clear(&server->request_ids); /* what comes now is not sent again */
    pthread_mutex_unlock(&server->lock);
    done(reply);
}

void dev_control_lifetime(struct dev_request *request, struct dev_reply *reply)
{
    struct dev_server *server = request->server;
    json_t *body = dev_input_object(request, reply);
    int64_t access;
    int64_t refresh;
    int64_t challenge;

    if (!body)
        return;
    pthread_mutex_lock(&server->lock);
    access = server->tokens.lifetime_ns;
    refresh = server->tokens.refresh_lifetime_ns;
    challenge = server->tokens.challenge_lifetime_ns;
    pthread_mutex_unlock(&server->lock);
    if (dev_input_seconds(body, "seconds", LIFETIME_MIN, LIFETIME_MAX, &access, reply) &&
        dev_input_seconds(body, "refresh_seconds", LIFETIME_MIN, LIFETIME_MAX, &refresh, reply) &&
        dev_input_seconds(body, "challenge_seconds", 0, LIFETIME_MAX, &challenge, reply)) {
        pthread_mutex_lock(&server->lock);
        server->tokens.lifetime_ns = access;
        server->tokens.refresh_lifetime_ns = refresh;
        server->tokens.challenge_lifetime_ns = challenge;
        pthread_mutex_unlock(&server->lock);
        dev_reply_json(reply, MHD_HTTP_OK,
                       json_pack("{s:f, s:f, s:f}", "seconds", (double)access / 1e9,
                                 "refresh_seconds", (double)refresh / 1e9, "challenge_seconds",
                                 (double)challenge / 1e9));
    }
    json_decref(body);
}

static bool reuse_parse(const char *text, enum dev_reuse *ret_reuse)
{
    if (strcmp(text, "revoke") == 0)
        *ret_reuse = DEV_REUSE_REVOKE;
    else if (strcmp(text, "refuse") == 0)
        *ret_reuse = DEV_REUSE_REFUSE;
    else
        return false;
    return true;
}

void dev_control_rotation(struct dev_request *request, struct dev_reply *reply)
{
    struct dev_server *server = request->server;
    json_t *body = dev_input_object(request, reply);
    enum dev_reuse reuse = DEV_REUSE_REFUSE;
    const char *text = NULL;
    bool rotate = false;
    int64_t grace = 0;

    if (!body)
        return;
    if (!dev_input_bool(body, "rotate", &rotate, reply) ||
        !dev_input_seconds(body, "grace", 0, LIFETIME_MAX, &grace, reply) ||
        !dev_input_text(body, "reuse", 16, false, &text, reply)) {
        json_decref(body);
        return;
    }
    if (text && !reuse_parse(text, &reuse)) {
        dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "ValidationException",
                        "reuse must be revoke or refuse");
        json_decref(body);
        return;
    }
    pthread_mutex_lock(&server->lock);
    if (json_object_get(body, "rotate"))
        server->tokens.rotate = rotate;
    if (json_object_get(body, "grace"))
        server->tokens.grace_ns = grace;
    if (text)
        server->tokens.reuse = reuse;
    pthread_mutex_unlock(&server->lock);
    json_decref(body);
    done(reply);
}

void dev_control_revoke(struct dev_request *request, struct dev_reply *reply)
{
    struct dev_server *server = request->server;
    json_t *body = dev_input_object(request, reply);
    const char *username = NULL;
    const char *what = "all";
    struct dev_account *account;
    bool access;
    bool refresh;

    if (!body || !dev_input_text(body, "username", DEV_TEXT_MAX, true, &username, reply) ||
        !dev_input_text(body, "what", 16, false, &what, reply)) {
        json_decref(body);
        return;
    }
    access = strcmp(what, "access") == 0 || strcmp(what, "all") == 0;
    refresh = strcmp(what, "refresh") == 0 || strcmp(what, "all") == 0;
    pthread_mutex_lock(&server->lock);
    account = dev_account_find(&server->accounts, username);
    if (account && access)
        dev_revoke_access(server, account);
    if (account && refresh)
        dev_revoke_refresh(server, account);
    pthread_mutex_unlock(&server->lock);
    if (!account)
        not_found(reply);
    else if (!access && !refresh)
        dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "ValidationException",
                        "what must be access, refresh or all");
    else
        done(reply);
    json_decref(body);
}

/* Lock held. */
static const char *state_of(const struct dev_refresh *record)
{
    if (!record)
        return "unknown";
    if (record->revoked)
        return "revoked";
    if (dev_mono_ns() >= record->expires_ns)
        return "expired";
    return record->superseded_ns != 0 ? "superseded" : "current";
}

/* What the platform thinks of a refresh token, without using it. */
void dev_control_refresh_token(struct dev_request *request, struct dev_reply *reply)
{
    struct dev_server *server = request->server;
    json_t *body = dev_input_object(request, reply);
    unsigned char digest[DEV_DIGEST_LEN];
    const char *token = NULL;
    const struct dev_refresh *record;
    json_t *answer;

    if (!body || !dev_input_text(body, "refresh_token", DEV_TEXT_MAX, true, &token, reply)) {
        json_decref(body);
        return;
    }
    dev_digest(token, strlen(token), digest);
    pthread_mutex_lock(&server->lock);
    record = dev_map_find(&server->tokens.refresh, digest);
    answer = json_pack("{s:s}", "state", state_of(record));
    if (record && record->superseded_ns != 0)
        json_object_set_new(answer, "superseded_for",
                            json_real((double)(dev_mono_ns() - record->superseded_ns) / 1e9));
    pthread_mutex_unlock(&server->lock);
    dev_reply_json(reply, MHD_HTTP_OK, answer);
    json_decref(body);
}

/* --- accounts --- */

/* The account that the path names after its last slash. Lock held. */
static struct dev_account *account_of_path(struct dev_request *request)
{
    return dev_account_find(&request->server->accounts, strrchr(request->path, '/') + 1);
}

/* Lock held. */
static json_t *describe(const struct dev_account *account)
{
    return json_pack(
        "{s:s, s:s, s:o, s:b, s:b, s:s?, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "username",
        account->name, "sub", account->sub, "groups", json_deep_copy(account->groups),
        "new_password_required", account->new_password_required, "mfa_enabled",
        account->mfa_enabled, "preferred", dev_method_name(account->preferred), "totp_verified",
        account->totp_verified, "devices", (json_int_t)account->device_count, "sign_ins",
        (json_int_t)account->sign_ins, "refreshes", (json_int_t)account->refreshes,
        "refresh_in_flight", (json_int_t)account->refresh_in_flight, "refresh_in_flight_max",
        (json_int_t)account->refresh_in_flight_max, "api_requests",
        (json_int_t)account->api_requests);
}

static bool groups_are_valid(const json_t *groups, struct dev_reply *reply)
{
    bool valid = json_is_array(groups) && json_array_size(groups) <= DEV_GROUPS_MAX;

    for (size_t i = 0; valid && i < json_array_size(groups); i++) {
        const json_t *group = json_array_get(groups, i);

        valid = json_is_string(group) && json_string_length(group) <= 256;
    }
    if (!valid)
        dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "ValidationException",
                        "groups must be an array of strings");
    return valid;
}

/* What a POST changes. Its flags are bool and start as the account's own. */
struct change {
    json_t *groups;
    const char *password;
    enum dev_method preferred;
    bool new_password_required;
    bool mfa_enabled;
    bool totp_verified;
    bool has_phone;
    bool forget_devices;
};

static bool read_change(json_t *body, struct change *change, struct dev_reply *reply)
{
    const char *method = NULL;

    change->groups = json_object_get(body, "groups");
    if ((change->groups && !groups_are_valid(change->groups, reply)) ||
        !dev_input_text(body, "password", DEV_PASSWORD_MAX, false, &change->password, reply) ||
        !dev_input_text(body, "preferred_method", 16, false, &method, reply) ||
        !dev_input_bool(body, "new_password_required", &change->new_password_required, reply) ||
        !dev_input_bool(body, "mfa_enabled", &change->mfa_enabled, reply) ||
        !dev_input_bool(body, "totp_verified", &change->totp_verified, reply) ||
        !dev_input_bool(body, "has_phone", &change->has_phone, reply) ||
        !dev_input_bool(body, "forget_devices", &change->forget_devices, reply))
        return false;
    if (!method || dev_method_parse(method, &change->preferred))
        return true;
    dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "ValidationException",
                    "preferred_method must be totp or sms");
    return false;
}

/* Lock held. */
static void apply_change(struct dev_account *account, const struct change *change)
{
    json_t *groups = json_deep_copy(change->groups);

    if (groups) {
        json_decref(account->groups);
        account->groups = groups;
    }
    if (change->password) {
        memset(account->password, 0, sizeof(account->password));
        memcpy(account->password, change->password, strlen(change->password));
    }
    if (change->forget_devices)
        account->device_count = 0;
    account->preferred = change->preferred;
    account->new_password_required = change->new_password_required;
    account->mfa_enabled = change->mfa_enabled;
    account->totp_verified = change->totp_verified;
    account->has_phone = change->has_phone;
}

static void change_account(struct dev_request *request, struct dev_account *account,
                           struct dev_reply *reply)
{
    struct dev_server *server = request->server;
    json_t *body = dev_input_object(request, reply);
    struct change change;

    if (!body)
        return;
    pthread_mutex_lock(&server->lock);
    change = (struct change){.preferred = account->preferred,
                             .new_password_required = account->new_password_required,
                             .mfa_enabled = account->mfa_enabled,
                             .totp_verified = account->totp_verified,
                             .has_phone = account->has_phone};
    if (read_change(body, &change, reply)) {
        apply_change(account, &change);
        dev_reply_json(reply, MHD_HTTP_OK, describe(account));
    }
    pthread_mutex_unlock(&server->lock);
    json_decref(body);
}

void dev_control_account(struct dev_request *request, struct dev_reply *reply)
{
    struct dev_server *server = request->server;
    struct dev_account *account;
    json_t *description;

    pthread_mutex_lock(&server->lock);
    account = account_of_path(request);
    description = account ? describe(account) : NULL;
    pthread_mutex_unlock(&server->lock);
    if (!account)
        not_found(reply);
    else if (strcmp(request->method, "POST") == 0)
        change_account(request, account, reply);
    else
        dev_reply_json(reply, MHD_HTTP_OK, json_incref(description));
    json_decref(description); /* ours alone: it shares nothing with the account */
}

void dev_control_totp(struct dev_request *request, struct dev_reply *reply)
{
    int64_t now = dev_wall_ns() / DEV_SECOND_NS;
    struct dev_account *account;
    char code[7];
    char pending_code[7];
    bool pending = false;

    pthread_mutex_lock(&request->server->lock);
    account = account_of_path(request);
    if (account) {
        dev_totp_code(account->totp_secret, now, code);
        dev_totp_code(account->pending_secret, now, pending_code);
        pending = account->totp_pending;
    }
    pthread_mutex_unlock(&request->server->lock);
    if (account)
        dev_reply_json(reply, MHD_HTTP_OK,
                       json_pack("{s:s, s:s*, s:I}", "code", code, "pending_code",
                                 pending ? pending_code : NULL, "seconds_left",
                                 (json_int_t)(DEV_TOTP_STEP_S - now % DEV_TOTP_STEP_S)));
    else
        not_found(reply);
}

void dev_control_sms(struct dev_request *request, struct dev_reply *reply)
{
    struct dev_account *account;
    char code[7] = "";

    pthread_mutex_lock(&request->server->lock);
    account = account_of_path(request);
    if (account)
        memcpy(code, account->sms_code, sizeof(code));
    pthread_mutex_unlock(&request->server->lock);
    if (account)
        dev_reply_json(reply, MHD_HTTP_OK,
                       json_pack("{s:s?}", "code", code[0] != '\0' ? code : NULL));
    else
        not_found(reply);
}
