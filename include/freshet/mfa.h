/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_MFA_H
#define FRESHET_MFA_H

#include <freshet/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The account's MFA settings. */
struct freshet_mfa_settings {
    /** 1: on, 0: off, -1: the platform did not say. */
    int enabled;
    /** Preferred method, such as "totp"; "" when there is none. */
    char preferred[32];
};

/** Reads the settings of the account that is signed in.
 *
 *  @param timeout_ms  0 for 20,000.
 *  @return FRESHET_OK, or a status as freshet_ensure_fresh. */
FRESHET_EXPORT int freshet_mfa_settings_get(struct freshet_session *session, int64_t timeout_ms,
                                            struct freshet_mfa_settings *ret_settings,
                                            struct freshet_error *error);

/** Changes them: `enabled` -1 and `preferred` NULL leave what is.
 *
 *  @return as freshet_mfa_settings_get; FRESHET_EINVAL for a method of more than 31 bytes. */
FRESHET_EXPORT int freshet_mfa_settings_put(struct freshet_session *session, int enabled,
                                            const char *preferred, int64_t timeout_ms,
                                            struct freshet_error *error);

/** What an authenticator app needs. Secret: end it with freshet_totp_done, which wipes it. */
struct freshet_totp {
    /** For a QR code: "otpauth://totp/...". */
    char *uri;
    /** To be typed instead, in base32. */
    char *secret;
};

/** Begins to enrol an authenticator app.
 *
 *  @param ret_totp  the caller's; freshet_totp_done ends it.
 *  @return as freshet_mfa_settings_get. */
FRESHET_EXPORT int freshet_totp_begin(struct freshet_session *session, int64_t timeout_ms,
                                      struct freshet_totp *ret_totp, struct freshet_error *error);

/** Proves that the app works, with its first code, which ends the enrolment.
 *
 *  @return as freshet_mfa_settings_get; FRESHET_EMFACODE for a wrong code. */
FRESHET_EXPORT int freshet_totp_confirm(struct freshet_session *session, const char *code,
                                        int64_t timeout_ms, struct freshet_error *error);

/** Wipes and frees. Takes NULL, and a struct that is all zero. */
FRESHET_EXPORT void freshet_totp_done(struct freshet_totp *totp);

#ifdef __cplusplus
}
#endif

#endif
