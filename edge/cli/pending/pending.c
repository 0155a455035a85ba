/* SPDX-License-Identifier: Apache-2.0 */
/* Stand-ins until sessions_list and doctor are merged; they go then. */
#include "pending.h"
#include <stdio.h>
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
