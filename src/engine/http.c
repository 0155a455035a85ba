/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/http.h"

#include "base/error.h"
#include "base/fault.h"
#include "engine/origin.h"

#include <curl/curl.h>
#include <errno.h>
#include <freshet/status.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* libcurl is set up with the first request: that takes longer than all that a program does which
 * finds a usable token. Until then there is only the wake-up to wait for. */
struct fsh_http {
    CURLM *multi; /* NULL until the first request */
    int wakeup;   /* an eventfd */
    char *url;    /* without a slash at its end */
    char *ca_file;
    char *proxy;
    char *socket; /* of a keeper: everything goes through it, and nothing over a network */
    bool secure;
    bool loopback;
    LIST_HEAD(, transfer) transfers;
};

/* One request on its way. The buffer of the body is wiped before it is freed or moved: it holds
 * tokens. */
struct transfer {
    struct fsh_http *http;
    struct fsh_request *request;
    CURL *easy;
    struct curl_slist *headers;
    char *body;
    size_t body_len;
    size_t body_room;
    bool too_big;
    bool no_memory;
    bool sent; /* the connection stands, and the request is about to leave */
    bool refused_address;
    char retry_after[64];
    char date[64];
    char failure[CURL_ERROR_SIZE];
    char keeper_failure[CURL_ERROR_SIZE + 160];
    LIST_ENTRY(transfer) in_http;
};

/* ---- libcurl's callbacks ----------------------------------------------------------------- */

static bool grow(struct transfer *transfer, size_t needed)
{
    size_t room = transfer->body_room ? transfer->body_room : 4096;
    char *body;

    while (room < needed)
        room *= 2;
    if (room == transfer->body_room)
        return true;
    body = malloc(room);
    if (!body)
        return false;
    if (transfer->body) {
        memcpy(body, transfer->body, transfer->body_len);
        fsh_base_wipe(transfer->body, transfer->body_len);
        free(transfer->body);
    }
    transfer->body = body;
    transfer->body_room = room;
    return true;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
    struct transfer *transfer = data;
    size_t len = size * count;

    if (len > FSH_BODY_MAX - transfer->body_len) {
        transfer->too_big = true;
        return 0;
    }
    transfer->no_memory = !grow(transfer, transfer->body_len + len);
    if (transfer->no_memory)
        return 0;
    memcpy(transfer->body + transfer->body_len, bytes, len);
    transfer->body_len += len;
    return len;
}

/* Called when the connection stands and before a byte of the request leaves: what failed earlier
 * has surely not reached the platform (rule 7). */
static int on_connected(void *data, char *remote, char *local, int remote_port, int local_port)
{
    struct transfer *transfer = data;

    (void)local;
    (void)remote_port;
    (void)local_port;
    /* A "localhost" that is not loopback would get secrets in the clear (rule 13). */
    if (!transfer->http->secure && !transfer->http->socket &&
        !fsh_engine_loopback_address(remote)) {
        transfer->refused_address = true;
        return CURL_PREREQFUNC_ABORT;
    }
    transfer->sent = true;
    FSH_FAULT("http-connected", transfer->request->kind);
    return CURL_PREREQFUNC_OK;
}

/* ---- one transfer ------------------------------------------------------------------------ */

static void transfer_free(struct transfer *transfer)
{
    LIST_REMOVE(transfer, in_http);
    if (transfer->easy) {
        (void)curl_multi_remove_handle(transfer->http->multi, transfer->easy);
        curl_easy_cleanup(transfer->easy);
    }
    for (struct curl_slist *header = transfer->headers; header; header = header->next)
        fsh_base_wipe(header->data, strlen(header->data));
    curl_slist_free_all(transfer->headers);
    if (transfer->body)
        fsh_base_wipe(transfer->body, transfer->body_len);
    free(transfer->body);
    free(transfer);
}

