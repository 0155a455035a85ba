/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/body.h"

#include "base/secret.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LENGTH  "Content-Length"
#define CODING  "Transfer-Encoding"
#define IGNORED ((size_t)1024 * 1024) /* of one that is too large, before we hang up */

/* RFC 9112, section 6.3: with two lengths, or a length and chunks, others along the way may see the
 * end of the request, and so the next one, elsewhere. libmicrohttpd takes one of them. */
bool fsh_body_framed(const struct fsh_keeper_request *request)
{
    bool lengths;
    bool codings;
    const char *length = fsh_request_header(request, LENGTH);
    const char *coding = fsh_request_header(request, CODING);

    if (!length && !coding)
        return true;
    (void)request->source->header(request, LENGTH, &lengths);
    (void)request->source->header(request, CODING, &codings);
    if (lengths || codings || (length && coding))
        return false;
    if (coding)
        return strcasecmp(coding, "chunked") == 0;
    return length[0] != '\0' && strspn(length, "0123456789") == strlen(length);
}

/* A number of more digits than that of the bound is above it. */
bool fsh_body_too_large(const struct fsh_keeper_request *request)
{
    const char *length = fsh_request_header(request, LENGTH);

    return length && (strlen(length) > 5 || strtoul(length, NULL, 10) > FSH_REQUEST_BODY_MAX);
}

static bool make_room(struct fsh_body *body, size_t len)
{
    size_t room = body->room ? body->room : 512;
    char *bytes;

    while (room < len + 1)
        room *= 2;
    if (room == body->room)
        return true;
    bytes = calloc(1, room);
    if (!bytes)
        return false;
    if (body->bytes) {
        memcpy(bytes, body->bytes, body->seen);
        fsh_base_wipe(body->bytes, body->room);
        free(body->bytes);
    }
    body->bytes = bytes;
    body->room = room;
    return true;
}

bool fsh_body_take(struct fsh_body *body, char *bytes, size_t len)
{
    size_t seen = body->seen + len;
    bool keep = seen <= FSH_REQUEST_BODY_MAX;

    if (keep && !make_room(body, seen))
        return false;
    if (keep)
        memcpy(body->bytes + body->seen, bytes, len);
    fsh_base_wipe(bytes, len);
    body->seen = seen;
    return seen <= IGNORED;
}

const char *fsh_body_whole(struct fsh_body *body, size_t *ret_len)
{
    if (body->seen > FSH_REQUEST_BODY_MAX)
        return NULL;
    *ret_len = body->seen;
    if (!body->bytes)
        return "";
    body->bytes[body->seen] = '\0';
    return body->bytes;
}

void fsh_body_done(struct fsh_body *body)
{
    if (body->bytes) {
        fsh_base_wipe(body->bytes, body->room);
        free(body->bytes);
    }
    *body = (struct fsh_body){0};
}
