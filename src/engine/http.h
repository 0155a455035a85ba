/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_ENGINE_HTTP_H
#define FSH_ENGINE_HTTP_H

#include "engine/engine.h"

#include <freshet/error.h>

/* The engine's transport: libcurl's multi interface on the engine's thread. Certificates are
 * verified; proxies and the default CA store are libcurl's own (environment included), but loopback
 * is never reached through a proxy; nothing is ever redirected (rule 13). */
struct fsh_http;

struct fsh_http_options {
    const char *url;     /* the platform's; copied */
    const char *ca_file; /* NULL: libcurl's default; copied */
    const char *proxy;   /* NULL: the environment's; copied */
    const char *socket;  /* path of a keeper's Unix socket, and `url` is http://keeper; or NULL */
};

int fsh_http_new(const struct fsh_http_options *options, struct fsh_http **ret_http,
                 struct freshet_error *error);
void fsh_http_free(struct fsh_http *http);

/* GETs a path on the calling thread, which waits, and needs no transport: for what is asked before
 * there is an engine. FRESHET_OK with any complete answer, whatever its HTTP status;
 * FRESHET_EUNAVAILABLE, FRESHET_EBADBODY (too large), FRESHET_ENOMEM, FRESHET_ELIMIT. */
int fsh_http_get(const struct fsh_http_options *options, const char *path, int64_t timeout_ms,
                 long *ret_http, struct fsh_secret *ret_body, struct freshet_error *error);

/* For struct fsh_io. */
int fsh_http_send(struct fsh_http *http, struct fsh_request *request);
void fsh_http_cancel(struct fsh_http *http, struct fsh_request *request);

/* Moves what can be moved, and hands finished exchanges to fsh_engine_answered. */
void fsh_http_perform(struct fsh_http *http);

/* Waits for the network, for `fd` to become readable, or for fsh_http_wakeup; at most `ms`. */
void fsh_http_wait(struct fsh_http *http, int fd, int ms);

/* Any thread. */
void fsh_http_wakeup(struct fsh_http *http);

#endif
