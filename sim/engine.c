/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "base/bounds.h"
#include "core/random.h"

#include <freshet/status.h>

/* Carries out the core's effects as src/engine does, by numbers instead of tokens. */

static struct sim_session *at(struct sim_world *world, int engine, int session)
{
    return &world->engines[engine].sessions[session];
}

struct fsh_mono sim_engine_mono(const struct sim_world *world, int engine)
{
    const struct sim_host *host = &world->hosts[world->engines[engine].host];

    return (struct fsh_mono){host->offset + world->now + world->now * host->drift / 1000000};
}

struct fsh_now sim_engine_now(struct sim_world *world, int engine)
{
    struct sim_engine *self = &world->engines[engine];
    struct fsh_now now = {
        .mono = sim_engine_mono(world, engine),
        .wall = {SIM_BEGINNING_MS + world->now +
                 (sim_faulty(world) ? world->hosts[self->host].step : 0)},
        .random = fsh_core_draw(&self->random),
    };

    return now;
}

/* ---- effects --------------------------------------------------------------------------------- */

static void do_store(struct sim_world *world, int engine, int session,
                     const struct fsh_effect *effect)
{
    struct sim_session *self = at(world, engine, session);
    int64_t delay = 1 + sim_uniform(world, 20);
    struct sim_event *event;

    if (sim_strikes(world, SIM_SLOW_STORE))
        delay = sim_fault_uniform(world, SIM_SLOW_STORE, 20000);
    if (world->now + delay <= self->stored_last)
        delay = self->stored_last + 1 - world->now;
    self->stored_last = world->now + delay;
    event = sim_event(world, SIM_STORE, engine, session, delay);
    event->ticket = effect->ticket;
    event->started = sim_engine_mono(world, engine);
    event->change = effect->change;
    event->commanded = self->commanded;
    if (effect->change.kind == FSH_CHANGE_LEASE)
        self->lease_wall = effect->change.wall.ms;
    if (effect->change.kind == FSH_CHANGE_COMMIT) {
        event->grant = self->made;
        event->leased_at = self->leased_at;
        sim_cache_put(world, engine, session, &effect->change);
    }
}

static void do_adopt(struct sim_world *world, int engine, int session,
                     const struct fsh_effect *effect)
{
    struct sim_event *event = sim_event(world, SIM_ADOPTED, engine, session, 1);

    event->ticket = effect->ticket;
    if (!sim_cache_get(world, engine, session, effect->adopt.generation, event))
        event->grant = (struct sim_grant){0};
}

/* The request is made, and has yet to leave: a crash or a pause may come in between. Whatever
 * happens, the exchange ends in time for this engine. */
static void do_send(struct sim_world *world, int engine, int session,
                    const struct fsh_effect *effect)
{
    const struct sim_session *self = at(world, engine, session);
    struct sim_event *event = sim_event(world, SIM_LEAVE, engine, session, sim_uniform(world, 2));
    struct sim_event *timeout;

    sim_check_send(world, engine, session, effect->send.errand);
    event->ticket = effect->ticket;
    event->started = sim_engine_mono(world, engine);
    event->errand = effect->send.errand;
    event->lease_until = self->lease_until;
    event->leased_at = self->leased_at;
    if (event->errand == FSH_ERRAND_REFRESH)
        event->token = self->leased;
    else if (event->errand == FSH_ERRAND_PROBE)
        event->token = self->force.access;
    timeout = sim_follow(world, SIM_ANSWER, event, FSH_EXCHANGE_MS);
    timeout->result = (struct fsh_result){
        .kind = FSH_RESULT_UNKNOWN, .status = FRESHET_EUNAVAILABLE, .retry_after_ms = -1};
}

