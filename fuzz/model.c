/* SPDX-License-Identifier: Apache-2.0 */

/* The events, and what becomes of a session when everything works in the end. */

#include "model.h"

#include "base/bounds.h"
#include "core/random.h"

#include <freshet/status.h>
#include <string.h>

static struct fsh_now now_of(struct model *model)
{
    return (struct fsh_now){model->mono, model->wall, fsh_core_draw(&model->random)};
}

static void begin(struct model *model, enum model_event event, bool excused)
{
    model->event = event;
    model->excused = excused || !model_usable(model);
}

static void ask_again(struct model *model, unsigned index);

static void carry_out(struct model *model, const struct fsh_effects *fx)
{
    model_must(fx->count < FSH_EFFECTS_MAX, "more effects than fit");
    for (unsigned i = 0; i < fx->count; i++)
        model_effect(model, &fx->list[i]);
    while (model->wake) {
        model->wake = false;
        for (unsigned i = 0; i < MODEL_CALLERS; i++)
            ask_again(model, i);
    }
    model_check(model);
}

/* ---- events ---------------------------------------------------------------------------------- */

void model_init(struct model *model, const struct fsh_policy *policy, uint64_t random, bool traced)
{
    memset(model, 0, sizeof(*model));
    model->trace = traced;
    model->policy = *policy;
    model->random = random;
    model->mono.ms = 1000000;
    model->wall.ms = INT64_C(1800000000000);
    model->other = 2;
    fsh_core_init(&model->core, &model->policy, &model->gate, MODEL_ME);
    model_tick(model);
}

void model_tick(struct model *model)
{
    struct fsh_effects fx = {.count = 0};

    model_trace(model, "tick", 0, 0);
    begin(model, MODEL_TICK, false);
    fsh_core_tick(&model->core, now_of(model), &fx);
    carry_out(model, &fx);
    model_must(model->core.wake_at.ms > model->mono.ms, "it wants to be woken at once, for ever");
}

static void told(struct model *model, struct model_caller *caller,
                 const struct fsh_caller_answer *answer)
{
    switch (answer->kind) {
    case FSH_ANSWER_READY:
        model_must(model_usable(model), "a token past its use was handed out");
        model_must(!model->over && model->sign_outs == 0, "a token of a session that is over");
        break;
    case FSH_ANSWER_REFUSED:
        model_must(!model_usable(model) || model->core.signing_out,
                   "refused with a usable token there");
        model_must(answer->status < 0 && answer->retry_after_ms >= -1, "refused without a reason");
        break;
    case FSH_ANSWER_WAIT:
        model_must(!model_usable(model) || caller->min_valid_ms > 0,
                   "it waits with a usable token there");
        break;
    }
    caller->waiting = answer->kind == FSH_ANSWER_WAIT;
}

void model_ask(struct model *model, unsigned index, int64_t min_valid_ms, int64_t patience_ms)
{
    struct model_caller *caller = &model->callers[index];
    struct fsh_effects fx = {.count = 0};
    struct fsh_caller_answer answer;

    if (caller->waiting)
        return;
    *caller = (struct model_caller){
        .min_valid_ms = min_valid_ms,
        .deadline = fsh_mono_add(model->mono, patience_ms),
        .seen = fsh_core_flights(&model->core),
    };
    model_trace(model, "ask: min_valid, patience", min_valid_ms, patience_ms);
    begin(model, MODEL_ASK, false);
    model->busy = 0;
    answer = fsh_core_ask(&model->core, now_of(model), min_valid_ms, caller->deadline, NULL, &fx);
    told(model, caller, &answer);
    carry_out(model, &fx);
}

static void ask_again(struct model *model, unsigned index)
{
    struct model_caller *caller = &model->callers[index];
    struct fsh_effects fx = {.count = 0};
    struct fsh_caller_answer answer;

    if (!caller->waiting)
        return;
    answer = fsh_core_ask(&model->core, now_of(model), caller->min_valid_ms, caller->deadline,
                          &caller->seen, &fx);
    told(model, caller, &answer);
    model_must(fx.count < FSH_EFFECTS_MAX, "more effects than fit");
    for (unsigned i = 0; i < fx.count; i++)
        model_effect(model, &fx.list[i]);
}

