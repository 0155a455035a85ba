/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_CALLS_H
#define TESTS_LIB_CALLS_H

#include "lib.h"

#include <pthread.h>
#include <stdbool.h>

/* What the tests of asynchronous calls begin with: a world and a queue. */
struct calls {
    struct world *world;
    struct freshet_queue *queue;
};

int calls_setup(void **state);
int calls_teardown(void **state);

#define WITH_CALLS(test) cmocka_unit_test_setup_teardown(test, calls_setup, calls_teardown)

/* What one call came to. */
struct end {
    int times;
    int status;
    int turn; /* the how-manieth it was */
    bool knew_freshness;
    struct freshet_freshness freshness;
    bool knew_error;
    struct freshet_error error;
    pthread_t thread;
};

/* A done that notes the end; `data` is the struct end. */
void ended(void *data, int status, const struct freshet_freshness *freshness,
           const struct freshet_error *error);

/* Makes sure that a token is there, noting the end. */
struct freshet_operation *ask(struct calls *calls, struct freshet_session *session,
                              struct end *end);

/* The event loop of a program, until the call has ended. Returns its status. */
int until_ended(struct calls *calls, const struct end *end);

/* Whether completions wait. */
bool readable(const struct calls *calls);

/* A done that begins another call. */
struct chain {
    struct calls *calls;
    struct freshet_session *session;
    struct end *next; /* of the other */
    int status;       /* that its beginning returned */
};

void starts_another(void *data, int status, const struct freshet_freshness *freshness,
                    const struct freshet_error *error);

#endif