static void leave(struct sim_world *world, struct sim_event *event)
{
    const struct fsh_core *core = &at(world, event->engine, event->session)->core;
    int64_t gone = sim_engine_mono(world, event->engine).ms - event->started.ms;
    int64_t delay = 5 + sim_uniform(world, 50);

    /* Cancelled, or the time-out came first, as it does in libcurl after a pause. */
    if (gone >= FSH_EXCHANGE_MS ||
        (event->ticket != core->ticket && event->ticket != core->probe_ticket))
        return;
    sim_check_leave(world, event);
    if (sim_chance(world, 300)) /* callers come while it is in the air */
        sim_event(world, SIM_CALL, event->engine, event->session, sim_uniform(world, 2000))->extra =
            true;
    sim_say(world, event->engine, event->session, "sends a %s", sim_errand_name(event->errand));
    if (sim_strikes(world, SIM_REFUSED_CONNECTIONS)) {
        struct sim_event *answer = sim_follow(world, SIM_ANSWER, event, 2);

        answer->result = (struct fsh_result){
            .kind = FSH_RESULT_TRANSIENT, .status = FRESHET_EUNAVAILABLE, .retry_after_ms = -1};
        return;
    }
    if (sim_strikes(world, SIM_LOST_REQUESTS)) {
        sim_say(world, event->engine, event->session, "network: that request is lost");
        return;
    }
    if (sim_strikes(world, SIM_SLOW_NETWORK))
        delay = sim_fault_uniform(world, SIM_SLOW_NETWORK, 25000);
    (void)sim_follow(world, SIM_ARRIVE, event, delay);
}

static void do_publish(struct sim_world *world, int engine, int session,
                       const struct fsh_effect *effect)
{
    struct sim_session *self = at(world, engine, session);
    const struct sim_grant *grant = self->adopted.access ? &self->adopted : &self->made;

    sim_check_publish(world, engine, session, effect->publish.generation, grant);
    self->force = *grant;
    self->generation = effect->publish.generation;
    self->excused = false;
    self->life = SIM_ALIVE;
    sim_say(world, engine, session, "hands out access token %u of generation %llu from now on",
            self->force.access, (unsigned long long)self->generation);
}

static void do_withdraw(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);

    sim_say(world, engine, session, "withdraws access token %u", self->force.access);
    sim_check_withdraw(world, engine, session);
    self->force = (struct sim_grant){0};
    sim_cache_drop(world, session, self->generation);
}

static void do_note(struct sim_world *world, int engine, int session,
                    const struct fsh_effect *effect)
{
    struct sim_session *self = at(world, engine, session);

    if (effect->note.status)
        sim_say(world, engine, session, "%s (%s)", sim_note_text(effect->note.note),
                sim_status_name(effect->note.status));
    else
        sim_say(world, engine, session, "%s", sim_note_text(effect->note.note));
    if (effect->note.note == FSH_NOTE_ENDED)
        self->life = SIM_ENDED;
    if (effect->note.note == FSH_NOTE_SIGNED_OUT)
        self->life = SIM_SIGNED_OUT;
    if (effect->note.note == FSH_NOTE_PROBE_SAYS_DEAD)
        self->excused = true;
}

static void do_effect(struct sim_world *world, int engine, int session,
                      const struct fsh_effect *effect)
{
    struct sim_session *self = at(world, engine, session);

    switch (effect->kind) {
    case FSH_EFFECT_STORE:
        do_store(world, engine, session, effect);
        break;
    case FSH_EFFECT_ADOPT:
        do_adopt(world, engine, session, effect);
        break;
    case FSH_EFFECT_SEND:
        do_send(world, engine, session, effect);
        break;
    case FSH_EFFECT_PUBLISH:
        do_publish(world, engine, session, effect);
        break;
    case FSH_EFFECT_WITHDRAW:
        do_withdraw(world, engine, session);
        break;
    case FSH_EFFECT_FORGET:
        self->leased = 0;
        self->made = (struct sim_grant){0};
        break;
    case FSH_EFFECT_REPLY:
        sim_callers_replied(world, engine, session, effect->status);
        break;
    case FSH_EFFECT_GATE:
        for (int other = 0; other < SIM_SESSIONS; other++) {
            if (sim_takes_part(world, engine, other))
                (void)sim_event(world, SIM_TICK, engine, other, 0);
        }
        break;
    case FSH_EFFECT_NOTE:
        do_note(world, engine, session, effect);
        break;
    case FSH_EFFECT_WAKE: /* by sim_engine_carry_out, at its end */
    case FSH_EFFECT_CANCEL:
    case FSH_EFFECT_SIGNED_OUT:
        break;
    }
}

static void set_timer(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    struct fsh_mono wake = fsh_core_wake_at(&self->core);
    int64_t delay = wake.ms - sim_engine_mono(world, engine).ms;

    if (wake.ms == FSH_NEVER.ms || self->tick_at.ms == wake.ms)
        return;
    self->tick_at = wake;
    sim_event(world, SIM_TICK, engine, session, delay > 0 ? delay : 0)->ticket =
        ++self->tick_number;
}

