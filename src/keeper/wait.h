/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_WAIT_H
#define FSH_KEEPER_WAIT_H

#include "keeper/browser.h"

/* A request that waits for a token of a browser's session. */

/* Answers it. */
typedef void fsh_browser_then(struct fsh_keeper_request *request, struct fsh_browser *browser,
                              int status, const struct freshet_freshness *freshness,
                              const struct freshet_error *error);

/* Calls `then` when the demand is met, or cannot be, unless the client goes before. A session that
 * is signed out meanwhile has ended, whatever landed. Takes over the reference. */
void fsh_browser_wait(struct fsh_keeper_request *request, struct fsh_browser *browser,
                      const struct freshet_demand *demand, fsh_browser_then *then);

#endif
