/* SPDX-License-Identifier: Apache-2.0 */

/* Requests as the keeper's handlers see them: method, path, arguments, headers and body are the
 * input's, and come from a source of this file. The sessions are persons' and nobody signs in, so
 * that nothing is asked of a platform but what a request asks for, and that is a closed port of
 * loopback. */

#include "fuzz.h"

#include "keeper/events.h"
#include "keeper/keeper.h"
#include "keeper/loop.h"
#include "keeper/metrics.h"
#include "keeper/server.h"

#include <curl/curl.h>
#include <freshet/status.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_MAX 16384
#define FIELDS    32

static const char configuration[] = "[platform]\n"
                                    "url = http://127.0.0.1:9\n"
                                    "[session reads]\nallow = uid:1 read\n"
                                    "[session all]\nallow = uid:1 read report admin\n"
                                    "[session none]\n";

static struct fsh_keeper keeper;

/* One request, and what has become of it. */
struct input {
    struct fsh_keeper_request request;
    struct fsh_peer peer;
    struct field {
        char *name;
        char *value;
    } arguments[FIELDS], headers[FIELDS];
    size_t argument_count;
    size_t header_count;
    bool returned; /* the handler has */
    bool answered;
    bool streams;
};

static void must(bool holds)
{
    if (!holds)
        __builtin_trap();
}

/* ---- the source -------------------------------------------------------------------------- */

static struct input *input_of(const struct fsh_keeper_request *request)
{
    return (struct input *)(uintptr_t)((const char *)request - offsetof(struct input, request));
}

static const char *value_of(const struct field *fields, size_t count, const char *name,
                            size_t *ret_times)
{
    const char *value = NULL;

    *ret_times = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(fields[i].name, name) != 0)
            continue;
        if (++*ret_times == 1)
            value = fields[i].value;
    }
    return value;
}

static const char *header(const struct fsh_keeper_request *request, const char *name,
                          bool *ret_several)
{
    const struct input *input = input_of(request);
    size_t times;
    const char *value = value_of(input->headers, input->header_count, name, &times);

    if (ret_several)
        *ret_several = times > 1;
    return value;
}

static const char *argument(const struct fsh_keeper_request *request, const char *name)
{
    const struct input *input = input_of(request);
    size_t times;

    return value_of(input->arguments, input->argument_count, name, &times);
}

/* What an answer must be, whatever was asked. */
static void check_page(const struct input *input, const struct fsh_page *page)
{
    must(page->http >= 200 && page->http <= 599);
    for (size_t i = 0; i < page->field_count; i++)
        must(!strpbrk(page->fields[i].name, "\r\n: ") && !strpbrk(page->fields[i].value, "\r\n"));
    if (page->type && strstr(page->type, "json")) {
        json_t *document = json_loadb(page->body, page->len, JSON_REJECT_DUPLICATES, NULL);

        must(document != NULL);
        must(page->http < 400 ||
             json_integer_value(json_object_get(document, "status")) == (json_int_t)page->http);
        json_decref(document);
    }
    /* A stranger gets nothing of a session, and is not told which there are. */
    if (input->peer.uid == 2 && input->request.door == FSH_DOOR_CONTROL &&
        strncmp(input->request.path, "/v1/sessions/", 13) == 0)
        must(page->http >= 400);
    if (input->peer.uid == 2 && strncmp(input->request.path, "/authz/service/", 15) == 0)
        must(page->http >= 400);
}

static void answer(struct fsh_keeper_request *request, struct fsh_page *page)
{
    struct input *input = input_of(request);

    must(!input->answered && !input->streams);
    input->answered = true;
    if (page)
        check_page(input, page);
    fsh_page_unref(page);
}

static int stream(struct fsh_keeper_request *request, const char *type)
{
    struct input *input = input_of(request);

    must(type && !input->answered && !input->streams);
    input->streams = true;
    return FRESHET_OK;
}

static int stream_write(struct fsh_keeper_request *request, const char *bytes, size_t len)
{
    must(input_of(request)->streams && memchr(bytes, '\0', len) == NULL);
    return FRESHET_OK;
}

static void stream_end(struct fsh_keeper_request *request, const char *bytes, size_t len)
{
    struct input *input = input_of(request);

    (void)bytes;
    must(input->streams && len <= FSH_REQUEST_LAST_MAX);
    input->streams = false;
    input->answered = true;
}

