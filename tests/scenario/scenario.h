/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SCENARIO_H
#define TESTS_SCENARIO_H

#include "base/bounds.h"
#include "engine/engine.h"
#include "engine/origin.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

/* Runs the scenarios of spec/scenarios on the shipped engine, with virtual
 * clocks, a scripted platform and stores that fail when told to.
 * spec/scenarios/README.md describes the format. */

#define ENGINES 2

/* The one session of a scenario. */
#define SESSION_NAME "session"

/* What a service signs in with. */
#define SERVICE_PASSWORD "the-password-of-the-service"

struct scenario;
struct actor;

/* One engine's way to the stores that all share. The shipped memory stores do
 * the work. */
struct door {
    struct fsh_secret_store secrets;
    struct fsh_token_cache tokens;
    struct actor *actor;
    enum { DOOR_UP, DOOR_DOWN, DOOR_SLOW, DOOR_LOSES_WORD } mode;
    bool cache_down;
    struct fsh_store_op *held[32]; /* in the order of their submission */
    unsigned held_count;
};

/* What an engine runs on. */
struct thread {
    struct fsh_engine *engine;
    struct fsh_post *first; /* its inbox */
    struct fsh_post **last;
};

/* One engine: a process of the machine, or a keeper and a process that asks it. */
struct actor {
    struct scenario *scenario;
    const char *name; /* "a", "b" */
    struct thread thread;
    struct fsh_session *session;
    struct fsh_session *asked; /* by callers: the same, or one that asks the keeper */
    struct keeper *keeper;     /* or NULL */
    uint64_t holder;
    struct door door;
    bool paused;
    bool dying; /* nothing of it reaches the stores any more */
    bool probed;
    struct fsh_mono probed_at;
    unsigned sent[FSH_EXCHANGE_KINDS];
};

/* An answer of the platform, on its way. */
struct answer {
    struct fsh_reply reply;
    char *body;
    char *retry_after;
    char *date;
};

/* A request that waits for its answer. */
struct air {
    struct fsh_request *request;
    struct actor *actor;
    struct fsh_mono until;
    struct answer *answer; /* came while the engine was paused; or NULL */
    uint64_t order;
    LIST_ENTRY(air) in_list;
};

struct caller {
    struct scenario *scenario;
    char name[64];
    struct actor *actor;
    struct fsh_call call;
    bool done;
    bool gone; /* with its process */
    uint64_t generation;
    json_t *headers; /* of "headers" */
    TAILQ_ENTRY(caller) in_list;
};

/* What must show nowhere. */
enum secret_kind { SECRET_ACCESS, SECRET_REFRESH, SECRET_OTHER };

struct secret {
    enum secret_kind kind;
    char *text;
    LIST_ENTRY(secret) in_list;
};

/* What a scenario needs that a keeper lacks. */
#define SAME_PROCESS "same_process"

/* How callers come to the engine: NULL when it is in their own process. */
struct mode {
    /* Opens the engine, its session, and what callers ask in its place. */
    int (*open)(struct actor *actor, const struct fsh_engine_options *options,
                const struct fsh_io *io);
    /* Does what is due besides the engine; true when there was anything. */
    bool (*run)(struct actor *actor);
    struct fsh_mono (*wake_at)(const struct actor *actor);
    /* Whether a token is at hand for a caller, who then asks no engine. */
    bool (*at_hand)(const struct actor *actor, int64_t min_valid_ms);
    void (*close)(struct actor *actor);
};

