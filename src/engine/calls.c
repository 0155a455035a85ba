/* SPDX-License-Identifier: Apache-2.0 */

/* Callers: who gets a token at once, who waits, and what those are told who get none. */

#include "base/error.h"
#include "engine/internal.h"
#include "engine/remote.h"

#include <freshet/status.h>
#include <stdio.h>

void fsh_engine_input_done(struct fsh_call_input *input)
{
    fsh_base_secret_done(&input->username);
    fsh_base_secret_done(&input->password);
    fsh_base_secret_done(&input->code);
    fsh_base_secret_done(&input->new_password);
    input->remember_device = false;
}

/* Whether time may make a new attempt succeed, without anybody's doing. */
static bool time_helps(int status)
{
    enum freshet_class class = freshet_status_class(status);

    return class == FRESHET_CLASS_RETRY || class == FRESHET_CLASS_UNKNOWN;
}

/* What a caller is told: the status's text, and behind it what the platform, the transport or the
 * store last said, where that explains the status. */
static void explain(struct fsh_call *call, int status, int64_t retry_after_ms)
{
    const struct fsh_session *session = call->session;
    bool platform = status != FRESHET_ESTORE && status != FRESHET_ECLOSED &&
                    status != FRESHET_ECANCELED && status != FRESHET_ESIGNEDOUT;
    const struct fsh_active *active = fsh_engine_active(session);
    const char *detail = "";

    if (active && platform)
        detail = active->failed_detail;
    else if (active && status == FRESHET_ESTORE)
        detail = active->store_why;

    (void)fsh_base_fail(&call->error, status, "session %s: %s%s%s%s", session->name,
                        freshet_status_text(status), detail[0] ? " (" : "", detail,
                        detail[0] ? ")" : "");
    call->error.retry_after_ms = time_helps(status) ? retry_after_ms : -1;
    if (!active || !platform)
        return;
    call->error.http_status = active->failed_http;
    (void)snprintf(call->error.code, sizeof(call->error.code), "%s", active->failed_code);
}

void fsh_engine_hand_back(struct fsh_call *call)
{
    struct fsh_engine *engine = call->session->engine;

    if (call->list)
        TAILQ_REMOVE(call->list, call, in_list);
    call->list = NULL;
    fsh_base_heap_set(&engine->timers, &call->timer, FSH_NEVER);
    engine->timer_count--;
    if (call->kind != FSH_CALL_ENSURE)
        fsh_engine_input_done(&call->in);
    call->done(call);
}

void fsh_engine_finish(struct fsh_call *call, int status, int64_t retry_after_ms)
{
    call->status = status;
    if (status != FRESHET_OK)
        explain(call, status, retry_after_ms);
    fsh_engine_hand_back(call);
}

void fsh_engine_finish_all(struct fsh_calls *calls, int status)
{
    while (!TAILQ_EMPTY(calls))
        fsh_engine_finish(TAILQ_FIRST(calls), status, -1);
}

void fsh_engine_put_on(struct fsh_calls *list, struct fsh_call *call)
{
    TAILQ_INSERT_TAIL(list, call, in_list);
    call->list = list;
    fsh_base_heap_set(&call->session->engine->timers, &call->timer, call->deadline);
}

/* Tells a caller what the core answered; false when it is to wait. */
static bool told(struct fsh_call *call, const struct fsh_caller_answer *answer)
{
    switch (answer->kind) {
    case FSH_ANSWER_WAIT:
        return false;
    case FSH_ANSWER_REFUSED:
        fsh_engine_finish(call, answer->status, answer->retry_after_ms);
        return true;
    case FSH_ANSWER_READY:
        break;
    }
    if (call->kind == FSH_CALL_ENSURE) {
        fsh_engine_finish(call, FRESHET_OK, -1);
        return true;
    }
    if (call->list)
        TAILQ_REMOVE(call->list, call, in_list);
    call->list = NULL;
    fsh_base_heap_set(&call->session->engine->timers, &call->timer, call->deadline);
    fsh_engine_send_call(call);
    return true;
}

static void ask(struct fsh_call *call)
{
    struct fsh_active *active = call->session->active;
    struct fsh_meter *meter = &active->session->engine->meter;
    bool busy = active->core.step != FSH_STEP_IDLE;
    struct fsh_caller_answer answer;
    struct fsh_effects fx;

    fx.count = 0;
    call->flights = fsh_core_flights(&active->core);
    answer = fsh_core_ask(&active->core, fsh_engine_now(active->session->engine),
                          call->min_valid_ms, call->deadline, NULL, &fx);
    if (!told(call, &answer)) {
        fsh_engine_put_on(&active->waiting, call);
        atomic_fetch_add_explicit(&active->session->counters.waited, 1, memory_order_relaxed);
        fsh_engine_add(&meter->waited);
        if (busy)
            fsh_engine_add(&meter->coalesced);
    }
    fsh_engine_carry_out(active, &fx);
}

void fsh_engine_ask_again(struct fsh_active *active)
{
    struct fsh_now now = fsh_engine_now(active->session->engine);
    struct fsh_call *call;

    /* The latest first: mostly they are the heap's last, which go without any moving about. */
    TAILQ_FOREACH_REVERSE(call, &active->waiting, fsh_calls, in_list)
    fsh_base_heap_set(&active->session->engine->timers, &call->timer, FSH_NEVER);
    call = TAILQ_FIRST(&active->waiting);
    while (call) {
        struct fsh_call *next = TAILQ_NEXT(call, in_list);
        struct fsh_caller_answer answer;
        struct fsh_effects fx;

        fx.count = 0;
        answer = fsh_core_ask(&active->core, now, call->min_valid_ms, call->deadline,
                              &call->flights, &fx);
        if (!told(call, &answer))
            fsh_base_heap_set(&active->session->engine->timers, &call->timer, call->deadline);
        /* One flight begins at the most; the others find it in the air. */
        if (fx.count > 0)
            fsh_engine_carry_out(active, &fx);
        call = next;
    }
}

