/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void refuse_sign_in(struct dev_request *request, struct dev_reply *reply)
{
    dev_count(&request->server->counters, DEV_COUNT_sign_ins_refused);
    dev_reply_error(reply, MHD_HTTP_UNAUTHORIZED, "NotAuthorizedException",
                    "Incorrect username or password.");
}

static void refuse_session(struct dev_reply *reply)
{
    dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "ExpiredCodeException",
                    "Invalid session for the user: it has expired or was used.");
}

/* The last step of every sign-in. A device to remember gets a key of its own. */
static void grant(struct dev_request *request, struct dev_account *account, bool remember,
                  struct dev_reply *reply)
{
    struct dev_server *server = request->server;
    json_t *body = dev_grant_new(server, account, 0, true);
    char *key = remember ? dev_random_text("dev-device-") : NULL;
    char *group = remember ? dev_random_text("dev-group-") : NULL;

    pthread_mutex_lock(&server->lock);
    account->sign_ins++;
    if (key && group) {
        dev_account_remember_device(account, key, group);
        json_object_set_new(body, "DeviceKey", json_string(key));
        json_object_set_new(body, "DeviceGroupKey", json_string(group));
    }
    pthread_mutex_unlock(&server->lock);
    free(key);
    free(group);
    dev_count(&server->counters, DEV_COUNT_sign_ins);
    dev_reply_json(reply, MHD_HTTP_OK, body);
}

/* What the account must do before it gets its grant. */
struct step {
    bool new_password;
    bool mfa;
    enum dev_challenge_kind method;
};

/* Lock held. */
static struct step next_step(const struct dev_account *account)
{
    bool sms = account->preferred == DEV_METHOD_SMS || !account->totp_verified;

    return (struct step){account->new_password_required, account->mfa_enabled,
                         sms ? DEV_CHALLENGE_SMS : DEV_CHALLENGE_TOTP};
}

static void take_step(struct dev_request *request, struct dev_account *account, struct step step,
                      struct dev_reply *reply)
{
    if (step.new_password)
        dev_challenge_pose(request->server, account, DEV_CHALLENGE_NEW_PASSWORD, reply);
    else if (step.mfa)
        dev_challenge_pose(request->server, account, step.method, reply);
    else
        grant(request, account, false, reply);
}

struct credentials {
    const char *username;
    const char *password;
    const char *device_key;
    const char *device_group_key;
};

static void sign_in(struct dev_request *request, const struct credentials *given,
                    struct dev_reply *reply)
{
    struct dev_server *server = request->server;
    struct dev_account *account;
    struct step step = {0};
    bool right;

    pthread_mutex_lock(&server->lock);
    account = dev_account_find(&server->accounts, given->username);
    right = account && strcmp(account->password, given->password) == 0;
    if (right) {
        step = next_step(account);
        if (given->device_key && given->device_group_key &&
            dev_account_has_device(account, given->device_key, given->device_group_key))
            step.mfa = false;
    }
    pthread_mutex_unlock(&server->lock);
    if (right)
        take_step(request, account, step, reply);
    else
        refuse_sign_in(request, reply);
}

void dev_auth_observe_sign_in(struct dev_request *request)
{
    struct dev_reply unused = {0};
    json_t *body = dev_input_object(request, &unused);
    const char *username = json_string_value(json_object_get(body, "username"));

    dev_flight_start_sign_in(request->server, &request->flight, username ? username : "");
    json_decref(body);
    dev_reply_done(&unused);
}

void dev_auth_sign_in(struct dev_request *request, struct dev_reply *reply)
{
    json_t *body = dev_input_object(request, reply);
    struct credentials given = {0};

    dev_count(&request->server->counters, DEV_COUNT_sign_in_attempts);
    if (body && dev_input_text(body, "username", DEV_TEXT_MAX, true, &given.username, reply) &&
        dev_input_text(body, "password", DEV_PASSWORD_MAX, true, &given.password, reply) &&
        dev_input_text(body, "device_key", DEV_TEXT_MAX, false, &given.device_key, reply) &&
        dev_input_text(body, "device_group_key", DEV_TEXT_MAX, false, &given.device_group_key,
                       reply))
        sign_in(request, &given, reply);
    json_decref(body);
}

