/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "lib/internal.h"

#include <freshet/mfa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int freshet_mfa_settings_get(struct freshet_session *session, int64_t timeout_ms,
                             struct freshet_mfa_settings *ret_settings, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_MFA_SETTINGS_GET, .in.mfa_enabled = -1};
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    status = fsh_lib_call(session, &call, timeout_ms, error);
    if (status == FRESHET_OK) {
        ret_settings->enabled = call.mfa.enabled;
        (void)snprintf(ret_settings->preferred, sizeof(ret_settings->preferred), "%s",
                       call.mfa.preferred);
    }
    fsh_lib_call_done(&call);
    return status;
}

int freshet_mfa_settings_put(struct freshet_session *session, int enabled, const char *preferred,
                             int64_t timeout_ms, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_MFA_SETTINGS_PUT, .in.mfa_enabled = enabled};
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    if (preferred && strlen(preferred) >= sizeof(call.in.mfa_method))
        return fsh_base_fail(error, FRESHET_EINVAL, "preferred: more than %zu bytes",
                             sizeof(call.in.mfa_method) - 1);
    (void)snprintf(call.in.mfa_method, sizeof(call.in.mfa_method), "%s",
                   preferred ? preferred : "");
    status = fsh_lib_call(session, &call, timeout_ms, error);
    fsh_lib_call_done(&call);
    return status;
}

int freshet_totp_begin(struct freshet_session *session, int64_t timeout_ms,
                       struct freshet_totp *ret_totp, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_TOTP_GET, .in.mfa_enabled = -1};
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    status = fsh_lib_call(session, &call, timeout_ms, error);
    if (status == FRESHET_OK) {
        /* The bytes go to the caller, whose freshet_totp_done wipes them. */
        *ret_totp = (struct freshet_totp){call.mfa.qr_uri.bytes, call.mfa.qr_secret.bytes};
        call.mfa.qr_uri = (struct fsh_secret){0};
        call.mfa.qr_secret = (struct fsh_secret){0};
    }
    fsh_lib_call_done(&call);
    return status;
}

int freshet_totp_confirm(struct freshet_session *session, const char *code, int64_t timeout_ms,
                         struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_TOTP_PUT, .in.mfa_enabled = -1};
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    status = fsh_lib_copy_text(code ? code : "", FSH_CREDENTIAL_MAX, "code", &call.in.code, error);
    if (status != FRESHET_OK)
        return status;
    status = fsh_lib_call(session, &call, timeout_ms, error);
    fsh_lib_call_done(&call);
    return status;
}

static void wipe_and_free(char *text)
{
    if (text)
        fsh_base_wipe(text, strlen(text));
    free(text);
}

void freshet_totp_done(struct freshet_totp *totp)
{
    if (!totp)
        return;
    wipe_and_free(totp->uri);
    wipe_and_free(totp->secret);
    *totp = (struct freshet_totp){0};
}
