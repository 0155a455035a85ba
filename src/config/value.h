/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CONFIG_VALUE_H
#define FSH_CONFIG_VALUE_H

#include "config/keys.h"

#include <stdint.h>

/* What the path of a file may begin with: the folder of the credentials that systemd passes. */
#define FSH_CONFIG_CREDENTIALS "${CREDENTIALS_DIRECTORY}/"

/* Checks the text of a value and makes it canonical: paths absolute, with `folder` (absolute)
 * before relative ones; lists separated by one space; "yes" or "no".
 *
 * FRESHET_OK, with *ret_text for the caller to free; FRESHET_EINVAL, and *ret_expects says what
 * would have been right; FRESHET_ENOMEM. */
int fsh_config_value(enum fsh_config_type type, const char *text, const char *folder,
                     char **ret_text, const char **ret_expects);

/* A duration in milliseconds, at least 1; -1 for a text that is none. A number without a unit
 * counts seconds. */
int64_t fsh_config_duration(const char *text);

/* A number of things, at least 1; -1 for a text that is none. */
int64_t fsh_config_number(const char *text);

#endif
