/* SPDX-License-Identifier: Apache-2.0 */
#include "platform.h"

#include "rounds.h"
#include "wire.h"

#include <freshet/freshet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REFRESHED_SECONDS 3600

static bool read_request(int connection, char *ret_request, size_t size)
{
    size_t len = 0;

    do {
        ssize_t got = read(connection, ret_request + len, size - 1 - len);

        if (got <= 0)
            return false;
        len += (size_t)got;
        ret_request[len] = '\0';
    } while (bench_wire_end(ret_request) == 0);
    return true;
}

static void write_all(int connection, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t put = write(connection, bytes, len);

        if (put <= 0)
            return;
        bytes += put;
        len -= (size_t)put;
    }
}

/* ---- the calls --------------------------------------------------------------------------- */

static void refresh(struct bench_platform *platform, int connection)
{
    char message[8192];
    size_t len = bench_wire_grant(REFRESHED_SECONDS, false, true, message, sizeof(message));

    atomic_fetch_add(&platform->refreshes, 1);
    (void)sem_post(&platform->asked);
    (void)sem_wait(&platform->answer);
    atomic_store(&platform->answered, bench_now_ns());
    write_all(connection, message, len);
}

static void sign_in(struct bench_platform *platform, int connection)
{
    char message[8192];

    write_all(
        connection, message,
        bench_wire_grant(atomic_load(&platform->expires_in), true, true, message, sizeof(message)));
}

static void *serve(void *data)
{
    static const char missing[] =
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    struct bench_platform *platform = data;
    char request[8192];

    for (;;) {
        int connection = accept(platform->listener, NULL, NULL);

        if (connection < 0)
            bench_die("accept", NULL);
        if (!read_request(connection, request, sizeof(request))) {
            /* It was closed early, which is nobody's fault. */
        } else if (strncmp(request, "POST /auth/refresh_token ", 25) == 0) {
            refresh(platform, connection);
        } else if (strncmp(request, "POST /auth ", 11) == 0) {
            sign_in(platform, connection);
        } else {
            write_all(connection, missing, sizeof(missing) - 1);
        }
        (void)close(connection);
    }
    return NULL;
}

void bench_platform_start(struct bench_platform *platform)
{
    *platform = (struct bench_platform){.expires_in = REFRESHED_SECONDS};
    (void)sem_init(&platform->asked, 0, 0);
    (void)sem_init(&platform->answer, 0, 0);
    platform->listener = bench_wire_listen(platform->url, sizeof(platform->url));
    if (pthread_create(&platform->thread, NULL, serve, platform) != 0)
        bench_die("the stand-in platform does not start", NULL);
}

/* ---- its clients ------------------------------------------------------------------------- */

struct freshet *bench_platform_open(const struct bench_platform *platform)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet *freshet;
    struct freshet_error error;

    options.url = platform->url;
    if (freshet_open(&options, &freshet, &error) != FRESHET_OK)
        bench_die("freshet_open", error.message);
    return freshet;
}

struct freshet_session *bench_session_open(struct freshet *freshet, const char *name)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session *session;
    struct freshet_error error;

    options.on_demand = true;
    if (freshet_session_open(freshet, name, &options, &session, &error) != FRESHET_OK)
        bench_die("freshet_session_open", error.message);
    return session;
}

void bench_session_sign_in(struct freshet_session *session)
{
    struct freshet_error error;

    if (freshet_sign_in(session, "bench", "password", 0, &error) != FRESHET_OK)
        bench_die("freshet_sign_in", error.message);
}
