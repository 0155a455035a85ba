/* SPDX-License-Identifier: Apache-2.0 */

/* The account's MFA: its settings, and enrolling an authenticator app. */

#include "keeper/control.h"

#include "base/error.h"

#include <freshet/status.h>

/* ---- settings ---------------------------------------------------------------------------- */

static json_t *settings_json(const struct freshet_mfa_settings *settings)
{
    json_t *enabled = settings->enabled < 0 ? json_null() : json_boolean(settings->enabled);

    return json_pack("{s:o, s:s?}", "enabled", enabled, "preferred",
                     settings->preferred[0] == '\0' ? NULL : settings->preferred);
}

static bool answer_settings(struct fsh_ask *ask, int status, const struct freshet_error *error)
{
    fsh_request_answer(ask->request, status == FRESHET_OK
                                         ? fsh_page_json(200, settings_json(&ask->settings))
                                         : fsh_page_problem(status, error));
    return false;
}

static void settings_get(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    struct fsh_ask *ask = fsh_ask_new(request, entry, answer_settings);
    struct freshet_error error;

    if (ask)
        fsh_ask_made(ask,
                     fsh_lib_mfa_get_async(entry->session, 0, &ask->settings,
                                           request->keeper->queue, fsh_ask_done, ask, &error),
                     &error);
}

void fsh_control_mfa_get(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_ADMIN, settings_get);
}

static int call_put(struct fsh_ask *ask, json_t *body, struct freshet_error *error)
{
    json_t *enabled = NULL;
    json_t *preferred = NULL;
    int status =
        fsh_control_read(body, error, "{s?o, s?o}", "enabled", &enabled, "preferred", &preferred);

    if (status != FRESHET_OK)
        return status;
    if ((enabled && !json_is_boolean(enabled) && !json_is_null(enabled)) ||
        (preferred && !json_is_string(preferred) && !json_is_null(preferred)))
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "enabled is true, false or null; preferred a string or null");
    return fsh_lib_mfa_put_async(
        ask->entry->session, json_is_boolean(enabled) ? json_is_true(enabled) : -1,
        json_string_value(preferred), 0, ask->request->keeper->queue, fsh_ask_done, ask, error);
}

static void settings_put(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    fsh_control_call(request, entry, call_put, fsh_ask_answer_done);
}

void fsh_control_mfa_put(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_ADMIN, settings_put);
}

/* ---- an authenticator app ---------------------------------------------------------------- */

static bool answer_totp(struct fsh_ask *ask, int status, const struct freshet_error *error)
{
    fsh_request_answer(ask->request,
                       status == FRESHET_OK
                           ? fsh_page_json(200, json_pack("{s:s, s:s}", "uri", ask->totp.uri,
                                                          "secret", ask->totp.secret))
                           : fsh_page_problem(status, error));
    return false;
}

static void totp_begin(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    struct fsh_ask *ask = fsh_ask_new(request, entry, answer_totp);
    struct freshet_error error;

    if (ask)
        fsh_ask_made(ask,
                     fsh_lib_totp_begin_async(entry->session, 0, &ask->totp, request->keeper->queue,
                                              fsh_ask_done, ask, &error),
                     &error);
}

void fsh_control_totp_begin(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_ADMIN, totp_begin);
}

static int call_confirm(struct fsh_ask *ask, json_t *body, struct freshet_error *error)
{
    const char *code = NULL;
    int status = fsh_control_read(body, error, "{s:s}", "code", &code);

    if (status != FRESHET_OK)
        return status;
    return fsh_lib_totp_confirm_async(ask->entry->session, code, 0, ask->request->keeper->queue,
                                      fsh_ask_done, ask, error);
}

static void totp_confirm(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    fsh_control_call(request, entry, call_confirm, fsh_ask_answer_done);
}

void fsh_control_totp_confirm(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_ADMIN, totp_confirm);
}
