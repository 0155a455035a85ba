/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include "base/bounds.h"

#include <freshet/status.h>
#include <stdlib.h>

/* What lies between the end of all faults and the moment when every session must be fresh again: a
 * Retry-After of a minute, a lease of an engine that died, the pause between automatic sign-ins, an
 * exchange, and a caller who finds out. */
#define RECOVERY_MS 240000

static int64_t pick(struct sim_world *world, const int64_t *choices, size_t count)
{
    return choices[sim_draw(world) % count];
}

static void make_plan(struct sim_world *world)
{
    static const int64_t lifetimes[] = {5000, 60000, 300000, 900000, 3600000, 3600000};
    static const int64_t graces[] = {0, 2000, 10000, 60000};
    struct sim_plan *plan = &world->plan;

    plan->rotating = sim_chance(world, 500);
    plan->grace_ms = pick(world, graces, 4);
    plan->service = sim_chance(world, 500);
    plan->background = plan->service || sim_chance(world, 600);
    plan->engines = 1 + (int)(sim_draw(world) % SIM_ENGINES);
    plan->one_host = sim_chance(world, 500);
    plan->lifetime_ms = pick(world, lifetimes, 6);
    plan->faults_end = plan->lifetime_ms * 6;
    if (plan->faults_end < 600000)
        plan->faults_end = 600000;
    /* A rotation that was lost shows when the token in hand ends. */
    plan->end = plan->faults_end + RECOVERY_MS + (plan->rotating ? plan->lifetime_ms : 0);
    plan->lost_request = (unsigned)sim_uniform(world, 100);
    plan->lost_response = (unsigned)sim_uniform(world, 150);
    plan->server_error = (unsigned)sim_uniform(world, 150);
    plan->waf = (unsigned)sim_uniform(world, 100);
    plan->duplicate = (unsigned)sim_uniform(world, 50);
    plan->store_error = (unsigned)sim_uniform(world, 100);
    plan->slow = (unsigned)sim_uniform(world, 80);
    plan->outage_every = sim_chance(world, 500) ? plan->faults_end / 3 : 0;
    plan->revocation_every = sim_chance(world, 400) ? plan->faults_end / 3 : 0;
    plan->crash_every = sim_chance(world, 500) ? plan->faults_end / 4 : 0;
    plan->pause_every = sim_chance(world, 500) ? plan->faults_end / 4 : 0;
    plan->sign_out_every = sim_chance(world, 400) ? plan->faults_end / 3 : 0;
    plan->step_every = sim_chance(world, 300) ? plan->faults_end / 3 : 0;
    plan->store_outage_every = sim_chance(world, 300) ? plan->faults_end / 3 : 0;
    plan->call_every = 1 + plan->lifetime_ms / 40;
    if (plan->call_every > 20000)
        plan->call_every = 20000;
}

static void make_policy(struct sim_world *world)
{
    world->policy = (struct fsh_policy){
        .service = world->plan.service,
        .background = world->plan.background,
        .rotating = world->plan.rotating,
        .probe = world->plan.service,
        .threshold_ms = FSH_THRESHOLD_MS,
        .grace_ms = world->plan.grace_ms,
        .refresh_life_ms = INT64_C(30) * 86400000,
        .sign_in_pause_ms = FSH_SIGN_IN_PAUSE_MS,
    };
}

/* ---- things that happen to the world
 * -------------------------------------------------------------- */

static void again(struct sim_world *world, enum sim_event_kind kind, int64_t every)
{
    int engine = (int)(sim_draw(world) % (unsigned)world->plan.engines);
    int session = (int)(sim_draw(world) % SIM_SESSIONS);

    if (every > 0)
        (void)sim_event(world, kind, engine, session, sim_around(world, every));
}

static void outage(struct sim_world *world)
{
    int64_t length = sim_uniform(world, world->plan.faults_end / 4);

    world->outage_until = world->now + length;
    if (world->outage_until > world->plan.faults_end)
        world->outage_until = world->plan.faults_end;
    sim_note(world, "platform: down for %lld ms", (long long)length);
    again(world, SIM_OUTAGE, world->plan.outage_every);
}

