/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "base/bounds.h"

/* What happens to the world now and then. */

#define HOUR_MS INT64_C(3600000)

static int64_t until_end_of_faults(const struct sim_world *world, int64_t length)
{
    int64_t until = world->now + length;

    return until < world->plan.faults_end ? until : world->plan.faults_end;
}

/* The next of its kind, around its mean, for an engine and a session by lot. */
static void again(struct sim_world *world, enum sim_fault fault)
{
    int64_t mean = world->plan.rate[fault];
    int engine = (int)sim_fault_uniform(world, fault, world->plan.engines - 1);
    int session = (int)sim_fault_uniform(world, fault, SIM_SESSIONS - 1);
    int64_t delay =
        1 + sim_fault_uniform(world, fault, mean) + sim_fault_uniform(world, fault, mean);

    sim_event(world, SIM_HAPPEN, engine, session, delay)->fault = fault;
}

void sim_happen_begin(struct sim_world *world)
{
    for (int fault = SIM_FIRST_HAPPENING; fault < SIM_FAULTS; fault++) {
        if (world->plan.rate[fault])
            again(world, (enum sim_fault)fault);
    }
}

/* ---- to the platform and the store --------------------------------------------------------- */

static void outage(struct sim_world *world)
{
    world->outage_until = until_end_of_faults(
        world, sim_fault_uniform(world, SIM_OUTAGES, world->plan.faults_end / 4));
    sim_tell(world, "platform: down until %.3f s", (double)world->outage_until / 1000.0);
}

static void store_outage(struct sim_world *world)
{
    world->store_out_until =
        until_end_of_faults(world, sim_fault_uniform(world, SIM_STORE_OUTAGES, 120000));
    sim_tell(world, "store: down until %.3f s", (double)world->store_out_until / 1000.0);
}

static void revoke(struct sim_world *world, int session)
{
    struct sim_account *account = &world->accounts[session];

    for (unsigned family = 0; family <= account->families; family++)
        account->ended_at[family] =
            account->ended_at[family] ? account->ended_at[family] : world->now;
    sim_tell(world, "platform: revokes everything of %s", sim_session_name(world, session));
}

static void suspend_account(struct sim_world *world, int session)
{
    struct sim_account *account = &world->accounts[session];

    account->suspended_until = until_end_of_faults(
        world, sim_fault_uniform(world, SIM_SUSPENSIONS, world->plan.faults_end / 4));
    sim_tell(world, "platform: suspends %s until %.3f s", sim_session_name(world, session),
             (double)account->suspended_until / 1000.0);
}

static void refuse_credentials(struct sim_world *world, int session)
{
    struct sim_account *account = &world->accounts[session];

    account->refused_until = until_end_of_faults(
        world, sim_fault_uniform(world, SIM_REFUSED_CREDENTIALS, world->plan.faults_end / 3));
    sim_tell(world, "platform: refuses the password of %s until %.3f s",
             sim_session_name(world, session), (double)account->refused_until / 1000.0);
}

static void change_groups(struct sim_world *world, int session)
{
    world->accounts[session].partners =
        (unsigned)sim_fault_uniform(world, SIM_GROUP_CHANGES, (1 << SIM_PARTNERS) - 1);
    sim_tell(world, "platform: %s has other partners now", sim_session_name(world, session));
}

/* ---- to engines and hosts ------------------------------------------------------------------ */

void sim_happen_crash(struct sim_world *world, int engine)
{
    struct sim_engine *self = &world->engines[engine];

    if (!self->up)
        return;
    self->up = false;
    self->life = ++world->lives;
    sim_tell(world, "%s crashes", sim_engine_name(engine));
    (void)sim_event(world, SIM_START, engine, 0, 1 + sim_uniform(world, 40000));
}

/* What is under way may come to its end; then the engine goes, and comes again. */
static void stop(struct sim_world *world, int engine)
{
    struct sim_engine *self = &world->engines[engine];

    if (!self->up || self->closing)
        return;
    sim_tell(world, "%s is stopped", sim_engine_name(engine));
    self->closing = true;
    for (int session = 0; session < SIM_SESSIONS && self->up; session++) {
        struct fsh_effects fx;

        if (!sim_takes_part(world, engine, session))
            continue;
        fx.count = 0;
        self->sessions[session].waiting = false;
        fsh_core_close(&self->sessions[session].core, sim_engine_now(world, engine), &fx);
        sim_engine_carry_out(world, engine, session, &fx);
    }
    (void)sim_event(world, SIM_START, engine, 0, 1 + sim_uniform(world, 2 * FSH_EXCHANGE_MS));
}

static void new_boot(struct sim_world *world, int host)
{
    struct sim_host *self = &world->hosts[host];
    enum sim_fault fault = SIM_REBOOTS;

    self->boot++;
    self->offset = sim_fault_uniform(world, fault, 1000000000) - world->now;
}

/* The machine goes, with all engines on it; no lease of the old boot is valid any more where the
 * store is on it too. */
