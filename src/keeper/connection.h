/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_CONNECTION_H
#define FSH_KEEPER_CONNECTION_H

#include "keeper/body.h"
#include "keeper/keeper.h"
#include "keeper/loop.h"
#include "keeper/server.h"

#include <microhttpd.h>
#include <sys/queue.h>

/* The inside of the server: server.c has the sockets, connection.c knows who is connected and for
 * how long, exchange.c makes requests and answers of what libmicrohttpd says and wants to hear,
 * body.c has the bodies, stream.c answers that go on. */

/* What a connection is at. */
enum fsh_stage {
    FSH_STAGE_SILENT,    /* has not asked anything yet */
    FSH_STAGE_IDLE,      /* between two requests */
    FSH_STAGE_READING,   /* its request arrives */
    FSH_STAGE_WORKING,   /* a handler has it */
    FSH_STAGE_ANSWERING, /* its answer leaves */
    FSH_STAGE_STREAMING,
    FSH_STAGE_CLOSING, /* shut down; libmicrohttpd lets it go next */
    FSH_STAGES
};

/* The connections of one uid. */
struct fsh_guest;

struct fsh_listener;

struct fsh_stream {
    char *bytes; /* FSH_REQUEST_STREAM_MAX + FSH_REQUEST_LAST_MAX: a ring */
    size_t first;
    size_t len;
    bool ended;
};

struct fsh_connection {
    struct fsh_server *server;
    struct MHD_Connection *mhd;
    struct fsh_listener *listener;
    struct fsh_peer peer;
    struct fsh_guest *guest;
    enum fsh_stage stage;
    int64_t since_ms; /* when that began */
    TAILQ_ENTRY(fsh_connection) in_stage;
    TAILQ_ENTRY(fsh_connection) in_guest; /* silent or idle */

    /* Of the request at hand. */
    struct fsh_watch hang_up; /* its fd is the connection's; watched while suspended */
    bool begun;
    bool routed;
    bool answered;  /* `page` is the answer, NULL for want of memory */
    bool suspended; /* libmicrohttpd does not look at it */
    bool dead;      /* nobody is there any more */
    bool too_long;  /* its path */
    struct fsh_body body;
    struct fsh_page *page;
    struct fsh_stream *stream;
    char path[FSH_REQUEST_PATH_MAX + 1];
    struct fsh_keeper_request request;
};

TAILQ_HEAD(fsh_connections, fsh_connection);

/* A listening socket, and the libmicrohttpd that serves it. */
struct fsh_listener {
    struct fsh_server *server;
    enum fsh_door door;
    struct MHD_Daemon *daemon;
    struct fsh_watch watch; /* of its epoll descriptor */
    struct fsh_alarm again; /* it has more to do at once */
    int fd;                 /* -1: closed */
    struct fsh_listener *next;
};

struct fsh_server {
    struct fsh_keeper *keeper;
    struct fsh_main_loop *loop;
    struct fsh_listener *listeners;
    struct fsh_guest *guests;
    struct fsh_connections stages[FSH_STAGES];
    struct fsh_alarm tick;
    struct fsh_server_counts counts;
    bool draining;
};

/* ---- connection.c */

/* Admits a peer whose credentials are read, which it takes over: NULL when there is no place. */
struct fsh_connection *fsh_connection_new(struct fsh_listener *listener, int fd,
                                          struct fsh_peer *peer);
void fsh_connection_free(struct fsh_connection *connection);

void fsh_connection_stage(struct fsh_connection *connection, enum fsh_stage stage);

/* Closes it; libmicrohttpd notices when it runs next. */
void fsh_connection_shut(struct fsh_connection *connection);

/* Closes what has been at one stage for too long. */
void fsh_connection_tick(struct fsh_server *server);

/* Lets go of the request at hand and all that was read and written of it. */
void fsh_connection_request_done(struct fsh_connection *connection);

/* Tells the handler, if it still has the request, that nobody waits for its answer. */
void fsh_connection_gone(struct fsh_connection *connection);

/* ---- suspended connections: libmicrohttpd does not look at them, so we look for hang-ups */

void fsh_connection_suspend(struct fsh_connection *connection);
void fsh_connection_resume(struct fsh_connection *connection);

/* ---- exchange.c: what libmicrohttpd calls */

/* The request line has come. What it returns comes back with the request. */
void *fsh_exchange_line(void *data, const char *uri, struct MHD_Connection *mhd);

/* The headers have come, or a part of the body, or all has come, or a suspension is over. */
enum MHD_Result fsh_exchange_request(void *data, struct MHD_Connection *mhd, const char *url,
                                     const char *method, const char *version, const char *upload,
                                     size_t *upload_size, void **request);

/* Its answer has left, or nobody is there any more. */
void fsh_exchange_completed(void *data, struct MHD_Connection *mhd, void **request,
                            enum MHD_RequestTerminationCode code);

/* ---- stream.c */

int fsh_stream_begin(struct fsh_keeper_request *request, const char *type);
int fsh_stream_write(struct fsh_keeper_request *request, const char *bytes, size_t len);
void fsh_stream_end(struct fsh_keeper_request *request, const char *bytes, size_t len);
struct MHD_Response *fsh_stream_response(struct fsh_connection *connection);
void fsh_stream_free(struct fsh_stream *stream);

#endif
