/* SPDX-License-Identifier: Apache-2.0 */

/* Reading a scenario, strictly: what the runner does not know is an error of
 * the file. */

#include "scenario.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

static unsigned type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return TEXT;
    case JSON_INTEGER:
        return WHOLE;
    case JSON_REAL:
        return REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return TRUTH;
    case JSON_OBJECT:
        return OBJECT;
    case JSON_ARRAY:
        return LIST;
    case JSON_NULL:
        break;
    }
    return NIL;
}

bool scenario_keys(struct scenario *scenario, const char *what, const json_t *value,
                   const struct key *keys)
{
    const char *name;
    json_t *member;

    if (!json_is_object(value)) {
        scenario_problem(scenario, "%s is no object", what);
        return false;
    }
    json_object_foreach ((json_t *)(uintptr_t)value, name, member) {
        const struct key *key = keys;

        while (key->name && strcmp(key->name, name) != 0)
            key++;
        if (!key->name) {
            scenario_problem(scenario, "%s: unknown key \"%s\"", what, name);
            return false;
        }
        if (!(key->types & type_of(member))) {
            scenario_problem(scenario, "%s: \"%s\" is of the wrong type", what, name);
            return false;
        }
    }
    return true;
}

static bool known_needs(struct scenario *scenario, const json_t *needs)
{
    static const char *const known[] = {"service",    "store",   "shared_store", "rotation",
                                        "background", "origins", SAME_PROCESS};
    size_t index;
    json_t *need;

    json_array_foreach (needs, index, need) {
        bool found = false;

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && json_is_string(need); i++)
            found = found || strcmp(known[i], json_string_value(need)) == 0;
        if (!found) {
            scenario_problem(scenario, "needs: unknown capability");
            return false;
        }
    }
    return true;
}

static bool known_rules(struct scenario *scenario, const json_t *rules)
{
    size_t index;
    json_t *rule;

    json_array_foreach (rules, index, rule) {
        if (!json_is_integer(rule) || json_integer_value(rule) < 1 ||
            json_integer_value(rule) > 13) {
            scenario_problem(scenario, "rule: there are the rules 1 to 13");
            return false;
        }
    }
    return true;
}

bool scenario_head(struct scenario *scenario)
{
    static const struct key head[] = {
        {"name", TEXT},     {"why", TEXT},   {"rule", LIST}, {"needs", LIST},
        {"config", OBJECT}, {"steps", LIST}, {NULL, 0},
    };
    static const struct key config[] = {
        {"profile", TEXT},   {"service", TRUTH},   {"background", TRUTH}, {"first_party", TRUTH},
        {"threshold", TEXT}, {"partner_id", TEXT}, {"username", TEXT},    {"engines", WHOLE},
        {"url", TEXT},       {"origins", LIST},    {"begin", TEXT},       {"partner_setting", TEXT},
        {NULL, 0},
    };

    if (!scenario_keys(scenario, "the scenario", scenario->json, head))
        return false;
    for (const struct key *key = head; key->name; key++) {
        if (!json_object_get(scenario->json, key->name)) {
            scenario_problem(scenario, "the scenario has no \"%s\"", key->name);
            return false;
        }
    }
    scenario->config = json_object_get(scenario->json, "config");
    return scenario_keys(scenario, "config", scenario->config, config) &&
           known_needs(scenario, json_object_get(scenario->json, "needs")) &&
           known_rules(scenario, json_object_get(scenario->json, "rule"));
}

/* Ten years. */
#define DURATION_MAX_MS (INT64_C(3653) * 86400000)

static int64_t signed_duration(struct scenario *scenario, const json_t *value)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    const char *text = json_string_value(value);
    char *unit = NULL;
    long long number = text ? strtoll(text, &unit, 10) : 0;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && text && unit != text; i++) {
        int64_t most = DURATION_MAX_MS / units[i].ms;

        if (strcmp(unit, units[i].name) == 0 && number >= -most && number <= most)
            return number * units[i].ms;
    }
    scenario_problem(scenario, "no duration, or too long a one: %s",
                     text ? text : "not even a text");
    return 0;
}

int64_t scenario_duration(struct scenario *scenario, const json_t *value)
{
    int64_t ms = signed_duration(scenario, value);

    if (ms >= 0)
        return ms;
    scenario_problem(scenario, "a duration below 0: %s", json_string_value(value));
    return 0;
}

int64_t scenario_step_of(struct scenario *scenario, const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);

    return value ? signed_duration(scenario, value) : 0;
}

int64_t scenario_whole_of(struct scenario *scenario, const json_t *object, const char *member,
                          int64_t least, int64_t most, int64_t preset)
{
    const json_t *value = json_object_get(object, member);
    json_int_t number = json_integer_value(value);

    if (!value)
        return preset;
    if (json_is_integer(value) && number >= least && number <= most)
        return number;
    scenario_problem(scenario, "%s: a whole number from %lld to %lld", member, (long long)least,
                     (long long)most);
    return preset;
}

int64_t scenario_duration_of(struct scenario *scenario, const json_t *object, const char *member,
                             int64_t preset)
{
    const json_t *value = json_object_get(object, member);

    return value ? scenario_duration(scenario, value) : preset;
}

const char *scenario_text_of(const json_t *object, const char *member, const char *preset)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text ? text : preset;
}

bool scenario_truth_of(const json_t *object, const char *member, bool preset)
{
    const json_t *value = json_object_get(object, member);

    return json_is_boolean(value) ? json_is_true(value) : preset;
}

const char *scenario_status_name(int status)
{
    return freshet_status_name(status) + strlen("FRESHET_");
}

int scenario_status(struct scenario *scenario, const char *name)
{
    for (int status = 0; status > -100; status--) {
        if (strcmp(scenario_status_name(status), name) == 0)
            return status;
    }
    scenario_problem(scenario, "no status is called %s", name);
    return 1;
}
