/* SPDX-License-Identifier: Apache-2.0 */
#include "scenario.h"

#include "core/random.h"
#include "store/memory/memory.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what the engine stands on --------------------------------------------------------------- */

static struct fsh_now io_now(void *data)
{
    struct scenario *scenario = ((struct actor *)data)->scenario;

    return (struct fsh_now){scenario->mono, scenario->wall, fsh_core_draw(&scenario->random)};
}

static void io_post(void *data, struct fsh_post *post)
{
    struct actor *actor = data;

    post->next = NULL;
    *actor->last = post;
    actor->last = &post->next;
}

static int io_send(void *data, struct fsh_request *request)
{
    struct scenario *scenario = ((struct actor *)data)->scenario;

    if (scenario->in_air_count == sizeof(scenario->in_air) / sizeof(scenario->in_air[0])) {
        scenario_problem(scenario, "too many requests in the air");
        return FRESHET_ELIMIT;
    }
    scenario->sent[request->kind]++;
    scenario->in_air[scenario->in_air_count++] = request;
    return FRESHET_OK;
}

static void io_cancel(void *data, struct fsh_request *request)
{
    struct scenario *scenario = ((struct actor *)data)->scenario;

    for (unsigned i = 0; i < scenario->in_air_count; i++) {
        if (scenario->in_air[i] == request)
            scenario->in_air[i] = scenario->in_air[--scenario->in_air_count];
    }
}

/* ---- the store that fails when told to ---------------------------------------------------------
 */

static void check_commit(struct scenario *scenario, const struct fsh_store_op *op)
{
    if (op->change.kind != FSH_CHANGE_COMMIT || op->verdict != FSH_VERDICT_DONE)
        return;
    if (op->record.generation <= scenario->committed)
        scenario_problem(scenario, "generation %llu was committed after %llu",
                         (unsigned long long)op->record.generation,
                         (unsigned long long)scenario->committed);
    scenario->committed = op->record.generation;
}

struct relay {
    void (*done)(struct fsh_store_op *op);
    struct faulty_store *store;
};

/* The memory store completes at once, so one relay is enough. */
static struct relay relay;

static void relayed(struct fsh_store_op *op)
{
    op->done = relay.done;
    check_commit(relay.store->scenario, op);
    if (relay.store->mode == STORE_LOSES_WORD)
        op->status = FRESHET_ESTORE;
    op->done(op);
}

static void pass_on(struct faulty_store *store, struct fsh_store_op *op)
{
    relay = (struct relay){op->done, store};
    op->done = relayed;
    store->real->ops->submit(store->real, op);
}

static void store_submit(struct fsh_secret_store *base, struct fsh_store_op *op)
{
    struct faulty_store *store = fsh_container_of(base, struct faulty_store, store);

    if (store->mode == STORE_DOWN) {
        op->status = FRESHET_ESTORE;
        op->done(op);
    } else if (store->mode == STORE_SLOW && store->held_count < 16) {
        store->held[store->held_count++] = op;
    } else {
        pass_on(store, op);
    }
}

static void store_close(struct fsh_secret_store *base)
{
    (void)base;
}

static const struct fsh_secret_store_ops store_ops = {store_submit, store_close};

void scenario_store_mode(struct scenario *scenario, const char *mode)
{
    struct faulty_store *store = &scenario->store;
    unsigned count = store->held_count;

    if (strcmp(mode, "down") == 0)
        store->mode = STORE_DOWN;
    else if (strcmp(mode, "slow") == 0)
        store->mode = STORE_SLOW;
    else if (strcmp(mode, "loses_word") == 0)
        store->mode = STORE_LOSES_WORD;
    else if (strcmp(mode, "up") == 0)
        store->mode = STORE_UP;
    else
        scenario_problem(scenario, "a store cannot be \"%s\"", mode);
    if (store->mode == STORE_SLOW)
        return;
    store->held_count = 0;
    for (unsigned i = 0; i < count; i++)
        store_submit(&store->store, store->held[i]);
    scenario_settle(scenario);
}

/* ---- engines ------------------------------------------------------------------------------------
 */

static int password(void *data, char *ret_password, size_t size)
{
    (void)data;
    (void)snprintf(ret_password, size, "canary-password");
    return 0;
}

static bool flag(const struct scenario *scenario, const char *name, bool preset)
{
    const json_t *value = json_object_get(scenario->config, name);

    return value ? json_is_true(value) : preset;
}

static int open_session(struct scenario *scenario, struct actor *actor)
{
    const json_t *threshold = json_object_get(scenario->config, "threshold");
    struct fsh_session_options options = {
        .name = "session",
        .service = flag(scenario, "service", false),
        .background = flag(scenario, "background", true),
        .first_party = flag(scenario, "first_party", false),
        .threshold_ms = threshold ? scenario_duration(scenario, threshold) : FSH_THRESHOLD_MS,
        .sign_in_pause_ms = FSH_SIGN_IN_PAUSE_MS,
    };

    if (options.service) {
        options.credentials.username = strdup("svc");
        options.credentials.password = password;
    }
    return fsh_engine_session_open(actor->engine, &options, &actor->session, NULL);
}

