/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/error.h"
#include "config/reading.h"

#include <errno.h>
#include <freshet/status.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- problems ---------------------------------------------------------------------------- */

const char *fsh_config_short(const char *path, char ret_short[128])
{
    const size_t most = 96;
    size_t len = strlen(path);

    (void)snprintf(ret_short, 128, "%s%s", len > most ? "..." : "",
                   len > most ? path + len - most : path);
    return ret_short;
}

const char *fsh_config_place(const struct fsh_config_reading *reading, unsigned file, unsigned line,
                             char ret_place[160])
{
    char name[128];
    char number[16] = "";

    if (line > 0)
        (void)snprintf(number, sizeof(number), ":%u", line);
    (void)snprintf(ret_place, 160, "%s%s", fsh_config_short(reading->config->files[file], name),
                   number);
    return ret_place;
}

static void note(struct fsh_config_reading *reading, int status, const char *place,
                 const char *text)
{
    struct freshet_error problem;

    (void)fsh_base_fail(&problem, status, "%s: %s", place, text);
    if (reading->problems++ == 0) {
        reading->status = status;
        if (reading->error)
            *reading->error = problem;
    }
    if (reading->problem)
        reading->problem(reading->data, problem.message);
    if (!reading->problem || reading->problems == FSH_CONFIG_PROBLEMS_MAX)
        reading->stop = true;
}

void fsh_config_problem(struct fsh_config_reading *reading, unsigned file, unsigned line,
                        const char *format, ...)
{
    char place[160];
    char text[sizeof(reading->error->message)];
    va_list args;

    if (reading->stop)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    note(reading, FRESHET_ECONFIG, fsh_config_place(reading, file, line, place), text);
}

void fsh_config_no_memory(struct fsh_config_reading *reading)
{
    reading->stop = true;
    reading->problems++;
    reading->status = fsh_base_fail(reading->error, FRESHET_ENOMEM, NULL);
}

/* ---- files ------------------------------------------------------------------------------- */

/* Room for one more file. */
static bool grow(struct fsh_config_reading *reading)
{
    struct fsh_config *config = reading->config;
    size_t room = reading->room ? reading->room * 2 : 4;
    struct fsh_config_file *files;
    char **names;

    if (config->file_count < reading->room)
        return true;
    names = realloc(config->files, room * sizeof(*names));
    if (!names)
        return false;
    config->files = names;
    files = realloc(reading->files, room * sizeof(*files));
    if (!files)
        return false;
    reading->files = files;
    reading->room = room;
    return true;
}

/* Takes over `path`, which may be NULL for want of memory. */
static void add_file(struct fsh_config_reading *reading, char *path, unsigned depth)
{
    struct fsh_config *config = reading->config;

    if (!path || !grow(reading)) {
        free(path);
        fsh_config_no_memory(reading);
        return;
    }
    reading->files[config->file_count] =
        (struct fsh_config_file){.parent = reading->file, .line = reading->line, .depth = depth};
    config->files[config->file_count++] = path;
}

/* For glob(3): a folder that is not there has no files; one that cannot be read may have some. */
static int unread_folder(const char *path, int why)
{
    (void)path;
    return why != ENOENT && why != ENOTDIR;
}

void fsh_config_include(struct fsh_config_reading *reading, const char *pattern)
{
    unsigned depth = reading->files[reading->file].depth + 1;
    bool named = strpbrk(pattern, "*?[") == NULL;
    glob_t found = {0};
    int result;

    if (depth > FSH_CONFIG_DEPTH_MAX) {
        fsh_config_problem(reading, reading->file, reading->line,
                           "more than %d files include one another", FSH_CONFIG_DEPTH_MAX);
        return;
    }
    result = named ? GLOB_NOMATCH : glob(pattern, 0, unread_folder, &found);
    if (named)
        add_file(reading, strdup(pattern), depth);
    else if (result == GLOB_NOSPACE)
        fsh_config_no_memory(reading);
    else if (result == GLOB_ABORTED)
        fsh_config_problem(reading, reading->file, reading->line,
                           "a folder of the pattern cannot be read");
    for (size_t i = 0; i < found.gl_pathc && !reading->stop; i++) {
        if (reading->config->file_count < FSH_CONFIG_FILES_MAX)
            add_file(reading, strdup(found.gl_pathv[i]), depth);
        else
            fsh_config_problem(reading, reading->file, reading->line,
                               "more than %d files are included", FSH_CONFIG_FILES_MAX);
    }
    globfree(&found);
}

/* Whether one of the files that led to this one is the same. */
static bool circular(const struct fsh_config_reading *reading, unsigned file,
                     const struct fsh_config_source *source)
{
    unsigned at = file;

    while (reading->files[at].depth > 0) {
        at = reading->files[at].parent;
        if (reading->files[at].device == source->device &&
            reading->files[at].inode == source->inode)
            return true;
    }
    return false;
}

