/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_CLIENT_H
#define FRESHET_CLIENT_H

#include <freshet/error.h>
#include <freshet/export.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One platform, with its sessions, stores and one background thread. */
struct freshet;

/** What freshet_open needs to know. All strings are copied. Initialise with FRESHET_OPTIONS_INIT,
 * so that a program built today means the same to the library of tomorrow. */
struct freshet_options {
    /** sizeof(struct freshet_options). */
    size_t size;
    /** The platform's base URL, such as "https://api.example.com": https, or http to loopback. With
     *  a keeper, NULL for the keeper's own. */
    const char *url;
    /** Further origins that the headers may go to, `origins_count` of them; NULL for none. */
    const char *const *origins;
    size_t origins_count;
    /** How the platform speaks; NULL for "partner". */
    const char *profile;
    /** Where refresh tokens are kept: "memory:" (or NULL), which is gone with the handle, or
     *  "sqlite:" and the path of a file, which is made when it is not there.
     *
     *  Or "keeper:" and the absolute path of a keeper's control socket, such as
     *  "keeper:/run/freshet/control.sock": then the sessions are the keeper's, and only access
     *  tokens come here. The API is the same. `profile`, `tokens`, `ca_file`, `proxy` and
     *  `key_file` say nothing, and neither do the credentials of a session's options, for the
     *  keeper signs in. A token that is in hand serves to its end while the keeper is away. The
     *  keeper decides which sessions this user may see, report 401s of, and sign in and out
     *  (FRESHET_EACCESS otherwise). */
    const char *secrets;
    /** Where access tokens are kept, likewise. Not in the same file. */
    const char *tokens;
    /** Time left of a token at which it is refreshed, in milliseconds; 0 for 300,000. */
    int64_t threshold_ms;
    /** File of the CA certificates to trust; NULL for libcurl's own. */
    const char *ca_file;
    /** Proxy towards the platform; NULL for what the environment says. Never used to loopback. */
    const char *proxy;
    /** File of the keys that stores on a disk are sealed with: needed by sqlite:; made by
     *  `freshet key new`; NULL for none. */
    const char *key_file;
};

/** The defaults. */
#define FRESHET_OPTIONS_INIT                                                                       \
    {                                                                                              \
        sizeof(struct freshet_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                               \
    }

/** Opens a platform: checks the options, opens the stores, starts the background thread. Sends
 *  nothing to the platform yet. A keeper is asked which platform it is of, 5 seconds at the most;
 *  when none answers and `url` is given, that is no failure yet. Each token that it hands out says
 *  of which platform it is: one of another is never taken, and who asks for it is told
 *  FRESHET_ECONFIG.
 *
 *  @param options      what to open; borrowed.
 *  @param ret_freshet  the handle; the caller closes it with freshet_close.
 *  @param error        detail of a failure, or NULL.
 *  @return FRESHET_OK; FRESHET_EINVAL, FRESHET_ECONFIG or FRESHET_EINSECURE for options that cannot
 *          be, such as the url of another platform than the keeper's; FRESHET_ESTORE;
 *          FRESHET_EUNAVAILABLE when no keeper answers and `url` is NULL; FRESHET_ELIMIT;
 *          FRESHET_ENOMEM.
 *
 *  Any thread. The handle may be used by all threads of this process, but not after fork(2): in the
 *  child every call returns FRESHET_EFORKED until the child opens a handle of its own. */
FRESHET_EXPORT int freshet_open(const struct freshet_options *options, struct freshet **ret_freshet,
                                struct freshet_error *error);

/** Closes the platform and all its sessions. Callers who wait are told FRESHET_ECLOSED. Returns
 * when what must not be lost (a refresh with a rotating refresh token in the air) has landed, after
 * 15 seconds at the most. NULL is allowed. No other call may be made with the handle or one of its
 *  sessions from the moment this one begins; headers that were taken stay valid. */
FRESHET_EXPORT void freshet_close(struct freshet *freshet);

/** Tells whether the headers may go to a URL: whether it is at one of the platform's origins. For
 *  programs that send their requests by other means than the interceptors of libcurl; they must ask
 *  for each hop of a redirect anew. Looks at the text alone: no name is resolved.
 *
 *  @param url           an absolute URL.
 *  @param ret_loopback  NULL, or where is written whether the URL's host is this machine: then it
 *                       must be reached without a proxy.
 *  @return FRESHET_OK; FRESHET_EORIGIN, FRESHET_EINSECURE: the headers must not go there;
 *          FRESHET_EINVAL: no URL of http or https, or one with a user in it; FRESHET_EFORKED;
 *          FRESHET_ENOMEM. Any thread. */
FRESHET_EXPORT int freshet_url_check(const struct freshet *freshet, const char *url,
                                     bool *ret_loopback, struct freshet_error *error);

#ifdef __cplusplus
}
#endif

#endif
