/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_LIB_ASK_H
#define FSH_LIB_ASK_H

#include <freshet/async.h>
#include <freshet/ledger.h>
#include <freshet/mfa.h>
#include <freshet/session.h>

/* What the keeper needs beyond the public functions: the same without waiting. The asynchronous
 * ones are like those of <freshet/async.h>; what they have to tell stands in ret_x, which must be
 * there until `done` is called, and is written before it, with FRESHET_OK only. */

/* Whether the token in force does for the demand: the fast path. Sees to a refresh below the
 * threshold. */
bool fsh_lib_at_hand(struct freshet_session *session, const struct freshet_demand *demand,
                     struct freshet_freshness *ret_freshness);

#endif
