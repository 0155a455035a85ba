/* SPDX-License-Identifier: Apache-2.0 */

/* The steps of a scenario, by their verbs. */

#include "scenario.h"

#include <string.h>

static void wait_step(struct scenario *scenario, const json_t *step)
{
    scenario_wait(scenario, scenario_duration_of(scenario, step, "wait", 0));
}

static void wait_for_step(struct scenario *scenario, const json_t *step)
{
    int kind = scenario_kind(scenario_text_of(step, "wait_for", ""));

    if (kind < 0 || !json_object_get(step, "at_most"))
        scenario_problem(scenario, "wait_for the name of a request, \"at_most\" so long");
    else
        scenario_wait_for(scenario, kind, scenario_duration_of(scenario, step, "at_most", 0));
}

static void suspend_step(struct scenario *scenario, const json_t *step)
{
    scenario_jump(scenario, scenario_duration_of(scenario, step, "suspend", 0));
}

static void step_wall_step(struct scenario *scenario, const json_t *step)
{
    scenario->wall.ms += scenario_step_of(scenario, step, "step_wall");
    scenario->unsteady = true;
}

static void pause_step(struct scenario *scenario, const json_t *step)
{
    scenario_pause(scenario, scenario_text_of(step, "pause", ""), true);
}

static void resume_step(struct scenario *scenario, const json_t *step)
{
    scenario_pause(scenario, scenario_text_of(step, "resume", ""), false);
}

/* Each step has one verb, and may have the verb's arguments. */
static const struct verb {
    const char *name;
    void (*run)(struct scenario *scenario, const json_t *step);
    struct key keys[16];
} verbs[] = {
    {"wait", wait_step, {{"wait", TEXT}}},
    {"wait_for", wait_for_step, {{"wait_for", TEXT}, {"at_most", TEXT}}},
    {"suspend", suspend_step, {{"suspend", TEXT}}},
    {"step_wall", step_wall_step, {{"step_wall", TEXT}}},
    {"restart", scenario_restart_step, {{"restart", TEXT}, {"engine", TEXT}}},
    {"pause", pause_step, {{"pause", TEXT}}},
    {"resume", resume_step, {{"resume", TEXT}}},
    {"store", scenario_store_step, {{"store", TEXT}, {"engine", TEXT}}},
    {"cache", scenario_cache_step, {{"cache", TEXT}}},
    {"platform", scenario_platform_step, {{"platform", TEXT | OBJECT}}},
    {"expect", scenario_expect_step, {{"expect", OBJECT}}},
    {"call",
     scenario_call_step,
     {{"call", TEXT},
      {"do", TEXT},
      {"engine", TEXT},
      {"username", TEXT},
      {"password", TEXT},
      {"code", TEXT},
      {"new_password", TEXT},
      {"remember_device", TRUTH},
      {"hold", TRUTH},
      {"min_valid", TEXT},
      {"timeout", TEXT},
      {"partner", TEXT},
      {"url", TEXT},
      {"generation", WHOLE},
      {"generation_of", TEXT},
      {"times", WHOLE}}},
    {"reply",
     scenario_reply_step,
     {{"reply", TEXT},
      {"engine", TEXT},
      {"status", WHOLE},
      {"headers", OBJECT},
      {"grant", OBJECT},
      {"json", ANYTHING},
      {"text", TEXT},
      {"bytes", WHOLE},
      {"lost", TEXT}}},
};

static const struct verb *verb_of(const json_t *step)
{
    const struct verb *found = NULL;

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (!json_object_get(step, verbs[i].name))
            continue;
        if (found)
            return NULL;
        found = &verbs[i];
    }
    return found;
}

static void run_step(struct scenario *scenario, const json_t *step)
{
    const struct verb *verb = verb_of(step);
    struct key keys[sizeof(verb->keys) / sizeof(verb->keys[0]) + 2] = {0};
    size_t count = 0;

    if (!verb) {
        scenario_problem(scenario, "a step has one verb that is known");
        return;
    }
    for (; count < sizeof(verb->keys) / sizeof(verb->keys[0]) && verb->keys[count].name; count++)
        keys[count] = verb->keys[count];
    keys[count] = (struct key){"because", TEXT};
    if (scenario_keys(scenario, verb->name, step, keys))
        verb->run(scenario, step);
}

void scenario_steps(struct scenario *scenario)
{
    const json_t *steps = json_object_get(scenario->json, "steps");

    for (size_t i = 0; i < json_array_size(steps) && !scenario_failed(scenario); i++) {
        scenario->step = i + 1;
        scenario->what = json_array_get(steps, i);
        scenario_trace(scenario, "step %zu", scenario->step);
        run_step(scenario, scenario->what);
    }
    if (json_array_size(steps) == 0 || json_array_size(steps) > SCENARIO_STEPS_MAX)
        scenario_problem(scenario, "a scenario has 1 to %d steps", SCENARIO_STEPS_MAX);
}
