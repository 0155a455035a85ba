/* SPDX-License-Identifier: Apache-2.0 */

/* freshet curl: one request, with the session's headers, by curl. */

#include "curl.h"

#include <poll.h>
#include <string.h>
#include <time.h>

#define VERDICT_MS 25000 /* a probe of the library's, its store, and some */

/* ---- what a 401 means -------------------------------------------------------------------- */

struct meaning {
    const char *event; /* of the ledger; what comes last when a 401 is judged */
    const char *text;  /* behind "401: " */
};

static const struct meaning meanings[] = {
    {"ended", "the platform does not accept the token any more; the session is over"},
    {"probe_alive", "the platform still accepts the token, so the session lives; the call is not "
                    "allowed, or wants something else"},
    {"probe_failed", "whether the token is still accepted could not be found out; nothing ended"},
    {"401_late",
     "it answers an older token, which was replaced meanwhile; nothing ended, ask again"},
    {"401_unusable", "the token ran out meanwhile; nothing ended, ask again"},
};

static const struct meaning *meaning_of(const char *event)
{
    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (strcmp(meanings[i].event, event) == 0)
            return &meanings[i];
    }
    return NULL;
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for the verdict, so that it stands in the store before this process ends. NULL when it does
 * not come. */
static const struct meaning *await_verdict(struct fsh_cli *cli)
{
    struct pollfd fd = {freshet_event_fd(cli->freshet), POLLIN, 0};
    int64_t deadline = now_ms() + VERDICT_MS;
    const struct meaning *meaning = NULL;
    struct freshet_event event;

    for (int64_t left; !meaning && (left = deadline - now_ms()) > 0;) {
        (void)poll(&fd, 1, (int)left);
        while (!meaning && freshet_event_next(cli->freshet, &event, NULL) == 1) {
            if (strcmp(event.session, cli->name) == 0)
                meaning = meaning_of(event.entry.name);
        }
    }
    return meaning;
}

static void attribute(struct fsh_cli *cli, uint64_t generation)
{
    const struct meaning *meaning;
    struct freshet_event event;

    while (freshet_event_next(cli->freshet, &event, NULL) == 1) {
        /* What happened before the request says nothing about its answer. */
    }
    (void)freshet_unauthorized(cli->session, generation);
    fsh_cli_wait_begin(cli, "finding out what the 401 means");
    meaning = await_verdict(cli);
    fsh_cli_wait_end(cli);
    fsh_cli_say(cli, "401: %s",
                meaning ? meaning->text : "what it means could not be found out in time");
    if (meaning == &meanings[0])
        fsh_cli_say(cli,
                    fsh_cli_is_service(cli, cli->name)
                        ? "session %s signs in by itself when it is used next"
                        : "sign in again with `freshet login %s`",
                    cli->name);
}

/* ---- the verb ---------------------------------------------------------------------------- */

/* The headers go to the URL's own place, or nowhere. */
static int check_way(struct fsh_cli *cli, const struct fsh_cli_curl_line *line, bool *ret_loopback)
{
    int status = freshet_url_check(cli->freshet, line->url, ret_loopback, &cli->error);

    if (status != FRESHET_OK || !*ret_loopback || !line->elsewhere)
        return status;
    return fsh_cli_fail(cli, FRESHET_EINSECURE,
                        "curl's --%s would take the headers past this machine's own %.100s; leave "
                        "it out",
                        line->elsewhere, line->url);
}

static int run_line(struct fsh_cli *cli, const struct fsh_cli_curl_line *line, int64_t timeout_ms)
{
    const struct freshet_headers *headers = NULL;
    struct fsh_cli_curl_end end = {0};
    bool loopback = false;
    int status = check_way(cli, line, &loopback);

    if (status == FRESHET_OK)
        status = fsh_cli_fresh(cli, timeout_ms, &headers, NULL);
    if (status != FRESHET_OK)
        return status;
    status = fsh_cli_curl_line_check(cli, line, headers);
    if (status == FRESHET_OK)
        status = fsh_cli_curl_child_run(cli, line, loopback, headers, &end);
    if (status == FRESHET_OK && end.http_status == 401 && end.told)
        attribute(cli, headers->generation);
    if (status == FRESHET_OK && end.http_status != 0 && !end.told)
        fsh_cli_say(cli, "curl did not take the session's headers; is /dev/fd there?");
    freshet_headers_unref(headers);
    cli->exit_code = end.exit_code;
    cli->signal = end.signal;
    return status;
}

int fsh_cli_curl_run(struct fsh_cli *cli)
{
    static char *const nothing[] = {NULL};
    struct fsh_cli_curl_line line = {0};
    int64_t timeout_ms = 0;
    int status = fsh_cli_operands_at_most(cli, 1);

    if (status == FRESHET_OK)
        status = fsh_cli_timeout(cli, &timeout_ms);
    if (status == FRESHET_OK)
        status = fsh_cli_curl_line_read(cli, cli->rest ? cli->rest : nothing, &line);
    if (status == FRESHET_OK)
        status = fsh_cli_open_session(cli, FSH_CLI_CALL);
    if (status == FRESHET_OK)
        status = run_line(cli, &line, timeout_ms);
    fsh_cli_curl_line_done(&line);
    return status;
}
