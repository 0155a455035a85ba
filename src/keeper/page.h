/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_PAGE_H
#define FSH_KEEPER_PAGE_H

#include <freshet/error.h>
#include <jansson.h>
#include <stddef.h>

#define FSH_PAGE_FIELDS 8

/* An answer. Immutable once it is given away, with counted references, so that the same page may
 * answer many requests: whoever has rendered one for a token keeps it as long as the token. Main
 * thread. Its bytes are wiped when it goes. */
struct fsh_page {
    unsigned references;
    unsigned http;
    const char *type; /* static; NULL without a body */
    char *body;
    size_t len;
    size_t field_count;
    struct fsh_page_field {
        char *name;
        char *value;
    } fields[FSH_PAGE_FIELDS];
    /* What the server made of it, as long as the page. */
    void *made;
    void (*made_free)(void *made);
};

/* A page with a copy of a body; `type` is static, NULL without a body. NULL without memory. */
struct fsh_page *fsh_page_new(unsigned http, const char *type, const char *body, size_t len);

/* application/json; takes over `value`, NULL included (no memory). */
struct fsh_page *fsh_page_json(unsigned http, json_t *value);

/* application/problem+json (RFC 9457), from the status table and the error's message:
 * {"type": "about:blank", "title": TEXT OF THE HTTP STATUS, "status": HTTP, "detail": MESSAGE,
 *  "code": "FRESHET_EHELD", "platform_code": ..., "platform_status": ..., "retry_after_ms": ...},
 * and Retry-After where time helps. `error` may be NULL: then the detail is the status's text. */
struct fsh_page *fsh_page_problem(int status, const struct freshet_error *error);

/* Likewise with a message made here. */
struct fsh_page *fsh_page_fail(int status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Likewise with an HTTP status that says it all, such as 404, 405, 413: without a code. */
struct fsh_page *fsh_page_http(unsigned http, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds a header to a page that was not given away yet. NULL page: nothing. When memory is short, or
 * it has FSH_PAGE_FIELDS already, the page goes and NULL is returned. The value has no line break.
 */
struct fsh_page *fsh_page_header(struct fsh_page *page, const char *name, const char *value);

struct fsh_page *fsh_page_ref(struct fsh_page *page);
void fsh_page_unref(struct fsh_page *page);

#endif
