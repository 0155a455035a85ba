/* SPDX-License-Identifier: Apache-2.0 */

/* Whoever asks something of a session. */

#include "scenario.h"

#include "core/partner.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMES_MAX 100000

struct caller *scenario_caller(struct scenario *scenario, const char *name)
{
    struct caller *caller;

    TAILQ_FOREACH (caller, &scenario->callers, in_list) {
        if (strcmp(caller->name, name) == 0)
            return caller;
    }
    return NULL;
}

struct caller *scenario_next_caller(struct caller *caller)
{
    struct caller *next = TAILQ_NEXT(caller, in_list);

    while (next && strcmp(next->name, caller->name) != 0)
        next = TAILQ_NEXT(next, in_list);
    return next;
}

static void caller_free(struct scenario *scenario, struct caller *caller)
{
    TAILQ_REMOVE(&scenario->callers, caller, in_list);
    scenario->caller_count--;
    fsh_base_secret_done(&caller->call.mfa.qr_uri);
    fsh_base_secret_done(&caller->call.mfa.qr_secret);
    json_decref(caller->headers);
    free(caller);
}

void scenario_callers_close(struct scenario *scenario)
{
    struct caller *caller;

    TAILQ_FOREACH (caller, &scenario->callers, in_list) {
        if (!caller->done)
            scenario_problem(scenario, "%s was told nothing, not even at the end", caller->name);
    }
    while (!TAILQ_EMPTY(&scenario->callers))
        caller_free(scenario, TAILQ_FIRST(&scenario->callers));
}

/* A name may be used again by somebody who does not wait any more. */
static void forget(struct scenario *scenario, const char *name)
{
    struct caller *caller = scenario_caller(scenario, name);

    while (caller) {
        struct caller *next = scenario_next_caller(caller);

        if (caller->done)
            caller_free(scenario, caller);
        else
            scenario_problem(scenario, "%s waits already", name);
        caller = next;
    }
}

static struct caller *caller_new(struct scenario *scenario, const json_t *step)
{
    struct caller *caller = calloc(1, sizeof(*caller));

    if (!caller)
        abort();
    (void)snprintf(caller->name, sizeof(caller->name), "%s", scenario_text_of(step, "call", "?"));
    caller->scenario = scenario;
    caller->actor = scenario_actor(scenario, step);
    TAILQ_INSERT_TAIL(&scenario->callers, caller, in_list);
    scenario->caller_count++;
    scenario_charge(scenario, 10);
    return caller;
}

static void told(struct fsh_call *call)
{
    struct caller *caller = fsh_container_of(call, struct caller, call);
    struct fsh_freshness token;

    caller->done = true;
    caller->gone = caller->actor->dying;
    (void)fsh_engine_view(call->session, &caller->generation, &token);
    scenario_check_caller(caller);
}

/* ---- calls
 * ---------------------------------------------------------------------------------------
 */

static void take_secret(struct scenario *scenario, const json_t *step, const char *field,
                        const char *preset, struct fsh_secret *ret_secret)
{
    const char *text = scenario_text_of(step, field, preset);

    if (text && fsh_base_secret_copy(text, strlen(text), ret_secret) != FRESHET_OK)
        abort();
    scenario_secret(scenario, SECRET_OTHER, text);
}

static void take_input(struct scenario *scenario, const json_t *step, struct caller *caller)
{
    struct fsh_call_input *in = &caller->call.in;
    bool service = caller->actor->session->policy->service;
    const char *username = scenario_text_of(step, "username", service ? NULL : "ann");

    in->mfa_enabled = -1;
    in->remember_device = scenario_truth_of(step, "remember_device", false);
    in->hold = scenario_truth_of(step, "hold", false);
    if (caller->call.kind == FSH_CALL_SIGN_IN) {
        if (username && fsh_base_secret_copy(username, strlen(username), &in->username) != 0)
            abort();
        take_secret(scenario, step, "password", service ? NULL : "the-password-of-ann",
                    &in->password);
    }
    if (caller->call.kind == FSH_CALL_MFA)
        take_secret(scenario, step, "code", "123456", &in->code);
    if (caller->call.kind == FSH_CALL_NEW_PASSWORD)
        take_secret(scenario, step, "new_password", "the-new-password-of-ann", &in->new_password);
}

static void begin_call(struct scenario *scenario, const json_t *step, enum fsh_call_kind kind)
{
    struct caller *caller = caller_new(scenario, step);
    struct fsh_call *call = &caller->call;

    call->kind = kind;
    call->session = caller->actor->asked;
    call->min_valid_ms = scenario_duration_of(scenario, step, "min_valid", 0);
    call->deadline =
        fsh_mono_add(scenario->mono, scenario_duration_of(scenario, step, "timeout", FSH_CALL_MS));
    call->done = told;
    take_input(scenario, step, caller);
    if (kind == FSH_CALL_ENSURE && caller->actor->keeper &&
        scenario->mode->at_hand(caller->actor, call->min_valid_ms))
        told(call);
    else
        fsh_engine_call(call);
}

