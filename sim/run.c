/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include "base/bounds.h"
#include "core/random.h"

#include <stdlib.h>

/* ---- events -------------------------------------------------------------------------------- */

/* Those that need the engine's process to be running. */
static bool of_process(const struct sim_world *world, enum sim_event_kind kind)
{
    switch (kind) {
    case SIM_ARRIVE:
    case SIM_HAPPEN:
    case SIM_RESEAL:
    case SIM_START:
        return false;
    case SIM_STORE: /* inside the process, or on its way to the database */
        return world->plan.one_host;
    default:
        return true;
    }
}

/* Those that outlive a crash: what callers do, and what has left. */
static bool outlives(enum sim_event_kind kind)
{
    return kind == SIM_CALL || kind == SIM_REPORT || kind == SIM_STORE || kind == SIM_ARRIVE ||
           kind == SIM_HAPPEN || kind == SIM_RESEAL || kind == SIM_START;
}

/* A paused process does everything later. Its operations of the store keep their order. */
static void put_off(struct sim_world *world, struct sim_event *event)
{
    int64_t until = world->engines[event->engine].paused_until;
    struct sim_session *session = &world->engines[event->engine].sessions[event->session];

    if (event->kind == SIM_STORE) {
        if (until <= session->stored_last)
            until = session->stored_last + 1;
        session->stored_last = until;
    }
    fsh_base_heap_set(&world->queue, &event->timer, (struct fsh_mono){until});
}

static void start(struct sim_world *world, int engine)
{
    if (world->engines[engine].up && !world->engines[engine].closing)
        return;
    sim_tell(world, "%s starts", sim_engine_name(engine));
    sim_engine_start(world, engine);
}

static void handle(struct sim_world *world, struct sim_event *event)
{
    switch (event->kind) {
    case SIM_ARRIVE:
        sim_platform_receive(world, event);
        break;
    case SIM_STORE:
        sim_store_receive(world, event);
        break;
    case SIM_RESEAL:
        sim_store_reseal(world, event);
        break;
    case SIM_HAPPEN:
        sim_happen(world, event);
        break;
    case SIM_START:
        start(world, event->engine);
        break;
    default:
        if (world->engines[event->engine].up)
            sim_engine_event(world, event);
        break;
    }
}

/* False when the event was put off. */
static bool dispatch(struct sim_world *world, struct sim_event *event)
{
    const struct sim_engine *engine = &world->engines[event->engine];

    if (!outlives(event->kind) && event->life != engine->life)
        return true;
    if (engine->up && world->now < engine->paused_until && of_process(world, event->kind)) {
        put_off(world, event);
        return false;
    }
    if (event->kind == SIM_CALL && !event->extra)
        (void)sim_event(world, SIM_CALL, event->engine, event->session,
                        1 + sim_uniform(world, 2 * world->plan.call_every_ms));
    handle(world, event);
    return true;
}

