/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCOPE "aws.cognito.signin.user.admin"

bool dev_tokens_init(struct dev_tokens *tokens)
{
    tokens->ends = calloc(DEV_ACCESS_TOKENS_MAX, sizeof(*tokens->ends));
    return tokens->ends &&
           dev_map_init(&tokens->refresh, DEV_REFRESH_TOKENS_MAX, sizeof(struct dev_refresh));
}

void dev_tokens_done(struct dev_tokens *tokens)
{
    free(tokens->ends);
    tokens->ends = NULL;
    dev_map_done(&tokens->refresh);
}

static int64_t ceil_seconds(int64_t ns)
{
    return (ns + DEV_SECOND_NS - 1) / DEV_SECOND_NS;
}

/* What a grant is made of: decided under the lock, signed without it. */
struct draft {
    struct dev_account *account;
    json_t *groups;
    int64_t lifetime_ns;
    int64_t issued_s;
    int64_t expires_s; /* rounded up: the API goes by the exact end, which is never later */
    char jti[48];
};

/* Lock held. */
static void draft_init(struct draft *draft, struct dev_server *server, struct dev_account *account)
{
    struct dev_tokens *tokens = &server->tokens;
    uint64_t serial = ++tokens->serial;
    int64_t wall = dev_wall_ns();
    uint64_t random;

    dev_random(&random, sizeof(random));
    *draft = (struct draft){.account = account,
                            .groups = json_deep_copy(account->groups),
                            .lifetime_ns = tokens->lifetime_ns,
                            .issued_s = wall / DEV_SECOND_NS,
                            .expires_s = ceil_seconds(wall + tokens->lifetime_ns)};
    (void)snprintf(draft->jti, sizeof(draft->jti), "%016" PRIx64 "-%016" PRIx64, serial, random);
    tokens->ends[serial % DEV_ACCESS_TOKENS_MAX] =
        (struct dev_access_end){serial, dev_mono_ns() + tokens->lifetime_ns};
}

static char *access_token(const struct dev_server *server, const struct draft *draft)
{
    json_t *claims = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:O}", "sub", draft->account->sub, "iss",
        server->url, "client_id", DEV_CLIENT_ID, "token_use", "access", "scope", SCOPE, "iat",
        (json_int_t)draft->issued_s, "exp", (json_int_t)draft->expires_s, "jti", draft->jti,
        "username", draft->account->name, "cognito:groups", draft->groups);
    char *token = dev_keys_sign(&server->keys, claims);

    json_decref(claims);
    return token;
}

static char *id_token(const struct dev_server *server, const struct draft *draft)
{
    json_t *claims =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:O, s:o}", "sub", draft->account->sub,
                  "iss", server->url, "aud", DEV_CLIENT_ID, "token_use", "id", "iat",
                  (json_int_t)draft->issued_s, "exp", (json_int_t)draft->expires_s,
                  "cognito:username", draft->account->name, "cognito:groups", draft->groups,
                  "email", json_sprintf("%s@dev.example", draft->account->name));
    char *token = dev_keys_sign(&server->keys, claims);

    json_decref(claims);
    return token;
}

/* Lock held. The token, to be freed; only its digest is kept. */
static char *refresh_token_new(struct dev_tokens *tokens, struct dev_account *account,
                               uint64_t family)
{
    char *token = dev_random_text("dev-refresh-");
    unsigned char digest[DEV_DIGEST_LEN];
    struct dev_refresh *record;

    if (!token)
        return NULL;
    dev_digest(token, strlen(token), digest);
    record = dev_map_put(&tokens->refresh, digest);
    record->account = account;
    record->family = family != 0 ? family : ++tokens->family;
    record->expires_ns = dev_mono_ns() + tokens->refresh_lifetime_ns;
    return token;
}

