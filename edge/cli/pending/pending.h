/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-in until sessions_list and doctor are merged; goes then. */
#ifndef FSH_CLI_PENDING_H
#define FSH_CLI_PENDING_H
#include <freshet/admin.h>
#include <freshet/config.h>
#include <freshet/session.h>
struct freshet_stored_session {
    char name[129];
    enum freshet_phase phase;
    int reason;
    uint64_t generation;
    int parked;
};
int freshet_sessions_list(const struct freshet_options *options,
                          struct freshet_stored_session **ret_list, size_t *ret_count,
                          struct freshet_error *error);
enum freshet_health { FRESHET_HEALTH_OK, FRESHET_HEALTH_WARNING, FRESHET_HEALTH_BAD };
typedef void freshet_finding_fn(void *data, const char *check, enum freshet_health health,
                                const char *text);
int freshet_doctor(const struct freshet_config *config, const struct freshet_options *options,
                   freshet_finding_fn *found, void *data, struct freshet_error *error);
#endif
