/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_REMOTE_WORLD_H
#define TESTS_REMOTE_WORLD_H

#include "engine/engine.h"
#include "engine/remote.h"
#include "unit.h"

/* An engine whose session "billing" is a keeper's. The keeper is the test, the clock is turned by
 * hand. */

#define POSTS   32
#define IN_AIR  8
#define HOUR    3600000
#define BILL    "/v1/sessions/billing"
#define AT_ONCE "/token?min_valid_ms=0&timeout_ms=-1"
#define PLACE   "{\"url\":\"https://api.example.com\",\"origins\":[\"https://api.example.com\"]}"

struct world {
    struct fsh_mono mono;
    uint64_t random;
    struct fsh_post *waiting[POSTS];
    unsigned posts;
    struct fsh_request *in_air[IN_AIR];
    unsigned sent;    /* in all */
    unsigned callers; /* who wait */
    struct fsh_engine *engine;
    struct fsh_session *session;
    enum fsh_note_kind note; /* the last */
};

struct caller {
    struct fsh_call call;
    struct world *world;
    int status; /* 1: it waits */
};

extern char keeper_socket[];

/* Each case has a world of its own, which is closed after it; its callers, which are on its stack,
 * have been told by then. */
int world_begin(void **state);
int world_end(void **state);

/* Opens the session: with nothing, or with a token of an hour in hand. */
void open_world(struct world *world, bool background);
void open_live(struct world *world, bool background);
void close_world(struct world *world);

/* Does what is due now; lets time pass. */
void run(struct world *world);
void pass(struct world *world, int64_t ms);

/* A caller comes, with that much patience; or, when 500 s of its hour are left, one who asks for
 * 600 s. */
void begin(struct world *world, struct caller *caller, enum fsh_call_kind kind, int64_t ms);
void begin_strict(struct world *world, struct caller *caller);

/* The generation in force. False: no token is usable. */
bool view(const struct world *world, uint64_t *ret_generation);

/* ---- the keeper's side ------------------------------------------------------------------- */

/* The one request in the air whose path begins so; it is the test's then. */
struct fsh_request *taken(struct world *world, const char *method, const char *path);
unsigned in_air(const struct world *world);

/* Before a body: there is no memory to read it. */
#define WITHOUT_MEMORY "\1"

void answer(struct world *world, struct fsh_request *request, int http, const char *body);
void problem(struct world *world, struct fsh_request *request, int http, const char *code);
void no_answer(struct world *world, struct fsh_request *request, bool sent);
void token_of(struct world *world, struct fsh_request *request, int generation, int64_t age,
              int64_t lifetime, const char *platform);
void token(struct world *world, struct fsh_request *request, int generation, int64_t age,
           int64_t lifetime);

/* What the keeper does with the one fetch in the air: grants a token of an hour, refuses, knows
 * nothing newer, or does not answer. */
void grant(struct world *world, int generation);
void refuse(struct world *world, int http, const char *code);
void unchanged(struct world *world);
void vanish(struct world *world, bool sent);

/* A 401 is told of; the keeper takes the report of one. */
void report(struct world *world, uint64_t generation);
void take_report(struct world *world);

#endif
