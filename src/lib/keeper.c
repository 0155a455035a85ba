/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/keeper.h"

#include "base/error.h"
#include "engine/http.h"

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

static int problem_of(long http, const struct fsh_secret *body, struct freshet_error *error)
{
    struct fsh_problem problem;

    fsh_remote_read_problem((int)http, fsh_base_secret_reveal(body), body->len, &problem);
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
    struct fsh_http_options options = {.url = "http://keeper", .socket = socket};
    struct fsh_secret body = {0};
    long http = 0;
    int status = fsh_http_get(&options, path, ANSWER_MS, &http, &body, error);

    if (status == FRESHET_OK && http != 200)
        status = problem_of(http, &body, error);
    else if (status == FRESHET_OK)
        fsh_base_secret_move(ret_body, &body);
    fsh_base_secret_done(&body);
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
