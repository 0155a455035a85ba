/* SPDX-License-Identifier: Apache-2.0 */

/* Sessions: how they are made, fall to rest and are active again, and go. */

#include "base/error.h"
#include "engine/internal.h"
#include "engine/remote.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

/* How long what was for want of memory not done waits until it is tried again. */
#define AGAIN_MS 1000

static const struct fsh_credentials no_credentials;

/* ---- at rest and active ------------------------------------------------------------------ */

static struct fsh_active *active_new(struct fsh_session *session)
{
    struct fsh_active *active = calloc(1, sizeof(*active));
    struct fsh_engine *engine = session->engine;

    if (!active)
        return NULL;
    active->session = session;
    TAILQ_INIT(&active->waiting);
    TAILQ_INIT(&active->signing_out);
    TAILQ_INIT(&active->commands);
    LIST_INIT(&active->requests);
    fsh_core_init(&active->core, session->policy, &engine->gate, engine->options.holder);
    LIST_INSERT_HEAD(&engine->active, active, in_engine);
    return active;
}

static void active_free(struct fsh_active *active)
{
    LIST_REMOVE(active, in_engine);
    fsh_engine_forget(active);
    fsh_engine_input_done(&active->input);
    fsh_base_secret_done(&active->challenge_session);
    fsh_base_secret_done(&active->challenge_username);
    free(active);
}

static void unfold(const struct fsh_session *session, struct fsh_core *core)
{
    struct fsh_freshness token = {0};
    uint64_t published = 0;

    (void)fsh_engine_view(session, &published, &token);
    fsh_core_unfold(core, &session->rest, published, &token, session->timer.at);
}

void fsh_engine_touch(struct fsh_active *active)
{
    if (active->touched)
        return;
    active->touched = true;
    SLIST_INSERT_HEAD(&active->session->engine->touched, active, in_touched);
}

/* Makes it active, if it is not; NULL without memory. */
static struct fsh_active *activate(struct fsh_session *session)
{
    struct fsh_active *active;

    if (!session->resting)
        return session->active;
    active = active_new(session);
    if (!active)
        return NULL;
    unfold(session, &active->core);
    session->resting = false;
    session->active = active;
    fsh_engine_touch(active);
    return active;
}

void fsh_engine_core(const struct fsh_session *session, struct fsh_core *ret_core)
{
    if (!session->resting) {
        *ret_core = session->active->core;
        return;
    }
    fsh_core_init(ret_core, session->policy, &session->engine->gate,
                  session->engine->options.holder);
    unfold(session, ret_core);
}

static bool nothing_under_way(const struct fsh_active *active)
{
    return TAILQ_EMPTY(&active->waiting) && TAILQ_EMPTY(&active->signing_out) &&
           TAILQ_EMPTY(&active->commands) && LIST_EMPTY(&active->requests) && active->in_air == 0;
}

static void fold(struct fsh_active *active, struct fsh_now now)
{
    struct fsh_session *session = active->session;
    struct fsh_rest rest;

    if (!nothing_under_way(active) || !fsh_core_fold(&active->core, now, &rest))
        return;
    active_free(active);
    session->resting = true;
    session->rest = rest;
}

/* ---- the end ----------------------------------------------------------------------------- */

void fsh_engine_session_ref(struct fsh_session *session)
{
    atomic_fetch_add_explicit(&session->references, 1, memory_order_relaxed);
}

void fsh_engine_session_unref(struct fsh_session *session)
{
    /* The last one must see all that others did with it before it frees. */
    if (atomic_fetch_sub_explicit(&session->references, 1, memory_order_acq_rel) == 1)
        fsh_shelf_give(session);
}

static void credentials_free(const struct fsh_credentials *credentials)
{
    union {
        const struct fsh_credentials *read;
        struct fsh_credentials *free;
    } own = {.read = credentials};

    if (credentials == &no_credentials)
        return;
    fsh_engine_credentials_done(own.free);
    free(own.free);
}

