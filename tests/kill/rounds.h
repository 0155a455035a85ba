/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_KILL_ROUNDS_H
#define TESTS_KILL_ROUNDS_H

#include "kill.h"

struct run {
    struct kill_test test;
    uint64_t seed;
    unsigned kills_wanted;
    bool brief;     /* too few kills for all that could be met */
    bool in_memory; /* the databases are */
    unsigned processes;
    unsigned expiries;
    _Atomic int64_t *ahead;
    char clock_file[96];
    unsigned kills_at_points;
    unsigned kills_at_random;
    unsigned ends_in_peace;
    int64_t usual_us; /* that a process takes from its start to its end in peace */
};

/* Plays rounds until as many processes as wanted were killed. False: something is wrong, and
 * `problem` of what is shared says what. */
bool rounds_play(struct run *run);

/* Ends the test, which cannot go on. */
_Noreturn void give_up(const char *what);

#endif
