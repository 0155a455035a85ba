/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CONFIG_KEYS_H
#define FSH_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

/* The table of keys.def. Static storage; any thread. */

enum fsh_config_kind {
#define FRESHET_SECTION(name, heading, doc) FSH_CONFIG_##name,
#define FRESHET_KEY(section, name, type, times, preset, doc)
#include "config/keys.def"
#undef FRESHET_SECTION
#undef FRESHET_KEY
    FSH_CONFIG_KINDS
};

enum fsh_config_type {
    FSH_CONFIG_TYPE_BOOLEAN,
    FSH_CONFIG_TYPE_DURATION,
    FSH_CONFIG_TYPE_FILE,
    FSH_CONFIG_TYPE_FORMAT,
    FSH_CONFIG_TYPE_INCLUDE,
    FSH_CONFIG_TYPE_LEVEL,
    FSH_CONFIG_TYPE_NUMBER,
    FSH_CONFIG_TYPE_ORIGIN,
    FSH_CONFIG_TYPE_ORIGINS,
    FSH_CONFIG_TYPE_PARTNER,
    FSH_CONFIG_TYPE_PERMISSION,
    FSH_CONFIG_TYPE_PROXY,
    FSH_CONFIG_TYPE_SOCKET,
    FSH_CONFIG_TYPE_STORE,
    FSH_CONFIG_TYPE_TEXT,
    FSH_CONFIG_TYPE_URL,
    FSH_CONFIG_TYPE_WORD,
};

enum fsh_config_times {
    FSH_CONFIG_REQUIRED,
    FSH_CONFIG_ONCE,
    FSH_CONFIG_MANY,
};

struct fsh_config_key {
    enum fsh_config_kind kind;
    const char *name;
    enum fsh_config_type type;
    enum fsh_config_times times;
    const char *preset; /* NULL for none */
};

/* The keys of a section, `*ret_count` of them. */
const struct fsh_config_key *fsh_config_keys(enum fsh_config_kind kind, size_t *ret_count);

/* How the heading of a section is written, without brackets. */
const char *fsh_config_heading(enum fsh_config_kind kind);

/* A key of a section, or NULL. */
const struct fsh_config_key *fsh_config_key(enum fsh_config_kind kind, const char *name);

/* Of `names`, the one that somebody who wrote `name` most likely meant, or NULL. */
const char *fsh_config_nearest(const char *name, const char *const *names, size_t count);

#endif