static void wipe_key(struct fsh_session *session)
{
    size_t name = (size_t)(session->name - (const char *)session);

    if (session->keyed)
        fsh_base_wipe((char *)session + name - FSH_SESSION_KEY, FSH_SESSION_KEY);
    session->keyed = false;
}

static void end(struct fsh_session *session)
{
    struct fsh_engine *engine = session->engine;

    fsh_base_heap_set(&engine->timers, &session->timer, FSH_NEVER);
    engine->timer_count--;
    LIST_REMOVE(session, in_engine);
    if (engine->options.keeper)
        fsh_remote_free(session->remote);
    else if (!session->resting)
        active_free(session->active);
    credentials_free(session->credentials);
    fsh_engine_count_end(session);
    wipe_key(session);
    fsh_token_unref(session->token);
    session->token = NULL;
    if (engine->io.closed)
        engine->io.closed(session);
    fsh_engine_session_unref(session);
}

/* Whether a session that was closed has nothing left to bring to its end. */
static bool over(const struct fsh_session *session)
{
    if (atomic_load(&session->posted))
        return false;
    if (session->engine->options.keeper)
        return fsh_remote_closed(session->remote);
    return session->resting ||
           (fsh_core_closed(&session->active->core) && session->active->in_air == 0);
}

static void settle(struct fsh_active *active, struct fsh_now now)
{
    struct fsh_session *session = active->session;

    if (!session->closing) {
        fold(active, now);
    } else if (over(session)) {
        fsh_engine_cancel(active, NULL);
        end(session);
    }
}

void fsh_engine_settle(struct fsh_engine *engine)
{
    struct fsh_active *active;
    struct fsh_now now;

    if (SLIST_EMPTY(&engine->touched))
        return;
    now = fsh_engine_now(engine);
    while ((active = SLIST_FIRST(&engine->touched))) {
        SLIST_REMOVE_HEAD(&engine->touched, in_touched);
        active->touched = false;
        settle(active, now);
    }
}

static void close_calls(struct fsh_active *active)
{
    struct fsh_request *request = LIST_FIRST(&active->requests);

    fsh_engine_finish_all(&active->waiting, FRESHET_ECLOSED);
    fsh_engine_finish_all(&active->commands, FRESHET_ECLOSED);
    fsh_engine_finish_all(&active->signing_out, FRESHET_ECLOSED);
    while (request) {
        struct fsh_request *next = LIST_NEXT(request, in_session);
        struct fsh_call *call = request->call;

        if (call) {
            fsh_engine_give_up(request);
            fsh_engine_finish(call, FRESHET_ECLOSED, -1);
        }
        request = next;
    }
}

void fsh_engine_session_close(struct fsh_session *session)
{
    struct fsh_active *active = fsh_engine_active(session);
    struct fsh_effects fx;

    session->closing = true;
    if (session->engine->options.keeper)
        fsh_remote_close(session->remote);
    if (!active) {
        /* Nothing is to be brought to its end, but whoever closes may yet look at it. */
        fsh_base_heap_set(&session->engine->timers, &session->timer, (struct fsh_mono){INT64_MIN});
        return;
    }
    fx.count = 0;
    close_calls(active);
    fsh_core_close(&active->core, fsh_engine_now(session->engine), &fx);
    fsh_engine_carry_out(active, &fx);
    /* A probe that is still in the air tells nobody anything. */
    if (fsh_core_closed(&active->core))
        fsh_engine_cancel(active, NULL);
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
    struct fsh_active *active;

    LIST_FOREACH (session, &engine->sessions, in_engine) {
        if (engine->options.keeper)
            fsh_remote_abandon(session->remote);
    }
    LIST_FOREACH (active, &engine->active, in_engine) {
        fsh_engine_cancel(active, NULL);
        fsh_core_abandon(&active->core);
        fsh_engine_touch(active);
    }
    fsh_engine_settle(engine);
}

bool fsh_engine_empty(const struct fsh_engine *engine)
{
    return LIST_EMPTY(&engine->sessions);
}

/* ---- what other threads say, and timers -------------------------------------------------- */

/* The post is run once for all that was said until then: what is said later posts again. */
static void say(struct fsh_session *session)
{
    struct fsh_io *io = &session->engine->io;

    if (!atomic_exchange(&session->posted, true))
        io->post(io->data, &session->post);
}

