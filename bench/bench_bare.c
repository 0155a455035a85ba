/* SPDX-License-Identifier: Apache-2.0 */

/* What an answer costs that is nothing but an answer: libmicrohttpd on a Unix socket, one thread,
 * epoll, a static body.
 *
 * usage: bench_bare SOCKET BYTES   answers with so many bytes in all, until its input ends. */

#include "rounds.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static enum MHD_Result answer(void *data, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **context)
{
    (void)url;
    (void)method;
    (void)version;
    (void)upload;
    (void)upload_size;
    /* An answer before the request is whole ends the connection. */
    if (!*context) {
        *context = data;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, data);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 1024) != 0)
        bench_die(path, strerror(errno));
    return fd;
}

static struct MHD_Response *response_of(size_t size)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nDate: Wed, 25 Nov 2026 09:00:00 GMT\r\n"
                               "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n";
    size_t len = size - (sizeof(head) - 1);
    char *body = malloc(len);
    struct MHD_Response *response;

    if (size < sizeof(head) || !body)
        bench_die("no such answer", NULL);
    memset(body, 'a', len);
    response = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    if (!response ||
        MHD_add_response_header(response, "Content-Type", "application/json") != MHD_YES)
        bench_die("libmicrohttpd has no memory", NULL);
    return response;
}

int main(int argc, char **argv)
{
    struct MHD_Response *response;
    struct MHD_Daemon *daemon;

    if (argc != 3)
        bench_die("usage", "bench_bare SOCKET BYTES");
    response = response_of(strtoul(argv[2], NULL, 10));
    daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer,
                         response, MHD_OPTION_LISTEN_SOCKET, listen_at(argv[1]), MHD_OPTION_END);
    if (!daemon)
        bench_die("libmicrohttpd does not start", NULL);
    (void)puts("ready");
    (void)fflush(stdout);
    while (getchar() != EOF) {
        /* Its input is how it is told to end. */
    }
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
    return 0;
}
