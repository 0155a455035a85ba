/* SPDX-License-Identifier: Apache-2.0 */

/* Clients of a server on a Unix socket: 32 connections that stay open, each with one request on its
 * way. What the server needs for them is measured by whoever gives the orders, of its process.
 *
 * usage: bench_load SOCKET PATH
 *   get N      N requests for PATH; answers nanoseconds,
 *   size 0     bytes of the last answer,
 *   sign_in N  signs N more browsers in, and keeps their cookies,
 *   use N      N browsers, here and there among those, ask for their headers; each once, if there
 *              are so many. */

#include "rounds.h"
#include "wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS  32
#define COOKIE_BYTES 128
#define BROWSERS     200000
#define STRIDE       7919 /* a prime: through all, in no order that a store could have them in */

struct connection {
    int fd;
    int number; /* of the request on its way */
    size_t len;
    char answer[65536];
};

/* What an order sends, and what becomes of an answer. */
struct order {
    int (*write)(int number, char *ret_request, size_t size);
    void (*answered)(int number, const char *answer);
};

static const char *socket_path;
static const char *get_path;
static struct connection connections[CONNECTIONS];
static int poll_fd;
static size_t last_size;
static char (*cookies)[COOKIE_BYTES];
static int browsers;
static int used; /* where the next one is that asks for its headers */

/* ---- connections ------------------------------------------------------------------------- */

static void connect_all(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    for (int i = 0; i < CONNECTIONS; i++) {
        struct epoll_event in = {.events = EPOLLIN, .data.ptr = &connections[i]};

        connections[i].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connections[i].fd < 0 ||
            connect(connections[i].fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
            epoll_ctl(poll_fd, EPOLL_CTL_ADD, connections[i].fd, &in) != 0)
            bench_die(socket_path, strerror(errno));
    }
}

static void ask(struct connection *connection, const struct order *order, int number)
{
    char request[2048];
    int len = order->write(number, request, sizeof(request));

    connection->number = number;
    connection->len = 0;
    if (send(connection->fd, request, (size_t)len, MSG_NOSIGNAL) != len)
        bench_die("a request cannot be sent", strerror(errno));
}

static bool answered(struct connection *connection, const struct order *order)
{
    ssize_t got = recv(connection->fd, connection->answer + connection->len,
                       sizeof(connection->answer) - 1 - connection->len, 0);

    if (got <= 0)
        bench_die("the server hung up", got < 0 ? strerror(errno) : NULL);
    connection->len += (size_t)got;
    connection->answer[connection->len] = '\0';
    if (bench_wire_end(connection->answer) == 0)
        return false;
    if (strncmp(connection->answer, "HTTP/1.1 200 ", 13) != 0)
        bench_die("not 200", connection->answer);
    last_size = connection->len;
    if (order->answered)
        order->answered(connection->number, connection->answer);
    return true;
}

static double drive(const struct order *order, int count)
{
    double begun = bench_now_ns();
    int asked = 0;
    int done = 0;

    while (asked < count && asked < CONNECTIONS) {
        ask(&connections[asked], order, asked);
        asked++;
    }
    while (done < count) {
        struct epoll_event events[CONNECTIONS];
        int ready = epoll_wait(poll_fd, events, CONNECTIONS, 60000);

        if (ready <= 0)
            bench_die("the server does not answer", NULL);
        for (int i = 0; i < ready; i++) {
            if (!answered(events[i].data.ptr, order))
                continue;
            done++;
            if (asked < count)
                ask(events[i].data.ptr, order, asked++);
        }
    }
    return bench_now_ns() - begun;
}

/* ---- orders ------------------------------------------------------------------------------ */

static int write_get(int number, char *ret_request, size_t size)
{
    (void)number;
    return snprintf(ret_request, size, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", get_path);
}

static double order_get(int count)
{
    static const struct order order = {write_get, NULL};

    return drive(&order, count);
}

static double order_size(int number)
{
    (void)number;
    return (double)last_size;
}

static int write_sign_in(int number, char *ret_request, size_t size)
{
    int browser = browsers + number;
    char body[128];
    int len =
        snprintf(body, sizeof(body), "{\"username\":\"user-%d\",\"password\":\"bench\"}", browser);

    /* Each from an address of its own, as far as the limits of sign-ins can see. */
    return snprintf(ret_request, size,
                    "POST /freshet/sign-in HTTP/1.1\r\nHost: localhost\r\n"
                    "Origin: https://app.example.com\r\nX-Freshet-CSRF: 1\r\n"
                    "X-Forwarded-For: 10.%d.%d.%d\r\nContent-Type: application/json\r\n"
                    "Content-Length: %d\r\n\r\n%s",
                    browser >> 16 & 255, browser >> 8 & 255, browser & 255, len, body);
}

static void keep_cookie(int number, const char *answer)
{
    const char *cookie = strcasestr(answer, "\r\nset-cookie: ");
    size_t len;

    if (!cookie)
        bench_die("no cookie", answer);
    cookie += strlen("\r\nset-cookie: ");
    len = strcspn(cookie, ";\r");
    if (len >= COOKIE_BYTES)
        bench_die("a long cookie", cookie);
    memcpy(cookies[browsers + number], cookie, len);
    cookies[browsers + number][len] = '\0';
}

static double order_sign_in(int count)
{
    static const struct order order = {write_sign_in, keep_cookie};
    double taken;

    if (browsers + count > BROWSERS)
        bench_die("too many browsers", NULL);
    taken = drive(&order, count);
    browsers += count;
    return taken;
}

static int write_use(int number, char *ret_request, size_t size)
{
    return snprintf(ret_request, size,
                    "GET /authz HTTP/1.1\r\nHost: localhost\r\nX-Original-Method: GET\r\n"
                    "Cookie: %s\r\n\r\n",
                    cookies[(used + number * (int64_t)STRIDE) % browsers]);
}

static double order_use(int count)
{
    static const struct order order = {write_use, NULL};
    double taken = drive(&order, count);

    used = (int)((used + count * (int64_t)STRIDE) % browsers);
    return taken;
}

int main(int argc, char **argv)
{
    static const struct bench_round orders[] = {
        {"get", order_get},
        {"size", order_size},
        {"sign_in", order_sign_in},
        {"use", order_use},
    };

    if (argc != 3)
        bench_die("usage", "bench_load SOCKET PATH");
    socket_path = argv[1];
    get_path = argv[2];
    cookies = calloc(BROWSERS, sizeof(*cookies));
    if (!cookies)
        bench_die("no memory", NULL);
    connect_all();
    return bench_rounds(orders, sizeof(orders) / sizeof(orders[0]));
}
