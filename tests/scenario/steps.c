/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario.h"

#include "core/partner.h"

#include <freshet/status.h>
#include <stdio.h>
#include <string.h>

static void caller_done(struct fsh_call *call)
{
    struct caller *caller = fsh_container_of(call, struct caller, call);

    caller->done = true;
}

static struct caller *find_or_add(struct scenario *scenario, const char *name)
{
    struct caller *caller;

    for (unsigned i = 0; i < scenario->caller_count; i++) {
        if (strcmp(scenario->callers[i].name, name) == 0 && scenario->callers[i].done) {
            caller = &scenario->callers[i];
            fsh_base_secret_done(&caller->call.mfa.qr_uri);
            fsh_base_secret_done(&caller->call.mfa.qr_secret);
            memset(caller, 0, sizeof(*caller));
            (void)snprintf(caller->name, sizeof(caller->name), "%s", name);
            return caller;
        }
    }
    if (scenario->caller_count == CALLERS) {
        scenario_problem(scenario, "too many callers");
        return &scenario->callers[0];
    }
    caller = &scenario->callers[scenario->caller_count++];
    (void)snprintf(caller->name, sizeof(caller->name), "%s", name);
    return caller;
}

static void secret(const json_t *step, const char *field, const char *preset,
                   struct fsh_secret *ret_secret)
{
    const char *text = json_string_value(json_object_get(step, field));

    if (!text)
        text = preset;
    if (text)
        (void)fsh_base_secret_copy(text, strlen(text), ret_secret);
}

static int64_t duration(struct scenario *scenario, const json_t *step, const char *field,
                        int64_t preset)
{
    const json_t *value = json_object_get(step, field);

    return value ? scenario_duration(scenario, value) : preset;
}

static const struct {
    const char *name;
    enum fsh_call_kind kind;
} calls[] = {
    {"ensure", FSH_CALL_ENSURE},     {"sign_in", FSH_CALL_SIGN_IN},
    {"mfa", FSH_CALL_MFA},           {"new_password", FSH_CALL_NEW_PASSWORD},
    {"sign_out", FSH_CALL_SIGN_OUT}, {"mfa_settings", FSH_CALL_MFA_SETTINGS_GET},
};

static int call_kind(const char *name)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].name, name) == 0)
            return (int)calls[i].kind;
    }
    return -1;
}

/* Which partner a request would carry: no engine is asked, as in the library. */
static void headers(struct scenario *scenario, const json_t *step, struct caller *caller)
{
    const struct fsh_token *token = scenario_actor(scenario, step)->session->token;
    size_t index = 0;

    caller->done = true;
    caller->call.status = FRESHET_EUNAVAILABLE;
    if (token)
        caller->call.status = fsh_core_partner(
            token->partners, token->partner_count,
            json_string_value(json_object_get(step, "partner")),
            json_string_value(json_object_get(scenario->config, "partner_setting")),
            json_string_value(json_object_get(scenario->config, "partner_id")), &index);
    if (token && caller->call.status == FRESHET_OK)
        (void)snprintf(caller->call.error.message, sizeof(caller->call.error.message), "%s",
                       token->bundles[index].list[1].value);
}

static void report_401(struct scenario *scenario, const json_t *step)
{
    struct actor *actor = scenario_actor(scenario, step);
    json_int_t times = json_integer_value(json_object_get(step, "times"));
    const json_t *generation = json_object_get(step, "generation");

    for (json_int_t i = 0; i < (times ? times : 1); i++)
        fsh_engine_unauthorized(actor->session, (uint64_t)json_integer_value(generation));
    scenario_settle(scenario);
}

static void cancel(struct scenario *scenario, const char *name)
{
    for (unsigned i = 0; i < scenario->caller_count; i++) {
        struct caller *caller = &scenario->callers[i];

        if (strcmp(caller->name, name) == 0 && !caller->done) {
            fsh_engine_call_cancel(&caller->call);
            scenario_settle(scenario);
            return;
        }
    }
    scenario_problem(scenario, "nobody called %s waits", name);
}

