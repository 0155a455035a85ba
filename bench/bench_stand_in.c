/* SPDX-License-Identifier: Apache-2.0 */

/* A platform in a process of its own, for what is measured of whole programs: it signs everybody in
 * and refreshes at once, over connections that stay open. Prints its URL; then takes orders as
 * rounds do:
 *   sign_in S, refresh S   seconds that tokens live from now on; answers S,
 *   refreshes 0            how many there were,
 *   spent 0                nanoseconds between requests and their answers since it was last asked.
 */

#include "rounds.h"
#include "wire.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 4096

struct connection {
    size_t len;
    char request[8192];
};

static struct connection *connections[CONNECTIONS]; /* by descriptor */
static atomic_int sign_in_seconds = 3600;
static atomic_int refresh_seconds = 3600;
static atomic_int refreshes;
static _Atomic double spent;

/* ---- requests ---------------------------------------------------------------------------- */

static void answer(int fd, const char *request)
{
    static const char missing[] = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    char message[8192];
    size_t len = sizeof(missing) - 1;

    if (strncmp(request, "POST /auth/refresh_token ", 25) == 0) {
        atomic_fetch_add(&refreshes, 1);
        len =
            bench_wire_grant(atomic_load(&refresh_seconds), false, false, message, sizeof(message));
    } else if (strncmp(request, "POST /auth ", 11) == 0) {
        len =
            bench_wire_grant(atomic_load(&sign_in_seconds), true, false, message, sizeof(message));
    } else {
        memcpy(message, missing, len);
    }
    /* A few KiB always fit into a socket whose other end waits for them. */
    if (send(fd, message, len, MSG_NOSIGNAL) != (ssize_t)len && errno != EPIPE &&
        errno != ECONNRESET)
        bench_die("the stand-in cannot answer", strerror(errno));
}

static void drop(int fd)
{
    free(connections[fd]);
    connections[fd] = NULL;
    (void)close(fd);
}

static void serve(int fd)
{
    struct connection *connection = connections[fd];
    double came = bench_now_ns();
    ssize_t got = recv(fd, connection->request + connection->len,
                       sizeof(connection->request) - 1 - connection->len, 0);
    size_t end;

    if (got <= 0) {
        drop(fd);
        return;
    }
    connection->len += (size_t)got;
    connection->request[connection->len] = '\0';
    end = bench_wire_end(connection->request);
    if (end == 0)
        return;
    answer(fd, connection->request);
    connection->len -= end;
    memmove(connection->request, connection->request + end, connection->len + 1);
    atomic_store(&spent, atomic_load(&spent) + bench_now_ns() - came);
}

static void let_in(int listener, int poll)
{
    struct epoll_event in = {.events = EPOLLIN};
    int on = 1;

    in.data.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (in.data.fd < 0 || in.data.fd >= CONNECTIONS)
        bench_die("the stand-in cannot accept", strerror(errno));
    (void)setsockopt(in.data.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connections[in.data.fd] = calloc(1, sizeof(struct connection));
    if (!connections[in.data.fd] || epoll_ctl(poll, EPOLL_CTL_ADD, in.data.fd, &in) != 0)
        bench_die("the stand-in has no memory", NULL);
}

static void *run(void *data)
{
    int listener = *(int *)data;
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event in = {.events = EPOLLIN, .data.fd = listener};

    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &in) != 0)
        bench_die("epoll", strerror(errno));
    for (;;) {
        struct epoll_event events[64];
        int count = epoll_wait(poll, events, 64, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                let_in(listener, poll);
            else
                serve(events[i].data.fd);
        }
    }
    return NULL;
}

/* ---- orders ------------------------------------------------------------------------------ */

static double order_sign_in(int seconds)
{
    atomic_store(&sign_in_seconds, seconds);
    return seconds;
}

static double order_refresh(int seconds)
{
    atomic_store(&refresh_seconds, seconds);
    return seconds;
}

static double order_refreshes(int number)
{
    (void)number;
    return atomic_load(&refreshes);
}

static double order_spent(int number)
{
    (void)number;
    return atomic_exchange(&spent, 0);
}

int main(void)
{
    static const struct bench_round orders[] = {
        {"sign_in", order_sign_in},
        {"refresh", order_refresh},
        {"refreshes", order_refreshes},
        {"spent", order_spent},
    };
    pthread_t thread;
    char url[64];
    int listener = bench_wire_listen(url, sizeof(url));

    if (pthread_create(&thread, NULL, run, &listener) != 0)
        bench_die("the stand-in platform does not start", strerror(errno));
    printf("%s\n", url);
    (void)fflush(stdout);
    return bench_rounds(orders, sizeof(orders) / sizeof(orders[0]));
}
