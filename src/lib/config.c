/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/error.h"
#include "config/value.h"
#include "profile/profile.h"

#include "lib/doctor.h"

#include <freshet/config.h>
#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

struct freshet_config {
    struct fsh_config *files;
    char *words;          /* the origins, a NUL after each */
    const char **origins; /* ... into them */
    size_t origins_count;
};

static const struct fsh_config_section *fixed(const struct freshet_config *config,
                                              enum fsh_config_kind kind)
{
    return &config->files->fixed[kind];
}

/* ---- load and free ----------------------------------------------------------------------- */

/* Splits the words that are separated by one space each. */
static int split_origins(struct freshet_config *config)
{
    const char *text = fsh_config_text(fixed(config, FSH_CONFIG_PLATFORM), "origins");
    size_t count = 1;

    if (!text)
        return FRESHET_OK;
    for (const char *c = text; *c; c++)
        count += *c == ' ';
    config->words = strdup(text);
    config->origins = calloc(count, sizeof(*config->origins));
    if (!config->words || !config->origins)
        return FRESHET_ENOMEM;
    for (char *word = config->words; word; config->origins_count++) {
        char *end = strchr(word, ' ');

        config->origins[config->origins_count] = word;
        if (end)
            *end++ = '\0';
        word = end;
    }
    return FRESHET_OK;
}

static int load(const char *path, freshet_config_problem_fn *problem, void *data,
                struct freshet_config **ret_config, struct freshet_error *error)
{
    struct freshet_config *config = calloc(1, sizeof(*config));
    int status;

    if (!config)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    status = fsh_config_load(path, problem, data, &config->files, error);
    if (status == FRESHET_OK && split_origins(config) != FRESHET_OK)
        status = fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    if (status != FRESHET_OK) {
        freshet_config_free(config);
        return status;
    }
    *ret_config = config;
    return FRESHET_OK;
}

int freshet_config_load(const char *path, struct freshet_config **ret_config,
                        struct freshet_error *error)
{
    return load(path, NULL, NULL, ret_config, error);
}

int freshet_config_check(const char *path, freshet_config_problem_fn *problem, void *data,
                         struct freshet_error *error)
{
    struct freshet_config *config = NULL;
    int status = load(path, problem, data, &config, error);

    freshet_config_free(config);
    return status;
}

void freshet_config_free(struct freshet_config *config)
{
    if (!config)
        return;
    fsh_config_free(config->files);
    free(config->words);
    free(config->origins);
    free(config);
}

/* ---- look -------------------------------------------------------------------------------- */

/* 0 when it is not there: the library's own default. */
static int64_t duration(const struct fsh_config_section *section, const char *key)
{
    const char *text = fsh_config_value_of(section, key)->text;

    return text ? fsh_config_duration(text) : 0;
}

static bool says_yes(const struct fsh_config_section *section, const char *key)
{
    return strcmp(fsh_config_text(section, key), "yes") == 0;
}

void freshet_config_options(const struct freshet_config *config,
                            struct freshet_options *ret_options)
{
    const struct fsh_config_section *platform = fixed(config, FSH_CONFIG_PLATFORM);
    const struct fsh_config_section *store = fixed(config, FSH_CONFIG_STORE);
    struct freshet_options options = FRESHET_OPTIONS_INIT;

    options.url = fsh_config_text(platform, "url");
    options.origins = config->origins;
    options.origins_count = config->origins_count;
    options.profile = fsh_config_text(platform, "profile");
    options.threshold_ms = duration(platform, "threshold");
    options.ca_file = fsh_config_text(platform, "ca_file");
    options.proxy = fsh_config_text(platform, "proxy");
    options.secrets = fsh_config_text(store, "secrets");
    options.tokens = fsh_config_text(store, "tokens");
    options.key_file = fsh_config_text(store, "key_file");
    *ret_options = options;
}

const char *fsh_lib_config_file(const struct freshet_config *config, size_t index)
{
    return index < config->files->file_count ? config->files->files[index] : NULL;
}

size_t freshet_config_session_count(const struct freshet_config *config)
{
    return config->files->session_count;
}

const char *freshet_config_session_name(const struct freshet_config *config, size_t index)
{
    return index < config->files->session_count ? config->files->sessions[index].name : NULL;
}

static int no_session(const struct freshet_config *config, const char *name,
                      struct freshet_error *error)
{
    const char *near = fsh_config_nearest_session(config->files, name);

    if (near)
        return fsh_base_fail(error, FRESHET_ENOSESSION,
                             "no session %.64s in the configuration; did you mean %.64s?", name,
                             near);
    return fsh_base_fail(error, FRESHET_ENOSESSION,
                         "no session %.64s in the configuration; add [session %.64s]", name, name);
}

int freshet_config_session(const struct freshet_config *config, const char *name,
                           struct freshet_session_options *ret_options, struct freshet_error *error)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    const struct fsh_config_section *session = fsh_config_session(config->files, name);

    if (!session)
        return no_session(config, name, error);
    options.username = fsh_config_text(session, "username");
    options.password_file = fsh_config_text(session, "password_file");
    options.kind = options.password_file ? FRESHET_SERVICE : FRESHET_INTERACTIVE;
    options.partner_id = fsh_config_text(session, "partner_id");
    options.on_demand = says_yes(session, "on_demand");
    options.first_party = says_yes(session, "first_party");
    options.threshold_ms = duration(session, "threshold");
    options.sign_in_pause_ms = duration(session, "sign_in_pause");
    *ret_options = options;
    return FRESHET_OK;
}

const char *freshet_config_get(const struct freshet_config *config, const char *section,
                               const char *key)
{
    const struct fsh_config_section *found = fsh_config_section(config->files, section);

    return found ? fsh_config_text(found, key) : NULL;
}
