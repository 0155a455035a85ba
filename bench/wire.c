/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include "rounds.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ACCESS_TOKEN_BYTES  1000 /* what such tokens usually have, more or less */
#define REFRESH_TOKEN_BYTES 1500

/* {"alg":"none"}, {"cognito:groups":["fd42"]} and "none", in base64url. */
#define ID_TOKEN "eyJhbGciOiJub25lIn0.eyJjb2duaXRvOmdyb3VwcyI6WyJmZDQyIl19.bm9uZQ"

static char access_token[ACCESS_TOKEN_BYTES + 1];
static char refresh_token[REFRESH_TOKEN_BYTES + 1];

size_t bench_wire_end(const char *text)
{
    const char *body = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\ncontent-length:");
    size_t body_len = 0;

    if (!body)
        return 0;
    body += 4;
    if (length && length < body)
        body_len = strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
    return strlen(body) < body_len ? 0 : (size_t)(body - text) + body_len;
}

int bench_wire_listen(char *ret_url, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memset(access_token, 'a', ACCESS_TOKEN_BYTES);
    memset(refresh_token, 'r', REFRESH_TOKEN_BYTES);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) != 0 ||
        listen(listener, 1024) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &len) != 0)
        bench_die("the stand-in platform does not start", strerror(errno));
    (void)snprintf(ret_url, size, "http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    return listener;
}

const char *bench_wire_refresh_token(void)
{
    return refresh_token;
}

size_t bench_wire_grant(int expires_in, bool with_refresh_token, bool closes, char *ret_message,
                        size_t size)
{
    char body[4096];
    int len = snprintf(body, sizeof(body),
                       "{\"AccessToken\":\"%s\",\"IdToken\":\"" ID_TOKEN "\",\"ExpiresIn\":%d,"
                       "\"TokenType\":\"Bearer\"%s%s%s}",
                       access_token, expires_in, with_refresh_token ? ",\"RefreshToken\":\"" : "",
                       with_refresh_token ? refresh_token : "", with_refresh_token ? "\"" : "");

    return (size_t)snprintf(ret_message, size,
                            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                            "Content-Length: %d\r\n%s\r\n%s",
                            len, closes ? "Connection: close\r\n" : "", body);
}