/* The folder of a file; the caller frees it. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static void read_file(struct fsh_config_reading *reading, unsigned file)
{
    const struct fsh_config_file *about = &reading->files[file];
    struct fsh_config_source source = {0};
    char why[160];
    char name[128];
    char *folder;
    int status = fsh_config_source_read(reading->config->files[file], &source, why, sizeof(why));

    if (status == FRESHET_ENOMEM)
        fsh_config_no_memory(reading);
    else if (status != FRESHET_OK && about->depth > 0)
        fsh_config_problem(reading, about->parent, about->line, "%s %s",
                           fsh_config_short(reading->config->files[file], name), why);
    else if (status != FRESHET_OK)
        note(reading, status, fsh_config_short(reading->config->files[file], name), why);
    else if (circular(reading, file, &source))
        fsh_config_problem(reading, about->parent, about->line, "%s includes itself",
                           fsh_config_short(reading->config->files[file], name));
    else {
        reading->files[file].device = source.device;
        reading->files[file].inode = source.inode;
        folder = folder_of(reading->config->files[file]);
        reading->file = file;
        reading->folder = folder;
        if (folder)
            fsh_config_read_lines(reading, &source);
        else
            fsh_config_no_memory(reading);
        free(folder);
    }
    fsh_config_source_done(&source);
}

/* ---- load and free ----------------------------------------------------------------------- */

static int by_name(const void *one, const void *other)
{
    const struct fsh_config_section *const *a = one;
    const struct fsh_config_section *const *b = other;
    int order = strcmp((*a)->name, (*b)->name);

    /* Sessions stand in one array. */
    return order ? order : (*a > *b) - (*a < *b);
}

static void sort_sessions(struct fsh_config_reading *reading)
{
    struct fsh_config *config = reading->config;
    char place[160];

    config->by_name = calloc(config->session_count + 1, sizeof(struct fsh_config_section *));
    if (!config->by_name) {
        fsh_config_no_memory(reading);
        return;
    }
    for (size_t i = 0; i < config->session_count; i++)
        config->by_name[i] = &config->sessions[i];
    qsort(config->by_name, config->session_count, sizeof(struct fsh_config_section *), by_name);
    for (size_t i = 1; i < config->session_count; i++) {
        const struct fsh_config_section *before = config->by_name[i - 1];
        const struct fsh_config_section *session = config->by_name[i];

        if (strcmp(before->name, session->name) == 0)
            fsh_config_problem(reading, session->file, session->line,
                               "[session %.48s] stands twice; first in %s", session->name,
                               fsh_config_place(reading, before->file, before->line, place));
    }
}

static struct fsh_config *config_new(void)
{
    struct fsh_config *config = calloc(1, sizeof(*config));
    size_t count;

    for (int kind = 0; config && kind < FSH_CONFIG_KINDS; kind++) {
        struct fsh_config_section *section = &config->fixed[kind];

        (void)fsh_config_keys(kind, &count);
        section->kind = kind;
        section->values = calloc(count, sizeof(*section->values));
        if (!section->values) {
            fsh_config_free(config);
            return NULL;
        }
    }
    return config;
}

/* An absolute path, symbolic links left as they are; NULL without memory. */
static char *absolute(const char *path)
{
    char *here;
    char *whole = NULL;

    if (path[0] == '/')
        return strdup(path);
    here = getcwd(NULL, 0);
    if (!here && errno == ENOMEM)
        return NULL;
    /* A folder that was removed under us has no files either: the name as it is will not open. */
    if (asprintf(&whole, "%s/%s", here ? here : ".", path) < 0)
        whole = NULL;
    free(here);
    return whole;
}

int fsh_config_load(const char *path, fsh_config_problem_fn *problem, void *data,
                    struct fsh_config **ret_config, struct freshet_error *error)
{
    struct fsh_config_reading reading = {.problem = problem, .data = data, .error = error};

    reading.config = config_new();
    if (reading.config)
        add_file(&reading, absolute(path), 0);
    else
        fsh_config_no_memory(&reading);
    for (unsigned i = 0; !reading.stop && i < reading.config->file_count; i++)
        read_file(&reading, i);
    if (!reading.stop)
        sort_sessions(&reading);
    if (!reading.stop)
        fsh_config_judge(&reading);
    free(reading.files);
    if (reading.problems > 0) {
        fsh_config_free(reading.config);
        return reading.status;
    }
    *ret_config = reading.config;
    return FRESHET_OK;
}

static void section_done(struct fsh_config_section *section)
{
    size_t count;

    (void)fsh_config_keys(section->kind, &count);
    for (size_t i = 0; section->values && i < count; i++)
        free(section->values[i].text);
    free(section->values);
    free(section->name);
}

void fsh_config_free(struct fsh_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->file_count; i++)
        free(config->files[i]);
    for (size_t i = 0; i < config->session_count; i++)
        section_done(&config->sessions[i]);
    for (int kind = 0; kind < FSH_CONFIG_KINDS; kind++)
        section_done(&config->fixed[kind]);
    free(config->files);
    free(config->sessions);
    free(config->by_name);
    free(config);
}
