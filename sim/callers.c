/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "base/bounds.h"

#include <freshet/status.h>

/* Those who use an engine: callers who want a token, one at a time for each session, and the person
 * or operator who signs in when told to. */

#define STRICT_MS 200000 /* what a strict caller asks for */

static struct sim_session *at(struct sim_world *world, int engine, int session)
{
    return &world->engines[engine].sessions[session];
}

/* ---- people -------------------------------------------------------------------------------- */

static void person_acts(struct sim_world *world, int engine, int session, enum fsh_errand errand,
                        int64_t mean)
{
    struct sim_session *self = at(world, engine, session);
    int64_t delay = sim_faulty(world) ? sim_uniform(world, 2 * mean) : 1000;

    self->person = true;
    sim_event(world, SIM_PERSON, engine, session, delay)->errand = errand;
}

/* A caller was told why it gets no token: does somebody have to sign in? */
static void maybe_sign_in(struct sim_world *world, int engine, int session, int status)
{
    bool service = world->plan.service[session];
    enum freshet_class class = freshet_status_class(status);

    if (at(world, engine, session)->person)
        return;
    if (class != FRESHET_CLASS_ENDED && class != FRESHET_CLASS_CHALLENGE)
        return;
    /* A service comes back by itself, unless an operator is needed. */
    if (service && class == FRESHET_CLASS_ENDED && status != FRESHET_EHELD &&
        status != FRESHET_ESIGNEDOUT && status != FRESHET_ESUSPENDED)
        return;
    person_acts(world, engine, session, FSH_ERRAND_SIGN_IN, service ? 60000 : 20000);
}

void sim_callers_person(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = at(world, event->engine, event->session);
    struct fsh_effects fx;
    int status;

    fx.count = 0;
    if (world->engines[event->engine].closing)
        return;
    self->person = true;
    status =
        fsh_core_command(&self->core, sim_engine_now(world, event->engine), event->errand, &fx);
    self->commanded = self->commanded || status == FRESHET_OK;
    sim_say(world, event->engine, event->session, "somebody wants a %s (%s)",
            sim_errand_name(event->errand), sim_status_name(status));
    if (status != FRESHET_OK && status != FRESHET_EBUSY)
        self->person = false;
    sim_engine_carry_out(world, event->engine, event->session, &fx);
}

void sim_callers_replied(struct sim_world *world, int engine, int session, int status)
{
    struct sim_session *self = at(world, engine, session);
    enum fsh_errand next = FSH_ERRAND_NONE;

    sim_say(world, engine, session, "whoever signs in is told: %s", sim_status_name(status));
    self->commanded = false;
    self->person = false;
    if (status == FRESHET_EMFA || status == FRESHET_EMFACODE)
        next = FSH_ERRAND_MFA;
    else if (status == FRESHET_ENEWPASSWORD || status == FRESHET_EPASSWORDPOLICY)
        next = FSH_ERRAND_NEW_PASSWORD;
    /* Some walk away. */
    if (next != FSH_ERRAND_NONE && !(sim_faulty(world) && sim_chance(world, 150)))
        person_acts(world, engine, session, next, 30000);
}

/* ---- callers --------------------------------------------------------------------------------- */

static void report_401(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    int64_t delay = sim_strikes(world, SIM_LATE_401S)
                        ? sim_fault_uniform(world, SIM_LATE_401S, 2 * world->plan.lifetime_ms)
                        : sim_uniform(world, 400);

    /* A stray one must not spoil what faults have left behind. */
    if (sim_faulty(world) && world->now + delay > world->plan.faults_end)
        delay = world->plan.faults_end - world->now;
    sim_event(world, SIM_REPORT, engine, session, delay)->generation = self->generation;
}

static void use_token(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);

    if (self->told_generation != self->generation || self->told_status != FRESHET_OK ||
        self->told_wait)
        sim_say(world, engine, session, "a caller gets access token %u", self->force.access);
    self->told_generation = self->generation;
    self->told_wait = false;
    sim_check_token(world, engine, session);
    sim_check_headers(world, engine, session);
    if (!sim_platform_accepts(world, session, self->force.access) ||
        sim_strikes(world, SIM_STRAY_401S))
        report_401(world, engine, session);
}

static void refuse(struct sim_world *world, int engine, int session, bool usable, int status)
{
    struct sim_session *self = at(world, engine, session);

    if (self->told_status != status)
        sim_say(world, engine, session, "a caller is refused: %s", sim_status_name(status));
    if (usable)
        sim_violated(world, SIM_RULE_NO_WAIT,
                     "a caller was refused though a usable token is there");
    maybe_sign_in(world, engine, session, status);
}

static void told(struct sim_world *world, int engine, int session,
                 const struct fsh_caller_answer *answer)
{
    struct sim_session *self = at(world, engine, session);
    struct fsh_mono now = sim_engine_mono(world, engine);
    bool usable = self->force.access != 0 && now.ms < self->core.token.usable_until.ms;

    self->waiting = answer->kind == FSH_ANSWER_WAIT;
    switch (answer->kind) {
    case FSH_ANSWER_READY:
        self->ready_at = world->now;
        use_token(world, engine, session);
        break;
    case FSH_ANSWER_REFUSED:
        refuse(world, engine, session, usable, answer->status);
        break;
    case FSH_ANSWER_WAIT:
        if (usable && !self->strict)
            sim_violated(world, SIM_RULE_NO_WAIT, "a caller waits though a usable token is there");
        if (now.ms >= self->deadline.ms)
            sim_violated(world, SIM_RULE_DEADLINE, "a caller waits beyond its deadline");
        return;
    }
    self->told_status = answer->status;
}

void sim_callers_call(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    struct fsh_now now = sim_engine_now(world, engine);
    struct fsh_caller_answer answer;
    struct fsh_effects fx;

    if (self->waiting || world->engines[engine].closing)
        return;
    fx.count = 0;
    self->strict = sim_chance(world, 100);
    self->deadline = fsh_mono_add(now.mono, FSH_CALL_MS);
    self->seen = fsh_core_flights(&self->core);
    answer =
        fsh_core_ask(&self->core, now, self->strict ? STRICT_MS : 0, self->deadline, NULL, &fx);
    if (answer.kind == FSH_ANSWER_WAIT) {
        sim_event(world, SIM_LATE, engine, session, FSH_CALL_MS)->started = self->deadline;
        if (!self->told_wait)
            sim_say(world, engine, session, "a caller waits");
        self->told_wait = true;
    }
    told(world, engine, session, &answer);
    sim_engine_carry_out(world, engine, session, &fx);
}

void sim_callers_ask_again(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    struct fsh_caller_answer answer;
    struct fsh_effects fx;

    if (!self->waiting)
        return;
    fx.count = 0;
    answer = fsh_core_ask(&self->core, sim_engine_now(world, engine), self->strict ? STRICT_MS : 0,
                          self->deadline, &self->seen, &fx);
    told(world, engine, session, &answer);
    sim_engine_carry_out(world, engine, session, &fx);
}

void sim_callers_late(struct sim_world *world, const struct sim_event *event)
{
    const struct sim_session *self = at(world, event->engine, event->session);

    if (!self->waiting || self->deadline.ms != event->started.ms)
        return;
    /* The deadline is kept by the engine's clock, and events by the true one. */
    if (sim_engine_mono(world, event->engine).ms < self->deadline.ms)
        (void)sim_follow(world, SIM_LATE, event, 1);
    else
        sim_callers_ask_again(world, event->engine, event->session);
}
