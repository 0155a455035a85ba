/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "asked.h"
#include "engine/ledger.h"
#include "engine/loop.h"
#include "fake_lib.h"
#include "keeper/browser.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Any sequence of requests of browsers and gateways, of outcomes of the library's calls, of clients
 * that go and of time that passes. The input is steps that end in a NUL:
 *
 *     >TEXT   a request; a byte 1 to 8 in it stands for a cookie that was given before
 *     =C      how the calls that are still to be made end
 *     . ,     the oldest, the latest call ends
 *     -       the client of the latest request goes
 *     ~C      so many minutes pass
 */
#define REQUESTS 64
#define COOKIES  8
#define ORIGIN   "https://app.example.com"

static struct fsh_keeper keeper;
static struct asked requests[REQUESTS];
static bool gone[REQUESTS];
static unsigned count;

/* Cookies as they were given, the latest last. */
static struct {
    char text[FSH_COOKIE_LINE];
    bool granted; /* by a sign-in that is done; else it stands for a challenge */
    bool over;    /* signed out with it */
} cookies[COOKIES];
static unsigned given;

static void must(bool holds)
{
    if (!holds)
        __builtin_trap();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fsh_log_setup("error", "text");
    return 0;
}

/* ---- what must hold ---------------------------------------------------------------------- */

static bool is(const struct asked *asked, const char *method, const char *path)
{
    return strcmp(asked->request.method, method) == 0 && strcmp(asked->request.path, path) == 0;
}

static const char *header(const struct asked *asked, const char *name)
{
    return fsh_request_header(&asked->request, name);
}

/* Whether the request has one of the cookies of that kind. */
static bool has(const struct asked *asked, bool granted)
{
    const char *cookie = header(asked, "Cookie");

    for (unsigned i = 0; cookie && i < COOKIES; i++) {
        if (cookies[i].text[0] && strstr(cookie, cookies[i].text) &&
            cookies[i].granted == granted && !cookies[i].over)
            return true;
    }
    return false;
}

static void take_cookie(const struct asked *asked)
{
    const char *line = asked_field(asked, "Set-Cookie");
    size_t len = line ? strcspn(line, ";") : 0;
    unsigned at = given % COOKIES;

    must(!line || strstr(line, "; Path=/; Secure; HttpOnly; SameSite=Strict"));
    if (!line || strstr(line, "Max-Age=0"))
        return;
    must(asked->page->http == 200 || asked->page->http >= 400);
    for (unsigned i = 0; i < COOKIES; i++)
        must(strncmp(cookies[i].text, line, len) != 0 || cookies[i].text[len] != '\0');
    memcpy(cookies[at].text, line, len);
    cookies[at].text[len] = '\0';
    cookies[at].granted = asked->page->http == 200;
    cookies[at].over = false;
    given++;
}

/* The sign-out of a cookie is for good. */
static void sign_out(const struct asked *asked)
{
    const char *cookie = header(asked, "Cookie");

    for (unsigned i = 0; cookie && i < COOKIES; i++) {
        if (cookies[i].text[0] && strstr(cookie, cookies[i].text))
            cookies[i].over = true;
    }
}

static void judge(const struct asked *asked)
{
    bool changes = strncmp(asked->request.path, "/freshet/", 9) == 0 &&
                   strcmp(asked->request.method, "GET") != 0 &&
                   strcmp(asked->request.method, "HEAD") != 0;
    const char *origin = header(asked, "Origin");
    unsigned http = asked->page->http;

    must(http >= 200 && http < 600);
    must(!changes || http >= 400 || (origin && strcmp(origin, ORIGIN) == 0));
    if (changes && http < 400)
        must(header(asked, "X-Freshet-CSRF") != NULL);
    if (is(asked, "GET", "/authz") && http == 200)
        must(has(asked, true) && asked_field(asked, "Authorization"));
    else
        must(!asked_field(asked, "Authorization"));
    if (is(asked, "GET", "/authz") || is(asked, "POST", "/authz/unauthorized"))
        must(!header(asked, "X-Freshet-Service") || http == 400);
    if (is(asked, "GET", "/freshet/session") && http == 200)
        must(has(asked, true));
    if (is(asked, "POST", "/freshet/mfa") && http == 200)
        must(has(asked, false));
    if (http == 503 || http == 429)
        must(asked_field(asked, "Retry-After") != NULL);
    if (is(asked, "POST", "/freshet/sign-out") && http == 204)
        sign_out(asked);
    take_cookie(asked);
}

