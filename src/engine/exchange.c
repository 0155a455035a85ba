/* SPDX-License-Identifier: Apache-2.0 */

/* From the core's errands to messages of the profile, and from replies to results. */

#include "base/error.h"
#include "engine/internal.h"
#include "engine/remote.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const enum fsh_exchange_kind kinds_of_errands[] = {
    [FSH_ERRAND_REFRESH] = FSH_EXCHANGE_REFRESH,
    [FSH_ERRAND_SIGN_IN] = FSH_EXCHANGE_SIGN_IN,
    [FSH_ERRAND_MFA] = FSH_EXCHANGE_MFA,
    [FSH_ERRAND_NEW_PASSWORD] = FSH_EXCHANGE_NEW_PASSWORD,
    [FSH_ERRAND_PROBE] = FSH_EXCHANGE_PROBE,
};

enum fsh_exchange_kind fsh_engine_kind_of(enum fsh_errand errand)
{
    return kinds_of_errands[errand];
}

void fsh_engine_failure(struct fsh_active *active, int http, const char *code, const char *detail)
{
    active->failed_http = http;
    (void)snprintf(active->failed_code, sizeof(active->failed_code), "%.*s",
                   (int)sizeof(active->failed_code) - 1, code);
    (void)snprintf(active->failed_detail, sizeof(active->failed_detail), "%.*s",
                   (int)sizeof(active->failed_detail) - 1, detail);
}

void fsh_engine_request_free(struct fsh_request *request)
{
    LIST_REMOVE(request, in_session);
    fsh_profile_message_done(&request->message);
    fsh_token_unref(request->token);
    free(request);
}

void fsh_engine_give_up(struct fsh_request *request)
{
    struct fsh_io *io = &request->session->engine->io;

    fsh_engine_count_exchange(request, FSH_METER_ABANDONED);
    io->cancel(io->data, request);
    fsh_engine_request_free(request);
}

void fsh_engine_cancel(struct fsh_active *active, bool (*which)(const struct fsh_request *))
{
    struct fsh_request *request = LIST_FIRST(&active->requests);

    while (request) {
        struct fsh_request *next = LIST_NEXT(request, in_session);

        if (!which || which(request))
            fsh_engine_give_up(request);
        request = next;
    }
}

/* ---- asking ------------------------------------------------------------------------------ */

static int request_new(struct fsh_active *active, enum fsh_exchange_kind kind,
                       const struct fsh_question *question, struct fsh_request **ret_request)
{
    const struct fsh_profile *profile = active->session->engine->options.profile;
    struct fsh_request *request = calloc(1, sizeof(*request));
    int status;

    if (!request)
        return FRESHET_ENOMEM;
    request->session = active->session;
    request->kind = kind;
    request->asked_at = fsh_engine_now(active->session->engine).mono;
    LIST_INSERT_HEAD(&active->requests, request, in_session);
    status = fsh_profile_ask(profile, kind, question, &request->message);
    if (status == FRESHET_OK && request->message.authorized)
        request->token = fsh_token_ref(active->session->token);
    if (status == FRESHET_OK && request->message.authorized && !request->token)
        status = FRESHET_EUNAVAILABLE;
    if (status != FRESHET_OK) {
        fsh_engine_request_free(request);
        return status;
    }
    *ret_request = request;
    return FRESHET_OK;
}

static const char *username_of(const struct fsh_active *active)
{
    if (!fsh_base_secret_empty(&active->input.username))
        return fsh_base_secret_reveal(&active->input.username);
    return active->session->credentials->username ? active->session->credentials->username : "";
}

static const struct fsh_secret *device_part(const struct fsh_secret *part)
{
    return fsh_base_secret_empty(part) ? NULL : part;
}

static int ask_sign_in(struct fsh_active *active, struct fsh_request **ret_request)
{
    struct fsh_secret password = {0};
    struct freshet_error error;
    struct fsh_question question = {
        .username = username_of(active),
        .password = &password,
        .device_key = device_part(&active->leased.device_key),
        .device_group_key = device_part(&active->leased.device_group_key),
    };
    int status;

    if (!fsh_base_secret_empty(&active->input.password))
        status = fsh_base_secret_dup(&active->input.password, &password);
    else
        status = fsh_engine_password(active->session->credentials, &password, &error);
    if (status == FRESHET_ECONFIG)
        fsh_engine_failure(active, 0, "", error.message);
    if (status == FRESHET_OK)
        status = fsh_base_secret_copy(question.username, strlen(question.username),
                                      &active->challenge_username);
    if (status == FRESHET_OK)
        status = request_new(active, FSH_EXCHANGE_SIGN_IN, &question, ret_request);
    fsh_base_secret_done(&password);
    return status;
}

