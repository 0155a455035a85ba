/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

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

int64_t sim_around(struct sim_world *world, int64_t mean)
{
    /* The sum of two uniform draws: around the mean, never far beyond twice of it. */
    return 1 + sim_uniform(world, mean) + sim_uniform(world, mean);
}

struct sim_event *sim_event(struct sim_world *world, enum sim_event_kind kind, int engine,
                            int session, int64_t delay)
{
    struct sim_event *event = world->free_events;

    if (event)
        world->free_events = event->next_free;
    else
        event = malloc(sizeof(*event));
    if (!event || fsh_base_heap_reserve(&world->queue, world->queued + 1) != 0)
        abort();
    *event = (struct sim_event){.kind = kind, .engine = engine, .session = session};
    event->life = world->engines[engine].life;
    world->queued++;
    fsh_base_heap_set(&world->queue, &event->timer, (struct fsh_mono){world->now + delay});
    return event;
}

void sim_note(struct sim_world *world, const char *format, ...)
{
    char *line = world->lines[world->line_count++ % SIM_TRACE];
    va_list args;
    int len = snprintf(line, sizeof(world->lines[0]), "%10.3f s  ", (double)world->now / 1000.0);

    va_start(args, format);
    (void)vsnprintf(line + len, sizeof(world->lines[0]) - (size_t)len, format, args);
    va_end(args);
    if (world->trace)
        printf("%s\n", line);
}

void sim_violated(struct sim_world *world, const char *what)
{
    if (world->violation)
        return;
    world->violation = what;
    sim_note(world, "VIOLATION: %s", what);
}

bool sim_faulty(const struct sim_world *world)
{
    return world->now < world->plan.faults_end;
}
