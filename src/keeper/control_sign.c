/* SPDX-License-Identifier: Apache-2.0 */

/* Signing in and out, and what the platform said to a token. */

#include "keeper/control.h"

#include <freshet/status.h>

/* ---- a 401 ------------------------------------------------------------------------------- */

static void unauthorized(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    json_t *body = fsh_control_body(request);
    json_error_t error;
    json_int_t generation = 0;

    if (!body)
        return;
    if (json_unpack_ex(body, &error, 0, "{s:I !}", "generation", &generation) != 0) {
        fsh_control_bad_body(request, body, &error);
        return;
    }
    json_decref(body);
    if (generation < 1) {
        fsh_request_answer(request, fsh_page_fail(FRESHET_EINVAL, "generation: 1 or more"));
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

static void sign_in(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    json_t *body = fsh_control_body(request);
    struct freshet_error detail;
    struct fsh_ask *ask;
    json_error_t error;
    const char *username = NULL;
    const char *password = NULL;
    json_int_t timeout_ms = 0;

    if (!body)
        return;
    if (json_unpack_ex(body, &error, 0, "{s?s, s?s, s?I !}", "username", &username, "password",
                       &password, "timeout_ms", &timeout_ms) != 0) {
        fsh_control_bad_body(request, body, &error);
        return;
    }
    ask = fsh_control_timeout(request, timeout_ms)
              ? fsh_ask_new(request, entry, fsh_ask_answer_status)
              : NULL;
    if (ask)
        fsh_ask_made(ask,
                     freshet_sign_in_async(entry->session, username, password, timeout_ms,
                                           request->keeper->queue, fsh_ask_done, ask,
                                           &ask->operation, &detail),
                     &detail);
    json_decref(body);
}

void fsh_control_sign_in(struct fsh_keeper_request *request)
{
    fsh_control_session_anew(request, FSH_VERB_ADMIN, sign_in);
}

static void mfa(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    json_t *body = fsh_control_body(request);
    struct freshet_error detail;
    struct fsh_ask *ask;
    json_error_t error;
    const char *code = NULL;
    int remember_device = 0;
    json_int_t timeout_ms = 0;

    if (!body)
        return;
    if (json_unpack_ex(body, &error, 0, "{s:s, s?b, s?I !}", "code", &code, "remember_device",
                       &remember_device, "timeout_ms", &timeout_ms) != 0) {
        fsh_control_bad_body(request, body, &error);
        return;
    }
    ask = fsh_control_timeout(request, timeout_ms)
              ? fsh_ask_new(request, entry, fsh_ask_answer_status)
              : NULL;
    if (ask)
        fsh_ask_made(ask,
                     freshet_answer_mfa_async(entry->session, code, remember_device != 0,
                                              timeout_ms, request->keeper->queue, fsh_ask_done, ask,
                                              &ask->operation, &detail),
                     &detail);
    json_decref(body);
}

void fsh_control_mfa(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_ADMIN, mfa);
}

static void new_password(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    json_t *body = fsh_control_body(request);
    struct freshet_error detail;
    struct fsh_ask *ask;
    json_error_t error;
    const char *password = NULL;
    json_int_t timeout_ms = 0;

    if (!body)
        return;
    if (json_unpack_ex(body, &error, 0, "{s:s, s?I !}", "new_password", &password, "timeout_ms",
                       &timeout_ms) != 0) {
        fsh_control_bad_body(request, body, &error);
        return;
    }
    ask = fsh_control_timeout(request, timeout_ms)
              ? fsh_ask_new(request, entry, fsh_ask_answer_status)
              : NULL;
    if (ask)
        fsh_ask_made(ask,
                     freshet_answer_new_password_async(entry->session, password, timeout_ms,
                                                       request->keeper->queue, fsh_ask_done, ask,
                                                       &ask->operation, &detail),
                     &detail);
    json_decref(body);
}

void fsh_control_new_password(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_ADMIN, new_password);
}

/* ---- out --------------------------------------------------------------------------------- */

static void sign_out(struct fsh_keeper_request *request, struct fsh_entry *entry)
{
    json_t *body = fsh_control_body(request);
    struct freshet_error detail;
    struct fsh_ask *ask;
    json_error_t error;
    int hold = 0;

    if (!body)
        return;
    if (json_unpack_ex(body, &error, 0, "{s?b !}", "hold", &hold) != 0) {
        fsh_control_bad_body(request, body, &error);
        return;
    }
    json_decref(body);
    ask = fsh_ask_new(request, entry, fsh_ask_answer_done);
    if (ask)
        fsh_ask_made(ask,
                     freshet_sign_out_async(entry->session, hold != 0, request->keeper->queue,
                                            fsh_ask_done, ask, &ask->operation, &detail),
                     &detail);
}

void fsh_control_sign_out(struct fsh_keeper_request *request)
{
    fsh_control_session(request, FSH_VERB_ADMIN, sign_out);
}
