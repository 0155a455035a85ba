/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/guard.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void fsh_lib_guard_init(struct fsh_guard *guard, struct freshet_session *session, CURL *easy,
                        struct curl_slist *own)
{
    fsh_engine_session_ref(&session->engine);
    *guard = (struct fsh_guard){
        .easy = easy,
        .session = session,
        .origins = fsh_lib_origins_ref(session->freshet->origins),
        .own = own,
    };
}

void fsh_lib_guard_done(struct fsh_guard *guard)
{
    fsh_engine_session_unref(&guard->session->engine);
    fsh_lib_origins_unref(guard->origins);
    *guard = (struct fsh_guard){0};
}

/* ---- origins ----------------------------------------------------------------------------- */

/* A handle whose URL is set by CURLOPT_CURLU does not tell it before it performs: the guard checks
 * it then, as it does each hop. */
int fsh_lib_guard_check(struct fsh_guard *guard, struct freshet_error *error)
{
    char *url = NULL;

    (void)curl_easy_getinfo(guard->easy, CURLINFO_EFFECTIVE_URL, &url);
    if (!url || url[0] == '\0')
        return FRESHET_OK;
    return fsh_lib_origins_check(guard->origins, url, &guard->loopback, error);
}

/* Called for each hop, when its connection stands and before its request leaves. */
static int before_request(void *data, char *remote, char *local, int remote_port, int local_port)
{
    struct fsh_guard *guard = data;
    bool loopback = false;
    char *url = NULL;

    (void)local;
    (void)remote_port;
    (void)local_port;
    (void)curl_easy_getinfo(guard->easy, CURLINFO_EFFECTIVE_URL, &url);
    guard->refusal =
        fsh_lib_origins_check(guard->origins, url ? url : "", &loopback, &guard->error);
    if (guard->refusal == FRESHET_OK && loopback &&
        (!guard->loopback || !fsh_engine_loopback_address(remote)))
        guard->refusal = fsh_base_fail(&guard->error, FRESHET_EINSECURE,
                                       "a loopback URL that leads elsewhere is refused");
    if (guard->refusal != FRESHET_OK)
        return CURL_PREREQFUNC_ABORT;
    guard->sent = true;
    return CURL_PREREQFUNC_OK;
}

/* ---- headers ----------------------------------------------------------------------------- */

static void wipe_list(struct curl_slist *list)
{
    for (struct curl_slist *line = list; line; line = line->next)
        fsh_base_wipe(line->data, strlen(line->data));
    curl_slist_free_all(list);
}

static bool names(const char *line, const char *name)
{
    size_t len = strlen(name);

    return strncasecmp(line, name, len) == 0 && (line[len] == ':' || line[len] == ';');
}

static bool is_ours(const char *line, const struct freshet_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (names(line, headers->list[i].name))
            return true;
    }
    return false;
}

static bool append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool append_header(struct curl_slist **list, const struct freshet_header *header)
{
    size_t room = strlen(header->name) + strlen(header->value) + 3;
    char *line = malloc(room);
    bool appended;

    if (!line)
        return false;
    (void)snprintf(line, room, "%s: %s", header->name, header->value);
    appended = append(list, line);
    fsh_base_wipe(line, room);
    free(line);
    return appended;
}

/* Ours, and the caller's without those that bear our names. NULL without memory. */
static struct curl_slist *merge(const struct curl_slist *own, const struct freshet_headers *headers)
{
    struct curl_slist *list = NULL;
    bool good = true;

    for (size_t i = 0; i < headers->count && good; i++)
        good = append_header(&list, &headers->list[i]);
    for (const struct curl_slist *line = own; line && good; line = line->next)
        good = is_ours(line->data, headers) || append(&list, line->data);
    if (good)
        return list;
    wipe_list(list);
    return NULL;
}

/* ---- on and off -------------------------------------------------------------------------- */

/* False without memory: libcurl copies what it is told about proxies. */
static bool set_all(struct fsh_guard *guard)
{
    (void)curl_easy_setopt(guard->easy, CURLOPT_HTTPHEADER, guard->list);
    (void)curl_easy_setopt(guard->easy, CURLOPT_PREREQFUNCTION, before_request);
    (void)curl_easy_setopt(guard->easy, CURLOPT_PREREQDATA, guard);
    /* Between the platform's own origins both headers go along; libcurl by itself would drop one of
     * them (rule 4). The guard keeps them from going anywhere else. */
    (void)curl_easy_setopt(guard->easy, CURLOPT_UNRESTRICTED_AUTH, 1L);
    return !guard->loopback || curl_easy_setopt(guard->easy, CURLOPT_NOPROXY, "*") == CURLE_OK;
}

static void unset_all(struct fsh_guard *guard)
{
    (void)curl_easy_setopt(guard->easy, CURLOPT_HTTPHEADER, guard->own);
    (void)curl_easy_setopt(guard->easy, CURLOPT_PREREQFUNCTION, NULL);
    (void)curl_easy_setopt(guard->easy, CURLOPT_PREREQDATA, NULL);
    (void)curl_easy_setopt(guard->easy, CURLOPT_UNRESTRICTED_AUTH, 0L);
    if (guard->loopback)
        (void)curl_easy_setopt(guard->easy, CURLOPT_NOPROXY, NULL);
}

int fsh_lib_guard_put_on(struct fsh_guard *guard, const char *partner, struct freshet_error *error)
{
    const struct freshet_headers *headers = NULL;
    int status = freshet_headers_get(guard->session, partner, &headers, error);

    if (status != FRESHET_OK)
        return status;
    guard->list = merge(guard->own, headers);
    guard->generation = headers->generation;
    freshet_headers_unref(headers);
    if (!guard->list)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    guard->sent = false;
    guard->refusal = FRESHET_OK;
    if (set_all(guard))
        return FRESHET_OK;
    unset_all(guard);
    wipe_list(guard->list);
    guard->list = NULL;
    return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
}

/* Not with an answer that the handle still has from an earlier transfer, and not once the session
 * is closed: then there is nobody to tell. */
static void attribute(const struct fsh_guard *guard)
{
    long http_status = 0;

    if (!guard->sent || guard->refusal != FRESHET_OK || atomic_load(&guard->session->engine.closed))
        return;
    (void)curl_easy_getinfo(guard->easy, CURLINFO_RESPONSE_CODE, &http_status);
    if (http_status == 401)
        (void)freshet_unauthorized(guard->session, guard->generation);
}

int fsh_lib_guard_take_off(struct fsh_guard *guard, CURLcode code, struct freshet_error *error)
{
    unset_all(guard);
    wipe_list(guard->list);
    guard->list = NULL;
    attribute(guard);
    if (guard->refusal != FRESHET_OK) {
        if (error)
            *error = guard->error;
        return guard->refusal;
    }
    if (code != CURLE_OK)
        return fsh_base_fail(error, FRESHET_EOUTCOME, "libcurl: %s", curl_easy_strerror(code));
    return FRESHET_OK;
}
