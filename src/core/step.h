/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CORE_STEP_H
#define FSH_CORE_STEP_H

#include "core/session.h"

/* What the files of the state machine share. */

/* Appends an effect; the caller fills in what its kind needs. */
struct fsh_effect *fsh_core_put(struct fsh_effects *fx, enum fsh_effect_kind kind);

void fsh_core_note(struct fsh_effects *fx, enum fsh_note_kind note, int status, int64_t value);

/* Starts what is due, and finds out when to look again. Every event ends with it. */
void fsh_core_advance(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx);

/* Makes `step` the current one and submits it. */
void fsh_core_begin(struct fsh_core *core, enum fsh_step step, struct fsh_now *now,
                    struct fsh_effects *fx);

/* Has `step`, the current one, submitted again after a pause. */
void fsh_core_pause(struct fsh_core *core, struct fsh_mono retry_at);

/* The flight is over, with or without a new token: held 401s are judged, waiters woken, its
 * secrets wiped. */
void fsh_core_flight_over(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx);

/* Tells the person whose command the flight carries out, if it is one's. */
void fsh_core_reply(struct fsh_core *core, int status, struct fsh_effects *fx);

/* No token is in force any more. */
void fsh_core_withdraw(struct fsh_core *core, struct fsh_effects *fx);

/* The record was read: what it says now stands. May begin FSH_STEP_ADOPT; otherwise idle. */
void fsh_core_settle(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx);

/* The session is to be ended for `reason`, a status. */
void fsh_core_condemn(struct fsh_core *core, int reason, struct fsh_effects *fx);

/* Whether a flight may yet bring a token of a new generation. */
bool fsh_core_flying(const struct fsh_core *core);

/* A 401 counts, since no flight has proved it late (rule 3). */
void fsh_core_judge(struct fsh_core *core, struct fsh_mono now, struct fsh_effects *fx);

/* Sends the probe when one is due. */
void fsh_core_probe(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx);

void fsh_core_probe_answered(struct fsh_core *core, struct fsh_now *now,
                             const struct fsh_result *result, struct fsh_effects *fx);

/* Moves core->wake_at to `at` if that is earlier. */
static inline void fsh_core_look_at(struct fsh_core *core, struct fsh_mono at)
{
    core->wake_at = fsh_mono_min(core->wake_at, at);
}

#endif
