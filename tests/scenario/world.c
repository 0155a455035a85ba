/* SPDX-License-Identifier: Apache-2.0 */

/* The world of a scenario: its clocks, and the engines that stand on them. */

#include "scenario.h"

#include "core/random.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The calendar when a scenario begins: Fri, 15 Jan 2027 08:00:00 GMT. */
#define BEGIN_WALL_MS INT64_C(1800000000000)
#define BEGIN_MONO_MS 1000000
#define BOOTED_MS     20000 /* from a machine's start to its first process */

/* An engine that has something to do at the same moment for so long will have
 * for ever. */
#define ROUNDS_MAX 5000

static const char *const names[ENGINES] = {"a", "b"};

/* ---- what an engine stands on
 * ------------------------------------------------------------------ */

struct fsh_now scenario_now(void *data)
{
    struct scenario *scenario = ((struct actor *)data)->scenario;

    return (struct fsh_now){scenario->mono, scenario->wall, fsh_core_draw(&scenario->random)};
}

static void io_post(void *data, struct fsh_post *post)
{
    scenario_thread_post(&((struct actor *)data)->thread, post);
}

static int io_send(void *data, struct fsh_request *request)
{
    return scenario_platform_send(data, request);
}

static void io_cancel(void *data, struct fsh_request *request)
{
    scenario_platform_cancel(data, request);
}

void scenario_note(const struct actor *actor, const char *whose,
                   const struct fsh_ledger_entry *entry)
{
    scenario_trace(actor->scenario, "%s %s: %s (%s, %lld)", actor->name, whose,
                   fsh_engine_note_text(entry->note), scenario_status_name(entry->status),
                   (long long)entry->value);
}

static void io_event(void *data, struct fsh_session *session, const struct fsh_ledger_entry *entry)
{
    (void)session;
    scenario_note(data, "note", entry);
}

static int password(void *data, char *ret_password, size_t size)
{
    (void)data;
    (void)snprintf(ret_password, size, SERVICE_PASSWORD);
    return FRESHET_OK;
}

/* ---- engines
 * -----------------------------------------------------------------------------------
 */

struct fsh_session_options scenario_session_options(struct scenario *scenario)
{
    const json_t *config = scenario->config;

    return (struct fsh_session_options){
        .name = SESSION_NAME,
        .service = scenario_truth_of(config, "service", false),
        .background = scenario_truth_of(config, "background", true),
        .first_party = scenario_truth_of(config, "first_party", false),
        .threshold_ms = scenario_duration_of(scenario, config, "threshold", FSH_THRESHOLD_MS),
        .sign_in_pause_ms = FSH_SIGN_IN_PAUSE_MS,
    };
}

/* The engine is in the callers' own process. */
static int open_embedded(struct actor *actor, const struct fsh_engine_options *engine,
                         const struct fsh_io *io)
{
    struct fsh_session_options options = scenario_session_options(actor->scenario);
    int status = fsh_engine_new(engine, io, &actor->thread.engine);

    if (status != FRESHET_OK)
        return status;
    if (options.service) {
        options.credentials.username =
            strdup(scenario_text_of(actor->scenario->config, "username", "svc"));
        options.credentials.password = password;
    }
    status = fsh_engine_session_open(actor->thread.engine, &options, &actor->session, NULL);
    actor->asked = actor->session;
    return status;
}

int scenario_open_engine(struct scenario *scenario, struct actor *actor)
{
    const char *profile = scenario_text_of(scenario->config, "profile", "partner");
    struct fsh_engine_options options = {
        .profile = fsh_profile_find(profile),
        .secrets = &actor->door.secrets,
        .tokens = &actor->door.tokens,
        .holder = ++scenario->holders,
    };
    struct fsh_io io = {
        .data = actor,
        .now = scenario_now,
        .boot = scenario->boot,
        .post = io_post,
        .send = io_send,
        .cancel = io_cancel,
        .event = io_event,
        .event_data = actor,
    };

    if (!options.profile) {
        scenario_problem(scenario, "no profile is called %s", profile);
        return FRESHET_EINVAL;
    }
    scenario_door_open(actor);
    scenario_thread_begin(&actor->thread);
    actor->holder = options.holder;
    actor->probed = false;
    if (scenario_truth_of(scenario->config, "service", false))
        scenario_secret(scenario, SECRET_OTHER, SERVICE_PASSWORD);
    return (scenario->mode ? scenario->mode->open : open_embedded)(actor, &options, &io);
}

/* Lets an engine come to its end; what is left after that is abandoned. */
static void close_engine(struct actor *actor)
{
    if (actor->keeper)
        actor->scenario->mode->close(actor);
    if (!scenario_thread_end(&actor->thread))
        scenario_problem(actor->scenario, "an engine was closed and did not come to its end");
    actor->session = actor->asked = NULL;
}