struct scenario {
    json_t *json;
    const struct mode *mode;
    const json_t *config;
    size_t step;        /* from 1; 0: before the first */
    const json_t *what; /* the step */
    char problem[640];  /* "" while all is well */
    bool trace;
    size_t work; /* that is left, in units of about a microsecond */
    uint64_t random;
    struct fsh_mono mono;
    struct fsh_wall wall;
    uint64_t boot;
    uint64_t holders;
    struct fsh_secret_store *secrets; /* the shipped ones */
    struct fsh_token_cache *tokens;
    struct actor actors[ENGINES];
    unsigned actor_count;   /* that are open */
    const json_t *platform; /* how every request is answered at once; NULL: by the steps */
    unsigned granted;       /* refresh tokens that "works" gave out */
    uint64_t orders;
    LIST_HEAD(, air) in_air;
    TAILQ_HEAD(, caller) callers;
    size_t caller_count;
    LIST_HEAD(, secret) known;
    size_t known_count;
    struct fsh_origins origins;
    /* For the checks. */
    uint64_t committed;  /* the highest generation that the store has seen */
    json_t *generations; /* generation to value of the Authorization header */
    bool unsteady;       /* the calendar was stepped, or the store was slow */
    bool signed_in_once;
    struct fsh_wall signed_in_at; /* last automatic attempt */
};

/* ---- run.c */

/* Everything that a file asks for is bounded: a hostile one ends with a problem. */
#define SCENARIO_BYTES_MAX (1 << 20)
#define SCENARIO_STEPS_MAX 1000
#define SCENARIO_WORK_MAX  ((size_t)200 * 1000 * 1000)

/* The JSON of a file; NULL, and why, when it is none. */
json_t *scenario_read(const char *text, size_t len, char *ret_problem, size_t size);

/* Whether it says that it needs that. */
bool scenario_needs(const json_t *json, const char *capability);

/* Runs a scenario to its end, or to its first problem; the caller looks at it and frees it. `json`
 * is borrowed as long. No run goes on for more than `work`. */
struct scenario *scenario_run(json_t *json, const struct mode *mode, uint64_t seed, size_t work,
                              bool traced);

/* Uses up work; a problem when there is none left. */
void scenario_charge(struct scenario *scenario, size_t work);