/* Lock held. The open challenge of that user, of one of two kinds. */
static struct dev_challenge *challenge_of(struct dev_server *server, const char *session,
                                          const char *username, bool new_password)
{
    struct dev_challenge *challenge = dev_challenge_find(server, session);

    if (!challenge || strcmp(challenge->account->name, username) != 0)
        return NULL;
    return (challenge->kind == DEV_CHALLENGE_NEW_PASSWORD) == new_password ? challenge : NULL;
}

/* Lock held. */
static bool code_is_right(const struct dev_challenge *challenge, const char *code)
{
    const struct dev_account *account = challenge->account;

    if (challenge->kind == DEV_CHALLENGE_TOTP)
        return dev_totp_matches(account->totp_secret, dev_wall_ns() / DEV_SECOND_NS, code);
    return account->sms_code[0] != '\0' && strcmp(account->sms_code, code) == 0;
}

enum answer { ANSWER_RIGHT, ANSWER_WRONG, ANSWER_LATE };

/* A challenge ends with its right answer, or after a few wrong ones. */
static enum answer answer_mfa(struct dev_server *server, const char *username, const char *session,
                              const char *code, struct dev_account **ret_account)
{
    enum answer answer = ANSWER_LATE;
    struct dev_challenge *challenge;

    pthread_mutex_lock(&server->lock);
    challenge = challenge_of(server, session, username, false);
    if (challenge) {
        answer = code_is_right(challenge, code) ? ANSWER_RIGHT : ANSWER_WRONG;
        *ret_account = challenge->account;
        if (answer == ANSWER_RIGHT)
            challenge->account->sms_code[0] = '\0';
        if (answer == ANSWER_RIGHT || ++challenge->wrong == DEV_CHALLENGE_ATTEMPTS)
            dev_challenge_end(server, session);
    }
    pthread_mutex_unlock(&server->lock);
    return answer;
}

void dev_auth_mfa_token(struct dev_request *request, struct dev_reply *reply)
{
    json_t *body = dev_input_object(request, reply);
    struct dev_account *account = NULL;
    const char *username = NULL;
    const char *session = NULL;
    const char *code = NULL;
    bool remember = false;

    if (body && dev_input_text(body, "username", DEV_TEXT_MAX, true, &username, reply) &&
        dev_input_text(body, "session", DEV_TEXT_MAX, true, &session, reply) &&
        dev_input_text(body, "mfa_token", DEV_TEXT_MAX, true, &code, reply) &&
        dev_input_bool(body, "remember_device", &remember, reply)) {
        switch (answer_mfa(request->server, username, session, code, &account)) {
        case ANSWER_RIGHT:
            grant(request, account, remember, reply);
            break;
        case ANSWER_WRONG:
            dev_count(&request->server->counters, DEV_COUNT_mfa_wrong_codes);
            dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "CodeMismatchException",
                            "Invalid code received for user.");
            break;
        case ANSWER_LATE:
            refuse_session(reply);
            break;
        }
    }
    json_decref(body);
}

/* Cognito's default policy. */
static bool password_is_strong(const char *password)
{
    bool upper = false;
    bool lower = false;
    bool digit = false;
    bool symbol = false;

    for (const unsigned char *c = (const unsigned char *)password; *c; c++) {
        upper = upper || isupper(*c);
        lower = lower || islower(*c);
        digit = digit || isdigit(*c);
        symbol = symbol || ispunct(*c);
    }
    return strlen(password) >= 8 && upper && lower && digit && symbol;
}

static void set_password(struct dev_request *request, const char *username, const char *session,
                         const char *password, struct dev_reply *reply)
{
    struct dev_server *server = request->server;
    struct dev_account *account = NULL;
    struct dev_challenge *challenge;
    struct step step = {0};

    pthread_mutex_lock(&server->lock);
    challenge = challenge_of(server, session, username, true);
    if (challenge) {
        account = challenge->account;
        memset(account->password, 0, sizeof(account->password));
        memcpy(account->password, password, strlen(password));
        account->new_password_required = false;
        step = next_step(account);
        dev_challenge_end(server, session);
    }
    pthread_mutex_unlock(&server->lock);
    if (account)
        take_step(request, account, step, reply);
    else
        refuse_session(reply);
}

