/* SPDX-License-Identifier: Apache-2.0 */

/* The act of the keeper. Its processes know the control socket alone, as those of any language. */

#include "demo.h"

#include <curl/curl.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 20
#define SESSION   "shared"

/* ---- speaking with the keeper ------------------------------------------------------------- */

struct text {
    char bytes[32768];
    size_t len;
};

static size_t append(char *bytes, size_t size, size_t count, void *data)
{
    struct text *text = data;
    size_t len = size * count;

    if (len > sizeof(text->bytes) - 1 - text->len)
        return 0;
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
    return len;
}

static CURL *easy_new(const char *url, struct text *text)
{
    CURL *easy = curl_easy_init();

    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, append);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, text);
    return easy;
}

/* The document at a path of the control socket, when it is answered 200; NULL otherwise. */
static json_t *ask(const char *socket, const char *path)
{
    struct text text = {.len = 0};
    char url[256];
    long status = 0;
    CURL *easy;

    (void)snprintf(url, sizeof(url), "http://localhost%s", path);
    easy = easy_new(url, &text);
    (void)curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket);
    if (curl_easy_perform(easy) == CURLE_OK)
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    return status == 200 ? json_loadb(text.bytes, text.len, 0, NULL) : NULL;
}

static json_int_t number(const json_t *document, const char *name)
{
    return json_integer_value(json_object_get(document, name));
}

static struct curl_slist *lines_of(const json_t *document)
{
    struct curl_slist *lines = NULL;
    json_t *pair;
    size_t i;

    json_array_foreach (json_object_get(document, "headers"), i, pair) {
        char line[20000];

        (void)snprintf(line, sizeof(line), "%s: %s", json_string_value(json_array_get(pair, 0)),
                       json_string_value(json_array_get(pair, 1)));
        lines = curl_slist_append(lines, line);
    }
    return lines;
}

int demo_keeper_call(const char *socket, const char *session, const char *url)
{
    struct text text = {.len = 0};
    struct curl_slist *lines;
    char path[160];
    long status = 0;
    json_t *document;
    CURL *easy;

    (void)snprintf(path, sizeof(path), "/v1/sessions/%s/headers", session);
    document = ask(socket, path);
    if (!document)
        return 1;
    easy = easy_new(url, &text);
    lines = lines_of(document);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lines);
    if (curl_easy_perform(easy) == CURLE_OK)
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    curl_slist_free_all(lines);
    printf("%lld %ld\n", (long long)number(document, "generation"), status);
    json_decref(document);
    return 0;
}

/* ---- the processes -------------------------------------------------------------------------- */

struct keeper {
    struct demo *demo;
    const char *program;
    char config[160];
    char socket[160];
    pid_t pid;
};

static void start(struct keeper *keeper)
{
    int64_t until = demo_now_ms() + 10000;
    json_t *document = NULL;

    keeper->pid = fork();
    if (keeper->pid == 0) {
        /* Whatever becomes of the demonstration, it does not stay. */
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
        (void)execl(keeper->program, keeper->program, "--config", keeper->config, (char *)NULL);
        _exit(127);
    }
    while (keeper->pid > 0 && !document && demo_now_ms() < until) {
        document = ask(keeper->socket, "/v1/platform");
        if (!document)
            demo_sleep_ms(10);
    }
    if (!document)
        demo_check(keeper->demo, false, "freshetd answers at %s", keeper->socket);
    json_decref(document);
}

static int end(struct keeper *keeper, int signal)
{
    int status = -1;

    if (keeper->pid > 0 && kill(keeper->pid, signal) == 0)
        (void)waitpid(keeper->pid, &status, 0);
    keeper->pid = 0;
    return status;
}

