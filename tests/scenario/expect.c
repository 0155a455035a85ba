/* SPDX-License-Identifier: Apache-2.0 */

/* What a scenario expects. */

#include "scenario.h"

#include <freshet/status.h>
#include <stdio.h>
#include <string.h>

/* ---- requests
 * ----------------------------------------------------------------------------------
 */

static int kind_or_problem(struct scenario *scenario, const char *name)
{
    int kind = scenario_kind(name);

    if (kind < 0)
        scenario_problem(scenario, "no request is called %s", name ? name : "that");
    return kind;
}

static void expect_in_air(struct scenario *scenario, const json_t *expected)
{
    int wanted[FSH_EXCHANGE_KINDS] = {0};
    size_t index;
    json_t *name;
    struct air *air;

    json_array_foreach (expected, index, name) {
        int kind = kind_or_problem(scenario, json_string_value(name));

        if (kind >= 0)
            wanted[kind]++;
    }
    LIST_FOREACH (air, &scenario->in_air, in_list)
        wanted[air->request->kind]--;
    for (int kind = 0; kind < FSH_EXCHANGE_KINDS; kind++) {
        if (wanted[kind] != 0)
            scenario_problem(scenario, "in the air: %d %s too %s",
                             wanted[kind] > 0 ? wanted[kind] : -wanted[kind],
                             scenario_kind_name(kind), wanted[kind] > 0 ? "few" : "many");
    }
}

static void expect_count(struct scenario *scenario, const char *name, json_int_t count,
                         const json_t *expected)
{
    static const struct key keys[] = {{"at_least", WHOLE}, {"at_most", WHOLE}, {NULL, 0}};
    const json_t *least = json_object_get(expected, "at_least");
    const json_t *most = json_object_get(expected, "at_most");

    if (json_is_integer(expected)) {
        if (count != json_integer_value(expected))
            scenario_problem(scenario, "%s: %lld instead of %lld", name, (long long)count,
                             (long long)json_integer_value(expected));
        return;
    }
    if (!scenario_keys(scenario, name, expected, keys))
        return;
    if ((least && count < json_integer_value(least)) || (most && count > json_integer_value(most)))
        scenario_problem(scenario, "%s: %lld, which is out of its bounds", name, (long long)count);
}

static void expect_sent(struct scenario *scenario, const json_t *expected)
{
    const char *name;
    json_t *count;

    json_object_foreach ((json_t *)(uintptr_t)expected, name, count) {
        int kind = kind_or_problem(scenario, name);
        unsigned sent = 0;

        for (unsigned i = 0; i < scenario->actor_count && kind >= 0; i++)
            sent += scenario->actors[i].sent[kind];
        expect_count(scenario, name, sent, count);
    }
}

/* null: has none of that name. */
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
        int kind = kind_or_problem(scenario, name);
        bool found = false;
        struct air *air;

        LIST_FOREACH (air, &scenario->in_air, in_list) {
            const struct fsh_secret *text = &air->request->message.body;
            json_t *body = json_loads(fsh_base_secret_reveal(text), 0, NULL);

            found = found || ((int)air->request->kind == kind && subset(part, body));
            json_decref(body);
        }
        if (!found)
            scenario_problem(scenario, "no request %s like that is in the air", name);
    }
}

/* ---- callers
 * -------------------------------------------------------------------------------------
 */

static void expect_retry_after(struct scenario *scenario, const struct caller *caller,
                               const json_t *expected)
{
    const json_t *least = json_object_get(expected, "retry_after_at_least");
    const json_t *most = json_object_get(expected, "retry_after_at_most");
    int64_t ms = caller->call.error.retry_after_ms;

    if ((least && ms < scenario_duration(scenario, least)) ||
        (most && (ms < 0 || ms > scenario_duration(scenario, most))))
        scenario_problem(scenario, "%s was told to come back in %lld ms", caller->name,
                         (long long)ms);
}

