/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_REQUEST_H
#define FSH_KEEPER_REQUEST_H

#include "keeper/page.h"
#include "keeper/peer.h"

#include <stdbool.h>
#include <stddef.h>

/* One request and its one answer. Nothing here knows of sockets: exchange.c makes requests of
 * libmicrohttpd's connections, tests make them of text.
 *
 * Everything in src/keeper runs on the main thread, unless it says otherwise; nothing there waits.
 */

struct fsh_keeper;
struct fsh_request_source;
struct fsh_route;

#define FSH_REQUEST_BODY_MAX   65536
#define FSH_REQUEST_PATH_MAX   1023
#define FSH_REQUEST_STREAM_MAX 65536 /* what waits for the reader of a stream */
#define FSH_REQUEST_LAST_MAX   256   /* and its last words besides */

/* By which socket it came. */
enum fsh_door { FSH_DOOR_CONTROL, FSH_DOOR_BROWSER };

struct fsh_keeper_request {
    struct fsh_keeper *keeper;
    enum fsh_door door;
    const struct fsh_peer *peer; /* who connected; valid as long as the request */
    const char *method;
    const char *path;        /* without the query; not decoded */
    const char *body;        /* "" without one, else whole, with a NUL behind it */
    size_t body_len;         /* FSH_REQUEST_BODY_MAX at the most */
    const char *segments[4]; /* of the path, where the route has ":name"; decoded, in `names` */
    char names[FSH_REQUEST_PATH_MAX + 1];
    const struct fsh_request_source *source;
    const struct fsh_route *route; /* that it took; NULL: none */
    unsigned verb; /* that the peer must have on the session, now and when the answer comes */

    /* The handler's, between its return and the answer. */
    void *data;
    /* The client has gone, or the keeper is at its end: the answer is no longer wanted. Called at
     * most once, between the handler's return and the answer (or the end of its stream); after it
     * the request must not be touched. A handler that returns without an answer sets it. */
    void (*gone)(struct fsh_keeper_request *request);
};

/* Where a request comes from and its answer goes. */
struct fsh_request_source {
    /* The value of a header, or NULL; with several of that name the first, and *ret_several is set.
     * `ret_several` may be NULL. */
    const char *(*header)(const struct fsh_keeper_request *request, const char *name,
                          bool *ret_several);
    /* The decoded value of a query argument, or NULL. */
    const char *(*argument)(const struct fsh_keeper_request *request, const char *name);
    void (*answer)(struct fsh_keeper_request *request, struct fsh_page *page);
    /* See below. */
    int (*stream)(struct fsh_keeper_request *request, const char *type);
    int (*write)(struct fsh_keeper_request *request, const char *bytes, size_t len);
    void (*end)(struct fsh_keeper_request *request, const char *bytes, size_t len);
    /* Whether the query has something in it that the route does not take. NULL: it never has. */
    bool (*strange)(const struct fsh_keeper_request *request);
};

static inline const char *fsh_request_header(const struct fsh_keeper_request *request,
                                             const char *name)
{
    return request->source->header(request, name, NULL);
}

static inline const char *fsh_request_argument(const struct fsh_keeper_request *request,
                                               const char *name)
{
    return request->source->argument(request, name);
}

/* Answers: exactly once for each request, now or later. Takes over the reference; NULL, for want of
 * memory, closes the connection. */
static inline void fsh_request_answer(struct fsh_keeper_request *request, struct fsh_page *page)
{
    request->source->answer(request, page);
}

/* ---- streams: an answer that goes on, such as server-sent events ---- */

/* Answers with 200 and a body of `type` (static) that is written bit by bit, in place of
 * fsh_request_answer. `gone` says when nobody reads it any more. FRESHET_ENOMEM: answer otherwise.
 */
static inline int fsh_request_stream(struct fsh_keeper_request *request, const char *type)
{
    return request->source->stream(request, type);
}

/* All of it or, when more than FSH_REQUEST_STREAM_MAX bytes would wait for the reader, nothing:
 * FRESHET_ELIMIT. Never calls `gone`. */
static inline int fsh_request_write(struct fsh_keeper_request *request, const char *bytes,
                                    size_t len)
{
    return request->source->write(request, bytes, len);
}

/* Ends the stream after what was written and up to FSH_REQUEST_LAST_MAX bytes of last words, for
 * which there is always room. `gone` is not called any more; the request must not be touched. */
static inline void fsh_request_end(struct fsh_keeper_request *request, const char *bytes,
                                   size_t len)
{
    request->source->end(request, bytes, len);
}

/* ---- routes ---- */

struct fsh_route {
    enum fsh_door door;
    const char *method;
    const char *pattern; /* such as "/v1/sessions/:name/headers" */
    void (*handle)(struct fsh_keeper_request *request);
};

/* Each noun of the API has its own table, which ends with a route without a method. */
extern const struct fsh_route fsh_control_routes[]; /* control.c */
extern const struct fsh_route fsh_events_routes[];  /* events.c */
extern const struct fsh_route fsh_health_routes[];  /* health.c: /metrics, /healthz, /readyz */
extern const struct fsh_route fsh_browser_routes[]; /* browser.c */
extern const struct fsh_route fsh_authz_routes[];   /* authz.c */

/* Finds the route and lets it handle the request; answers 404 and 405 itself. */
void fsh_route(struct fsh_keeper_request *request);

#endif
