/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_LIB_GUARD_H
#define FSH_LIB_GUARD_H

#include "lib/internal.h"

#include <curl/curl.h>

/* What the libcurl interceptors put around a transfer: both headers, and the look at each hop that
 * keeps them from going elsewhere (rule 13). It outlives the session and its handle, so that a
 * transfer may, too. It stays in place while it is on. */
struct fsh_guard {
    CURL *easy;
    struct freshet_session *session; /* a reference */
    struct fsh_shared_origins *origins;
    struct curl_slist *own;  /* the caller's headers, borrowed */
    struct curl_slist *list; /* those, and ours before them; NULL while the guard is off */
    uint64_t generation;
    bool loopback; /* the first URL leads to loopback, past any proxy */
    bool sent;     /* a request was let through, so an answer may be there */
    int refusal;   /* why the transfer was ended, a status */
    struct freshet_error error;
};

void fsh_lib_guard_init(struct fsh_guard *guard, struct freshet_session *session, CURL *easy,
                        struct curl_slist *own);

/* It must be off. */
void fsh_lib_guard_done(struct fsh_guard *guard);

/* Whether the headers may go to the URL that is set. */
int fsh_lib_guard_check(struct fsh_guard *guard, struct freshet_error *error);

/* Takes the headers of the token in force and sets everything on the easy handle. `partner` as for
 * freshet_headers_get, whose statuses these are, with FRESHET_ENOMEM. */
int fsh_lib_guard_put_on(struct fsh_guard *guard, const char *partner, struct freshet_error *error);

/* Takes everything off the easy handle, which libcurl must not have any more, and attributes a 401.
 * Returns what became of the transfer that ended with `code`, as freshet_curl_perform does. */
int fsh_lib_guard_take_off(struct fsh_guard *guard, CURLcode code, struct freshet_error *error);

#endif
