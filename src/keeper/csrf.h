/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_CSRF_H
#define FSH_KEEPER_CSRF_H

#include "keeper/request.h"

/* Whether a request that comes with a browser's cookie was meant by a page of ours. */

/* A request that changes something: Origin is exactly `origin`, and X-Freshet-CSRF, which no form
 * and no foreign page can set, is there. */
bool fsh_csrf_changes(const struct fsh_keeper_request *request, const char *origin);

/* The request that a gateway asks about: one of an unsafe method (or of an unknown one) must be as
 * above; an upgrade, which no page can give a header, needs the origin alone. */
bool fsh_csrf_forwarded(const struct fsh_keeper_request *request, const char *origin);

#endif