void fsh_engine_unauthorized(struct fsh_session *session, uint64_t generation)
{
    uint64_t generation_in_force;
    struct fsh_freshness token;
    uint_fast64_t before;

    /* Late reports end nothing, and ten thousand of one generation are one (rule 3): only the first
     * report of the token in force goes to the engine. */
    if (!fsh_engine_view(session, &generation_in_force, &token) ||
        generation != generation_in_force) {
        fsh_engine_add(&session->engine->meter.late_401s);
        return;
    }
    /* The next token may be in force by now, and reported by others: that is not to be undone. */
    before = atomic_load(&session->reported);
    while (before < generation &&
           !atomic_compare_exchange_weak(&session->reported, &before, generation)) {
        /* Somebody was faster. */
    }
    if (before >= generation)
        fsh_engine_add(&session->engine->meter.repeated_401s);
    if (before == 0)
        say(session);
}

void fsh_engine_poke(struct fsh_session *session)
{
    unsigned char none = FSH_POKE_NONE;

    if (atomic_load_explicit(&session->poked, memory_order_relaxed) == FSH_POKE_NONE &&
        atomic_compare_exchange_strong(&session->poked, &none, FSH_POKE_SAID))
        say(session);
}

static void heed_report(struct fsh_active *active)
{
    struct fsh_session *session = active->session;
    uint_fast64_t generation = atomic_load(&session->reported);
    struct fsh_effects fx;

    if (generation == 0)
        return;
    fx.count = 0;
    fsh_core_unauthorized(&active->core, fsh_engine_now(session->engine), generation, &fx);
    fsh_engine_carry_out(active, &fx);
    /* Cleared when what it led to can be seen (see freshet_ensure_fresh). A report of another
     * generation that came meanwhile is next. */
    if (!atomic_compare_exchange_strong(&session->reported, &generation, 0))
        say(session);
}

static void heed_poke(struct fsh_active *active)
{
    struct fsh_session *session = active->session;
    struct fsh_effects fx;
    struct fsh_now now;

    if (atomic_load(&session->poked) != FSH_POKE_SAID)
        return;
    fx.count = 0;
    now = fsh_engine_now(session->engine);
    (void)fsh_core_ask(&active->core, now, 0, now.mono, NULL, &fx);
    fsh_engine_carry_out(active, &fx);
    atomic_store(&session->poked, active->core.wanted ? FSH_POKE_HEEDED : FSH_POKE_NONE);
}

struct fsh_active *fsh_engine_heed(struct fsh_session *session)
{
    struct fsh_active *active = activate(session);

    if (!active) {
        struct fsh_mono now = fsh_engine_now(session->engine).mono;

        fsh_base_heap_set(&session->engine->timers, &session->timer, fsh_mono_add(now, AGAIN_MS));
        return NULL;
    }
    heed_report(active);
    heed_poke(active);
    fsh_engine_touch(active);
    return active;
}

static void said(struct fsh_post *post)
{
    struct fsh_session *session = fsh_container_of(post, struct fsh_session, post);

    atomic_store(&session->posted, false);
    if (session->closing && session->resting && over(session))
        end(session);
    else if (session->engine->options.keeper)
        fsh_remote_heed(session->remote);
    else
        (void)fsh_engine_heed(session);
}

void fsh_engine_session_fire(struct fsh_session *session)
{
    struct fsh_active *active;
    struct fsh_effects fx;

    if (session->closing && session->resting) {
        if (over(session))
            end(session);
        else /* its post is still to be run */
            fsh_base_heap_set(&session->engine->timers, &session->timer, FSH_NEVER);
        return;
    }
    if (session->engine->options.keeper) {
        fsh_remote_fire(session->remote);
        return;
    }
    active = fsh_engine_heed(session);
    if (!active)
        return;
    fx.count = 0;
    fsh_core_tick(&active->core, fsh_engine_now(session->engine), &fx);
    fsh_engine_carry_out(active, &fx);
}