static void run_until(struct sim_world *world, int64_t end)
{
    struct fsh_timer *timer;

    while (world->broken == SIM_RULE_NONE && (timer = fsh_base_heap_first(&world->queue)) &&
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
    if (world->broken == SIM_RULE_NONE)
        world->now = end;
}

/* ---- a world ------------------------------------------------------------------------------- */

static void cut_plan(struct sim_world *world)
{
    struct sim_plan *plan = &world->plan;
    int64_t recovery = plan->end - plan->faults_end;

    for (int i = 0; i < SIM_FAULTS; i++) {
        if (world->cut->faults & UINT64_C(1) << i)
            plan->rate[i] = 0;
    }
    if (world->cut->faults_end)
        plan->faults_end = world->cut->faults_end;
    plan->end = plan->faults_end + recovery;
}

static void make_policies(struct sim_world *world)
{
    const struct sim_plan *plan = &world->plan;

    for (int i = 0; i < SIM_SESSIONS; i++)
        world->policies[i] = (struct fsh_policy){
            .service = plan->service[i],
            .background = plan->background[i],
            .rotating = plan->rotating,
            .probe = plan->service[i],
            .threshold_ms = FSH_THRESHOLD_MS,
            .grace_ms = plan->grace_ms,
            .refresh_life_ms = sim_plan_refresh_life_ms(plan, i),
            .sign_in_pause_ms = FSH_SIGN_IN_PAUSE_MS,
        };
}

static void make_hosts(struct sim_world *world)
{
    for (int i = 0; i < SIM_ENGINES; i++) {
        world->engines[i].host = world->plan.one_host ? 0 : i;
        world->engines[i].random = sim_draw(world);
        world->hosts[i] = (struct sim_host){
            .boot = sim_draw(world),
            .offset = sim_uniform(world, 1000000000),
            .drift = world->plan.one_host ? 0 : sim_uniform(world, 400) - 200,
        };
    }
}

static void make_world(struct sim_world *world)
{
    sim_plan_make(&world->plan, world->seed);
    cut_plan(world);
    make_policies(world);
    world->random = world->seed;
    for (int i = 0; i < SIM_FAULTS; i++)
        world->streams[i] = i == SIM_ROTATIONS ? ~world->seed : sim_draw(world);
    make_hosts(world);
    for (int i = 0; i < SIM_SESSIONS; i++) {
        world->accounts[i].partners = 1 + (unsigned)sim_uniform(world, (1 << SIM_PARTNERS) - 2);
        world->rows[i].signed_out_at = -1;
    }
    sim_store_begin(world);
}

/* Everybody who takes part calls once more. */
static void call_all(struct sim_world *world)
{
    for (int engine = 0; engine < world->plan.engines; engine++) {
        for (int session = 0; session < SIM_SESSIONS; session++) {
            if (sim_takes_part(world, engine, session) && world->engines[engine].up)
                sim_callers_call(world, engine, session);
        }
    }
}

static void begin(struct sim_world *world)
{
    for (int engine = 0; engine < world->plan.engines; engine++) {
        if (world->cut->engines & 1U << engine)
            continue;
        start(world, engine);
        for (int session = 0; session < SIM_SESSIONS; session++) {
            if (sim_takes_part(world, engine, session))
                (void)sim_event(world, SIM_CALL, engine, session,
                                sim_uniform(world, world->plan.call_every_ms));
        }
    }
    sim_happen_begin(world);
}

static void print_last(const struct sim_world *world, FILE *out)
{
    uint64_t first = world->line_count > SIM_LINES ? world->line_count - SIM_LINES : 0;

    if (first)
        (void)fprintf(out, "    (%llu steps before)\n", (unsigned long long)first);
    for (uint64_t n = first; n < world->line_count; n++)
        (void)fprintf(out, "%s\n", world->lines[n % SIM_LINES]);
}

static struct sim_outcome outcome_of(const struct sim_world *world)
{
    struct sim_outcome outcome = {
        .broken = world->broken,
        .how = world->how,
        .at_ms = world->now,
        .steps = world->steps,
    };

    for (int engine = 0; engine < SIM_ENGINES; engine++) {
        for (int session = 0; session < SIM_SESSIONS; session++) {
            if (sim_takes_part(world, engine, session))
                outcome.session_ms += (uint64_t)world->now;
        }
    }
    for (int i = 0; i < SIM_FAULTS; i++)
        outcome.struck[i] = world->struck[i];
    return outcome;
}

struct sim_outcome sim_run(uint64_t seed, const struct sim_cut *cut, enum sim_telling telling,
                           FILE *out)
{
    struct sim_world *world = calloc(1, sizeof(*world));
    struct sim_outcome outcome;

    if (world && telling == SIM_TELL_LAST)
        world->lines = calloc(SIM_LINES, sizeof(world->lines[0]));
    if (!world || (telling == SIM_TELL_LAST && !world->lines))
        abort();
    world->seed = seed;
    world->cut = cut;
    world->telling = telling;
    world->out = out;
    make_world(world);
    begin(world);
    run_until(world, world->plan.end);
    if (world->broken == SIM_RULE_NONE) {
        call_all(world);
        run_until(world, world->plan.end + FSH_CALL_MS);
    }
    if (world->broken == SIM_RULE_NONE)
        sim_check_recovery(world);
    sim_store_check(world);
    if (telling == SIM_TELL_LAST)
        print_last(world, out);
    outcome = outcome_of(world);
    sim_store_done(world);
    sim_world_done(world);
    free(world);
    return outcome;
}
