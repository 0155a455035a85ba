/* SPDX-License-Identifier: Apache-2.0 */

/* What is asked of the keeper: spec/keeper-api.yaml. */

#include "engine/internal.h"
#include "engine/remote.h"
#include "profile/json.h"

#include <freshet/status.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long the transport waits beyond what the keeper was given. */
#define SLACK_MS 5000

/* One question waits no longer for its answer; who waits longer asks again. */
#define LONGEST_MS 60000

#define LAST_WORD_MS 50

/* The calls of callers. */
static const struct form {
    const char *method;
    const char *what;
    bool repeatable; /* the same once more does no harm */
    bool timed;      /* the keeper is told how long it may take */
} forms[FSH_CALL_KINDS] = {
    [FSH_CALL_SIGN_IN] = {"POST", "/sign-in", false, true},
    [FSH_CALL_MFA] = {"POST", "/mfa", false, true},
    [FSH_CALL_NEW_PASSWORD] = {"POST", "/new-password", false, true},
    [FSH_CALL_SIGN_OUT] = {"POST", "/sign-out", true, false},
    [FSH_CALL_MFA_SETTINGS_GET] = {"GET", "/mfa-settings", true, false},
    [FSH_CALL_MFA_SETTINGS_PUT] = {"PUT", "/mfa-settings", true, false},
    [FSH_CALL_TOTP_GET] = {"POST", "/totp", false, false},
    [FSH_CALL_TOTP_PUT] = {"PUT", "/totp", false, false},
    [FSH_CALL_STATUS] = {"GET", "", true, false},
    [FSH_CALL_EXPLAIN] = {"GET", "/explain", true, false},
};

bool fsh_remote_repeatable(enum fsh_call_kind kind)
{
    return forms[kind].repeatable;
}

/* ---- one exchange ------------------------------------------------------------------------ */

void fsh_remote_ask_free(struct fsh_remote_ask *ask)
{
    if (ask->remote->fetch == ask)
        ask->remote->fetch = NULL;
    if (ask->remote->report == ask)
        ask->remote->report = NULL;
    LIST_REMOVE(ask, in_remote);
    fsh_profile_message_done(&ask->request.message);
    free(ask);
}

void fsh_remote_ask_cancel(struct fsh_remote_ask *ask)
{
    struct fsh_io *io;

    if (!ask)
        return;
    io = &ask->remote->session->engine->io;
    io->cancel(io->data, &ask->request);
    fsh_remote_ask_free(ask);
}

/* A session's name is printable, and need not be fit for a path. */
static void write_path(struct fsh_remote_ask *ask, const char *name, const char *what)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~";
    size_t len = (size_t)snprintf(ask->path, sizeof(ask->path), "/v1/sessions/");

    /* A name has FSH_NAME_MAX bytes at most, so that all of it fits. */
    for (; *name; name++)
        len += (size_t)snprintf(ask->path + len, sizeof(ask->path) - len,
                                strchr(plain, *name) ? "%c" : "%%%02X", (unsigned char)*name);
    (void)snprintf(ask->path + len, sizeof(ask->path) - len, "%s", what);
}

static struct fsh_remote_ask *ask_new(struct fsh_remote *remote, enum fsh_remote_ask_kind kind,
                                      const char *method, const char *what)
{
    struct fsh_remote_ask *ask = calloc(1, sizeof(*ask));

    if (!ask)
        return NULL;
    ask->kind = kind;
    ask->remote = remote;
    ask->sent_at = fsh_engine_now(remote->session->engine).mono;
    write_path(ask, remote->session->name, what);
    ask->request.session = remote->session;
    ask->request.kind = FSH_EXCHANGE_KINDS;
    ask->request.message.method = method;
    ask->request.message.path = ask->path;
    LIST_INSERT_HEAD(&remote->asks, ask, in_remote);
    return ask;
}

static int send(struct fsh_remote_ask *ask, int64_t wait_ms)
{
    struct fsh_io *io = &ask->remote->session->engine->io;
    int status;

    ask->request.timeout_ms = wait_ms + SLACK_MS;
    status = io->send(io->data, &ask->request);
    if (status != FRESHET_OK)
        fsh_remote_ask_free(ask);
    return status;
}

/* ---- tokens ------------------------------------------------------------------------------ */

/* The keeper's word on why there is no token is to come before the caller's patience ends. */
static int64_t shortened(int64_t wait_ms)
{
    return wait_ms - (wait_ms > 0 ? fsh_core_least(wait_ms / 10, LAST_WORD_MS) : 0);
}

int fsh_remote_send_fetch(struct fsh_remote *remote, int64_t min_valid_ms, bool wait,
                          struct fsh_mono until)
{
    struct fsh_session *session = remote->session;
    struct fsh_remote_ask *ask;
    int64_t wait_ms = -1;
    char what[96];

