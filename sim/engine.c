/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include "base/bounds.h"

#include <freshet/status.h>

/* Carries out the core's effects as src/engine does, by numbers instead of tokens. */

#define STRICT_MS 200000

static struct sim_session *at(struct sim_world *world, int engine, int session)
{
    return &world->engines[engine].sessions[session];
}

struct fsh_now sim_engine_now(struct sim_world *world, int engine)
{
    const struct sim_engine *self = &world->engines[engine];
    struct fsh_now now = {
        .mono = {self->offset + world->now + world->now / 1000000 * self->drift},
        .wall = {INT64_C(1800000000000) + world->now + self->wall_step},
        .random = sim_draw(world),
    };

    return now;
}

static void carry_out(struct sim_world *world, int engine, int session,
                      const struct fsh_effects *fx);

/* ---- effects -----------------------------------------------------------------------------------
 */

static void put_in_cache(struct sim_world *world, int engine, struct sim_session *self, int session,
                         const struct fsh_change *change)
{
    struct sim_row *row = &world->rows[session];

    if (self->grant_access == 0 || row->cached_generation > change->reserved)
        return;
    row->cached_generation = change->reserved;
    row->cached_incarnation = change->incarnation + (change->purpose == FSH_PURPOSE_SIGN_IN);
    row->cached_token = self->grant_access;
    row->cached_sent = self->core.sent_at.ms;
    row->cached_lifetime = self->grant_lifetime;
    row->cached_boot = world->engines[engine].boot;
}

static void do_store(struct sim_world *world, int engine, int session,
                     const struct fsh_effect *effect)
{
    struct sim_session *self = at(world, engine, session);
    int64_t delay = 1 + sim_uniform(world, 20);
    struct sim_event *event;

    if (sim_faulty(world) && sim_chance(world, world->plan.slow))
        delay = sim_uniform(world, 20000);
    if (world->now + delay < self->stored_last)
        delay = self->stored_last - world->now;
    self->stored_last = world->now + delay;
    event = sim_event(world, SIM_STORE, engine, session, delay);
    event->ticket = effect->ticket;
    event->change = effect->change;
    event->explicit = self->core.command != FSH_ERRAND_NONE;
    if (effect->change.kind == FSH_CHANGE_COMMIT) {
        event->new_refresh = self->grant_refresh;
        put_in_cache(world, engine, self, session, &effect->change);
    }
}

static void do_adopt(struct sim_world *world, int engine, int session,
                     const struct fsh_effect *effect)
{
    struct sim_row *row = &world->rows[session];
    struct sim_session *self = at(world, engine, session);
    struct sim_event *event = sim_event(world, SIM_ADOPTED, engine, session, 1);

    event->ticket = effect->ticket;
    if (row->cached_generation != effect->adopt.generation ||
        row->cached_incarnation != self->core.record.incarnation ||
        row->cached_boot != world->engines[engine].boot)
        return;
    event->new_access = row->cached_token;
    event->lifetime = row->cached_lifetime;
    event->sent = row->cached_sent;
}

/* Rule 7, at the moment of sending: a spent refresh token is sent again only within its grace. */
static void check_spent(struct sim_world *world, int session, unsigned token)
{
    const struct sim_token *known = &world->accounts[session].tokens[token];

    if (world->plan.rotating && token != 0 && known->spent_at >= 0 &&
        world->now - known->spent_at > world->plan.grace_ms)
        sim_violated(world, "a spent refresh token was sent outside its grace");
}

static void answer_later(struct sim_world *world, const struct sim_event *question, int64_t delay)
{
    struct sim_event *event =
        sim_event(world, SIM_ANSWER, question->engine, question->session, delay);

    event->life = question->life;
    event->ticket = question->ticket;
    event->errand = question->errand;
    event->result = question->result;
    event->new_access = question->new_access;
    event->new_refresh = question->new_refresh;
    event->lifetime = question->lifetime;
}

