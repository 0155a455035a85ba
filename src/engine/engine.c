/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include "base/error.h"
#include "base/fault.h"
#include "engine/internal.h"

#include <assert.h>
#include <freshet/status.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One operation of a store, and whose it is. */
struct store_use {
    struct fsh_store_op op;
    struct fsh_active *active;
    uint64_t ticket;
    struct fsh_mono asked_at;
};

struct cache_use {
    struct fsh_cache_op op;
    struct fsh_active *active;
    uint64_t ticket;
    struct fsh_mono asked_at;
    struct store_use *then; /* what waits for its end; NULL for nothing */
};

struct fsh_now fsh_engine_now(const struct fsh_engine *engine)
{
    return engine->io.now(engine->io.data);
}

/* ---- stores ------------------------------------------------------------------------------ */

static void store_run(struct fsh_post *post)
{
    struct store_use *use = fsh_container_of(post, struct store_use, op.post);
    struct fsh_active *active = use->active;
    struct fsh_engine *engine = active->session->engine;
    struct fsh_now now = fsh_engine_now(engine);
    struct fsh_effects fx;

    FSH_FAULT("engine-stored", use->op.change.kind);
    fsh_engine_count_secrets(engine, &use->op, use->asked_at, now.mono);
    fx.count = 0;
    if (use->ticket == active->core.ticket && use->op.status == FRESHET_OK &&
        use->op.change.kind == FSH_CHANGE_LEASE && use->op.verdict == FSH_VERDICT_DONE) {
        fsh_store_kept_done(&active->leased);
        active->leased = use->op.kept;
        use->op.kept = (struct fsh_kept){0};
    }
    (void)snprintf(active->store_why, sizeof(active->store_why), "%s",
                   use->op.status == FRESHET_OK ? "" : use->op.why);
    fsh_core_stored(&active->core, now, use->ticket, use->op.status, use->op.verdict,
                    &use->op.record, use->op.unresolved_ms, &fx);
    fsh_store_kept_done(&use->op.kept);
    free(use);
    active->in_air--;
    fsh_engine_carry_out(active, &fx);
}

static void store_done(struct fsh_store_op *op)
{
    struct store_use *use = fsh_container_of(op, struct store_use, op);
    struct fsh_io *io = &use->active->session->engine->io;

    op->post.run = store_run;
    io->post(io->data, &op->post);
}

static int bring_secrets(struct fsh_active *active, struct fsh_kept *ret_kept)
{
    int status = fsh_base_secret_dup(&active->grant.refresh_token, &ret_kept->refresh_token);

    if (status == FRESHET_OK)
        status = fsh_base_secret_dup(&active->grant.device_key, &ret_kept->device_key);
    if (status == FRESHET_OK)
        status = fsh_base_secret_dup(&active->grant.device_group_key, &ret_kept->device_group_key);
    return status;
}

static void submit(struct store_use *use)
{
    struct fsh_secret_store *store = use->active->session->engine->options.secrets;

    FSH_FAULT("engine-submit", use->op.change.kind);
    use->asked_at = fsh_engine_now(use->active->session->engine).mono;
    store->ops->submit(store, &use->op);
}

static void cache_run(struct fsh_post *post)
{
    struct cache_use *use = fsh_container_of(post, struct cache_use, op.post);
    struct fsh_active *active = use->active;
    struct fsh_engine *engine = active->session->engine;
    struct fsh_token *token = use->op.token;
    struct fsh_now now = fsh_engine_now(engine);
    struct fsh_effects fx;
    bool good = use->op.kind == FSH_CACHE_GET && use->op.status == FRESHET_OK && token &&
                token->generation == active->core.record.generation &&
                token->incarnation == active->core.record.incarnation &&
                token->sent_at.boot == engine->io.boot;

    fsh_engine_count_tokens(engine, &use->op, use->asked_at, now.mono);
    fx.count = 0;
    if (use->op.kind == FSH_CACHE_GET) {
        struct fsh_mono sent_at = {good ? token->sent_at.ms : 0};

        if (good && use->ticket == active->core.ticket) {
            fsh_token_unref(active->made);
            active->made = fsh_token_ref(token);
        }
        fsh_core_adopted(&active->core, now, use->ticket, sent_at, good ? token->lifetime_ms : 0,
                         &fx);
    }
    if (use->then)
        submit(use->then);
    fsh_token_unref(token);
    free(use);
    active->in_air--;
    fsh_engine_carry_out(active, &fx);
}

