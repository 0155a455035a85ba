/* SPDX-License-Identifier: Apache-2.0 */
#include "core/session.h"

#include "base/bounds.h"
#include "base/post.h"
#include "core/mutant.h"
#include "core/random.h"
#include "core/step.h"

#include <freshet/status.h>
#include <stddef.h>

/* What a session would like to do next, and from when. */
struct wish {
    enum fsh_errand errand;
    struct fsh_mono at;
    enum fsh_note_kind why;
};

static const struct wish no_wish = {.at = {INT64_MAX}};

struct fsh_effect *fsh_core_put(struct fsh_effects *fx, enum fsh_effect_kind kind)
{
    /* One more than fits would be a defect of the core; the last place is sacrificed, so that it
     * stays within its memory and the simulator sees the missing effect. */
    unsigned place = fx->count < FSH_EFFECTS_MAX ? fx->count++ : FSH_EFFECTS_MAX - 1;
    struct fsh_effect *effect = &fx->list[place];

    *effect = (struct fsh_effect){.kind = kind};
    return effect;
}

void fsh_core_note(struct fsh_effects *fx, enum fsh_note_kind note, int status, int64_t value)
{
    struct fsh_effect *effect = fsh_core_put(fx, FSH_EFFECT_NOTE);

    effect->note.note = note;
    effect->note.status = status;
    effect->note.value = value;
}

void fsh_core_reply(struct fsh_core *core, int status, struct fsh_effects *fx)
{
    if (core->command == FSH_ERRAND_NONE || core->command != core->errand)
        return;
    core->command = FSH_ERRAND_NONE;
    core->clean = false; /* what follows is not the same attempt: it has a pause to keep */
    fsh_core_put(fx, FSH_EFFECT_REPLY)->status = status;
}

void fsh_core_withdraw(struct fsh_core *core, struct fsh_effects *fx)
{
    if (core->published == 0)
        return;
    core->withdrawn = core->published;
    core->published = 0;
    fsh_core_put(fx, FSH_EFFECT_WITHDRAW);
}

void fsh_core_condemn(struct fsh_core *core, int reason, struct fsh_effects *fx)
{
    core->ending = reason;
    fsh_core_withdraw(core, fx);
}

bool fsh_core_usable(const struct fsh_core *core, struct fsh_mono now)
{
    return core->published != 0 && (now.ms < core->token.usable_until.ms || FSH_MUTANT(EXPIRED));
}

bool fsh_core_flying(const struct fsh_core *core)
{
    return core->errand != FSH_ERRAND_NONE &&
           (core->step == FSH_STEP_LEASE || core->step == FSH_STEP_SEND ||
            core->step == FSH_STEP_COMMIT);
}

void fsh_core_flight_over(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    core->errand = FSH_ERRAND_NONE;
    core->wanted = false;
    core->flights++;
    fsh_core_put(fx, FSH_EFFECT_FORGET);
    fsh_core_put(fx, FSH_EFFECT_WAKE);
    fsh_core_judge(core, now->mono, fx);
}

void fsh_core_settle(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    core->step = FSH_STEP_IDLE;
    core->loaded = true;
    fsh_core_put(fx, FSH_EFFECT_WAKE);
    if (core->closing)
        return;
    if (core->record.phase != FSH_PHASE_LIVE)
        fsh_core_withdraw(core, fx);
    else if (core->record.generation > core->published &&
             (FSH_MUTANT(READOPTS) || (!core->ending && core->record.generation > core->withdrawn)))
        fsh_core_begin(core, FSH_STEP_ADOPT, now, fx);
}

/* ---- what is due ------------------------------------------------------------------------- */

static struct wish sign_in_at(const struct fsh_core *core, const struct fsh_now *now,
                              struct fsh_mono at)
{
    int64_t pause =
        fsh_core_record_pause_ms(&core->record, now->wall, core->policy->sign_in_pause_ms);
    struct fsh_mono paused = fsh_mono_add(now->mono, pause);

