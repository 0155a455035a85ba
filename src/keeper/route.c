/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/request.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define SEGMENTS 4

static const struct fsh_route *const tables[] = {
    fsh_control_routes, fsh_events_routes, fsh_health_routes, fsh_authz_routes, fsh_browser_routes,
};

/* Where a segment stands in the request's path. */
struct span {
    const char *text;
    size_t len;
};

/* Whether the path is the pattern's; fills a span for each ":name". */
static bool matches(const char *pattern, const char *path, struct span *ret_spans)
{
    size_t count = 0;

    while (*pattern) {
        if (*pattern != ':') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        pattern += strcspn(pattern, "/");
        ret_spans[count] = (struct span){path, strcspn(path, "/")};
        path += ret_spans[count].len;
        if (ret_spans[count++].len == 0)
            return false;
    }
    return *path == '\0';
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* Percent-decodes a segment (RFC 3986, section 2.1). False: no such encoding, or a NUL. */
static bool decode(struct span span, char **at)
{
    const char *text = span.text;
    const char *end = text + span.len;
    char *out = *at;

    while (text < end) {
        int high;
        int low;

        if (*text != '%') {
            *out++ = *text++;
            continue;
        }
        high = end - text >= 3 ? digit(text[1]) : -1;
        low = end - text >= 3 ? digit(text[2]) : -1;
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return false;
        *out++ = (char)(high * 16 + low);
        text += 3;
    }
    *out++ = '\0';
    *at = out;
    return true;
}

/* All that is decoded is no longer than the path: it fits, with a NUL in place of each '/'. */
static bool name_segments(struct fsh_keeper_request *request, const struct span *spans)
{
    char *at = request->names;

    for (size_t i = 0; i < SEGMENTS && spans[i].text; i++) {
        request->segments[i] = at;
        if (!decode(spans[i], &at))
            return false;
    }
    return true;
}

/* HEAD is a GET whose body is left out, by who sends the answer. */
static bool takes(const struct fsh_route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void add_method(char *methods, size_t size, const char *method)
{
    size_t len = strlen(methods);

    (void)snprintf(methods + len, size - len, "%s%s", len ? ", " : "", method);
}

static void refuse(struct fsh_keeper_request *request, const char *methods)
{
    struct fsh_page *page;

    if (methods[0] == '\0') {
        fsh_request_answer(request, fsh_page_http(404, "there is nothing at this path"));
        return;
    }
    page = fsh_page_http(405, "the path takes %s", methods);
    fsh_request_answer(request, fsh_page_header(page, "Allow", methods));
}

void fsh_route(struct fsh_keeper_request *request)
{
    char methods[64] = "";

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (const struct fsh_route *route = tables[i]; route->method; route++) {
            struct span spans[SEGMENTS] = {{0}};

            if (route->door != request->door || !matches(route->pattern, request->path, spans))
                continue;
            if (!takes(route, request->method)) {
                add_method(methods, sizeof(methods), route->method);
                continue;
            }
            request->route = route;
            if (!name_segments(request, spans))
                fsh_request_answer(request, fsh_page_http(400, "the path is badly encoded"));
            else if (request->source->strange && request->source->strange(request))
                fsh_request_answer(
                    request, fsh_page_http(400, "a query argument is unknown, or comes twice"));
            else
                route->handle(request);
            return;
        }
    }
    refuse(request, methods);
}