static void end_waits(struct model *model)
{
    struct fsh_effects none = {.count = 0};

    for (unsigned i = 0; i < MODEL_CALLERS; i++) {
        if (!model->callers[i].waiting || model->callers[i].deadline.ms > model->mono.ms)
            continue;
        begin(model, MODEL_ASK, false);
        ask_again(model, i);
        model->callers[i].waiting = false; /* told why by the engine */
        carry_out(model, &none);
    }
}

void model_pass(struct model *model, int64_t ms)
{
    model->mono.ms += ms;
    model->wall.ms += ms;
    if (ms > 0)
        model->busy = 0;
    if (model->core.wake_at.ms <= model->mono.ms)
        model_tick(model);
    end_waits(model);
}

bool model_pass_to_wake(struct model *model)
{
    struct fsh_mono at = model->core.wake_at;

    if (at.ms == FSH_NEVER.ms)
        return false;
    model_pass(model, at.ms > model->mono.ms ? at.ms - model->mono.ms : 0);
    return true;
}

void model_unauthorized(struct model *model, uint64_t generation)
{
    struct fsh_effects fx = {.count = 0};

    model_trace(model, "401: generation", (int64_t)generation, 0);
    begin(model, MODEL_REPORT_401, generation == model->core.published);
    model->busy = 0;
    fsh_core_unauthorized(&model->core, now_of(model), generation, &fx);
    carry_out(model, &fx);
}

void model_command(struct model *model, enum fsh_errand errand)
{
    struct fsh_effects fx = {.count = 0};
    int status;

    if (model->closing)
        return;
    model_trace(model, "command: errand", errand, 0);
    begin(model, MODEL_COMMAND, false);
    model->busy = 0;
    /* The reply may be among the effects. */
    model->commands++;
    status = fsh_core_command(&model->core, now_of(model), errand, &fx);
    if (status == FRESHET_EBUSY)
        model_must(model->commands == 2, "busy with nothing");
    if (status != FRESHET_OK) {
        model_must(fx.count == 0, "a command that was refused did something");
        model->commands--;
    }
    model_must(model->commands <= 1, "two commands at once");
    carry_out(model, &fx);
}

void model_sign_out(struct model *model, bool hold)
{
    struct fsh_effects fx = {.count = 0};

    if (model->closing || model->op_count > MODEL_OPS - 4)
        return;
    model_trace(model, "sign out: hold", hold, 0);
    begin(model, MODEL_SIGN_OUT, true);
    model->busy = 0;
    model->sign_outs++;
    fsh_core_sign_out(&model->core, now_of(model), hold, &fx);
    carry_out(model, &fx);
    model_must(model->core.published == 0, "signed out with a token in force");
    model_must(model->commands == 0, "a command outlives a sign-out");
}

void model_close(struct model *model)
{
    struct fsh_effects fx = {.count = 0};

    if (model->closing)
        return;
    model->closing = true;
    for (unsigned i = 0; i < MODEL_CALLERS; i++)
        model->callers[i].waiting = false;
    model_trace(model, "close", 0, 0);
    begin(model, MODEL_CLOSE, model->core.reported != 0);
    model->busy = 0;
    fsh_core_close(&model->core, now_of(model), &fx);
    carry_out(model, &fx);
}

/* ---- the other engine ------------------------------------------------------------------------ */

