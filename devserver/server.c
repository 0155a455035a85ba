/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define IDLE_TIMEOUT_S 600                 /* above the longest latency */
#define HEADERS_MAX    ((size_t)64 * 1024) /* memory of a connection: headers of both directions */
#define STACK_SIZE     ((size_t)512 * 1024)

static const struct dev_route routes[] = {
    {"POST", "/auth", dev_auth_observe_sign_in, dev_auth_sign_in},
    {"PUT", "/auth/challenge/mfa-token", NULL, dev_auth_mfa_token},
    {"PUT", "/auth/challenge/new-password", NULL, dev_auth_new_password},
    {"POST", "/auth/refresh_token", dev_auth_observe_refresh, dev_auth_refresh},
    {"GET", "/auth/mfa/settings", dev_mfa_observe_settings, dev_mfa_settings_get},
    {"PUT", "/auth/mfa/settings", dev_mfa_observe_settings, dev_mfa_settings_put},
    {"GET", "/auth/mfa/configure/totp", dev_mfa_observe, dev_mfa_totp_get},
    {"PUT", "/auth/mfa/configure/totp", dev_mfa_observe, dev_mfa_totp_put},
    {"GET", "/.well-known/jwks.json", NULL, dev_auth_jwks},
    {NULL, "/api/", dev_api_observe, dev_api_handle},
    {"GET", "/_dev/counters", NULL, dev_control_counters},
    {"POST", "/_dev/counters/reset", NULL, dev_control_counters_reset},
    {"PUT", "/_dev/lifetime", NULL, dev_control_lifetime},
    {"PUT", "/_dev/rotation", NULL, dev_control_rotation},
    {"GET", "/_dev/faults", NULL, dev_faults_list},
    {"POST", "/_dev/faults", NULL, dev_faults_add},
    {"DELETE", "/_dev/faults", NULL, dev_faults_delete},
    {"POST", "/_dev/revoke", NULL, dev_control_revoke},
    {"GET", "/_dev/accounts/", NULL, dev_control_account},
    {"POST", "/_dev/accounts/", NULL, dev_control_account},
    {"POST", "/_dev/refresh_token", NULL, dev_control_refresh_token},
    {"GET", "/_dev/totp/", NULL, dev_control_totp},
    {"GET", "/_dev/sms/", NULL, dev_control_sms},
};

static void handle_unknown(struct dev_request *request, struct dev_reply *reply)
{
    (void)request;
    dev_reply_error(reply, MHD_HTTP_NOT_FOUND, "ResourceNotFoundException", "no such path");
}

static void handle_wrong_method(struct dev_request *request, struct dev_reply *reply)
{
    (void)request;
    dev_reply_error(reply, MHD_HTTP_METHOD_NOT_ALLOWED, "MethodNotAllowedException",
                    "the path takes another method");
}

static const struct dev_route unknown = {NULL, "", NULL, handle_unknown};
static const struct dev_route wrong_method = {NULL, "", NULL, handle_wrong_method};

static bool path_fits(const struct dev_route *route, const char *path)
{
    size_t len = strlen(route->path);

    return route->path[len - 1] == '/' ? strncmp(route->path, path, len) == 0
                                       : strcmp(route->path, path) == 0;
}

static const struct dev_route *find_route(const char *method, const char *path)
{
    const struct dev_route *found = &unknown;

    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!path_fits(&routes[i], path))
            continue;
        if (!routes[i].method || strcmp(routes[i].method, method) == 0)
            return &routes[i];
        found = &wrong_method;
    }
    return found;
}

/* --- the log: method, path, status, time; never a header, a query or a body --- */

static void append_plain(char *out, size_t room, size_t *at, const char *text)
{
    for (; *text && *at + 1 < room; text++)
        out[(*at)++] = (char)(*text > ' ' && *text < 0x7f ? *text : '?');
    out[*at] = '\0';
}

