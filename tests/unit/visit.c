/* SPDX-License-Identifier: Apache-2.0 */
#include "visit.h"

#include <freshet/admin.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void path_in(const struct visit *visit, const char *name, char ret_path[128])
{
    (void)snprintf(ret_path, 128, "%s/%s", visit->folder, name);
}

static void configure(struct visit *visit)
{
    char path[128];
    FILE *file;

    path_in(visit, "store.key", path);
    assert_int_equal(freshet_key_new(path, NULL), FRESHET_OK);
    path_in(visit, "freshet.conf", path);
    file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(file,
                  "[platform]\nurl = %s\n[store]\nsecrets = sqlite:secrets.db\n"
                  "tokens = sqlite:tokens.db\nkey_file = store.key\n"
                  "[browser]\norigin = " ORIGIN "\n",
                  visit->server.dev.url);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(freshet_config_load(path, &visit->keeper.config, NULL), FRESHET_OK);
}

static void start(struct visit *visit)
{
    struct fsh_keeper *keeper = &visit->keeper;
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet_error error = {0};

    freshet_config_options(keeper->config, &options);
    if (freshet_open(&options, &keeper->freshet, &error) != FRESHET_OK ||
        freshet_queue_new(&keeper->queue, &error) != FRESHET_OK ||
        fsh_registry_new(keeper->freshet, &keeper->registry) != FRESHET_OK ||
        fsh_browsers_new(keeper, keeper->config, &keeper->browsers, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
}

static void stop(struct visit *visit)
{
    struct fsh_keeper *keeper = &visit->keeper;

    freshet_queue_free(keeper->queue);
    fsh_browsers_free(keeper->browsers);
    fsh_registry_free(keeper->registry);
    freshet_close(keeper->freshet);
}

int visit_setup(void **state)
{
    struct visit *visit = calloc(1, sizeof(*visit));

    assert_non_null(visit);
    visit->peer.uid = visit->peer.gid = 54321;
    devserver_start(&visit->server, "http", NULL);
    (void)snprintf(visit->folder, sizeof(visit->folder), P_tmpdir "/freshet-visit-XXXXXX");
    assert_non_null(mkdtemp(visit->folder));
    configure(visit);
    start(visit);
    *state = visit;
    return 0;
}

int visit_teardown(void **state)
{
    static const char *const files[] = {
        "store.key", "freshet.conf",  "secrets.db",    "secrets.db-wal", "secrets.db-shm",
        "tokens.db", "tokens.db-wal", "tokens.db-shm", "store.key.lock", "secrets.db-journal"};
    struct visit *visit = *state;
    char path[128];

    stop(visit);
    freshet_config_free(visit->keeper.config);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        path_in(visit, files[i], path);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(visit->folder), 0);
    devserver_stop(&visit->server);
    free(visit);
    return 0;
}

void visit_restart(struct visit *visit)
{
    stop(visit);
    start(visit);
}

static void dispatch(struct visit *visit)
{
    struct pollfd queue = {.fd = freshet_queue_fd(visit->keeper.queue), .events = POLLIN};

    if (poll(&queue, 1, 30000) != 1)
        fail_msg("nothing happens");
    (void)freshet_queue_dispatch(visit->keeper.queue);
}

void visit_answer(struct visit *visit, struct asked *asked)
{
    while (asked->answers == 0)
        dispatch(visit);
    assert_int_equal(asked->answers, 1);
    assert_non_null(asked->page);
}

void visit_settle(struct visit *visit)
{
    while (!TAILQ_EMPTY(&visit->keeper.browsers->endings))
        dispatch(visit);
}

/* ---- pages ------------------------------------------------------------------------------- */

void page_ask(struct page *page, struct asked *asked, const char *method, const char *path,
              const char *headers, const char *body)
{
    static char text[ASKED_TEXT];
    bool changes = strcmp(method, "GET") != 0;
    int len =
        snprintf(text, sizeof(text), "%s %s\n%s%s%s%s%s\n%s", method, path,
                 page->cookie[0] ? "Cookie: a=b; " : "", page->cookie, page->cookie[0] ? "\n" : "",
                 changes ? "Origin: " ORIGIN "\nX-Freshet-CSRF: 1\n" : "", headers ? headers : "",
                 body ? body : "");

    assert_in_range(len, 1, sizeof(text) - 1);
    asked_init(asked, &page->visit->keeper, &page->visit->peer, text, (size_t)len);
    asked_send(asked);
}

/* What a browser does with Set-Cookie. */
static void keep_cookie(struct page *page, const char *line)
{
    size_t len = strcspn(line, ";");

    assert_true(len < sizeof(page->cookie));
    assert_non_null(strstr(line, "; Path=/; Secure; HttpOnly; SameSite=Strict"));
    if (strstr(line, "Max-Age=0"))
        len = 0;
    memcpy(page->cookie, line, len);
    page->cookie[len] = '\0';
}

void page_read(struct page *page, const struct asked *asked)
{
    size_t at = 0;

    page->http = asked->page->http;
    (void)snprintf(page->body, sizeof(page->body), "%s", asked->page->body);
    page->fields[0] = '\0';
    for (size_t i = 0; i < asked->page->field_count; i++)
        at += (size_t)snprintf(page->fields + at, sizeof(page->fields) - at, "%s: %.500s\n",
                               asked->page->fields[i].name, asked->page->fields[i].value);
    if (asked_field(asked, "Set-Cookie"))
        keep_cookie(page, asked_field(asked, "Set-Cookie"));
}

unsigned page_send(struct page *page, const char *method, const char *path, const char *headers,
                   const char *body)
{
    struct asked asked;

    page_ask(page, &asked, method, path, headers, body);
    visit_answer(page->visit, &asked);
    page_read(page, &asked);
    asked_done(&asked);
    return page->http;
}

void page_sign_in(struct page *page, const char *username)
{
    char body[256];

    (void)snprintf(body, sizeof(body), "{\"username\": \"%s\", \"password\": \"" DEV_PASSWORD "\"}",
                   username);
    if (page_send(page, "POST", "/freshet/sign-in", NULL, body) != 200)
        fail_msg("%u %s", page->http, page->body);
}

unsigned page_authz(struct page *page, const char *headers)
{
    char all[1024];

    (void)snprintf(all, sizeof(all), "X-Original-Method: GET\n%s", headers ? headers : "");
    return page_send(page, "GET", "/authz", all, NULL);
}

const char *page_field(const struct page *page, const char *name, char ret_value[2048])
{
    char begin[64];
    const char *at;

    (void)snprintf(begin, sizeof(begin), "%s: ", name);
    at = strstr(page->fields, begin);
    (void)snprintf(ret_value, 2048, "%s", at ? at + strlen(begin) : "");
    ret_value[strcspn(ret_value, "\n")] = '\0';
    return ret_value;
}

bool page_says(const struct page *page, const char *text)
{
    return strstr(page->body, text) != NULL;
}

struct fsh_browser *page_browser(const struct page *page)
{
    const struct fsh_browsers *browsers = page->visit->keeper.browsers;
    unsigned char hash[FSH_COOKIE_HASH];
    struct fsh_cookie cookie;

    if (fsh_cookie_read(&browsers->kind, page->cookie, &cookie) != FSH_COOKIE_ONE)
        return NULL;
    fsh_cookie_hash(&cookie, hash);
    return fsh_browsers_by_hash(browsers, hash);
}