static void do_send(struct sim_world *world, int engine, int session,
                    const struct fsh_effect *effect)
{
    struct sim_session *self = at(world, engine, session);
    bool faulty = sim_faulty(world);
    struct sim_event *event;
    struct sim_event timeout = {.engine = engine, .session = session};

    timeout.life = world->engines[engine].life;
    timeout.ticket = effect->ticket;
    timeout.errand = effect->send.errand;
    timeout.result = (struct fsh_result){
        FSH_RESULT_UNKNOWN, FRESHET_EUNAVAILABLE, -1, 0, false, false, false, false};
    if (effect->send.errand == FSH_ERRAND_REFRESH)
        check_spent(world, session, self->leased);
    if (faulty && sim_chance(world, world->plan.lost_request)) {
        bool refused = sim_chance(world, 500);

        timeout.result.kind = refused ? FSH_RESULT_TRANSIENT : FSH_RESULT_UNKNOWN;
        answer_later(world, &timeout, refused ? 2 : FSH_EXCHANGE_MS);
        return;
    }
    answer_later(world, &timeout, FSH_EXCHANGE_MS);
    event = sim_event(world, SIM_SEND, engine, session, 5 + sim_uniform(world, 50));
    event->ticket = effect->ticket;
    event->errand = effect->send.errand;
    event->token = effect->send.errand == FSH_ERRAND_REFRESH ? self->leased : self->token;
}

static void do_publish(struct sim_world *world, int engine, int session,
                       const struct fsh_effect *effect)
{
    struct sim_session *self = at(world, engine, session);
    unsigned token = self->adopted ? self->adopted : self->grant_access;

    if (token == 0)
        sim_violated(world, "a generation was published without its token: half a snapshot");
    if (effect->publish.generation <= self->generation)
        sim_violated(world, "the published generation went back");
    if (self->over && fsh_core_usable(&self->core, sim_engine_now(world, engine).mono) &&
        sim_store_read(world, session).phase != FSH_PHASE_LIVE)
        sim_violated(world, "a dead session came back without a sign-in");
    self->token = token;
    self->generation = effect->publish.generation;
    self->adopted = 0;
    self->excused = false;
    self->over = false;
}

static void do_withdraw(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);

    bool usable = sim_engine_now(world, engine).mono.ms < self->core.token.usable_until.ms;

    if (!self->excused && usable && sim_platform_accepts(world, session, self->token))
        sim_violated(world, "a usable token was dropped without a verdict");
    self->token = 0;
}

static void do_note(struct sim_world *world, int engine, int session,
                    const struct fsh_effect *effect)
{
    struct sim_session *self = at(world, engine, session);

    sim_note(world, "engine %d/%d: note %d, %s, %lld (generation %llu)", engine, session,
             effect->note.note, freshet_status_name(effect->note.status),
             (long long)effect->note.value, (unsigned long long)self->core.published);
    if (effect->note.note == FSH_NOTE_ENDED || effect->note.note == FSH_NOTE_SIGNED_OUT)
        self->over = true;
    if (effect->note.note == FSH_NOTE_REFRESHED)
        world->refreshes++;
}

static void tick(struct sim_world *world, int engine, int session)
{
    struct fsh_effects fx;

    fx.count = 0;
    at(world, engine, session)->tick_at = -1;
    if (world->now != world->tick_time)
        world->tick_count = 0;
    world->tick_time = world->now;
    if (++world->tick_count > 1000)
        sim_violated(world, "the core wants to be woken at once, for ever");
    fsh_core_tick(&at(world, engine, session)->core, sim_engine_now(world, engine), &fx);
    carry_out(world, engine, session, &fx);
}

/* ---- callers ------------------------------------------------------------------------------------
 */

static void come_back(struct sim_world *world, int engine, int session, int status)
{
    struct sim_session *self = at(world, engine, session);
    int64_t pause = world->policy.service ? 60000 : 20000;

    if (self->returning)
        return;
    if (freshet_status_class(status) != FRESHET_CLASS_ENDED)
        return;
    if (world->policy.service && status != FRESHET_EHELD && status != FRESHET_ESIGNEDOUT)
        return;
    self->returning = true;
    (void)sim_event(world, SIM_SIGN_IN, engine, session,
                    sim_faulty(world) ? sim_around(world, pause) : 1000);
}

static void use_token(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    const struct sim_token *token = &world->accounts[session].tokens[self->token];
    struct sim_event *event;

    if (self->token == 0 || world->now >= token->expires_at)
        sim_violated(world, "an expired token was handed out, or none");
    if (!fsh_core_usable(&self->core, sim_engine_now(world, engine).mono))
        sim_violated(world, "a token past its use was handed out");
    if (self->over)
        sim_violated(world, "a token of a session that is over was handed out");
    if (sim_platform_accepts(world, session, self->token))
        return;
    event = sim_event(world, SIM_UNAUTHORIZED, engine, session, sim_uniform(world, 400));
    event->generation = self->generation;
}

