/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/origin.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void curl_string_free(char **string)
{
    curl_free(*string);
}

static void url_free(CURLU **url)
{
    curl_url_cleanup(*url);
}

#define CLEANUP(function) __attribute__((cleanup(function)))

bool fsh_engine_loopback_address(const char *address)
{
    struct in_addr four;
    struct in6_addr six;

    if (inet_pton(AF_INET, address, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, address, &six) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&six))
        return six.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&six);
}

bool fsh_engine_loopback_host(const char *host)
{
    char bare[INET6_ADDRSTRLEN];
    size_t len = strlen(host);

    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (len > 2 && host[0] == '[' && host[len - 1] == ']' && len - 2 < sizeof(bare)) {
        memcpy(bare, host + 1, len - 2);
        bare[len - 2] = '\0';
        return fsh_engine_loopback_address(bare);
    }
    return fsh_engine_loopback_address(host);
}

static char *lower(const char *text)
{
    char *copy = strdup(text);

    for (char *c = copy; c && *c; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
    return copy;
}

/* Without memory nothing is said about the URL. */
static int unread(CURLUcode code, const char *why, struct freshet_error *error)
{
    if (code == CURLUE_OUT_OF_MEMORY)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    return fsh_base_fail(error, FRESHET_EINVAL, "%s", why);
}

/* libcurl decodes what is %-encoded in a host: what then is no part of any name is refused, and so
 * is what could be decoded a second time. */
static bool good_host(const char *host)
{
    for (const char *c = host; *c; c++) {
        if ((unsigned char)*c <= ' ' || *c == '%' || *c == 0x7f)
            return false;
    }
    return host[0] != '\0';
}

static CURLUcode scheme_and_host(CURLU *parsed, const char *url, char **ret_scheme, char **ret_host)
{
    /* Without CURLU_GUESS_SCHEME a URL must say what it is. */
    CURLUcode code = curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);

    if (code == CURLUE_OK)
        code = curl_url_get(parsed, CURLUPART_SCHEME, ret_scheme, 0);
    if (code == CURLUE_OK)
        code = curl_url_get(parsed, CURLUPART_HOST, ret_host, 0);
    if (code == CURLUE_OK && !good_host(*ret_host))
        code = CURLUE_BAD_HOSTNAME;
    return code;
}

int fsh_engine_origin(const char *url, struct fsh_origin *ret_origin, struct freshet_error *error)
{
    CLEANUP(url_free) CURLU *parsed = curl_url();
    CLEANUP(curl_string_free) char *scheme = NULL;
    CLEANUP(curl_string_free) char *host = NULL;
    CLEANUP(curl_string_free) char *port = NULL;
    CLEANUP(curl_string_free) char *user = NULL;
    struct fsh_origin origin = {0};
    CURLUcode code;

    if (!parsed)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    code = scheme_and_host(parsed, url, &scheme, &host);
    if (code != CURLUE_OK)
        return unread(code, "not an absolute URL: write https://host/path", error);
    code = curl_url_get(parsed, CURLUPART_USER, &user, 0);
    if (code != CURLUE_NO_USER)
        return unread(code, "a URL with a user name in it is refused", error);
    origin.secure = strcmp(scheme, "https") == 0;
    if (!origin.secure && strcmp(scheme, "http") != 0)
        return fsh_base_fail(error, FRESHET_EINVAL, "neither https nor http: %s", scheme);
    code = curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    if (code != CURLUE_OK)
        return unread(code, "no usable port in the URL", error);
    if (!origin.secure && !fsh_engine_loopback_host(host))
        return fsh_base_fail(error, FRESHET_EINSECURE, "plain http to %s is refused; use https",
                             host);
    origin.port = (unsigned)strtoul(port, NULL, 10);
    origin.host = lower(host);
    if (!origin.host)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    *ret_origin = origin;
    return FRESHET_OK;
}

void fsh_engine_origin_done(struct fsh_origin *origin)
{
    free(origin->host);
    *origin = (struct fsh_origin){0};
}

int fsh_engine_origins_add(struct fsh_origins *origins, const char *url,
                           struct freshet_error *error)
{
    struct fsh_origin origin = {0};
    struct fsh_origin *list;
    int status = fsh_engine_origin(url, &origin, error);

    if (status != FRESHET_OK)
        return status;
    list = realloc(origins->list, (origins->count + 1) * sizeof(*list));
    if (!list) {
        fsh_engine_origin_done(&origin);
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    }
    origins->list = list;
    list[origins->count++] = origin;
    return FRESHET_OK;
}

void fsh_engine_origins_done(struct fsh_origins *origins)
{
    for (size_t i = 0; i < origins->count; i++)
        fsh_engine_origin_done(&origins->list[i]);
    free(origins->list);
    *origins = (struct fsh_origins){0};
}

static bool same(const struct fsh_origin *a, const struct fsh_origin *b)
{
    return a->secure == b->secure && a->port == b->port && a->host && b->host &&
           strcmp(a->host, b->host) == 0;
}

int fsh_engine_origins_check(const struct fsh_origins *origins, const char *url,
                             struct freshet_error *error)
{
    struct fsh_origin origin = {0};
    int status = fsh_engine_origin(url, &origin, error);
    bool found = false;

    if (status != FRESHET_OK)
        return status;
    for (size_t i = 0; i < origins->count && !found; i++)
        found = same(&origins->list[i], &origin);
    if (!found)
        status =
            fsh_base_fail(error, FRESHET_EORIGIN,
                          "%s://%s:%u is none of the platform's origins; the headers stay here",
                          origin.secure ? "https" : "http", origin.host, origin.port);
    fsh_engine_origin_done(&origin);
    return status;
}
