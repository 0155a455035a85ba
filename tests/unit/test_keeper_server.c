/* SPDX-License-Identifier: Apache-2.0 */

/* The server on a real socket, with routes of this test's: the keeper on a thread of its own, the
 * clients on this one. */

#include "base/post.h"
#include "keeper/keeper.h"
#include "keeper/loop.h"
#include "keeper/server.h"
#include "keeper/socket.h"
#include "unit.h"

#include <errno.h>
#include <freshet/status.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_S 20

/* ---- the keeper's side ------------------------------------------------------------------- */

static sem_t arrived; /* a request waits for its answer */
static sem_t left;    /* and its client has gone */
static struct fsh_keeper_request *waiting;
static atomic_size_t streamed;

/* What the test wants done on the keeper's thread. */
static struct {
    struct fsh_watch watch; /* an eventfd */
    void (*run)(void);
    sem_t done;
} errand;

static struct fsh_keeper keeper;
static struct fsh_socket at;
static pthread_t thread;
static char folder[64];

static void run_errand(struct fsh_watch *watch, uint32_t events)
{
    eventfd_t value;

    (void)events;
    (void)eventfd_read(watch->fd, &value);
    errand.run();
    (void)sem_post(&errand.done);
}

static void on_keeper(void (*run)(void))
{
    errand.run = run;
    (void)eventfd_write(errand.watch.fd, 1);
    assert_int_equal(sem_wait(&errand.done), 0);
}

static void echo(struct fsh_keeper_request *request)
{
    fsh_request_answer(request, fsh_page_new(200, "text/plain", request->body, request->body_len));
}

static void gone(struct fsh_keeper_request *request)
{
    assert_ptr_equal(request, waiting);
    waiting = NULL;
    (void)sem_post(&left);
}

static void keep_waiting(struct fsh_keeper_request *request)
{
    waiting = request;
    request->gone = gone;
    (void)sem_post(&arrived);
}

static void answer_waiting(void)
{
    fsh_request_answer(waiting, fsh_page_new(200, "text/plain", "late", 4));
}

static void look(struct fsh_keeper_request *request)
{
    char text[256];
    bool several = false;
    const char *header = request->source->header(request, "X-Look", &several);
    const char *argument = fsh_request_argument(request, "min_valid_ms");
    int len = snprintf(text, sizeof(text), "%s %s %d %s", request->method, header ? header : "-",
                       several, argument ? argument : "-");

    fsh_request_answer(request, fsh_page_new(200, "text/plain", text, (size_t)len));
}

/* Lines of 100 bytes, as many as are taken. */
static void write_lines(void)
{
    char line[101];

    while (snprintf(line, sizeof(line), "%099zu\n", (size_t)atomic_load(&streamed)) == 100 &&
           fsh_request_write(waiting, line, 100) == FRESHET_OK)
        atomic_fetch_add(&streamed, 1);
}

static void end_stream(void)
{
    fsh_request_end(waiting, "the end\n", 8);
}

static void stream(struct fsh_keeper_request *request)
{
    assert_int_equal(fsh_request_stream(request, "text/event-stream"), FRESHET_OK);
    keep_waiting(request);
}

static void no_memory(struct fsh_keeper_request *request)
{
    fsh_request_answer(request, NULL);
}

const struct fsh_route fsh_control_routes[] = {
    {FSH_DOOR_CONTROL, "POST", "/echo", echo},
    {FSH_DOOR_CONTROL, "GET", "/echo", echo},
    {FSH_DOOR_CONTROL, "GET", "/wait", keep_waiting},
    {FSH_DOOR_CONTROL, "GET", "/v1/sessions/:name/token", look},
    {FSH_DOOR_CONTROL, "GET", "/stream", stream},
    {FSH_DOOR_CONTROL, "GET", "/none", no_memory},
    {0},
};
const struct fsh_route fsh_events_routes[] = {{0}};
const struct fsh_route fsh_health_routes[] = {{0}};
const struct fsh_route fsh_authz_routes[] = {{0}};
const struct fsh_route fsh_browser_routes[] = {{0}};

static void *serve(void *data)
{
    (void)data;
    (void)fsh_main_loop_run(keeper.loop);
    return NULL;
}

