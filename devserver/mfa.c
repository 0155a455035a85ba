/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <stdio.h>
#include <string.h>

void dev_mfa_observe(struct dev_request *request)
{
    dev_caller_init(&request->caller, request->server,
                    dev_request_header(request, "Authorization"));
}

void dev_mfa_observe_settings(struct dev_request *request)
{
    dev_mfa_observe(request);
    if (strcmp(request->method, "GET") == 0)
        dev_count(&request->server->counters, DEV_COUNT_probes);
}

/* The account that calls, or NULL: refused. */
static struct dev_account *caller_of(struct dev_request *request, struct dev_reply *reply)
{
    if (request->caller.verdict == DEV_TOKEN_GOOD)
        return request->caller.account;
    dev_reply_error(reply, MHD_HTTP_UNAUTHORIZED, "NotAuthorizedException",
                    dev_verdict_text(request->caller.verdict));
    return NULL;
}

static void show(struct dev_server *server, const struct dev_account *account,
                 struct dev_reply *reply)
{
    json_t *methods = json_array();
    bool enabled;
    const char *preferred;

    pthread_mutex_lock(&server->lock);
    enabled = account->mfa_enabled;
    preferred = dev_method_name(account->preferred);
    if (account->totp_verified)
        json_array_append_new(methods, json_string("totp"));
    if (account->has_phone)
        json_array_append_new(methods, json_string("sms"));
    pthread_mutex_unlock(&server->lock);
    dev_reply_json(reply, MHD_HTTP_OK,
                   json_pack("{s:b, s:s?, s:o}", "mfa_enabled", enabled, "preferred", preferred,
                             "methods", methods));
}

void dev_mfa_settings_get(struct dev_request *request, struct dev_reply *reply)
{
    const struct dev_account *account = caller_of(request, reply);

    if (account)
        show(request->server, account, reply);
}

/* What a PUT asks for. */
struct wish {
    int enabled; /* -1: as it is */
    const char *method;
};

static bool read_wish(json_t *body, struct wish *wish, struct dev_reply *reply)
{
    bool enabled = false;

    *wish = (struct wish){.enabled = -1};
    if (!dev_input_bool(body, "mfa_enabled", &enabled, reply) ||
        !dev_input_text(body, "preferred_method", 16, false, &wish->method, reply))
        return false;
    if (json_object_get(body, "mfa_enabled"))
        wish->enabled = enabled ? 1 : 0;
    if (wish->enabled >= 0 || wish->method)
        return true;
    dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "ValidationException",
                    "mfa_enabled or preferred_method is required");
    return false;
}

/* Lock held. NULL: granted. */
static const char *apply_wish(struct dev_account *account, const struct wish *wish)
{
    enum dev_method method = account->preferred;
    bool enabled = wish->enabled < 0 ? account->mfa_enabled : wish->enabled == 1;

    if (wish->method && !dev_method_parse(wish->method, &method))
        return "preferred_method must be totp or sms";
    if (method == DEV_METHOD_NONE && enabled)
        method = account->totp_verified ? DEV_METHOD_TOTP : DEV_METHOD_SMS;
    if (method == DEV_METHOD_TOTP && !account->totp_verified)
        return "the account has not verified a software token";
    if (method == DEV_METHOD_SMS && !account->has_phone)
        return "the account has no phone number";
    account->mfa_enabled = enabled;
    account->preferred = method;
    return NULL;
}

void dev_mfa_settings_put(struct dev_request *request, struct dev_reply *reply)
{
    struct dev_account *account = caller_of(request, reply);
    json_t *body = account ? dev_input_object(request, reply) : NULL;
    struct wish wish;

    if (body && read_wish(body, &wish, reply)) {
        const char *refusal;

        pthread_mutex_lock(&request->server->lock);
        refusal = apply_wish(account, &wish);
        pthread_mutex_unlock(&request->server->lock);
        if (refusal)
            dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "ValidationException", refusal);
        else
            show(request->server, account, reply);
    }
    json_decref(body);
}

void dev_mfa_totp_get(struct dev_request *request, struct dev_reply *reply)
{
    struct dev_account *account = caller_of(request, reply);
    unsigned char secret[DEV_TOTP_SECRET_LEN];
    char text[33];
    char uri[160];

    if (!account)
        return;
    dev_random(secret, sizeof(secret));
    pthread_mutex_lock(&request->server->lock);
    memcpy(account->pending_secret, secret, sizeof(secret));
    account->totp_pending = true;
    pthread_mutex_unlock(&request->server->lock);
    dev_base32(secret, sizeof(secret), text);
    (void)snprintf(uri, sizeof(uri), "otpauth://totp/freshet-dev:%s?secret=%s&issuer=freshet-dev",
                   account->name, text);
    dev_reply_json(reply, MHD_HTTP_OK, json_pack("{s:s, s:s}", "qr_uri", uri, "qr_secret", text));
}

/* Verifies the code of the secret handed out last; without one, of the secret in force. As with
 * Cognito, verifying does not yet switch MFA on. */
static bool verify(struct dev_server *server, struct dev_account *account, const char *code)
{
    bool right;

    pthread_mutex_lock(&server->lock);
    right = (account->totp_pending || account->totp_verified) &&
            dev_totp_matches(account->totp_pending ? account->pending_secret : account->totp_secret,
                             dev_wall_ns() / DEV_SECOND_NS, code);
    if (right && account->totp_pending)
        memcpy(account->totp_secret, account->pending_secret, DEV_TOTP_SECRET_LEN);
    if (right) {
        account->totp_pending = false;
        account->totp_verified = true;
    }
    pthread_mutex_unlock(&server->lock);
    return right;
}

void dev_mfa_totp_put(struct dev_request *request, struct dev_reply *reply)
{
    struct dev_account *account = caller_of(request, reply);
    json_t *body = account ? dev_input_object(request, reply) : NULL;
    const char *code = NULL;

    if (body && dev_input_text(body, "mfa_token", DEV_TEXT_MAX, true, &code, reply)) {
        if (verify(request->server, account, code)) {
            show(request->server, account, reply);
        } else {
            dev_count(&request->server->counters, DEV_COUNT_mfa_wrong_codes);
            dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "CodeMismatchException", "Code mismatch");
        }
    }
    json_decref(body);
}