static void log_request(const struct dev_request *request, unsigned status, const char *fault)
{
    char line[512];
    size_t at = 0;

    if (request->server->options.quiet)
        return;
    append_plain(line, 32, &at, request->method);
    line[at++] = ' ';
    append_plain(line, 400, &at, request->path);
    at += (size_t)snprintf(line + at, sizeof(line) - at, " %u %lld ms%s%s\n", status,
                           (long long)((dev_mono_ns() - request->arrived_ns) / 1000000),
                           fault ? " fault " : "", fault ? fault : "");
    if (write(STDERR_FILENO, line, at) < 0) {
        /* a log that cannot be written is no reason to fail */
    }
}

/* --- answers --- */

const char *dev_request_header(const struct dev_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *dev_request_query(const struct dev_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (value) /* one that is no header value is left out */
        (void)MHD_add_response_header(response, name, value);
}

static void add_headers(struct MHD_Response *response, const struct dev_reply *reply)
{
    add_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    add_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    add_header(response, MHD_HTTP_HEADER_LOCATION, reply->location);
    add_header(response, MHD_HTTP_HEADER_RETRY_AFTER, reply->retry_after);
    add_header(response, "X-Request-Id", reply->request_id);
    if (reply->status == MHD_HTTP_UNAUTHORIZED)
        add_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
}

static struct MHD_Response *plain_response(struct dev_reply *reply)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply->len, reply->body, MHD_RESPMEM_MUST_FREE);

    if (response)
        reply->body = NULL;
    return response;
}

static bool streams(const struct dev_fault *fault)
{
    return fault && (fault->kind == DEV_FAULT_TRUNCATE || fault->kind == DEV_FAULT_GIANT ||
                     fault->kind == DEV_FAULT_DRIP);
}

static enum MHD_Result send_reply(struct dev_request *request, const struct dev_fault *fault,
                                  struct dev_reply *reply)
{
    struct MHD_Response *response =
        streams(fault) ? dev_stream_response(request, fault, reply) : plain_response(reply);
    enum MHD_Result result;

