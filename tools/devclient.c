/* SPDX-License-Identifier: Apache-2.0 */
#include "devclient.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct body {
    char *text;
    size_t size;
    size_t len;
};

static size_t take(char *bytes, size_t size, size_t count, void *data)
{
    struct body *body = data;
    size_t len = size * count;
    size_t room = body->size > body->len + 1 ? body->size - body->len - 1 : 0;

    if (body->text && room > 0) {
        memcpy(body->text + body->len, bytes, len < room ? len : room);
        body->len += len < room ? len : room;
        body->text[body->len] = '\0';
    }
    return len;
}

long devclient_send(const struct devclient *client, const char *method, const char *path,
                    const char *body, char *ret_body, size_t size)
{
    struct body answer = {ret_body, size, 0};
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *easy = curl_easy_init();
    char url[512];
    long status = 0;

    if (ret_body && size > 0)
        ret_body[0] = '\0';
    (void)snprintf(url, sizeof(url), "%s%s", client->url, path);
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT, 10L);
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, &answer);
    if (body)
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    if (curl_easy_perform(easy) == CURLE_OK)
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    return status;
}

/* A number of the object that the devserver answers with; -1 when there is no such. */
static long number_at(const struct devclient *client, const char *path, const char *name)
{
    char body[8192];
    json_t *answer;
    json_t *value;
    long number = -1;

    if (devclient_send(client, "GET", path, NULL, body, sizeof(body)) != 200)
        return -1;
    answer = json_loads(body, 0, NULL);
    value = json_object_get(answer, name);
    if (json_is_integer(value))
        number = (long)json_integer_value(value);
    json_decref(answer);
    return number;
}

long devclient_counter(const struct devclient *client, const char *name)
{
    return number_at(client, "/_dev/counters", name);
}

long devclient_refreshes_of(const struct devclient *client, const char *username)
{
    char path[160];

    (void)snprintf(path, sizeof(path), "/_dev/accounts/%s", username);
    return number_at(client, path, "refreshes");
}

int devclient_totp(const struct devclient *client, const char *username, char ret_code[16])
{
    char path[160];
    char body[512];
    json_t *answer;
    const char *code;
    int failed = -1;

    (void)snprintf(path, sizeof(path), "/_dev/totp/%s", username);
    if (devclient_send(client, "GET", path, NULL, body, sizeof(body)) != 200)
        return -1;
    answer = json_loads(body, 0, NULL);
    code = json_string_value(json_object_get(answer, "code"));
    if (code && strlen(code) < 16) {
        (void)snprintf(ret_code, 16, "%s", code);
        failed = 0;
    }
    json_decref(answer);
    return failed;
}