static void cache_done(struct fsh_cache_op *op)
{
    struct cache_use *use = fsh_container_of(op, struct cache_use, op);
    struct fsh_io *io = &use->active->session->engine->io;

    op->post.run = cache_run;
    io->post(io->data, &op->post);
}

/* Takes the reference `token`; submits `then` when it is done. FRESHET_ENOMEM: nothing was
 * submitted, nor will be. */
static int use_cache(struct fsh_active *active, enum fsh_cache_kind kind, uint64_t ticket,
                     struct fsh_token *token, uint64_t generation, struct store_use *then)
{
    struct fsh_token_cache *cache = active->session->engine->options.tokens;
    struct cache_use *use = calloc(1, sizeof(*use));

    if (!use) {
        fsh_token_unref(token);
        return FRESHET_ENOMEM;
    }
    use->active = active;
    use->ticket = ticket;
    use->op.done = cache_done;
    use->op.session = active->session->name;
    use->op.session_key = fsh_engine_session_key(active->session);
    use->op.kind = kind;
    use->op.token = token;
    use->op.shelf = active->session->engine->shelf;
    use->op.generation = generation;
    use->then = then;
    use->asked_at = fsh_engine_now(active->session->engine).mono;
    active->in_air++;
    cache->ops->submit(cache, &use->op);
    return FRESHET_OK;
}

static int use_store(struct fsh_active *active, uint64_t ticket, const struct fsh_change *change)
{
    struct store_use *use = calloc(1, sizeof(*use));

    if (!use)
        return FRESHET_ENOMEM;
    if (change->kind == FSH_CHANGE_COMMIT && bring_secrets(active, &use->op.kept) != FRESHET_OK) {
        fsh_store_kept_done(&use->op.kept);
        free(use);
        return FRESHET_ENOMEM;
    }
    use->active = active;
    use->ticket = ticket;
    use->op.done = store_done;
    use->op.session = active->session->name;
    use->op.session_key = fsh_engine_session_key(active->session);
    use->op.change = *change;
    use->op.now = (struct fsh_stamp){fsh_engine_now(active->session->engine).mono.ms,
                                     active->session->engine->io.boot};
    active->in_air++;
    /* The token is in the cache before the generation that points to it is committed: another
     * engine that reads of it looks there at once, and refreshes again when it finds nothing. */
    if (change->kind == FSH_CHANGE_COMMIT) {
        struct fsh_token *token = active->made ? active->made : active->session->token;

        if (token && token->generation == change->reserved &&
            use_cache(active, FSH_CACHE_PUT, 0, fsh_token_ref(token), 0, use) == FRESHET_OK)
            return FRESHET_OK;
    }
    submit(use);
    return FRESHET_OK;
}

/* ---- effects ----------------------------------------------------------------------------- */

void fsh_engine_unheed(struct fsh_session *session)
{
    unsigned char heeded = FSH_POKE_HEEDED;

    (void)atomic_compare_exchange_strong(&session->poked, &heeded, FSH_POKE_NONE);
}

void fsh_engine_put_in_force(struct fsh_session *session, struct fsh_token *token,
                             struct fsh_mono sent_at, int64_t lifetime_ms)
{
    struct fsh_token *before;

    (void)pthread_mutex_lock(fsh_engine_lock(session));
    before = session->token;
    session->token = token;
    (void)pthread_mutex_unlock(fsh_engine_lock(session));
    fsh_engine_count_token(session, before, token);
    fsh_token_unref(before);
    fsh_view_write(&session->view, token ? token->generation : 0, sent_at, lifetime_ms);
    fsh_engine_unheed(session);
}

