/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "core/random.h"

#include <stdarg.h>
#include <stdlib.h>

uint64_t sim_draw(struct sim_world *world)
{
    return fsh_core_draw(&world->random);
}

int64_t sim_uniform(struct sim_world *world, int64_t most)
{
    return fsh_core_uniform(sim_draw(world), most);
}

bool sim_chance(struct sim_world *world, unsigned thousandths)
{
    return sim_draw(world) % 1000 < thousandths;
}

int64_t sim_fault_uniform(struct sim_world *world, enum sim_fault fault, int64_t most)
{
    return fsh_core_uniform(fsh_core_draw(&world->streams[fault]), most);
}

bool sim_faulty(const struct sim_world *world)
{
    return world->now < world->plan.faults_end;
}

bool sim_strikes(struct sim_world *world, enum sim_fault fault)
{
    unsigned number;

    if (world->plan.rate[fault] == 0 || !sim_faulty(world))
        return false;
    if (fault < SIM_FIRST_HAPPENING &&
        (int64_t)(fsh_core_draw(&world->streams[fault]) % 1000) >= world->plan.rate[fault])
        return false;
    number = world->struck[fault]++;
    return number >= SIM_SKIPS ||
           !(world->cut->strikes[fault][number / 64] & UINT64_C(1) << (number % 64));
}

bool sim_takes_part(const struct sim_world *world, int engine, int session)
{
    return engine < world->plan.engines && !(world->cut->engines & 1U << engine) &&
           !(world->cut->sessions & 1U << session);
}

static struct sim_event *new_event(struct sim_world *world)
{
    struct sim_event *event = world->free_events;

    if (event)
        world->free_events = event->next_free;
    else
        event = malloc(sizeof(*event));
    if (!event || fsh_base_heap_reserve(&world->queue, world->queued + 1) != 0)
        abort();
    world->queued++;
    return event;
}

struct sim_event *sim_event(struct sim_world *world, enum sim_event_kind kind, int engine,
                            int session, int64_t delay)
{
    struct sim_event *event = new_event(world);

    *event = (struct sim_event){.kind = kind, .engine = engine, .session = session};
    event->life = world->engines[engine].life;
    fsh_base_heap_set(&world->queue, &event->timer, (struct fsh_mono){world->now + delay});
    return event;
}

struct sim_event *sim_follow(struct sim_world *world, enum sim_event_kind kind,
                             const struct sim_event *event, int64_t delay)
{
    struct sim_event *next = new_event(world);

    *next = *event;
    next->kind = kind;
    next->timer = (struct fsh_timer){0};
    fsh_base_heap_set(&world->queue, &next->timer, (struct fsh_mono){world->now + delay});
    return next;
}

void sim_violated(struct sim_world *world, enum sim_rule rule, const char *how)
{
    if (world->broken != SIM_RULE_NONE)
        return;
    world->broken = rule;
    world->how = how;
    sim_tell(world, "BROKEN: %s: %s", sim_rule_name(rule), how);
}

/* Room for the next line, with its time; the rest of it is *ret_len bytes in. */
static char *begin_line(struct sim_world *world, char *line, int *ret_len)
{
    if (world->telling == SIM_TELL_LAST)
        line = world->lines[world->line_count % SIM_LINES];
    world->line_count++;
    *ret_len = snprintf(line, SIM_LINE, "%10.3f s  ", (double)world->now / 1000.0);
    return line;
}

static void end_line(struct sim_world *world, const char *line)
{
    if (world->telling == SIM_TELL_ALL)
        (void)fprintf(world->out, "%s\n", line);
}

void sim_tell(struct sim_world *world, const char *format, ...)
{
    char room[SIM_LINE];
    char *line;
    va_list args;
    int len;

    if (world->telling == SIM_TELL_NOTHING)
        return;
    line = begin_line(world, room, &len);
    va_start(args, format);
    (void)vsnprintf(line + len, (size_t)(SIM_LINE - len), format, args);
    va_end(args);
    end_line(world, line);
}

void sim_say(struct sim_world *world, int engine, int session, const char *format, ...)
{
    char room[SIM_LINE];
    char *line;
    va_list args;
    int len;

    if (world->telling == SIM_TELL_NOTHING)
        return;
    line = begin_line(world, room, &len);
    len += snprintf(line + len, (size_t)(SIM_LINE - len), "%s %-7s ", sim_engine_name(engine),
                    sim_session_name(world, session));
    va_start(args, format);
    (void)vsnprintf(line + len, (size_t)(SIM_LINE - len), format, args);
    va_end(args);
    end_line(world, line);
}

void sim_world_done(struct sim_world *world)
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
    free(world->lines);
}