void model_other(struct model *model, enum fsh_change_kind kind, bool flag)
{
    struct fsh_change change = {
        .kind = kind,
        .incarnation = model->record.incarnation,
        .generation = model->record.generation,
        .holder = MODEL_OTHER,
        .attempt = model->other,
        .reserved = model->other_has,
        .purpose = flag ? FSH_PURPOSE_SIGN_IN : FSH_PURPOSE_REFRESH,
        .reason = kind == FSH_CHANGE_PARK ? FRESHET_EMFA : FRESHET_EENDED,
        .hold = flag,
        .resolved = true,
        .refreshable = true,
        .wall = model->wall,
        .pause_ms = FSH_SIGN_IN_PAUSE_MS,
    };

    if (kind == FSH_CHANGE_LEASE)
        change.attempt = model->other += 2;
    else if (kind == FSH_CHANGE_COMMIT && model->other_has <= model->record.generation)
        return;
    model->stepped = true;
    model->busy = 0;
    model_trace(model, "the other engine: change, attempt", kind, (int64_t)change.attempt);
    if (model_apply(model, &change, (struct fsh_stamp){model->mono.ms, MODEL_BOOT}) ==
        FSH_VERDICT_DONE)
        model->other_has = kind == FSH_CHANGE_LEASE ? model->record.lease.generation : 0;
}

/* ---- reports --------------------------------------------------------------------------------- */

/* A verdict of the store that takes a usable token away: the record says that it is over. */
static bool says_over(const struct model *model)
{
    return model->record.phase != FSH_PHASE_LIVE || model->core.reported != 0;
}

void model_stored(struct model *model, enum model_how how)
{
    struct fsh_effects fx = {.count = 0};
    struct model_op op = model->ops[0];
    struct fsh_core before;
    enum fsh_verdict verdict = FSH_VERDICT_STALE;
    bool ours = op.ticket == model->core.ticket && model->core.in_air;

    if (model->op_count == 0)
        return;
    memmove(model->ops, model->ops + 1, --model->op_count * sizeof(op));
    if (how != MODEL_FAILED)
        verdict = model_apply(model, &op.change, op.now);
    model_trace(model, "stored: how, verdict", how, verdict);
    begin(model, MODEL_STORED, says_over(model));
    if (ours && op.change.kind == FSH_CHANGE_LEASE && op.automatic)
        model->leased_at = op.change.wall;
    memcpy(&before, &model->core, sizeof(before));
    fsh_core_stored(&model->core, now_of(model), op.ticket,
                    how == MODEL_DONE ? FRESHET_OK : FRESHET_ESTORE, verdict, &model->record,
                    fsh_core_record_unresolved_ms(&model->record, op.change.attempt, op.now), &fx);
    model_must(ours || (fx.count == 0 && memcmp(&before, &model->core, sizeof(before)) == 0),
               "a report that nobody waits for changed something");
    carry_out(model, &fx);
}

void model_adopted(struct model *model, int64_t age_ms, int64_t lifetime_ms)
{
    struct fsh_effects fx = {.count = 0};

    if (!model->adopt.pending)
        return;
    model->adopt.pending = false;
    model->granted_ms = lifetime_ms;
    model_trace(model, "adopted: age, lifetime", age_ms, lifetime_ms);
    begin(model, MODEL_ADOPTED, model->core.reported != 0);
    fsh_core_adopted(&model->core, now_of(model), model->adopt.ticket,
                     (struct fsh_mono){model->mono.ms - age_ms}, lifetime_ms, &fx);
    carry_out(model, &fx);
}

/* Whether an answer may take a usable token away. */
static bool may_end(const struct model *model, const struct fsh_result *result)
{
    if (model->core.reported != 0)
        return true;
    if (result->kind == FSH_RESULT_GRANT)
        return result->identified && (result->suspended || result->external);
    return result->kind == FSH_RESULT_DEFINITE;
}

void model_answered(struct model *model, bool probe, const struct fsh_result *result)
{
    struct model_air *air = probe ? &model->probe : &model->flight;
    struct fsh_effects fx = {.count = 0};

    if (!air->pending)
        return;
    air->pending = false;
    if (!probe)
        model->granted_ms = result->kind == FSH_RESULT_GRANT ? result->lifetime_ms : 0;
    model->result = *result;
    model_trace(model, probe ? "probe answered: kind, status" : "answered: kind, status",
                result->kind, result->status);
    begin(model, MODEL_ANSWERED, may_end(model, result));
    fsh_core_answered(&model->core, now_of(model), air->ticket, result, &fx);
    carry_out(model, &fx);
}

