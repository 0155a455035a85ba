/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario.h"

#include <freshet/status.h>
#include <stdio.h>
#include <string.h>

/* ---- single expectations
 * ---------------------------------------------------------------------------- */

static void expect_in_air(struct scenario *scenario, const json_t *expected)
{
    unsigned wanted[FSH_EXCHANGE_KINDS] = {0};
    size_t index;
    json_t *name;

    json_array_foreach (expected, index, name) {
        int kind = scenario_kind(json_string_value(name));

        if (kind < 0)
            scenario_problem(scenario, "in_air: no such request");
        else
            wanted[kind]++;
    }
    for (unsigned i = 0; i < scenario->in_air_count; i++)
        wanted[scenario->in_air[i]->kind]--;
    for (int kind = 0; kind < FSH_EXCHANGE_KINDS; kind++) {
        if (wanted[kind] != 0)
            scenario_problem(scenario, "in_air: %d requests of kind %d too few (%u in the air)",
                             (int)wanted[kind], kind, scenario->in_air_count);
    }
}

static void expect_sent(struct scenario *scenario, const json_t *expected)
{
    const char *name;
    json_t *count;

    json_object_foreach ((json_t *)(uintptr_t)expected, name, count) {
        int kind = scenario_kind(name);

        if (kind < 0)
            scenario_problem(scenario, "sent: no such request \"%s\"", name);
        else if (scenario->sent[kind] != (unsigned)json_integer_value(count))
            scenario_problem(scenario, "sent: %u times %s, not %lld", scenario->sent[kind], name,
                             (long long)json_integer_value(count));
    }
}

static void expect_caller(struct scenario *scenario, const struct caller *caller,
                          const json_t *expected)
{
    const json_t *plain = json_is_object(expected) ? json_object_get(expected, "status") : expected;
    const json_t *most = json_object_get(expected, "retry_after_at_most");
    const json_t *header = json_object_get(expected, "partner");
    const char *status = json_string_value(plain);

    if (!status) {
        scenario_problem(scenario, "%s: a status is missing", caller->name);
        return;
    }
    if (strcmp(status, "waiting") == 0) {
        if (caller->done)
            scenario_problem(scenario, "%s does not wait, but was told %s", caller->name,
                             freshet_status_name(caller->call.status));
        return;
    }
    if (!caller->done)
        scenario_problem(scenario, "%s still waits, instead of %s", caller->name, status);
    else if (caller->call.status != scenario_status(scenario, status))
        scenario_problem(scenario, "%s was told %s instead of %s", caller->name,
                         freshet_status_name(caller->call.status), status);
    else if (most && (caller->call.error.retry_after_ms < 0 ||
                      caller->call.error.retry_after_ms > scenario_duration(scenario, most)))
        scenario_problem(scenario, "%s was told to come back in %lld ms", caller->name,
                         (long long)caller->call.error.retry_after_ms);
    else if (header && strcmp(json_string_value(header), caller->call.error.message) != 0)
        scenario_problem(scenario, "%s got partner %s", caller->name, caller->call.error.message);
}

static void expect_callers(struct scenario *scenario, const json_t *expected)
{
    const char *name;
    json_t *what;

    json_object_foreach ((json_t *)(uintptr_t)expected, name, what) {
        const struct caller *found = NULL;

        for (unsigned i = 0; i < scenario->caller_count; i++) {
            if (strcmp(scenario->callers[i].name, name) == 0)
                found = &scenario->callers[i];
        }
        if (found)
            expect_caller(scenario, found, what);
        else
            scenario_problem(scenario, "nobody is called %s", name);
    }
}

static const char *const phases[] = {
    [FSH_PHASE_NONE] = "none",   [FSH_PHASE_LIVE] = "live",
    [FSH_PHASE_ENDED] = "ended", [FSH_PHASE_SIGNED_OUT] = "signed_out",
    [FSH_PHASE_HELD] = "held",
};