json_t *dev_grant_new(struct dev_server *server, struct dev_account *account, uint64_t family,
                      bool with_refresh)
{
    struct draft draft;
    char *refresh = NULL;
    char *access;
    char *id;
    json_t *grant = NULL;

    pthread_mutex_lock(&server->lock);
    draft_init(&draft, server, account);
    if (with_refresh)
        refresh = refresh_token_new(&server->tokens, account, family);
    pthread_mutex_unlock(&server->lock);
    access = access_token(server, &draft);
    id = id_token(server, &draft);
    if (access && id && (refresh || !with_refresh))
        grant = json_pack("{s:s, s:s, s:I, s:s, s:s*}", "AccessToken", access, "IdToken", id,
                          "ExpiresIn", (json_int_t)ceil_seconds(draft.lifetime_ns), "TokenType",
                          "Bearer", "RefreshToken", refresh);
    json_decref(draft.groups);
    free(access);
    free(id);
    free(refresh);
    return grant;
}

/* Lock held. */
static bool expired(const struct dev_tokens *tokens, uint64_t serial, const json_t *claims)
{
    const struct dev_access_end *end = &tokens->ends[serial % DEV_ACCESS_TOKENS_MAX];

    if (end->serial == serial)
        return dev_mono_ns() >= end->expires_ns;
    return dev_wall_ns() / DEV_SECOND_NS >= json_integer_value(json_object_get(claims, "exp"));
}

static enum dev_verdict judge(struct dev_caller *caller, struct dev_server *server)
{
    const char *use = json_string_value(json_object_get(caller->claims, "token_use"));
    const char *name = json_string_value(json_object_get(caller->claims, "username"));
    const char *jti = json_string_value(json_object_get(caller->claims, "jti"));
    enum dev_verdict verdict = DEV_TOKEN_BAD;
    uint64_t serial;

    if (!use || strcmp(use, "access") != 0 || !name || !jti)
        return verdict; /* an ID token, say */
    serial = strtoull(jti, NULL, 16);
    pthread_mutex_lock(&server->lock);
    caller->account = dev_account_find(&server->accounts, name);
    if (caller->account && expired(&server->tokens, serial, caller->claims))
        verdict = DEV_TOKEN_EXPIRED;
    else if (caller->account && serial <= caller->account->access_revoked)
        verdict = DEV_TOKEN_REVOKED;
    else if (caller->account)
        verdict = DEV_TOKEN_GOOD;
    pthread_mutex_unlock(&server->lock);
    return verdict;
}

void dev_caller_init(struct dev_caller *caller, struct dev_server *server,
                     const char *authorization)
{
    *caller = (struct dev_caller){.verdict = DEV_TOKEN_ABSENT};
    if (!authorization || authorization[0] == '\0')
        return;
    caller->verdict = DEV_TOKEN_BAD;
    if (strncmp(authorization, "Bearer ", 7) == 0)
        authorization += 7;
    else if (!server->options.bare)
        return;
    caller->claims = dev_keys_verify(&server->keys, authorization);
    if (caller->claims)
        caller->verdict = judge(caller, server);
}

void dev_caller_done(struct dev_caller *caller)
{
    json_decref(caller->claims);
    *caller = (struct dev_caller){0};
}

const char *dev_verdict_text(enum dev_verdict verdict)
{
    switch (verdict) {
    case DEV_TOKEN_ABSENT:
        return "Authorization is missing";
    case DEV_TOKEN_EXPIRED:
        return "Access Token has expired";
    case DEV_TOKEN_REVOKED:
        return "Access Token has been revoked";
    case DEV_TOKEN_GOOD:
    case DEV_TOKEN_BAD:
        break;
    }
    return "Invalid Access Token";
}

void dev_revoke_access(struct dev_server *server, struct dev_account *account)
{
    account->access_revoked = server->tokens.serial;
}

static void revoke_of_account(void *payload, void *context)
{
    struct dev_refresh *record = payload;

    if (record->account == context)
        record->revoked = true;
}

void dev_revoke_refresh(struct dev_server *server, struct dev_account *account)
{
    dev_map_each(&server->tokens.refresh, revoke_of_account, account);
}
