/* SPDX-License-Identifier: Apache-2.0 */

/* Scenario files: whatever they hold, they are refused with a reason or run to their end, within
 * bounds; and no order of steps breaks what must always hold. */

#include "fuzz.h"

#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORK_MAX 200000

/* What the runner says when it is the engine, and not the file, that is at fault. */
static bool of_the_engine(const char *problem)
{
    return strstr(problem, "always:") || strstr(problem, "does not come to rest") ||
           strstr(problem, "was told nothing") || strstr(problem, "did not come to its end") ||
           strstr(problem, "forgot a request");
}

static void run(json_t *json)
{
    struct scenario *scenario =
        scenario_run(json, NULL, 1, WORK_MAX, getenv("FRESHET_TRACE") != NULL);

    if (of_the_engine(scenario->problem)) {
        (void)fprintf(stderr, "broken: %s\n", scenario->problem);
        __builtin_trap();
    }
    free(scenario);
}

/* A step that expects something stops most files that were changed at random. */
static void expect_nothing(json_t *json)
{
    json_t *steps = json_object_get(json, "steps");

    for (size_t i = json_array_size(steps); i > 0; i--) {
        if (json_object_get(json_array_get(steps, i - 1), "expect"))
            (void)json_array_remove(steps, i - 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char problem[200] = "";
    json_t *json = scenario_read((const char *)data, size, problem, sizeof(problem));

    if (!json) {
        if (problem[0] == '\0')
            __builtin_trap();
        return 0;
    }
    run(json);
    expect_nothing(json);
    run(json);
    json_decref(json);
    return 0;
}

/* ---- changing files as files ----------------------------------------------------------------- */

static json_t *steps_of(const uint8_t *data, size_t size, json_t **ret_json)
{
    json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);

    *ret_json = json;
    return json_object_get(json, "steps");
}

static size_t write_back(const json_t *json, uint8_t *data, size_t room)
{
    size_t len = json_dumpb(json, (char *)data, room, JSON_COMPACT);

    return len <= room ? len : 0;
}

static void change_steps(json_t *steps, unsigned seed)
{
    size_t count = json_array_size(steps);
    size_t one = seed / 8 % count;
    size_t other = seed / 8192 % count;

    switch (seed % 4) {
    case 0:
        (void)json_array_remove(steps, one);
        break;
    case 1:
        (void)json_array_insert_new(steps, other, json_deep_copy(json_array_get(steps, one)));
        break;
    case 2:
        (void)json_array_set_new(steps, other, json_deep_copy(json_array_get(steps, one)));
        break;
    default: {
        json_t *kept = json_deep_copy(json_array_get(steps, one));

        (void)json_array_set_new(steps, one, json_deep_copy(json_array_get(steps, other)));
        (void)json_array_set_new(steps, other, kept);
        break;
    }
    }
}

/* libFuzzer's own changes, which only its programs have. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    json_t *json;
    json_t *steps = steps_of(data, size, &json);
    size_t len = 0;

    if (json_array_size(steps) > 0 && seed % 3 != 0) {
        change_steps(steps, seed / 3);
        len = write_back(json, data, room);
    }
    json_decref(json);
    return len > 0 ? len : LLVMFuzzerMutate(data, size, room);
}

/* The steps of one file, from some place on, go on with those of another. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second,
                                 size_t second_size, uint8_t *out, size_t room, unsigned seed)
{
    json_t *json;
    json_t *other;
    json_t *steps = steps_of(first, first_size, &json);
    json_t *more = steps_of(second, second_size, &other);
    size_t cut = json_array_size(steps) ? seed % json_array_size(steps) : 0;
    size_t from = json_array_size(more) ? seed / 1024 % json_array_size(more) : 0;
    size_t len = 0;

    if (json_is_array(steps) && json_is_array(more)) {
        while (json_array_size(steps) > cut)
            (void)json_array_remove(steps, json_array_size(steps) - 1);
        for (size_t i = from; i < json_array_size(more); i++)
            (void)json_array_append(steps, json_array_get(more, i));
        len = write_back(json, out, room);
    }
    json_decref(json);
    json_decref(other);
    return len;
}
