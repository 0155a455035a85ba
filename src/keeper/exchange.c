/* SPDX-License-Identifier: Apache-2.0 */

/* A request and its answer, as libmicrohttpd has them. */

#include "keeper/connection.h"
#include "keeper/metrics.h"
#include "keeper/strict.h"

#include "base/post.h"

#include <string.h>
#include <strings.h>

/* ---- what a request is asked for --------------------------------------------------------- */

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

static bool request_strange(const struct fsh_keeper_request *request)
{
    return !fsh_strict_arguments(connection_of(request)->mhd, request->route->pattern);
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
    .strange = request_strange,
};

/* ---- its answer --------------------------------------------------------------------------- */

static void response_free(void *made)
{
    MHD_destroy_response(made);
}

static void dress(struct MHD_Response *response, const struct fsh_page *page)
{
    if (page->type)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, page->type);
    /* It has a token, or is about a person, or is of this moment. */
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

/* ---- its way ------------------------------------------------------------------------------ */

void *fsh_exchange_line(void *data, const char *uri, struct MHD_Connection *mhd)
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

/* Its headers have come. */
static enum MHD_Result begin(struct fsh_connection *connection, const char *method)
{
    struct fsh_keeper_request *request = &connection->request;

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
    if (!fsh_strict_headers(connection->mhd))
        return refuse(connection, 400, "a header has control characters");
    if (!fsh_body_framed(request))
        return refuse(connection, 400, "it is not clear where the request ends");
    if (fsh_body_too_large(request))
        return refuse(connection, 413, "a body has 65536 bytes at the most");
    return MHD_YES;
}

static enum MHD_Result take(struct fsh_connection *connection, const char *bytes, size_t *size)
{
    size_t len = *size;

    *size = 0;
    return fsh_body_take(&connection->body, (char *)(uintptr_t)bytes, len) ? MHD_YES : MHD_NO;
}

/* It has come whole. */
static enum MHD_Result handle(struct fsh_connection *connection)
{
    struct fsh_keeper_request *request = &connection->request;

    if (connection->too_long)
        return refuse(connection, 414, "a path has 1023 bytes at the most");
    request->body = fsh_body_whole(&connection->body, &request->body_len);
    if (!request->body)
        return refuse(connection, 413, "a body has 65536 bytes at the most");
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

enum MHD_Result fsh_exchange_request(void *data, struct MHD_Connection *mhd, const char *url,
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
        return take(connection, upload, upload_size);
    if (!connection->routed)
        return handle(connection);
    return send_page(connection);
}

void fsh_exchange_completed(void *data, struct MHD_Connection *mhd, void **request,
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
