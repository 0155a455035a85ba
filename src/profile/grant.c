/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/grant.h"

#include "profile/json.h"
#include "profile/jwt.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool printable(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    }
    return true;
}

int fsh_profile_secret_field(const json_t *body, const char *field, size_t most,
                             struct fsh_secret *ret_secret)
{
    const json_t *value = json_object_get(body, field);
    size_t len = json_string_length(value);

    if (!value || json_is_null(value))
        return FRESHET_OK;
    if (!json_is_string(value) || len == 0 || len > most ||
        !printable(json_string_value(value), len))
        return FRESHET_EBADBODY;
    return fsh_base_secret_copy(json_string_value(value), len, ret_secret);
}

/* ---- lifetime (rule 11) -------------------------------------------------------------------- */

/* A whole number of seconds that can be true; 0 otherwise. */
static int64_t sensible_expires_in(const json_t *value)
{
    double seconds = json_is_number(value) ? json_number_value(value) : 0;
    double most = (double)FSH_LIFETIME_ABSURD_MS / 1000.0;

    if (!(seconds > 0 && seconds <= most) || seconds != (double)(int64_t)seconds)
        return 0;
    return (int64_t)seconds * 1000;
}

static int64_t lifetime(const struct fsh_profile_fields *fields, const json_t *body,
                        const json_t *claims)
{
    int64_t said = sensible_expires_in(json_object_get(body, fields->ret_expires_in));
    int64_t held;

    if (!claims || !fsh_profile_jwt_lifetime(claims, &held))
        return said ? said : FSH_LIFETIME_DEFAULT_MS;
    if (said && said < held)
        return said;
    /* A token that expires as it is issued was never usable: the core refuses a life this short. */
    return held > 0 ? held : 1;
}

/* ---- who it is (rule 4) -------------------------------------------------------------------- */