static int ask(struct fsh_active *active, enum fsh_errand errand, struct fsh_request **ret_request)
{
    struct fsh_question question = {
        .username = fsh_base_secret_reveal(&active->challenge_username),
        .session = &active->challenge_session,
        .code = &active->input.code,
        .new_password = &active->input.new_password,
        .refresh_token = &active->leased.refresh_token,
        .remember_device = active->input.remember_device,
        .mfa_enabled = -1,
    };

    if (errand == FSH_ERRAND_SIGN_IN)
        return ask_sign_in(active, ret_request);
    return request_new(active, fsh_engine_kind_of(errand), &question, ret_request);
}

int fsh_engine_send(struct fsh_active *active, uint64_t ticket, enum fsh_errand errand)
{
    struct fsh_io *io = &active->session->engine->io;
    struct fsh_request *request;
    int status = ask(active, errand, &request);

    if (status != FRESHET_OK)
        return status;
    request->ticket = ticket;
    request->fresh_connection = errand == FSH_ERRAND_REFRESH && active->session->policy->rotating;
    status = io->send(io->data, request);
    if (status != FRESHET_OK)
        fsh_engine_request_free(request);
    return status;
}

void fsh_engine_send_call(struct fsh_call *call)
{
    static const enum fsh_exchange_kind kinds[] = {
        [FSH_CALL_MFA_SETTINGS_GET] = FSH_EXCHANGE_MFA_SETTINGS_GET,
        [FSH_CALL_MFA_SETTINGS_PUT] = FSH_EXCHANGE_MFA_SETTINGS_PUT,
        [FSH_CALL_TOTP_GET] = FSH_EXCHANGE_TOTP_GET,
        [FSH_CALL_TOTP_PUT] = FSH_EXCHANGE_TOTP_PUT,
    };
    struct fsh_question question = {
        .code = &call->in.code,
        .mfa_enabled = call->in.mfa_enabled,
        .mfa_method = call->in.mfa_method[0] ? call->in.mfa_method : NULL,
    };
    struct fsh_io *io = &call->session->engine->io;
    struct fsh_request *request;
    int status = request_new(call->session->active, kinds[call->kind], &question, &request);

    if (status != FRESHET_OK) {
        fsh_engine_finish(call, status, -1);
        return;
    }
    request->call = call;
    status = io->send(io->data, request);
    if (status == FRESHET_OK)
        return;
    fsh_engine_request_free(request);
    fsh_engine_finish(call, status, -1);
}

/* ---- answers ----------------------------------------------------------------------------- */

static enum fsh_result_kind result_kind(enum fsh_outcome outcome)
{
    switch (outcome) {
    case FSH_OUTCOME_GRANT:
        return FSH_RESULT_GRANT;
    case FSH_OUTCOME_CHALLENGE:
        return FSH_RESULT_CHALLENGE;
    case FSH_OUTCOME_DEFINITE:
        return FSH_RESULT_DEFINITE;
    case FSH_OUTCOME_TRANSIENT:
        return FSH_RESULT_TRANSIENT;
    case FSH_OUTCOME_UNKNOWN:
        break;
    }
    return FSH_RESULT_UNKNOWN;
}

/* The snapshot that a grant makes. A refresh without an ID token leaves the partners as they
 * were. */
static int make_token(struct fsh_active *active, const struct fsh_request *request)
{
    struct fsh_engine *engine = active->session->engine;
    const struct fsh_profile *profile = engine->options.profile;
    const struct fsh_core *core = &active->core;
    const struct fsh_grant *grant = &active->grant;
    const struct fsh_token *before = active->session->token;
    bool keep = !grant->identified && before;
    struct fsh_stamp sent_at = {core->started_at.ms, engine->io.boot};
    struct fsh_secret value = {0};
    struct fsh_token *token;
    int status = fsh_profile_authorization(profile, &grant->access_token, &value);

    if (status == FRESHET_OK)
        status = fsh_token_new(
            engine->shelf,
            core->record.incarnation + (request->kind == FSH_EXCHANGE_REFRESH ? 0 : 1),
            core->reserved, sent_at, grant->lifetime_ms, &value,
            fsh_profile_partner_header(profile), keep ? before->partners : grant->partners,
            keep ? before->partner_count : grant->partner_count, &token);
    fsh_base_secret_done(&value);
    if (status != FRESHET_OK)
        return status;
    fsh_token_unref(active->made);
    active->made = token;
    return FRESHET_OK;
}