/* The process dies: nothing more of it reaches the stores. */
static void kill_engine(struct actor *actor)
{
    actor->dying = true;
    scenario_door_drop(actor);
    close_engine(actor);
    actor->dying = false;
    actor->paused = false;
}

struct actor *scenario_actor(struct scenario *scenario, const json_t *object)
{
    const char *name = scenario_text_of(object, "engine", names[0]);

    for (unsigned i = 0; i < scenario->actor_count; i++) {
        if (strcmp(name, names[i]) == 0)
            return &scenario->actors[i];
    }
    scenario_problem(scenario, "no engine is called %s", name);
    return &scenario->actors[0];
}

/* ---- time
 * ----------------------------------------------------------------------------------------
 */

static bool run_engine(struct actor *actor)
{
    bool busy = false;

    if (!actor->thread.engine || actor->paused)
        return false;
    if (scenario_thread_due(&actor->thread, actor->scenario->mono)) {
        scenario_thread_turn(&actor->thread);
        busy = true;
    }
    return (actor->keeper && actor->scenario->mode->run(actor)) || busy;
}

static int64_t wake_at(const struct actor *actor)
{
    struct fsh_mono at;

    if (actor->paused)
        return INT64_MAX;
    at = fsh_engine_wake_at(actor->thread.engine);
    return (actor->keeper ? fsh_mono_min(at, actor->scenario->mode->wake_at(actor)) : at).ms;
}

void scenario_settle(struct scenario *scenario)
{
    for (int round = 0; round < ROUNDS_MAX; round++) {
        bool busy = false;

        scenario_charge(scenario, 1 + scenario->caller_count / 16);
        if (scenario->work == 0)
            return;
        for (unsigned i = 0; i < scenario->actor_count; i++)
            busy = run_engine(&scenario->actors[i]) || busy;
        busy = scenario_platform_run(scenario) || busy;
        if (!busy) {
            scenario_check(scenario);
            return;
        }
    }
    scenario_problem(scenario, "an engine does not come to rest: it has something to do for ever");
}

static int64_t next_event(const struct scenario *scenario)
{
    int64_t next = scenario_platform_wake_at(scenario).ms;

    for (unsigned i = 0; i < scenario->actor_count; i++) {
        int64_t at = wake_at(&scenario->actors[i]);

        next = at < next ? at : next;
    }
    return next;
}

void scenario_jump(struct scenario *scenario, int64_t ms)
{
    scenario->mono.ms += ms;
    scenario->wall.ms += ms;
    scenario_settle(scenario);
}

void scenario_wait(struct scenario *scenario, int64_t ms)
{
    int64_t end = scenario->mono.ms + ms;

    while (!scenario_failed(scenario) && next_event(scenario) <= end)
        scenario_jump(scenario, next_event(scenario) - scenario->mono.ms);
    if (!scenario_failed(scenario))
        scenario_jump(scenario, end - scenario->mono.ms);
}

void scenario_wait_for(struct scenario *scenario, int kind, int64_t at_most_ms)
{
    int64_t end = scenario->mono.ms + at_most_ms;

    while (!scenario_failed(scenario) && !scenario_in_air(scenario, kind)) {
        if (next_event(scenario) > end)
            scenario_problem(scenario, "no %s in all that time", scenario_kind_name(kind));
        else
            scenario_jump(scenario, next_event(scenario) - scenario->mono.ms);
    }
}

void scenario_pause(struct scenario *scenario, const char *name, bool pause)
{
    json_t *object = json_pack("{s:s}", "engine", name);
    struct actor *actor = scenario_actor(scenario, object);

    json_decref(object);
    if (actor->paused == pause)
        scenario_problem(scenario, "engine %s is %spaused", name, pause ? "already " : "not ");
    actor->paused = pause;
    if (!pause)
        scenario_platform_resume(actor);
    scenario_settle(scenario);
}

static void open_again(struct scenario *scenario, struct actor *actor)
{
    if (scenario_open_engine(scenario, actor) != FRESHET_OK)
        scenario_problem(scenario, "an engine could not be opened again");
}

/* All of them, or only one. */
static void restart_processes(struct scenario *scenario, const struct actor *only)
{
    for (unsigned i = 0; i < scenario->actor_count; i++) {
        if (!only || only == &scenario->actors[i])
            kill_engine(&scenario->actors[i]);
    }
    for (unsigned i = 0; i < scenario->actor_count && !scenario_failed(scenario); i++) {
        if (!scenario->actors[i].thread.engine)
            open_again(scenario, &scenario->actors[i]);
    }
}

static void restart_machine(struct scenario *scenario)
{
    for (unsigned i = 0; i < scenario->actor_count; i++)
        kill_engine(&scenario->actors[i]);
    scenario->boot++;
    scenario->mono.ms = BOOTED_MS;
    scenario->wall.ms += BOOTED_MS;
    restart_processes(scenario, NULL);
}

