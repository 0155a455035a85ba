/* SPDX-License-Identifier: Apache-2.0 */

/* Signing in and out, and what the platform said to a token. */

#include "keeper/control.h"

#include "base/error.h"

#include <freshet/status.h>

/* ---- a 401 ------------------------------------------------------------------------------- */

static void unauthorized(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    json_t *body = fsh_control_body(request);
    struct freshet_error error;
    json_int_t generation = 0;
    int status;

    if (!body)
        return;
    status = fsh_control_read(body, &error, "{s:I}", "generation", &generation);
    json_decref(body);
    if (status == FRESHET_OK && generation < 1)
        status = fsh_base_fail(&error, FRESHET_EINVAL, "generation: 1 or more");
    if (status != FRESHET_OK) {
        fsh_request_answer(request, fsh_page_problem(status, &error));
        return;
    }
    (void)freshet_unauthorized(entry->session, (uint64_t)generation);
    fsh_request_answer(request, fsh_page_new(204, NULL, "", 0));
}

void fsh_control_unauthorized(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_REPORT, unauthorized);
}

/* ---- in ---------------------------------------------------------------------------------- */

static int call_sign_in(struct fsh_ask *ask, json_t *body, struct freshet_error *error)
{
    const char *username = NULL;
    const char *password = NULL;
    json_int_t timeout_ms = 0;
    int status = fsh_control_read(body, error, "{s?s, s?s, s?I}", "username", &username, "password",
                                  &password, "timeout_ms", &timeout_ms);

    if (status == FRESHET_OK)
        status = fsh_control_timeout(timeout_ms, error);
    if (status != FRESHET_OK)
        return status;
    return freshet_sign_in_async(ask->entry->session, username, password, timeout_ms,
                                 ask->request->keeper->queue, fsh_ask_done, ask, &ask->operation,
                                 error);
}

static void sign_in(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    fsh_control_call(request, entry, call_sign_in, fsh_ask_answer_status);
}

void fsh_control_sign_in(struct fsh_keeper_request *request)
{
    fsh_control_session_anew(request, FSH_VERB_ADMIN, sign_in);
}

static int call_mfa(struct fsh_ask *ask, json_t *body, struct freshet_error *error)
{
    const char *code = NULL;
    int remember_device = 0;
    json_int_t timeout_ms = 0;
    int status = fsh_control_read(body, error, "{s:s, s?b, s?I}", "code", &code, "remember_device",
                                  &remember_device, "timeout_ms", &timeout_ms);

    if (status == FRESHET_OK)
        status = fsh_control_timeout(timeout_ms, error);
    if (status != FRESHET_OK)
        return status;
    return freshet_answer_mfa_async(ask->entry->session, code, remember_device != 0, timeout_ms,
                                    ask->request->keeper->queue, fsh_ask_done, ask, &ask->operation,
                                    error);
}

static void mfa(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    fsh_control_call(request, entry, call_mfa, fsh_ask_answer_status);
}

void fsh_control_mfa(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_ADMIN, mfa);
}

static int call_new_password(struct fsh_ask *ask, json_t *body, struct freshet_error *error)
{
    const char *password = NULL;
    json_int_t timeout_ms = 0;
    int status = fsh_control_read(body, error, "{s:s, s?I}", "new_password", &password,
                                  "timeout_ms", &timeout_ms);

    if (status == FRESHET_OK)
        status = fsh_control_timeout(timeout_ms, error);
    if (status != FRESHET_OK)
        return status;
    return freshet_answer_new_password_async(ask->entry->session, password, timeout_ms,
                                             ask->request->keeper->queue, fsh_ask_done, ask,
                                             &ask->operation, error);
}

static void new_password(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    fsh_control_call(request, entry, call_new_password, fsh_ask_answer_status);
}

void fsh_control_new_password(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_ADMIN, new_password);
}

/* ---- out --------------------------------------------------------------------------------- */

static int call_sign_out(struct fsh_ask *ask, json_t *body, struct freshet_error *error)
{
    int hold = 0;
    int status = fsh_control_read(body, error, "{s?b}", "hold", &hold);

    if (status != FRESHET_OK)
        return status;
    return freshet_sign_out_async(ask->entry->session, hold != 0, ask->request->keeper->queue,
                                  fsh_ask_done, ask, &ask->operation, error);
}

static void sign_out(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    fsh_control_call(request, entry, call_sign_out, fsh_ask_answer_done);
}

void fsh_control_sign_out(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_ADMIN, sign_out);
}
