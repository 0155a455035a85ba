/* SPDX-License-Identifier: Apache-2.0 */

/* Sockets, and what libmicrohttpd says and wants to hear. */

#include "keeper/connection.h"
#include "keeper/metrics.h"

#include "base/error.h"
#include "base/post.h"
#include "base/secret.h"

#include <errno.h>
#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_ONCE  32                    /* connections taken before others have their turn */
#define PAUSE_MS     100                   /* when no descriptor is to be had */
#define BODY_IGNORED ((size_t)1024 * 1024) /* of one that is too large, before we hang up */

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

/* ---- requests: where they come from ------------------------------------------------------ */

static struct fsh_connection *connection_of(const struct fsh_keeper_request *request)
{
    /* Only the place is asked for. */
    return fsh_container_of((uintptr_t)request, struct fsh_connection, request);
}

struct several {
    const char *name;
    size_t count;
};

static enum MHD_Result count_header(void *data, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct several *several = data;

    (void)kind;
    (void)value;
    several->count += strcasecmp(name, several->name) == 0;
    return MHD_YES;
}

static const char *request_header(const struct fsh_keeper_request *request, const char *name,
                                  bool *ret_several)
{
    struct MHD_Connection *mhd = connection_of(request)->mhd;
    const char *value = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, name);

    if (ret_several) {
        struct several several = {.name = name};

        (void)MHD_get_connection_values(mhd, MHD_HEADER_KIND, count_header, &several);
        *ret_several = several.count > 1;
    }
    return value;
}

static const char *request_argument(const struct fsh_keeper_request *request, const char *name)
{
    return MHD_lookup_connection_value(connection_of(request)->mhd, MHD_GET_ARGUMENT_KIND, name);
}

static void request_answer(struct fsh_keeper_request *request, struct fsh_page *page)
{
    struct fsh_connection *connection = connection_of(request);

    connection->page = page;
    connection->answered = true;
    connection->dead = connection->dead || !page;
    fsh_connection_resume(connection);
}

static const struct fsh_request_source source = {
    .header = request_header,
    .argument = request_argument,
    .answer = request_answer,
    .stream = fsh_stream_begin,
    .write = fsh_stream_write,
    .end = fsh_stream_end,
};

/* ---- requests: their answers ------------------------------------------------------------- */

static void response_free(void *made)
{
    MHD_destroy_response(made);
}

static void dress(struct MHD_Response *response, const struct fsh_page *page)
{
    if (page->type)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, page->type);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    for (size_t i = 0; i < page->field_count; i++)
        (void)MHD_add_response_header(response, page->fields[i].name, page->fields[i].value);
}

/* Made once a page. It only points to the page's body, which the connection holds until the answer
 * has left. */
static struct MHD_Response *response_of(struct fsh_page *page)
{
    struct MHD_Response *response = page->made;

    if (response)
        return response;
    response = MHD_create_response_from_buffer(page->len, page->body, MHD_RESPMEM_PERSISTENT);
    if (!response)
        return NULL;
    dress(response, page);
    page->made = response;
    page->made_free = response_free;
    return response;
}

static void count_answer(struct fsh_connection *connection)
{
    connection->server->counts.answered++;
    fsh_metrics_answered(connection->server->keeper->metrics, connection->request.route,
                         connection->page->http);
}

static enum MHD_Result send_stream(struct fsh_connection *connection)
{
    struct MHD_Response *response = fsh_stream_response(connection);
    enum MHD_Result result;