static void expect_generation(struct scenario *scenario, const struct caller *caller,
                              const json_t *expected)
{
    const json_t *exact = json_object_get(expected, "generation");
    const char *newer = scenario_text_of(expected, "newer_than", NULL);
    const char *same = scenario_text_of(expected, "same_as", NULL);
    const char *name = newer ? newer : same;
    const struct caller *other = name ? scenario_caller(scenario, name) : NULL;

    if (name && !other)
        scenario_problem(scenario, "nobody is called %s", name);
    else if ((exact && caller->generation != (uint64_t)json_integer_value(exact)) ||
             (newer && caller->generation <= other->generation) ||
             (!newer && same && caller->generation != other->generation))
        scenario_problem(scenario, "%s got generation %llu", caller->name,
                         (unsigned long long)caller->generation);
}

static void expect_headers(struct scenario *scenario, const struct caller *caller,
                           const json_t *expected)
{
    const json_t *headers = json_object_get(expected, "headers");
    const json_t *partner = json_object_get(expected, "partner");

    if (headers && (!caller->headers || !json_equal(headers, caller->headers)))
        scenario_problem(scenario, "%s got other headers", caller->name);
    if (partner && !json_equal(partner, json_object_get(caller->headers, "X-Preferred-Partner-Id")))
        scenario_problem(scenario, "%s got another partner", caller->name);
}

static void expect_status(struct scenario *scenario, const struct caller *caller,
                          const char *status)
{
    if (strcmp(status, "waiting") == 0) {
        if (caller->done)
            scenario_problem(scenario, "%s does not wait, but was told %s", caller->name,
                             scenario_status_name(caller->call.status));
    } else if (!caller->done) {
        scenario_problem(scenario, "%s still waits, instead of %s", caller->name, status);
    } else if (caller->gone) {
        scenario_problem(scenario, "%s is gone with its process", caller->name);
    } else if (caller->call.status != scenario_status(scenario, status)) {
        scenario_problem(scenario, "%s was told %s instead of %s%s%s", caller->name,
                         scenario_status_name(caller->call.status), status,
                         caller->call.status ? ": " : "", caller->call.error.message);
    }
}

static void expect_caller(struct scenario *scenario, const struct caller *caller,
                          const json_t *expected)
{
    static const struct key keys[] = {
        {"status", TEXT},
        {"retry_after_at_least", TEXT},
        {"retry_after_at_most", TEXT},
        {"generation", WHOLE},
        {"newer_than", TEXT},
        {"same_as", TEXT},
        {"partner", TEXT},
        {"headers", OBJECT},
        {"code", TEXT},
        {NULL, 0},
    };
    const char *code = scenario_text_of(expected, "code", NULL);

    if (json_is_string(expected)) {
        expect_status(scenario, caller, json_string_value(expected));
        return;
    }
    if (!scenario_keys(scenario, caller->name, expected, keys))
        return;
    expect_status(scenario, caller, scenario_text_of(expected, "status", ""));
    expect_retry_after(scenario, caller, expected);
    expect_generation(scenario, caller, expected);
    expect_headers(scenario, caller, expected);
    if (code && strcmp(code, caller->call.error.code) != 0)
        scenario_problem(scenario, "%s was told the platform's code \"%s\"", caller->name,
                         caller->call.error.code);
}

static void expect_callers(struct scenario *scenario, const json_t *expected)
{
    const char *name;
    json_t *what;

    json_object_foreach ((json_t *)(uintptr_t)expected, name, what) {
        struct caller *caller = scenario_caller(scenario, name);

        if (!caller)
            scenario_problem(scenario, "nobody is called %s", name);
        for (; caller && !scenario_failed(scenario); caller = scenario_next_caller(caller))
            expect_caller(scenario, caller, what);
    }
}

/* ---- the session
 * -----------------------------------------------------------------------------------
 */

static const char *const phases[] = {
    [FSH_PHASE_NONE] = "none",   [FSH_PHASE_LIVE] = "live",
    [FSH_PHASE_ENDED] = "ended", [FSH_PHASE_SIGNED_OUT] = "signed_out",
    [FSH_PHASE_HELD] = "held",
};

