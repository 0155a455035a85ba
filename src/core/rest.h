/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CORE_REST_H
#define FSH_CORE_REST_H

#include "core/session.h"

/* A session at rest: nothing is under way, nobody waits, and nothing went wrong that is still to be
 * remembered. What its core then knows fits in a few bytes, so that a million sessions need not
 * keep a struct fsh_core each. The token in force is not among them: who keeps this keeps that. */
struct fsh_rest {
    uint64_t incarnation;
    uint64_t generation; /* of the record */
    int64_t moment;      /* with a token in force: its background_at; without: read_at */
    struct fsh_wall refresh_until;
    int reason;
    uint8_t phase; /* enum fsh_phase */
    bool refreshable;
};

/* Folds a core away; false when it is not at rest now. */
bool fsh_core_fold(const struct fsh_core *core, struct fsh_now now, struct fsh_rest *ret_rest);

/* Makes a core of it again, after fsh_core_init: one that answers every event as the folded one
 * would have. `published` is the generation of the token in force, or 0; `token` its moments, of
 * which background_at does not count; `wake_at` is what fsh_core_wake_at said. */
void fsh_core_unfold(struct fsh_core *core, const struct fsh_rest *rest, uint64_t published,
                     const struct fsh_freshness *token, struct fsh_mono wake_at);

#endif
