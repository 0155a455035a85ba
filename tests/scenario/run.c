/* SPDX-License-Identifier: Apache-2.0 */

/* One run of a scenario, from its text to what it comes to. */

#include "scenario.h"

#include <freshet/status.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- telling
 * ---------------------------------------------------------------------------------------
 */

void scenario_problem(struct scenario *scenario, const char *format, ...)
{
    va_list args;
    int len;

    if (scenario->problem[0])
        return;
    len = snprintf(scenario->problem, sizeof(scenario->problem), "step %zu: ", scenario->step);
    va_start(args, format);
    (void)vsnprintf(scenario->problem + len, sizeof(scenario->problem) - (size_t)len, format, args);
    va_end(args);
    scenario_trace(scenario, "%s", scenario->problem);
}

bool scenario_failed(const struct scenario *scenario)
{
    return scenario->problem[0] != '\0';
}

void scenario_trace(const struct scenario *scenario, const char *format, ...)
{
    va_list args;

    if (!scenario->trace)
        return;
    printf("# %10.3f  ", (double)scenario->mono.ms / 1000.0);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
}

void scenario_charge(struct scenario *scenario, size_t work)
{
    if (work <= scenario->work) {
        scenario->work -= work;
        return;
    }
    scenario->work = 0;
    scenario_problem(scenario, "it is more work than a scenario may be");
}

/* ---- running
 * ---------------------------------------------------------------------------------------
 */

json_t *scenario_read(const char *text, size_t len, char *ret_problem, size_t size)
{
    json_error_t error;
    json_t *json;

    if (len > SCENARIO_BYTES_MAX) {
        (void)snprintf(ret_problem, size, "longer than %d bytes", SCENARIO_BYTES_MAX);
        return NULL;
    }
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        (void)snprintf(ret_problem, size, "line %d: %s", error.line, error.text);
    return json;
}

bool scenario_needs(const json_t *json, const char *capability)
{
    const json_t *needs = json_object_get(json, "needs");
    size_t index;
    json_t *need;

    json_array_foreach (needs, index, need) {
        if (json_is_string(need) && strcmp(json_string_value(need), capability) == 0)
            return true;
    }
    return false;
}

static void run_once(struct scenario *scenario)
{
    if (scenario_open(scenario) == FRESHET_OK)
        scenario_steps(scenario);
    else
        scenario_problem(scenario, "the world could not be opened");
    scenario_close(scenario);
}

struct scenario *scenario_run(json_t *json, const struct mode *mode, uint64_t seed, size_t work,
                              bool traced)
{
    struct scenario *scenario = calloc(1, sizeof(*scenario));

    if (!scenario)
        abort();
    scenario->json = json;
    scenario->mode = mode;
    scenario->random = seed;
    scenario->work = work;
    scenario->trace = traced;
    if (scenario_head(scenario))
        run_once(scenario);
    return scenario;
}