static void expect_truth(struct scenario *scenario, const json_t *expected, const char *name,
                         bool is)
{
    const json_t *value = json_object_get(expected, name);

    if (value && json_is_true(value) != is)
        scenario_problem(scenario, "the session is %s%s", is ? "" : "not ", name);
}

static void expect_state(struct scenario *scenario, const struct fsh_core *core,
                         const json_t *expected)
{
    const char *phase = scenario_text_of(expected, "phase", NULL);
    const char *reason = scenario_text_of(expected, "reason", NULL);
    const json_t *generation = json_object_get(expected, "generation");

    if (phase && strcmp(phase, phases[core->record.phase]) != 0)
        scenario_problem(scenario, "the session is %s instead of %s", phases[core->record.phase],
                         phase);
    if (reason && scenario_status(scenario, reason) != core->record.reason)
        scenario_problem(scenario, "the reason is %s instead of %s",
                         scenario_status_name(core->record.reason), reason);
    if (generation && core->published != (uint64_t)json_integer_value(generation))
        scenario_problem(scenario, "generation %llu is in force, not %lld",
                         (unsigned long long)core->published,
                         (long long)json_integer_value(generation));
    expect_truth(scenario, expected, "usable", fsh_core_usable(core, scenario->mono));
    expect_truth(scenario, expected, "parked", core->record.parked != 0);
}

static void expect_session(struct scenario *scenario, const json_t *expected)
{
    static const struct key keys[] = {
        {"engine", TEXT},  {"phase", TEXT},   {"reason", TEXT},          {"generation", WHOLE},
        {"usable", TRUTH}, {"parked", TRUTH}, {"ended", WHOLE | OBJECT}, {NULL, 0},
    };
    const json_t *ended = json_object_get(expected, "ended");
    struct fsh_session *session = scenario_actor(scenario, expected)->session;
    struct fsh_core core;

    if (!scenario_keys(scenario, "session", expected, keys))
        return;
    fsh_engine_core(session, &core);
    expect_state(scenario, &core, expected);
    if (ended)
        expect_count(
            scenario, "ended",
            (json_int_t)atomic_load_explicit(&session->counters.ended, memory_order_relaxed),
            ended);
}

/* ---- the ledger
 * ------------------------------------------------------------------------------------
 */

static bool noted(struct scenario *scenario, const char *words)
{
    static struct fsh_ledger_entry entries[FSH_LEDGER_ENTRIES];

    for (unsigned i = 0; i < scenario->actor_count; i++) {
        struct actor *actor = &scenario->actors[i];
        size_t count = fsh_engine_ledger_read(fsh_engine_ledger(actor->thread.engine),
                                              actor->session->number, entries, FSH_LEDGER_ENTRIES);

        for (size_t k = 0; k < count; k++) {
            if (strstr(fsh_engine_note_text(entries[k].note), words))
                return true;
        }
    }
    return false;
}

void scenario_expect_step(struct scenario *scenario, const json_t *step)
{
    static const struct key keys[] = {
        {"in_air", LIST},    {"sent", OBJECT}, {"request", OBJECT}, {"callers", OBJECT},
        {"session", OBJECT}, {"ledger", TEXT}, {NULL, 0},
    };
    const json_t *expected = json_object_get(step, "expect");
    const char *words = scenario_text_of(expected, "ledger", NULL);

    if (!scenario_keys(scenario, "expect", expected, keys))
        return;
    if (json_object_size(expected) == 0)
        scenario_problem(scenario, "nothing is expected");
    if (json_object_get(expected, "in_air"))
        expect_in_air(scenario, json_object_get(expected, "in_air"));
    expect_sent(scenario, json_object_get(expected, "sent"));
    expect_request(scenario, json_object_get(expected, "request"));
    expect_callers(scenario, json_object_get(expected, "callers"));
    if (json_object_get(expected, "session"))
        expect_session(scenario, json_object_get(expected, "session"));
    if (words && !noted(scenario, words))
        scenario_problem(scenario, "the ledger does not say \"%s\"", words);
}
