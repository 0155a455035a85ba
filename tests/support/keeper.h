/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SUPPORT_KEEPER_H
#define TESTS_SUPPORT_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

/* A keeper of the test's own. */
struct keeper {
    pid_t pid;
    char folder[64];
    char secrets[128]; /* "keeper:" and its control socket, for struct freshet_options */
};

/* Whether the test is to run over a keeper: the environment names the program as
 * FRESHET_TEST_KEEPER. */
bool keeper_wanted(void);

/* Starts that program for the platform at `url`, with stores in memory. `more` is further text of
 * its configuration, NULL for none. Aborts the test when it does not come up. */
void keeper_start(struct keeper *keeper, const char *url, const char *more);

/* The same once more, after keeper_kill: on the same socket, with nothing of what it had. */
void keeper_restart(struct keeper *keeper);

/* Likewise, for another platform. */
void keeper_restart_for(struct keeper *keeper, const char *url);

/* As kill -9 does. */
void keeper_kill(struct keeper *keeper);

void keeper_stop(struct keeper *keeper);

#endif