/* Between two effects an engine may go down, or sleep. */
static void stumble(struct sim_world *world, int engine, enum fsh_effect_kind before)
{
    if (before != FSH_EFFECT_STORE && before != FSH_EFFECT_SEND && before != FSH_EFFECT_PUBLISH)
        return;
    if (sim_strikes(world, SIM_CRASHES_BETWEEN))
        sim_happen_crash(world, engine);
    else if (sim_strikes(world, SIM_PAUSES_BETWEEN))
        sim_happen_pause(world, engine, SIM_PAUSES_BETWEEN);
}

/* Who stands first at the gate looks. */
static void let_in(struct sim_world *world, int engine)
{
    struct sim_engine *self = &world->engines[engine];

    for (int i = 0; i < SIM_SESSIONS; i++) {
        if (&self->sessions[i].core == fsh_core_next(&self->gate, sim_engine_mono(world, engine)))
            (void)sim_event(world, SIM_TICK, engine, i, 0);
    }
}

void sim_engine_carry_out(struct sim_world *world, int engine, int session,
                          const struct fsh_effects *fx)
{
    bool wake = false;

    sim_check_line(world, engine, session);
    if (fx->count >= FSH_EFFECTS_MAX)
        sim_violated(world, SIM_RULE_BOUNDED, "a step returned more effects than fit");
    for (unsigned i = 0; i < fx->count; i++) {
        stumble(world, engine, fx->list[i].kind);
        if (!world->engines[engine].up)
            return;
        do_effect(world, engine, session, &fx->list[i]);
        wake = wake || fx->list[i].kind == FSH_EFFECT_WAKE;
    }
    if (wake)
        sim_callers_ask_again(world, engine, session);
    if (!world->engines[engine].up)
        return;
    set_timer(world, engine, session);
    let_in(world, engine);
}

/* ---- events ------------------------------------------------------------------------------------
 */

static void tick(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    struct fsh_effects fx;

    fx.count = 0;
    self->tick_at = FSH_NEVER;
    if (world->now != world->tick_time)
        world->tick_count = 0;
    world->tick_time = world->now;
    if (++world->tick_count > 1000)
        sim_violated(world, SIM_RULE_BOUNDED, "the core wants to be woken at once, for ever");
    fsh_core_tick(&self->core, sim_engine_now(world, engine), &fx);
    sim_engine_carry_out(world, engine, session, &fx);
}

void sim_engine_start(struct sim_world *world, int engine)
{
    struct sim_engine *self = &world->engines[engine];

    self->up = true;
    self->closing = false;
    self->life = ++world->lives;
    self->holder = fsh_core_draw(&self->random) | 1;
    /* Without a bound, or with one that is met. */
    self->gate = (struct fsh_gate){.room = (uint32_t)(self->holder >> 1 & 1)};
    self->closed_to = (struct fsh_mono){INT64_MIN};
    self->paused_until = 0;
    for (int session = 0; session < SIM_SESSIONS && self->up; session++) {
        struct sim_session *fresh = &self->sessions[session];
        int64_t stored_last = fresh->stored_last;

        *fresh = (struct sim_session){
            .stored_last = stored_last, .tick_at = FSH_NEVER, .probed_at = FSH_NEVER};
        fsh_core_init(&fresh->core, &world->policies[session], &self->gate, self->holder);
        if (sim_takes_part(world, engine, session))
            tick(world, engine, session);
    }
}

static bool works(const struct sim_event *event)
{
    const struct fsh_result *result = &event->result;

    return result->kind == FSH_RESULT_DEFINITE || result->kind == FSH_RESULT_CHALLENGE ||
           (result->kind == FSH_RESULT_GRANT &&
            (event->errand == FSH_ERRAND_PROBE || fsh_core_ever_usable(result->lifetime_ms)));
}

