/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "engine/origin.h"

#include <freshet/status.h>
#include <stdio.h>
#include <string.h>

static void must(bool holds)
{
    if (!holds)
        __builtin_trap();
}

/* An origin that was read is one that the headers may go to, and reads as itself. */
static void check(const struct fsh_origin *origin, const char *url)
{
    struct fsh_origins origins = {0};
    char again[4200];

    must(origin->host && origin->host[0] && origin->port <= 65535);
    must(origin->secure || fsh_engine_loopback_host(origin->host));
    for (const char *c = origin->host; *c; c++)
        must(!(*c >= 'A' && *c <= 'Z') && *c != '/' && *c != '@' && *c != '?' && *c != '#');
    (void)snprintf(again, sizeof(again), "%s://%s:%u/", origin->secure ? "https" : "http",
                   origin->host, origin->port);
    must(fsh_engine_origins_add(&origins, url, NULL) == FRESHET_OK);
    must(fsh_engine_origins_check(&origins, url, NULL) == FRESHET_OK);
    must(fsh_engine_origins_check(&origins, again, NULL) == FRESHET_OK);
    must(fsh_engine_origins_check(&origins, "https://api.example.com:444/", NULL) != FRESHET_OK ||
         strcmp(origin->host, "api.example.com") == 0);
    fsh_engine_origins_done(&origins);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fsh_origin origin = {0};
    struct freshet_error error = {0};
    char url[4096];
    int status;

    if (size >= sizeof(url))
        return 0;
    memcpy(url, data, size);
    url[size] = '\0';
    (void)fsh_engine_loopback_address(url);
    status = fsh_engine_origin(url, &origin, &error);
    if (status == FRESHET_OK) {
        check(&origin, url);
        fsh_engine_origin_done(&origin);
    } else {
        must(status == FRESHET_EINVAL || status == FRESHET_EINSECURE);
        must(error.status == status && error.message[0] != '\0' && !origin.host);
    }
    return 0;
}
