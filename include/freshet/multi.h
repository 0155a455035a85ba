/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_MULTI_H
#define FRESHET_MULTI_H

#include <curl/curl.h>
#include <freshet/curl.h>
#include <freshet/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The interceptor for libcurl's multi interface: many transfers, one loop, and none of them blocks
 *  it, not even while its token is refreshed.
 *
 *  The program goes on driving its CURLM by itself, with curl_multi_perform and curl_multi_poll or
 *  with curl_multi_socket_action and an event loop. Three things change: it adds its transfers with
 *  freshet_multi_add, it reads the ends with freshet_multi_info_read in place of
 *  curl_multi_info_read, and its loop also waits for freshet_multi_fd:
 *
 *      struct curl_waitfd extra = {.fd = freshet_multi_fd(multi), .events = CURL_WAIT_POLLIN};
 *
 *      while (freshet_multi_count(multi) > 0) {
 *          curl_multi_poll(curl, &extra, 1, 1000, NULL);
 *          curl_multi_perform(curl, &running);
 *          while (freshet_multi_info_read(multi, &message) == 1)
 *              ended(message.easy, message.status, &message.error);
 *      }
 *
 *  One thread at a time uses it, the one that uses the CURLM, and not from a callback of libcurl's.
 *  A session, or its handle, may be closed while it has transfers here, on that thread or while it
 *  is elsewhere: those that wait are told FRESHET_ECLOSED, those that libcurl has go on. */
struct freshet_multi;

/** How a transfer ended. */
struct freshet_multi_message {
    /** The easy handle, which libcurl has no more; curl_easy_getinfo tells about the answer. */
    CURL *easy;
    /** As freshet_curl_perform would return. */
    int status;
    /** libcurl's own result; CURLE_ABORTED_BY_CALLBACK when libcurl was not asked. */
    CURLcode code;
    /** With a status other than FRESHET_OK: its detail. */
    struct freshet_error error;
};

/** Makes an interceptor.
 *
 *  @param curl       the program's; it must outlive the interceptor, which never frees it.
 *  @param ret_multi  the caller ends it with freshet_multi_free.
 *  @return FRESHET_OK, FRESHET_EINVAL, FRESHET_ELIMIT (no descriptor to be had), FRESHET_ENOMEM. */
FRESHET_EXPORT int freshet_multi_new(CURLM *curl, struct freshet_multi **ret_multi,
                                     struct freshet_error *error);

/** Removes all transfers that were not handed back, as freshet_multi_remove, and frees the
 *  interceptor. NULL is allowed. Waits for Freshet's thread, not for the platform. */
FRESHET_EXPORT void freshet_multi_free(struct freshet_multi *multi);

/** A descriptor that is readable while freshet_multi_info_read has something to do beyond what
 *  libcurl's own descriptors and timeouts tell; for poll(2) and its kin, level-triggered. It
 *  belongs to the interceptor: do not read or close it. */
FRESHET_EXPORT int freshet_multi_fd(const struct freshet_multi *multi);

/** Adds a transfer. Never waits: with a usable token at hand libcurl gets it now; else when the
 *  token has come and freshet_multi_info_read is called. If none comes, nothing is sent, and the
 *  transfer ends with what freshet_ensure_fresh would return.
 *
 *  It is guarded as by freshet_curl_perform, and all that is said there of headers, origins and the
 *  options of the handle holds here, until the transfer is handed back or removed. Until then the
 *  program neither frees nor duplicates the handle, nor adds it anywhere else. Timeouts of libcurl
 *  begin when it gets the transfer; the wait for a token has the demand's. The token is that of the
 *  moment when libcurl gets the transfer, however long libcurl itself then holds it back.
 *
 *  @param request  NULL for no headers of one's own and the defaults. Copied, except `headers`,
 *                  which must stay until the transfer is handed back or removed.
 *  @return FRESHET_OK: taken, and handed back exactly once by freshet_multi_info_read, unless it is
 *          removed; else it was not taken, and nothing was sent: FRESHET_EORIGIN,
 *          FRESHET_EINSECURE; FRESHET_EPARTNER, FRESHET_EPARTNERCHOICE; FRESHET_ELIMIT: 65,536
 *          transfers wait; FRESHET_EINVAL: it is here already, or libcurl refuses it;
 *          FRESHET_ENOMEM; FRESHET_EFORKED. */
FRESHET_EXPORT int freshet_multi_add(struct freshet_multi *multi, struct freshet_session *session,
                                     CURL *easy, const struct freshet_curl_request *request,
                                     struct freshet_error *error);

/** Takes a transfer back, whatever has become of it: it waits, it is under way, or its end was not
 *  read. It is not handed back any more. A flight that it waited for goes on. The handle can be
 *  used again at once.
 *
 *  @return FRESHET_OK; FRESHET_EINVAL: it is not here; FRESHET_EFORKED. */
FRESHET_EXPORT int freshet_multi_remove(struct freshet_multi *multi, CURL *easy);

/** How many transfers were added and neither handed back nor removed. What curl_multi_perform says
 *  is running leaves out those that wait for a token. */
FRESHET_EXPORT size_t freshet_multi_count(const struct freshet_multi *multi);

/** Hands the next transfer that has ended back, and attributes a 401. Starts those whose token has
 *  come, so call it, until it returns 0, whenever libcurl has done something and whenever
 *  freshet_multi_fd is readable. Never waits.
 *
 *  A transfer that the program added to the CURLM without Freshet comes through here, too, and
 *  stays in the CURLM, as with curl_multi_info_read; its status is FRESHET_OK or FRESHET_EOUTCOME.
 *
 *  @return 1 with a message, 0 without; FRESHET_EFORKED. */
FRESHET_EXPORT int freshet_multi_info_read(struct freshet_multi *multi,
                                           struct freshet_multi_message *ret_message);

#ifdef __cplusplus
}
#endif

#endif