    if ((!core->policy->service && !FSH_MUTANT(UNBIDDEN)) ||
        (core->record.parked && !FSH_MUTANT(UNPARKED)))
        return no_wish;
    return (struct wish){FSH_ERRAND_SIGN_IN, fsh_mono_max(at, paused), FSH_NOTE_SIGN_IN_AUTOMATIC};
}

/* Rule 8: a service signs in anew when a tenth of its refresh token's life is left. */
static struct wish renew_wish(const struct fsh_core *core, const struct fsh_now *now)
{
    int64_t life = core->policy->refresh_life_ms;
    int64_t left = core->record.refresh_until.ms - life / 10 - now->wall.ms;

    if (core->record.refresh_until.ms == 0 || life == 0)
        return no_wish;
    return sign_in_at(core, now, fsh_mono_add(now->mono, left > 0 ? left : 0));
}

static struct wish refresh_wish(const struct fsh_core *core, const struct fsh_now *now)
{
    if (!fsh_core_usable(core, now->mono)) {
        if (!core->policy->background && !core->wanted)
            return no_wish;
        return (struct wish){FSH_ERRAND_REFRESH, now->mono, FSH_NOTE_REFRESH_NEEDED};
    }
    if (core->wanted)
        return (struct wish){FSH_ERRAND_REFRESH, now->mono, FSH_NOTE_REFRESH_CALLER};
    if (core->policy->background)
        return (struct wish){FSH_ERRAND_REFRESH, core->token.background_at,
                             FSH_NOTE_REFRESH_BACKGROUND};
    return no_wish;
}

static struct fsh_mono end_of_token(const struct fsh_core *core, const struct fsh_now *now)
{
    return core->published ? core->token.usable_until : now->mono;
}

static bool comes_back_by_itself(const struct fsh_record *record)
{
    if (record->phase == FSH_PHASE_NONE || (record->phase == FSH_PHASE_HELD && FSH_MUTANT(UNHELD)))
        return true;
    return record->phase == FSH_PHASE_ENDED && record->reason != FRESHET_ESUSPENDED &&
           record->reason != FRESHET_EEXTERNALUSER;
}

static struct wish wish_of(const struct fsh_core *core, const struct fsh_now *now)
{
    struct wish refresh;
    struct wish renew;

    if (core->record.phase != FSH_PHASE_LIVE)
        return comes_back_by_itself(&core->record) ? sign_in_at(core, now, now->mono) : no_wish;
    if (!core->record.refreshable)
        return sign_in_at(core, now, end_of_token(core, now));
    renew = renew_wish(core, now);
    if (renew.at.ms <= now->mono.ms)
        return renew;
    refresh = refresh_wish(core, now);
    return renew.at.ms < refresh.at.ms ? renew : refresh;
}

static void begin_flight(struct fsh_core *core, enum fsh_errand errand, struct fsh_now *now,
                         struct fsh_effects *fx)
{
    core->errand = errand;
    core->refused = false;
    /* A person's is not held back, and so takes no place: however many try to sign in, there is
     * room for refreshes. */
    if (!core->placed && core->command == FSH_ERRAND_NONE) {
        fsh_core_gate_quit(core->gate, &core->stand);
        fsh_core_gate_take(core->gate);
        core->placed = true;
    }
    if (!core->clean) {
        core->attempt = fsh_core_draw(&now->random) | 1;
        core->clean = true;
    }
    fsh_core_begin(core, FSH_STEP_LEASE, now, fx);
}

static void begin_wish(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    struct wish wish = wish_of(core, now);
    struct fsh_mono at = fsh_mono_max(wish.at, core->store_at);
    struct fsh_mono opens = fsh_core_gate_opens(core->gate);

    if (wish.errand == FSH_ERRAND_NONE || (FSH_MUTANT(GIVES_UP) && core->failure))
        return;
    core->due = at.ms <= now->mono.ms;
    if (core->due && !core->placed)
        fsh_core_gate_join(core->gate, &core->stand);
    if (core->due && opens.ms <= now->mono.ms &&
        (core->placed || fsh_core_gate_lets(core->gate, &core->stand))) {
        fsh_core_note(fx, wish.why, FRESHET_OK, 0);
        begin_flight(core, wish.errand, now, fx);
        return;
    }
    core->next_try = fsh_mono_max(at, fsh_core_gate_news(core->gate));
    at = fsh_mono_max(at, opens);
    /* While others stand before an open gate, only their going changes anything. */
    if (at.ms > now->mono.ms)
        fsh_core_look_at(core, at);
}