void model_strangers(struct model *model, uint64_t ticket)
{
    const struct fsh_result grant = {.kind = FSH_RESULT_GRANT, .lifetime_ms = 3600000};
    struct fsh_effects fx = {.count = 0};
    struct fsh_core before;

    if (ticket == model->core.ticket || ticket == model->core.probe_ticket)
        return;
    memcpy(&before, &model->core, sizeof(before));
    fsh_core_stored(&model->core, now_of(model), ticket, FRESHET_OK, FSH_VERDICT_DONE,
                    &model->record, -1, &fx);
    fsh_core_adopted(&model->core, now_of(model), ticket, model->mono, 3600000, &fx);
    fsh_core_answered(&model->core, now_of(model), ticket, &grant, &fx);
    model_must(fx.count == 0 && memcmp(&before, &model->core, sizeof(before)) == 0,
               "a report that nobody waits for changed something");
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* Brings home what is in the air, as a world does in which everything works. */
static bool bring_home(struct model *model)
{
    struct fsh_result grant = {
        .kind = FSH_RESULT_GRANT,
        .retry_after_ms = -1,
        .lifetime_ms = 3600000,
        .refresh_token = model->policy.rotating || model->flight.errand != FSH_ERRAND_REFRESH,
    };

    if (model->op_count > 0)
        model_stored(model, MODEL_DONE);
    else if (model->flight.pending)
        model_answered(model, false, &grant);
    else if (model->probe.pending)
        model_answered(model, true, &grant);
    else if (model->adopt.pending)
        model_adopted(model, 0, 0);
    else
        return false;
    return true;
}

/* Whether the record says that a token can be had without a person. */
static bool can_have_one(const struct model *model)
{
    const struct fsh_record *record = &model->record;

    if (record->phase == FSH_PHASE_LIVE && record->refreshable)
        return true;
    if (!model->policy.service || record->parked)
        return false;
    return record->phase == FSH_PHASE_NONE || record->phase == FSH_PHASE_LIVE ||
           (record->phase == FSH_PHASE_ENDED && record->reason != FRESHET_ESUSPENDED &&
            record->reason != FRESHET_EEXTERNALUSER);
}

static void bring_all_home(struct model *model)
{
    while (bring_home(model)) {
        /* The platform and the store take no time. */
    }
}

static void ask_now(struct model *model)
{
    bring_all_home(model);
    model_ask(model, 0, 0, FSH_CALL_MS);
    bring_all_home(model);
}

static void wait_for_more(struct model *model, struct fsh_mono end)
{
    if (!model_pass_to_wake(model) || model->mono.ms > end.ms)
        model_pass(model, 10000);
}

void model_recover(struct model *model)
{
    struct fsh_mono end = fsh_mono_add(model->mono, 2 * FSH_REFUSED_LAST_MS);

    if (model->closing)
        return;
    while (model->mono.ms < end.ms) {
        ask_now(model);
        wait_for_more(model, end);
    }
    ask_now(model);
    model_must(model->commands == 0, "a command was never replied to");
    model_must(model->sign_outs == 0, "a sign-out was never told");
    /* A token may have ended just now, and the next sign-in may have to pause, for as long as after
     * refused credentials at the most. */
    end = fsh_mono_add(model->mono, FSH_REFUSED_LAST_MS);
    while (!model_usable(model) && can_have_one(model)) {
        model_must(model->mono.ms <= end.ms, "everything works, and yet there is no token");
        wait_for_more(model, end);
        ask_now(model);
    }
}

void model_drain(struct model *model)
{
    model_close(model);
    for (int i = 0; i < 2000 && !fsh_core_closed(&model->core); i++) {
        if (!bring_home(model))
            (void)model_pass_to_wake(model);
    }
    model_must(fsh_core_closed(&model->core), "it was closed, and does not come to its end");
}
