/* SPDX-License-Identifier: Apache-2.0 */

/* One flight, step by step: lease, exchange, commit; and the other changes of the record. */

#include "base/bounds.h"
#include "core/mutant.h"
#include "core/random.h"
#include "core/step.h"

#include <freshet/status.h>

/* The window after a failure of this machine, counted as so many failures of the platform. */
#define LOCAL_PAUSES 3

static bool signs_in(const struct fsh_core *core)
{
    return core->errand != FSH_ERRAND_REFRESH;
}

/* ---- submitting a step ------------------------------------------------------------------- */

static struct fsh_wall wall_add(struct fsh_wall at, int64_t ms)
{
    return (struct fsh_wall){at.ms + ms};
}

static void fill_lease(struct fsh_core *core, const struct fsh_now *now, struct fsh_change *change)
{
    change->kind = FSH_CHANGE_LEASE;
    if (core->errand == FSH_ERRAND_SIGN_IN && core->command == FSH_ERRAND_NONE) {
        change->wall = now->wall;
        change->pause_ms = core->policy->sign_in_pause_ms;
        change->known_at = core->record.sign_in_at;
        change->sign_in_at = wall_add(now->wall, change->pause_ms);
    }
}

static void fill_commit(struct fsh_core *core, const struct fsh_now *now, struct fsh_change *change)
{
    change->kind = FSH_CHANGE_COMMIT;
    change->reserved = core->reserved;
    change->refreshable =
        core->result.refresh_token || (!signs_in(core) && core->record.refreshable);
    if (core->result.refresh_token && core->policy->refresh_life_ms > 0)
        change->refresh_until = wall_add(now->wall, core->policy->refresh_life_ms);
}

static void fill_release(struct fsh_core *core, const struct fsh_now *now,
                         struct fsh_change *change)
{
    change->kind = FSH_CHANGE_RELEASE;
    change->resolved = core->result.kind != FSH_RESULT_UNKNOWN;
    change->refusals = core->record.refusals;
    if (core->refused) {
        change->refusals++;
        change->sign_in_at = wall_add(
            now->wall, fsh_core_refused_ms(change->refusals, core->policy->sign_in_pause_ms));
    }
}

static void fill_change(struct fsh_core *core, enum fsh_step step, const struct fsh_now *now,
                        struct fsh_change *change)
{
    *change = (struct fsh_change){
        .incarnation = core->record.incarnation,
        .generation = core->record.generation,
        .holder = core->holder,
        .attempt = core->attempt,
        .purpose = core->purpose,
    };
    switch (step) {
    case FSH_STEP_LEASE:
        fill_lease(core, now, change);
        break;
    case FSH_STEP_COMMIT:
        fill_commit(core, now, change);
        break;
    case FSH_STEP_RELEASE:
        fill_release(core, now, change);
        break;
    case FSH_STEP_END:
        change->kind = FSH_CHANGE_END;
        change->reason = core->ending;
        break;
    case FSH_STEP_PARK:
        change->kind = FSH_CHANGE_PARK;
        change->reason = core->result.status;
        break;
    case FSH_STEP_LOSE:
        change->kind = FSH_CHANGE_LOSE;
        change->reason = FRESHET_ELOSTROTATION;
        break;
    case FSH_STEP_SIGN_OUT:
        change->kind = FSH_CHANGE_SIGN_OUT;
        change->hold = core->holding;
        change->reason = core->holding ? FRESHET_EHELD : FRESHET_ESIGNEDOUT;
        break;
    default:
        change->kind = FSH_CHANGE_READ;
        break;
    }
}

void fsh_core_begin(struct fsh_core *core, enum fsh_step step, struct fsh_now *now,
                    struct fsh_effects *fx)
{
    struct fsh_effect *effect;

