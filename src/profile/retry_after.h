/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_PROFILE_RETRY_AFTER_H
#define FSH_PROFILE_RETRY_AFTER_H

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

/* Reads a date of HTTP (RFC 9110, 5.6.7): IMF-fixdate, and the two obsolete forms. Strict. */
bool fsh_profile_http_date(const char *text, struct fsh_wall *ret_at);

/* Milliseconds that a Retry-After asks for: seconds, or a date that is compared with the answer's
 * own Date (so that a wrong clock of this machine does not matter) or else with `now`. At most
 * FSH_RETRY_AFTER_MS; 0 for a date that has passed; -1 for NULL and for what is neither. */
int64_t fsh_profile_retry_after(const char *text, const char *date, struct fsh_wall now);

#endif