/* ---- the beginning ----------------------------------------------------------------------- */

static bool same_policy(const struct fsh_policy *a, const struct fsh_policy *b)
{
    return a->service == b->service && a->background == b->background &&
           a->rotating == b->rotating && a->probe == b->probe && a->first_party == b->first_party &&
           a->threshold_ms == b->threshold_ms && a->grace_ms == b->grace_ms &&
           a->refresh_life_ms == b->refresh_life_ms && a->sign_in_pause_ms == b->sign_in_pause_ms;
}

/* The engine's copy of a policy: there are as many as kinds of sessions, and they stay. */
static const struct fsh_policy *share_policy(struct fsh_engine *engine,
                                             const struct fsh_policy *policy)
{
    struct fsh_shared_policy *shared;

    SLIST_FOREACH(shared, &engine->policies, in_engine)
    {
        if (same_policy(&shared->policy, policy))
            return &shared->policy;
    }
    shared = calloc(1, sizeof(*shared));
    if (!shared)
        return NULL;
    shared->policy = *policy;
    SLIST_INSERT_HEAD(&engine->policies, shared, in_engine);
    return &shared->policy;
}

static const struct fsh_policy *policy_of(struct fsh_engine *engine,
                                          const struct fsh_session_options *options)
{
    const struct fsh_profile *profile = engine->options.profile;
    struct fsh_policy policy = {
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

    return share_policy(engine, &policy);
}

/* Few sessions have any. */
static const struct fsh_credentials *take_credentials(struct fsh_credentials *credentials)
{
    struct fsh_credentials *own;

    if (!credentials->username && !credentials->password_file && !credentials->password)
        return &no_credentials;
    own = malloc(sizeof(*own));
    if (!own)
        return NULL;
    *own = *credentials;
    *credentials = (struct fsh_credentials){0};
    return own;
}

/* What a session of this engine begins with. */
static bool state_new(struct fsh_session *session)
{
    if (!session->engine->options.keeper) {
        session->active = active_new(session);
        return session->active != NULL;
    }
    session->resting = true;
    session->remote = fsh_remote_new(session);
    return session->remote != NULL;
}

/* The session with its key, if any, and its name behind it; the owner's part is zero. */
static struct fsh_session *session_new(struct fsh_engine *engine,
                                       struct fsh_session_options *options)
{
    size_t size = options->size ? options->size : sizeof(struct fsh_session);
    size_t key = options->session_key ? FSH_SESSION_KEY : 0;
    size_t name = strlen(options->name) + 1;
    struct fsh_session *session = fsh_shelf_take(engine->shelf, size + key + name);

    if (!session)
        return NULL;
    session->engine = engine;
    if (key)
        memcpy((char *)session + size, options->session_key, key);
    session->keyed = key != 0;
    session->name = memcpy((char *)session + size + key, options->name, name);
    session->post.run = said;
    atomic_init(&session->references, 1);
    session->policy = policy_of(engine, options);
    session->credentials = session->policy ? take_credentials(&options->credentials) : NULL;
    if (session->credentials && state_new(session))
        return session;
    if (session->credentials)
        credentials_free(session->credentials);
    wipe_key(session);
    fsh_shelf_give(session);
    return NULL;
}

int fsh_engine_session_open(struct fsh_engine *engine, struct fsh_session_options *options,
                            struct fsh_session **ret_session, struct freshet_error *error)
{
    struct fsh_session *session = NULL;
    struct fsh_effects fx;

    if (fsh_base_heap_reserve(&engine->timers, engine->timer_count + 1) == FRESHET_OK)
        session = session_new(engine, options);
    if (!session)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    engine->timer_count++;
    session->number = ++engine->sessions_made;
    LIST_INSERT_HEAD(&engine->sessions, session, in_engine);
    *ret_session = session;
    if (engine->options.keeper) {
        fsh_remote_begin(session->remote);
        return FRESHET_OK;
    }
    fx.count = 0;
    fsh_core_tick(&session->active->core, fsh_engine_now(engine), &fx);
    fsh_engine_carry_out(session->active, &fx);
    return FRESHET_OK;
}