static void put_in_force(struct fsh_active *active, struct fsh_token *token)
{
    const struct fsh_freshness *times = &active->core.token;

    fsh_engine_put_in_force(active->session, token, times->sent_at,
                            fsh_mono_until(times->sent_at, times->expires_at));
}

static void withdraw(struct fsh_active *active)
{
    uint64_t generation = active->session->token ? active->session->token->generation : 0;

    put_in_force(active, NULL);
    (void)use_cache(active, FSH_CACHE_DROP, 0, NULL, generation, NULL);
}

void fsh_engine_forget(struct fsh_active *active)
{
    fsh_store_kept_done(&active->leased);
    fsh_profile_grant_done(&active->grant);
    fsh_token_unref(active->made);
    active->made = NULL;
    if (active->core.challenge == 0)
        fsh_base_secret_done(&active->challenge_session);
    fsh_engine_unheed(active->session);
}

/* What every program does when it starts says nothing later, and would push out what does. Of
 * sessions with a key of their own there may be a million: that their refreshes work would be half
 * of what the store writes for them, and most of what it has of them. */
static bool worth_keeping(const struct fsh_session *session, enum fsh_note_kind note)
{
    switch (note) {
    case FSH_NOTE_OPENED:
    case FSH_NOTE_ADOPTED:
        return false;
    case FSH_NOTE_REFRESH_BACKGROUND:
    case FSH_NOTE_REFRESH_CALLER:
    case FSH_NOTE_REFRESH_NEEDED:
    case FSH_NOTE_REFRESHED:
        return !session->keyed;
    default:
        return true;
    }
}

/* The store keeps it, too. */
static void keep_note(const struct fsh_session *session, const struct fsh_ledger_entry *entry)
{
    struct fsh_secret_store *store = session->engine->options.secrets;
    struct fsh_note_row row = {
        .writer = session->engine->options.holder,
        .number = entry->number,
        .at_ms = entry->wall.ms,
        .status = entry->status,
        .value = entry->value,
        .times = entry->times,
    };

    if (!store || !store->ops->note || !worth_keeping(session, entry->note))
        return;
    (void)snprintf(row.name, sizeof(row.name), "%s", fsh_engine_note_name(entry->note));
    store->ops->note(store, session->name, &row);
}

void fsh_engine_note(struct fsh_session *session, enum fsh_note_kind note, int status,
                     int64_t value)
{
    struct fsh_engine *engine = session->engine;
    struct fsh_now now = fsh_engine_now(engine);
    struct fsh_ledger_entry entry = {
        .session = session->number,
        .mono = now.mono,
        .wall = now.wall,
        .note = note,
        .status = status,
        .value = value,
    };

    fsh_engine_count_note(session, note, status, now.mono);
    if (fsh_engine_ledger_write(&engine->ledger, &entry) && engine->io.event)
        engine->io.event(engine->io.event_data, session, &entry);
    keep_note(session, &entry);
}

static bool of_flight(const struct fsh_request *request)
{
    return !request->call && request->kind != FSH_EXCHANGE_PROBE;
}

static void reply(struct fsh_active *active, int status)
{
    fsh_engine_input_done(&active->input);
    if (!TAILQ_EMPTY(&active->commands))
        fsh_engine_finish(TAILQ_FIRST(&active->commands), status, -1);
}

/* Reports an effect that failed on this machine, before anything left it. */
static void report_failure(struct fsh_active *active, const struct fsh_effect *effect, int status,
                           struct fsh_effects *fx)
{
    struct fsh_now now = fsh_engine_now(active->session->engine);
    struct fsh_result local = {
        .kind = FSH_RESULT_LOCAL,
        .status = status,
        .retry_after_ms = -1,
    };