void dev_auth_new_password(struct dev_request *request, struct dev_reply *reply)
{
    json_t *body = dev_input_object(request, reply);
    const char *username = NULL;
    const char *session = NULL;
    const char *password = NULL;

    if (body && dev_input_text(body, "username", DEV_TEXT_MAX, true, &username, reply) &&
        dev_input_text(body, "session", DEV_TEXT_MAX, true, &session, reply) &&
        dev_input_text(body, "new_password", DEV_PASSWORD_MAX, true, &password, reply)) {
        if (password_is_strong(password))
            set_password(request, username, session, password, reply);
        else /* the challenge stays open: the user may try another one */
            dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "InvalidPasswordException",
                            "Password must have 8 characters or more: upper and lower case, "
                            "digits and symbols.");
    }
    json_decref(body);
}

void dev_auth_observe_refresh(struct dev_request *request)
{
    struct dev_reply unused = {0};
    json_t *body = dev_input_object(request, &unused);
    const char *token = json_string_value(json_object_get(body, "refresh_token"));

    dev_count(&request->server->counters, DEV_COUNT_refresh_attempts);
    dev_flight_start(request->server, &request->flight, token ? token : "");
    json_decref(body);
    dev_reply_done(&unused);
}

struct family {
    uint64_t number;
};

static void revoke_of_family(void *payload, void *context)
{
    const struct family *family = context;
    struct dev_refresh *record = payload;

    if (record->family == family->number)
        record->revoked = true;
}

/* Lock held. A token that was replaced has come again: within the grace that is a replay, which is
 * answered; after it, somebody may have stolen it. */
static const char *judge_superseded(struct dev_server *server, const struct dev_refresh *record)
{
    struct family family = {record->family};

    if (dev_mono_ns() - record->superseded_ns <= server->tokens.grace_ns) {
        dev_count(&server->counters, DEV_COUNT_refresh_replays);
        return NULL;
    }
    dev_count(&server->counters, DEV_COUNT_reuse_detected);
    if (server->tokens.reuse == DEV_REUSE_REVOKE)
        dev_map_each(&server->tokens.refresh, revoke_of_family, &family);
    return "Refresh Token has been used before";
}

/* Lock held. NULL: the token is good, and superseded from now on where tokens rotate. */
static const char *judge_refresh(struct dev_server *server, struct dev_refresh *record)
{
    int64_t now = dev_mono_ns();

    if (!record)
        return "Invalid Refresh Token";
    if (record->superseded_ns != 0) {
        const char *refusal = judge_superseded(server, record);

        if (refusal)
            return refusal;
    }
    if (record->revoked)
        return "Refresh Token has been revoked";
    if (now >= record->expires_ns)
        return "Refresh Token has expired";
    if (server->tokens.rotate && record->superseded_ns == 0)
        record->superseded_ns = now;
    return NULL;
}

static void refresh(struct dev_request *request, const char *token, struct dev_reply *reply)
{
    struct dev_server *server = request->server;
    unsigned char digest[DEV_DIGEST_LEN];
    struct dev_refresh *record;
    struct dev_refresh known = {0};
    const char *refusal;
    bool rotate;

    dev_digest(token, strlen(token), digest);
    pthread_mutex_lock(&server->lock);
    record = dev_map_find(&server->tokens.refresh, digest);
    refusal = judge_refresh(server, record);
    if (!refusal) {
        known = *record;
        known.account->refreshes++;
    }
    rotate = server->tokens.rotate;
    pthread_mutex_unlock(&server->lock);
    dev_count(&server->counters, refusal ? DEV_COUNT_refreshes_refused : DEV_COUNT_refreshes);
    if (refusal)
        dev_reply_error(reply, MHD_HTTP_UNAUTHORIZED, "NotAuthorizedException", refusal);
    else
        dev_reply_json(reply, MHD_HTTP_OK,
                       dev_grant_new(server, known.account, known.family, rotate));
}

void dev_auth_refresh(struct dev_request *request, struct dev_reply *reply)
{
    json_t *body = dev_input_object(request, reply);
    const char *token = NULL;

    if (body && dev_input_text(body, "refresh_token", DEV_TEXT_MAX, true, &token, reply))
        refresh(request, token, reply);
    json_decref(body);
}

void dev_auth_jwks(struct dev_request *request, struct dev_reply *reply)
{
    dev_reply_text(reply, MHD_HTTP_OK, "application/json", request->server->keys.jwks);
}