static bool add_header(struct transfer *transfer, const char *name, const char *value)
{
    size_t room = strlen(name) + strlen(value) + 3;
    char *line = malloc(room);
    struct curl_slist *longer = NULL;

    if (!line)
        return false;
    (void)snprintf(line, room, "%s: %s", name, value);
    longer = curl_slist_append(transfer->headers, line);
    fsh_base_wipe(line, room);
    free(line);
    if (!longer)
        return false;
    transfer->headers = longer;
    return true;
}

static bool add_headers(struct transfer *transfer)
{
    const struct fsh_request *request = transfer->request;

    if (!add_header(transfer, "Accept", "application/json"))
        return false;
    if (request->message.body.len > 0 && !add_header(transfer, "Content-Type", "application/json"))
        return false;
    /* Without it libcurl waits up to a second before it sends a larger body. */
    if (!add_header(transfer, "Expect", ""))
        return false;
    if (request->if_generation > 0) {
        char etag[24];

        (void)snprintf(etag, sizeof(etag), "\"%" PRIu64 "\"", request->if_generation);
        if (!add_header(transfer, "If-None-Match", etag))
            return false;
    }
    if (request->token && !add_header(transfer, "Authorization",
                                      fsh_base_secret_reveal(&request->token->authorization)))
        return false;
    return true;
}

static bool set_message(struct transfer *transfer)
{
    const struct fsh_http *http = transfer->http;
    const struct fsh_message *message = &transfer->request->message;
    size_t room = strlen(http->url) + strlen(message->path) + 1;
    char *url = malloc(room);
    CURL *easy = transfer->easy;
    bool good;

    if (!url)
        return false;
    (void)snprintf(url, room, "%s%s", http->url, message->path);
    good = curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK;
    free(url);
    good = good && curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, message->method) == CURLE_OK;
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    if (message->body.len == 0)
        return good;
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)message->body.len);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, fsh_base_secret_reveal(&message->body));
    return good;
}

/* What libcurl copies, it may have no memory for; a request without its CA file or its way around
 * the proxy must not be sent. */
static bool set_trust(const struct fsh_http *http, CURL *easy)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, http->secure ? "https" : "http");

    if (code == CURLE_OK && http->socket)
        code = curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, http->socket);
    /* A session may be named "..". */
    (void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    if (code == CURLE_OK && http->ca_file)
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, http->ca_file);
    if (code == CURLE_OK && (http->loopback || http->socket))
        code = curl_easy_setopt(easy, CURLOPT_PROXY, "");
    else if (code == CURLE_OK && http->proxy)
        code = curl_easy_setopt(easy, CURLOPT_PROXY, http->proxy);
    return code == CURLE_OK;
}

static long timeout(const struct fsh_request *request)
{
    return request->timeout_ms > 0 ? (long)request->timeout_ms : FSH_EXCHANGE_MS;
}

static void set_connection(struct transfer *transfer)
{
    CURL *easy = transfer->easy;

    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)FSH_CONNECT_MS);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout(transfer->request));
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "freshet/" FRESHET_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->failure);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    if (transfer->request->fresh_connection) {
        (void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    }
}

static struct transfer *transfer_new(struct fsh_http *http, struct fsh_request *request)
{
    struct transfer *transfer = calloc(1, sizeof(*transfer));

    if (!transfer)
        return NULL;
    transfer->http = http;
    transfer->request = request;
    LIST_INSERT_HEAD(&http->transfers, transfer, in_http);
    transfer->easy = curl_easy_init();
    if (!transfer->easy || !add_headers(transfer) || !set_message(transfer) ||
        !set_trust(http, transfer->easy)) {
        transfer_free(transfer);
        return NULL;
    }
    set_connection(transfer);
    return transfer;
}