static struct fsh_result result_of(const struct fsh_answer *answer)
{
    return (struct fsh_result){
        .kind = result_kind(answer->outcome),
        .status = answer->status,
        .retry_after_ms = answer->retry_after_ms,
        .lifetime_ms = answer->grant.lifetime_ms,
        .refresh_token = !fsh_base_secret_empty(&answer->grant.refresh_token),
        .identified = answer->grant.identified,
        .suspended = answer->grant.suspended,
        .external = answer->grant.external,
    };
}

static struct fsh_result take_grant(struct fsh_active *active, const struct fsh_request *request,
                                    struct fsh_answer *answer)
{
    struct fsh_result result = result_of(answer);
    int status;

    if (request->kind == FSH_EXCHANGE_PROBE || result.kind != FSH_RESULT_GRANT)
        return result;
    fsh_profile_grant_done(&active->grant);
    active->grant = answer->grant;
    answer->grant = (struct fsh_grant){0};
    status = make_token(active, request);
    /* Without memory for the token, a refresh token that came is still the only one (rule 7): such
     * a grant is committed like one whose token is never usable. */
    if (status != FRESHET_OK && result.refresh_token && request->kind == FSH_EXCHANGE_REFRESH) {
        result.lifetime_ms = 0;
    } else if (status != FRESHET_OK) {
        result.kind = FSH_RESULT_UNKNOWN;
        result.status = status;
    }
    return result;
}

static void answer_flight(struct fsh_active *active, const struct fsh_request *request,
                          struct fsh_answer *answer)
{
    struct fsh_result result;
    struct fsh_effects fx;

    fx.count = 0;
    if (request->ticket != active->core.ticket && request->ticket != active->core.probe_ticket)
        return;
    if (answer->outcome == FSH_OUTCOME_CHALLENGE)
        fsh_base_secret_move(&active->challenge_session, &answer->challenge_session);
    if (answer->outcome != FSH_OUTCOME_GRANT)
        fsh_engine_failure(active, answer->http_status, answer->code, answer->detail);
    result = take_grant(active, request, answer);
    fsh_core_answered(&active->core, fsh_engine_now(active->session->engine), request->ticket,
                      &result, &fx);
    /* A grant that is not what it says it is counts as what the core took it for. */
    fsh_engine_count_exchange(
        request, request->kind == FSH_EXCHANGE_PROBE ? result.kind : active->core.result.kind);
    fsh_engine_carry_out(active, &fx);
}

static void answer_call(struct fsh_call *call, const struct fsh_request *request,
                        struct fsh_answer *answer)
{
    struct fsh_active *active = call->session->active;

    fsh_engine_count_exchange(request, result_kind(answer->outcome));
    if (answer->outcome == FSH_OUTCOME_GRANT) {
        call->mfa = answer->mfa;
        answer->mfa = (struct fsh_mfa_answer){0};
        fsh_engine_finish(call, FRESHET_OK, -1);
        return;
    }
    fsh_engine_failure(active, answer->http_status, answer->code, answer->detail);
    if (answer->http_status == 401 && request->token)
        fsh_engine_unauthorized(call->session, request->token->generation);
    fsh_engine_finish(call, answer->status, answer->retry_after_ms);
}

void fsh_engine_answered(struct fsh_request *request, const struct fsh_reply *reply)
{
    struct fsh_active *active = request->session->active;
    struct fsh_request copy = *request;
    struct fsh_answer answer;

    if (request->session->engine->options.keeper) {
        fsh_remote_answered(request, reply);
        return;
    }
    fsh_profile_read(active->session->engine->options.profile, request->kind, reply,
                     fsh_engine_now(active->session->engine).wall, &answer);
    /* What follows may cancel the session's requests; this one is no longer among them. */
    copy.token = fsh_token_ref(request->token);
    fsh_engine_request_free(request);
    if (copy.call)
        answer_call(copy.call, &copy, &answer);
    else
        answer_flight(active, &copy, &answer);
    fsh_token_unref(copy.token);
    fsh_profile_answer_done(&answer);
}
