/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/csrf.h"

#include <string.h>

static const char *only(const struct fsh_keeper_request *request, const char *name)
{
    bool several = false;
    const char *value = request->source->header(request, name, &several);

    return several ? NULL : value;
}

static bool from(const struct fsh_keeper_request *request, const char *origin)
{
    const char *said = only(request, "Origin");

    return said && origin && origin[0] != '\0' && strcmp(said, origin) == 0;
}

bool fsh_csrf_changes(const struct fsh_keeper_request *request, const char *origin)
{
    const char *mark = fsh_request_header(request, "X-Freshet-CSRF");

    return mark && mark[0] != '\0' && from(request, origin);
}

/* Methods that change nothing (RFC 9110, 9.2.1). TRACE is none for us: nobody needs it. */
static bool safe(const char *method)
{
    return method && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
                      strcmp(method, "OPTIONS") == 0);
}

/* A gateway may take Upgrade, which is for one hop, from what it asks; what a browser sends with
 * each WebSocket, and no page can, is for both ends. */
static bool upgrades(const struct fsh_keeper_request *request)
{
    const char *upgrade = fsh_request_header(request, "Upgrade");

    return (upgrade && upgrade[0] != '\0') || fsh_request_header(request, "Sec-WebSocket-Key") ||
           fsh_request_header(request, "Sec-WebSocket-Version");
}

bool fsh_csrf_forwarded(const struct fsh_keeper_request *request, const char *origin)
{
    const char *forwarded = fsh_request_header(request, "X-Forwarded-Method");
    const char *original = fsh_request_header(request, "X-Original-Method");

    /* With both, both must be safe: one of them may be the client's own. */
    if ((!forwarded && !original) || (forwarded && !safe(only(request, "X-Forwarded-Method"))) ||
        (original && !safe(only(request, "X-Original-Method"))))
        return fsh_csrf_changes(request, origin);
    return !upgrades(request) || from(request, origin);
}
