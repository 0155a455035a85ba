/* SPDX-License-Identifier: Apache-2.0 */

/* Questions: from structs to messages. */

#include "profile/json.h"
#include "profile/table.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

/* A body that is being built. After the first failure the rest does nothing. */
struct builder {
    json_t *body;
    int status;
};

static void add(struct builder *builder, const char *field, json_t *value)
{
    if (builder->status != FRESHET_OK) {
        json_decref(value);
        return;
    }
    if (!value || json_object_set_new(builder->body, field, value) != 0)
        builder->status = FRESHET_ENOMEM;
}

static void add_text(struct builder *builder, const char *field, const char *text, size_t len,
                     size_t most)
{
    if (builder->status != FRESHET_OK)
        return;
    if (len == 0 || len > most || memchr(text, '\0', len) || !fsh_profile_json_utf8(text, len)) {
        builder->status = FRESHET_EINVAL;
        return;
    }
    add(builder, field, json_stringn(text, len));
}

static void add_secret(struct builder *builder, const char *field, const struct fsh_secret *secret,
                       size_t most)
{
    static const struct fsh_secret none;

    if (!secret)
        secret = &none;
    add_text(builder, field, fsh_base_secret_reveal(secret), secret->len, most);
}

static void add_username(struct builder *builder, const struct fsh_profile_fields *fields,
                         const struct fsh_question *question)
{
    const char *username = question->username ? question->username : "";

    add_text(builder, fields->username, username, strlen(username), FSH_CREDENTIAL_MAX);
}

static void sign_in(struct builder *builder, const struct fsh_profile_fields *fields,
                    const struct fsh_question *question)
{
    add_username(builder, fields, question);
    add_secret(builder, fields->password, question->password, FSH_CREDENTIAL_MAX);
    if (!question->device_key)
        return;
    add_secret(builder, fields->device_key, question->device_key, FSH_CREDENTIAL_MAX);
    add_secret(builder, fields->device_group_key, question->device_group_key, FSH_CREDENTIAL_MAX);
}

static void mfa(struct builder *builder, const struct fsh_profile_fields *fields,
                const struct fsh_question *question)
{
    add_username(builder, fields, question);
    add_secret(builder, fields->session, question->session, FSH_CHALLENGE_MAX);
    add_secret(builder, fields->code, question->code, FSH_CREDENTIAL_MAX);
    add(builder, fields->remember_device, json_boolean(question->remember_device));
}

static void new_password(struct builder *builder, const struct fsh_profile_fields *fields,
                         const struct fsh_question *question)
{
    add_username(builder, fields, question);
    add_secret(builder, fields->session, question->session, FSH_CHALLENGE_MAX);
    add_secret(builder, fields->new_password, question->new_password, FSH_CREDENTIAL_MAX);
}

static void refresh(struct builder *builder, const struct fsh_profile_fields *fields,
                    const struct fsh_question *question)
{
    add_secret(builder, fields->refresh_token, question->refresh_token, FSH_TOKEN_MAX);
}

static void mfa_settings(struct builder *builder, const struct fsh_profile_fields *fields,
                         const struct fsh_question *question)
{
    if (question->mfa_enabled >= 0)
        add(builder, fields->mfa_enabled, json_boolean(question->mfa_enabled));
    if (question->mfa_method)
        add_text(builder, fields->mfa_method, question->mfa_method, strlen(question->mfa_method),
                 FSH_CODE_MAX);
}

static void totp(struct builder *builder, const struct fsh_profile_fields *fields,
                 const struct fsh_question *question)
{
    add_secret(builder, fields->code, question->code, FSH_CREDENTIAL_MAX);
}

typedef void build_fn(struct builder *builder, const struct fsh_profile_fields *fields,
                      const struct fsh_question *question);

/* NULL: no body. */
static build_fn *const builders[FSH_EXCHANGE_KINDS] = {
    [FSH_EXCHANGE_SIGN_IN] = sign_in,
    [FSH_EXCHANGE_MFA] = mfa,
    [FSH_EXCHANGE_NEW_PASSWORD] = new_password,
    [FSH_EXCHANGE_REFRESH] = refresh,
    [FSH_EXCHANGE_MFA_SETTINGS_PUT] = mfa_settings,
    [FSH_EXCHANGE_TOTP_PUT] = totp,
};

int fsh_profile_ask(const struct fsh_profile *profile, enum fsh_exchange_kind kind,
                    const struct fsh_question *question, struct fsh_message *ret_message)
{
    const struct fsh_profile_call *call = &profile->dialect->calls[kind];
    struct fsh_message message = {
        .method = call->method,
        .path = call->path,
        .authorized = call->authorized,
    };
    struct builder builder = {0};

    if (builders[kind]) {
        builder.body = json_object();
        if (!builder.body)
            return FRESHET_ENOMEM;
        builders[kind](&builder, &profile->dialect->fields, question);
        if (builder.status == FRESHET_OK)
            builder.status = fsh_profile_json_dump(builder.body, &message.body);
        fsh_profile_json_done(builder.body);
    }
    if (builder.status == FRESHET_OK)
        *ret_message = message;
    return builder.status;
}

void fsh_profile_message_done(struct fsh_message *message)
{
    if (message)
        fsh_base_secret_done(&message->body);
}

int fsh_profile_authorization(const struct fsh_profile *profile,
                              const struct fsh_secret *access_token, struct fsh_secret *ret_value)
{
    const char *token = fsh_base_secret_reveal(access_token);
    size_t scheme = profile->scheme ? strlen(profile->scheme) + 1 : 0;
    char *value;

    /* Printable ASCII without spaces: anything else could end the header or begin another. */
    for (size_t i = 0; i < access_token->len; i++) {
        if (token[i] <= ' ' || token[i] > '~')
            return FRESHET_EBADBODY;
    }
    if (access_token->len == 0)
        return FRESHET_EBADBODY;
    value = malloc(scheme + access_token->len + 1);
    if (!value)
        return FRESHET_ENOMEM;
    if (profile->scheme) {
        memcpy(value, profile->scheme, scheme - 1);
        value[scheme - 1] = ' ';
    }
    memcpy(value + scheme, token, access_token->len + 1);
    fsh_base_secret_adopt(ret_value, value, scheme + access_token->len);
    return FRESHET_OK;
}
