/* SPDX-License-Identifier: Apache-2.0 */
#include "core/rest.h"

static bool busy(const struct fsh_core *core)
{
    return core->step != FSH_STEP_IDLE || !core->loaded || core->errand != FSH_ERRAND_NONE ||
           core->command != FSH_ERRAND_NONE || core->signing_out || core->ending != 0 ||
           core->closing || (core->wanted && core->record.phase == FSH_PHASE_LIVE);
}

/* An open challenge, a 401 to be judged, or a failure to be told and made good. */
static bool troubled(const struct fsh_core *core)
{
    /* What was withdrawn from a session that lives is not to be adopted again. One that does not
     * live comes back with a higher generation only. */
    bool withdrawn =
        core->record.phase == FSH_PHASE_LIVE && core->withdrawn >= core->record.generation;

    return core->challenge != 0 || core->reported != 0 || core->suspect != 0 || core->probing ||
           core->failure != 0 || core->store_failures != 0 || core->clean ||
           core->record.parked != 0 || core->record.refusals != 0 || withdrawn;
}

/* What waits at the gate must look again when that opens, which may be earlier than it said. */
static bool paused(const struct fsh_core *core, struct fsh_now now)
{
    struct fsh_mono opens = fsh_core_gate_opens(core->gate);

    return core->stand.waits || core->probe_at.ms > now.mono.ms ||
           core->record.sign_in_at.ms > now.wall.ms ||
           (opens.ms > now.mono.ms && opens.ms >= core->wake_at.ms);
}

bool fsh_core_fold(const struct fsh_core *core, struct fsh_now now, struct fsh_rest *ret_rest)
{
    if (busy(core) || troubled(core) || paused(core, now))
        return false;
    *ret_rest = (struct fsh_rest){
        .incarnation = core->record.incarnation,
        .generation = core->record.generation,
        .moment = core->published ? core->token.background_at.ms : core->read_at.ms,
        .refresh_until = core->record.refresh_until,
        .reason = core->record.reason,
        .phase = (uint8_t)core->record.phase,
        .refreshable = core->record.refreshable,
    };
    return true;
}

void fsh_core_unfold(struct fsh_core *core, const struct fsh_rest *rest, uint64_t published,
                     const struct fsh_freshness *token, struct fsh_mono wake_at)
{
    core->loaded = true;
    core->wake_at = wake_at;
    core->record.incarnation = rest->incarnation;
    core->record.generation = rest->generation;
    core->record.refresh_until = rest->refresh_until;
    core->record.reason = rest->reason;
    core->record.phase = (enum fsh_phase)rest->phase;
    core->record.refreshable = rest->refreshable;
    core->published = published;
    if (published == 0) {
        core->read_at.ms = rest->moment;
        return;
    }
    core->token = *token;
    core->token.background_at.ms = rest->moment;
}
