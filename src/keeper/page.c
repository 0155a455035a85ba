/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/page.h"

#include "base/error.h"
#include "base/secret.h"

#include <freshet/status.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- pages ------------------------------------------------------------------------------- */

struct fsh_page *fsh_page_new(unsigned http, const char *type, const char *body, size_t len)
{
    struct fsh_page *page = calloc(1, sizeof(*page));

    if (!page)
        return NULL;
    page->references = 1;
    page->http = http;
    page->type = type;
    page->body = malloc(len + 1);
    if (!page->body) {
        free(page);
        return NULL;
    }
    if (len > 0)
        memcpy(page->body, body, len);
    page->body[len] = '\0';
    page->len = len;
    return page;
}

struct fsh_page *fsh_page_ref(struct fsh_page *page)
{
    if (page)
        page->references++;
    return page;
}

void fsh_page_unref(struct fsh_page *page)
{
    if (!page || --page->references > 0)
        return;
    if (page->made)
        page->made_free(page->made);
    for (size_t i = 0; i < page->field_count; i++) {
        fsh_base_wipe(page->fields[i].value, strlen(page->fields[i].value));
        free(page->fields[i].name);
        free(page->fields[i].value);
    }
    fsh_base_wipe(page->body, page->len);
    free(page->body);
    free(page);
}

struct fsh_page *fsh_page_header(struct fsh_page *page, const char *name, const char *value)
{
    struct fsh_page_field *field;

    if (!page)
        return NULL;
    if (page->field_count == FSH_PAGE_FIELDS) {
        fsh_page_unref(page);
        return NULL;
    }
    field = &page->fields[page->field_count];
    field->name = strdup(name);
    field->value = strdup(value);
    if (!field->name || !field->value) {
        free(field->name);
        free(field->value);
        fsh_page_unref(page);
        return NULL;
    }
    page->field_count++;
    return page;
}

/* ---- JSON -------------------------------------------------------------------------------- */

static struct fsh_page *json_page(unsigned http, const char *type, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    struct fsh_page *page = NULL;

    json_decref(value);
    if (text) {
        page = fsh_page_new(http, type, text, strlen(text));
        fsh_base_wipe(text, strlen(text));
        free(text);
    }
    return page;
}

struct fsh_page *fsh_page_json(unsigned http, json_t *value)
{
    return json_page(http, "application/json", value);
}

/* ---- problems: RFC 9457 ------------------------------------------------------------------ */

/* RFC 9110, section 15: as the title, since the type is about:blank. */
static const char *title_of(unsigned http)
{
    static const struct {
        unsigned http;
        const char *title;
    } titles[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (titles[i].http == http)
            return titles[i].title;
    }
    return "Error";
}

static struct fsh_page *problem_page(unsigned http, json_t *problem, int64_t retry_after_ms)
{
    struct fsh_page *page;
    char seconds[24];

    if (problem && retry_after_ms >= 0 &&
        json_object_set_new(problem, "retry_after_ms", json_integer(retry_after_ms)) != 0) {
        json_decref(problem);
        return NULL;
    }
    page = json_page(http, "application/problem+json", problem);
    if (retry_after_ms < 0)
        return page;
    /* Who comes too early is told the same again: never 0. */
    (void)snprintf(seconds, sizeof(seconds), "%lld",
                   retry_after_ms == 0 ? 1LL : (long long)(retry_after_ms + 999) / 1000);
    return fsh_page_header(page, "Retry-After", seconds);
}

struct fsh_page *fsh_page_problem(int status, const struct freshet_error *error)
{
    unsigned http = (unsigned)freshet_status_http(status);
    const char *detail =
        error && error->message[0] != '\0' ? error->message : freshet_status_text(status);
    json_t *problem =
        json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title", title_of(http),
                  "status", (int)http, "detail", detail, "code", freshet_status_name(status));
    /* Bytes of a platform that are no UTF-8. */
    if (!problem)
        problem = json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title",
                            title_of(http), "status", (int)http, "detail",
                            freshet_status_text(status), "code", freshet_status_name(status));
    if (problem && error && error->code[0] != '\0')
        (void)json_object_set_new(problem, "platform_code", json_string(error->code));
    if (problem && error && error->http_status > 0)
        (void)json_object_set_new(problem, "platform_status", json_integer(error->http_status));
    return problem_page(http, problem, error ? error->retry_after_ms : -1);
}

struct fsh_page *fsh_page_fail(int status, const char *format, ...)
{
    struct freshet_error error;
    char text[sizeof(error.message)];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    (void)fsh_base_fail(&error, status, "%s", text);
    return fsh_page_problem(status, &error);
}

struct fsh_page *fsh_page_http(unsigned http, const char *format, ...)
{
    char text[256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return problem_page(http,
                        json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title",
                                  title_of(http), "status", (int)http, "detail", text),
                        -1);
}
