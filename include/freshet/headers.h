/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_HEADERS_H
#define FRESHET_HEADERS_H

#include <freshet/export.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One header of a request. Both strings end with NUL and hold no line break. */
struct freshet_header {
    const char *name;
    const char *value;
};

/** The headers that a request to the platform must carry: all of them, or it must not be sent.
 *
 *  Immutable, and shared by all who hold it: any thread may read it until its last reference goes.
 *  It stays valid when the session is refreshed, ended or closed; its token is then an old one. */
struct freshet_headers {
    /** Serial number of the access token. Hand it to freshet_unauthorized with a 401. */
    uint64_t generation;
    /** Number of headers in `list`. */
    size_t count;
    const struct freshet_header *list;
};

/** Takes one more reference. Returns `headers`. NULL is allowed. Any thread; never fails. */
FRESHET_EXPORT const struct freshet_headers *
freshet_headers_ref(const struct freshet_headers *headers);

/** Gives a reference back; with the last one the token is wiped. NULL is allowed. Any thread. */
FRESHET_EXPORT void freshet_headers_unref(const struct freshet_headers *headers);

#ifdef __cplusplus
}
#endif

#endif
