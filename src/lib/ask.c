/* SPDX-License-Identifier: Apache-2.0 */

/* What the keeper asks without waiting. */

#include "lib/ask.h"

#include "base/error.h"
#include "lib/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the token --------------------------------------------------------------------------- */

static void copy_partner(const struct freshet_session *session, char *ret_partner, size_t size)
{
    pthread_mutex_t *lock = fsh_engine_lock(&session->engine);
    const struct fsh_partner *own;
    const char *partner = NULL;

    (void)pthread_mutex_lock(lock);
    own = session->partner;
    if (own)
        partner = own->setting ? own->setting : own->preset;
    (void)snprintf(ret_partner, size, "%s", partner ? partner : "");
    (void)pthread_mutex_unlock(lock);
}

int fsh_lib_token_take(struct freshet_session *session, struct fsh_lib_token *ret_token,
                       struct freshet_error *error)
{
    struct fsh_token *token = fsh_engine_token(&session->engine);
    struct fsh_mono now = fsh_clock_mono();
    struct fsh_freshness moments = {0};

    if (token)
        moments = fsh_core_moments((struct fsh_mono){token->sent_at.ms}, token->lifetime_ms,
                                   session->engine.policy->threshold_ms);
    if (!token || now.ms >= moments.usable_until.ms) {
        fsh_token_unref(token);
        return fsh_base_fail(error, FRESHET_EUNAVAILABLE, "session %s has no usable token",
                             session->engine.name);
    }
    *ret_token = (struct fsh_lib_token){
        .authorization = fsh_base_secret_reveal(&token->authorization),
        .partner_header = token->partner_header,
        .partner_count = token->partner_count,
        .partners = (const char *const *)token->partners,
        .generation = token->generation,
        .usable_ms = fsh_mono_until(now, moments.usable_until),
        .expires_ms = fsh_mono_until(now, moments.expires_at),
        .age_ms = fsh_mono_until(moments.sent_at, now),
        .lifetime_ms = token->lifetime_ms,
        .threshold_ms = fsh_mono_until(moments.threshold_at, moments.expires_at),
        .refresh_in_ms = fsh_mono_until(now, moments.threshold_at),
        .held = token,
    };
    copy_partner(session, ret_token->partner, sizeof(ret_token->partner));
    return FRESHET_OK;
}

void fsh_lib_token_give(struct fsh_lib_token *token)
{
    fsh_token_unref(token->held);
    token->held = NULL;
}

/* ---- questions: what is not a call of the engine's --------------------------------------- */

#define THREADS_MAX 8
#define PAUSE_NS    2000000
#define READING_MS  5000 /* as freshet_session_status waits */

struct question {
    struct freshet_operation *operation;
    struct freshet_session *session; /* a reference */
    struct fsh_post post;
    struct freshet_session_status *ret_status;
    struct freshet_session_status status;
    struct freshet_ledger_entry *ret_entries;
    size_t room;
    size_t *ret_count;
    bool reading;
    bool closed;
};

static atomic_int threads;

static int question_new(struct freshet_session *session, struct freshet_queue *queue,
                        freshet_done_fn *done, void *data, struct question **ret_question,
                        struct freshet_error *error)
{
    struct question *question;
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    question = calloc(1, sizeof(*question));
    if (!question)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    status = fsh_lib_operation_begin(queue, done, data, &question->operation, error);
    if (status != FRESHET_OK) {
        free(question);
        return status;
    }
    fsh_engine_session_ref(&session->engine);
    question->session = session;
    *ret_question = question;
    return FRESHET_OK;
}

/* Tells the outcome. The last that is done with it. */
static void settle(struct question *question, int status)
{
    struct freshet_operation *operation = question->operation;

    fsh_engine_session_unref(&question->session->engine);
    free(question);
    fsh_lib_operation_end(operation, status, "");
}

static bool start_thread(void *(*run)(void *), struct question *question)
{
    pthread_attr_t attributes;
    pthread_t thread;
    bool started;

    if (atomic_fetch_add(&threads, 1) >= THREADS_MAX) {
        atomic_fetch_sub(&threads, 1);
        return false;
    }
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    started = pthread_create(&thread, &attributes, run, question) == 0;
    (void)pthread_attr_destroy(&attributes);
    if (!started)
        atomic_fetch_sub(&threads, 1);
    return started;
}

/* ---- status ------------------------------------------------------------------------------ */

/* On the engine's thread, where a session is closed, too. */
static void look(void *data)
{
    struct question *question = data;

    question->closed = atomic_load(&question->session->engine.closed);
    question->reading = !question->closed && fsh_lib_look(question->session, &question->status);
}

static void tell_status(struct question *question)
{
    if (!question->closed)
        *question->ret_status = question->status;
    settle(question, question->closed ? FRESHET_ECLOSED : FRESHET_OK);
}

