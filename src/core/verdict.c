/* SPDX-License-Identifier: Apache-2.0 */

/* Rule 3: what a 401 of the API means. */

#include "base/bounds.h"
#include "core/mutant.h"
#include "core/step.h"

#include <freshet/status.h>

void fsh_core_judge(struct fsh_core *core, struct fsh_mono now, struct fsh_effects *fx)
{
    uint64_t reported = core->reported;
    bool confirmed = core->confirmed;

    core->reported = 0;
    core->confirmed = false;
    if (reported == 0)
        return;
    if (reported != core->published && !FSH_MUTANT(LATE_401)) {
        fsh_core_note(fx, FSH_NOTE_401_LATE, FRESHET_OK, (int64_t)reported);
        return;
    }
    if (!fsh_core_usable(core, now)) {
        fsh_core_note(fx, FSH_NOTE_401_UNUSABLE, FRESHET_OK, (int64_t)reported);
        return;
    }
    /* Another engine has a newer token, though it could not be read: this one is dead, the session
     * is not. */
    if (reported < core->record.generation) {
        fsh_core_note(fx, FSH_NOTE_401_LATE, FRESHET_OK, (int64_t)reported);
        fsh_core_withdraw(core, fx);
        return;
    }
    fsh_core_note(fx, FSH_NOTE_401_COUNTS, FRESHET_OK, (int64_t)reported);
    if (core->policy->service && core->policy->probe && !confirmed && !FSH_MUTANT(UNPROBED))
        core->suspect = reported;
    else
        fsh_core_condemn(core, FRESHET_EENDED, fx);
}

static void report(struct fsh_core *core, struct fsh_mono now, uint64_t generation, bool confirmed,
                   struct fsh_effects *fx)
{
    if (generation == core->published && fsh_core_flying(core)) {
        if (core->reported != generation)
            fsh_core_note(fx, FSH_NOTE_401_HELD, FRESHET_OK, (int64_t)generation);
        core->confirmed = confirmed || (core->reported == generation && core->confirmed);
        core->reported = generation;
        return;
    }
    core->reported = generation;
    core->confirmed = confirmed;
    fsh_core_judge(core, now, fx);
}

void fsh_core_unauthorized(struct fsh_core *core, struct fsh_now now, uint64_t generation,
                           struct fsh_effects *fx)
{
    /* While a probe finds out about this generation, further reports of it say nothing new. */
    if (generation == 0 || core->closing || (core->probing && generation == core->probed))
        return;
    /* A report that is held belongs to the generation in force; a late one must not displace it. */
    if (core->reported != 0 && generation != core->reported && generation != core->published) {
        fsh_core_note(fx, FSH_NOTE_401_LATE, FRESHET_OK, (int64_t)generation);
        return;
    }
    report(core, now.mono, generation, false, fx);
    fsh_core_advance(core, &now, fx);
}

void fsh_core_probe(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    struct fsh_mono at = fsh_mono_max(core->probe_at, fsh_core_gate_opens(core->gate));
    struct fsh_effect *effect;

    if (core->suspect == 0 || core->probing || core->closing)
        return;
    if (core->suspect != core->published || !fsh_core_usable(core, now->mono)) {
        core->suspect = 0;
        return;
    }
    if (at.ms > now->mono.ms) {
        fsh_core_look_at(core, at);
        return;
    }
    core->probing = true;
    core->probed = core->suspect;
    core->suspect = 0;
    core->probe_at = fsh_mono_add(now->mono, FSH_MUTANT(PROBES) ? 0 : FSH_PROBE_PAUSE_MS);
    core->probe_ticket = ++core->ticket_count;
    fsh_core_gate_enter(core->gate, now->mono);
    fsh_core_note(fx, FSH_NOTE_PROBE, FRESHET_OK, (int64_t)core->probed);
    effect = fsh_core_put(fx, FSH_EFFECT_SEND);
    effect->ticket = core->probe_ticket;
    effect->send.errand = FSH_ERRAND_PROBE;
}

void fsh_core_probe_answered(struct fsh_core *core, struct fsh_now *now,
                             const struct fsh_result *result, struct fsh_effects *fx)
{
    uint64_t probed = core->probed;

    core->probing = false;
    core->probed = 0;
    core->probe_ticket = 0;
    switch (result->kind) {
    case FSH_RESULT_GRANT:
        fsh_core_note(fx, FSH_NOTE_PROBE_SAYS_ALIVE, FRESHET_OK, (int64_t)probed);
        break;
    case FSH_RESULT_DEFINITE:
        fsh_core_note(fx, FSH_NOTE_PROBE_SAYS_DEAD, result->status, (int64_t)probed);
        report(core, now->mono, probed, true, fx);
        break;
    default:
        fsh_core_note(fx, FSH_NOTE_PROBE_FAILED, result->status, (int64_t)probed);
        break;
    }
}