/* Those of one herd: started together, each with the writing end of a pipe as its output. */
static void herd(struct keeper *keeper, unsigned *ret_answered, unsigned *ret_generations)
{
    char url[256];
    char name[] = "freshet-demo";
    char mode[] = "call";
    char session[] = SESSION;
    char *const arguments[] = {name, mode, keeper->socket, session, url, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pids[PROCESSES] = {0};
    long long first = 0;
    long long generation;
    int ends[2];
    char line[64];
    char *rest;
    FILE *words;
    long status;

    *ret_answered = *ret_generations = 0;
    (void)snprintf(url, sizeof(url), "%s/api/orders", keeper->demo->dev.url);
    if (pipe(ends) != 0)
        return;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    (void)posix_spawn_file_actions_addclose(&actions, ends[0]);
    for (size_t i = 0; i < PROCESSES; i++)
        (void)posix_spawn(&pids[i], "/proc/self/exe", &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(ends[1]);
    words = fdopen(ends[0], "r");
    while (words && fgets(line, sizeof(line), words)) {
        generation = strtoll(line, &rest, 10);
        status = strtol(rest, NULL, 10);
        *ret_answered += status == 200;
        *ret_generations += generation != first;
        first = generation;
    }
    if (words)
        (void)fclose(words);
    for (size_t i = 0; i < PROCESSES; i++)
        if (pids[i] > 0)
            (void)waitpid(pids[i], NULL, 0);
}

/* ---- the act -------------------------------------------------------------------------------- */

static void until_unusable(const struct keeper *keeper)
{
    json_t *document;

    while ((document = ask(keeper->socket, "/v1/sessions/" SESSION))) {
        bool usable = json_is_true(json_object_get(document, "usable"));
        int64_t left = number(document, "usable_ms");

        json_decref(document);
        if (!usable)
            return;
        demo_sleep_ms(left + 1);
    }
}

static void herd_at_expiry(struct keeper *keeper)
{
    struct demo *demo = keeper->demo;
    long before = devclient_refreshes_of(&demo->dev, "load-2");
    unsigned answered;
    unsigned generations;
    long refreshes;

    demo_control(demo, "PUT", "/_dev/lifetime", "{\"seconds\": 60}");
    demo_control(demo, "POST", "/_dev/faults",
                 "{\"match\": \"/auth/refresh_token\", \"kind\": \"latency\", \"ms\": 300}");
    herd(keeper, &answered, &generations);
    refreshes = devclient_refreshes_of(&demo->dev, "load-2") - before;
    demo_check(demo, answered == PROCESSES, "expected %d answers, one a process, got %u", PROCESSES,
               answered);
    demo_check(demo, refreshes == 1, "expected one refresh, the devserver counted %ld", refreshes);
    demo_check(demo, generations == 1, "all had the same token");
}

static void kill_and_go_on(struct keeper *keeper)
{
    struct demo *demo = keeper->demo;
    long attempts = demo_counter(demo, "sign_in_attempts");
    long refreshes = devclient_refreshes_of(&demo->dev, "load-2");
    int64_t began;
    json_t *document;

    (void)end(keeper, SIGKILL);
    began = demo_now_ms();
    start(keeper);
    document = ask(keeper->socket, "/v1/sessions/" SESSION "/headers");
    demo_check(demo,
               document && demo_counter(demo, "sign_in_attempts") == attempts &&
                   devclient_refreshes_of(&demo->dev, "load-2") == refreshes,
               "killed and started again, it goes on with what it had, after %lld ms",
               (long long)(demo_now_ms() - began));
    json_decref(document);
}

void demo_keeper(struct demo *demo, const char *freshetd, const char *folder)
{
    struct keeper keeper = {.demo = demo, .program = freshetd};
    json_t *document;

    demo_act("9. The keeper: 20 processes when the token has run out, one refresh");
    (void)snprintf(keeper.config, sizeof(keeper.config), "%s/freshet.conf", folder);
    (void)snprintf(keeper.socket, sizeof(keeper.socket), "%s/control.sock", folder);
    demo_control(demo, "PUT", "/_dev/lifetime", "{\"seconds\": 4}");
    start(&keeper);
    document = ask(keeper.socket, "/v1/sessions/" SESSION "/headers");
    demo_check(demo, document != NULL, "its service signed in by itself");
    json_decref(document);
    if (document) {
        until_unusable(&keeper);
        herd_at_expiry(&keeper);
        kill_and_go_on(&keeper);
    }
    demo_check(demo, end(&keeper, SIGTERM) == 0, "it ends in peace");
}