/* A session that nothing can refresh any more ends with its token (rule 7), unless it is a service
 * that signs in anew. */
static bool must_end(const struct fsh_core *core, const struct fsh_now *now)
{
    return core->record.phase == FSH_PHASE_LIVE && !core->record.refreshable &&
           !core->policy->service && !fsh_core_usable(core, now->mono);
}

static void choose(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    if (core->closing)
        return;
    if (!core->loaded) {
        if (core->store_at.ms <= now->mono.ms) {
            fsh_core_begin(core, FSH_STEP_READ, now, fx);
        } else {
            core->next_try = core->store_at;
            fsh_core_look_at(core, core->store_at);
        }
        return;
    }
    if (!core->ending && must_end(core, now))
        fsh_core_condemn(core, core->record.reason ? core->record.reason : FRESHET_EENDED, fx);
    if (core->ending) {
        fsh_core_begin(core, FSH_STEP_END, now, fx);
    } else if (core->command != FSH_ERRAND_NONE) {
        fsh_core_note(fx,
                      core->command == FSH_ERRAND_SIGN_IN ? FSH_NOTE_SIGN_IN_EXPLICIT
                                                          : FSH_NOTE_ANSWERED_CHALLENGE,
                      FRESHET_OK, 0);
        begin_flight(core, core->command, now, fx);
    } else {
        begin_wish(core, now, fx);
        /* A token that nothing refreshes is looked at again when it ends. */
        if (core->step == FSH_STEP_IDLE && core->record.phase == FSH_PHASE_LIVE &&
            !core->record.refreshable && fsh_core_usable(core, now->mono))
            fsh_core_look_at(core, core->token.usable_until);
    }
}

/* Once the platform has answered others may go. */
static void give_place(struct fsh_core *core)
{
    if (!core->placed || core->step == FSH_STEP_LEASE || core->step == FSH_STEP_SEND)
        return;
    if (FSH_MUTANT(HOARDS))
        return;
    core->placed = false;
    fsh_core_gate_give(core->gate);
}

/* Who only looks what became of the session, since a caller asks, is still there to go. */
static void leave_line(struct fsh_core *core)
{
    bool looks = core->step == FSH_STEP_READ || core->step == FSH_STEP_ADOPT;

    if (core->closing || (!core->due && !looks))
        fsh_core_gate_quit(core->gate, &core->stand);
}

void fsh_core_advance(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    core->wake_at = FSH_MUTANT(SLEEPLESS) ? now->mono : FSH_NEVER;
    core->next_try = FSH_NEVER;
    core->due = false;
    fsh_core_probe(core, now, fx);
    if (core->step == FSH_STEP_IDLE)
        choose(core, now, fx);
    else if (!core->in_air && core->retry_at.ms <= now->mono.ms)
        fsh_core_begin(core, core->step, now, fx);
    give_place(core);
    leave_line(core);
    if (core->step == FSH_STEP_IDLE)
        return;
    if (core->in_air) {
        core->next_try = now->mono;
    } else {
        core->next_try = core->retry_at;
        fsh_core_look_at(core, core->retry_at);
    }
}

/* ---- events ------------------------------------------------------------------------------ */

void fsh_core_init(struct fsh_core *core, const struct fsh_policy *policy, struct fsh_gate *gate,
                   uint64_t holder)
{
    *core = (struct fsh_core){
        .policy = policy,
        .gate = gate,
        .holder = holder,
    };
}

void fsh_core_tick(struct fsh_core *core, struct fsh_now now, struct fsh_effects *fx)
{
    fsh_core_advance(core, &now, fx);
}