static void store_outage(struct sim_world *world)
{
    int64_t length = sim_uniform(world, 120000);

    world->store_out_until = world->now + length;
    if (world->store_out_until > world->plan.faults_end)
        world->store_out_until = world->plan.faults_end;
    sim_note(world, "store: down for %lld ms", (long long)length);
    again(world, SIM_STORE_OUTAGE, world->plan.store_outage_every);
}

static void revoke(struct sim_world *world, int session)
{
    world->accounts[session].live_family = 0;
    sim_note(world, "platform: revokes everything of %d", session);
    again(world, SIM_REVOCATION, world->plan.revocation_every);
}

static void crash(struct sim_world *world, int engine)
{
    struct sim_engine *self = &world->engines[engine];

    if (!self->up)
        return;
    self->up = false;
    self->life = ++world->lives;
    sim_note(world, "engine %d: crashes", engine);
    (void)sim_event(world, SIM_RESTART, engine, 0, sim_around(world, 20000));
    again(world, SIM_CRASH, world->plan.crash_every);
}

static void restart(struct sim_world *world, int engine)
{
    bool new_boot = !world->plan.one_host && sim_chance(world, 300);

    sim_note(world, "engine %d: starts%s", engine, new_boot ? ", after a new boot" : "");
    sim_engine_start(world, engine, new_boot);
}

static void pause_engine(struct sim_world *world, int engine)
{
    static const int64_t lengths[] = {500, 20000, 45000, 600000, 8 * INT64_C(3600000)};
    int64_t until = world->now + pick(world, lengths, 5);

    world->engines[engine].paused_until =
        until < world->plan.faults_end ? until : world->plan.faults_end;
    sim_note(world, "engine %d: sleeps until %lld ms", engine,
             (long long)world->engines[engine].paused_until);
    again(world, SIM_PAUSE, world->plan.pause_every);
}

static void step_wall(struct sim_world *world, int engine)
{
    world->engines[engine].wall_step = sim_uniform(world, 7200000) - 3600000;
    sim_note(world, "engine %d: the calendar steps", engine);
    again(world, SIM_STEP, world->plan.step_every);
}

/* ---- running
 * ----------------------------------------------------------------------------------------- */

static void send(struct sim_world *world, struct sim_event *event)
{
    int64_t delay = sim_platform_process(world, event);
    struct sim_event *answer;

    if (delay < 0)
        return;
    answer = sim_event(world, SIM_ANSWER, event->engine, event->session, delay);
    answer->life = event->life;
    answer->ticket = event->ticket;
    answer->errand = event->errand;
    answer->result = event->result;
    answer->new_access = event->new_access;
    answer->new_refresh = event->new_refresh;
    answer->lifetime = event->lifetime;
}

static void store(struct sim_world *world, struct sim_event *event)
{
    struct sim_event *report;

    sim_store_process(world, event);
    report = sim_event(world, SIM_STORED, event->engine, event->session, 1 + sim_uniform(world, 5));
    report->life = event->life;
    report->ticket = event->ticket;
    report->change = event->change;
    report->status = event->status;
    report->verdict = event->verdict;
    report->record = event->record;
    report->unresolved = event->unresolved;
    report->leased = event->leased;
}

static void world_event(struct sim_world *world, struct sim_event *event)
{
    switch (event->kind) {
    case SIM_SEND:
        send(world, event);
        break;
    case SIM_STORE:
        store(world, event);
        break;
    case SIM_OUTAGE:
        outage(world);
        break;
    case SIM_STORE_OUTAGE:
        store_outage(world);
        break;
    case SIM_REVOCATION:
        revoke(world, event->session);
        break;
    case SIM_CRASH:
        crash(world, event->engine);
        break;
    case SIM_RESTART:
        restart(world, event->engine);
        break;
    case SIM_PAUSE:
        pause_engine(world, event->engine);
        break;
    case SIM_STEP:
        step_wall(world, event->engine);
        break;
    default:
        break;
    }
}

static bool is_fault(enum sim_event_kind kind)
{
    return kind == SIM_OUTAGE || kind == SIM_REVOCATION || kind == SIM_CRASH || kind == SIM_PAUSE ||
           kind == SIM_STEP || kind == SIM_STORE_OUTAGE || kind == SIM_SIGN_OUT;
}

static bool of_engine(enum sim_event_kind kind)
{
    return kind == SIM_TICK || kind == SIM_CALL || kind == SIM_ANSWER || kind == SIM_STORED ||
           kind == SIM_ADOPTED || kind == SIM_UNAUTHORIZED || kind == SIM_DEADLINE ||
           kind == SIM_SIGN_IN || kind == SIM_SIGN_OUT;
}