static void begin_call(struct scenario *scenario, const json_t *step, struct caller *caller,
                       enum fsh_call_kind kind)
{
    struct fsh_call *call = &caller->call;
    bool service = scenario_actor(scenario, step)->session->policy.service;

    call->kind = kind;
    call->session = scenario_actor(scenario, step)->session;
    call->min_valid_ms = duration(scenario, step, "min_valid", 0);
    call->deadline = fsh_mono_add(scenario->mono, duration(scenario, step, "timeout", FSH_CALL_MS));
    call->done = caller_done;
    call->in.mfa_enabled = -1;
    if (kind == FSH_CALL_SIGN_IN) {
        secret(step, "username", service ? NULL : "ann", &call->in.username);
        secret(step, "password", service ? NULL : "canary-password", &call->in.password);
    }
    if (kind == FSH_CALL_MFA)
        secret(step, "code", "123456", &call->in.code);
    if (kind == FSH_CALL_NEW_PASSWORD)
        secret(step, "new_password", "canary-new-password", &call->in.new_password);
    call->in.remember_device = json_is_true(json_object_get(step, "remember_device"));
    call->in.hold = json_is_true(json_object_get(step, "hold"));
    fsh_engine_call(call);
    scenario_settle(scenario);
}

static void call(struct scenario *scenario, const json_t *step)
{
    const char *name = json_string_value(json_object_get(step, "call"));
    const char *verb = json_string_value(json_object_get(step, "do"));

    if (!name || !verb) {
        scenario_problem(scenario, "a call needs a name and a \"do\"");
        return;
    }
    if (strcmp(verb, "report_401") == 0)
        report_401(scenario, step);
    else if (strcmp(verb, "cancel") == 0)
        cancel(scenario, name);
    else if (strcmp(verb, "headers") == 0)
        headers(scenario, step, find_or_add(scenario, name));
    else if (call_kind(verb) >= 0)
        begin_call(scenario, step, find_or_add(scenario, name),
                   (enum fsh_call_kind)call_kind(verb));
    else
        scenario_problem(scenario, "nobody can do \"%s\"", verb);
}

static bool only_known_keys(struct scenario *scenario, const json_t *step)
{
    static const char *const known[] = {
        "call",   "do",      "engine",  "username", "password",   "code",         "remember_device",
        "hold",   "timeout", "times",   "partner",  "generation", "new_password", "min_valid",
        "reply",  "status",  "headers", "grant",    "json",       "text",         "bytes",
        "lost",   "expect",  "wait",    "suspend",  "step_wall",  "restart",      "store",
        "because"};
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)(uintptr_t)step, key, value) {
        bool found = false;

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            found = found || strcmp(known[i], key) == 0;
        if (!found) {
            scenario_problem(scenario, "unknown key \"%s\"", key);
            return false;
        }
    }
    return true;
}

void scenario_step(struct scenario *scenario, const json_t *step)
{
    const json_t *value;

    if (!only_known_keys(scenario, step))
        return;
    if ((value = json_object_get(step, "wait")))
        scenario_wait(scenario, scenario_duration(scenario, value));
    else if ((value = json_object_get(step, "suspend")))
        scenario_jump(scenario, scenario_duration(scenario, value));
    else if ((value = json_object_get(step, "step_wall")))
        scenario->wall.ms += scenario_duration(scenario, value);
    else if ((value = json_object_get(step, "restart")))
        scenario_restart(scenario, strcmp(json_string_value(value), "new_boot") == 0);
    else if ((value = json_object_get(step, "store")))
        scenario_store_mode(scenario, json_string_value(value));
    else if (json_object_get(step, "call"))
        call(scenario, step);
    else if (json_object_get(step, "reply"))
        scenario_reply(scenario, step);
    else if ((value = json_object_get(step, "expect")))
        scenario_expect(scenario, value);
    else
        scenario_problem(scenario, "a step that does nothing");
}
