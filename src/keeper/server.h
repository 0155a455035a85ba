/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_SERVER_H
#define FSH_KEEPER_SERVER_H

#include "keeper/request.h"

#include <freshet/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* HTTP/1.1 on the keeper's Unix sockets, by libmicrohttpd, on the main loop. Each connection's peer
 * is known and its share bounded before anything is read. */
struct fsh_server;

/* Connections. Who asks for more than a share loses the one that has been idle for longest; when
 * none is idle, the new one is answered 503. Root and the keeper's own user have a reserve. */
#define FSH_SERVER_CONNECTIONS 1024
#define FSH_SERVER_SHARE       512 /* of one uid */
#define FSH_SERVER_RESERVE     64
#define FSH_SERVER_IDLE_MS     60000 /* between two requests; for the reader of an answer */
#define FSH_SERVER_REQUEST_MS  10000 /* for the first request, and for a request to arrive whole */

/* What it has done and has to do. */
struct fsh_server_counts {
    size_t connections; /* open now */
    size_t requests;    /* under way now */
    uint64_t accepted;
    uint64_t answered;
    uint64_t refused;   /* connections answered 503 at once */
    uint64_t displaced; /* idle connections closed for others */
    uint64_t timed_out;
};

int fsh_server_new(struct fsh_keeper *keeper, struct fsh_server **ret_server,
                   struct freshet_error *error);

/* Tells whoever waits that it is over, and closes everything. */
void fsh_server_free(struct fsh_server *server);

/* Serves a listening Unix socket, which it takes over whatever becomes of it. A door may have
 * several. */
int fsh_server_listen(struct fsh_server *server, enum fsh_door door, int fd,
                      struct freshet_error *error);

/* Takes no more connections, closes the idle ones, and each other one after its answer. */
void fsh_server_drain(struct fsh_server *server);

void fsh_server_counts(const struct fsh_server *server, struct fsh_server_counts *ret_counts);

#endif
