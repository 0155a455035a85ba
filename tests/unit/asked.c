/* SPDX-License-Identifier: Apache-2.0 */
#include "asked.h"

#include "base/post.h"

#include <string.h>
#include <strings.h>

/* The request is the first member. */
static const struct asked *of(const struct fsh_keeper_request *request)
{
    return (const struct asked *)(const void *)request;
}

static const char *header(const struct fsh_keeper_request *request, const char *name,
                          bool *ret_several)
{
    const struct asked *asked = of(request);
    const char *found = NULL;

    for (size_t i = 0; i < asked->count; i++) {
        if (strcasecmp(asked->names[i], name) != 0)
            continue;
        if (!found)
            found = asked->values[i];
        else if (ret_several)
            *ret_several = true;
    }
    return found;
}

static const char *argument(const struct fsh_keeper_request *request, const char *name)
{
    (void)request;
    (void)name;
    return NULL;
}

static void answer(struct fsh_keeper_request *request, struct fsh_page *page)
{
    struct asked *asked = fsh_container_of(request, struct asked, request);

    fsh_page_unref(asked->page);
    asked->page = page;
    asked->answers++;
}

static const struct fsh_request_source source = {
    .header = header,
    .argument = argument,
    .answer = answer,
};

/* Cuts off the text up to `c`, and goes behind it; NULL: there is none. */
static char *cut(char **at, char c)
{
    char *start = *at;
    char *end = strchr(start, c);

    if (!end)
        return NULL;
    *end = '\0';
    *at = end + 1;
    return start;
}

void asked_init(struct asked *asked, struct fsh_keeper *keeper, const struct fsh_peer *peer,
                const char *text, size_t len)
{
    char *line;
    char *at;

    *asked = (struct asked){0};
    if (len >= sizeof(asked->text))
        len = sizeof(asked->text) - 1;
    memcpy(asked->text, text, len);
    at = asked->text;
    asked->request = (struct fsh_keeper_request){
        .keeper = keeper, .door = FSH_DOOR_BROWSER, .peer = peer, .source = &source, .body = ""};
    line = cut(&at, '\n');
    asked->request.method = line ? cut(&line, ' ') : NULL;
    asked->request.path = line && strlen(line) < sizeof(asked->request.names) ? line : NULL;
    while ((line = cut(&at, '\n')) != NULL && *line != '\0') {
        char *name = cut(&line, ':');

        if (!name || asked->count == ASKED_HEADERS)
            continue;
        asked->names[asked->count] = name;
        asked->values[asked->count++] = line + strspn(line, " ");
    }
    asked->request.body = at;
    asked->request.body_len = len - (size_t)(at - asked->text);
}

void asked_done(struct asked *asked)
{
    fsh_page_unref(asked->page);
}

void asked_send(struct asked *asked)
{
    if (asked->request.method && asked->request.path)
        fsh_route(&asked->request);
}

void asked_go(struct asked *asked)
{
    if (asked->request.gone && asked->answers == 0)
        asked->request.gone(&asked->request);
}

const char *asked_field(const struct asked *asked, const char *name)
{
    for (size_t i = 0; asked->page && i < asked->page->field_count; i++) {
        if (strcasecmp(asked->page->fields[i].name, name) == 0)
            return asked->page->fields[i].value;
    }
    return NULL;
}