    if (wait)
        wait_ms = fsh_mono_until(fsh_engine_now(session->engine).mono, until);
    wait_ms = wait_ms <= 0 ? -1 : fsh_core_least(wait_ms, LONGEST_MS);
    (void)snprintf(what, sizeof(what), "/token?min_valid_ms=%" PRId64 "&timeout_ms=%" PRId64,
                   min_valid_ms > 0 ? min_valid_ms : 0, shortened(wait_ms));
    ask = ask_new(remote, FSH_ASK_FETCH, "GET", what);
    if (!ask)
        return FRESHET_ENOMEM;
    ask->peek = wait_ms < 0;
    ask->longest = wait_ms == LONGEST_MS;
    ask->until = fsh_mono_add(ask->sent_at, ask->peek ? 0 : wait_ms);
    ask->min_valid_ms = min_valid_ms;
    ask->request.if_generation = session->token && !remote->any ? session->token->generation : 0;
    remote->fetch = ask;
    return send(ask, ask->peek ? 0 : wait_ms);
}

static int take_body(struct fsh_remote_ask *ask, json_t *body)
{
    int status = body ? fsh_profile_json_dump(body, &ask->request.message.body) : FRESHET_ENOMEM;

    fsh_profile_json_done(body);
    if (status != FRESHET_OK)
        fsh_remote_ask_free(ask);
    return status;
}

int fsh_remote_send_report(struct fsh_remote *remote, uint64_t generation)
{
    struct fsh_remote_ask *ask = ask_new(remote, FSH_ASK_REPORT, "POST", "/unauthorized");
    int status;

    if (!ask)
        return FRESHET_ENOMEM;
    ask->generation = generation;
    remote->report = ask;
    status = take_body(ask, json_pack("{sI}", "generation", (json_int_t)generation));
    return status == FRESHET_OK ? send(ask, 0) : status;
}

/* ---- what callers want ------------------------------------------------------------------- */

static bool is_text(const struct fsh_call_input *in)
{
    const struct fsh_secret *const secrets[] = {&in->username, &in->password, &in->code,
                                                &in->new_password};

    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        if (!fsh_profile_json_utf8(fsh_base_secret_reveal(secrets[i]), secrets[i]->len))
            return false;
    }
    return fsh_profile_json_utf8(in->mfa_method, strlen(in->mfa_method));
}

/* This and the next two are false without memory. */
static bool put_secret(json_t *body, const char *key, const struct fsh_secret *secret)
{
    return fsh_base_secret_empty(secret) ||
           json_object_set_new(body, key,
                               json_stringn(fsh_base_secret_reveal(secret), secret->len)) == 0;
}

static bool put_settings(json_t *body, const struct fsh_call_input *in)
{
    json_t *enabled = in->mfa_enabled < 0 ? json_null() : json_boolean(in->mfa_enabled);

    return json_object_set_new(body, "enabled", enabled) == 0 &&
           (in->mfa_method[0] == '\0' ||
            json_object_set_new(body, "preferred", json_string(in->mfa_method)) == 0);
}

static bool fill_body(json_t *body, const struct fsh_call *call, int64_t wait_ms)
{
    const struct fsh_call_input *in = &call->in;
    bool good = true;

    if (forms[call->kind].timed)
        good = json_object_set_new(body, "timeout_ms", json_integer(shortened(wait_ms))) == 0;
    if (call->kind == FSH_CALL_SIGN_OUT)
        return good && json_object_set_new(body, "hold", json_boolean(in->hold)) == 0;
    if (call->kind == FSH_CALL_MFA_SETTINGS_PUT)
        return good && put_settings(body, in);
    if (call->kind == FSH_CALL_MFA)
        good = good &&
               json_object_set_new(body, "remember_device", json_boolean(in->remember_device)) == 0;
    return good && put_secret(body, "username", &in->username) &&
           put_secret(body, "password", &in->password) && put_secret(body, "code", &in->code) &&
           put_secret(body, "new_password", &in->new_password);
}

static int write_body(struct fsh_remote_ask *ask, const struct fsh_call *call, int64_t wait_ms)
{
    json_t *body;

    if (strcmp(forms[call->kind].method, "GET") == 0)
        return FRESHET_OK;
    if (!is_text(&call->in)) {
        fsh_remote_ask_free(ask);
        return FRESHET_EINVAL;
    }
    body = json_object();
    if (body && !fill_body(body, call, wait_ms)) {
        fsh_profile_json_done(body);
        body = NULL;
    }
    return take_body(ask, body);
}

int fsh_remote_send_call(struct fsh_remote *remote, struct fsh_call *call)
{
    const struct form *form = &forms[call->kind];
    struct fsh_remote_ask *ask = ask_new(remote, FSH_ASK_CALL, form->method, form->what);
    int64_t wait_ms;
    int status;

    if (!ask)
        return FRESHET_ENOMEM;
    wait_ms = fsh_core_most(fsh_mono_until(ask->sent_at, call->deadline), 1);
    ask->call = call;
    /* libcurl sends again by itself what a connection that proved dead did not take. */
    ask->request.fresh_connection = !form->repeatable;
    status = write_body(ask, call, wait_ms);
    return status == FRESHET_OK ? send(ask, wait_ms) : status;
}