    if (!response)
        return MHD_NO;
    if (!streams(fault))
        dev_flight_land(request->server, &request->flight);
    add_headers(response, reply);
    result = MHD_queue_response(request->connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

/* Resets the connection. libmicrohttpd would first shut it down in order, with a FIN; so the socket
 * is closed under it, its descriptor replaced by that of a socket which was never connected. */
static enum MHD_Result reset_connection(struct dev_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    dev_flight_land(request->server, &request->flight);
    if (info)
        (void)setsockopt(info->connect_fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    if (info && other >= 0)
        (void)dup3(other, info->connect_fd, O_CLOEXEC);
    if (other >= 0)
        (void)close(other);
    return MHD_NO;
}

static void process(struct dev_request *request, const struct dev_fault *fault,
                    struct dev_reply *reply)
{
    int64_t ms = fault && fault->kind != DEV_FAULT_DRIP ? fault->ms : 0;

    if (ms > 0 && !fault->after)
        (void)dev_server_sleep(request->server, ms);
    if (!fault || dev_fault_processes(fault))
        request->route->handle(request, reply);
    if (ms > 0 && fault->after)
        (void)dev_server_sleep(request->server, ms);
    if (fault)
        dev_fault_replace(fault, reply);
}

static void count_status(struct dev_request *request, unsigned status)
{
    struct dev_counters *counters = &request->server->counters;

    if (request->route->handle != dev_api_handle)
        return;
    if (status < 300)
        dev_count(counters, DEV_COUNT_api_ok);
    else if (status == MHD_HTTP_UNAUTHORIZED)
        dev_count(counters, DEV_COUNT_api_401);
    else if (status == MHD_HTTP_FORBIDDEN)
        dev_count(counters, DEV_COUNT_api_403);
}

static enum MHD_Result answer_with(struct dev_request *request, const struct dev_fault *fault)
{
    bool reset =
        fault && (fault->kind == DEV_FAULT_RESET_BEFORE || fault->kind == DEV_FAULT_RESET_AFTER);
    struct dev_reply reply = {.status = MHD_HTTP_OK};
    enum MHD_Result result;

    process(request, fault, &reply);
    if (!reset)
        count_status(request, reply.status);
    log_request(request, reset ? 0 : reply.status, fault ? dev_fault_name(fault->kind) : NULL);
    result = reset ? reset_connection(request) : send_reply(request, fault, &reply);
    dev_reply_done(&reply);
    return result;
}

static enum MHD_Result answer(struct dev_request *request)
{
    bool control = strncmp(request->path, "/_dev/", 6) == 0;
    struct dev_fault fault = {0};
    bool struck;
    enum MHD_Result result;

    if (!control)
        dev_count(&request->server->counters, DEV_COUNT_requests);
    if (request->route->observe)
        request->route->observe(request);
    struck = !control && dev_fault_take(request, &fault);
    result = answer_with(request, struck ? &fault : NULL);
    free(fault.body);
    return result;
}

static enum MHD_Result refuse_body(struct dev_request *request)
{
    struct dev_reply reply = {0};
    enum MHD_Result result;

    dev_reply_error(&reply, MHD_HTTP_CONTENT_TOO_LARGE, "ValidationException",
                    "the body is too large");
    log_request(request, reply.status, NULL);
    result = send_reply(request, NULL, &reply);
    dev_reply_done(&reply);
    return result;
}

/* --- requests as libmicrohttpd delivers them --- */

/* Keeps a piece of the body; what is over the bound is read on and dropped, so that the client gets
 * to read why. False: no more. */
static bool take_body(struct dev_request *request, const char *piece, size_t len)
{
    if (request->too_large || len > DEV_BODY_MAX - request->body_len) {
        request->too_large = true;
        request->discarded += len;
        return request->discarded <= DEV_DISCARD_MAX;
    }
    if (request->body_len + len + 1 > request->body_room) {
        size_t room = 2 * (request->body_len + len) + 1;
        char *body = realloc(request->body, room);

        if (!body)
            return false;
        request->body = body;
        request->body_room = room;
    }
    memcpy(request->body + request->body_len, piece, len);
    request->body_len += len;
    request->body[request->body_len] = '\0';
    return true;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *piece, size_t *piece_len, void **request_context)
{
    struct dev_request *request = *request_context;
    bool taken;

    (void)version;
    if (!request) {
        request = calloc(1, sizeof(*request));
        if (!request)
            return MHD_NO;
        request->server = context;
        request->connection = connection;
        request->arrived_ns = dev_mono_ns();
        request->route = find_route(method, path);
        *request_context = request;
        return MHD_YES;
    }
    request->method = method;
    request->path = path;
    if (*piece_len == 0)
        return request->too_large ? refuse_body(request) : answer(request);
    taken = take_body(request, piece, *piece_len);
    *piece_len = 0;
    return taken ? MHD_YES : MHD_NO;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context,
                         enum MHD_RequestTerminationCode code)
{
    struct dev_request *request = *request_context;

    (void)connection;
    (void)code;
    if (!request)
        return;
    dev_flight_land(context, &request->flight);
    dev_caller_done(&request->caller);
    free(request->body);
    free(request);
    *request_context = NULL;
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct dev_server *server = context;

    (void)connection;
    (void)socket_context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        dev_count(&server->counters, DEV_COUNT_connections);
        dev_gauge_up(&server->counters, DEV_COUNT_connections_open);
    } else {
        dev_gauge_down(&server->counters, DEV_COUNT_connections_open);
    }
}

/* --- start and stop --- */

bool dev_server_sleep(struct dev_server *server, int64_t ms)
{
    struct timespec until;
    unsigned cleared;
    bool running;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= DEV_SECOND_NS) {
        until.tv_sec++;
        until.tv_nsec -= DEV_SECOND_NS;
    }
    pthread_mutex_lock(&server->lock);
    cleared = server->faults.cleared;
    while (!server->stopping && server->faults.cleared == cleared &&
           pthread_cond_timedwait(&server->wake_signal, &server->lock, &until) != ETIMEDOUT) {
    }
    running = !server->stopping;
    pthread_mutex_unlock(&server->lock);
    return running;
}

static bool complain(const char *what)
{
    fprintf(stderr, "freshet-devserver: %s: %s\n", what, strerror(errno));
    return false;
}

/* The whole file, to be freed, or NULL. */
static char *read_file(const char *name)
{
    FILE *stream = fopen(name, "re");
    char *text = calloc(1, DEV_BODY_MAX + 1);
    size_t len = stream && text ? fread(text, 1, DEV_BODY_MAX, stream) : 0;

    if (stream)
        (void)fclose(stream);
    if (len == 0) {
        free(text);
        text = NULL;
    }
    return text;
}

/* The socket is made here and not by libmicrohttpd: it reports errors, and the port. */
static int listen_at(const struct dev_options *options)
{
    const struct sockaddr *address = (const struct sockaddr *)&options->address;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, address, options->address_len) == 0 && listen(fd, DEV_CONNECTIONS_MAX) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static bool name_authority(struct dev_server *server, int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof(bound);
    char host[48];
    char port[8];

    if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0 ||
        getnameinfo((struct sockaddr *)&bound, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return complain("cannot tell the address");
    (void)snprintf(server->authority, sizeof(server->authority),
                   bound.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    (void)snprintf(server->url, sizeof(server->url), "%s://%s", server->tls_cert ? "https" : "http",
                   server->authority);
    return true;
}

/* How many connections the descriptors allow, after asking for all there are. */
static unsigned connection_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 512;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= DEV_CONNECTIONS_MAX + 64)
        return DEV_CONNECTIONS_MAX;
    return limit.rlim_max > 128 ? (unsigned)limit.rlim_max - 64 : 64;
}

static bool start_daemon(struct dev_server *server, int fd)
{
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, server->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, server->tls_key},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;