    core->step = step;
    core->in_air = true;
    core->started_at = now->mono;
    core->ticket = ++core->ticket_count;
    switch (step) {
    case FSH_STEP_SEND:
        fsh_core_gate_enter(core->gate, now->mono);
        effect = fsh_core_put(fx, FSH_EFFECT_SEND);
        effect->send.errand = core->errand;
        break;
    case FSH_STEP_ADOPT:
        effect = fsh_core_put(fx, FSH_EFFECT_ADOPT);
        effect->adopt.generation = core->record.generation;
        break;
    default:
        effect = fsh_core_put(fx, FSH_EFFECT_STORE);
        if (step == FSH_STEP_LEASE)
            core->purpose = signs_in(core) ? FSH_PURPOSE_SIGN_IN : FSH_PURPOSE_REFRESH;
        fill_change(core, step, now, &effect->change);
        break;
    }
    effect->ticket = core->ticket;
}

void fsh_core_pause(struct fsh_core *core, struct fsh_mono retry_at)
{
    core->in_air = false;
    core->retry_at = retry_at;
}

/* ---- the platform's answer --------------------------------------------------------------- */

/* What is not what it says it is. */
static struct fsh_result honest(const struct fsh_core *core, const struct fsh_result *result)
{
    struct fsh_result bad = *result;

    bad.kind = FSH_RESULT_UNKNOWN;
    bad.status = FRESHET_EBADBODY;
    bad.retry_after_ms = -1;
    if (result->kind == FSH_RESULT_CHALLENGE && !signs_in(core))
        return bad;
    if (result->kind == FSH_RESULT_GRANT && !fsh_core_ever_usable(result->lifetime_ms)) {
        /* The access token is worth nothing, but a rotated refresh token is still the only one. */
        if (!result->refresh_token || signs_in(core))
            return bad;
        bad = *result;
        bad.lifetime_ms = 0;
        return bad;
    }
    return *result;
}

static bool works(const struct fsh_result *result)
{
    return result->kind == FSH_RESULT_DEFINITE || result->kind == FSH_RESULT_CHALLENGE ||
           (result->kind == FSH_RESULT_GRANT && result->lifetime_ms != 0);
}

static bool of_person(const struct fsh_core *core)
{
    return core->command != FSH_ERRAND_NONE && core->command == core->errand;
}

/* What a person typed may be what the platform does not take (a WAF's 403, a 400 that is no
 * verdict): whoever can reach a sign-in page must not hold back the refreshes of all. */
static bool says_nothing(const struct fsh_core *core, const struct fsh_result *result)
{
    return result->kind == FSH_RESULT_LOCAL ||
           (of_person(core) && result->kind == FSH_RESULT_TRANSIENT && result->retry_after_ms < 0);
}

static void tell_gate(struct fsh_core *core, struct fsh_now *now, const struct fsh_result *result,
                      struct fsh_effects *fx)
{
    bool look;

    if (says_nothing(core, result))
        look = fsh_core_gate_leave(core->gate);
    else if (works(result))
        look = fsh_core_gate_worked(core->gate);
    else
        look = fsh_core_gate_failed(core->gate, now->mono, result->retry_after_ms,
                                    fsh_core_draw(&now->random));
    if (look)
        fsh_core_put(fx, FSH_EFFECT_GATE);
}

static void publish(struct fsh_core *core, struct fsh_now *now, uint64_t generation,
                    struct fsh_mono sent_at, int64_t lifetime_ms, struct fsh_effects *fx)
{
    struct fsh_effect *effect = fsh_core_put(fx, FSH_EFFECT_PUBLISH);

    core->published = generation;
    core->failure = 0;
    core->token = fsh_core_freshness(sent_at, lifetime_ms, core->policy->threshold_ms,
                                     fsh_core_draw(&now->random));
    effect->publish.generation = generation;
}

