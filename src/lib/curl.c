/* SPDX-License-Identifier: Apache-2.0 */

/* The fetch interceptor of C. */

#include "base/error.h"
#include "lib/guard.h"

#include <freshet/curl.h>

static int perform(struct fsh_guard *guard, const struct freshet_curl_request *request,
                   CURLcode *ret_code, struct freshet_error *error)
{
    int status = fsh_lib_guard_check(guard, error);
    CURLcode code;

    if (status == FRESHET_OK)
        status = freshet_ensure_fresh(guard->session, request->demand, NULL, error);
    if (status == FRESHET_OK)
        status = fsh_lib_guard_put_on(guard, request->partner, error);
    if (status != FRESHET_OK)
        return status;
    code = curl_easy_perform(guard->easy);
    if (ret_code)
        *ret_code = code;
    return fsh_lib_guard_take_off(guard, code, error);
}

int freshet_curl_perform(struct freshet_session *session, CURL *handle,
                         const struct freshet_curl_request *request, CURLcode *ret_code,
                         struct freshet_error *error)
{
    static const struct freshet_curl_request plain = {0};
    struct fsh_guard guard;
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    if (!request)
        request = &plain;
    fsh_lib_guard_init(&guard, session, handle, request->headers);
    status = perform(&guard, request, ret_code, error);
    fsh_lib_guard_done(&guard);
    return status;
}
