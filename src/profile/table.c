/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/table.h"

#include <freshet/status.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

/* ---- the platform of the design's first section ------------------------------------------- */

static const struct fsh_profile_name partner_challenges[] = {
    {"SOFTWARE_TOKEN_MFA", FSH_CHALLENGE_MFA},
    {"SMS_MFA", FSH_CHALLENGE_MFA},
    {"EMAIL_OTP", FSH_CHALLENGE_MFA},
    {"NEW_PASSWORD_REQUIRED", FSH_CHALLENGE_NEW_PASSWORD},
    {NULL, 0},
};

/* The codes that are verdicts (rule 6). What is not listed is none, whatever its HTTP status. */
static const struct fsh_profile_code partner_codes[] = {
    {"NotAuthorizedException", FRESHET_EENDED, FRESHET_ECREDENTIALS, FRESHET_ECHALLENGEOVER},
    {"invalid_grant", FRESHET_EENDED, FRESHET_ECREDENTIALS, FRESHET_ECHALLENGEOVER},
    {"UserNotFoundException", FRESHET_EENDED, FRESHET_ECREDENTIALS, FRESHET_ECHALLENGEOVER},
    {"PasswordResetRequiredException", FRESHET_EENDED, FRESHET_ECREDENTIALS,
     FRESHET_ECHALLENGEOVER},
    {"UserNotConfirmedException", FRESHET_EENDED, FRESHET_ECREDENTIALS, FRESHET_ECHALLENGEOVER},
    {"UserDisabledException", FRESHET_ESUSPENDED, FRESHET_ESUSPENDED, FRESHET_ESUSPENDED},
    {"CodeMismatchException", 0, 0, FRESHET_EMFACODE},
    {"EnableSoftwareTokenMFAException", 0, 0, FRESHET_EMFACODE},
    {"ExpiredCodeException", 0, 0, FRESHET_ECHALLENGEOVER},
    {"InvalidPasswordException", 0, 0, FRESHET_EPASSWORDPOLICY},
    {NULL, 0, 0, 0},
};

static const char *const partner_code_fields[] = {"code", "__type", "error", NULL};

static const struct fsh_profile_dialect partner = {
    .calls =
        {
            [FSH_EXCHANGE_SIGN_IN] = {"POST", "/auth", false},
            [FSH_EXCHANGE_MFA] = {"PUT", "/auth/challenge/mfa-token", false},
            [FSH_EXCHANGE_NEW_PASSWORD] = {"PUT", "/auth/challenge/new-password", false},
            [FSH_EXCHANGE_REFRESH] = {"POST", "/auth/refresh_token", false},
            [FSH_EXCHANGE_PROBE] = {"GET", "/auth/mfa/settings", true},
            [FSH_EXCHANGE_MFA_SETTINGS_GET] = {"GET", "/auth/mfa/settings", true},
            [FSH_EXCHANGE_MFA_SETTINGS_PUT] = {"PUT", "/auth/mfa/settings", true},
            [FSH_EXCHANGE_TOTP_GET] = {"GET", "/auth/mfa/configure/totp", true},
            [FSH_EXCHANGE_TOTP_PUT] = {"PUT", "/auth/mfa/configure/totp", true},
        },
    .fields =
        {
            .username = "username",
            .password = "password",
            .device_key = "device_key",
            .device_group_key = "device_group_key",
            .session = "session",
            .code = "mfa_token",
            .remember_device = "remember_device",
            .new_password = "new_password",
            .refresh_token = "refresh_token",
            .mfa_enabled = "mfa_enabled",
            .mfa_method = "preferred_method",
            .ret_access_token = "AccessToken",
            .ret_id_token = "IdToken",
            .ret_refresh_token = "RefreshToken",
            .ret_expires_in = "ExpiresIn",
            .ret_token_type = "TokenType",
            .ret_challenge = "Challenge",
            .ret_session = "Session",
            .ret_device_key = "DeviceKey",
            .ret_device_group_key = "DeviceGroupKey",
            .ret_mfa_enabled = "mfa_enabled",
            .ret_mfa_preferred = "preferred",
            .ret_qr_uri = "qr_uri",
            .ret_qr_secret = "qr_secret",
        },
    .groups =
        {
            .claim = "cognito:groups",
            .suspended = "account-disabled",
            .external = "external-user",
            .partner_prefix = "partner-id-",
            .partner_number_prefix = "fd",
        },
    .challenges = partner_challenges,
    .codes = partner_codes,
    .code_fields = partner_code_fields,
    .partner_header = "X-Preferred-Partner-Id",
    .probe = true,
};

/* ---- profiles ------------------------------------------------------------------------------ */

static const struct fsh_profile profiles[] = {
    {"partner", &partner, "Bearer", false, 0, 30 * DAY_MS},
    {"partner-bare", &partner, NULL, false, 0, 30 * DAY_MS},
    /* For tests: the same platform with refresh tokens that rotate. */
    {"partner-rotating", &partner, "Bearer", true, 10000, 30 * DAY_MS},
};

#define PROFILES (sizeof(profiles) / sizeof(profiles[0]))

static const char *const names[PROFILES + 1] = {"partner", "partner-bare", "partner-rotating",
                                                NULL};

const struct fsh_profile *fsh_profile_find(const char *name)
{
    for (size_t i = 0; i < PROFILES; i++) {
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    }
    return NULL;
}

const char *const *fsh_profile_names(void)
{
    return names;
}

const char *fsh_profile_name(const struct fsh_profile *profile)
{
    return profile->name;
}

bool fsh_profile_rotates(const struct fsh_profile *profile)
{
    return profile->rotates;
}

int64_t fsh_profile_grace_ms(const struct fsh_profile *profile)
{
    return profile->grace_ms;
}

int64_t fsh_profile_refresh_life_ms(const struct fsh_profile *profile)
{
    return profile->refresh_life_ms;
}

bool fsh_profile_has_probe(const struct fsh_profile *profile)
{
    return profile->dialect->probe;
}

const char *fsh_profile_partner_header(const struct fsh_profile *profile)
{
    return profile->dialect->partner_header;
}