static void granted(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    const struct fsh_result *result = &core->result;

    if (result->identified && result->suspended) {
        fsh_core_condemn(core, FRESHET_ESUSPENDED, fx);
        fsh_core_begin(core, FSH_STEP_END, now, fx);
        return;
    }
    if (result->identified && result->external && core->policy->first_party) {
        fsh_core_condemn(core, FRESHET_EEXTERNALUSER, fx);
        fsh_core_begin(core, FSH_STEP_END, now, fx);
        return;
    }
    core->sent_at = core->started_at;
    /* Rule 7: a bare access token can be had again, so nobody waits for the store. */
    if ((!signs_in(core) && !result->refresh_token) || FSH_MUTANT(HASTY)) {
        publish(core, now, core->reserved, core->sent_at, result->lifetime_ms, fx);
        fsh_core_note(fx, FSH_NOTE_REFRESHED, FRESHET_OK, result->lifetime_ms);
        fsh_core_put(fx, FSH_EFFECT_WAKE);
    }
    fsh_core_begin(core, FSH_STEP_COMMIT, now, fx);
}

static void give_back(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    core->step = FSH_STEP_RELEASE;
    fsh_core_flight_over(core, now, fx);
    fsh_core_begin(core, FSH_STEP_RELEASE, now, fx);
}

/* The flight brought nothing. The lease goes back, and what it leaves behind is recorded. */
static void failed(struct fsh_core *core, struct fsh_now *now, int status, struct fsh_effects *fx)
{
    int64_t closed = fsh_mono_until(now->mono, fsh_core_gate_opens(core->gate));

    core->failure = status;
    if (FSH_MUTANT(DROPS))
        fsh_core_withdraw(core, fx);
    fsh_core_note(fx, FSH_NOTE_FAILED, status, closed > 0 ? closed : 0);
    fsh_core_reply(core, status, fx);
    give_back(core, now, fx);
}

static void challenged(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    int status = core->result.status;

    fsh_core_note(fx, FSH_NOTE_CHALLENGED, status, 0);
    if (core->command == FSH_ERRAND_NONE) {
        core->failure = FRESHET_EOPERATOR;
        fsh_core_begin(core, FSH_STEP_PARK, now, fx);
        return;
    }
    core->challenge = status == FRESHET_ECHALLENGEUNKNOWN ? 0 : status;
    failed(core, now, status, fx);
}

static bool challenge_stays(int status)
{
    return status == FRESHET_EMFACODE || status == FRESHET_EPASSWORDPOLICY;
}

static void refused(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    int status = core->result.status;

    if (!signs_in(core)) {
        /* A spent refresh token is refused like a revoked one; with an answer lost before, the
         * likelier reason is told. */
        if (core->replay && core->policy->rotating && status == FRESHET_EENDED)
            status = FRESHET_ELOSTROTATION;
        fsh_core_condemn(core, status, fx);
        fsh_core_begin(core, FSH_STEP_END, now, fx);
        return;
    }
    if (status == FRESHET_ESUSPENDED) {
        fsh_core_condemn(core, status, fx);
        fsh_core_begin(core, FSH_STEP_END, now, fx);
        return;
    }
    if (!challenge_stays(status))
        core->challenge = 0;
    core->refused = core->command == FSH_ERRAND_NONE;
    failed(core, now, status, fx);
}

void fsh_core_answered(struct fsh_core *core, struct fsh_now now, uint64_t ticket,
                       const struct fsh_result *result, struct fsh_effects *fx)
{
    if (core->probing && ticket == core->probe_ticket) {
        tell_gate(core, &now, result, fx);
        fsh_core_probe_answered(core, &now, result, fx);
        fsh_core_advance(core, &now, fx);
        return;
    }
    if (!core->in_air || ticket != core->ticket || core->step != FSH_STEP_SEND)
        return;
    core->in_air = false;
    core->result = honest(core, result);
    core->refused = false;
    core->clean = core->result.kind != FSH_RESULT_UNKNOWN;
    tell_gate(core, &now, &core->result, fx);
    switch (core->result.kind) {
    case FSH_RESULT_GRANT:
        granted(core, &now, fx);
        break;
    case FSH_RESULT_CHALLENGE:
        challenged(core, &now, fx);
        break;
    case FSH_RESULT_DEFINITE:
        refused(core, &now, fx);
        break;
    default:
        failed(core, &now, core->result.status, fx);
        break;
    }
    fsh_core_advance(core, &now, fx);
}

/* ---- the store's reports ----------------------------------------------------------------- */