    if (effect->kind == FSH_EFFECT_STORE)
        fsh_core_stored(&active->core, now, effect->ticket, status, FSH_VERDICT_STALE, NULL, -1,
                        fx);
    else if (effect->kind == FSH_EFFECT_ADOPT)
        fsh_core_adopted(&active->core, now, effect->ticket, now.mono, 0, fx);
    else
        fsh_core_answered(&active->core, now, effect->ticket, &local, fx);
    if (effect->kind == FSH_EFFECT_SEND)
        fsh_engine_add(&active->session->engine->meter
                            .exchanges[fsh_engine_kind_of(effect->send.errand)][FSH_RESULT_LOCAL]);
}

static int do_effect(struct fsh_active *active, const struct fsh_effect *effect)
{
    switch (effect->kind) {
    case FSH_EFFECT_STORE:
        return use_store(active, effect->ticket, &effect->change);
    case FSH_EFFECT_ADOPT:
        return use_cache(active, FSH_CACHE_GET, effect->ticket, NULL, 0, NULL);
    case FSH_EFFECT_SEND:
        return fsh_engine_send(active, effect->ticket, effect->send.errand);
    case FSH_EFFECT_CANCEL:
        fsh_engine_cancel(active, of_flight);
        break;
    case FSH_EFFECT_PUBLISH:
        FSH_FAULT("engine-publish", 0);
        put_in_force(active, fsh_token_ref(active->made));
        FSH_FAULT("engine-published", 0);
        break;
    case FSH_EFFECT_WITHDRAW:
        withdraw(active);
        break;
    case FSH_EFFECT_FORGET:
        fsh_engine_forget(active);
        break;
    case FSH_EFFECT_REPLY:
        reply(active, effect->status);
        break;
    case FSH_EFFECT_SIGNED_OUT:
        fsh_engine_finish_all(&active->signing_out, effect->status);
        break;
    case FSH_EFFECT_WAKE:
        active->wake = true;
        break;
    case FSH_EFFECT_GATE:
        active->session->engine->gate_opened = true;
        break;
    case FSH_EFFECT_NOTE:
        fsh_engine_note(active->session, effect->note.note, effect->note.status,
                        effect->note.value);
        break;
    }
    return FRESHET_OK;
}

static void do_effects(struct fsh_active *active, const struct fsh_effects *fx)
{
    struct fsh_effects next;

    next.count = 0;
    for (unsigned i = 0; i < fx->count; i++) {
        int status = do_effect(active, &fx->list[i]);

        if (status != FRESHET_OK)
            report_failure(active, &fx->list[i], status, &next);
    }
    if (next.count > 0)
        do_effects(active, &next);
}

void fsh_engine_carry_out(struct fsh_active *active, const struct fsh_effects *fx)
{
    struct fsh_session *session = active->session;

    do_effects(active, fx);
    fsh_engine_count_session(active);
    /* Asking may lead to effects of its own; whoever is asking then begins anew, so that nobody
     * ends a call that another walk over the list is about to visit. */
    while (active->wake && !active->asking) {
        active->wake = false;
        active->asking = true;
        fsh_engine_ask_again(active);
        active->asking = false;
    }
    fsh_base_heap_set(&session->engine->timers, &session->timer, fsh_core_wake_at(&active->core));
    fsh_engine_touch(active);
}

/* ---- the engine -------------------------------------------------------------------------- */

static_assert(alignof(struct fsh_engine) <= alignof(max_align_t), "calloc aligns no further");

int fsh_engine_new(const struct fsh_engine_options *options, const struct fsh_io *io,
                   struct fsh_engine **ret_engine)
{
    struct fsh_engine *engine = calloc(1, sizeof(*engine));

