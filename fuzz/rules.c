/* SPDX-License-Identifier: Apache-2.0 */

/* What the core's effects do to the model, and the rules that they and the core must keep. */

#include "model.h"

#include "base/bounds.h"

#include <freshet/status.h>
#include <stdio.h>
#include <string.h>

/* More effects than this, at one moment and with nothing from outside, is a loop without an end. */
#define BUSY_MAX 40

/* Stops the run. */
static void broken(const char *what)
{
    (void)fprintf(stderr, "broken: %s\n", what);
    __builtin_trap();
}

void model_must(bool holds, const char *what)
{
    if (!holds)
        broken(what);
}

/* Without the core's own word on it. */
bool model_usable(const struct model *model)
{
    return model->core.published != 0 && model->mono.ms < model->core.token.usable_until.ms;
}

/* ---- telling --------------------------------------------------------------------------------- */

void model_trace(const struct model *model, const char *what, int64_t number, int64_t more)
{
    if (model->trace)
        (void)fprintf(stderr, "%10lld step %d%s: %s %lld %lld\n", (long long)model->mono.ms,
                      model->core.step, model->core.in_air ? ", in the air" : "", what,
                      (long long)number, (long long)more);
}

static void trace_effect(const struct model *model, const struct fsh_effect *effect)
{
    static const char *const names[] = {
        [FSH_EFFECT_STORE] = "  store: change, ticket",
        [FSH_EFFECT_ADOPT] = "  adopt: generation",
        [FSH_EFFECT_SEND] = "  send: errand, ticket",
        [FSH_EFFECT_CANCEL] = "  cancel",
        [FSH_EFFECT_PUBLISH] = "  publish: generation",
        [FSH_EFFECT_WITHDRAW] = "  withdraw",
        [FSH_EFFECT_FORGET] = "  forget",
        [FSH_EFFECT_REPLY] = "  reply: status",
        [FSH_EFFECT_SIGNED_OUT] = "  signed out: status",
        [FSH_EFFECT_WAKE] = "  wake",
        [FSH_EFFECT_GATE] = "  gate",
        [FSH_EFFECT_NOTE] = "  note: which, status",
    };
    int64_t number = 0;
    int64_t more = (int64_t)effect->ticket;

    if (effect->kind == FSH_EFFECT_STORE)
        number = effect->change.kind;
    else if (effect->kind == FSH_EFFECT_SEND)
        number = effect->send.errand;
    else if (effect->kind == FSH_EFFECT_NOTE)
        number = effect->note.note;
    else if (effect->kind == FSH_EFFECT_REPLY || effect->kind == FSH_EFFECT_SIGNED_OUT)
        number = effect->status;
    else if (effect->kind == FSH_EFFECT_PUBLISH || effect->kind == FSH_EFFECT_ADOPT)
        number = (int64_t)effect->publish.generation;
    if (effect->kind == FSH_EFFECT_NOTE)
        more = effect->note.status;
    model_trace(model, names[effect->kind], number, more);
}

/* ---- the store ------------------------------------------------------------------------------- */

static bool held_by_another(const struct fsh_record *record, uint64_t holder, struct fsh_stamp now)
{
    return record->lease.holder != 0 && record->lease.holder != holder &&
           record->lease.until.boot == now.boot && now.ms < record->lease.until.ms;
}

/* What the lease protocol promises, said a second time. */
static void check_change(const struct fsh_record *before, const struct fsh_record *after,
                         const struct fsh_change *change, struct fsh_stamp now)
{
    bool moved =
        before->incarnation != change->incarnation || before->generation != change->generation;

    model_must(after->generation >= before->generation && after->reserved >= before->reserved &&
                   after->incarnation >= before->incarnation,
               "a generation or an incarnation went back");
    model_must(after->generation <= after->reserved, "a generation that nobody reserved");
    if (change->kind == FSH_CHANGE_LEASE) {
        model_must(!held_by_another(before, change->holder, now),
                   "a lease that another holds was granted");
        model_must(after->lease.generation > before->reserved,
                   "a lease reserved no new generation");
    }
    if (change->kind == FSH_CHANGE_COMMIT)
        model_must(!moved && after->generation > before->generation,
                   "a commit without compare-and-swap");
    if (change->kind == FSH_CHANGE_END)
        model_must(!moved, "an end without compare-and-swap");
    if (change->kind == FSH_CHANGE_END || change->kind == FSH_CHANGE_SIGN_OUT)
        model_must(after->incarnation > before->incarnation && !after->refreshable,
                   "a session that is over is what it was");
}

