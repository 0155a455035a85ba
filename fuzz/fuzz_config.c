/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "config/config.h"
#include "config/value.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX 65536

static void must(bool holds)
{
    if (!holds)
        __builtin_trap();
}

static void clean(const char *text)
{
    for (const char *c = text; *c; c++)
        must(((unsigned char)*c >= ' ' || *c == '\t' || *c == '\n') && *c != 0x7f);
}

/* ---- values ------------------------------------------------------------------------------ */

/* What a value was made into is a value, and made into itself. */
static void one_value(enum fsh_config_type type, const char *text)
{
    const char *expects = NULL;
    char *made = NULL;
    char *again = NULL;
    int status = fsh_config_value(type, text, "/etc", &made, &expects);

    if (status != FRESHET_OK) {
        must(status == FRESHET_EINVAL && !made && expects && expects[0]);
        return;
    }
    must(made && made[0]);
    must(fsh_config_value(type, made, "/elsewhere", &again, &expects) == FRESHET_OK);
    must(strcmp(made, again) == 0);
    if (type == FSH_CONFIG_TYPE_DURATION)
        must(fsh_config_duration(made) > 0);
    if (type == FSH_CONFIG_TYPE_FILE || type == FSH_CONFIG_TYPE_SOCKET)
        must(made[0] == '/');
    if (type == FSH_CONFIG_TYPE_URL || type == FSH_CONFIG_TYPE_ORIGIN)
        must(!strchr(made, '@') || strchr(strstr(made, "//") + 2, '/') < strchr(made, '@'));
    free(made);
    free(again);
}

/* ---- files ------------------------------------------------------------------------------- */

static void problem(void *data, const char *text)
{
    must(text[0] != '\0' && strlen(text) < 256);
    clean(text);
    ++*(size_t *)data;
}

static void check_section(const struct fsh_config *config, const struct fsh_config_section *section)
{
    size_t count;
    const struct fsh_config_key *keys = fsh_config_keys(section->kind, &count);

    for (size_t i = 0; i < count; i++) {
        const struct fsh_config_value *value = &section->values[i];

        must(value == fsh_config_value_of(section, keys[i].name));
        must((value->text != NULL) == (value->times > 0));
        if (!value->text)
            continue;
        must(value->line > 0 && value->file < config->file_count);
        must(value->times == 1 || keys[i].times == FSH_CONFIG_MANY);
        clean(value->text);
    }
}

static void check(const struct fsh_config *config)
{
    char heading[160];

    for (int kind = 0; kind < FSH_CONFIG_KINDS; kind++) {
        if (kind != FSH_CONFIG_SESSION)
            check_section(config, &config->fixed[kind]);
    }
    must(fsh_config_text(fsh_config_section(config, "platform"), "url") != NULL);
    for (size_t i = 0; i < config->session_count; i++) {
        const struct fsh_config_section *session = &config->sessions[i];

        (void)snprintf(heading, sizeof(heading), "session %s", session->name);
        must(fsh_config_section(config, heading) == session);
        check_section(config, session);
    }
}

static void one_file(const uint8_t *data, size_t size)
{
    struct fsh_config *config = NULL;
    struct freshet_error error = {0};
    size_t problems = 0;
    char path[64];
    int fd = memfd_create("config", MFD_CLOEXEC);

    must(fd >= 0 && write(fd, data, size) == (ssize_t)size && fchmod(fd, 0600) == 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (fsh_config_load(path, NULL, NULL, &config, &error) == FRESHET_OK) {
        check(config);
        fsh_config_free(config);
        must(fsh_config_load(path, problem, &problems, &config, NULL) == FRESHET_OK);
        must(problems == 0);
    } else {
        must(!config && error.status == FRESHET_ECONFIG);
        must(strncmp(error.message, path, strlen(path)) == 0);
        must(fsh_config_load(path, problem, &problems, &config, NULL) == FRESHET_ECONFIG);
        must(problems > 0 && problems <= FSH_CONFIG_PROBLEMS_MAX && !config);
    }
    fsh_config_free(config);
    (void)close(fd);
}

/* An input that begins with a NUL is a type and a value, others are a file. Files that include
 * others are left to the unit tests: an input must not look about on the disk. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256];

    if (size > INPUT_MAX)
        return 0;
    if (size >= 2 && data[0] == 0) {
        (void)snprintf(text, sizeof(text), "%.*s", (int)(size - 2), (const char *)data + 2);
        one_value(data[1] % (FSH_CONFIG_TYPE_WORD + 1), text);
    } else if (!memmem(data, size, "include", 7)) {
        one_file(data, size);
    }
    return 0;
}