static const struct fsh_request_source source = {header,       argument,   answer, stream,
                                                 stream_write, stream_end, NULL};

/* ---- reading the input ------------------------------------------------------------------- */

/* The next line of the text, which it ends with a NUL. */
static char *line(char **text)
{
    char *start = *text;
    size_t len = strcspn(start, "\n");

    *text = start + len + (start[len] == '\n');
    start[len] = '\0';
    return start;
}

/* Lines "NAME SEPARATOR VALUE", to an empty one. */
static size_t fields(char **text, char separator, struct field *ret_fields)
{
    size_t count = 0;

    while (**text && count < FIELDS) {
        char *name = line(text);
        char *value = strchr(name, separator);

        if (name[0] == '\0')
            break;
        if (value)
            *value++ = '\0';
        ret_fields[count++] = (struct field){name, value ? value : name + strlen(name)};
    }
    return count;
}

/* METHOD uid PATH, arguments, headers, body. libmicrohttpd gives no longer paths. */
static bool read_input(char *text, char *end, struct input *input)
{
    static const uid_t uids[] = {0, 1, 2};
    char *first = line(&text);
    char *path = strchr(first, '/');

    input->request.door = first[0] == 'b' ? FSH_DOOR_BROWSER : FSH_DOOR_CONTROL;
    if (!path || path < first + 2 || strlen(path) > FSH_REQUEST_PATH_MAX)
        return false;
    input->peer.uid = uids[(unsigned char)first[1] % 3];
    input->peer.gid = input->peer.uid;
    path[-1] = '\0';
    input->request.method = first + 2 < path ? first + 2 : "GET";
    input->request.path = path;
    input->argument_count = fields(&text, '=', input->arguments);
    input->header_count = fields(&text, ':', input->headers);
    input->request.body = text;
    input->request.body_len = (size_t)(end - text);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input *input;
    char *text;

    if (size > INPUT_MAX)
        return 0;
    input = calloc(1, sizeof(*input));
    text = calloc(1, size + 1);
    must(input && text);
    if (size > 0)
        memcpy(text, data, size);
    input->request.keeper = &keeper;
    input->request.peer = &input->peer;
    input->request.source = &source;
    if (read_input(text, text + size, input)) {
        fsh_route(&input->request);
        /* It is answered, or it can be let go. */
        must(input->answered || input->request.gone);
        if (!input->answered)
            input->request.gone(&input->request);
        (void)freshet_queue_dispatch(keeper.queue);
    }
    free(text);
    free(input);
    return 0;
}

/* ---- the keeper -------------------------------------------------------------------------- */

static void load(void)
{
    char path[64];
    int fd = memfd_create("config", MFD_CLOEXEC);
    ssize_t len = (ssize_t)sizeof(configuration) - 1;

    must(fd >= 0 && write(fd, configuration, (size_t)len) == len && fchmod(fd, 0600) == 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    must(freshet_config_load(path, &keeper.config, NULL) == FRESHET_OK);
    (void)close(fd);
}

/* Its thread must not run any more when leaks are looked for. */
static void finish(void)
{
    fsh_server_free(keeper.server);
    fsh_events_free(keeper.events);
    fsh_metrics_free(keeper.metrics);
    freshet_queue_free(keeper.queue);
    fsh_registry_free(keeper.registry);
    freshet_close(keeper.freshet);
    fsh_main_loop_free(keeper.loop);
    freshet_config_free(keeper.config);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;

    (void)argc;
    (void)argv;
    /* First, so that OpenSSL's own end, which is registered with its beginning, comes after ours.
     */
    must(curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK);
    load();
    freshet_config_options(keeper.config, &options);
    must(fsh_main_loop_new(&keeper.loop) == FRESHET_OK);
    must(freshet_open(&options, &keeper.freshet, NULL) == FRESHET_OK);
    must(freshet_queue_new(&keeper.queue, NULL) == FRESHET_OK);
    must(fsh_registry_new(keeper.freshet, &keeper.registry) == FRESHET_OK);
    must(fsh_registry_apply(keeper.registry, keeper.config, NULL) == FRESHET_OK);
    must(fsh_metrics_new(&keeper.metrics) == FRESHET_OK);
    must(fsh_events_new(&keeper, &keeper.events, NULL) == FRESHET_OK);
    must(fsh_server_new(&keeper, &keeper.server, NULL) == FRESHET_OK);
    keeper.ready = true;
    return atexit(finish);
}