    if (!engine)
        return FRESHET_ENOMEM;
    if (fsh_shelf_new(&engine->shelf) != FRESHET_OK) {
        free(engine);
        return FRESHET_ENOMEM;
    }
    engine->options = *options;
    engine->io = *io;
    engine->gate.room = FSH_FLIGHTS_MAX;
    LIST_INIT(&engine->sessions);
    LIST_INIT(&engine->active);
    SLIST_INIT(&engine->touched);
    SLIST_INIT(&engine->policies);
    for (size_t i = 0; i < FSH_LOCKS; i++)
        (void)pthread_mutex_init(&engine->locks[i].lock, NULL);
    fsh_engine_ledger_init(&engine->ledger);
    *ret_engine = engine;
    return FRESHET_OK;
}

void fsh_engine_free(struct fsh_engine *engine)
{
    struct fsh_shared_policy *shared;

    if (!engine)
        return;
    while ((shared = SLIST_FIRST(&engine->policies))) {
        SLIST_REMOVE_HEAD(&engine->policies, in_engine);
        free(shared);
    }
    for (size_t i = 0; i < FSH_LOCKS; i++)
        (void)pthread_mutex_destroy(&engine->locks[i].lock);
    fsh_base_heap_done(&engine->timers);
    fsh_engine_ledger_done(&engine->ledger);
    fsh_shelf_free(engine->shelf);
    free(engine);
}

static void look(struct fsh_active *active)
{
    struct fsh_effects fx;

    fx.count = 0;
    fsh_core_tick(&active->core, fsh_engine_now(active->session->engine), &fx);
    fsh_engine_carry_out(active, &fx);
}

/* Only who is active may wait for it. */
static void open_gate(struct fsh_engine *engine)
{
    struct fsh_active *active;

    engine->gate_opened = false;
    LIST_FOREACH (active, &engine->active, in_engine)
        look(active);
}

/* Who stands first goes while there is room, and so on. */
static void let_in(struct fsh_engine *engine, struct fsh_mono now)
{
    struct fsh_core *core;

    while ((core = fsh_core_next(&engine->gate, now)))
        look(fsh_container_of(core, struct fsh_active, core));
}

static void fire(struct fsh_timer *timer)
{
    if (timer->call)
        fsh_engine_call_late(fsh_container_of(timer, struct fsh_call, timer));
    else
        fsh_engine_session_fire(fsh_container_of(timer, struct fsh_session, timer));
}

void fsh_engine_run(struct fsh_engine *engine)
{
    struct fsh_mono now = fsh_engine_now(engine).mono;
    struct fsh_timer *timer;

    while ((timer = fsh_base_heap_first(&engine->timers)) && timer->at.ms <= now.ms) {
        fire(timer);
        /* A timer that is still due would be fired for ever: the core must move it. */
        if (timer == fsh_base_heap_first(&engine->timers) && timer->at.ms <= now.ms)
            break;
    }
    do {
        while (engine->gate_opened)
            open_gate(engine);
        let_in(engine, now);
    } while (engine->gate_opened);
    fsh_engine_settle(engine);
}

struct fsh_mono fsh_engine_wake_at(const struct fsh_engine *engine)
{
    struct fsh_timer *timer = fsh_base_heap_first(&engine->timers);

    return timer ? timer->at : FSH_NEVER;
}

pthread_mutex_t *fsh_engine_lock(const struct fsh_session *session)
{
    return &session->engine->locks[session->number % FSH_LOCKS].lock;
}

struct fsh_token *fsh_engine_token(struct fsh_session *session)
{
    struct fsh_token *token;

    (void)pthread_mutex_lock(fsh_engine_lock(session));
    token = fsh_token_ref(session->token);
    (void)pthread_mutex_unlock(fsh_engine_lock(session));
    return token;
}

struct fsh_ledger *fsh_engine_ledger(struct fsh_engine *engine)
{
    return &engine->ledger;
}

const struct fsh_meter *fsh_engine_meter(const struct fsh_engine *engine)
{
    return &engine->meter;
}

uint64_t fsh_engine_holder(const struct fsh_engine *engine)
{
    return engine->options.holder;
}

const struct fsh_profile *fsh_engine_profile(const struct fsh_engine *engine)
{
    return engine->options.profile;
}