/* Notes the first problem, with the step that it is in. */
void scenario_problem(struct scenario *scenario, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool scenario_failed(const struct scenario *scenario);

/* Prints a line when the run is traced. */
void scenario_trace(const struct scenario *scenario, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- input.c: reading, strictly */

enum { TEXT = 1, WHOLE = 2, TRUTH = 4, OBJECT = 8, LIST = 16, NIL = 32, REAL = 64, ANYTHING = 127 };

struct key {
    const char *name;
    unsigned types;
};

/* True when `value` is an object that has none but these keys, each of its
 * types. `keys` ends with a NULL name. Otherwise a problem that names `what`.
 */
bool scenario_keys(struct scenario *scenario, const char *what, const json_t *value,
                   const struct key *keys);

/* Checks everything of a file but its steps. */
bool scenario_head(struct scenario *scenario);

/* "500ms", "30s", "5m", "8h", "2d", ten years at the most; a problem for anything else. */
int64_t scenario_duration(struct scenario *scenario, const json_t *value);

/* The same of a member of `object`, or `preset` without one. */
int64_t scenario_duration_of(struct scenario *scenario, const json_t *object, const char *member,
                             int64_t preset);

/* The same with a sign, 0 without one. */
int64_t scenario_step_of(struct scenario *scenario, const json_t *object, const char *member);

/* A member that is a whole number from `least` to `most`, or `preset`; a problem otherwise. */
int64_t scenario_whole_of(struct scenario *scenario, const json_t *object, const char *member,
                          int64_t least, int64_t most, int64_t preset);

const char *scenario_text_of(const json_t *object, const char *member, const char *preset);
bool scenario_truth_of(const json_t *object, const char *member, bool preset);

/* The status of that name in spec/status.def; a problem when there is none. */
int scenario_status(struct scenario *scenario, const char *name);
const char *scenario_status_name(int status);

/* ---- store.c: the stores that fail when told to */

int scenario_stores_open(struct scenario *scenario);
void scenario_stores_close(struct scenario *scenario);
void scenario_door_open(struct actor *actor);
/* What was submitted and not begun is gone: the process died. */
void scenario_door_drop(struct actor *actor);
void scenario_store_step(struct scenario *scenario, const json_t *step);
void scenario_cache_step(struct scenario *scenario, const json_t *step);
/* The session's record as it is. */
struct fsh_record scenario_record(struct scenario *scenario);

/* ---- thread.c */

void scenario_thread_begin(struct thread *thread);
void scenario_thread_post(struct thread *thread, struct fsh_post *post);
/* Runs the next that was posted; false when there is none. */
bool scenario_thread_step(struct thread *thread);
/* Whether there is something to be done by now; and does it. */
bool scenario_thread_due(const struct thread *thread, struct fsh_mono now);
void scenario_thread_turn(struct thread *thread);
/* Lets the engine come to its end; false when it does not. */
bool scenario_thread_end(struct thread *thread);

/* ---- keeper.c: callers ask a keeper, as the library does with `keeper:` */

extern const struct mode scenario_keeper;

/* ---- world.c: clocks and engines */

int scenario_open(struct scenario *scenario);
void scenario_close(struct scenario *scenario);
/* The engine that the object names, or the first. Never NULL; a problem when
 * there is none. */
struct actor *scenario_actor(struct scenario *scenario, const json_t *object);
/* Does everything that is due at this moment. */
void scenario_settle(struct scenario *scenario);
void scenario_wait(struct scenario *scenario, int64_t ms);
/* Waits until such a request is in the air, at most so long. */
void scenario_wait_for(struct scenario *scenario, int kind, int64_t at_most_ms);
void scenario_jump(struct scenario *scenario, int64_t ms);
void scenario_restart_step(struct scenario *scenario, const json_t *step);
void scenario_pause(struct scenario *scenario, const char *name, bool pause);
int scenario_open_engine(struct scenario *scenario, struct actor *actor);
struct fsh_session_options scenario_session_options(struct scenario *scenario);
/* Traces what an engine has noted. */
void scenario_note(const struct actor *actor, const char *whose,
                   const struct fsh_ledger_entry *entry);
/* For struct fsh_io, with the actor as its data. */
struct fsh_now scenario_now(void *data);

/* ---- platform.c: what a request is answered */

int scenario_kind(const char *name); /* -1: none */
bool scenario_in_air(const struct scenario *scenario, int kind);
const char *scenario_kind_name(int kind);
int scenario_platform_send(struct actor *actor, struct fsh_request *request);
void scenario_platform_cancel(struct actor *actor, struct fsh_request *request);
void scenario_platform_step(struct scenario *scenario, const json_t *step);
void scenario_reply_step(struct scenario *scenario, const json_t *step);
/* Answers what is to be answered at once, and gives up what has waited for too
 * long. True when there was anything. */
bool scenario_platform_run(struct scenario *scenario);
struct fsh_mono scenario_platform_wake_at(const struct scenario *scenario);
/* Hands over what came during the pause. */
void scenario_platform_resume(struct actor *actor);
void scenario_platform_close(struct scenario *scenario);

/* ---- callers.c */

void scenario_call_step(struct scenario *scenario, const json_t *step);
/* The first caller of that name, and the next after one; NULL. */
struct caller *scenario_caller(struct scenario *scenario, const char *name);
struct caller *scenario_next_caller(struct caller *caller);
void scenario_callers_close(struct scenario *scenario);

/* ---- steps.c */

void scenario_steps(struct scenario *scenario);

/* ---- expect.c */

void scenario_expect_step(struct scenario *scenario, const json_t *step);

/* ---- check.c: what must hold always */

void scenario_check(struct scenario *scenario);
void scenario_check_send(struct actor *actor, const struct fsh_request *request);
void scenario_check_change(struct actor *actor, const struct fsh_record *before,
                           const struct fsh_store_op *op);
void scenario_check_caller(const struct caller *caller);
/* Whether other threads see a token that may be used. */
bool scenario_usable(const struct fsh_session *session, struct fsh_mono now);
/* What the keeper answers. */
void scenario_check_answer(struct scenario *scenario, const char *text);
void scenario_secret(struct scenario *scenario, enum secret_kind kind, const char *text);
void scenario_secrets_close(struct scenario *scenario);

#endif