    if (server->tls_cert)
        flags |= MHD_USE_TLS;
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, server, MHD_OPTION_ARRAY, server->tls_cert ? tls : none,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_CONNECTION_LIMIT,
        connection_limit(), MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEADERS_MAX, MHD_OPTION_THREAD_STACK_SIZE, STACK_SIZE,
        MHD_OPTION_END);
    return server->daemon != NULL;
}

static bool start_listening(struct dev_server *server)
{
    const struct dev_options *options = &server->options;
    int fd;

    if (options->tls_cert_file) {
        server->tls_cert = read_file(options->tls_cert_file);
        server->tls_key = read_file(options->tls_key_file);
        if (!server->tls_cert || !server->tls_key)
            return complain("cannot read the TLS certificate or its key");
    }
    fd = listen_at(options);
    if (fd < 0)
        return complain("cannot listen");
    if (name_authority(server, fd) && start_daemon(server, fd))
        return true;
    (void)close(fd);
    fprintf(stderr, "freshet-devserver: the HTTP daemon does not start\n");
    return false;
}

static void init_lock(struct dev_server *server)
{
    pthread_condattr_t monotonic;

    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&server->wake_signal, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

bool dev_server_start(struct dev_server *server, const struct dev_options *options)
{
    if (options->clock_file && !dev_clock_follow(options->clock_file))
        return complain("cannot map the file of the clock");
    server->options = *options;
    init_lock(server);
    server->tokens.lifetime_ns = options->lifetime_ns;
    server->tokens.refresh_lifetime_ns = 30 * 86400 * DEV_SECOND_NS; /* as the platform's */
    server->tokens.challenge_lifetime_ns = 180 * DEV_SECOND_NS;
    server->tokens.rotate = options->rotate;
    server->tokens.grace_ns = options->grace_ns;
    server->tokens.reuse = options->reuse;
    if (dev_keys_init(&server->keys, options->key_file) && dev_accounts_init(&server->accounts) &&
        dev_tokens_init(&server->tokens) &&
        dev_map_init(&server->challenges, DEV_CHALLENGES_MAX, sizeof(struct dev_challenge)) &&
        dev_map_init(&server->request_ids, DEV_REQUEST_IDS_MAX, 0) && start_listening(server))
        return true;
    dev_server_stop(server);
    return false;
}

void dev_server_stop(struct dev_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_broadcast(&server->wake_signal);
    pthread_mutex_unlock(&server->lock);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    dev_faults_clear(&server->faults);
    dev_map_done(&server->request_ids);
    dev_map_done(&server->challenges);
    dev_tokens_done(&server->tokens);
    dev_accounts_done(&server->accounts);
    dev_keys_done(&server->keys);
    free(server->tls_cert);
    free(server->tls_key);
    (void)pthread_cond_destroy(&server->wake_signal);
    (void)pthread_mutex_destroy(&server->lock);
}