/* libcurl counts who initialises it, and lets any thread. */
static bool ready(struct fsh_http *http)
{
    if (!http->multi && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        http->multi = curl_multi_init();
    return http->multi != NULL;
}

int fsh_http_send(struct fsh_http *http, struct fsh_request *request)
{
    struct transfer *transfer = ready(http) ? transfer_new(http, request) : NULL;

    if (!transfer)
        return FRESHET_ENOMEM;
    FSH_FAULT("http-begin", request->kind);
    if (curl_multi_add_handle(http->multi, transfer->easy) != CURLM_OK) {
        transfer_free(transfer);
        return FRESHET_ENOMEM;
    }
    request->transport = transfer;
    return FRESHET_OK;
}

void fsh_http_cancel(struct fsh_http *http, struct fsh_request *request)
{
    (void)http;
    if (request->transport)
        transfer_free(request->transport);
    request->transport = NULL;
}

static void copy_header(CURL *easy, const char *name, char *ret_value, size_t size)
{
    struct curl_header *header;

    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
        (void)snprintf(ret_value, size, "%.*s", (int)size - 1, header->value);
}

static const char *keeper_failure(struct transfer *transfer, CURLcode code)
{
    const char *socket = transfer->http->socket;

    if (code == CURLE_COULDNT_CONNECT)
        (void)snprintf(transfer->keeper_failure, sizeof(transfer->keeper_failure),
                       "no keeper answers at %.120s; is freshetd running?", socket);
    else
        (void)snprintf(transfer->keeper_failure, sizeof(transfer->keeper_failure),
                       "the keeper at %.120s: %s", socket,
                       transfer->failure[0] ? transfer->failure : curl_easy_strerror(code));
    return transfer->keeper_failure;
}

static const char *failure_of(struct transfer *transfer, CURLcode code)
{
    if (transfer->too_big)
        return "the answer is larger than 256 KiB";
    if (transfer->refused_address)
        return "plain http, and the name does not lead to loopback; use https";
    if (transfer->http->socket)
        return keeper_failure(transfer, code);
    return transfer->failure[0] ? transfer->failure : curl_easy_strerror(code);
}

static void finished(struct transfer *transfer, CURLcode code)
{
    struct fsh_request *request = transfer->request;
    struct fsh_reply reply = {
        .complete = code == CURLE_OK,
        .sent = transfer->sent,
        .body = transfer->body ? transfer->body : "",
        .body_len = transfer->body_len,
    };
    long http_status = 0;

    FSH_FAULT("http-answer", request->kind);
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &http_status);
    reply.http_status = (int)http_status;
    copy_header(transfer->easy, "Retry-After", transfer->retry_after,
                sizeof(transfer->retry_after));
    copy_header(transfer->easy, "Date", transfer->date, sizeof(transfer->date));
    reply.retry_after = transfer->retry_after[0] ? transfer->retry_after : NULL;
    reply.date = transfer->date[0] ? transfer->date : NULL;
    if (code != CURLE_OK)
        reply.failure = failure_of(transfer, code);
    request->transport = NULL;
    fsh_engine_answered(request, &reply);
    transfer_free(transfer);
}

void fsh_http_perform(struct fsh_http *http)
{
    int running = 0;
    int left = 0;
    CURLMsg *message;

    if (!http->multi)
        return;
    (void)curl_multi_perform(http->multi, &running);
    while ((message = curl_multi_info_read(http->multi, &left))) {
        struct transfer *transfer = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        finished(transfer, code);
    }
}

static void wait_alone(const struct fsh_http *http, int fd, int ms)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = http->wakeup, .events = POLLIN}};

    (void)poll(fds, 2, ms);
}

void fsh_http_wait(struct fsh_http *http, int fd, int ms)
{
    struct curl_waitfd extra[] = {{.fd = fd, .events = CURL_WAIT_POLLIN},
                                  {.fd = http->wakeup, .events = CURL_WAIT_POLLIN}};
    eventfd_t wakeups;

    FSH_FAULT("http-wait",
              LIST_EMPTY(&http->transfers) ? -1 : (int)LIST_FIRST(&http->transfers)->request->kind);
    if (!http->multi)
        wait_alone(http, fd, ms);
    /* It fails without memory for its list; coming back at once would be to spin. */
    else if (curl_multi_poll(http->multi, extra, 2, ms, NULL) != CURLM_OK)
        wait_alone(http, fd, ms < 50 ? ms : 50);
    (void)eventfd_read(http->wakeup, &wakeups);
}

