/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_ENGINE_ORIGIN_H
#define FSH_ENGINE_ORIGIN_H

#include <freshet/error.h>
#include <stdbool.h>
#include <stddef.h>

/* Rule 13: an origin is a scheme, a host and an effective port, compared exactly. Any thread. */
struct fsh_origin {
    bool secure; /* https; else plain http, and the host is loopback */
    char *host;  /* owned; lower case; IPv6 in brackets */
    unsigned port;
};

/* The origins of one platform. */
struct fsh_origins {
    struct fsh_origin *list;
    size_t count;
};

/* Reads the origin of a URL. FRESHET_EINVAL: no URL of http or https, or with a user in it;
 * FRESHET_EINSECURE: plain http to what is not loopback. */
int fsh_engine_origin(const char *url, struct fsh_origin *ret_origin, struct freshet_error *error);
void fsh_engine_origin_done(struct fsh_origin *origin);

/* Adds the origin of `url`, as above. */
int fsh_engine_origins_add(struct fsh_origins *origins, const char *url,
                           struct freshet_error *error);
void fsh_engine_origins_done(struct fsh_origins *origins);

/* FRESHET_OK when the headers may go to `url`; FRESHET_EORIGIN, or as fsh_engine_origin. */
int fsh_engine_origins_check(const struct fsh_origins *origins, const char *url,
                             struct freshet_error *error);

/* Whether a URL's host names loopback: an address of it, or "localhost". That this name leads there
 * is checked when it is connected to. */
bool fsh_engine_loopback_host(const char *host);

/* Whether an address, as libcurl writes it, is this machine's loopback (127.0.0.0/8, ::1). */
bool fsh_engine_loopback_address(const char *address);

#endif