static int set_up(void **state)
{
    char path[96];
    int fd;

    (void)state;
    (void)snprintf(folder, sizeof(folder), P_tmpdir "/freshet-server-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/sock", folder);
    (void)sem_init(&arrived, 0, 0);
    (void)sem_init(&left, 0, 0);
    (void)sem_init(&errand.done, 0, 0);
    atomic_store(&streamed, 0);
    waiting = NULL;
    assert_int_equal(fsh_main_loop_new(&keeper.loop), FRESHET_OK);
    errand.watch = (struct fsh_watch){.fd = eventfd(0, EFD_CLOEXEC), .ready = run_errand};
    assert_int_equal(fsh_main_loop_watch(keeper.loop, &errand.watch, EPOLLIN), FRESHET_OK);
    assert_int_equal(fsh_server_new(&keeper, &keeper.server, NULL), FRESHET_OK);
    assert_int_equal(fsh_socket_listen(path, 0600, NULL, &at, &fd, NULL), FRESHET_OK);
    assert_int_equal(fsh_server_listen(keeper.server, FSH_DOOR_CONTROL, fd, NULL), FRESHET_OK);
    return pthread_create(&thread, NULL, serve, NULL);
}

static void stop(void)
{
    fsh_main_loop_stop(keeper.loop);
}

static int tear_down(void **state)
{
    (void)state;
    on_keeper(stop);
    (void)pthread_join(thread, NULL);
    fsh_server_free(keeper.server);
    fsh_socket_done(&at);
    fsh_main_loop_free(keeper.loop);
    (void)close(errand.watch.fd);
    return rmdir(folder);
}

/* ---- the clients' side ------------------------------------------------------------------- */

static int dial(void)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", folder);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return fd;
}

static void say(int fd, const char *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

static void request(int fd, const char *line, const char *more)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: k\r\n%s\r\n", line, more);

    say(fd, text, (size_t)len);
}

/* Reads until `end` has come, or to the end. */
static const char *hear(int fd, const char *end)
{
    static char text[1u << 18];
    size_t len = 0;
    ssize_t read;

    text[0] = '\0';
    while (!strstr(text, end) && (read = recv(fd, text + len, sizeof(text) - 1 - len, 0)) > 0) {
        len += (size_t)read;
        text[len] = '\0';
    }
    return text;
}

/* The HTTP status of the next answer, whose body ends with `end`. */
static int http(int fd, const char *end)
{
    int status = 0;

    (void)sscanf(hear(fd, end), "HTTP/1.1 %d", &status);
    return status;
}

static bool closed(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) <= 0 && errno != EAGAIN;
}

static struct fsh_server_counts counted;

static void count(void)
{
    fsh_server_counts(keeper.server, &counted);
}

/* ---- tests ------------------------------------------------------------------------------- */

static void requests_are_answered_one_after_the_other(void **state)
{
    static const char three[] = "POST /echo HTTP/1.1\r\nHost: k\r\nContent-Length: 3\r\n\r\none"
                                "GET /nowhere HTTP/1.1\r\nHost: k\r\n\r\n"
                                "POST /echo HTTP/1.1\r\nHost: k\r\nContent-Length: 5\r\n\r\nthree";
    int fd = dial();
    const char *answers;

    (void)state;
    say(fd, three, sizeof(three) - 1);
    answers = hear(fd, "three");
    assert_non_null(strstr(answers, "200 OK"));
    assert_true(strstr(answers, "one") < strstr(answers, "404 Not Found"));
    assert_true(strstr(answers, "404 Not Found") < strstr(answers, "three"));
    (void)close(fd);
}

static void a_request_is_seen_as_it_was_sent(void **state)
{
    int fd = dial();

    (void)state;
    request(fd, "GET /v1/sessions/x/token?min_valid_ms=a%20b", "x-look: 1\r\nX-LOOK: 2\r\n");
    assert_non_null(strstr(hear(fd, "a b"), "\r\n\r\nGET 1 1 a b"));
    request(fd, "GET /v1/sessions/x/token", "x-look: 1\r\n");
    assert_non_null(strstr(hear(fd, " -"), "\r\n\r\nGET 1 0 -"));
    request(fd, "GET /v1/sessions/x/token?min_valid_ms=1&x=y", "");
    assert_non_null(strstr(hear(fd, "twice"), "400 Bad Request"));
    (void)close(fd);
}

