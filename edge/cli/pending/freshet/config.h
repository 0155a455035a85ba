/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-in until the configuration is merged; goes then. */
#ifndef FRESHET_CONFIG_H
#define FRESHET_CONFIG_H
#include <freshet/session.h>
struct freshet_config;
int freshet_config_load(const char *path, struct freshet_config **ret_config,
                        struct freshet_error *error);
void freshet_config_free(struct freshet_config *config);
void freshet_config_options(const struct freshet_config *config,
                            struct freshet_options *ret_options);
size_t freshet_config_session_count(const struct freshet_config *config);
const char *freshet_config_session_name(const struct freshet_config *config, size_t index);
int freshet_config_session(const struct freshet_config *config, const char *name,
                           struct freshet_session_options *ret_options,
                           struct freshet_error *error);
const char *freshet_config_get(const struct freshet_config *config, const char *section,
                               const char *key);
#endif