static void reboot(struct sim_world *world, int engine)
{
    int host = world->engines[engine].host;

    sim_tell(world, "the host of %s reboots", sim_engine_name(engine));
    for (int other = 0; other < world->plan.engines; other++) {
        if (world->engines[other].host == host)
            sim_happen_crash(world, other);
    }
    new_boot(world, host);
    for (int session = 0; session < SIM_SESSIONS && world->plan.one_host; session++)
        world->rows[session].lease_holder = 0;
}

static void sleep_until(struct sim_world *world, int engine, int64_t until)
{
    struct sim_engine *self = &world->engines[engine];

    if (until > self->paused_until)
        self->paused_until = until;
}

/* A process is stopped: for longer than its lease, at times. */
void sim_happen_pause(struct sim_world *world, int engine, enum sim_fault fault)
{
    static const int64_t lengths[] = {500, 5000, 20000, 45000, 600000};
    int64_t length = lengths[sim_fault_uniform(world, fault, 4)];

    sleep_until(world, engine, until_end_of_faults(world, length));
    sim_tell(world, "%s is paused until %.3f s", sim_engine_name(engine),
             (double)world->engines[engine].paused_until / 1000.0);
}

static void suspend_host(struct sim_world *world, int engine)
{
    int host = world->engines[engine].host;
    int64_t until = until_end_of_faults(world, sim_fault_uniform(world, SIM_SUSPENDS, 8 * HOUR_MS));

    sim_tell(world, "the host of %s sleeps until %.3f s", sim_engine_name(engine),
             (double)until / 1000.0);
    for (int other = 0; other < world->plan.engines; other++) {
        if (world->engines[other].host == host)
            sleep_until(world, other, until);
    }
}

static void step_calendar(struct sim_world *world, int engine)
{
    struct sim_host *host = &world->hosts[world->engines[engine].host];

    host->step = sim_fault_uniform(world, SIM_CLOCK_STEPS, 2 * HOUR_MS) - HOUR_MS;
    sim_tell(world, "the calendar of %s is off by %.3f s now", sim_engine_name(engine),
             (double)host->step / 1000.0);
}

/* ---- by people ----------------------------------------------------------------------------- */

static bool can_act(const struct sim_world *world, const struct sim_event *event)
{
    const struct sim_engine *engine = &world->engines[event->engine];

    return engine->up && !engine->closing && world->now >= engine->paused_until &&
           sim_takes_part(world, event->engine, event->session);
}

static void sign_out(struct sim_world *world, const struct sim_event *event)
{
    struct sim_session *self = &world->engines[event->engine].sessions[event->session];
    struct fsh_effects fx;

    if (!can_act(world, event))
        return;
    fx.count = 0;
    sim_say(world, event->engine, event->session, "somebody signs out");
    self->excused = true;
    fsh_core_sign_out(&self->core, sim_engine_now(world, event->engine),
                      world->plan.service[event->session], &fx);
    self->life = SIM_SIGNED_OUT;
    sim_engine_carry_out(world, event->engine, event->session, &fx);
}

static void sign_in(struct sim_world *world, const struct sim_event *event)
{
    if (!can_act(world, event) || world->engines[event->engine].sessions[event->session].person)
        return;
    world->engines[event->engine].sessions[event->session].person = true;
    sim_event(world, SIM_PERSON, event->engine, event->session, 0)->errand = FSH_ERRAND_SIGN_IN;
}

static void strike(struct sim_world *world, const struct sim_event *event)
{
    switch (event->fault) {
    case SIM_OUTAGES:
        outage(world);
        break;
    case SIM_STORE_OUTAGES:
        store_outage(world);
        break;
    case SIM_REVOCATIONS:
        revoke(world, event->session);
        break;
    case SIM_SUSPENSIONS:
        suspend_account(world, event->session);
        break;
    case SIM_REFUSED_CREDENTIALS:
        refuse_credentials(world, event->session);
        break;
    case SIM_GROUP_CHANGES:
        change_groups(world, event->session);
        break;
    case SIM_CRASHES:
        sim_happen_crash(world, event->engine);
        break;
    case SIM_STOPS:
        stop(world, event->engine);
        break;
    case SIM_REBOOTS:
        reboot(world, event->engine);
        break;
    case SIM_PAUSES:
        sim_happen_pause(world, event->engine, SIM_PAUSES);
        break;
    case SIM_SUSPENDS:
        suspend_host(world, event->engine);
        break;
    case SIM_CLOCK_STEPS:
        step_calendar(world, event->engine);
        break;
    case SIM_SIGN_OUTS:
        sign_out(world, event);
        break;
    case SIM_SIGN_INS:
        sign_in(world, event);
        break;
    case SIM_ROTATIONS:
        sim_store_rotate(world);
        break;
    default:
        break;
    }
}

void sim_happen(struct sim_world *world, const struct sim_event *event)
{
    if (!sim_faulty(world))
        return;
    if (sim_strikes(world, event->fault))
        strike(world, event);
    again(world, event->fault);
}