static void a_body_has_its_bound(void **state)
{
    static char body[FSH_REQUEST_BODY_MAX + 1];
    char length[64];
    int fd = dial();

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 2] = '!';
    (void)snprintf(length, sizeof(length), "Content-Length: %d\r\n", FSH_REQUEST_BODY_MAX);
    request(fd, "POST /echo", length);
    say(fd, body, FSH_REQUEST_BODY_MAX);
    assert_int_equal(http(fd, "!"), 200);
    /* Said before it is sent. */
    (void)snprintf(length, sizeof(length), "Content-Length: %d\r\n", FSH_REQUEST_BODY_MAX + 1);
    request(fd, "POST /echo", length);
    assert_int_equal(http(fd, "}"), 413);
    (void)close(fd);
    /* And when nobody says how long it is. */
    fd = dial();
    request(fd, "POST /echo", "Transfer-Encoding: chunked\r\n");
    say(fd, "10001\r\n", 7);
    body[sizeof(body) - 1] = 'x';
    say(fd, body, sizeof(body));
    say(fd, "\r\n0\r\n\r\n", 7);
    assert_int_equal(http(fd, "}"), 413);
    (void)close(fd);
}

static void an_answer_may_come_late(void **state)
{
    int fd = dial();

    (void)state;
    request(fd, "GET /wait", "");
    assert_int_equal(sem_wait(&arrived), 0);
    /* Who has said all it has to say is still there. */
    (void)shutdown(fd, SHUT_WR);
    on_keeper(answer_waiting);
    assert_int_equal(http(fd, "late"), 200);
    (void)close(fd);
}

static void a_client_that_has_gone_is_noticed(void **state)
{
    int fd = dial();

    (void)state;
    request(fd, "GET /wait", "");
    assert_int_equal(sem_wait(&arrived), 0);
    (void)close(fd);
    assert_int_equal(sem_wait(&left), 0);
    assert_null(waiting);
}

static void who_waits_at_the_end_is_told(void **state)
{
    int fd = dial();

    request(fd, "GET /wait", "");
    assert_int_equal(sem_wait(&arrived), 0);
    (void)tear_down(state);
    assert_int_equal(sem_trywait(&left), 0);
    assert_true(closed(fd));
    (void)close(fd);
    (void)set_up(state);
}

static void without_memory_the_connection_ends(void **state)
{
    int fd = dial();

    (void)state;
    request(fd, "GET /none", "");
    assert_true(closed(fd));
    (void)close(fd);
}

/* The reader takes nothing until the stream is full; then all of it comes, in its order. */
static void a_stream_keeps_what_it_took(void **state)
{
    const char *text;
    char last[128];
    int fd = dial();

    (void)state;
    request(fd, "GET /stream", "");
    assert_int_equal(sem_wait(&arrived), 0);
    on_keeper(write_lines);
    assert_true(atomic_load(&streamed) >= FSH_REQUEST_STREAM_MAX / 100);
    on_keeper(write_lines);
    on_keeper(end_stream);
    text = hear(fd, "\r\n0\r\n\r\n");
    assert_non_null(strstr(text, "text/event-stream"));
    (void)snprintf(last, sizeof(last), "%099zu\n", (size_t)atomic_load(&streamed) - 1);
    /* Not across the borders of the chunks: by its last digits. */
    assert_non_null(strstr(text, "the end\n"));
    assert_non_null(strstr(text, last + 90));
    assert_int_equal(sem_trywait(&left), -1);
    (void)close(fd);
}

static void a_streams_reader_that_has_gone_is_noticed(void **state)
{
    int fd = dial();

    (void)state;
    request(fd, "GET /stream", "");
    assert_int_equal(sem_wait(&arrived), 0);
    on_keeper(write_lines);
    (void)close(fd);
    assert_int_equal(sem_wait(&left), 0);
}

/* One more than its share displaces the one that has been idle for longest; whoever is at work
 * stays. */