/* What the platform asked for, and whether it still does. */
static void note_retry_after(struct sim_world *world, const struct sim_event *event)
{
    struct sim_engine *self = &world->engines[event->engine];
    int64_t after = event->result.retry_after_ms;
    int64_t now = sim_engine_mono(world, event->engine).ms;

    if (works(event))
        self->closed_to.ms = INT64_MIN;
    if (works(event) || event->result.kind == FSH_RESULT_GRANT || after < 0)
        return;
    if (after > FSH_RETRY_AFTER_MS)
        after = FSH_RETRY_AFTER_MS;
    if (now + after > self->closed_to.ms)
        self->closed_to.ms = now + after;
}

static void take_grant(struct sim_session *self, const struct sim_event *event)
{
    self->made = event->grant;
    /* Without an ID token the partners stay as they were. */
    if (!event->grant.identified)
        self->made.partners = self->force.access ? self->force.partners : 0;
}

static void answered(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = at(world, event->engine, event->session);
    bool of_probe = self->core.probing && event->ticket == self->core.probe_ticket;
    bool of_flight = self->core.step == FSH_STEP_SEND && event->ticket == self->core.ticket;
    struct fsh_effects fx;

    fx.count = 0;
    if (of_probe || of_flight) {
        sim_tell_answer(world, event, "is told:");
        note_retry_after(world, event);
    }
    if (of_flight && event->result.kind == FSH_RESULT_GRANT)
        take_grant(self, event);
    if (of_flight && (event->result.kind == FSH_RESULT_DEFINITE || event->result.suspended))
        self->excused = true;
    fsh_core_answered(&self->core, sim_engine_now(world, event->engine), event->ticket,
                      &event->result, &fx);
    sim_engine_carry_out(world, event->engine, event->session, &fx);
}

static void stored(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = at(world, event->engine, event->session);
    struct fsh_effects fx;

    fx.count = 0;
    if (event->ticket == self->core.ticket && event->status == FRESHET_OK) {
        if (event->change.kind == FSH_CHANGE_LEASE && event->verdict == FSH_VERDICT_DONE) {
            self->leased = event->leased;
            self->leased_at = event->leased_at;
            self->lease_until = event->lease_until;
        }
        self->read = event->record;
        /* Another engine ended it, or went on. */
        if (event->record.phase != FSH_PHASE_LIVE || event->record.generation > self->generation)
            self->excused = true;
    }
    fsh_core_stored(&self->core, sim_engine_now(world, event->engine), event->ticket, event->status,
                    event->verdict, &event->record, event->unresolved_ms, &fx);
    sim_engine_carry_out(world, event->engine, event->session, &fx);
}

static void adopted(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = at(world, event->engine, event->session);
    struct fsh_effects fx;

    fx.count = 0;
    if (event->ticket == self->core.ticket)
        self->adopted = event->grant;
    fsh_core_adopted(&self->core, sim_engine_now(world, event->engine), event->ticket,
                     event->started, event->grant.lifetime_ms, &fx);
    sim_engine_carry_out(world, event->engine, event->session, &fx);
    self->adopted = (struct sim_grant){0};
}

static void report(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = at(world, event->engine, event->session);
    struct fsh_effects fx;

    fx.count = 0;
    sim_say(world, event->engine, event->session,
            "a caller's request was answered 401 (generation %llu)",
            (unsigned long long)event->generation);
    /* For a service the probe decides. */
    if (event->generation == self->generation && !world->plan.service[event->session])
        self->excused = true;
    fsh_core_unauthorized(&self->core, sim_engine_now(world, event->engine), event->generation,
                          &fx);
    sim_engine_carry_out(world, event->engine, event->session, &fx);
}

void sim_engine_event(struct sim_world *world, struct sim_event *event)
{
    switch (event->kind) {
    case SIM_TICK: /* a timer that was set anew since is none any more */
        if (event->ticket == 0 ||
            event->ticket == at(world, event->engine, event->session)->tick_number)
            tick(world, event->engine, event->session);
        break;
    case SIM_CALL:
        sim_callers_call(world, event->engine, event->session);
        break;
    case SIM_LATE:
        sim_callers_late(world, event);
        break;
    case SIM_LEAVE:
        leave(world, event);
        break;
    case SIM_ANSWER:
        answered(world, event);
        break;
    case SIM_STORED:
        stored(world, event);
        break;
    case SIM_ADOPTED:
        adopted(world, event);
        break;
    case SIM_REPORT:
        report(world, event);
        break;
    case SIM_PERSON:
        sim_callers_person(world, event);
        break;
    default:
        break;
    }
}