/* False when the event was put off. */
static bool dispatch(struct sim_world *world, struct sim_event *event)
{
    struct sim_engine *engine = &world->engines[event->engine];

    if (is_fault(event->kind) && !sim_faulty(world))
        return true;
    if (!of_engine(event->kind)) {
        world_event(world, event);
        return true;
    }
    if (engine->up && world->now < engine->paused_until) {
        fsh_base_heap_set(&world->queue, &event->timer, (struct fsh_mono){engine->paused_until});
        return false;
    }
    if (event->kind == SIM_CALL)
        (void)sim_event(world, SIM_CALL, event->engine, event->session,
                        sim_around(world, world->plan.call_every));
    if (event->kind == SIM_SIGN_OUT)
        again(world, SIM_SIGN_OUT, world->plan.sign_out_every);
    if (!engine->up ||
        (event->kind != SIM_CALL && event->kind != SIM_SIGN_OUT && event->life != engine->life))
        return true;
    sim_engine_event(world, event);
    return true;
}

static void run_until(struct sim_world *world, int64_t end)
{
    struct fsh_timer *timer;

    while (!world->violation && (timer = fsh_base_heap_first(&world->queue)) &&
           timer->at.ms <= end) {
        struct sim_event *event = fsh_container_of(timer, struct sim_event, timer);

        world->now = timer->at.ms;
        world->steps++;
        fsh_base_heap_set(&world->queue, timer, FSH_NEVER);
        if (!dispatch(world, event))
            continue;
        world->queued--;
        event->next_free = world->free_events;
        world->free_events = event;
    }
    world->now = end;
}

/* Liveness: faults are over, and every session is live and fresh, or signed out by its user. */
static void check_recovery(struct sim_world *world)
{
    for (int engine = 0; engine < world->plan.engines; engine++) {
        for (int i = 0; i < SIM_SESSIONS && !world->violation; i++) {
            struct sim_session *session = &world->engines[engine].sessions[i];
            struct fsh_record record = sim_store_read(world, i);

            if (record.phase != FSH_PHASE_LIVE)
                sim_violated(world, "a session did not come back after the faults ended");
            else if (session->ready_at < world->plan.end)
                sim_violated(world, "a caller gets no token long after the faults ended");
            else if (fsh_core_usable(&session->core, sim_engine_now(world, engine).mono) &&
                     !sim_platform_accepts(world, i, session->token))
                sim_violated(world, "a revoked token is still in force long after");
        }
    }
}

static void begin(struct sim_world *world)
{
    const struct sim_plan *plan = &world->plan;

    for (int session = 0; session < SIM_SESSIONS; session++) {
        const struct fsh_record none = {0};

        fsh_store_encode(&none, world->rows[session].bytes);
        world->rows[session].signed_out_at = -1;
    }
    for (int engine = 0; engine < plan->engines; engine++) {
        sim_engine_start(world, engine, true);
        for (int session = 0; session < SIM_SESSIONS; session++)
            (void)sim_event(world, SIM_CALL, engine, session, sim_around(world, plan->call_every));
    }
    again(world, SIM_OUTAGE, plan->outage_every);
    again(world, SIM_REVOCATION, plan->revocation_every);
    again(world, SIM_CRASH, plan->crash_every);
    again(world, SIM_PAUSE, plan->pause_every);
    again(world, SIM_SIGN_OUT, plan->sign_out_every);
    again(world, SIM_STEP, plan->step_every);
    again(world, SIM_STORE_OUTAGE, plan->store_outage_every);
}

static void print_failure(const struct sim_world *world, FILE *out)
{
    const struct sim_plan *plan = &world->plan;
    uint64_t first = world->line_count > SIM_TRACE ? world->line_count - SIM_TRACE : 0;

    (void)fprintf(out, "seed %llu: %s\n", (unsigned long long)world->seed, world->violation);
    (void)fprintf(
        out, "  %s, %s, grace %lld ms, lifetime %lld ms, %d engines on %s, after %llu steps\n",
        plan->service ? "service" : "person", plan->rotating ? "rotating" : "not rotating",
        (long long)plan->grace_ms, (long long)plan->lifetime_ms, plan->engines,
        plan->one_host ? "one host" : "hosts of their own", (unsigned long long)world->steps);
    for (uint64_t n = first; n < world->line_count; n++)
        (void)fprintf(out, "  %s\n", world->lines[n % SIM_TRACE]);
}