/* Just after opening: on a thread of its own, until the store has told what it has. */
static void *await_reading(void *data)
{
    struct question *question = data;
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    struct fsh_mono latest = fsh_mono_add(fsh_clock_mono(), READING_MS);

    while (question->reading && fsh_clock_mono().ms < latest.ms) {
        (void)nanosleep(&pause, NULL);
        fsh_lib_on_engine(question->session->freshet, look, question);
    }
    atomic_fetch_sub(&threads, 1);
    tell_status(question);
    return NULL;
}

static void look_run(struct fsh_post *post)
{
    struct question *question = fsh_container_of(post, struct question, post);

    look(question);
    /* Without a thread what is known now must do. */
    if (!question->reading || !start_thread(await_reading, question))
        tell_status(question);
}

int fsh_lib_status_async(struct freshet_session *session, struct freshet_session_status *ret_status,
                         struct freshet_queue *queue, freshet_done_fn *done, void *data,
                         struct freshet_error *error)
{
    struct question *question = NULL;
    int status = question_new(session, queue, done, data, &question, error);

    if (!question)
        return status;
    question->ret_status = ret_status;
    question->post.run = look_run;
    fsh_loop_post(session->freshet->loop, &question->post);
    return FRESHET_OK;
}

/* ---- explain ----------------------------------------------------------------------------- */

static void *explain(void *data)
{
    struct question *question = data;
    int status = freshet_explain(question->session, question->ret_entries, question->room,
                                 question->ret_count);

    atomic_fetch_sub(&threads, 1);
    settle(question, status);
    return NULL;
}

int fsh_lib_explain_async(struct freshet_session *session, struct freshet_ledger_entry *ret_entries,
                          size_t room, size_t *ret_count, struct freshet_queue *queue,
                          freshet_done_fn *done, void *data, struct freshet_error *error)
{
    struct question *question = NULL;
    int status = question_new(session, queue, done, data, &question, error);

    if (!question)
        return status;
    question->ret_entries = ret_entries;
    question->room = room;
    question->ret_count = ret_count;
    if (!start_thread(explain, question))
        settle(question, FRESHET_ELIMIT);
    return FRESHET_OK;
}

/* ---- MFA --------------------------------------------------------------------------------- */

static void bring_settings(struct fsh_call *call, void *where)
{
    struct freshet_mfa_settings *settings = where;

    settings->enabled = call->mfa.enabled;
    (void)snprintf(settings->preferred, sizeof(settings->preferred), "%s", call->mfa.preferred);
}

static void bring_totp(struct fsh_call *call, void *where)
{
    *(struct freshet_totp *)where =
        (struct freshet_totp){call->mfa.qr_uri.bytes, call->mfa.qr_secret.bytes};
    call->mfa.qr_uri = (struct fsh_secret){0};
    call->mfa.qr_secret = (struct fsh_secret){0};
}

int fsh_lib_mfa_get_async(struct freshet_session *session, int64_t timeout_ms,
                          struct freshet_mfa_settings *ret_settings, struct freshet_queue *queue,
                          freshet_done_fn *done, void *data, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_MFA_SETTINGS_GET, .in.mfa_enabled = -1};

    return fsh_lib_call_async(session, &call, timeout_ms, bring_settings, ret_settings, queue, done,
                              data, error);
}

int fsh_lib_mfa_put_async(struct freshet_session *session, int enabled, const char *preferred,
                          int64_t timeout_ms, struct freshet_queue *queue, freshet_done_fn *done,
                          void *data, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_MFA_SETTINGS_PUT, .in.mfa_enabled = enabled};

    if (preferred && strlen(preferred) >= sizeof(call.in.mfa_method))
        return fsh_base_fail(error, FRESHET_EINVAL, "preferred: more than %zu bytes",
                             sizeof(call.in.mfa_method) - 1);
    (void)snprintf(call.in.mfa_method, sizeof(call.in.mfa_method), "%s",
                   preferred ? preferred : "");
    return fsh_lib_call_async(session, &call, timeout_ms, NULL, NULL, queue, done, data, error);
}

int fsh_lib_totp_begin_async(struct freshet_session *session, int64_t timeout_ms,
                             struct freshet_totp *ret_totp, struct freshet_queue *queue,
                             freshet_done_fn *done, void *data, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_TOTP_GET, .in.mfa_enabled = -1};

    return fsh_lib_call_async(session, &call, timeout_ms, bring_totp, ret_totp, queue, done, data,
                              error);
}

int fsh_lib_totp_confirm_async(struct freshet_session *session, const char *code,
                               int64_t timeout_ms, struct freshet_queue *queue,
                               freshet_done_fn *done, void *data, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_TOTP_PUT, .in.mfa_enabled = -1};
    int status =
        fsh_lib_copy_text(code ? code : "", FSH_CREDENTIAL_MAX, "code", &call.in.code, error);

    if (status != FRESHET_OK)
        return status;
    return fsh_lib_call_async(session, &call, timeout_ms, NULL, NULL, queue, done, data, error);
}
