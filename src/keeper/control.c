/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/control.h"

#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

/* The most asked first. */
const struct fsh_route fsh_control_routes[] = {
    {FSH_DOOR_CONTROL, "GET", "/v1/sessions/:name/headers", fsh_control_headers},
    {FSH_DOOR_CONTROL, "GET", "/v1/sessions/:name/token", fsh_control_token},
    {FSH_DOOR_CONTROL, "GET", "/v1/sessions/:name", fsh_control_status},
    {FSH_DOOR_CONTROL, "POST", "/v1/sessions/:name/unauthorized", fsh_control_unauthorized},
    {FSH_DOOR_CONTROL, "GET", "/v1/sessions", fsh_control_sessions},
    {FSH_DOOR_CONTROL, "GET", "/v1/platform", fsh_control_platform},
    {FSH_DOOR_CONTROL, "GET", "/v1/sessions/:name/explain", fsh_control_explain},
    {FSH_DOOR_CONTROL, "POST", "/v1/sessions/:name/sign-in", fsh_control_sign_in},
    {FSH_DOOR_CONTROL, "POST", "/v1/sessions/:name/mfa", fsh_control_mfa},
    {FSH_DOOR_CONTROL, "POST", "/v1/sessions/:name/new-password", fsh_control_new_password},
    {FSH_DOOR_CONTROL, "POST", "/v1/sessions/:name/sign-out", fsh_control_sign_out},
    {FSH_DOOR_CONTROL, "GET", "/v1/sessions/:name/mfa-settings", fsh_control_mfa_get},
    {FSH_DOOR_CONTROL, "PUT", "/v1/sessions/:name/mfa-settings", fsh_control_mfa_put},
    {FSH_DOOR_CONTROL, "POST", "/v1/sessions/:name/totp", fsh_control_totp_begin},
    {FSH_DOOR_CONTROL, "PUT", "/v1/sessions/:name/totp", fsh_control_totp_confirm},
    {0},
};

/* ---- sessions and verbs ------------------------------------------------------------------ */

/* Gives a reference back. What was only asked for goes with the last that asked. */
static void release(struct fsh_registry *registry, struct fsh_entry *entry)
{
    if (entry->session && !entry->proven && entry->references == 2)
        fsh_registry_forget(registry, entry);
    fsh_entry_unref(entry);
}

/* The session was opened by its name: is it one of the store's? */
static bool answer_opened(struct fsh_ask *ask, int status, const struct freshet_error *error)
{
    struct fsh_keeper_request *request = ask->request;
    struct fsh_entry *entry = ask->entry;

    if (status != FRESHET_OK) {
        fsh_request_answer(request, fsh_page_problem(status, error));
        return false;
    }
    /* Somebody may be signing it in meanwhile. */
    if (!entry->proven && ask->status.phase == FRESHET_PHASE_NONE &&
        ask->status.status != FRESHET_ESTORE) {
        fsh_request_answer(request, fsh_page_problem(FRESHET_ENOSESSION, NULL));
        return false;
    }
    entry->proven = true;
    request->data = NULL;
    request->gone = NULL;
    ask->then(request, entry);
    return false;
}

static void find(struct fsh_keeper_request *request, enum fsh_verb verb, bool anew,
                 fsh_control_then_fn *then)
{
    struct fsh_registry *registry = request->keeper->registry;
    struct fsh_entry *entry = fsh_registry_find(registry, request->segments[0]);
    struct freshet_error error;
    struct fsh_ask *ask;
    int status;

    request->verb = verb;
    if (!(fsh_grants_verbs(entry ? entry->grants : NULL, request->peer) & verb)) {
        fsh_request_answer(request, fsh_page_problem(FRESHET_EACCESS, NULL));
        return;
    }
    if (!entry) {
        status = fsh_registry_open(registry, request->segments[0], &entry, &error);
        if (status != FRESHET_OK) {
            fsh_request_answer(request, fsh_page_problem(status, &error));
            return;
        }
    }
    if (entry->proven || anew) {
        entry->proven = true;
        then(request, entry);
        return;
    }
    ask = fsh_ask_new(request, entry, answer_opened);
    if (!ask) {
        release(registry, fsh_entry_ref(entry));
        return;
    }
    ask->then = then;
    fsh_ask_made(ask,
                 fsh_lib_status_async(entry->session, &ask->status, request->keeper->queue,
                                      fsh_ask_done, ask, &error),
                 &error);
}

void fsh_control_session(struct fsh_keeper_request *request, enum fsh_verb verb,
                         fsh_control_then_fn *then)
{
    find(request, verb, false, then);
}

void fsh_control_session_anew(struct fsh_keeper_request *request, enum fsh_verb verb,
                              fsh_control_then_fn *then)
{
    find(request, verb, true, then);
}

/* ---- input ------------------------------------------------------------------------------- */

bool fsh_control_number(struct fsh_keeper_request *request, const char *name, int64_t least,
                        int64_t most, int64_t *number)
{
    const char *text = fsh_request_argument(request, name);
    long long value;
    char *end;

    if (!text)
        return true;
    errno = 0;
    value = strtoll(text, &end, 10);
    /* strtoll(3) would take spaces and a plus. */
    if (!isdigit((unsigned char)text[text[0] == '-']) || *end != '\0' || errno != 0 ||
        value < least || value > most) {
        fsh_request_answer(request,
                           fsh_page_fail(FRESHET_EINVAL, "%s: a whole number from %lld to %lld",
                                         name, (long long)least, (long long)most));
        return false;
    }
    *number = value;
    return true;
}

