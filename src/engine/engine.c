/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"

#include "base/error.h"
#include "engine/internal.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

/* One operation of a store, and whose it is. */
struct store_use {
    struct fsh_store_op op;
    struct fsh_session *session;
    uint64_t ticket;
};

struct cache_use {
    struct fsh_cache_op op;
    struct fsh_session *session;
    uint64_t ticket;
};

struct fsh_now fsh_engine_now(const struct fsh_engine *engine)
{
    return engine->io.now(engine->io.data);
}

/* ---- stores ------------------------------------------------------------------------------ */

static void store_run(struct fsh_post *post)
{
    struct store_use *use = fsh_container_of(post, struct store_use, op.post);
    struct fsh_session *session = use->session;
    struct fsh_effects fx;

    fx.count = 0;
    if (use->ticket == session->core.ticket && use->op.status == FRESHET_OK &&
        use->op.change.kind == FSH_CHANGE_LEASE && use->op.verdict == FSH_VERDICT_DONE) {
        fsh_store_kept_done(&session->leased);
        session->leased = use->op.kept;
        use->op.kept = (struct fsh_kept){0};
    }
    fsh_core_stored(&session->core, fsh_engine_now(session->engine), use->ticket, use->op.status,
                    use->op.verdict, &use->op.record, use->op.unresolved_ms, &fx);
    fsh_store_kept_done(&use->op.kept);
    free(use);
    session->in_air--;
    fsh_engine_carry_out(session, &fx);
}

static void store_done(struct fsh_store_op *op)
{
    struct store_use *use = fsh_container_of(op, struct store_use, op);
    struct fsh_io *io = &use->session->engine->io;

    op->post.run = store_run;
    io->post(io->data, &op->post);
}

static int bring_secrets(struct fsh_session *session, struct fsh_kept *ret_kept)
{
    int status = fsh_base_secret_dup(&session->grant.refresh_token, &ret_kept->refresh_token);

    if (status == FRESHET_OK)
        status = fsh_base_secret_dup(&session->grant.device_key, &ret_kept->device_key);
    if (status == FRESHET_OK)
        status = fsh_base_secret_dup(&session->grant.device_group_key, &ret_kept->device_group_key);
    return status;
}

static void cache_run(struct fsh_post *post)
{
    struct cache_use *use = fsh_container_of(post, struct cache_use, op.post);
    struct fsh_session *session = use->session;
    struct fsh_token *token = use->op.token;
    struct fsh_effects fx;
    bool good = use->op.kind == FSH_CACHE_GET && use->op.status == FRESHET_OK && token &&
                token->generation == session->core.record.generation &&
                token->incarnation == session->core.record.incarnation &&
                token->sent_at.boot == session->engine->io.boot;

    fx.count = 0;
    if (use->op.kind == FSH_CACHE_GET) {
        struct fsh_mono sent_at = {good ? token->sent_at.ms : 0};

        if (good && use->ticket == session->core.ticket) {
            fsh_token_unref(session->made);
            session->made = fsh_token_ref(token);
        }
        fsh_core_adopted(&session->core, fsh_engine_now(session->engine), use->ticket, sent_at,
                         good ? token->lifetime_ms : 0, &fx);
    }
    fsh_token_unref(token);
    free(use);
    session->in_air--;
    fsh_engine_carry_out(session, &fx);
}

static void cache_done(struct fsh_cache_op *op)
{
    struct cache_use *use = fsh_container_of(op, struct cache_use, op);
    struct fsh_io *io = &use->session->engine->io;

    op->post.run = cache_run;
    io->post(io->data, &op->post);
}

/* Takes the reference `token`. FRESHET_ENOMEM: nothing was submitted. */
static int use_cache(struct fsh_session *session, enum fsh_cache_kind kind, uint64_t ticket,
                     struct fsh_token *token, uint64_t generation)
{
    struct fsh_token_cache *cache = session->engine->options.tokens;
    struct cache_use *use = calloc(1, sizeof(*use));

    if (!use) {
        fsh_token_unref(token);
        return FRESHET_ENOMEM;
    }
    use->session = session;
    use->ticket = ticket;
    use->op.done = cache_done;
    use->op.session = session->name;
    use->op.kind = kind;
    use->op.token = token;
    use->op.generation = generation;
    session->in_air++;
    cache->ops->submit(cache, &use->op);
    return FRESHET_OK;
}