enum fsh_verdict model_apply(struct model *model, const struct fsh_change *change,
                             struct fsh_stamp now)
{
    struct fsh_record before = model->record;
    enum fsh_verdict verdict = fsh_core_record_apply(&model->record, change, now);

    if (verdict == FSH_VERDICT_DONE)
        check_change(&before, &model->record, change, now);
    else
        model_must(memcmp(&before, &model->record, sizeof(before)) == 0,
                   "a change that was refused changed something");
    return verdict;
}

/* ---- effects --------------------------------------------------------------------------------- */

static void take_ticket(struct model *model, const struct fsh_effect *effect)
{
    model_must(effect->ticket > model->last_ticket, "a ticket was given out twice");
    model->last_ticket = effect->ticket;
}

static void do_store(struct model *model, const struct fsh_effect *effect)
{
    model_must(model->op_count < MODEL_OPS, "too much of one session is in the air");
    model->ops[model->op_count++] = (struct model_op){
        .ticket = effect->ticket,
        .change = effect->change,
        .now = {model->mono.ms, MODEL_BOOT},
        .automatic = effect->change.sign_in_at.ms != 0,
    };
}

static void check_flight(struct model *model, enum fsh_errand errand)
{
    const struct fsh_core *core = &model->core;
    const struct fsh_lease *lease = &core->record.lease;

    model_must(!model->flight.pending, "two flights are in the air");
    model_must(lease->holder == MODEL_ME && lease->attempt == core->attempt &&
                   lease->until.ms - model->mono.ms >= FSH_EXCHANGE_MS,
               "a request is sent without a lease that outlives it");
    model_must(errand != FSH_ERRAND_REFRESH || !model->policy.rotating ||
                   core->unresolved_ms < model->policy.grace_ms,
               "a spent refresh token is sent again after its grace");
    if (errand != FSH_ERRAND_SIGN_IN || core->command != FSH_ERRAND_NONE)
        return;
    model_must(model->policy.service, "somebody was signed in who did not ask");
    model_must(!model->signed_in || model->stepped ||
                   model->leased_at.ms - model->signed_in_at.ms >= model->policy.sign_in_pause_ms,
               "automatic sign-ins without a pause");
    model->signed_in = true;
    model->signed_in_at = model->leased_at;
}

static void check_probe(struct model *model)
{
    model_must(!model->probe.pending, "two probes are in the air");
    model_must(!model->probed ||
                   fsh_mono_until(model->probed_at, model->mono) >= FSH_PROBE_PAUSE_MS,
               "two probes within 30 s");
    model_must(model->policy.service && model->policy.probe, "a probe of a session that has none");
    model->probed = true;
    model->probed_at = model->mono;
}

static void do_send(struct model *model, const struct fsh_effect *effect)
{
    bool probe = effect->send.errand == FSH_ERRAND_PROBE;
    struct model_air *air = probe ? &model->probe : &model->flight;

    model_must(!model->closing, "a request begins after the session was closed");
    if (probe)
        check_probe(model);
    else
        check_flight(model, effect->send.errand);
    *air = (struct model_air){true, effect->ticket, effect->send.errand};
}