static struct fsh_caller_answer refused(const struct fsh_core *core, struct fsh_mono now)
{
    struct fsh_caller_answer answer = {FSH_ANSWER_REFUSED, fsh_core_why(core), -1};

    if (core->next_try.ms != FSH_NEVER.ms)
        answer.retry_after_ms = core->next_try.ms > now.ms ? core->next_try.ms - now.ms : 0;
    return answer;
}

/* Before a caller is told that the session is over, or needs an operator: another engine may have
 * signed in since. A store that fails is left alone for a while, whoever asks. */
static bool read_again(const struct fsh_core *core, struct fsh_mono now, struct fsh_mono deadline)
{
    return core->loaded && core->step == FSH_STEP_IDLE && !core->closing &&
           !core->record.refreshable && now.ms < deadline.ms && core->store_at.ms <= now.ms &&
           fsh_mono_until(core->read_at, now) >= FSH_REREAD_MS;
}

struct fsh_caller_answer fsh_core_ask(struct fsh_core *core, struct fsh_now now,
                                      int64_t min_valid_ms, struct fsh_mono deadline,
                                      const uint64_t *seen, struct fsh_effects *fx)
{
    const struct fsh_caller_answer ready = {FSH_ANSWER_READY, FRESHET_OK, -1};
    const struct fsh_caller_answer wait = {FSH_ANSWER_WAIT, FRESHET_OK, -1};
    bool usable = fsh_core_usable(core, now.mono);
    bool satisfied = usable && fsh_core_satisfies(&core->token, now.mono, min_valid_ms);

    if (core->signing_out)
        return refused(core, now.mono);
    /* Whoever waited for a flight takes what it brought, or what is in hand (rule 6). */
    if (usable && seen && *seen != core->flights)
        return ready;
    if (!satisfied || now.mono.ms >= core->token.threshold_at.ms)
        core->wanted = true;
    if (!usable && read_again(core, now.mono, deadline))
        fsh_core_begin(core, FSH_STEP_READ, &now, fx);
    fsh_core_advance(core, &now, fx);
    if (satisfied && !(core->wanted && FSH_MUTANT(WAITS)))
        return ready;
    if (usable)
        return core->step == FSH_STEP_IDLE || deadline.ms <= now.mono.ms ? ready : wait;
    if (core->next_try.ms < deadline.ms && deadline.ms > now.mono.ms)
        return wait;
    if (FSH_MUTANT(OVERSTAYS) && core->step != FSH_STEP_IDLE)
        return wait;
    return refused(core, now.mono);
}

struct fsh_core *fsh_core_next(const struct fsh_gate *gate, struct fsh_mono now)
{
    struct fsh_mono opens = fsh_core_gate_opens(gate);
    struct fsh_core *core;

    if (!gate->first || fsh_core_gate_full(gate))
        return NULL;
    core = fsh_container_of(gate->first, struct fsh_core, stand);
    if (core->step != FSH_STEP_IDLE || (opens.ms > now.ms && core->wake_at.ms <= opens.ms))
        return NULL;
    return core;
}

uint64_t fsh_core_flights(const struct fsh_core *core)
{
    return core->flights;
}

static int command_possible(const struct fsh_core *core, struct fsh_mono now,
                            enum fsh_errand errand)
{
    if (core->command != FSH_ERRAND_NONE)
        return FRESHET_EBUSY;
    if (errand == FSH_ERRAND_MFA && core->challenge != FRESHET_EMFA)
        return FRESHET_ENOCHALLENGE;
    if (errand == FSH_ERRAND_NEW_PASSWORD && core->challenge != FRESHET_ENEWPASSWORD)
        return FRESHET_ENOCHALLENGE;
    /* A person does not wait for the back-off, but the platform's own Retry-After is obeyed. */
    if (core->gate->closed_to.ms > now.ms)
        return FRESHET_EUNAVAILABLE;
    return FRESHET_OK;
}

int fsh_core_command(struct fsh_core *core, struct fsh_now now, enum fsh_errand errand,
                     struct fsh_effects *fx)
{
    int status = command_possible(core, now.mono, errand);

