/* SPDX-License-Identifier: Apache-2.0 */

/* Whose tokens a keeper hands out (rule 13). */

#include "base/error.h"
#include "engine/origin.h"
#include "engine/remote_read.h"

#include <freshet/status.h>

/* What the keeper says that is no origin is the keeper's fault, not that of the options. */
static int add(struct fsh_origins *origins, const char *url, struct freshet_error *error)
{
    int status = fsh_engine_origins_add(origins, url, NULL);

    if (status == FRESHET_OK || status == FRESHET_ENOMEM)
        return status == FRESHET_OK ? status : fsh_base_fail(error, status, NULL);
    return fsh_base_fail(error, FRESHET_EBADBODY, "the keeper's platform is at no origin: %.64s",
                         url);
}

/* FRESHET_ECONFIG unless `url`, of ours, is among theirs. */
static int find(const struct fsh_origins *theirs, const char *url, struct freshet_error *error)
{
    int status = fsh_engine_origins_check(theirs, url, error);

    return status == FRESHET_OK || status == FRESHET_ENOMEM ? status : FRESHET_ECONFIG;
}

int fsh_remote_same_platform(const struct fsh_remote_keeper *expected,
                             const struct fsh_remote_platform *told, struct freshet_error *error)
{
    const struct fsh_remote_platform *ours = &expected->platform;
    struct fsh_origins theirs = {0};
    int status = add(&theirs, told->url, error);

    if (status == FRESHET_OK)
        status = find(&theirs, ours->url, error);
    if (status == FRESHET_ECONFIG)
        (void)fsh_base_fail(error, FRESHET_ECONFIG,
                            "the keeper at %.80s is of %.64s, not of %.64s; name its socket, or "
                            "leave out the url",
                            expected->socket, told->url, ours->url);
    for (size_t i = 0; status == FRESHET_OK && i < told->origins_count; i++)
        status = add(&theirs, told->origins[i], error);
    for (size_t i = 0; status == FRESHET_OK && i < ours->origins_count; i++) {
        status = find(&theirs, ours->origins[i], error);
        if (status == FRESHET_ECONFIG)
            (void)fsh_base_fail(error, FRESHET_ECONFIG,
                                "the platform of the keeper at %.80s is no longer at %.64s; "
                                "open it anew",
                                expected->socket, ours->origins[i]);
    }
    fsh_engine_origins_done(&theirs);
    return status;
}
