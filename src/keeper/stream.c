/* SPDX-License-Identifier: Apache-2.0 */

/* Answers that go on. Bytes wait in a ring until the reader takes them; while none wait the
 * connection is suspended. */

#include "keeper/connection.h"

#include "base/post.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

#define ROOM  ((size_t)FSH_REQUEST_STREAM_MAX + FSH_REQUEST_LAST_MAX)
#define CHUNK 4096

static struct fsh_connection *connection_of(struct fsh_keeper_request *request)
{
    return fsh_container_of(request, struct fsh_connection, request);
}

void fsh_stream_free(struct fsh_stream *stream)
{
    if (!stream)
        return;
    free(stream->bytes);
    free(stream);
}

/* Called by libmicrohttpd whenever the connection can be written to. */
static ssize_t take(void *data, uint64_t position, char *ret_bytes, size_t most)
{
    struct fsh_connection *connection = data;
    struct fsh_stream *stream = connection->stream;
    size_t len = stream->len < most ? stream->len : most;
    size_t until_wrap = ROOM - stream->first;

    (void)position;
    if (connection->dead)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (len == 0) {
        if (stream->ended)
            return MHD_CONTENT_READER_END_OF_STREAM;
        fsh_connection_suspend(connection);
        return 0;
    }
    if (len > until_wrap)
        len = until_wrap;
    memcpy(ret_bytes, stream->bytes + stream->first, len);
    stream->first = (stream->first + len) % ROOM;
    stream->len -= len;
    return (ssize_t)len;
}

struct MHD_Response *fsh_stream_response(struct fsh_connection *connection)
{
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, CHUNK, take, connection, NULL);
}

int fsh_stream_begin(struct fsh_keeper_request *request, const char *type)
{
    struct fsh_connection *connection = connection_of(request);
    struct fsh_page *page = fsh_page_new(200, type, "", 0);
    struct fsh_stream *stream = calloc(1, sizeof(*stream));

    if (stream)
        stream->bytes = malloc(ROOM);
    if (!page || !stream || !stream->bytes) {
        fsh_page_unref(page);
        fsh_stream_free(stream);
        return FRESHET_ENOMEM;
    }
    connection->page = page;
    connection->stream = stream;
    fsh_connection_resume(connection);
    return FRESHET_OK;
}

static void append(struct fsh_stream *stream, const char *bytes, size_t len)
{
    size_t at = (stream->first + stream->len) % ROOM;
    size_t until_wrap = ROOM - at < len ? ROOM - at : len;

    memcpy(stream->bytes + at, bytes, until_wrap);
    memcpy(stream->bytes, bytes + until_wrap, len - until_wrap);
    stream->len += len;
}

int fsh_stream_write(struct fsh_keeper_request *request, const char *bytes, size_t len)
{
    struct fsh_connection *connection = connection_of(request);
    struct fsh_stream *stream = connection->stream;

    if (len > FSH_REQUEST_STREAM_MAX || stream->len > FSH_REQUEST_STREAM_MAX - len)
        return FRESHET_ELIMIT;
    append(stream, bytes, len);
    fsh_connection_resume(connection);
    return FRESHET_OK;
}

void fsh_stream_end(struct fsh_keeper_request *request, const char *bytes, size_t len)
{
    struct fsh_connection *connection = connection_of(request);

    append(connection->stream, bytes, len < FSH_REQUEST_LAST_MAX ? len : FSH_REQUEST_LAST_MAX);
    connection->stream->ended = true;
    /* Its reader has as long as any other's. */
    fsh_connection_stage(connection, FSH_STAGE_ANSWERING);
    fsh_connection_resume(connection);
}
