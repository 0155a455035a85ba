/* SPDX-License-Identifier: Apache-2.0 */

/* What a loaded configuration says. */

#include "config/config.h"

#include "base/bounds.h"

#include <stdlib.h>
#include <string.h>

static int name_to_session(const void *name, const void *session)
{
    return strcmp(name, (*(const struct fsh_config_section *const *)session)->name);
}

const struct fsh_config_section *fsh_config_session(const struct fsh_config *config,
                                                    const char *name)
{
    const struct fsh_config_section *const *found =
        bsearch(name, config->by_name, config->session_count, sizeof(struct fsh_config_section *),
                name_to_session);

    return found ? *found : NULL;
}

const char *fsh_config_nearest_session(const struct fsh_config *config, const char *name)
{
    const char **names = calloc(config->session_count + 1, sizeof(*names));
    const char *near = NULL;

    if (!names || strlen(name) > FSH_NAME_MAX) {
        free(names);
        return NULL;
    }
    for (size_t i = 0; i < config->session_count; i++)
        names[i] = config->sessions[i].name;
    near = fsh_config_nearest(name, names, config->session_count);
    free(names);
    return near;
}

const struct fsh_config_section *fsh_config_section(const struct fsh_config *config,
                                                    const char *heading)
{
    if (strncmp(heading, "session ", 8) == 0)
        return fsh_config_session(config, heading + 8);
    for (int kind = FSH_CONFIG_PLATFORM; kind < FSH_CONFIG_KINDS; kind++) {
        if (kind != FSH_CONFIG_SESSION && strcmp(heading, fsh_config_heading(kind)) == 0)
            return &config->fixed[kind];
    }
    return NULL;
}

const struct fsh_config_value *fsh_config_value_of(const struct fsh_config_section *section,
                                                   const char *key)
{
    static const struct fsh_config_value none;
    const struct fsh_config_key *known = fsh_config_key(section->kind, key);
    size_t count;

    return known ? &section->values[known - fsh_config_keys(section->kind, &count)] : &none;
}

const char *fsh_config_text(const struct fsh_config_section *section, const char *key)
{
    const struct fsh_config_key *known = fsh_config_key(section->kind, key);
    const char *text = fsh_config_value_of(section, key)->text;

    return text || !known ? text : known->preset;
}