static int open_engine(struct scenario *scenario, struct actor *actor)
{
    const char *profile = json_string_value(json_object_get(scenario->config, "profile"));
    struct fsh_engine_options options = {
        .profile = fsh_profile_find(profile ? profile : "partner"),
        .secrets = &scenario->store.store,
        .tokens = scenario->tokens,
        .holder = ++scenario->holders,
    };
    struct fsh_io io = {
        .data = actor,
        .now = io_now,
        .boot = scenario->boot,
        .post = io_post,
        .send = io_send,
        .cancel = io_cancel,
    };

    if (!options.profile) {
        scenario_problem(scenario, "no profile %s", profile);
        return FRESHET_EINVAL;
    }
    actor->scenario = scenario;
    actor->first = NULL;
    actor->last = &actor->first;
    if (fsh_engine_new(&options, &io, &actor->engine) != FRESHET_OK)
        return FRESHET_ENOMEM;
    return open_session(scenario, actor);
}

static void run_posts(struct actor *actor)
{
    while (actor->first) {
        struct fsh_post *post = actor->first;

        actor->first = post->next;
        if (!actor->first)
            actor->last = &actor->first;
        post->run(post);
    }
}

static void close_engine(struct actor *actor)
{
    if (!actor->engine)
        return;
    fsh_engine_close_all(actor->engine);
    run_posts(actor);
    fsh_engine_run(actor->engine);
    fsh_engine_abandon(actor->engine);
    run_posts(actor);
    fsh_engine_run(actor->engine);
    if (!fsh_engine_empty(actor->engine))
        scenario_problem(actor->scenario, "the engine did not come to rest when it was closed");
    else
        fsh_engine_free(actor->engine);
    actor->engine = NULL;
}

void scenario_settle(struct scenario *scenario)
{
    for (int round = 0; round < 100; round++) {
        bool idle = true;

        for (unsigned i = 0; i < scenario->actor_count; i++) {
            struct actor *actor = &scenario->actors[i];

            idle =
                idle && !actor->first && fsh_engine_wake_at(actor->engine).ms > scenario->mono.ms;
            run_posts(actor);
            fsh_engine_run(actor->engine);
        }
        if (idle)
            return;
    }
    scenario_problem(scenario, "the engine does not come to rest: it wants to be woken for ever");
}

static int64_t next_wake(const struct scenario *scenario)
{
    int64_t next = INT64_MAX;

    for (unsigned i = 0; i < scenario->actor_count; i++) {
        int64_t at = fsh_engine_wake_at(scenario->actors[i].engine).ms;

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

    while (!scenario->problem[0] && next_wake(scenario) <= end)
        scenario_jump(scenario, next_wake(scenario) - scenario->mono.ms);
    scenario_jump(scenario, end - scenario->mono.ms);
}

/* The process dies: nothing more of it reaches the store. */
void scenario_restart(struct scenario *scenario, bool new_boot)
{
    scenario->store.mode = STORE_DOWN;
    for (unsigned i = 0; i < scenario->actor_count; i++)
        close_engine(&scenario->actors[i]);
    scenario->store.mode = STORE_UP;
    scenario->in_air_count = 0;
    if (new_boot) {
        scenario->boot++;
        scenario->mono.ms = 1000;
    }
    for (unsigned i = 0; i < scenario->actor_count; i++)
        (void)open_engine(scenario, &scenario->actors[i]);
    scenario_settle(scenario);
}

int scenario_open(struct scenario *scenario)
{
    const json_t *engines = json_object_get(scenario->config, "engines");

    scenario->mono.ms = 1000000;
    scenario->wall.ms = INT64_C(1800000000000);
    scenario->boot = 1;
    scenario->store.store.ops = &store_ops;
    scenario->store.scenario = scenario;
    scenario->actor_count = engines ? (unsigned)json_integer_value(engines) : 1;
    if (scenario->actor_count < 1 || scenario->actor_count > ENGINES) {
        scenario->actor_count = 0;
        scenario_problem(scenario, "engines: 1 or 2");
        return FRESHET_EINVAL;
    }
    if (fsh_store_memory_secrets(&scenario->store.real, NULL) != FRESHET_OK ||
        fsh_store_memory_tokens(&scenario->tokens, NULL) != FRESHET_OK)
        return FRESHET_ENOMEM;
    for (unsigned i = 0; i < scenario->actor_count; i++) {
        if (open_engine(scenario, &scenario->actors[i]) != FRESHET_OK)
            return FRESHET_ENOMEM;
    }
    scenario_settle(scenario);
    return FRESHET_OK;
}

void scenario_close(struct scenario *scenario)
{
    scenario->store.mode = STORE_UP;
    if (scenario->store.held_count)
        scenario_store_mode(scenario, "up");
    for (unsigned i = 0; i < scenario->actor_count; i++)
        close_engine(&scenario->actors[i]);
    scenario->store.real->ops->close(scenario->store.real);
    scenario->tokens->ops->close(scenario->tokens);
    for (unsigned i = 0; i < scenario->caller_count; i++) {
        fsh_base_secret_done(&scenario->callers[i].call.mfa.qr_uri);
        fsh_base_secret_done(&scenario->callers[i].call.mfa.qr_secret);
    }
}

struct actor *scenario_actor(struct scenario *scenario, const json_t *step)
{
    const char *name = json_string_value(json_object_get(step, "engine"));
    unsigned index = name && strcmp(name, "b") == 0;

    if ((name && strcmp(name, "a") != 0 && strcmp(name, "b") != 0) ||
        index >= scenario->actor_count)
        scenario_problem(scenario, "no engine \"%s\"", name ? name : "a");
    return &scenario->actors[index < scenario->actor_count ? index : 0];
}