json_t *fsh_control_body(struct fsh_keeper_request *request)
{
    json_error_t error;
    json_t *body;

    if (request->body_len == 0)
        body = json_object();
    else
        body = json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(body))
        return body;
    json_decref(body);
    /* Not with the parser's own words, which quote what it met. */
    fsh_request_answer(request, fsh_page_fail(FRESHET_EINVAL, "the body is no JSON object"));
    return NULL;
}

int fsh_control_read(json_t *body, struct freshet_error *error, const char *format, ...)
{
    json_error_t why;
    va_list arguments;
    int bad;

    va_start(arguments, format);
    bad = json_vunpack_ex(body, &why, JSON_STRICT, format, arguments);
    va_end(arguments);
    return bad ? fsh_base_fail(error, FRESHET_EINVAL, "the body: %s", why.text) : FRESHET_OK;
}

int fsh_control_timeout(json_int_t timeout_ms, struct freshet_error *error)
{
    if (timeout_ms >= 0 && timeout_ms <= FSH_CONTROL_TIMEOUT_MAX_MS)
        return FRESHET_OK;
    return fsh_base_fail(error, FRESHET_EINVAL, "timeout_ms: a whole number from 0 to %d",
                         FSH_CONTROL_TIMEOUT_MAX_MS);
}

/* ---- requests that wait ------------------------------------------------------------------ */

static void ask_gone(struct fsh_keeper_request *request)
{
    struct fsh_ask *ask = request->data;

    ask->request = NULL;
    if (ask->cancels && ask->operation)
        freshet_operation_cancel(ask->operation);
}

struct fsh_ask *fsh_ask_new(struct fsh_keeper_request *request, struct fsh_entry *entry,
                            fsh_ask_answer_fn *answer)
{
    struct fsh_ask *ask = calloc(1, sizeof(*ask));

    if (!ask) {
        fsh_request_answer(request, fsh_page_problem(FRESHET_ENOMEM, NULL));
        return NULL;
    }
    ask->request = request;
    ask->registry = request->keeper->registry;
    ask->entry = fsh_entry_ref(entry);
    ask->answer = answer;
    request->data = ask;
    request->gone = ask_gone;
    return ask;
}

/* Its session was closed meanwhile: no longer configured, or configured anew. */
static void answer_closed(struct fsh_keeper_request *request)
{
    struct freshet_error error;

    if (!fsh_registry_find(request->keeper->registry, request->segments[0])) {
        fsh_request_answer(request, fsh_page_problem(FRESHET_ENOSESSION, NULL));
        return;
    }
    (void)fsh_base_fail(&error, FRESHET_ECLOSED, "the session is being opened anew; ask again");
    error.retry_after_ms = 1000;
    fsh_request_answer(request, fsh_page_problem(FRESHET_ECLOSED, &error));
}

/* A reload may have swapped the grants while it waited. */
static bool still_granted(const struct fsh_ask *ask)
{
    const struct fsh_keeper_request *request = ask->request;

    return (fsh_grants_verbs(ask->entry->grants, request->peer) & request->verb) != 0;
}

void fsh_ask_done(void *data, int status, const struct freshet_freshness *freshness,
                  const struct freshet_error *error)
{
    struct fsh_ask *ask = data;

    if (freshness)
        ask->freshness = *freshness;
    ask->operation = NULL;
    if (ask->request && !ask->entry->session)
        answer_closed(ask->request);
    else if (ask->request && !still_granted(ask))
        fsh_request_answer(ask->request, fsh_page_problem(FRESHET_EACCESS, NULL));
    else if (ask->request && ask->answer(ask, status, error))
        return;
    release(ask->registry, ask->entry);
    freshet_totp_done(&ask->totp);
    free(ask->entries);
    free(ask);
}

void fsh_ask_made(struct fsh_ask *ask, int status, const struct freshet_error *error)
{
    if (status != FRESHET_OK)
        fsh_ask_done(ask, status, NULL, error);
}

void fsh_control_call(struct fsh_keeper_request *request, struct fsh_entry *entry,
                      fsh_control_call_fn *call, fsh_ask_answer_fn *answer)
{
    json_t *body = fsh_control_body(request);
    struct fsh_ask *ask = body ? fsh_ask_new(request, entry, answer) : NULL;
    struct freshet_error error;

    if (ask)
        fsh_ask_made(ask, call(ask, body, &error), &error);
    json_decref(body);
}

bool fsh_ask_answer_done(struct fsh_ask *ask, int status, const struct freshet_error *error)
{
    fsh_request_answer(ask->request, status == FRESHET_OK ? fsh_page_new(204, NULL, "", 0)
                                                          : fsh_page_problem(status, error));
    return false;
}

static bool answer_looked(struct fsh_ask *ask, int status, const struct freshet_error *error)
{
    fsh_request_answer(ask->request,
                       status == FRESHET_OK
                           ? fsh_page_json(200, fsh_control_status_json(ask->entry, &ask->status))
                           : fsh_page_problem(status, error));
    return false;
}

bool fsh_ask_answer_status(struct fsh_ask *ask, int status, const struct freshet_error *error)
{
    struct freshet_error detail;

    if (status != FRESHET_OK) {
        fsh_request_answer(ask->request, fsh_page_problem(status, error));
        return false;
    }
    ask->answer = answer_looked;
    fsh_ask_made(ask,
                 fsh_lib_status_async(ask->entry->session, &ask->status,
                                      ask->request->keeper->queue, fsh_ask_done, ask, &detail),
                 &detail);
    return true;
}