static void a_share_is_not_exceeded(void **state)
{
    static int idle[FSH_SERVER_SHARE + 8];
    int busy = dial();
    int first;

    (void)state;
    request(busy, "GET /wait", "");
    assert_int_equal(sem_wait(&arrived), 0);
    first = dial();
    request(first, "GET /echo", "");
    assert_int_equal(http(first, "\r\n\r\n"), 200);
    for (size_t i = 0; i < FSH_SERVER_SHARE + 8; i++)
        idle[i] = dial();
    /* All of them are known when the last is answered. */
    request(idle[FSH_SERVER_SHARE + 7], "GET /echo", "");
    assert_int_equal(http(idle[FSH_SERVER_SHARE + 7], "\r\n\r\n"), 200);
    on_keeper(count);
    assert_int_equal(counted.connections, FSH_SERVER_SHARE);
    assert_int_equal(counted.displaced, 10);
    assert_int_equal(counted.refused, 0);
    /* Those that never asked anything went first, the longest idle of them before the others. */
    for (size_t i = 0; i < 10; i++)
        assert_true(closed(idle[i]));
    request(first, "GET /echo", "");
    assert_int_equal(http(first, "\r\n\r\n"), 200);
    on_keeper(answer_waiting);
    assert_int_equal(http(busy, "late"), 200);
    for (size_t i = 0; i < FSH_SERVER_SHARE + 8; i++)
        (void)close(idle[i]);
    (void)close(first);
    (void)close(busy);
}

static void drain(void)
{
    fsh_server_drain(keeper.server);
}

static void a_server_that_drains_ends_what_it_began(void **state)
{
    int idle = dial();
    int busy = dial();

    (void)state;
    request(busy, "GET /wait", "");
    assert_int_equal(sem_wait(&arrived), 0);
    on_keeper(drain);
    assert_true(closed(idle));
    on_keeper(count);
    assert_int_equal(counted.requests, 1);
    on_keeper(answer_waiting);
    assert_int_equal(http(busy, "late"), 200);
    assert_true(closed(busy));
    on_keeper(count);
    assert_int_equal(counted.requests, 0);
    (void)close(idle);
    (void)close(busy);
}

static void a_socket_that_is_served_is_not_taken(void **state)
{
    struct fsh_socket other = {0};
    struct freshet_error error;
    char path[96];
    int fd = -1;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/sock", folder);
    assert_int_equal(fsh_socket_listen(path, 0600, NULL, &other, &fd, &error), FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, "serves"));
}

static void a_socket_that_nobody_serves_is_replaced(void **state)
{
    struct fsh_socket made[2] = {{0}};
    char path[96];
    char kept[96];
    int fds[2];

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/other", folder);
    (void)snprintf(kept, sizeof(kept), "%s/kept", folder);
    assert_int_equal(fsh_socket_listen(path, 0600, NULL, &made[0], &fds[0], NULL), FRESHET_OK);
    (void)close(fds[0]);
    assert_int_equal(link(path, kept), 0); /* so that the inode's number does not come again */
    assert_int_equal(fsh_socket_listen(path, 0600, NULL, &made[1], &fds[1], NULL), FRESHET_OK);
    /* The old one's end leaves the new one alone. */
    fsh_socket_done(&made[0]);
    assert_int_equal(access(path, F_OK), 0);
    fsh_socket_done(&made[1]);
    assert_int_equal(access(path, F_OK), -1);
    (void)unlink(kept);
    (void)close(fds[1]);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(requests_are_answered_one_after_the_other),
        CASE(a_request_is_seen_as_it_was_sent),
        CASE(a_body_has_its_bound),
        CASE(an_answer_may_come_late),
        CASE(a_client_that_has_gone_is_noticed),
        CASE(who_waits_at_the_end_is_told),
        CASE(without_memory_the_connection_ends),
        CASE(a_stream_keeps_what_it_took),
        CASE(a_streams_reader_that_has_gone_is_noticed),
        CASE(a_share_is_not_exceeded),
        CASE(a_server_that_drains_ends_what_it_began),
        CASE(a_socket_that_is_served_is_not_taken),
        CASE(a_socket_that_nobody_serves_is_replaced),
    };

    return cmocka_run_group_tests_name("keeper-server", tests, NULL, NULL);
}
