/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/keeper.h"

#include "base/error.h"

#include <curl/curl.h>
#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define SCHEME "keeper:"

/* A keeper answers these out of its memory. */
#define ANSWER_MS 5000

const char *fsh_lib_keeper_socket(const char *secrets)
{
    return secrets && strncmp(secrets, SCHEME, sizeof(SCHEME) - 1) == 0
               ? secrets + sizeof(SCHEME) - 1
               : NULL;
}

int fsh_lib_keeper_check(const char *socket, struct freshet_error *error)
{
    size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    if (socket[0] != '/' || strlen(socket) > most)
        return fsh_base_fail(
            error, FRESHET_ECONFIG,
            "keeper: takes the absolute path of the keeper's control socket, of %zu "
            "bytes at most, such as keeper:/run/freshet/control.sock",
            most);
    return FRESHET_OK;
}

/* ---- one exchange ------------------------------------------------------------------------ */

struct answer {
    struct fsh_secret body;
    bool too_big;
    bool no_memory;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
    struct answer *answer = data;
    size_t len = size * count;
    char *longer;

    if (len > FSH_BODY_MAX - answer->body.len) {
        answer->too_big = true;
        return 0;
    }
    longer = malloc(answer->body.len + len + 1);
    if (!longer) {
        answer->no_memory = true;
        return 0;
    }
    if (answer->body.len > 0)
        memcpy(longer, answer->body.bytes, answer->body.len);
    memcpy(longer + answer->body.len, bytes, len);
    len += answer->body.len;
    longer[len] = '\0';
    fsh_base_secret_done(&answer->body);
    fsh_base_secret_adopt(&answer->body, longer, len);
    return size * count;
}

static bool set_up(CURL *easy, const char *socket, const char *path, struct answer *answer)
{
    char url[512];

    (void)snprintf(url, sizeof(url), "http://keeper%s", path);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "freshet/" FRESHET_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    return curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, socket) == CURLE_OK;
}

static int no_answer(const char *socket, CURLcode code, const struct answer *answer,
                     struct freshet_error *error)
{
    if (code == CURLE_OUT_OF_MEMORY || answer->no_memory)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    if (answer->too_big)
        return fsh_base_fail(error, FRESHET_EBADBODY, "the keeper's answer is larger than 256 KiB");
    if (code == CURLE_COULDNT_CONNECT)
        return fsh_base_fail(error, FRESHET_EUNAVAILABLE,
                             "no keeper answers at %.120s; is freshetd running?", socket);
    return fsh_base_fail(error, FRESHET_EUNAVAILABLE, "the keeper at %.120s: %s", socket,
                         curl_easy_strerror(code));
}

static int problem_of(long http, const struct answer *answer, struct freshet_error *error)
{
    struct fsh_problem problem;

    fsh_remote_read_problem((int)http, fsh_base_secret_reveal(&answer->body), answer->body.len,
                            &problem);
    (void)fsh_base_fail(error, problem.status, "%s", problem.detail);
    if (error) {
        error->retry_after_ms = problem.retry_after_ms;
        error->http_status = problem.platform_http;
        (void)snprintf(error->code, sizeof(error->code), "%s", problem.code);
    }
    return problem.status;
}

int fsh_lib_keeper_get(const char *socket, const char *path, struct fsh_secret *ret_body,
                       struct freshet_error *error)
{
    struct answer answer = {0};
    CURLcode code = CURLE_OUT_OF_MEMORY;
    long http = 0;
    int status = FRESHET_OK;
    CURL *easy = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_easy_init() : NULL;

    if (easy && set_up(easy, socket, path, &answer))
        code = curl_easy_perform(easy);
    if (code == CURLE_OK)
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http);
    if (code != CURLE_OK)
        status = no_answer(socket, code, &answer, error);
    else if (http != 200)
        status = problem_of(http, &answer, error);
    else
        fsh_base_secret_move(ret_body, &answer.body);
    fsh_base_secret_done(&answer.body);
    if (easy)
        curl_easy_cleanup(easy);
    return status;
}

/* ---- the platform ------------------------------------------------------------------------ */

int fsh_lib_keeper_new(const char *socket, const char *url, struct fsh_remote_keeper **ret_keeper,
                       struct freshet_error *error)
{
    struct fsh_remote_keeper *keeper;
    int status = fsh_lib_keeper_check(socket, error);

    if (status != FRESHET_OK)
        return status;
    keeper = calloc(1, sizeof(*keeper));
    if (keeper) {
        keeper->socket = strdup(socket);
        keeper->platform.url = url ? strdup(url) : NULL;
    }
    if (!keeper || !keeper->socket || (url && !keeper->platform.url)) {
        fsh_lib_keeper_free(keeper);
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    }
    *ret_keeper = keeper;
    return FRESHET_OK;
}

void fsh_lib_keeper_free(struct fsh_remote_keeper *keeper)
{
    if (!keeper)
        return;
    fsh_remote_platform_done(&keeper->platform);
    free(keeper->socket);
    free(keeper);
}

int fsh_lib_keeper_meet(struct fsh_remote_keeper *keeper, struct freshet_error *error)
{
    struct fsh_remote_platform told;
    struct fsh_secret body = {0};
    int status = fsh_lib_keeper_get(keeper->socket, "/v1/platform", &body, error);

    if (status != FRESHET_OK)
        return status;
    status = fsh_remote_read_platform(fsh_base_secret_reveal(&body), body.len, &told);
    fsh_base_secret_done(&body);
    if (status != FRESHET_OK)
        return fsh_base_fail(error, status, "the keeper at %.120s: %s", keeper->socket,
                             freshet_status_text(status));
    if (!keeper->platform.url) {
        keeper->platform = told;
        return FRESHET_OK;
    }
    status = fsh_remote_same_platform(keeper, &told, error);
    fsh_remote_platform_done(&told);
    return status;
}
