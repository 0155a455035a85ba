/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_CONFIG_H
#define FRESHET_CONFIG_H

#include <freshet/client.h>
#include <freshet/error.h>
#include <freshet/export.h>
#include <freshet/session.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A configuration file with all that it includes, as docs/configuration.md describes it. Immutable
 *  once loaded: any thread may use it. It never holds a secret. */
struct freshet_config;

/** Loads a file with its includes.
 *
 *  @param path        the file.
 *  @param ret_config  the caller gives it back with freshet_config_free.
 *  @param error       names the file, the line, and the nearest known key; or NULL.
 *  @return FRESHET_OK, FRESHET_ECONFIG, FRESHET_ENOMEM. Any thread. */
FRESHET_EXPORT int freshet_config_load(const char *path, struct freshet_config **ret_config,
                                       struct freshet_error *error);

/** Frees the configuration and every string that it lent. NULL is allowed. */
FRESHET_EXPORT void freshet_config_free(struct freshet_config *config);

/** One problem of a configuration, as in the message of freshet_config_load. */
typedef void freshet_config_problem_fn(void *data, const char *text);

/** Reads a file as freshet_config_load does, and tells every problem (100 at the most) instead of
 *  the first alone.
 *
 *  @param problem  called for each, on this thread; `text` is valid during the call.
 *  @param error    the first, or NULL.
 *  @return as freshet_config_load. Any thread. */
FRESHET_EXPORT int freshet_config_check(const char *path, freshet_config_problem_fn *problem,
                                        void *data, struct freshet_error *error);

/** Fills the options of freshet_open. Their strings are the configuration's, which must be there
 *  until freshet_open has returned. */
FRESHET_EXPORT void freshet_config_options(const struct freshet_config *config,
                                           struct freshet_options *ret_options);

/** How many sessions the configuration names. */
FRESHET_EXPORT size_t freshet_config_session_count(const struct freshet_config *config);

/** The name of a session, in the files' order; NULL when there are not so many. The
 *  configuration's. */
FRESHET_EXPORT const char *freshet_config_session_name(const struct freshet_config *config,
                                                       size_t index);

/** Fills the options of freshet_session_open for a session by its name: a service when it has a
 *  password_file, else a person's. The strings are the configuration's.
 *
 *  @return FRESHET_OK; FRESHET_ENOSESSION, and `error` names the nearest that there is. */
FRESHET_EXPORT int freshet_config_session(const struct freshet_config *config, const char *name,
                                          struct freshet_session_options *ret_options,
                                          struct freshet_error *error);

/** The value of one key as text; the default when it is not set; NULL without one, or when there is
 *  no such section or key. Paths are absolute, booleans are "yes" or "no", durations are as they
 *  were written, the origins have spaces between them and the permissions line breaks. The
 *  configuration's.
 *
 *  @param section  "platform", "store", "keeper", "browser" or "session NAME". */
FRESHET_EXPORT const char *freshet_config_get(const struct freshet_config *config,
                                              const char *section, const char *key);

#ifdef __cplusplus
}
#endif

#endif
