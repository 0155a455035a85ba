/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <stdlib.h>
#include <string.h>

#define GIANT_DEFAULT (INT64_C(8) << 20)

static const char giant_head[] = "{\"AccessToken\":\"";
static const char giant_tail[] = "\"}";

/* A body that libmicrohttpd fetches piece by piece. */
struct stream {
    struct dev_request *request;
    char *body;     /* owned; NULL: giant */
    uint64_t end;   /* bytes that are sent */
    uint64_t piece; /* at most so many at once */
    int64_t ms;     /* between two pieces */
    bool cut;       /* then the connection is closed, although more was promised */
};

static char giant_byte(uint64_t at, uint64_t end)
{
    const uint64_t head = sizeof(giant_head) - 1;
    const uint64_t tail = sizeof(giant_tail) - 1;

    if (at < head)
        return giant_head[at];
    return (char)(at + tail >= end ? giant_tail[at + tail - end] : 'x');
}

static ssize_t fetch(void *context, uint64_t at, char *out, size_t room)
{
    struct stream *stream = context;
    struct dev_server *server = stream->request->server;
    uint64_t len = stream->end - at;

    if (len == 0)
        return stream->cut ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    if (at > 0 && stream->ms > 0 && !dev_server_sleep(server, stream->ms))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (len > room)
        len = room;
    if (len > stream->piece)
        len = stream->piece;
    /* Landed before its last byte leaves: whoever has read that may start the next refresh. */
    if (at + len == stream->end)
        dev_flight_land(server, &stream->request->flight);
    if (stream->body)
        memcpy(out, stream->body + at, len);
    else
        for (uint64_t i = 0; i < len; i++)
            out[i] = giant_byte(at + i, stream->end);
    return (ssize_t)len;
}

static void stream_free(void *context)
{
    struct stream *stream = context;

    free(stream->body);
    free(stream);
}

/* Sets up the stream and tells the length that the answer promises. */
static uint64_t shape(struct stream *stream, const struct dev_fault *fault, struct dev_reply *reply)
{
    uint64_t bytes = (uint64_t)fault->bytes;
    uint64_t promised = reply->len;

    stream->piece = UINT64_MAX;
    if (fault->kind == DEV_FAULT_GIANT) {
        stream->end = fault->bytes < 0 ? (uint64_t)GIANT_DEFAULT : bytes;
        return MHD_SIZE_UNKNOWN; /* chunked: the client must count for itself */
    }
    stream->body = reply->body;
    reply->body = NULL;
    if (fault->kind == DEV_FAULT_DRIP) {
        stream->end = promised;
        stream->piece = fault->bytes <= 0 ? 1 : bytes;
        stream->ms = fault->ms;
        return promised;
    }
    stream->end = fault->bytes < 0 || bytes > promised ? promised / 2 : bytes;
    stream->cut = true;
    return stream->end < promised ? promised : promised + 1;
}

struct MHD_Response *dev_stream_response(struct dev_request *request, const struct dev_fault *fault,
                                         struct dev_reply *reply)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    struct MHD_Response *response;
    uint64_t promised;

    if (!stream)
        return NULL;
    stream->request = request;
    promised = shape(stream, fault, reply);
    response = MHD_create_response_from_callback(promised, 4096, fetch, stream, stream_free);
    if (!response)
        stream_free(stream);
    return response;
}
