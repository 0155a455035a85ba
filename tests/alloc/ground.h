/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_GROUND_H
#define TESTS_GROUND_H

#include "engine/engine.h"
#include "unit.h"

#define GROUND_REQUESTS 8

/* What an engine stands on in these tests: a clock that is turned by hand, and nobody but the test
 * to answer what it sends. Nothing here allocates. */
struct ground {
    struct fsh_mono mono;
    uint64_t random;
    struct fsh_post *first;
    struct fsh_post **last;
    struct fsh_request *requests[GROUND_REQUESTS]; /* that were sent, the oldest first */
    unsigned request_count;
    struct fsh_engine *engine;
    /* Answers one of them. False: none is answered now. */
    bool (*answer)(void *data);
    void *data;
    unsigned in_air; /* calls that have not ended */
    int status;      /* of the last one that did */
};

void ground_begin(struct ground *ground, bool (*answer)(void *data), void *data);

/* For fsh_engine_new. */
struct fsh_io ground_io(struct ground *ground);

/* Takes the oldest request off the list. */
struct fsh_request *ground_take(struct ground *ground);

/* Does what is to be done at this moment. */
void ground_settle(struct ground *ground);

/* Lets time pass, from one thing that is due to the next. */
void ground_pass(struct ground *ground, int64_t ms);

/* Calls, and waits for the end, which comes by the deadline: the call's status. What the engine
 * leaves of its input is the caller's. */
int ground_call(struct ground *ground, struct fsh_call *call);

/* Closes the engine, if there is one; nothing is left of it. */
void ground_end(struct ground *ground);

#endif
