/* SPDX-License-Identifier: Apache-2.0 */

/* The fetch interceptor of C. */

#include "base/error.h"
#include "lib/internal.h"

#include <freshet/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One guarded transfer. */
struct guard {
    struct freshet_session *session;
    CURL *handle;
    bool loopback; /* the first URL leads to loopback, past any proxy */
    int refusal;   /* why the transfer was ended, a status */
    struct freshet_error error;
};

/* Checks that the headers may go to `url`, and finds out whether that is on this machine. */
static int check_url(struct freshet_session *session, const char *url, bool *ret_loopback,
                     struct freshet_error *error)
{
    struct fsh_origin origin;
    int status = fsh_engine_origins_check(&session->freshet->origins, url, error);

    if (status == FRESHET_OK)
        status = fsh_engine_origin(url, &origin, error);
    if (status != FRESHET_OK)
        return status;
    *ret_loopback = fsh_engine_loopback_host(origin.host);
    fsh_engine_origin_done(&origin);
    return FRESHET_OK;
}

/* Called for each hop, when its connection stands and before its request leaves: the place where
 * the headers are kept from going elsewhere (rule 13). */
static int before_request(void *data, char *remote, char *local, int remote_port, int local_port)
{
    struct guard *guard = data;
    bool loopback = false;
    char *url = NULL;

    (void)local;
    (void)remote_port;
    (void)local_port;
    (void)curl_easy_getinfo(guard->handle, CURLINFO_EFFECTIVE_URL, &url);
    guard->refusal = check_url(guard->session, url ? url : "", &loopback, &guard->error);
    if (guard->refusal == FRESHET_OK && loopback &&
        (!guard->loopback || !fsh_engine_loopback_address(remote)))
        guard->refusal = fsh_base_fail(&guard->error, FRESHET_EINSECURE,
                                       "a loopback URL that leads elsewhere is refused");
    return guard->refusal == FRESHET_OK ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
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

/* ---- performing -------------------------------------------------------------------------- */

/* False without memory: libcurl copies what it is told about proxies. */
static bool set_guard(struct guard *guard, struct curl_slist *list)
{
    CURL *handle = guard->handle;

    (void)curl_easy_setopt(handle, CURLOPT_HTTPHEADER, list);
    (void)curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, before_request);
    (void)curl_easy_setopt(handle, CURLOPT_PREREQDATA, guard);
    /* Between the platform's own origins both headers go along; libcurl by itself would drop one of
     * them (rule 4). The guard keeps them from going anywhere else. */
    (void)curl_easy_setopt(handle, CURLOPT_UNRESTRICTED_AUTH, 1L);
    return !guard->loopback || curl_easy_setopt(handle, CURLOPT_NOPROXY, "*") == CURLE_OK;
}

static void take_guard_off(struct guard *guard, struct curl_slist *own)
{
    CURL *handle = guard->handle;

    (void)curl_easy_setopt(handle, CURLOPT_HTTPHEADER, own);
    (void)curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, NULL);
    (void)curl_easy_setopt(handle, CURLOPT_PREREQDATA, NULL);
    (void)curl_easy_setopt(handle, CURLOPT_UNRESTRICTED_AUTH, 0L);
    if (guard->loopback)
        (void)curl_easy_setopt(handle, CURLOPT_NOPROXY, NULL);
}

static void attribute(struct guard *guard, uint64_t generation)
{
    long http_status = 0;

    (void)curl_easy_getinfo(guard->handle, CURLINFO_RESPONSE_CODE, &http_status);
    if (http_status == 401)
        (void)freshet_unauthorized(guard->session, generation);
}

static int outcome(const struct guard *guard, CURLcode code, struct freshet_error *error)
{
    if (guard->refusal != FRESHET_OK) {
        if (error)
            *error = guard->error;
        return guard->refusal;
    }
    if (code != CURLE_OK)
        return fsh_base_fail(error, FRESHET_EOUTCOME, "libcurl: %s", curl_easy_strerror(code));
    return FRESHET_OK;
}

static int perform(struct guard *guard, const struct freshet_curl_request *request,
                   const struct freshet_headers *headers, CURLcode *ret_code,
                   struct freshet_error *error)
{
    struct curl_slist *list = merge(request->headers, headers);
    CURLcode code = CURLE_OUT_OF_MEMORY;
    bool guarded;

    if (!list)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    guarded = set_guard(guard, list);
    if (guarded)
        code = curl_easy_perform(guard->handle);
    take_guard_off(guard, request->headers);
    wipe_list(list);
    if (!guarded)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    if (guard->refusal == FRESHET_OK)
        attribute(guard, headers->generation);
    if (ret_code)
        *ret_code = code;
    return outcome(guard, code, error);
}

/* A handle whose URL is set by CURLOPT_CURLU does not tell it before it performs: the guard checks
 * it then, as it does each hop. */
static int check_first_url(struct guard *guard, struct freshet_error *error)
{
    char *url = NULL;

    (void)curl_easy_getinfo(guard->handle, CURLINFO_EFFECTIVE_URL, &url);
    if (!url || url[0] == '\0')
        return FRESHET_OK;
    return check_url(guard->session, url, &guard->loopback, error);
}

int freshet_curl_perform(struct freshet_session *session, CURL *handle,
                         const struct freshet_curl_request *request, CURLcode *ret_code,
                         struct freshet_error *error)
{
    static const struct freshet_curl_request plain = {0};
    struct guard guard = {.session = session, .handle = handle};
    const struct freshet_headers *headers = NULL;
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    if (!request)
        request = &plain;
    status = check_first_url(&guard, error);
    if (status == FRESHET_OK)
        status = freshet_ensure_fresh(session, request->demand, NULL, error);
    if (status == FRESHET_OK)
        status = freshet_headers_get(session, request->partner, &headers, error);
    if (status == FRESHET_OK)
        status = perform(&guard, request, headers, ret_code, error);
    freshet_headers_unref(headers);
    return status;
}