static void expect_session(struct scenario *scenario, const json_t *expected)
{
    const struct fsh_core *core = &scenario_actor(scenario, expected)->session->core;
    const char *phase = json_string_value(json_object_get(expected, "phase"));
    const char *reason = json_string_value(json_object_get(expected, "reason"));
    const json_t *generation = json_object_get(expected, "generation");
    const json_t *usable = json_object_get(expected, "usable");
    const json_t *parked = json_object_get(expected, "parked");

    if (phase && strcmp(phase, phases[core->record.phase]) != 0)
        scenario_problem(scenario, "the session is %s instead of %s", phases[core->record.phase],
                         phase);
    if (reason && scenario_status(scenario, reason) != core->record.reason)
        scenario_problem(scenario, "the reason is %s instead of %s",
                         freshet_status_name(core->record.reason), reason);
    if (generation && core->published != (uint64_t)json_integer_value(generation))
        scenario_problem(scenario, "generation %llu is in force, not %lld",
                         (unsigned long long)core->published,
                         (long long)json_integer_value(generation));
    if (usable && json_is_true(usable) != fsh_core_usable(core, scenario->mono))
        scenario_problem(scenario, "the token is%s usable", json_is_true(usable) ? " not" : "");
    if (parked && json_is_true(parked) != (core->record.parked != 0))
        scenario_problem(scenario, "the session is%s parked", json_is_true(parked) ? " not" : "");
}

static bool subset(const json_t *part, const json_t *whole)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)(uintptr_t)part, key, value) {
        const json_t *other = json_object_get(whole, key);

        if (json_is_null(value) ? other != NULL : !json_equal(value, other))
            return false;
    }
    return true;
}

static void expect_request(struct scenario *scenario, const json_t *expected)
{
    const char *name;
    json_t *part;

    json_object_foreach ((json_t *)(uintptr_t)expected, name, part) {
        bool found = false;

        for (unsigned i = 0; i < scenario->in_air_count; i++) {
            const struct fsh_request *request = scenario->in_air[i];
            json_t *body = json_loads(fsh_base_secret_reveal(&request->message.body), 0, NULL);

            found = found || ((int)request->kind == scenario_kind(name) && subset(part, body));
            json_decref(body);
        }
        if (!found)
            scenario_problem(scenario, "no request \"%s\" like that is in the air", name);
    }
}

static bool noted(struct scenario *scenario, const char *words)
{
    struct fsh_ledger_entry entries[FSH_LEDGER_ENTRIES];
    struct actor *actor = &scenario->actors[0];
    size_t count = fsh_engine_ledger_read(fsh_engine_ledger(actor->engine), actor->session->number,
                                          entries, FSH_LEDGER_ENTRIES);

    for (size_t i = 0; i < count; i++) {
        if (strstr(fsh_engine_note_text(entries[i].note), words))
            return true;
    }
    return false;
}

void scenario_expect(struct scenario *scenario, const json_t *expected)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)(uintptr_t)expected, key, value) {
        if (strcmp(key, "in_air") == 0)
            expect_in_air(scenario, value);
        else if (strcmp(key, "sent") == 0)
            expect_sent(scenario, value);
        else if (strcmp(key, "callers") == 0)
            expect_callers(scenario, value);
        else if (strcmp(key, "session") == 0)
            expect_session(scenario, value);
        else if (strcmp(key, "request") == 0)
            expect_request(scenario, value);
        else if (strcmp(key, "ledger") != 0)
            scenario_problem(scenario, "nothing called \"%s\" can be expected", key);
        else if (!noted(scenario, json_string_value(value)))
            scenario_problem(scenario, "the ledger does not say \"%s\"", json_string_value(value));
    }
}

/* ---- always
 * -------------------------------------------------------------------------------------------- */

static void check_flights(struct scenario *scenario)
{
    unsigned flights = 0;

    for (unsigned i = 0; i < scenario->in_air_count; i++) {
        const struct fsh_request *request = scenario->in_air[i];
        const struct fsh_core *core = &request->session->core;

        /* One whose lease has run out may be overtaken: that is what leases are for. */
        if (!request->call && request->kind != FSH_EXCHANGE_PROBE &&
            fsh_mono_until(core->started_at, scenario->mono) < FSH_LEASE_MS - 1000)
            flights++;
    }
    if (flights > 1)
        scenario_problem(scenario, "%u flights are in the air at once", flights);
}

static void check_waiting(struct scenario *scenario, const struct caller *caller)
{
    if (caller->done || caller->call.kind != FSH_CALL_ENSURE || caller->call.min_valid_ms > 0)
        return;
    if (fsh_core_usable(&caller->call.session->core, scenario->mono))
        scenario_problem(scenario, "%s waits though a usable token is there", caller->name);
}

static void check_silence(struct scenario *scenario, const struct caller *caller)
{
    if (caller->done && strstr(caller->call.error.message, "canary"))
        scenario_problem(scenario, "a secret is in the error of %s", caller->name);
}

void scenario_check(struct scenario *scenario)
{
    check_flights(scenario);
    for (unsigned i = 0; i < scenario->caller_count; i++) {
        check_waiting(scenario, &scenario->callers[i]);
        check_silence(scenario, &scenario->callers[i]);
    }
}