static bool digits(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

static bool is_partner(const struct fsh_profile_groups *groups, const char *group)
{
    size_t prefix = strlen(groups->partner_prefix);
    size_t number = strlen(groups->partner_number_prefix);

    if (strncmp(group, groups->partner_prefix, prefix) == 0)
        return group[prefix] != '\0';
    return strncmp(group, groups->partner_number_prefix, number) == 0 && digits(group + number);
}

static int add_partner(struct fsh_grant *grant, const char *id, const char **ret_detail)
{
    for (size_t i = 0; i < grant->partner_count; i++) {
        if (strcmp(grant->partners[i], id) == 0)
            return FRESHET_OK;
    }
    if (grant->partner_count == FSH_PARTNERS_MAX) {
        *ret_detail = "the account has more than 256 partner ids";
        return FRESHET_EBADBODY;
    }
    if (!grant->partners)
        grant->partners = calloc(FSH_PARTNERS_MAX, sizeof(char *));
    if (!grant->partners)
        return FRESHET_ENOMEM;
    grant->partners[grant->partner_count] = strdup(id);
    if (!grant->partners[grant->partner_count])
        return FRESHET_ENOMEM;
    grant->partner_count++;
    return FRESHET_OK;
}

static int take_group(const struct fsh_profile_groups *groups, const json_t *value,
                      struct fsh_grant *grant, const char **ret_detail)
{
    const char *group = json_string_value(value);

    if (!group) {
        *ret_detail = "the ID token's groups are not all text";
        return FRESHET_EBADBODY;
    }
    if (strcmp(group, groups->suspended) == 0)
        grant->suspended = true;
    if (strcmp(group, groups->external) == 0)
        grant->external = true;
    if (!is_partner(groups, group))
        return FRESHET_OK;
    if (json_string_length(value) > FSH_PARTNER_ID_MAX ||
        !printable(group, json_string_length(value))) {
        *ret_detail = "a partner id has characters that no header may have, or is too long";
        return FRESHET_EBADBODY;
    }
    return add_partner(grant, group, ret_detail);
}

static int take_groups(const struct fsh_profile_groups *groups, const json_t *claims,
                       struct fsh_grant *grant, const char **ret_detail)
{
    const json_t *list = json_object_get(claims, groups->claim);
    int status = FRESHET_OK;

    grant->identified = true;
    if (!list)
        return FRESHET_OK;
    if (!json_is_array(list)) {
        *ret_detail = "the ID token's groups are no list";
        return FRESHET_EBADBODY;
    }
    for (size_t i = 0; i < json_array_size(list) && status == FRESHET_OK; i++)
        status = take_group(groups, json_array_get(list, i), grant, ret_detail);
    return status;
}

static int identify(const struct fsh_profile_dialect *dialect, const json_t *body,
                    struct fsh_grant *grant, const char **ret_detail)
{
    const json_t *token = json_object_get(body, dialect->fields.ret_id_token);
    json_t *claims;
    int status;

    if (!token || json_is_null(token))
        return FRESHET_OK;
    *ret_detail = "the ID token is no JWT";
    if (!json_is_string(token))
        return FRESHET_EBADBODY;
    status = fsh_profile_jwt_claims(json_string_value(token), json_string_length(token), &claims);
    if (status != FRESHET_OK)
        return status;
    status = take_groups(&dialect->groups, claims, grant, ret_detail);
    fsh_profile_json_done(claims);
    return status;
}

/* ---- the whole ----------------------------------------------------------------------------- */

static int take_tokens(const struct fsh_profile_fields *fields, const json_t *body,
                       struct fsh_grant *grant, const char **ret_detail)
{
    int status = fsh_profile_secret_field(body, fields->ret_access_token, FSH_TOKEN_MAX,
                                          &grant->access_token);

    *ret_detail = "the access token is no text that a header may have, or longer than 16 KiB";
    if (status != FRESHET_OK)
        return status;
    if (fsh_base_secret_empty(&grant->access_token)) {
        *ret_detail = "the answer has no access token";
        return FRESHET_EBADBODY;
    }
    *ret_detail = "the refresh token or the device's keys are no printable text, or too long";
    status = fsh_profile_secret_field(body, fields->ret_refresh_token, FSH_TOKEN_MAX,
                                      &grant->refresh_token);
    if (status == FRESHET_OK)
        status = fsh_profile_secret_field(body, fields->ret_device_key, FSH_CREDENTIAL_MAX,
                                          &grant->device_key);
    if (status == FRESHET_OK)
        status = fsh_profile_secret_field(body, fields->ret_device_group_key, FSH_CREDENTIAL_MAX,
                                          &grant->device_group_key);
    return status;
}

static bool bearer(const struct fsh_profile_fields *fields, const json_t *body)
{
    const json_t *type = json_object_get(body, fields->ret_token_type);

    if (!type || json_is_null(type))
        return true;
    return json_is_string(type) && strcasecmp(json_string_value(type), "Bearer") == 0;
}

static int take_grant(const struct fsh_profile_dialect *dialect, const json_t *body,
                      struct fsh_grant *grant, const char **ret_detail)
{
    const struct fsh_profile_fields *fields = &dialect->fields;
    int status = take_tokens(fields, body, grant, ret_detail);
    json_t *claims = NULL;

    if (status != FRESHET_OK)
        return status;
    if (!bearer(fields, body)) {
        *ret_detail = "the token's type is not Bearer";
        return FRESHET_EBADBODY;
    }
    /* An access token need not be a JWT; then its ExpiresIn alone counts. */
    status = fsh_profile_jwt_claims(fsh_base_secret_reveal(&grant->access_token),
                                    grant->access_token.len, &claims);
    if (status == FRESHET_ENOMEM)
        return status;
    grant->lifetime_ms = lifetime(fields, body, claims);
    fsh_profile_json_done(claims);
    return identify(dialect, body, grant, ret_detail);
}

int fsh_profile_grant(const struct fsh_profile_dialect *dialect, const json_t *body,
                      struct fsh_grant *ret_grant, const char **ret_detail)
{
    struct fsh_grant grant = {0};
    int status = take_grant(dialect, body, &grant, ret_detail);

    if (status == FRESHET_OK)
        *ret_grant = grant;
    else
        fsh_profile_grant_done(&grant);
    return status;
}

void fsh_profile_grant_done(struct fsh_grant *grant)
{
    if (!grant)
        return;
    fsh_base_secret_done(&grant->access_token);
    fsh_base_secret_done(&grant->refresh_token);
    fsh_base_secret_done(&grant->device_key);
    fsh_base_secret_done(&grant->device_group_key);
    for (size_t i = 0; i < grant->partner_count; i++)
        free(grant->partners[i]);
    free(grant->partners);
    *grant = (struct fsh_grant){0};
}
