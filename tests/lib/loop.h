/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_LOOP_H
#define TESTS_LIB_LOOP_H

#include "lib.h"

#include <freshet/multi.h>

/* What the tests of the multi interceptor begin with: a world and a loop. */
struct loop {
    struct world *world;
    CURLM *curl;
    struct freshet_multi *multi;
};

int loop_setup(void **state);
int loop_teardown(void **state);

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, loop_setup, loop_teardown)

/* An easy handle for a GET of that path of the devserver, or of a whole URL. */
CURL *easy_new(const struct loop *loop, const char *path);

/* Adds a transfer, which must be taken. */
void add(struct loop *loop, struct freshet_session *session, CURL *easy);

/* One turn of a program's loop that waits 50 ms at the most. As freshet_multi_info_read. */
int turn(struct loop *loop, struct freshet_multi_message *ret_message);

/* The program's loop, until the next message. Returns its status. */
int until_message(struct loop *loop, struct freshet_multi_message *ret_message);

/* The loop until this transfer is handed back, which must be the next one. Its HTTP status, or
 * Freshet's (negative). */
long until_answer(struct loop *loop, CURL *easy);

/* Nothing is left to be handed back. */
void assert_idle(struct loop *loop);

long http_status_of(CURL *easy);

#endif
