/* SPDX-License-Identifier: Apache-2.0 */
#include "platform.h"

#include "rounds.h"

#include <arpa/inet.h>
#include <freshet/freshet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCESS_TOKEN_BYTES  1000 /* what such tokens usually have, more or less */
#define REFRESH_TOKEN_BYTES 1500
#define REFRESHED_SECONDS   3600

/* {"alg":"none"}, {"cognito:groups":["fd42"]} and "none", in base64url. */
#define ID_TOKEN "eyJhbGciOiJub25lIn0.eyJjb2duaXRvOmdyb3VwcyI6WyJmZDQyIl19.bm9uZQ"

static char access_token[ACCESS_TOKEN_BYTES + 1];
static char refresh_token[REFRESH_TOKEN_BYTES + 1];

const char *bench_platform_refresh_token(void)
{
    return refresh_token;
}

/* ---- HTTP, as much as it takes ----------------------------------------------------------- */

/* Where the body begins; NULL while the head is not whole. */
static const char *body_of(const char *request)
{
    const char *end = strstr(request, "\r\n\r\n");

    return end ? end + 4 : NULL;
}

/* Whether all of the body is there. */
static bool whole(const char *request)
{
    const char *body = body_of(request);
    const char *length = strcasestr(request, "\r\ncontent-length:");

    if (!body || !length)
        return body != NULL;
    return strlen(body) >= strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
}

static bool read_request(int connection, char *ret_request, size_t size)
{
    size_t len = 0;

    do {
        ssize_t got = read(connection, ret_request + len, size - 1 - len);

        if (got <= 0)
            return false;
        len += (size_t)got;
        ret_request[len] = '\0';
    } while (!whole(ret_request));
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

/* A grant as a whole message. */
static size_t grant(int expires_in, bool with_refresh_token, char *ret_message, size_t size)
{
    char body[4096];
    int len = snprintf(body, sizeof(body),
                       "{\"AccessToken\":\"%s\",\"IdToken\":\"" ID_TOKEN "\",\"ExpiresIn\":%d,"
                       "\"TokenType\":\"Bearer\"%s%s%s}",
                       access_token, expires_in, with_refresh_token ? ",\"RefreshToken\":\"" : "",
                       with_refresh_token ? refresh_token : "", with_refresh_token ? "\"" : "");

    return (size_t)snprintf(ret_message, size,
                            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                            "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
                            len, body);
}

static void refresh(struct bench_platform *platform, int connection)
{
    char message[8192];
    size_t len = grant(REFRESHED_SECONDS, false, message, sizeof(message));

    atomic_fetch_add(&platform->refreshes, 1);
    (void)sem_post(&platform->asked);
    (void)sem_wait(&platform->answer);
    atomic_store(&platform->answered, bench_now_ns());
    write_all(connection, message, len);
}

static void sign_in(struct bench_platform *platform, int connection)
{
    char message[8192];

    write_all(connection, message,
              grant(atomic_load(&platform->expires_in), true, message, sizeof(message)));
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
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);

    *platform = (struct bench_platform){.expires_in = REFRESHED_SECONDS};
    memset(access_token, 'a', ACCESS_TOKEN_BYTES);
    memset(refresh_token, 'r', REFRESH_TOKEN_BYTES);
    (void)sem_init(&platform->asked, 0, 0);
    (void)sem_init(&platform->answer, 0, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    platform->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (platform->listener < 0 || bind(platform->listener, (struct sockaddr *)&address, len) != 0 ||
        listen(platform->listener, 64) != 0 ||
        getsockname(platform->listener, (struct sockaddr *)&address, &len) != 0 ||
        pthread_create(&platform->thread, NULL, serve, platform) != 0)
        bench_die("the stand-in platform does not start", NULL);
    (void)snprintf(platform->url, sizeof(platform->url), "http://127.0.0.1:%u",
                   (unsigned)ntohs(address.sin_port));
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
