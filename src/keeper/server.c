/* SPDX-License-Identifier: Apache-2.0 */

/* Listening sockets, and a libmicrohttpd behind each of them. */

#include "keeper/connection.h"

#include "base/error.h"
#include "base/post.h"

#include <errno.h>
#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Memory of a connection for headers of both directions. An answer of /authz has a token in them,
 * and its request a cookie. */
static const size_t header_room[] = {
    [FSH_DOOR_CONTROL] = (size_t)16 * 1024,
    [FSH_DOOR_BROWSER] = (size_t)40 * 1024,
};

/* ---- running libmicrohttpd --------------------------------------------------------------- */

static void run(struct fsh_listener *listener)
{
    MHD_UNSIGNED_LONG_LONG ms;

    (void)MHD_run(listener->daemon);
    /* Its epoll descriptor is edge-triggered within: what it has left over it does not show. */
    if (MHD_get_timeout(listener->daemon, &ms) == MHD_YES && ms == 0)
        fsh_main_loop_alarm(listener->server->loop, &listener->again, 0);
}

static void listener_ready(struct fsh_watch *watch, uint32_t events)
{
    (void)events;
    run(fsh_container_of(watch, struct fsh_listener, watch));
}

static void listener_again(struct fsh_alarm *alarm)
{
    run(fsh_container_of(alarm, struct fsh_listener, again));
}

/* ---- connections ------------------------------------------------------------------------- */

/* There is no place: said at once, in as many bytes as any socket takes. */
static void turn_away(struct fsh_server *server, int fd)
{
    static const char answer[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
        "Retry-After: 1\r\nConnection: close\r\nContent-Length: 143\r\n\r\n"
        "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
        "\"detail\":\"too many connections\",\"code\":\"FRESHET_ELIMIT\",\"retry_after_ms\":1000}";

    server->counts.refused++;
    (void)send(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_RDWR);
}

/* NULL: it was turned away, and libmicrohttpd will find it closed. */
static struct fsh_connection *welcome(struct fsh_listener *listener, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct fsh_connection *connection = NULL;
    struct fsh_peer peer = {0};

    if (!info)
        return NULL;
    if (fsh_peer_read(info->connect_fd, &peer) == FRESHET_OK)
        connection = fsh_connection_new(listener, info->connect_fd, &peer);
    fsh_peer_done(&peer);
    if (!connection)
        turn_away(listener->server, info->connect_fd);
    else
        connection->mhd = mhd;
    return connection;
}

static void on_connection(void *data, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = welcome(data, mhd);
    } else if (*context) {
        fsh_connection_free(*context);
        *context = NULL;
    }
}

/* ---- sockets ----------------------------------------------------------------------------- */

static void quiet(void *data, const char *format, va_list arguments)
{
    (void)data;
    (void)format;
    (void)arguments;
}

static void listener_free(struct fsh_listener *listener)
{
    struct fsh_main_loop *loop = listener->server->loop;

    fsh_main_loop_unset(loop, &listener->again);
    if (listener->daemon) {
        if (listener->watch.fd >= 0)
            fsh_main_loop_unwatch(loop, &listener->watch);
        /* First, so that the last run takes nobody in who would be suspended when it stops. */
        if (listener->fd >= 0)
            (void)MHD_quiesce_daemon(listener->daemon);
        (void)MHD_run(listener->daemon);
        MHD_stop_daemon(listener->daemon);
    }
    if (listener->fd >= 0)
        (void)close(listener->fd);
    free(listener);
}

/* It accepts itself: of a connection that others accepted it does not believe that it is a Unix
 * socket's, and tries options of TCP with each answer. */
static int listener_start(struct fsh_listener *listener, struct freshet_error *error)
{
    const union MHD_DaemonInfo *info;

    listener->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
        fsh_exchange_request, listener, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL,
        MHD_OPTION_LISTEN_SOCKET, listener->fd, MHD_OPTION_URI_LOG_CALLBACK, fsh_exchange_line,
        listener, MHD_OPTION_NOTIFY_COMPLETED, fsh_exchange_completed, listener,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(4 * FSH_SERVER_CONNECTIONS), MHD_OPTION_CONNECTION_TIMEOUT, 0U,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, header_room[listener->door],
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    info =
        listener->daemon ? MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    if (!info)
        return fsh_base_fail(error, FRESHET_ELIMIT, "libmicrohttpd does not start");
    listener->watch.fd = info->epoll_fd;
    if (fsh_main_loop_watch(listener->server->loop, &listener->watch, EPOLLIN) != FRESHET_OK)
        return fsh_base_fail(error, FRESHET_ELIMIT, "a socket cannot be watched: %s",
                             strerror(errno));
    return FRESHET_OK;
}

int fsh_server_listen(struct fsh_server *server, enum fsh_door door, int fd,
                      struct freshet_error *error)
{
    struct fsh_listener *listener = calloc(1, sizeof(*listener));
    int status;

    if (!listener) {
        (void)close(fd);
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    }
    listener->server = server;
    listener->door = door;
    listener->fd = fd;
    listener->watch = (struct fsh_watch){.fd = -1, .ready = listener_ready};
    listener->again.ring = listener_again;
    status = listener_start(listener, error);
    if (status != FRESHET_OK) {
        listener_free(listener);
        return status;
    }
    listener->next = server->listeners;
    server->listeners = listener;
    return FRESHET_OK;
}

/* ---- the server -------------------------------------------------------------------------- */

static void tick(struct fsh_alarm *alarm)
{
    fsh_connection_tick(fsh_container_of(alarm, struct fsh_server, tick));
}

int fsh_server_new(struct fsh_keeper *keeper, struct fsh_server **ret_server,
                   struct freshet_error *error)
{
    struct fsh_server *server = calloc(1, sizeof(*server));

    if (!server)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    server->keeper = keeper;
    server->loop = keeper->loop;
    server->tick.ring = tick;
    for (size_t i = 0; i < FSH_STAGES; i++)
        TAILQ_INIT(&server->stages[i]);
    *ret_server = server;
    return FRESHET_OK;
}

static void shut_all(struct fsh_server *server, enum fsh_stage stage)
{
    struct fsh_connection *connection;

    while ((connection = TAILQ_FIRST(&server->stages[stage])))
        fsh_connection_shut(connection);
}

void fsh_server_drain(struct fsh_server *server)
{
    server->draining = true;
    for (struct fsh_listener *listener = server->listeners; listener; listener = listener->next) {
        if (listener->fd < 0)
            continue;
        (void)MHD_quiesce_daemon(listener->daemon);
        (void)close(listener->fd);
        listener->fd = -1;
    }
    shut_all(server, FSH_STAGE_SILENT);
    shut_all(server, FSH_STAGE_IDLE);
}

/* A suspended connection must be resumed before its daemon stops. */
static void let_go(struct fsh_server *server, enum fsh_stage stage)
{
    struct fsh_connection *connection;

    TAILQ_FOREACH (connection, &server->stages[stage], in_stage) {
        connection->dead = true;
        fsh_connection_gone(connection);
        fsh_connection_resume(connection);
    }
}

void fsh_server_free(struct fsh_server *server)
{
    struct fsh_listener *listener;

    if (!server)
        return;
    for (int stage = 0; stage < FSH_STAGES; stage++)
        let_go(server, (enum fsh_stage)stage);
    while ((listener = server->listeners)) {
        server->listeners = listener->next;
        listener_free(listener);
    }
    fsh_main_loop_unset(server->loop, &server->tick);
    free(server);
}

void fsh_server_counts(const struct fsh_server *server, struct fsh_server_counts *ret_counts)
{
    *ret_counts = server->counts;
}