static void world_free(struct sim_world *world)
{
    struct fsh_timer *timer;

    while ((timer = fsh_base_heap_first(&world->queue))) {
        fsh_base_heap_set(&world->queue, timer, FSH_NEVER);
        free(fsh_container_of(timer, struct sim_event, timer));
    }
    while (world->free_events) {
        struct sim_event *event = world->free_events;

        world->free_events = event->next_free;
        free(event);
    }
    fsh_base_heap_done(&world->queue);
    free(world);
}

/* ---- leaving out
 * ------------------------------------------------------------------------------------- */

struct fault {
    const char *name;
    void (*leave_out)(struct sim_plan *plan);
};

#define FAULT(label, statement)                                                                    \
    static void without_##label(struct sim_plan *plan)                                             \
    {                                                                                              \
        plan->statement;                                                                           \
    }

FAULT(lost_requests, lost_request = 0)
FAULT(lost_responses, lost_response = 0)
FAULT(server_errors, server_error = 0)
FAULT(waf_pages, waf = 0)
FAULT(duplicates, duplicate = 0)
FAULT(store_errors, store_error = 0)
FAULT(slowness, slow = 0)
FAULT(outages, outage_every = 0)
FAULT(revocations, revocation_every = 0)
FAULT(crashes, crash_every = 0)
FAULT(pauses, pause_every = 0)
FAULT(sign_outs, sign_out_every = 0)
FAULT(clock_steps, step_every = 0)
FAULT(store_outages, store_outage_every = 0)
FAULT(other_engines, engines = 1)

static const struct fault faults[SIM_FAULTS] = {
    {"other engines", without_other_engines},
    {"crashes", without_crashes},
    {"pauses", without_pauses},
    {"clock steps", without_clock_steps},
    {"revocations", without_revocations},
    {"sign-outs", without_sign_outs},
    {"outages", without_outages},
    {"store outages", without_store_outages},
    {"store errors", without_store_errors},
    {"slowness", without_slowness},
    {"lost requests", without_lost_requests},
    {"lost responses", without_lost_responses},
    {"server errors", without_server_errors},
    {"WAF pages", without_waf_pages},
    {"duplicates", without_duplicates},
};

const char *sim_fault_name(unsigned fault)
{
    return faults[fault].name;
}

const char *sim_run(uint64_t seed, unsigned without, bool trace, FILE *out,
                    uint64_t *ret_session_ms)
{
    struct sim_world *world = calloc(1, sizeof(*world));
    const char *violation;

    if (!world)
        abort();
    world->seed = seed;
    world->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    world->trace = trace;
    make_plan(world);
    for (unsigned i = 0; i < SIM_FAULTS; i++) {
        if (without & 1U << i)
            faults[i].leave_out(&world->plan);
    }
    make_policy(world);
    begin(world);
    run_until(world, world->plan.end);
    for (int engine = 0; engine < world->plan.engines; engine++) {
        for (int session = 0; session < SIM_SESSIONS; session++)
            sim_engine_call(world, engine, session);
    }
    run_until(world, world->plan.end + FSH_CALL_MS);
    if (!world->violation)
        check_recovery(world);
    violation = world->violation;
    if (violation && out)
        print_failure(world, out);
    *ret_session_ms = (uint64_t)world->now * SIM_SESSIONS * (uint64_t)world->plan.engines;
    world_free(world);
    return violation;
}

void sim_shrink(uint64_t seed, FILE *out)
{
    unsigned without = 0;
    uint64_t ms;

    for (unsigned i = 0; i < SIM_FAULTS; i++) {
        if (sim_run(seed, without | 1U << i, false, NULL, &ms))
            without |= 1U << i;
    }
    (void)fprintf(out, "it needs:");
    for (unsigned i = 0; i < SIM_FAULTS; i++) {
        if (!(without & 1U << i))
            (void)fprintf(out, " %s%s", sim_fault_name(i), i + 1 < SIM_FAULTS ? "," : "");
    }
    (void)fprintf(out, " and this\n");
    (void)sim_run(seed, without, false, out, &ms);
}
