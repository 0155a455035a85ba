/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SCENARIO_H
#define TESTS_SCENARIO_H

#include "base/bounds.h"
#include "engine/engine.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Runs the scenarios of spec/scenarios on the shipped engine, with virtual clocks, a scripted
 * platform and stores that fail when told to. spec/scenarios/README.md describes the format. */

#define ENGINES 2
#define CALLERS 64

struct scenario;

/* The stores that the engines share, behind which the shipped memory store does the work. */
struct faulty_store {
    struct fsh_secret_store store;
    struct fsh_secret_store *real;
    struct scenario *scenario;
    enum { STORE_UP, STORE_DOWN, STORE_LOSES_WORD, STORE_SLOW } mode;
    struct fsh_store_op *held[16];
    unsigned held_count;
};

struct caller {
    char name[64];
    struct fsh_call call;
    bool done;
};

struct actor {
    struct scenario *scenario;
    struct fsh_engine *engine;
    struct fsh_session *session;
    struct fsh_post *first;
    struct fsh_post **last;
};

struct scenario {
    const char *file;
    json_t *json;
    const json_t *config;
    size_t step;
    char problem[512]; /* "" while all is well */
    uint64_t random;
    struct fsh_mono mono;
    struct fsh_wall wall;
    uint64_t boot;
    uint64_t holders;
    struct faulty_store store;
    struct fsh_token_cache *tokens;
    struct actor actors[ENGINES];
    unsigned actor_count;
    struct fsh_request *in_air[32]; /* requests that wait for a reply */
    unsigned in_air_count;
    unsigned sent[FSH_EXCHANGE_KINDS];
    struct caller callers[CALLERS];
    unsigned caller_count;
    uint64_t committed; /* the highest generation that the store has seen */
};

/* Notes the first problem, with the step it is in. */
void scenario_problem(struct scenario *scenario, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "500ms", "30s", "5m", "8h", with a sign; a problem for anything else. */
int64_t scenario_duration(struct scenario *scenario, const json_t *value);

/* The value of FRESHET_<name>; a problem when there is none. */
int scenario_status(struct scenario *scenario, const char *name);

/* ---- world.c */

int scenario_open(struct scenario *scenario);
void scenario_close(struct scenario *scenario);
struct actor *scenario_actor(struct scenario *scenario, const json_t *step);
/* Runs everything that is due at this moment. */
void scenario_settle(struct scenario *scenario);
void scenario_wait(struct scenario *scenario, int64_t ms);
void scenario_jump(struct scenario *scenario, int64_t ms);
void scenario_restart(struct scenario *scenario, bool new_boot);
void scenario_store_mode(struct scenario *scenario, const char *mode);

/* ---- reply.c */

void scenario_reply(struct scenario *scenario, const json_t *step);
int scenario_kind(const char *name);

/* ---- steps.c */

void scenario_step(struct scenario *scenario, const json_t *step);

/* ---- expect.c */

void scenario_expect(struct scenario *scenario, const json_t *expected);
/* What must hold after every step. */
void scenario_check(struct scenario *scenario);

#endif