static int use_store(struct fsh_session *session, uint64_t ticket, const struct fsh_change *change)
{
    struct fsh_secret_store *store = session->engine->options.secrets;
    struct store_use *use = calloc(1, sizeof(*use));

    if (!use)
        return FRESHET_ENOMEM;
    if (change->kind == FSH_CHANGE_COMMIT && bring_secrets(session, &use->op.kept) != FRESHET_OK) {
        fsh_store_kept_done(&use->op.kept);
        free(use);
        return FRESHET_ENOMEM;
    }
    /* The token before the generation that points to it, so that other engines find it. It may be
     * lost: they refresh then. */
    if (change->kind == FSH_CHANGE_COMMIT) {
        struct fsh_token *token = session->made ? session->made : session->token;

        if (token && token->generation == change->reserved)
            (void)use_cache(session, FSH_CACHE_PUT, 0, fsh_token_ref(token), 0);
    }
    use->session = session;
    use->ticket = ticket;
    use->op.done = store_done;
    use->op.session = session->name;
    use->op.change = *change;
    use->op.now =
        (struct fsh_stamp){fsh_engine_now(session->engine).mono.ms, session->engine->io.boot};
    session->in_air++;
    store->ops->submit(store, &use->op);
    return FRESHET_OK;
}

/* ---- effects ----------------------------------------------------------------------------- */

/* The flight that a poke led to is over. */
static void unheed(struct fsh_session *session)
{
    int heeded = FSH_POKE_HEEDED;

    (void)atomic_compare_exchange_strong(&session->poked, &heeded, FSH_POKE_NONE);
}

static void put_in_force(struct fsh_session *session, struct fsh_token *token)
{
    struct fsh_token *before;

    (void)pthread_mutex_lock(&session->token_lock);
    before = session->token;
    session->token = token;
    (void)pthread_mutex_unlock(&session->token_lock);
    fsh_token_unref(before);
    fsh_view_write(&session->view, token ? token->generation : 0, &session->core.token);
    unheed(session);
}

static void withdraw(struct fsh_session *session)
{
    uint64_t generation = session->token ? session->token->generation : 0;

    put_in_force(session, NULL);
    (void)use_cache(session, FSH_CACHE_DROP, 0, NULL, generation);
}

static void forget(struct fsh_session *session)
{
    fsh_store_kept_done(&session->leased);
    fsh_profile_grant_done(&session->grant);
    fsh_token_unref(session->made);
    session->made = NULL;
    if (session->core.challenge == 0)
        fsh_base_secret_done(&session->challenge_session);
    unheed(session);
}