static bool judged[REQUESTS];

static void judge_all(void)
{
    for (unsigned i = 0; i < count; i++) {
        must(requests[i].answers <= 1);
        must(!gone[i] || requests[i].answers == 0);
        if (requests[i].answers == 0 || judged[i])
            continue;
        judged[i] = true;
        must(requests[i].page != NULL);
        judge(&requests[i]);
    }
}

/* ---- steps ------------------------------------------------------------------------------- */

static void ask(const char *text, size_t len)
{
    static const struct fsh_peer peer = {.uid = 54321, .gid = 54321};
    char whole[8192];
    size_t at = 0;

    if (count == REQUESTS)
        return;
    for (size_t i = 0; i < len && at < sizeof(whole) - FSH_COOKIE_LINE; i++) {
        if (text[i] >= 1 && text[i] <= COOKIES)
            at += (size_t)snprintf(whole + at, FSH_COOKIE_LINE, "%s",
                                   cookies[(unsigned)(text[i] - 1)].text);
        else
            whole[at++] = text[i];
    }
    gone[count] = judged[count] = false;
    asked_init(&requests[count], &keeper, &peer, whole, at);
    if (!requests[count].request.method || !requests[count].request.path) {
        asked_done(&requests[count]);
        return;
    }
    asked_send(&requests[count]);
    count++;
    must(requests[count - 1].answers == 1 || requests[count - 1].request.gone);
}

static void go(void)
{
    unsigned last = count;

    while (last > 0 && (requests[last - 1].answers > 0 || gone[last - 1]))
        last--;
    if (last == 0)
        return;
    gone[last - 1] = true;
    requests[last - 1].request.gone(&requests[last - 1].request);
}

static void step(const char *text, size_t len)
{
    switch (text[0]) {
    case '>':
        ask(text + 1, len - 1);
        break;
    case '=':
        fake_lib_outcome(len > 1 ? (unsigned char)text[1] : 0);
        break;
    case '.':
        fake_lib_end(true);
        break;
    case ',':
        fake_lib_end(false);
        break;
    case '-':
        go();
        break;
    case '~':
        fsh_browsers_sweep(keeper.browsers,
                           fsh_browsers_now() + (len > 1 ? (unsigned char)text[1] : 0) * 60);
        break;
    default:
        break;
    }
    judge_all();
}

static void begin(void)
{
    struct freshet_error error;

    memset(cookies, 0, sizeof(cookies));
    given = count = 0;
    fake_lib_begin(&keeper);
    must(fsh_browsers_new(&keeper, keeper.config, &keeper.browsers, &error) == FRESHET_OK);
}

/* Every call ends, every request was answered unless its client has gone, and nothing is left. */
static void end(void)
{
    while (fake_lib_end(true))
        judge_all();
    for (unsigned i = 0; i < count; i++) {
        must(gone[i] || requests[i].answers == 1);
        asked_done(&requests[i]);
    }
    fsh_browsers_free(keeper.browsers);
    must(fake_lib_sessions() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 32768)
        return 0;
    begin();
    while (size > 0) {
        const uint8_t *stop = memchr(data, 0, size);
        size_t len = stop ? (size_t)(stop - data) : size;

        if (len > 0)
            step((const char *)data, len);
        data += len;
        size -= len;
        if (size > 0) {
            data++;
            size--;
        }
    }
    end();
    return 0;
}
