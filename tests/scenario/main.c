/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario.h"

#include <freshet/status.h>
#include <glob.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Jitter must not change what happens: each scenario is run with several seeds. */
#define SEEDS 5

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
}

int64_t scenario_duration(struct scenario *scenario, const json_t *value)
{
    const char *text = json_string_value(value);
    char *unit = NULL;
    long long number = text ? strtoll(text, &unit, 10) : 0;

    if (text && unit != text) {
        if (strcmp(unit, "ms") == 0)
            return number;
        if (strcmp(unit, "s") == 0)
            return number * 1000;
        if (strcmp(unit, "m") == 0)
            return number * 60000;
        if (strcmp(unit, "h") == 0)
            return number * 3600000;
        if (strcmp(unit, "d") == 0)
            return number * 86400000;
    }
    scenario_problem(scenario, "no duration: \"%s\"", text ? text : "?");
    return 0;
}

int scenario_status(struct scenario *scenario, const char *name)
{
    for (int status = 0; status > -100; status--) {
        const char *known = freshet_status_name(status);

        if (strcmp(known + strlen("FRESHET_"), name) == 0)
            return status;
    }
    scenario_problem(scenario, "no status %s", name);
    return 1;
}

static void begin(struct scenario *scenario)
{
    static const char sign_in[] = "{\"call\": \"first\", \"do\": \"sign_in\"}";
    static const char reply[] = "{\"reply\": \"sign_in\", \"grant\": {\"refresh_token\": \"r1\"}}";
    const char *how = json_string_value(json_object_get(scenario->config, "begin"));
    json_t *step;

    if (!how)
        return;
    if (strcmp(how, "signed_in") != 0) {
        scenario_problem(scenario, "begin: \"signed_in\", or nothing");
        return;
    }
    /* A service signs in by itself. */
    if (!json_is_true(json_object_get(scenario->config, "service"))) {
        step = json_loads(sign_in, 0, NULL);
        scenario_step(scenario, step);
        json_decref(step);
    }
    step = json_loads(reply, 0, NULL);
    scenario_step(scenario, step);
    json_decref(step);
    memset(scenario->sent, 0, sizeof(scenario->sent));
    /* The other engines have read the store before; they read it again as if they began now. */
    scenario_settle(scenario);
}

static void run_steps(struct scenario *scenario)
{
    const json_t *steps = json_object_get(scenario->json, "steps");
    json_t *step;

    begin(scenario);
    json_array_foreach (steps, scenario->step, step) {
        scenario_step(scenario, step);
        scenario_check(scenario);
        if (scenario->problem[0])
            return;
    }
}

static void run_once(const char *file, json_t *json, uint64_t seed, char ret_problem[512])
{
    static struct scenario scenario;

    memset(&scenario, 0, sizeof(scenario));
    scenario.file = file;
    scenario.json = json;
    scenario.config = json_object_get(json, "config");
    scenario.random = seed;
    if (scenario_open(&scenario) == FRESHET_OK)
        run_steps(&scenario);
    scenario_close(&scenario);
    (void)snprintf(ret_problem, 512, "%s", scenario.problem);
}

static bool run_file(const char *file, unsigned number)
{
    const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    json_error_t error;
    json_t *json = json_load_file(file, JSON_REJECT_DUPLICATES, &error);
    char problem[512] = "";
    const char *name;

    if (!json)
        (void)snprintf(problem, sizeof(problem), "line %d: %s", error.line, error.text);
    for (uint64_t seed = 1; seed <= SEEDS && !problem[0]; seed++)
        run_once(file, json, seed, problem);
    name = json_string_value(json_object_get(json, "name"));
    printf("%s %u - %.*s: %s\n", problem[0] ? "not ok" : "ok", number, (int)strcspn(base, "."),
           base, name ? name : "?");
    if (problem[0])
        printf("# %s: %s\n", base, problem);
    json_decref(json);
    return problem[0] == '\0';
}

int main(int argc, char **argv)
{
    glob_t files = {0};
    char pattern[4096];
    unsigned failed = 0;

    if (argc < 2 || sodium_init() < 0) {
        (void)fprintf(stderr, "usage: test_scenarios FILE.json ... | FOLDER\n");
        return 64;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        struct stat about;
        bool folder = stat(argv[i], &about) == 0 && S_ISDIR(about.st_mode);

        (void)snprintf(pattern, sizeof(pattern), folder ? "%s/*.json" : "%s", argv[i]);
        (void)glob(pattern, i > 1 ? GLOB_APPEND : 0, NULL, &files);
    }
    for (size_t i = 0; i < files.gl_pathc; i++)
        failed += !run_file(files.gl_pathv[i], (unsigned)i + 1);
    printf("1..%zu\n", files.gl_pathc);
    globfree(&files);
    return failed || files.gl_pathc == 0 ? 1 : 0;
}
