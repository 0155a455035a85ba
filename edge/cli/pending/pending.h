/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-in until sessions_list and doctor are merged; goes then. */
#ifndef FSH_CLI_PENDING_H
#define FSH_CLI_PENDING_H
#include <freshet/admin.h>
#include <freshet/config.h>
#include <freshet/session.h>
enum freshet_health { FRESHET_HEALTH_OK, FRESHET_HEALTH_WARNING, FRESHET_HEALTH_BAD };
typedef void freshet_finding_fn(void *data, const char *check, enum freshet_health health,
                                const char *text);
int freshet_doctor(const struct freshet_config *config, const struct freshet_options *options,
                   freshet_finding_fn *found, void *data, struct freshet_error *error);
#endif