/* What each step makes of the store's verdict; the record is already read. */
typedef void stored_fn(struct fsh_core *core, struct fsh_now *now, enum fsh_verdict verdict,
                       struct fsh_effects *fx);

static void poll_lease(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    if (core->waiting_for != core->record.lease.attempt) {
        core->waiting_for = core->record.lease.attempt;
        fsh_core_note(fx, FSH_NOTE_WAITING_FOR_LEASE, FRESHET_OK, 0);
    }
    fsh_core_pause(core, fsh_mono_add(now->mono, FSH_LEASE_POLL_MS));
}

static void read_done(struct fsh_core *core, struct fsh_now *now, enum fsh_verdict verdict,
                      struct fsh_effects *fx)
{
    (void)verdict;
    if (!core->loaded)
        fsh_core_note(fx, FSH_NOTE_OPENED, FRESHET_OK, (int64_t)core->record.generation);
    fsh_core_settle(core, now, fx);
}

/* The gate may have closed while the store was asked. A person passes it, but not Retry-After. */
static bool gate_closed(const struct fsh_core *core, struct fsh_mono now)
{
    struct fsh_mono opens =
        of_person(core) ? core->gate->closed_to : fsh_core_gate_opens(core->gate);

    return opens.ms > now.ms && !FSH_MUTANT(IMPATIENT);
}

/* Nothing was tried, and so nothing has failed: whoever waits goes on waiting. A person is told. */
static void stopped_at_gate(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    core->result = (struct fsh_result){.kind = FSH_RESULT_TRANSIENT};
    core->refused = false;
    if (of_person(core))
        failed(core, now, FRESHET_EUNAVAILABLE, fx);
    else
        give_back(core, now, fx);
}

/* The store said how long ago; what it took to say so has passed since. */
static bool within_grace(const struct fsh_core *core, struct fsh_mono now)
{
    int64_t since = fsh_mono_until(core->started_at, now);

    return core->unresolved_ms < core->policy->grace_ms - since;
}

static void leased(struct fsh_core *core, struct fsh_now *now, enum fsh_verdict verdict,
                   struct fsh_effects *fx)
{
    int64_t left = FSH_LEASE_MS - fsh_mono_until(core->started_at, now->mono);

    /* Who closes has nothing to wait for another engine's flight for. */
    if (verdict == FSH_VERDICT_STALE || (verdict == FSH_VERDICT_BUSY && core->closing)) {
        core->errand = FSH_ERRAND_NONE;
        fsh_core_settle(core, now, fx);
        return;
    }
    if (verdict == FSH_VERDICT_BUSY) {
        poll_lease(core, now, fx);
        return;
    }
    /* A store so slow that the lease could end before the exchange must: ask again. */
    if (left <= FSH_EXCHANGE_MS && !FSH_MUTANT(STRETCHES)) {
        fsh_core_pause(core, now->mono);
        return;
    }
    core->reserved = core->record.lease.generation;
    if (core->closing) {
        core->result = (struct fsh_result){.kind = FSH_RESULT_LOCAL};
        fsh_core_begin(core, FSH_STEP_RELEASE, now, fx);
        return;
    }
    if (gate_closed(core, now->mono)) {
        stopped_at_gate(core, now, fx);
        return;
    }
    core->replay = core->errand == FSH_ERRAND_REFRESH && core->unresolved_ms >= 0;
    if (core->replay && core->policy->rotating) {
        if (!within_grace(core, now->mono) && !FSH_MUTANT(NO_GRACE)) {
            fsh_core_begin(core, FSH_STEP_LOSE, now, fx);
            return;
        }
        fsh_core_note(fx, FSH_NOTE_REFRESH_REPLAY, FRESHET_OK, core->unresolved_ms);
    }
    core->clean = false;
    fsh_core_begin(core, FSH_STEP_SEND, now, fx);
}

