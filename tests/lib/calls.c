/* SPDX-License-Identifier: Apache-2.0 */
#include "calls.h"

#include <poll.h>
#include <stdlib.h>

static int turns; /* of the thread that dispatches */

void ended(void *data, int status, const struct freshet_freshness *freshness,
           const struct freshet_error *error)
{
    struct end *end = data;

    end->times++;
    end->turn = ++turns;
    end->status = status;
    end->thread = pthread_self();
    end->knew_freshness = freshness != NULL;
    if (freshness)
        end->freshness = *freshness;
    end->knew_error = error != NULL;
    if (error)
        end->error = *error;
}

int calls_setup(void **state)
{
    struct calls *calls = calloc(1, sizeof(*calls));
    void *world = NULL;

    if (!calls || world_setup(&world) != 0)
        return -1;
    calls->world = world;
    *state = calls;
    return freshet_queue_new(&calls->queue, NULL);
}

int calls_teardown(void **state)
{
    struct calls *calls = *state;
    void *world = calls->world;

    freshet_queue_free(calls->queue);
    free(calls);
    return world_teardown(&world);
}

bool readable(const struct calls *calls)
{
    struct pollfd ready = {.fd = freshet_queue_fd(calls->queue), .events = POLLIN};

    return poll(&ready, 1, 0) == 1;
}

int until_ended(struct calls *calls, const struct end *end)
{
    while (end->times == 0) {
        until_readable(freshet_queue_fd(calls->queue));
        assert_true(freshet_queue_dispatch(calls->queue) > 0);
    }
    return end->status;
}

struct freshet_operation *ask(struct calls *calls, struct freshet_session *session, struct end *end)
{
    struct freshet_operation *operation = NULL;

    assert_int_equal(
        freshet_ensure_fresh_async(session, NULL, calls->queue, ended, end, &operation, NULL),
        FRESHET_OK);
    assert_non_null(operation);
    return operation;
}

void starts_another(void *data, int status, const struct freshet_freshness *freshness,
                    const struct freshet_error *error)
{
    struct chain *chain = data;

    (void)status;
    (void)freshness;
    (void)error;
    chain->status = freshet_ensure_fresh_async(chain->session, NULL, chain->calls->queue, ended,
                                               chain->next, NULL, NULL);
}