    if (status != FRESHET_OK)
        return status;
    if (errand == FSH_ERRAND_SIGN_IN)
        core->challenge = 0;
    core->command = errand;
    core->store_at = now.mono;
    fsh_core_advance(core, &now, fx);
    return FRESHET_OK;
}

void fsh_core_sign_out(struct fsh_core *core, struct fsh_now now, bool hold, struct fsh_effects *fx)
{
    /* A report that is still to come bears an old ticket. The store applies the changes of one
     * session in the order of their submission, so this one is the last word on any before it. */
    if (core->in_air)
        fsh_core_put(fx, FSH_EFFECT_CANCEL);
    if (core->step == FSH_STEP_SEND && fsh_core_gate_leave(core->gate))
        fsh_core_put(fx, FSH_EFFECT_GATE);
    core->holding = hold || (core->signing_out && core->holding);
    core->signing_out = true;
    core->challenge = 0;
    core->ending = 0;
    core->reported = 0;
    core->suspect = 0;
    core->clean = false;
    fsh_core_withdraw(core, fx);
    core->errand = core->command;
    fsh_core_reply(core, FRESHET_ESIGNEDOUT, fx);
    fsh_core_flight_over(core, &now, fx);
    fsh_core_begin(core, FSH_STEP_SIGN_OUT, &now, fx);
    fsh_core_advance(core, &now, fx);
}

void fsh_core_close(struct fsh_core *core, struct fsh_now now, struct fsh_effects *fx)
{
    bool rotation = core->errand == FSH_ERRAND_REFRESH && core->policy->rotating;

    core->closing = true;
    core->suspect = 0;
    if (core->step == FSH_STEP_SEND && !rotation) {
        fsh_core_put(fx, FSH_EFFECT_CANCEL);
        if (fsh_core_gate_leave(core->gate))
            fsh_core_put(fx, FSH_EFFECT_GATE);
        core->result = (struct fsh_result){.kind = FSH_RESULT_UNKNOWN};
        fsh_core_flight_over(core, &now, fx);
        fsh_core_begin(core, FSH_STEP_RELEASE, &now, fx);
    } else if (core->step == FSH_STEP_LEASE && !core->in_air) {
        core->step = FSH_STEP_IDLE;
    }
    fsh_core_advance(core, &now, fx);
}

bool fsh_core_closed(const struct fsh_core *core)
{
    return core->closing && core->step == FSH_STEP_IDLE;
}

void fsh_core_abandon(struct fsh_core *core)
{
    core->closing = true;
    core->in_air = false;
    core->step = FSH_STEP_IDLE;
    core->wake_at = FSH_NEVER;
    fsh_core_gate_quit(core->gate, &core->stand);
}

struct fsh_mono fsh_core_wake_at(const struct fsh_core *core)
{
    return core->wake_at;
}

static int why_not_live(const struct fsh_core *core)
{
    int failure = core->failure ? core->failure : FRESHET_EUNAVAILABLE;

    switch (core->record.phase) {
    case FSH_PHASE_HELD:
        return FRESHET_EHELD;
    case FSH_PHASE_SIGNED_OUT:
        return FRESHET_ESIGNEDOUT;
    case FSH_PHASE_NONE:
        return core->policy->service ? failure : FRESHET_ESIGNEDOUT;
    case FSH_PHASE_ENDED:
        return core->policy->service && comes_back_by_itself(&core->record) ? failure
                                                                            : core->record.reason;
    case FSH_PHASE_LIVE:
        break;
    }
    return failure;
}

int fsh_core_why(const struct fsh_core *core)
{
    if (core->signing_out)
        return core->holding ? FRESHET_EHELD : FRESHET_ESIGNEDOUT;
    if (!core->loaded)
        return core->failure ? core->failure : FRESHET_ESTORE;
    if (core->record.parked && !core->record.refreshable)
        return FRESHET_EOPERATOR;
    if (core->challenge && core->record.phase != FSH_PHASE_LIVE)
        return core->challenge;
    return why_not_live(core);
}