static void landed(struct fsh_core *core, struct fsh_now *now, struct fsh_effects *fx)
{
    bool sign_in = signs_in(core);

    core->step = FSH_STEP_IDLE;
    core->clean = false;
    if (sign_in)
        core->challenge = 0;
    if (core->result.lifetime_ms == 0) {
        core->failure = FRESHET_EBADBODY;
        fsh_core_note(fx, FSH_NOTE_FAILED, FRESHET_EBADBODY, 0);
    } else if (core->published != core->reserved) {
        publish(core, now, core->reserved, core->sent_at, core->result.lifetime_ms, fx);
        fsh_core_note(fx, sign_in ? FSH_NOTE_SIGNED_IN : FSH_NOTE_REFRESHED, FRESHET_OK,
                      core->result.lifetime_ms);
    }
    fsh_core_reply(core, FRESHET_OK, fx);
    fsh_core_flight_over(core, now, fx);
}

static void committed(struct fsh_core *core, struct fsh_now *now, enum fsh_verdict verdict,
                      struct fsh_effects *fx)
{
    /* STALE with our own generation: the change took effect before, and only the word was lost. The
     * session may have been ended or signed out since. */
    bool written = verdict == FSH_VERDICT_DONE || core->record.generation == core->reserved;

    if (written && core->record.phase == FSH_PHASE_LIVE) {
        landed(core, now, fx);
        return;
    }
    /* Another engine's result stands; the lease that we may still have goes back. */
    core->result.kind = FSH_RESULT_UNKNOWN;
    fsh_core_reply(core, FRESHET_ECANCELED, fx);
    if (core->record.phase != FSH_PHASE_LIVE)
        fsh_core_withdraw(core, fx);
    fsh_core_flight_over(core, now, fx);
    fsh_core_begin(core, FSH_STEP_RELEASE, now, fx);
}

static void released(struct fsh_core *core, struct fsh_now *now, enum fsh_verdict verdict,
                     struct fsh_effects *fx)
{
    (void)verdict;
    /* What this machine could not do a moment ago, it is not asked for again at once. */
    if (core->result.kind == FSH_RESULT_LOCAL)
        core->store_at =
            fsh_mono_add(now->mono, fsh_core_backoff_ms(LOCAL_PAUSES, fsh_core_draw(&now->random)));
    fsh_core_settle(core, now, fx);
}

static void ended(struct fsh_core *core, struct fsh_now *now, enum fsh_verdict verdict,
                  struct fsh_effects *fx)
{
    if (verdict == FSH_VERDICT_BUSY) {
        poll_lease(core, now, fx);
        return;
    }
    if (verdict == FSH_VERDICT_DONE) {
        fsh_core_note(fx, FSH_NOTE_ENDED, core->ending, (int64_t)core->record.generation);
        /* A person's session says so by its record, and can come to rest. */
        core->failure = core->policy->service ? core->ending : FRESHET_OK;
        fsh_core_reply(core, core->ending, fx);
    } else {
        fsh_core_reply(core, FRESHET_ECANCELED, fx);
    }
    core->ending = 0;
    core->clean = false;
    fsh_core_flight_over(core, now, fx);
    fsh_core_settle(core, now, fx);
}

static void parked(struct fsh_core *core, struct fsh_now *now, enum fsh_verdict verdict,
                   struct fsh_effects *fx)
{
    if (verdict == FSH_VERDICT_DONE)
        fsh_core_note(fx, FSH_NOTE_PARKED, core->result.status, 0);
    fsh_core_flight_over(core, now, fx);
    fsh_core_settle(core, now, fx);
}

static void lost(struct fsh_core *core, struct fsh_now *now, enum fsh_verdict verdict,
                 struct fsh_effects *fx)
{
    if (verdict == FSH_VERDICT_DONE) {
        core->failure = FRESHET_ELOSTROTATION;
        fsh_core_note(fx, FSH_NOTE_LOST_ROTATION, FRESHET_ELOSTROTATION, 0);
    }
    core->clean = false;
    fsh_core_flight_over(core, now, fx);
    fsh_core_settle(core, now, fx);
}

