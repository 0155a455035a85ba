/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario.h"

#include <dirent.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Jitter must not change what happens: each scenario is run with several seeds.
 */
#define SEEDS 5

struct options {
    uint64_t first_seed;
    uint64_t seeds;
    uint64_t count; /* of those that must run; 0: any */
    const struct mode *mode;
    bool trace;
};

/* The files to run, in their order. */
struct files {
    char **names;
    size_t count;
};

static void tell_problem(const struct scenario *scenario, const char *base, uint64_t seed)
{
    char *step = scenario->what ? json_dumps(scenario->what, JSON_COMPACT) : NULL;

    printf("# %s: %s\n", base, scenario->problem);
    if (step)
        printf("# the step: %.200s\n", step);
    printf("# seed %llu\n", (unsigned long long)seed);
    free(step);
}

/* ---- running
 * ---------------------------------------------------------------------------------------
 */

static bool run_seed(json_t *json, const char *base, uint64_t seed, const struct options *options)
{
    struct scenario *scenario =
        scenario_run(json, options->mode, seed, SCENARIO_WORK_MAX, options->trace);
    bool good = !scenario_failed(scenario);

    if (!good)
        tell_problem(scenario, base, seed);
    free(scenario);
    return good;
}

static json_t *load(const char *file, char *ret_problem, size_t size)
{
    static char text[SCENARIO_BYTES_MAX + 1];
    FILE *stream = fopen(file, "re");
    size_t len;

    if (!stream) {
        (void)snprintf(ret_problem, size, "cannot be read");
        return NULL;
    }
    len = fread(text, 1, sizeof(text), stream);
    (void)fclose(stream);
    return scenario_read(text, len, ret_problem, size);
}

static bool run_file(const char *file, json_t *json, size_t number, const struct options *options)
{
    const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    int len = (int)strcspn(base, ".");
    bool good = true;

    for (uint64_t i = 0; i < options->seeds && good; i++)
        good = run_seed(json, base, options->first_seed + i, options);
    printf("%s %zu - %.*s: %s\n", good ? "ok" : "not ok", number, len, base,
           scenario_text_of(json, "name", "?"));
    return good;
}

/* So that none is left out unnoticed. */
static bool check_count(size_t ran, size_t left, const struct options *options)
{
    bool good = ran == options->count;

    printf("# %zu ran%s, %zu need what that lacks\n", ran,
           options->mode ? " with a keeper" : " in the process of their callers", left);
    if (options->count > 0)
        printf("%s %zu - %llu scenarios run\n", good ? "ok" : "not ok", ran + 1,
               (unsigned long long)options->count);
    return good || options->count == 0;
}

static size_t run_files(const struct files *files, const struct options *options)
{
    size_t ran = 0;
    size_t left = 0;
    size_t failed = 0;

    for (size_t i = 0; i < files->count; i++) {
        char problem[200] = "";
        json_t *json = load(files->names[i], problem, sizeof(problem));

        if (!json)
            printf("# %s: %s\nnot ok %zu - %s\n", files->names[i], problem, ++ran, files->names[i]);
        if (!json)
            failed++;
        else if (options->mode && scenario_needs(json, SAME_PROCESS))
            left++;
        else
            failed += !run_file(files->names[i], json, ++ran, options);
        json_decref(json);
    }
    failed += !check_count(ran, left, options);
    printf("1..%zu\n", ran + (options->count > 0));
    return failed;
}

/* ---- files
 * -----------------------------------------------------------------------------------------
 */

static void add_file(struct files *files, const char *folder, const char *name)
{
    size_t room = strlen(folder) + strlen(name) + 2;
    char *path = malloc(room);

    files->names = realloc(files->names, (files->count + 1) * sizeof(char *));
    if (!path || !files->names)
        abort();
    (void)snprintf(path, room, "%s%s%s", folder, folder[0] ? "/" : "", name);
    files->names[files->count++] = path;
}

static int is_json(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');

    return end && strcmp(end, ".json") == 0;
}

static void add_argument(struct files *files, const char *name)
{
    struct dirent **entries = NULL;
    struct stat about;
    int count;

    if (stat(name, &about) != 0 || !S_ISDIR(about.st_mode)) {
        add_file(files, "", name);
        return;
    }
    count = scandir(name, &entries, is_json, alphasort);
    for (int i = 0; i < count; i++) {
        add_file(files, name, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
}

static void files_done(struct files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->names[i]);
    free(files->names);
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: test_scenarios [--keeper] [--seed N] [--trace] [--count N] "
                          "FILE.json | FOLDER ...\n");
    return 64;
}

int main(int argc, char **argv)
{
    struct options options = {.first_seed = 1, .seeds = SEEDS};
    struct files files = {0};
    size_t failed;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0) {
            options.trace = true;
        } else if (strcmp(argv[i], "--keeper") == 0) {
            options.mode = &scenario_keeper;
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            options.first_seed = strtoull(argv[++i], NULL, 10);
            options.seeds = 1;
        } else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc) {
            options.count = strtoull(argv[++i], NULL, 10);
        } else {
            add_argument(&files, argv[i]);
        }
    }
    if (files.count == 0 || sodium_init() < 0) {
        files_done(&files);
        return usage();
    }
    failed = run_files(&files, &options);
    files_done(&files);
    return failed ? 1 : 0;
}
