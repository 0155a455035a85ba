/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_FRESHET_H
#define FRESHET_FRESHET_H

/** Freshet keeps API sessions fresh: everything but <freshet/curl.h> and
 *  <freshet/multi.h>, which need libcurl's header.
 *
 *  The conventions of all functions: they return FRESHET_OK (0) or a negative status of
 *  <freshet/status.h>; outputs are named ret_ and written only on success; detail goes to an
 *  optional struct freshet_error of the caller's; durations are milliseconds; strings are UTF-8 and
 *  end with NUL. */

#include <freshet/async.h>
#include <freshet/client.h>
#include <freshet/error.h>
#include <freshet/headers.h>
#include <freshet/ledger.h>
#include <freshet/mfa.h>
#include <freshet/session.h>
#include <freshet/status.h>

#endif