static void count(struct fsh_session *session, enum fsh_note_kind note)
{
    atomic_uint_fast64_t *counter = NULL;

    if (note == FSH_NOTE_REFRESHED)
        counter = &session->counters.refreshes;
    else if (note == FSH_NOTE_SIGNED_IN)
        counter = &session->counters.sign_ins;
    else if (note == FSH_NOTE_FAILED)
        counter = &session->counters.failures;
    else if (note == FSH_NOTE_ENDED)
        counter = &session->counters.ended;
    if (counter)
        atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void write_note(struct fsh_session *session, const struct fsh_effect *effect)
{
    struct fsh_engine *engine = session->engine;
    struct fsh_now now = fsh_engine_now(engine);
    struct fsh_ledger_entry entry = {
        .session = session->number,
        .mono = now.mono,
        .wall = now.wall,
        .note = effect->note.note,
        .status = effect->note.status,
        .value = effect->note.value,
    };

    count(session, effect->note.note);
    if (fsh_engine_ledger_write(&engine->ledger, &entry) && engine->io.event)
        engine->io.event(engine->io.event_data, session, &entry);
}

static bool of_flight(const struct fsh_request *request)
{
    return !request->call && request->kind != FSH_EXCHANGE_PROBE;
}

static void reply(struct fsh_session *session, int status)
{
    fsh_engine_input_done(&session->input);
    if (!TAILQ_EMPTY(&session->commands))
        fsh_engine_finish(TAILQ_FIRST(&session->commands), status, -1);
}

/* Reports an effect that failed on this machine, before anything left it. */
static void report_failure(struct fsh_session *session, const struct fsh_effect *effect, int status,
                           struct fsh_effects *fx)
{
    struct fsh_now now = fsh_engine_now(session->engine);
    struct fsh_result local = {
        .kind = FSH_RESULT_LOCAL,
        .status = status,
        .retry_after_ms = -1,
    };

    if (effect->kind == FSH_EFFECT_STORE)
        fsh_core_stored(&session->core, now, effect->ticket, status, FSH_VERDICT_STALE, NULL, -1,
                        fx);
    else if (effect->kind == FSH_EFFECT_ADOPT)
        fsh_core_adopted(&session->core, now, effect->ticket, now.mono, 0, fx);
    else
        fsh_core_answered(&session->core, now, effect->ticket, &local, fx);
}

static int do_effect(struct fsh_session *session, const struct fsh_effect *effect)
{
    switch (effect->kind) {
    case FSH_EFFECT_STORE:
        return use_store(session, effect->ticket, &effect->change);
    case FSH_EFFECT_ADOPT:
        return use_cache(session, FSH_CACHE_GET, effect->ticket, NULL, 0);
    case FSH_EFFECT_SEND:
        return fsh_engine_send(session, effect->ticket, effect->send.errand);
    case FSH_EFFECT_CANCEL:
        fsh_engine_cancel(session, of_flight);
        break;
    case FSH_EFFECT_PUBLISH:
        put_in_force(session, fsh_token_ref(session->made));
        break;
    case FSH_EFFECT_WITHDRAW:
        withdraw(session);
        break;
    case FSH_EFFECT_FORGET:
        forget(session);
        break;
    case FSH_EFFECT_REPLY:
        reply(session, effect->status);
        break;
    case FSH_EFFECT_SIGNED_OUT:
        fsh_engine_finish_all(&session->signing_out, effect->status);
        break;
    case FSH_EFFECT_WAKE:
        session->wake = true;
        break;
    case FSH_EFFECT_GATE:
        session->engine->gate_opened = true;
        break;
    case FSH_EFFECT_NOTE:
        write_note(session, effect);
        break;
    }
    return FRESHET_OK;
}

static void do_effects(struct fsh_session *session, const struct fsh_effects *fx)
{
    struct fsh_effects next;

    next.count = 0;
    for (unsigned i = 0; i < fx->count; i++) {
        int status = do_effect(session, &fx->list[i]);

        if (status != FRESHET_OK)
            report_failure(session, &fx->list[i], status, &next);
    }
    if (next.count > 0)
        do_effects(session, &next);
}

void fsh_engine_carry_out(struct fsh_session *session, const struct fsh_effects *fx)
{
    do_effects(session, fx);
    /* Asking may lead to effects of its own; whoever is asking then begins anew, so that nobody
     * ends a call that another walk over the list is about to visit. */
    while (session->wake && !session->asking) {
        session->wake = false;
        session->asking = true;
        fsh_engine_ask_again(session);
        session->asking = false;
    }
    fsh_base_heap_set(&session->engine->timers, &session->timer, fsh_core_wake_at(&session->core));
}

/* ---- sessions ---------------------------------------------------------------------------- */

static void reported_run(struct fsh_post *post)
{
    struct fsh_session *session = fsh_container_of(post, struct fsh_session, reported_post);
    struct fsh_io *io = &session->engine->io;
    uint_fast64_t generation = atomic_load(&session->reported);
    struct fsh_effects fx;

    fx.count = 0;
    fsh_core_unauthorized(&session->core, fsh_engine_now(session->engine), generation, &fx);
    fsh_engine_carry_out(session, &fx);
    /* Cleared when what it led to can be seen (see freshet_ensure_fresh). A report of another
     * generation that came meanwhile is next. */
    if (!atomic_compare_exchange_strong(&session->reported, &generation, 0))
        io->post(io->data, &session->reported_post);
}

static void poked_run(struct fsh_post *post)
{
    struct fsh_session *session = fsh_container_of(post, struct fsh_session, poked_post);
    struct fsh_now now = fsh_engine_now(session->engine);
    struct fsh_effects fx;

    fx.count = 0;
    (void)fsh_core_ask(&session->core, now, 0, now.mono, NULL, &fx);
    fsh_engine_carry_out(session, &fx);
    atomic_store(&session->poked, session->core.wanted ? FSH_POKE_HEEDED : FSH_POKE_NONE);
}

static void copy_policy(struct fsh_session *session, const struct fsh_session_options *options)
{
    const struct fsh_profile *profile = session->engine->options.profile;

    session->policy = (struct fsh_policy){
        .service = options->service,
        .background = options->background,
        .rotating = fsh_profile_rotates(profile),
        .probe = fsh_profile_has_probe(profile),
        .first_party = options->first_party,
        .threshold_ms = options->threshold_ms,
        .grace_ms = fsh_profile_grace_ms(profile),
        .refresh_life_ms = fsh_profile_refresh_life_ms(profile),
        .sign_in_pause_ms = options->sign_in_pause_ms,
    };
}

static void session_free(struct fsh_session *session)
{
    struct fsh_engine *engine = session->engine;
    void (*closed)(void *) = session->closed;
    void *closed_data = session->closed_data;

    fsh_base_heap_set(&engine->timers, &session->timer, FSH_NEVER);
    engine->timer_count--;
    LIST_REMOVE(session, in_engine);
    forget(session);
    fsh_engine_input_done(&session->input);
    fsh_engine_credentials_done(&session->credentials);
    fsh_base_secret_done(&session->challenge_session);
    fsh_base_secret_done(&session->challenge_username);
    fsh_token_unref(session->token);
    (void)pthread_mutex_destroy(&session->token_lock);
    free(session->name);
    free(session);
    if (closed)
        closed(closed_data);
}

int fsh_engine_session_open(struct fsh_engine *engine, struct fsh_session_options *options,
                            struct fsh_session **ret_session, struct freshet_error *error)
{
    struct fsh_session *session = calloc(1, sizeof(*session));
    struct fsh_effects fx;

    fx.count = 0;
    if (session)
        session->name = strdup(options->name);
    if (!session || !session->name ||
        fsh_base_heap_reserve(&engine->timers, engine->timer_count + 1) != FRESHET_OK) {
        if (session)
            free(session->name);
        free(session);
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    }
    engine->timer_count++;
    session->engine = engine;
    session->number = ++engine->sessions_made;
    session->credentials = options->credentials;
    options->credentials = (struct fsh_credentials){0};
    session->closed = options->closed;
    session->closed_data = options->closed_data;
    session->reported_post.run = reported_run;
    session->poked_post.run = poked_run;
    (void)pthread_mutex_init(&session->token_lock, NULL);
    TAILQ_INIT(&session->waiting);
    TAILQ_INIT(&session->signing_out);
    TAILQ_INIT(&session->commands);
    LIST_INIT(&session->requests);
    LIST_INSERT_HEAD(&engine->sessions, session, in_engine);
    copy_policy(session, options);
    fsh_core_init(&session->core, &session->policy, &engine->gate, engine->options.holder);
    fsh_core_tick(&session->core, fsh_engine_now(engine), &fx);
    fsh_engine_carry_out(session, &fx);
    *ret_session = session;
    return FRESHET_OK;
}

static void close_calls(struct fsh_session *session)
{
    struct fsh_request *request = LIST_FIRST(&session->requests);

    fsh_engine_finish_all(&session->waiting, FRESHET_ECLOSED);
    fsh_engine_finish_all(&session->commands, FRESHET_ECLOSED);
    fsh_engine_finish_all(&session->signing_out, FRESHET_ECLOSED);
    while (request) {
        struct fsh_request *next = LIST_NEXT(request, in_session);
        struct fsh_call *call = request->call;

        if (call) {
            session->engine->io.cancel(session->engine->io.data, request);
            fsh_engine_request_free(request);
            fsh_engine_finish(call, FRESHET_ECLOSED, -1);
        }
        request = next;
    }
}

void fsh_engine_session_close(struct fsh_session *session)
{
    struct fsh_effects fx;

    fx.count = 0;
    session->closing = true;
    close_calls(session);
    fsh_core_close(&session->core, fsh_engine_now(session->engine), &fx);
    fsh_engine_carry_out(session, &fx);
    /* A probe that is still in the air tells nobody anything. */
    if (fsh_core_closed(&session->core))
        fsh_engine_cancel(session, NULL);
}

static bool in_inbox(struct fsh_session *session)
{
    return atomic_load(&session->reported) != 0 || atomic_load(&session->poked) == FSH_POKE_POSTED;
}

static bool may_be_freed(struct fsh_session *session)
{
    if (!session->closing || !fsh_core_closed(&session->core) || session->in_air > 0 ||
        in_inbox(session))
        return false;
    fsh_engine_cancel(session, NULL);
    return true;
}

static void free_closed(struct fsh_engine *engine)
{
    struct fsh_session *session = LIST_FIRST(&engine->sessions);

    while (session) {
        struct fsh_session *next = LIST_NEXT(session, in_engine);

        if (may_be_freed(session))
            session_free(session);
        session = next;
    }
}

void fsh_engine_close_all(struct fsh_engine *engine)
{
    struct fsh_session *session;

    LIST_FOREACH (session, &engine->sessions, in_engine) {
        if (!session->closing)
            fsh_engine_session_close(session);
    }
}

void fsh_engine_abandon(struct fsh_engine *engine)
{
    struct fsh_session *session;

    LIST_FOREACH (session, &engine->sessions, in_engine) {
        fsh_engine_cancel(session, NULL);
        fsh_core_abandon(&session->core);
    }
    free_closed(engine);
}

bool fsh_engine_empty(const struct fsh_engine *engine)
{
    return LIST_EMPTY(&engine->sessions);
}

/* ---- the engine -------------------------------------------------------------------------- */

int fsh_engine_new(const struct fsh_engine_options *options, const struct fsh_io *io,
                   struct fsh_engine **ret_engine)
{
    struct fsh_engine *engine = calloc(1, sizeof(*engine));

    if (!engine)
        return FRESHET_ENOMEM;
    engine->options = *options;
    engine->io = *io;
    LIST_INIT(&engine->sessions);
    fsh_engine_ledger_init(&engine->ledger);
    *ret_engine = engine;
    return FRESHET_OK;
}

void fsh_engine_free(struct fsh_engine *engine)
{
    if (!engine)
        return;
    fsh_base_heap_done(&engine->timers);
    fsh_engine_ledger_done(&engine->ledger);
    free(engine);
}

void fsh_engine_unauthorized(struct fsh_session *session, uint64_t generation)
{
    struct fsh_io *io = &session->engine->io;
    uint64_t generation_in_force;
    struct fsh_freshness token;

    /* Late reports end nothing, and ten thousand of one generation are one (rule 3): only the first
     * report of the token in force goes to the engine. */
    if (!fsh_view_read(&session->view, &generation_in_force, &token) ||
        generation != generation_in_force)
        return;
    if (atomic_exchange(&session->reported, generation) == 0)
        io->post(io->data, &session->reported_post);
}

void fsh_engine_poke(struct fsh_session *session)
{
    struct fsh_io *io = &session->engine->io;
    int none = FSH_POKE_NONE;

    if (atomic_load_explicit(&session->poked, memory_order_relaxed) != FSH_POKE_NONE ||
        !atomic_compare_exchange_strong(&session->poked, &none, FSH_POKE_POSTED))
        return;
    io->post(io->data, &session->poked_post);
}

static void open_gate(struct fsh_engine *engine)
{
    struct fsh_session *session;

    engine->gate_opened = false;
    LIST_FOREACH (session, &engine->sessions, in_engine) {
        struct fsh_effects fx;

        fx.count = 0;
        fsh_core_tick(&session->core, fsh_engine_now(engine), &fx);
        fsh_engine_carry_out(session, &fx);
    }
}

static void fire(struct fsh_engine *engine, struct fsh_timer *timer)
{
    struct fsh_session *session;
    struct fsh_effects fx;

    if (timer->call) {
        fsh_engine_call_late(fsh_container_of(timer, struct fsh_call, timer));
        return;
    }
    session = fsh_container_of(timer, struct fsh_session, timer);
    fx.count = 0;
    fsh_core_tick(&session->core, fsh_engine_now(engine), &fx);
    fsh_engine_carry_out(session, &fx);
}

void fsh_engine_run(struct fsh_engine *engine)
{
    struct fsh_mono now = fsh_engine_now(engine).mono;
    struct fsh_timer *timer;

    while ((timer = fsh_base_heap_first(&engine->timers)) && timer->at.ms <= now.ms) {
        fire(engine, timer);
        /* A timer that is still due would be fired for ever: the core must move it. */
        if (timer == fsh_base_heap_first(&engine->timers) && timer->at.ms <= now.ms)
            break;
    }
    while (engine->gate_opened)
        open_gate(engine);
    free_closed(engine);
}

struct fsh_mono fsh_engine_wake_at(const struct fsh_engine *engine)
{
    struct fsh_timer *timer = fsh_base_heap_first(&engine->timers);

    return timer ? timer->at : FSH_NEVER;
}

struct fsh_token *fsh_engine_token(struct fsh_session *session)
{
    struct fsh_token *token;

    (void)pthread_mutex_lock(&session->token_lock);
    token = fsh_token_ref(session->token);
    (void)pthread_mutex_unlock(&session->token_lock);
    return token;
}

struct fsh_ledger *fsh_engine_ledger(struct fsh_engine *engine)
{
    return &engine->ledger;
}

const struct fsh_profile *fsh_engine_profile(const struct fsh_engine *engine)
{
    return engine->options.profile;
}
