/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-in until keys and doctor are merged; goes then. */
#ifndef FRESHET_ADMIN_H
#define FRESHET_ADMIN_H
#include <freshet/config.h>
#include <freshet/session.h>
int freshet_key_new(const char *path, struct freshet_error *error);
int freshet_key_rotate(const struct freshet_options *options,
                       void (*progress)(void *data, size_t done, size_t all), void *data,
                       struct freshet_error *error);
struct freshet_key {
    char id[17];
    uint64_t records;
    bool sealing;
};
int freshet_key_list(const struct freshet_options *options, struct freshet_key *ret_keys,
                     size_t room, size_t *ret_count, struct freshet_error *error);
int freshet_key_prune(const struct freshet_options *options, size_t *ret_dropped,
                      struct freshet_error *error);
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
