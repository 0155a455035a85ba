/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_PROFILE_TABLE_H
#define FSH_PROFILE_TABLE_H

#include "profile/profile.h"

/* How one exchange is asked. */
struct fsh_profile_call {
    const char *method;
    const char *path;
    bool authorized;
};

/* A name of the platform's, and what it means. */
struct fsh_profile_name {
    const char *name;
    int meaning;
};

/* What a definite error code means, by what was asked. */
struct fsh_profile_code {
    const char *code;
    int refresh;   /* status for REFRESH, PROBE and the settings; 0: not definite there */
    int sign_in;   /* for SIGN_IN */
    int challenge; /* for MFA, NEW_PASSWORD, TOTP_PUT */
};

/* Names of fields, in questions and in answers. */
struct fsh_profile_fields {
    const char *username;
    const char *password;
    const char *device_key;
    const char *device_group_key;
    const char *session;
    const char *code;
    const char *remember_device;
    const char *new_password;
    const char *refresh_token;
    const char *mfa_enabled;
    const char *mfa_method;

    const char *ret_access_token;
    const char *ret_id_token;
    const char *ret_refresh_token;
    const char *ret_expires_in;
    const char *ret_token_type;
    const char *ret_challenge;
    const char *ret_session;
    const char *ret_device_key;
    const char *ret_device_group_key;
    const char *ret_mfa_enabled;
    const char *ret_mfa_preferred;
    const char *ret_qr_uri;
    const char *ret_qr_secret;
};

/* What the claims of the ID token say of the account. */
struct fsh_profile_groups {
    const char *claim;
    const char *suspended;
    const char *external;
    const char *partner_prefix;        /* followed by at least one character; or */
    const char *partner_number_prefix; /* ... followed by digits alone */
};

/* A dialect, shared by profiles that differ in little. */
struct fsh_profile_dialect {
    struct fsh_profile_call calls[FSH_EXCHANGE_KINDS];
    struct fsh_profile_fields fields;
    struct fsh_profile_groups groups;
    const struct fsh_profile_name *challenges; /* ends with a NULL name */
    const struct fsh_profile_code *codes;      /* ends with a NULL code */
    const char *const *code_fields;            /* where an error's code stands; NULL-terminated */
    const char *partner_header;
    bool probe;
};

struct fsh_profile {
    const char *name;
    const struct fsh_profile_dialect *dialect;
    const char *scheme; /* of the Authorization header; NULL: the bare token */
    bool rotates;
    int64_t grace_ms;
    int64_t refresh_life_ms;
};

#endif