static void signed_out(struct fsh_core *core, struct fsh_now *now, enum fsh_verdict verdict,
                       struct fsh_effects *fx)
{
    (void)verdict;
    core->signing_out = false;
    core->holding = false;
    fsh_core_note(fx, FSH_NOTE_SIGNED_OUT, core->record.reason, 0);
    fsh_core_put(fx, FSH_EFFECT_SIGNED_OUT)->status = FRESHET_OK;
    fsh_core_settle(core, now, fx);
}

static stored_fn *const on_stored[FSH_STEPS] = {
    [FSH_STEP_READ] = read_done,   [FSH_STEP_LEASE] = leased,        [FSH_STEP_COMMIT] = committed,
    [FSH_STEP_RELEASE] = released, [FSH_STEP_END] = ended,           [FSH_STEP_PARK] = parked,
    [FSH_STEP_LOSE] = lost,        [FSH_STEP_SIGN_OUT] = signed_out,
};

/* The store failed: what must be written is tried again, everything else is given up. */
static void store_failed(struct fsh_core *core, struct fsh_now *now, int status,
                         struct fsh_effects *fx)
{
    core->store_failures++;
    core->store_at = fsh_mono_add(
        now->mono, fsh_core_backoff_ms(core->store_failures, fsh_core_draw(&now->random)));
    fsh_core_note(fx, FSH_NOTE_STORE_FAILED, status, fsh_mono_until(now->mono, core->store_at));
    switch (core->step) {
    case FSH_STEP_READ:
        core->errand = core->command; /* a person is told at once */
        /* fall through */
    case FSH_STEP_LEASE:
        core->failure = status;
        fsh_core_reply(core, status, fx);
        /* fall through */
    case FSH_STEP_RELEASE: /* its lease ends by itself */
        core->step = FSH_STEP_IDLE;
        fsh_core_flight_over(core, now, fx);
        break;
    case FSH_STEP_SIGN_OUT:
        fsh_core_put(fx, FSH_EFFECT_SIGNED_OUT)->status = status;
        fsh_core_pause(core, core->store_at);
        break;
    default:
        if (!fsh_core_usable(core, now->mono))
            core->failure = status;
        fsh_core_pause(core, core->store_at);
        fsh_core_put(fx, FSH_EFFECT_WAKE);
        break;
    }
}

void fsh_core_stored(struct fsh_core *core, struct fsh_now now, uint64_t ticket, int status,
                     enum fsh_verdict verdict, const struct fsh_record *record,
                     int64_t unresolved_ms, struct fsh_effects *fx)
{
    if (!core->in_air || ticket != core->ticket || !on_stored[core->step])
        return;
    core->in_air = false;
    if (status != FRESHET_OK) {
        store_failed(core, &now, status, fx);
    } else {
        core->store_failures = 0;
        core->store_at = now.mono;
        core->record = *record;
        core->read_at = now.mono;
        core->unresolved_ms = unresolved_ms;
        on_stored[core->step](core, &now, verdict, fx);
    }
    fsh_core_advance(core, &now, fx);
}

void fsh_core_adopted(struct fsh_core *core, struct fsh_now now, uint64_t ticket,
                      struct fsh_mono sent_at, int64_t lifetime_ms, struct fsh_effects *fx)
{
    if (!core->in_air || ticket != core->ticket || core->step != FSH_STEP_ADOPT)
        return;
    core->in_air = false;
    core->step = FSH_STEP_IDLE;
    if (FSH_MUTANT(HALF) && lifetime_ms == 0) {
        lifetime_ms = core->policy->threshold_ms;
        sent_at = now.mono;
    }
    if (lifetime_ms > 0 && fsh_core_ever_usable(lifetime_ms)) {
        publish(core, &now, core->record.generation, sent_at, lifetime_ms, fx);
        fsh_core_note(fx, FSH_NOTE_ADOPTED, FRESHET_OK, (int64_t)core->record.generation);
        core->flights++;
        core->wanted = false;
        fsh_core_judge(core, now.mono, fx);
    }
    fsh_core_put(fx, FSH_EFFECT_WAKE);
    fsh_core_advance(core, &now, fx);
}