static void do_publish(struct model *model, const struct fsh_effect *effect)
{
    bool bare = model->event == MODEL_ANSWERED && !model->result.refresh_token &&
                model->core.errand == FSH_ERRAND_REFRESH;

    model_must(model->event == MODEL_STORED || model->event == MODEL_ADOPTED || bare,
               "published before it was committed");
    model_must(fsh_core_ever_usable(model->granted_ms),
               "a token that is never usable was published");
    model_must(effect->publish.generation > model->highest, "the published generation went back");
    model_must(model->sign_outs == 0 || !model->core.signing_out, "published after a sign-out");
    model_must(!model->over || model->core.record.phase == FSH_PHASE_LIVE,
               "a session that is over came back without a sign-in");
    model->highest = effect->publish.generation;
    model->over = false;
}

static void do_note(struct model *model, const struct fsh_effect *effect)
{
    if (effect->note.note == FSH_NOTE_ENDED || effect->note.note == FSH_NOTE_SIGNED_OUT)
        model->over = true;
}

void model_effect(struct model *model, const struct fsh_effect *effect)
{
    trace_effect(model, effect);
    switch (effect->kind) {
    case FSH_EFFECT_STORE:
        take_ticket(model, effect);
        do_store(model, effect);
        model->busy++;
        break;
    case FSH_EFFECT_ADOPT:
        take_ticket(model, effect);
        model_must(!model->adopt.pending, "two looks into the cache are in the air");
        model->adopt = (struct model_air){true, effect->ticket, FSH_ERRAND_NONE};
        model->busy++;
        break;
    case FSH_EFFECT_SEND:
        take_ticket(model, effect);
        do_send(model, effect);
        model->busy++;
        break;
    case FSH_EFFECT_CANCEL:
        /* What the store has goes on; its report will be a stranger's. */
        model->flight.pending = false;
        model->adopt.pending = false;
        break;
    case FSH_EFFECT_PUBLISH:
        do_publish(model, effect);
        break;
    case FSH_EFFECT_WITHDRAW:
        model_must(model->excused || model->mono.ms >= model->core.token.usable_until.ms,
                   "a usable token was withdrawn without a reason");
        break;
    case FSH_EFFECT_REPLY:
        model_must(model->commands == 1, "a reply to nobody");
        model->commands = 0;
        break;
    case FSH_EFFECT_SIGNED_OUT:
        model_must(model->event == MODEL_STORED, "signed out before the store was told");
        if (effect->status == FRESHET_OK)
            model->sign_outs = 0;
        break;
    case FSH_EFFECT_WAKE:
        model->wake = true;
        break;
    case FSH_EFFECT_NOTE:
        do_note(model, effect);
        break;
    case FSH_EFFECT_FORGET:
    case FSH_EFFECT_GATE:
        break;
    }
}

/* ---- what must hold after each event --------------------------------------------------------- */

static bool ticket_in_air(const struct model *model)
{
    const struct fsh_core *core = &model->core;

    if (core->step == FSH_STEP_SEND)
        return model->flight.pending && model->flight.ticket == core->ticket;
    if (core->step == FSH_STEP_ADOPT)
        return model->adopt.pending && model->adopt.ticket == core->ticket;
    return model->op_count > 0 && model->ops[model->op_count - 1].ticket == core->ticket;
}

void model_check(const struct model *model)
{
    const struct fsh_core *core = &model->core;

    model_must(model->busy < BUSY_MAX, "it works for ever and gets nowhere");
    model_must(!core->in_air || ticket_in_air(model),
               "the core waits for a report that cannot come");
    model_must(core->step == FSH_STEP_IDLE || core->in_air || core->wake_at.ms != FSH_NEVER.ms,
               "a step that nothing takes up again");
    model_must(core->published <= core->record.reserved || core->published == core->reserved,
               "a generation is in force that nobody reserved");
    model_must(core->wake_at.ms == FSH_NEVER.ms || model->stepped ||
                   fsh_mono_until(model->mono, core->wake_at) < 2 * FSH_LIFETIME_ABSURD_MS,
               "it wants to be woken in another age");
    for (unsigned i = 0; i < MODEL_CALLERS; i++) {
        const struct model_caller *caller = &model->callers[i];

        model_must(!caller->waiting || caller->min_valid_ms > 0 || !model_usable(model),
                   "a caller waits though a usable token is there");
    }
}
