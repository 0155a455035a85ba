/* SPDX-License-Identifier: Apache-2.0 */

/* The thread of an engine, as far as there is one here: an inbox, and a moment to look again. */

#include "scenario.h"

void scenario_thread_begin(struct thread *thread)
{
    thread->engine = NULL;
    thread->first = NULL;
    thread->last = &thread->first;
}

void scenario_thread_post(struct thread *thread, struct fsh_post *post)
{
    post->next = NULL;
    *thread->last = post;
    thread->last = &post->next;
}

bool scenario_thread_step(struct thread *thread)
{
    struct fsh_post *post = thread->first;

    if (!post)
        return false;
    thread->first = post->next;
    if (!thread->first)
        thread->last = &thread->first;
    post->run(post);
    return true;
}

void scenario_thread_turn(struct thread *thread)
{
    while (scenario_thread_step(thread)) {
        /* It may post more. */
    }
    fsh_engine_run(thread->engine);
}

bool scenario_thread_due(const struct thread *thread, struct fsh_mono now)
{
    return thread->first || fsh_engine_wake_at(thread->engine).ms <= now.ms;
}

/* What is left after its end is abandoned. */
bool scenario_thread_end(struct thread *thread)
{
    bool ended = true;

    if (!thread->engine)
        return true;
    fsh_engine_close_all(thread->engine);
    scenario_thread_turn(thread);
    fsh_engine_abandon(thread->engine);
    scenario_thread_turn(thread);
    ended = fsh_engine_empty(thread->engine);
    if (ended)
        fsh_engine_free(thread->engine);
    thread->engine = NULL;
    return ended;
}
