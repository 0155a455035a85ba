/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins until sessions_list and doctor are merged; they go then. */
#include "pending.h"
#include <stdio.h>
#include <sys/stat.h>
#define LATER(error)                                                                               \
    do {                                                                                           \
        (error)->status = FRESHET_ECONFIG;                                                         \
        (void)snprintf((error)->message, sizeof((error)->message), "not merged yet");              \
        return FRESHET_ECONFIG;                                                                    \
    } while (0)
int freshet_doctor(const struct freshet_config *config, const struct freshet_options *options,
                   freshet_finding_fn *found, void *data, struct freshet_error *error)
{
    (void)config;
    (void)options;
    (void)found;
    (void)data;
    LATER(error);
}
int freshet_key_rotate(const struct freshet_options *options,
                       void (*progress)(void *data, size_t done, size_t all), void *data,
                       struct freshet_error *error)
{
    (void)options;
    (void)progress;
    (void)data;
    LATER(error);
}
int freshet_key_list(const struct freshet_options *options, struct freshet_key *ret_keys,
                     size_t room, size_t *ret_count, struct freshet_error *error)
{
    (void)options;
    (void)ret_keys;
    (void)room;
    (void)ret_count;
    LATER(error);
}
int freshet_key_prune(const struct freshet_options *options, size_t *ret_dropped,
                      struct freshet_error *error)
{
    (void)options;
    (void)ret_dropped;
    LATER(error);
}
int freshet_key_new(const char *path, struct freshet_error *error)
{
    FILE *file = fopen(path, "wx");
    if (!file)
        LATER(error);
    (void)fprintf(file, "freshet-keys 1\n0123456789abcdef "
                        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n");
    (void)fclose(file);
    (void)chmod(path, 0600);
    return FRESHET_OK;
}