static void call_times(struct scenario *scenario, const json_t *step, enum fsh_call_kind kind)
{
    int64_t count = scenario_whole_of(scenario, step, "times", 1, TIMES_MAX, 1);

    if (scenario_actor(scenario, step)->paused) {
        scenario_problem(scenario, "the engine is paused");
        return;
    }
    forget(scenario, scenario_text_of(step, "call", ""));
    for (int64_t i = 0; i < count && !scenario_failed(scenario); i++)
        begin_call(scenario, step, kind);
    scenario_settle(scenario);
}

static void cancel(struct scenario *scenario, const json_t *step)
{
    struct caller *caller = scenario_caller(scenario, scenario_text_of(step, "call", ""));

    if (!caller || caller->done) {
        scenario_problem(scenario, "nobody of that name waits");
        return;
    }
    for (; caller; caller = scenario_next_caller(caller)) {
        if (!caller->done)
            fsh_engine_call_cancel(&caller->call);
    }
    scenario_settle(scenario);
}

/* ---- 401s
 * ------------------------------------------------------------------------------------------
 */

static uint64_t generation_of(struct scenario *scenario, const json_t *step)
{
    const char *of = scenario_text_of(step, "generation_of", NULL);
    const json_t *generation = json_object_get(step, "generation");
    const struct caller *caller = of ? scenario_caller(scenario, of) : NULL;

    if (!of == !generation || (of && !caller))
        scenario_problem(scenario, "a report needs \"generation\" or \"generation_of\" a caller");
    return caller ? caller->generation : (uint64_t)json_integer_value(generation);
}

static void report_401(struct scenario *scenario, const json_t *step)
{
    const struct actor *actor = scenario_actor(scenario, step);
    uint64_t generation = generation_of(scenario, step);
    int64_t count = scenario_whole_of(scenario, step, "times", 1, TIMES_MAX, 1);

    for (int64_t i = 0; i < count; i++)
        fsh_engine_unauthorized(actor->asked, generation);
    scenario_settle(scenario);
}

/* ---- headers
 * ---------------------------------------------------------------------------------------
 */

static json_t *headers_of(const struct freshet_headers *headers)
{
    json_t *object = json_object();

    for (size_t i = 0; i < headers->count; i++)
        (void)json_object_set_new(object, headers->list[i].name,
                                  json_string(headers->list[i].value));
    return object;
}

static int choose(struct scenario *scenario, const json_t *step, struct caller *caller)
{
    const struct fsh_session *session = caller->actor->asked;
    const char *url = scenario_text_of(step, "url", NULL);
    const struct fsh_token *token = session->token;
    const char *preset = scenario_text_of(scenario->config, "partner_id", NULL);
    size_t index = 0;
    int status = FRESHET_OK;

    if (url)
        status = fsh_engine_origins_check(&scenario->origins, url, &caller->call.error);
    if (status == FRESHET_OK && (!token || !scenario_usable(session, scenario->mono)))
        status = FRESHET_EUNAVAILABLE;
    if (status == FRESHET_OK)
        status = fsh_core_partner(token->partners, token->partner_count,
                                  scenario_text_of(step, "partner", NULL),
                                  scenario_text_of(scenario->config, "partner_setting", NULL),
                                  caller->actor->keeper ? token->preset : preset, &index);
    if (status == FRESHET_OK) {
        caller->generation = token->generation;
        caller->headers = headers_of(&token->bundles[index].headers);
    }
    return status;
}

/* What a request would carry. As in the library no engine is asked. */
static void ask_headers(struct scenario *scenario, const json_t *step)
{
    struct caller *caller;

    forget(scenario, scenario_text_of(step, "call", ""));
    caller = caller_new(scenario, step);
    caller->done = true;
    caller->call.status = choose(scenario, step, caller);
}

/* ---- the step
 * --------------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    enum fsh_call_kind kind;
} calls[] = {
    {"ensure", FSH_CALL_ENSURE},     {"sign_in", FSH_CALL_SIGN_IN},
    {"mfa", FSH_CALL_MFA},           {"new_password", FSH_CALL_NEW_PASSWORD},
    {"sign_out", FSH_CALL_SIGN_OUT}, {"mfa_settings", FSH_CALL_MFA_SETTINGS_GET},
};

static const struct {
    const char *name;
    void (*run)(struct scenario *scenario, const json_t *step);
} others[] = {
    {"report_401", report_401},
    {"headers", ask_headers},
    {"cancel", cancel},
};

void scenario_call_step(struct scenario *scenario, const json_t *step)
{
    const char *what = scenario_text_of(step, "do", "");

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].name, what) == 0) {
            call_times(scenario, step, calls[i].kind);
            return;
        }
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(others[i].name, what) == 0) {
            others[i].run(scenario, step);
            return;
        }
    }
    scenario_problem(scenario, "nobody can do \"%s\"", what);
}