    if (!response)
        return MHD_NO;
    dress(response, connection->page);
    fsh_connection_stage(connection,
                         connection->stream->ended ? FSH_STAGE_ANSWERING : FSH_STAGE_STREAMING);
    count_answer(connection);
    result = MHD_queue_response(connection->mhd, connection->page->http, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_page(struct fsh_connection *connection)
{
    struct MHD_Response *response;

    if (connection->stream)
        return send_stream(connection);
    response = connection->page ? response_of(connection->page) : NULL;
    if (!response)
        return MHD_NO;
    count_answer(connection);
    fsh_connection_stage(connection, FSH_STAGE_ANSWERING);
    return MHD_queue_response(connection->mhd, connection->page->http, response);
}

/* What follows such a request is not read: it might be a part of it. */
static enum MHD_Result refuse(struct fsh_connection *connection, unsigned http, const char *why)
{
    connection->page =
        fsh_page_header(fsh_page_http(http, "%s", why), MHD_HTTP_HEADER_CONNECTION, "close");
    connection->answered = true;
    return send_page(connection);
}

/* ---- requests: their bodies -------------------------------------------------------------- */

static bool make_room(struct fsh_connection *connection, size_t len)
{
    size_t room = connection->body_room ? connection->body_room : 512;
    char *body;

    while (room < len + 1)
        room *= 2;
    if (room == connection->body_room)
        return true;
    body = calloc(1, room);
    if (!body)
        return false;
    if (connection->body) {
        memcpy(body, connection->body, connection->body_seen);
        fsh_base_wipe(connection->body, connection->body_room);
        free(connection->body);
    }
    connection->body = body;
    connection->body_room = room;
    return true;
}

/* A body may be a password: what libmicrohttpd has of it is wiped as soon as it is read. */
static enum MHD_Result take_body(struct fsh_connection *connection, const char *bytes, size_t *size)
{
    size_t seen = connection->body_seen;
    size_t len = *size;
    bool keep = seen + len <= FSH_REQUEST_BODY_MAX;

    if (keep && !make_room(connection, seen + len))
        return MHD_NO;
    if (keep)
        memcpy(connection->body + seen, bytes, len);
    fsh_base_wipe((char *)(uintptr_t)bytes, len);
    connection->body_seen = seen + len;
    *size = 0;
    return connection->body_seen <= BODY_IGNORED ? MHD_YES : MHD_NO;
}

/* ---- requests: their way ----------------------------------------------------------------- */

/* The request line has come. What it returns comes back with the request. */
static void *on_line(void *data, const char *uri, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct fsh_connection *connection = info ? info->socket_context : NULL;
    size_t len = strcspn(uri, "?");

    (void)data;
    if (!connection)
        return NULL;
    fsh_connection_stage(connection, FSH_STAGE_READING);
    connection->too_long = len > FSH_REQUEST_PATH_MAX;
    if (connection->too_long)
        len = 0;
    memcpy(connection->path, uri, len);
    connection->path[len] = '\0';
    return connection;
}

/* RFC 9112, section 6.3: with two lengths, or a length and chunks, others along the way may see the
 * end of the request, and so the next one, elsewhere. libmicrohttpd takes one of them. */
static bool framed(struct fsh_connection *connection, bool *ret_has_body)
{
    bool lengths;
    bool codings;
    const char *length = request_header(&connection->request, MHD_HTTP_HEADER_CONTENT_LENGTH, NULL);
    const char *coding =
        request_header(&connection->request, MHD_HTTP_HEADER_TRANSFER_ENCODING, NULL);

    *ret_has_body = length || coding;
    if (!*ret_has_body)
        return true;
    (void)request_header(&connection->request, MHD_HTTP_HEADER_CONTENT_LENGTH, &lengths);
    (void)request_header(&connection->request, MHD_HTTP_HEADER_TRANSFER_ENCODING, &codings);
    if (lengths || codings || (length && coding))
        return false;
    if (coding)
        return strcasecmp(coding, "chunked") == 0;
    return length[0] != '\0' && strspn(length, "0123456789") == strlen(length);
}

/* A number of more digits than that of the bound is above it. */
static bool too_large(struct fsh_connection *connection)
{
    const char *length = request_header(&connection->request, MHD_HTTP_HEADER_CONTENT_LENGTH, NULL);

    return length && (strlen(length) > 5 || strtoul(length, NULL, 10) > FSH_REQUEST_BODY_MAX);
}

/* Its headers have come. */
static enum MHD_Result begin(struct fsh_connection *connection, const char *method)
{
    struct fsh_keeper_request *request = &connection->request;
    bool has_body;

    connection->begun = true;
    request->keeper = connection->server->keeper;
    request->door = connection->listener->door;
    request->peer = &connection->peer;
    request->method = method;
    request->path = connection->path;
    request->source = &source;
    request->data = NULL;
    request->gone = NULL;
    request->route = NULL;
    request->verb = 0;
    memset(request->segments, 0, sizeof(request->segments));
    if (!framed(connection, &has_body))
        return refuse(connection, 400, "it is not clear where the request ends");
    if (has_body && too_large(connection))
        return refuse(connection, 413, "a body has 65536 bytes at the most");
    return MHD_YES;
}

/* It has come whole. */
static enum MHD_Result handle(struct fsh_connection *connection)
{
    struct fsh_keeper_request *request = &connection->request;

    if (connection->too_long)
        return refuse(connection, 414, "a path has 1023 bytes at the most");
    if (connection->body_seen > FSH_REQUEST_BODY_MAX)
        return refuse(connection, 413, "a body has 65536 bytes at the most");
    if (connection->body)
        connection->body[connection->body_seen] = '\0';
    request->body = connection->body ? connection->body : "";
    request->body_len = connection->body_seen;
    connection->routed = true;
    fsh_connection_stage(connection, FSH_STAGE_WORKING);
    fsh_route(request);
    if (connection->dead)
        return MHD_NO;
    if (connection->answered || connection->stream)
        return send_page(connection);
    fsh_connection_suspend(connection);
    return MHD_YES;
}

/* libmicrohttpd calls it when the headers have come, for each part of the body, when all has come,
 * and after a suspension. */
static enum MHD_Result on_request(void *data, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request)
{
    struct fsh_connection *connection = *request;

    (void)data;
    (void)mhd;
    (void)url;
    (void)version;
    if (!connection || connection->dead)
        return MHD_NO;
    if (!connection->begun)
        return begin(connection, method);
    if (*upload_size > 0)
        return take_body(connection, upload, upload_size);
    if (!connection->routed)
        return handle(connection);
    return send_page(connection);
}

static void on_completed(void *data, struct MHD_Connection *mhd, void **request,
                         enum MHD_RequestTerminationCode code)
{
    struct fsh_connection *connection = *request;

    (void)data;
    (void)mhd;
    (void)code;
    if (!connection)
        return;
    fsh_connection_gone(connection);
    fsh_connection_request_done(connection);
    *request = NULL;
    fsh_connection_stage(connection, FSH_STAGE_IDLE);
    if (connection->server->draining)
        fsh_connection_shut(connection);
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
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
        listener, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL, MHD_OPTION_LISTEN_SOCKET, listener->fd,
        MHD_OPTION_URI_LOG_CALLBACK, on_line, listener, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        listener, MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)(4 * FSH_SERVER_CONNECTIONS),
        MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        header_room[listener->door], MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
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
