/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_CURL_H
#define FRESHET_CURL_H

#include <curl/curl.h>
#include <freshet/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What freshet_curl_perform needs to know beyond the handle. */
struct freshet_curl_request {
    /** The caller's own headers, as for CURLOPT_HTTPHEADER; borrowed. They are an argument because
     *  libcurl cannot give them back. Any that bear a name of Freshet's are left out. */
    struct curl_slist *headers;
    /** Partner id of this request; NULL for the session's. */
    const char *partner;
    /** NULL for the defaults. */
    const struct freshet_demand *demand;
};

/** curl_easy_perform with a fresh token: ensures that one is there, sets the headers, performs, and
 *  attributes a 401, which goes to the caller as it is. Never sends a request twice.
 *
 *  The headers go to the platform's origins only. A URL elsewhere is refused before anything is
 *  sent, and a redirect to elsewhere ends the transfer before its request is sent.
 *
 *  Set everything but headers on the handle as usual. The function uses CURLOPT_HTTPHEADER,
 *  CURLOPT_PREREQFUNCTION, CURLOPT_PREREQDATA, CURLOPT_UNRESTRICTED_AUTH and, to loopback,
 *  CURLOPT_NOPROXY; afterwards HTTPHEADER is `request->headers`, the others are at their defaults.
 *
 *  @param request   NULL for no headers of one's own and the defaults.
 *  @param ret_code  NULL, or where libcurl's own result is written if it was asked.
 *  @return FRESHET_OK: there is an answer (of whatever HTTP status); FRESHET_EORIGIN,
 *          FRESHET_EINSECURE: refused; FRESHET_EOUTCOME: libcurl failed, see *ret_code, and whether
 *          the platform acted is for the caller to find out; else as freshet_ensure_fresh and
 *          freshet_headers_get, and nothing was sent.
 *
 *  Any thread; the handle is used by one at a time, as always with libcurl. */
FRESHET_EXPORT int freshet_curl_perform(struct freshet_session *session, CURL *handle,
                                        const struct freshet_curl_request *request,
                                        CURLcode *ret_code, struct freshet_error *error);

#ifdef __cplusplus
}
#endif

#endif
