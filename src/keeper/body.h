/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_BODY_H
#define FSH_KEEPER_BODY_H

#include "keeper/request.h"

#include <stdbool.h>
#include <stddef.h>

/* The body of a request, as it arrives. It may be a password: whatever has held a part of it is
 * wiped. All zero is none. */
struct fsh_body {
    char *bytes; /* owned; as many as are kept */
    size_t room;
    size_t seen; /* so many have come, kept or not */
};

/* Whether it is clear where the body ends. */
bool fsh_body_framed(const struct fsh_keeper_request *request);

/* Whether the request says itself that its body is larger than FSH_REQUEST_BODY_MAX. */
bool fsh_body_too_large(const struct fsh_keeper_request *request);

/* Takes the next bytes, and wipes them where they were. False: hang up, for there is no memory, or
 * far too many have come. */
bool fsh_body_take(struct fsh_body *body, char *bytes, size_t len);

/* All that has come, with a NUL behind it; "" for none. NULL: more than FSH_REQUEST_BODY_MAX. */
const char *fsh_body_whole(struct fsh_body *body, size_t *ret_len);

void fsh_body_done(struct fsh_body *body);

#endif