void scenario_restart_step(struct scenario *scenario, const json_t *step)
{
    const char *what = scenario_text_of(step, "restart", "");
    struct actor *actor = scenario_actor(scenario, step);

    if (strcmp(what, "new_boot") == 0) {
        restart_machine(scenario);
    } else if (strcmp(what, "same_boot") == 0) {
        restart_processes(scenario, json_object_get(step, "engine") ? actor : NULL);
    } else {
        scenario_problem(scenario, "a \"%s\" cannot be restarted", what);
    }
    if (!scenario_failed(scenario))
        scenario_settle(scenario);
}

/* ---- beginning and end
 * -----------------------------------------------------------------------------
 */

static bool add_origins(struct scenario *scenario)
{
    const json_t *more = json_object_get(scenario->config, "origins");
    const char *url = scenario_text_of(scenario->config, "url", "https://api.example.com");
    struct freshet_error error;
    int status = fsh_engine_origins_add(&scenario->origins, url, &error);
    size_t index;
    json_t *origin;

    json_array_foreach (more, index, origin) {
        if (status == FRESHET_OK && json_is_string(origin))
            status = fsh_engine_origins_add(&scenario->origins, json_string_value(origin), &error);
    }
    if (status != FRESHET_OK)
        scenario_problem(scenario, "config: %s", error.message);
    return status == FRESHET_OK;
}

static unsigned engines_wanted(struct scenario *scenario)
{
    const json_t *engines = json_object_get(scenario->config, "engines");
    json_int_t count = engines ? json_integer_value(engines) : 1;

    if (count < 1 || count > ENGINES) {
        scenario_problem(scenario, "engines: 1 or 2");
        return 0;
    }
    return (unsigned)count;
}

static int open_engines(struct scenario *scenario, unsigned wanted)
{
    while (scenario->actor_count < wanted) {
        struct actor *actor = &scenario->actors[scenario->actor_count];

        actor->scenario = scenario;
        actor->name = names[scenario->actor_count];
        if (scenario_open_engine(scenario, actor) != FRESHET_OK)
            return FRESHET_ENOMEM;
        scenario->actor_count++;
    }
    scenario_settle(scenario);
    return FRESHET_OK;
}

static void run_step_text(struct scenario *scenario, void (*run)(struct scenario *, const json_t *),
                          json_t *step)
{
    if (step && !scenario_failed(scenario))
        run(scenario, step);
    json_decref(step);
}

/* Has the session signed in before the first step. */
static void begin(struct scenario *scenario)
{
    if (strcmp(scenario_text_of(scenario->config, "begin", ""), "signed_in") != 0) {
        scenario_problem(scenario, "begin: \"signed_in\", or nothing");
        return;
    }
    /* A service signs in by itself, and who asks a keeper has asked for its token. */
    if (!scenario_truth_of(scenario->config, "service", false))
        run_step_text(scenario, scenario_call_step,
                      json_pack("{s:s, s:s}", "call", "begin", "do", "sign_in"));
    else if (scenario->mode)
        run_step_text(scenario, scenario_call_step,
                      json_pack("{s:s, s:s}", "call", "begin", "do", "ensure"));
    run_step_text(
        scenario, scenario_reply_step,
        json_pack("{s:s, s:{s:s}}", "reply", "sign_in", "grant", "refresh_token", "refresh-1"));
    memset(scenario->actors[0].sent, 0, sizeof(scenario->actors[0].sent));
}

int scenario_open(struct scenario *scenario)
{
    bool signed_in = json_object_get(scenario->config, "begin") != NULL;
    unsigned wanted = engines_wanted(scenario);

    scenario->mono.ms = BEGIN_MONO_MS;
    scenario->wall.ms = BEGIN_WALL_MS;
    scenario->boot = 1;
    scenario->generations = json_object();
    TAILQ_INIT(&scenario->callers);
    if (wanted == 0 || !add_origins(scenario))
        return FRESHET_EINVAL;
    if (scenario_stores_open(scenario) != FRESHET_OK)
        return FRESHET_ENOMEM;
    /* The others open when the first has signed in, and find its token. */
    if (open_engines(scenario, signed_in ? 1 : wanted) != FRESHET_OK)
        return FRESHET_ENOMEM;
    if (signed_in)
        begin(scenario);
    return scenario_failed(scenario) ? FRESHET_EINVAL : open_engines(scenario, wanted);
}

void scenario_close(struct scenario *scenario)
{
    for (unsigned i = 0; i < ENGINES; i++) {
        struct actor *actor = &scenario->actors[i];

        actor->paused = false;
        actor->door.mode = DOOR_UP;
        if (actor->thread.engine)
            scenario_door_drop(actor);
        close_engine(actor);
    }
    scenario_platform_close(scenario);
    scenario_callers_close(scenario);
    scenario_stores_close(scenario);
    scenario_secrets_close(scenario);
    fsh_engine_origins_done(&scenario->origins);
    json_decref(scenario->generations);
}
