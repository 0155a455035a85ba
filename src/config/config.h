/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CONFIG_CONFIG_H
#define FSH_CONFIG_CONFIG_H

#include "config/keys.h"

#include <freshet/error.h>

#define FSH_CONFIG_SESSIONS_MAX 10000
#define FSH_CONFIG_FILES_MAX    16384 /* files with all that they include */
#define FSH_CONFIG_DEPTH_MAX    8     /* files that include one another */
#define FSH_CONFIG_MANY_MAX     64    /* times that a key may be repeated */
#define FSH_CONFIG_PROBLEMS_MAX 100   /* that are told of */

/* What the files say. Immutable once loaded: any thread. All strings are its own. */
struct fsh_config_value {
    char *text; /* canonical; NULL: not there */
    unsigned file;
    unsigned line;
    unsigned times;
};

struct fsh_config_section {
    enum fsh_config_kind kind;
    char *name; /* a session's; NULL else */
    unsigned file;
    unsigned line;                   /* 0: not in the files */
    struct fsh_config_value *values; /* one a key, in the table's order */
};

struct fsh_config {
    char **files; /* the names; the first is the one that was asked for */
    size_t file_count;
    struct fsh_config_section fixed[FSH_CONFIG_KINDS]; /* FSH_CONFIG_SESSION unused */
    struct fsh_config_section *sessions;               /* in the files' order */
    size_t session_count;
    const struct fsh_config_section **by_name; /* the same sessions, sorted */
};

/* One problem of the files: "FILE:LINE: what is the case and what to do". */
typedef void fsh_config_problem_fn(void *data, const char *text);

/* Reads a file with all that it includes.
 *
 * With `problem` NULL it stops at the first problem; otherwise it goes on, and tells each.
 * FRESHET_ECONFIG: `error` has the first; FRESHET_ENOMEM. */
int fsh_config_load(const char *path, fsh_config_problem_fn *problem, void *data,
                    struct fsh_config **ret_config, struct freshet_error *error);
void fsh_config_free(struct fsh_config *config);

/* A session by its name, or NULL. */
const struct fsh_config_section *fsh_config_session(const struct fsh_config *config,
                                                    const char *name);

/* The session whose name is most like `name`, or NULL. */
const char *fsh_config_nearest_session(const struct fsh_config *config, const char *name);

/* The section that is written "platform" or "session NAME", or NULL. */
const struct fsh_config_section *fsh_config_section(const struct fsh_config *config,
                                                    const char *heading);

/* What a section has of a key of its kind, where it stands included. `text` is NULL when it is not
 * there. */
const struct fsh_config_value *fsh_config_value_of(const struct fsh_config_section *section,
                                                   const char *key);

/* The text of a key: of the files, else the default; NULL for neither. */
const char *fsh_config_text(const struct fsh_config_section *section, const char *key);

/* The text of a path for a message: the end of it, when it is long. */
const char *fsh_config_short(const char *path, char ret_short[128]);

#endif
