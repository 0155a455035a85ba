/* SPDX-License-Identifier: Apache-2.0 */

/* One exchange that is waited for, over a Unix socket: what the caller gets of each answer. Who
 * answers is a thread of this file, which says what a row says. */

#include "base/bounds.h"
#include "engine/http.h"
#include "unit.h"

#include <freshet/status.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct answerer {
    char folder[64];
    struct sockaddr_un address;
    int fd;
    pthread_t thread;
    const char *head;
    size_t body_len; /* of x, behind the head */
    char asked[512]; /* what it was asked */
};

static void read_request(int fd, struct answerer *answerer)
{
    size_t len = 0;

    do {
        ssize_t got = read(fd, answerer->asked + len, sizeof(answerer->asked) - 1 - len);

        assert_true(got > 0);
        len += (size_t)got;
        answerer->asked[len] = '\0';
    } while (!strstr(answerer->asked, "\r\n\r\n"));
}

/* Whoever is told too much hangs up. */
static void *answer_one(void *data)
{
    struct answerer *answerer = data;
    size_t head_len = strlen(answerer->head);
    size_t len = head_len + answerer->body_len;
    char *bytes = malloc(len + 1);
    int fd = accept(answerer->fd, NULL, NULL);

    assert_non_null(bytes);
    assert_true(fd >= 0);
    memcpy(bytes, answerer->head, head_len);
    memset(bytes + head_len, 'x', answerer->body_len);
    read_request(fd, answerer);
    for (size_t sent = 0; sent < len;) {
        ssize_t some = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL);

        if (some <= 0)
            break;
        sent += (size_t)some;
    }
    (void)close(fd);
    free(bytes);
    return NULL;
}

static int setup(void **state)
{
    static struct answerer answerer;

    answerer = (struct answerer){.folder = P_tmpdir "/freshet-test-http-XXXXXX",
                                 .address = {.sun_family = AF_UNIX}};
    assert_non_null(mkdtemp(answerer.folder));
    (void)snprintf(answerer.address.sun_path, sizeof(answerer.address.sun_path), "%s/socket",
                   answerer.folder);
    answerer.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(
        bind(answerer.fd, (struct sockaddr *)&answerer.address, sizeof(answerer.address)), 0);
    assert_int_equal(listen(answerer.fd, 4), 0);
    *state = &answerer;
    return 0;
}

static int teardown(void **state)
{
    struct answerer *answerer = *state;

    (void)close(answerer->fd);
    (void)unlink(answerer->address.sun_path);
    (void)rmdir(answerer->folder);
    return 0;
}

static int get(const struct answerer *answerer, const char *path, int64_t timeout_ms,
               long *ret_http, struct fsh_secret *ret_body, struct freshet_error *error)
{
    const struct fsh_http_options options = {.url = "http://keeper",
                                             .socket = answerer->address.sun_path};

    return fsh_http_get(&options, path, timeout_ms, ret_http, ret_body, error);
}

static void answers_are_told_apart(void **state)
{
    static const struct {
        const char *head;
        size_t body_len;
        int status;
        long http;
        const char *word; /* of the error */
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", 2, FRESHET_OK, 200, ""},
        {"HTTP/1.1 204 No Content\r\n\r\n", 0, FRESHET_OK, 204, ""},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n", 9, FRESHET_OK, 404, ""},
        {"HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n", 0, FRESHET_OK, 302,
         ""},
        {"HTTP/1.1 200 OK\r\n\r\n", FSH_BODY_MAX, FRESHET_OK, 200, ""},
        {"HTTP/1.1 200 OK\r\n\r\n", FSH_BODY_MAX + 1, FRESHET_EBADBODY, 0, "256 KiB"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 3, FRESHET_EUNAVAILABLE, 0, "the keeper"},
        {"nonsense\r\n\r\n", 0, FRESHET_EUNAVAILABLE, 0, "the keeper"},
        {"", 0, FRESHET_EUNAVAILABLE, 0, "the keeper"},
    };
    struct answerer *answerer = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fsh_secret body = {0};
        struct freshet_error error = {0};
        long http = 0;

        answerer->head = rows[i].head;
        answerer->body_len = rows[i].body_len;
        assert_int_equal(pthread_create(&answerer->thread, NULL, answer_one, answerer), 0);
        assert_int_equal(get(answerer, "/v1/sessions/..?a=b", 20000, &http, &body, &error),
                         rows[i].status);
        assert_int_equal(pthread_join(answerer->thread, NULL), 0);
        assert_int_equal(http, rows[i].http);
        assert_int_equal(body.len, rows[i].status == FRESHET_OK ? rows[i].body_len : 0);
        assert_non_null(strstr(error.message, rows[i].word));
        assert_ptr_equal(strstr(answerer->asked, "GET /v1/sessions/..?a=b HTTP/1.1\r\n"),
                         answerer->asked);
        fsh_base_secret_done(&body);
    }
}

/* It is connected, by the backlog, and nobody answers. */
static void who_does_not_answer_is_waited_for_that_long(void **state)
{
    struct fsh_secret body = {0};
    struct freshet_error error = {0};
    long http = 0;

    assert_int_equal(get(*state, "/", 100, &http, &body, &error), FRESHET_EUNAVAILABLE);
    assert_true(fsh_base_secret_empty(&body));
    assert_non_null(strstr(error.message, "the keeper"));
}

static void where_nobody_listens_it_says_so(void **state)
{
    struct answerer nobody = *(struct answerer *)*state;
    struct fsh_secret body = {0};
    struct freshet_error error = {0};
    long http = 0;

    (void)strcat(nobody.address.sun_path, "-none");
    assert_int_equal(get(&nobody, "/", 20000, &http, &body, &error), FRESHET_EUNAVAILABLE);
    assert_non_null(strstr(error.message, "is freshetd running?"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(answers_are_told_apart),
        CASE(who_does_not_answer_is_waited_for_that_long),
        CASE(where_nobody_listens_it_says_so),
    };

    return cmocka_run_group_tests_name("http_get", tests, NULL, NULL);
}