static void told(struct sim_world *world, int engine, int session,
                 const struct fsh_caller_answer *answer)
{
    struct sim_session *self = at(world, engine, session);
    bool usable = fsh_core_usable(&self->core, sim_engine_now(world, engine).mono);

    switch (answer->kind) {
    case FSH_ANSWER_READY:
        self->waiting = false;
        self->ready_at = world->now;
        use_token(world, engine, session);
        break;
    case FSH_ANSWER_REFUSED:
        self->waiting = false;
        if (usable)
            sim_violated(world, "a caller was refused though a usable token was there");
        come_back(world, engine, session, answer->status);
        break;
    case FSH_ANSWER_WAIT:
        if (usable && !self->strict)
            sim_violated(world, "a caller waits though a usable token is there");
        break;
    }
}

void sim_engine_call(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    struct fsh_now now = sim_engine_now(world, engine);
    struct fsh_caller_answer answer;
    struct fsh_effects fx;

    if (self->waiting)
        return;
    fx.count = 0;
    self->strict = sim_chance(world, 100);
    self->deadline = now.mono.ms + FSH_CALL_MS;
    self->seen = fsh_core_flights(&self->core);
    answer = fsh_core_ask(&self->core, now, self->strict ? STRICT_MS : 0,
                          (struct fsh_mono){self->deadline}, NULL, &fx);
    self->waiting = answer.kind == FSH_ANSWER_WAIT;
    if (self->waiting)
        sim_event(world, SIM_DEADLINE, engine, session, FSH_CALL_MS)->sent = self->deadline;
    told(world, engine, session, &answer);
    carry_out(world, engine, session, &fx);
}

static void ask_again(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    struct fsh_caller_answer answer;
    struct fsh_effects fx;

    if (!self->waiting)
        return;
    fx.count = 0;
    answer = fsh_core_ask(&self->core, sim_engine_now(world, engine), self->strict ? STRICT_MS : 0,
                          (struct fsh_mono){self->deadline}, &self->seen, &fx);
    told(world, engine, session, &answer);
    carry_out(world, engine, session, &fx);
}

static void late(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = at(world, event->engine, event->session);

    if (!self->waiting || self->deadline != event->sent)
        return;
    ask_again(world, event->engine, event->session);
    if (self->waiting && sim_engine_now(world, event->engine).mono.ms >= self->deadline)
        sim_violated(world, "a caller waits beyond the deadline");
}

/* ---- carrying out
 * -------------------------------------------------------------------------------- */

static void do_effect(struct sim_world *world, int engine, int session,
                      const struct fsh_effect *effect, bool *wake)
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
        self->grant_access = 0;
        self->grant_refresh = 0;
        break;
    case FSH_EFFECT_REPLY:
        self->returning = false;
        break;
    case FSH_EFFECT_WAKE:
        *wake = true;
        break;
    case FSH_EFFECT_GATE:
        for (int other = 0; other < SIM_SESSIONS; other++)
            (void)sim_event(world, SIM_TICK, engine, other, 0);
        break;
    case FSH_EFFECT_NOTE:
        do_note(world, engine, session, effect);
        break;
    case FSH_EFFECT_CANCEL:
    case FSH_EFFECT_SIGNED_OUT:
        break;
    }
}

static void set_timer(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    struct fsh_mono wake = fsh_core_wake_at(&self->core);
    int64_t delay = wake.ms - sim_engine_now(world, engine).mono.ms;

    if (wake.ms == FSH_NEVER.ms || self->tick_at == wake.ms)
        return;
    self->tick_at = wake.ms;
    sim_event(world, SIM_TICK, engine, session, delay > 0 ? delay : 0)->ticket =
        ++self->tick_number;
}

static void carry_out(struct sim_world *world, int engine, int session,
                      const struct fsh_effects *fx)
{
    bool wake = false;

    if (fx->count >= FSH_EFFECTS_MAX)
        sim_violated(world, "a step returned more effects than fit");
    for (unsigned i = 0; i < fx->count; i++)
        do_effect(world, engine, session, &fx->list[i], &wake);
    if (wake)
        ask_again(world, engine, session);
    set_timer(world, engine, session);
}

/* ---- events
 * --------------------------------------------------------------------------------------- */