static bool has_credentials(const struct fsh_call *call)
{
    const struct fsh_credentials *own = call->session->credentials;

    return (!fsh_base_secret_empty(&call->in.username) || own->username) &&
           (!fsh_base_secret_empty(&call->in.password) || own->password_file || own->password);
}

static void command(struct fsh_call *call)
{
    static const enum fsh_errand errands[] = {
        [FSH_CALL_SIGN_IN] = FSH_ERRAND_SIGN_IN,
        [FSH_CALL_MFA] = FSH_ERRAND_MFA,
        [FSH_CALL_NEW_PASSWORD] = FSH_ERRAND_NEW_PASSWORD,
    };
    struct fsh_active *active = call->session->active;
    struct fsh_now now = fsh_engine_now(active->session->engine);
    struct fsh_effects fx;
    int status;

    fx.count = 0;
    if (call->kind == FSH_CALL_SIGN_IN && !has_credentials(call)) {
        fsh_engine_finish(call, FRESHET_EINVAL, -1);
        return;
    }
    if (active->core.command != FSH_ERRAND_NONE) {
        fsh_engine_finish(call, FRESHET_EBUSY, -1);
        return;
    }
    fsh_engine_input_done(&active->input);
    active->input = call->in;
    call->in = (struct fsh_call_input){0};
    fsh_engine_put_on(&active->commands, call);
    status = fsh_core_command(&active->core, now, errands[call->kind], &fx);
    if (status != FRESHET_OK) {
        fsh_engine_input_done(&active->input);
        fsh_engine_finish(call, status,
                          status == FRESHET_EUNAVAILABLE
                              ? fsh_mono_until(now.mono, active->session->engine->gate.closed_to)
                              : -1);
    }
    fsh_engine_carry_out(active, &fx);
}

static void sign_out(struct fsh_call *call)
{
    struct fsh_active *active = call->session->active;
    struct fsh_effects fx;

    fx.count = 0;
    fsh_engine_put_on(&active->signing_out, call);
    /* A service that is signed out would sign in again at once, unless it is held (rule 8). */
    fsh_core_sign_out(&active->core, fsh_engine_now(active->session->engine),
                      call->in.hold || active->session->policy->service, &fx);
    fsh_engine_carry_out(active, &fx);
}

void fsh_engine_call(struct fsh_call *call)
{
    struct fsh_session *session = call->session;
    struct fsh_engine *engine = session->engine;

    call->list = NULL;
    call->timer = (struct fsh_timer){.call = true};
    call->mfa = (struct fsh_mfa_answer){.enabled = -1};
    engine->timer_count++;
    if (fsh_base_heap_reserve(&engine->timers, engine->timer_count) != FRESHET_OK) {
        fsh_engine_finish(call, FRESHET_ENOMEM, -1);
        return;
    }
    if (session->closing) {
        fsh_engine_finish(call, FRESHET_ECLOSED, -1);
        return;
    }
    if (engine->options.keeper) {
        fsh_remote_call(call);
        return;
    }
    if (!fsh_engine_heed(session)) {
        fsh_engine_finish(call, FRESHET_ENOMEM, -1);
        return;
    }
    switch (call->kind) {
    case FSH_CALL_SIGN_IN:
    case FSH_CALL_MFA:
    case FSH_CALL_NEW_PASSWORD:
        command(call);
        break;
    case FSH_CALL_SIGN_OUT:
        sign_out(call);
        break;
    default:
        ask(call);
        break;
    }
}

static void forget_request_of(struct fsh_call *call)
{
    struct fsh_active *active = call->session->active;
    struct fsh_request *request;

    LIST_FOREACH (request, &active->requests, in_session) {
        if (request->call == call)
            break;
    }
    if (!request)
        return;
    fsh_engine_give_up(request);
}

void fsh_engine_call_cancel(struct fsh_call *call)
{
    if (call->session->engine->options.keeper)
        fsh_remote_call_forget(call);
    else if (!call->list)
        forget_request_of(call);
    fsh_engine_finish(call, FRESHET_ECANCELED, -1);
}

void fsh_engine_call_late(struct fsh_call *call)
{
    struct fsh_active *active = call->session->active;
    struct fsh_now now = fsh_engine_now(active->session->engine);
    struct fsh_caller_answer answer;
    struct fsh_effects fx;

    if (call->session->engine->options.keeper) {
        fsh_remote_call_late(call);
        return;
    }
    fx.count = 0;
    if (call->list != &active->waiting) {
        /* The outcome of a command is still to come, and will show in the session's status. */
        if (!call->list)
            forget_request_of(call);
        fsh_engine_finish(call, FRESHET_EUNAVAILABLE, -1);
        return;
    }
    answer =
        fsh_core_ask(&active->core, now, call->min_valid_ms, call->deadline, &call->flights, &fx);
    if (!told(call, &answer))
        fsh_engine_finish(call, fsh_core_why(&active->core), -1);
    fsh_engine_carry_out(active, &fx);
}
