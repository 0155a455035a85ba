/* SPDX-License-Identifier: Apache-2.0 */

/* The stores of a scenario: the shipped memory stores behind doors that stick
 * when told to. */

#include "scenario.h"

#include "store/memory/memory.h"

#include <freshet/status.h>
#include <string.h>

/* ---- the secret store
 * ------------------------------------------------------------------------ */

static void nothing(struct fsh_store_op *op)
{
    (void)op;
}

struct fsh_record scenario_record(struct scenario *scenario)
{
    struct fsh_store_op op = {
        .done = nothing,
        .session = SESSION_NAME,
        .change = {.kind = FSH_CHANGE_READ},
        .now = {scenario->mono.ms, scenario->boot},
    };

    /* The memory store completes before submit returns. */
    scenario->secrets->ops->submit(scenario->secrets, &op);
    return op.record;
}

static const char *const changes[] = {
    [FSH_CHANGE_READ] = "read",         [FSH_CHANGE_LEASE] = "lease",
    [FSH_CHANGE_RELEASE] = "release",   [FSH_CHANGE_COMMIT] = "commit",
    [FSH_CHANGE_END] = "end",           [FSH_CHANGE_PARK] = "park",
    [FSH_CHANGE_SIGN_OUT] = "sign out", [FSH_CHANGE_LOSE] = "lose",
};

static const char *const verdicts[] = {
    [FSH_VERDICT_DONE] = "done",
    [FSH_VERDICT_BUSY] = "busy",
    [FSH_VERDICT_STALE] = "stale",
};

static void fail(struct door *door, struct fsh_store_op *op)
{
    scenario_trace(door->actor->scenario, "%s store: %s fails", door->actor->name,
                   changes[op->change.kind]);
    op->status = FRESHET_ESTORE;
    op->done(op);
}

static void perform(struct door *door, struct fsh_store_op *op)
{
    struct scenario *scenario = door->actor->scenario;
    struct fsh_record before = scenario_record(scenario);
    void (*done)(struct fsh_store_op *) = op->done;

    op->done = nothing;
    scenario->secrets->ops->submit(scenario->secrets, op);
    op->done = done;
    scenario_trace(scenario, "%s store: %s %s, generation %llu%s", door->actor->name,
                   changes[op->change.kind], verdicts[op->verdict],
                   (unsigned long long)op->record.generation,
                   door->mode == DOOR_LOSES_WORD ? ", word lost" : "");
    scenario_check_change(door->actor, &before, op);
    if (door->mode == DOOR_LOSES_WORD)
        op->status = FRESHET_ESTORE;
    op->done(op);
}

static void secrets_submit(struct fsh_secret_store *base, struct fsh_store_op *op)
{
    struct door *door = fsh_container_of(base, struct door, secrets);

    if (door->actor->dying || door->mode == DOOR_DOWN) {
        fail(door, op);
    } else if (door->mode != DOOR_SLOW) {
        perform(door, op);
    } else if (door->held_count < sizeof(door->held) / sizeof(door->held[0])) {
        door->held[door->held_count++] = op;
    } else {
        scenario_problem(door->actor->scenario, "the slow store was asked too often");
        fail(door, op);
    }
}

static void release_held(struct door *door, void (*how)(struct door *, struct fsh_store_op *))
{
    struct fsh_store_op *held[sizeof(door->held) / sizeof(door->held[0])];
    unsigned count = door->held_count;

    memcpy(held, door->held, sizeof(held));
    door->held_count = 0;
    for (unsigned i = 0; i < count; i++)
        how(door, held[i]);
}

static void secrets_close(struct fsh_secret_store *base)
{
    (void)base;
}

/* ---- the token cache
 * ---------------------------------------------------------------------------
 */

static void tokens_submit(struct fsh_token_cache *base, struct fsh_cache_op *op)
{
    struct door *door = fsh_container_of(base, struct door, tokens);
    struct fsh_token_cache *tokens = door->actor->scenario->tokens;

    if (door->actor->dying || door->cache_down) {
        op->status = FRESHET_ESTORE;
        op->done(op);
    } else {
        tokens->ops->submit(tokens, op);
    }
}

static void tokens_close(struct fsh_token_cache *base)
{
    (void)base;
}

/* ---- opening, closing, steps
 * ------------------------------------------------------------------- */

static const struct fsh_secret_store_ops secrets_ops = {
    .submit = secrets_submit,
    .close = secrets_close,
};
static const struct fsh_token_cache_ops tokens_ops = {tokens_submit, tokens_close};

int scenario_stores_open(struct scenario *scenario)
{
    int status = fsh_store_memory_secrets(&scenario->secrets, NULL);

    return status == FRESHET_OK ? fsh_store_memory_tokens(&scenario->tokens, NULL) : status;
}

void scenario_stores_close(struct scenario *scenario)
{
    if (scenario->secrets)
        scenario->secrets->ops->close(scenario->secrets);
    if (scenario->tokens)
        scenario->tokens->ops->close(scenario->tokens);
}

void scenario_door_open(struct actor *actor)
{
    actor->door.secrets.ops = &secrets_ops;
    actor->door.tokens.ops = &tokens_ops;
    actor->door.actor = actor;
}

void scenario_door_drop(struct actor *actor)
{
    release_held(&actor->door, fail);
}

static bool set_mode(struct scenario *scenario, struct door *door, const char *how)
{
    if (strcmp(how, "go") == 0)
        return door->mode == DOOR_SLOW;
    if (strcmp(how, "up") == 0)
        door->mode = DOOR_UP;
    else if (strcmp(how, "down") == 0)
        door->mode = DOOR_DOWN;
    else if (strcmp(how, "slow") == 0)
        door->mode = DOOR_SLOW;
    else if (strcmp(how, "loses_word") == 0)
        door->mode = DOOR_LOSES_WORD;
    else
        return false;
    scenario->unsteady = scenario->unsteady || door->mode == DOOR_SLOW;
    return true;
}

void scenario_store_step(struct scenario *scenario, const json_t *step)
{
    const char *how = scenario_text_of(step, "store", "");
    const struct actor *only =
        json_object_get(step, "engine") ? scenario_actor(scenario, step) : NULL;

    for (unsigned i = 0; i < scenario->actor_count; i++) {
        struct door *door = &scenario->actors[i].door;

        if (only && only != &scenario->actors[i])
            continue;
        if (!set_mode(scenario, door, how))
            scenario_problem(scenario, "a store cannot be \"%s\" now", how);
        else if (door->mode == DOOR_DOWN)
            release_held(door, fail);
        else if (door->mode != DOOR_SLOW || strcmp(how, "go") == 0)
            release_held(door, perform);
    }
    scenario_settle(scenario);
}

void scenario_cache_step(struct scenario *scenario, const json_t *step)
{
    const char *how = scenario_text_of(step, "cache", "");

    if (strcmp(how, "forgets") == 0) {
        scenario->tokens->ops->close(scenario->tokens);
        scenario->tokens = NULL;
        if (fsh_store_memory_tokens(&scenario->tokens, NULL) != FRESHET_OK)
            scenario_problem(scenario, "out of memory");
        return;
    }
    if (strcmp(how, "down") != 0 && strcmp(how, "up") != 0)
        scenario_problem(scenario, "a cache cannot be \"%s\"", how);
    for (unsigned i = 0; i < ENGINES; i++)
        scenario->actors[i].door.cache_down = strcmp(how, "down") == 0;
}