void sim_engine_start(struct sim_world *world, int engine, bool new_boot)
{
    struct sim_engine *self = &world->engines[engine];

    self->up = true;
    self->life = ++world->lives;
    self->holder = sim_draw(world) | 1;
    self->gate = (struct fsh_gate){0};
    self->paused_until = 0;
    if (new_boot) {
        self->boot = world->plan.one_host ? 1 : sim_draw(world);
        self->offset = world->plan.one_host ? 0 : sim_uniform(world, 1000000000) - world->now;
        self->drift = world->plan.one_host ? 0 : sim_uniform(world, 200) - 100;
    }
    for (int session = 0; session < SIM_SESSIONS; session++) {
        struct sim_session *fresh = &self->sessions[session];
        int64_t stored_last = fresh->stored_last;

        *fresh = (struct sim_session){.stored_last = stored_last, .tick_at = -1};
        fsh_core_init(&fresh->core, &world->policy, &self->gate, self->holder);
        tick(world, engine, session);
    }
}

static void answered(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = at(world, event->engine, event->session);
    struct fsh_effects fx;

    fx.count = 0;
    if (event->ticket == self->core.ticket && event->errand != FSH_ERRAND_PROBE &&
        event->result.kind == FSH_RESULT_GRANT) {
        self->grant_access = event->new_access;
        self->grant_refresh = event->new_refresh;
        self->grant_lifetime = event->lifetime;
    }
    if (event->result.kind == FSH_RESULT_DEFINITE)
        self->excused = true;
    fsh_core_answered(&self->core, sim_engine_now(world, event->engine), event->ticket,
                      &event->result, &fx);
    carry_out(world, event->engine, event->session, &fx);
}

static void stored(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = at(world, event->engine, event->session);
    struct fsh_effects fx;

    fx.count = 0;
    if (event->ticket == self->core.ticket && event->status == FRESHET_OK) {
        if (event->change.kind == FSH_CHANGE_LEASE && event->verdict == FSH_VERDICT_DONE)
            self->leased = event->leased;
        /* Another engine ended it, or went on. */
        if (event->record.phase != FSH_PHASE_LIVE || event->record.generation > self->generation)
            self->excused = true;
    }
    fsh_core_stored(&self->core, sim_engine_now(world, event->engine), event->ticket, event->status,
                    event->verdict, &event->record, event->unresolved, &fx);
    carry_out(world, event->engine, event->session, &fx);
}

static void adopted(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = at(world, event->engine, event->session);
    struct fsh_effects fx;

    fx.count = 0;
    self->adopted = event->ticket == self->core.ticket ? event->new_access : 0;
    fsh_core_adopted(&self->core, sim_engine_now(world, event->engine), event->ticket,
                     (struct fsh_mono){event->sent}, event->lifetime, &fx);
    carry_out(world, event->engine, event->session, &fx);
    self->adopted = 0;
}

static void unauthorized(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = at(world, event->engine, event->session);
    struct fsh_effects fx;

    fx.count = 0;
    if (event->generation == self->generation)
        self->excused = true;
    fsh_core_unauthorized(&self->core, sim_engine_now(world, event->engine), event->generation,
                          &fx);
    carry_out(world, event->engine, event->session, &fx);
}

static void sign_in(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = at(world, event->engine, event->session);
    struct fsh_effects fx;

    fx.count = 0;
    if (fsh_core_command(&self->core, sim_engine_now(world, event->engine), FSH_ERRAND_SIGN_IN,
                         &fx) != FRESHET_OK)
        self->returning = false;
    carry_out(world, event->engine, event->session, &fx);
}

static void sign_out(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = at(world, event->engine, event->session);
    struct fsh_effects fx;

    fx.count = 0;
    sim_note(world, "engine %d/%d: sign-out", event->engine, event->session);
    self->excused = true;
    fsh_core_sign_out(&self->core, sim_engine_now(world, event->engine), world->policy.service,
                      &fx);
    self->over = true;
    carry_out(world, event->engine, event->session, &fx);
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
        sim_engine_call(world, event->engine, event->session);
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
    case SIM_UNAUTHORIZED:
        unauthorized(world, event);
        break;
    case SIM_DEADLINE:
        late(world, event);
        break;
    case SIM_SIGN_IN:
        sign_in(world, event);
        break;
    case SIM_SIGN_OUT:
        sign_out(world, event);
        break;
    default:
        break;
    }
}