void fsh_http_wakeup(struct fsh_http *http)
{
    (void)eventfd_write(http->wakeup, 1);
}

/* ---- one exchange, awaited --------------------------------------------------------------- */

static int conclude(struct transfer *transfer, CURLcode code, long *ret_http,
                    struct fsh_secret *ret_body, struct freshet_error *error)
{
    if (code == CURLE_OK &&
        fsh_base_secret_copy(transfer->body, transfer->body_len, ret_body) != FRESHET_OK)
        code = CURLE_OUT_OF_MEMORY;
    if (code == CURLE_OUT_OF_MEMORY || transfer->no_memory)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    if (code != CURLE_OK)
        return fsh_base_fail(error, transfer->too_big ? FRESHET_EBADBODY : FRESHET_EUNAVAILABLE,
                             "%s", failure_of(transfer, code));
    (void)curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, ret_http);
    return FRESHET_OK;
}

int fsh_http_get(const struct fsh_http_options *options, const char *path, int64_t timeout_ms,
                 long *ret_http, struct fsh_secret *ret_body, struct freshet_error *error)
{
    struct fsh_request request = {.kind = FSH_EXCHANGE_KINDS, /* none of a platform's */
                                  .message = {.method = "GET", .path = path},
                                  .timeout_ms = timeout_ms};
    struct transfer *transfer;
    struct fsh_http *http = NULL;
    int status = fsh_http_new(options, &http, error);

    if (!http)
        return status;
    transfer = ready(http) ? transfer_new(http, &request) : NULL;
    status = !transfer
                 ? fsh_base_fail(error, FRESHET_ENOMEM, NULL)
                 : conclude(transfer, curl_easy_perform(transfer->easy), ret_http, ret_body, error);
    fsh_http_free(http);
    return status;
}

/* ---- the whole --------------------------------------------------------------------------- */

static int copy_options(struct fsh_http *http, const struct fsh_http_options *options)
{
    size_t len;

    http->url = strdup(options->url);
    http->ca_file = options->ca_file ? strdup(options->ca_file) : NULL;
    http->proxy = options->proxy ? strdup(options->proxy) : NULL;
    http->socket = options->socket ? strdup(options->socket) : NULL;
    if (!http->url || (options->socket && !http->socket) || (options->ca_file && !http->ca_file) ||
        (options->proxy && !http->proxy))
        return FRESHET_ENOMEM;
    for (len = strlen(http->url); len > 0 && http->url[len - 1] == '/'; len--)
        http->url[len - 1] = '\0';
    return FRESHET_OK;
}

int fsh_http_new(const struct fsh_http_options *options, struct fsh_http **ret_http,
                 struct freshet_error *error)
{
    struct fsh_http *http;
    struct fsh_origin origin = {0};
    int status = options->socket ? FRESHET_OK : fsh_engine_origin(options->url, &origin, error);

    if (status != FRESHET_OK)
        return status;
    http = calloc(1, sizeof(*http));
    if (http) {
        LIST_INIT(&http->transfers);
        http->secure = origin.secure;
        http->loopback = origin.host && fsh_engine_loopback_host(origin.host);
        http->wakeup = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    }
    fsh_engine_origin_done(&origin);
    if (http && http->wakeup < 0) {
        fsh_http_free(http);
        return fsh_base_fail(error, FRESHET_ELIMIT, "no descriptor to be had: %s", strerror(errno));
    }
    if (!http || copy_options(http, options) != FRESHET_OK) {
        fsh_http_free(http);
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    }
    *ret_http = http;
    return FRESHET_OK;
}

void fsh_http_free(struct fsh_http *http)
{
    if (!http)
        return;
    while (!LIST_EMPTY(&http->transfers))
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): transfer_free takes it off the list. */
        transfer_free(LIST_FIRST(&http->transfers));
    if (http->multi)
        (void)curl_multi_cleanup(http->multi);
    if (http->wakeup >= 0)
        (void)close(http->wakeup);
    free(http->url);
    free(http->ca_file);
    free(http->proxy);
    free(http->socket);
    free(http);
}
