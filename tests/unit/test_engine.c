/* SPDX-License-Identifier: Apache-2.0 */

/* The engine's promises to whoever gives it an inbox, and to the memory that it lives in. */

#include "engine/engine.h"
#include "engine/meter.h"
#include "store/memory/memory.h"
#include "unit.h"

#include <freshet/status.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define POSTS 32

/* Memory runs out. */
static bool exhausted;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return exhausted ? NULL : __real_calloc(count, size);
}

/* An inbox that remembers what waits in it, and runs it when told to. */
struct world {
    struct fsh_mono mono;
    pthread_mutex_t lock; /* of the inbox */
    int64_t wall_ms;      /* that have passed on the calendar */
    struct fsh_post *waiting[POSTS];
    unsigned count;
    unsigned twice; /* posts that came while they waited already */
    struct fsh_request *request;
    struct fsh_secret_store *secrets;
    struct fsh_token_cache *tokens;
    struct fsh_engine *engine;
    struct fsh_session *session;
    int status; /* of the last call that ended; 1: none has */
};

static struct fsh_now io_now(void *data)
{
    struct world *world = data;

    return (struct fsh_now){world->mono, {INT64_C(1800000000000) + world->wall_ms}, 7};
}

static void io_post(void *data, struct fsh_post *post)
{
    struct world *world = data;

    (void)pthread_mutex_lock(&world->lock);
    for (unsigned i = 0; i < world->count; i++)
        world->twice += world->waiting[i] == post;
    assert_true(world->count < POSTS);
    world->waiting[world->count++] = post;
    (void)pthread_mutex_unlock(&world->lock);
}

static struct fsh_post *next_post(struct world *world)
{
    struct fsh_post *post = NULL;

    (void)pthread_mutex_lock(&world->lock);
    if (world->count > 0) {
        post = world->waiting[0];
        memmove(world->waiting, world->waiting + 1, --world->count * sizeof(post));
    }
    (void)pthread_mutex_unlock(&world->lock);
    return post;
}

static void run_posts(struct world *world)
{
    struct fsh_post *post;

    while ((post = next_post(world)))
        post->run(post);
}

static int io_send(void *data, struct fsh_request *request)
{
    ((struct world *)data)->request = request;
    return FRESHET_OK;
}

static void io_cancel(void *data, struct fsh_request *request)
{
    struct world *world = data;

    if (world->request == request)
        world->request = NULL;
}

static void call_done(struct fsh_call *call)
{
    ((struct world *)call->data)->status = call->status;
}

static void begin(struct world *world, struct fsh_call *call)
{
    world->status = 1;
    call->session = world->session;
    call->deadline = fsh_mono_add(world->mono, 1000);
    call->done = call_done;
    call->data = world;
    fsh_engine_call(call);
}

/* The platform grants a token. */
static void grant(struct world *world, long seconds)
{
    struct fsh_reply reply = {.complete = true, .sent = true, .http_status = 200};
    struct fsh_request *request = world->request;
    char body[128];

    (void)snprintf(body, sizeof(body),
                   "{\"AccessToken\":\"a\",\"RefreshToken\":\"r\",\"ExpiresIn\":%ld}", seconds);
    assert_non_null(request);
    world->request = NULL;
    reply.body = body;
    reply.body_len = strlen(body);
    fsh_engine_answered(request, &reply);
    run_posts(world);
}

static void sign_in(struct world *world, long seconds)
{
    struct fsh_call call = {.kind = FSH_CALL_SIGN_IN};

    assert_int_equal(fsh_base_secret_copy("ann", 3, &call.in.username), FRESHET_OK);
    assert_int_equal(fsh_base_secret_copy("pw", 2, &call.in.password), FRESHET_OK);
    begin(world, &call);
    run_posts(world);
    grant(world, seconds);
    assert_int_equal(world->status, FRESHET_OK);
}

static void answer(struct world *world, int http_status, const char *body)
{
    struct fsh_reply reply = {.complete = true, .sent = true, .http_status = http_status};

    reply.body = body;
    reply.body_len = strlen(body);
    assert_non_null(world->request);
    fsh_engine_answered(world->request, &reply);
    world->request = NULL;
    run_posts(world);
    fsh_engine_run(world->engine);
}

static void pass(struct world *world, int64_t ms)
{
    world->mono.ms += ms;
    fsh_engine_run(world->engine);
    run_posts(world);
}

static void setup(struct world *world)
{
    struct fsh_engine_options options = {.profile = fsh_profile_find("partner"), .holder = 1};
    struct fsh_session_options session = {
        .name = "ann",
        .threshold_ms = FSH_THRESHOLD_MS,
        .sign_in_pause_ms = FSH_SIGN_IN_PAUSE_MS,
    };
    struct fsh_io io = {
        .data = world,
        .now = io_now,
        .boot = 1,
        .post = io_post,
        .send = io_send,
        .cancel = io_cancel,
    };

    memset(world, 0, sizeof(*world));
    (void)pthread_mutex_init(&world->lock, NULL);
    world->mono.ms = 1000;
    assert_int_equal(fsh_store_memory_secrets(&world->secrets, NULL), FRESHET_OK);
    assert_int_equal(fsh_store_memory_tokens(&world->tokens, NULL), FRESHET_OK);
    options.secrets = world->secrets;
    options.tokens = world->tokens;
    assert_int_equal(fsh_engine_new(&options, &io, &world->engine), FRESHET_OK);
    assert_int_equal(fsh_engine_session_open(world->engine, &session, &world->session, NULL),
                     FRESHET_OK);
    run_posts(world);
}

static void teardown(struct world *world)
{
    fsh_engine_close_all(world->engine);
    run_posts(world);
    fsh_engine_run(world->engine);
    assert_true(fsh_engine_empty(world->engine));
    fsh_engine_free(world->engine);
    world->secrets->ops->close(world->secrets);
    world->tokens->ops->close(world->tokens);
    (void)pthread_mutex_destroy(&world->lock);
}

/* A post that waits is one link of a list: posting it again would cut off all that wait behind it.
 */
static void a_poke_that_waits_is_not_posted_again(void **state)
{
    struct fsh_call out = {.kind = FSH_CALL_SIGN_OUT};
    struct world world;

    (void)state;
    setup(&world);
    sign_in(&world, 3600);
    world.mono.ms += INT64_C(56) * 60000;
    fsh_engine_poke(world.session);
    assert_int_equal(world.count, 1);
    /* Something else ends the flight, and the token, before the poke is run. */
    begin(&world, &out);
    fsh_engine_poke(world.session);
    assert_int_equal(world.twice, 0);
    run_posts(&world);
    teardown(&world);
}

static void a_poke_counts_once_and_then_again(void **state)
{
    struct world world;

    (void)state;
    setup(&world);
    sign_in(&world, 3600);
    world.mono.ms += INT64_C(56) * 60000;
    for (int i = 0; i < 100; i++)
        fsh_engine_poke(world.session);
    assert_int_equal(world.count, 1);
    run_posts(&world);
    assert_non_null(world.request);
    /* While the flight is in the air nobody needs to say more. */
    fsh_engine_poke(world.session);
    assert_int_equal(world.count, 0);
    {
        struct fsh_reply reply = {.body = "", .failure = "refused"};

        fsh_engine_answered(world.request, &reply);
        run_posts(&world);
    }
    /* It failed: the next caller may say so again. */
    fsh_engine_poke(world.session);
    assert_int_equal(world.count, 1);
    run_posts(&world);
    teardown(&world);
}

static void a_poke_for_nothing_does_not_silence_the_next(void **state)
{
    struct world world;

    (void)state;
    setup(&world);
    sign_in(&world, 3600);
    fsh_engine_poke(world.session); /* the token is fresh: nothing to do */
    run_posts(&world);
    world.mono.ms += INT64_C(56) * 60000;
    fsh_engine_poke(world.session);
    run_posts(&world);
    assert_int_equal(world.request->kind, FSH_EXCHANGE_REFRESH);
    teardown(&world);
}

static void a_report_that_was_slow_does_not_displace_the_next(void **state)
{
    struct world world;

    (void)state;
    setup(&world);
    sign_in(&world, 3600);
    /* As if the next token had come in force, and been reported, since this one was looked at. */
    atomic_store(&world.session->reported, world.session->token->generation + 1);
    fsh_engine_unauthorized(world.session, world.session->token->generation);
    assert_int_equal(atomic_load(&world.session->reported), world.session->token->generation + 1);
    assert_int_equal(world.count, 0);
    teardown(&world);
}

static void who_may_not_answer_is_told_that_time_does_not_help(void **state)
{
    struct fsh_call call = {.kind = FSH_CALL_MFA};
    struct world world;

    (void)state;
    setup(&world);
    begin(&world, &call);
    assert_int_equal(world.status, FRESHET_ENOCHALLENGE);
    assert_int_equal(call.error.retry_after_ms, -1);
    teardown(&world);
}

/* Something is in the air, whose end brings nothing to wait for. */
static void who_meets_a_sign_out_in_the_air_is_told_that_time_does_not_help(void **state)
{
    static const int statuses[] = {FRESHET_ESIGNEDOUT, FRESHET_EHELD};

    (void)state;
    for (int hold = 0; hold <= 1; hold++) {
        struct fsh_call out = {.kind = FSH_CALL_SIGN_OUT, .in.hold = hold};
        struct fsh_call call = {.min_valid_ms = 0};
        struct world world;

        setup(&world);
        sign_in(&world, 3600);
        begin(&world, &out);
        begin(&world, &call);
        assert_int_equal(world.status, statuses[hold]);
        assert_int_equal(call.error.retry_after_ms, -1);
        run_posts(&world);
        teardown(&world);
    }
}

/* ---- threads ----------------------------------------------------------------------------- */

#define READERS 3
#define ROUNDS  60

/* Token number n lives that many seconds: so a reader knows whether what it reads belongs
 * together. */
static long seconds_of(uint64_t generation)
{
    return 1000 + (long)generation;
}

struct reader {
    struct fsh_session *session;
    atomic_bool stop;
    atomic_uint wrong;
    atomic_uint begun;
};

static bool read_once(struct fsh_session *session, uint64_t *latest)
{
    struct fsh_freshness times;
    struct fsh_token *token;
    uint64_t generation;
    bool good;

    if (!fsh_engine_view(session, &generation, &times))
        return false;
    token = fsh_engine_token(session);
    good = generation >= *latest && token && token->generation >= generation &&
           token->lifetime_ms == seconds_of(token->generation) * 1000 &&
           fsh_mono_until(times.sent_at, times.expires_at) == seconds_of(generation) * 1000;
    fsh_token_unref(token);
    *latest = generation;
    return good;
}

/* A caller's fast path, over and over; late reports of the token before; at last many of the
 * token in force. */
static void *reader_run(void *data)
{
    struct reader *reader = data;
    uint64_t latest = 0;

    atomic_fetch_add(&reader->begun, 1);
    while (!atomic_load(&reader->stop)) {
        if (!read_once(reader->session, &latest))
            atomic_fetch_add(&reader->wrong, 1);
        fsh_engine_poke(reader->session);
        fsh_engine_unauthorized(reader->session, latest - 1);
    }
    (void)read_once(reader->session, &latest);
    for (int i = 0; i < 1000; i++)
        fsh_engine_unauthorized(reader->session, latest);
    return NULL;
}

static void threads_read_poke_and_report_while_tokens_come_and_go(void **state)
{
    struct world world;
    struct reader reader = {0};
    pthread_t threads[READERS];

    (void)state;
    setup(&world);
    sign_in(&world, seconds_of(1));
    reader.session = world.session;
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader_run, &reader), 0);
    while (atomic_load(&reader.begun) < READERS)
        (void)sched_yield();
    for (uint64_t generation = 2; generation <= ROUNDS; generation++) {
        world.mono.ms += (seconds_of(generation) - 200) * 1000;
        /* Somebody pokes. */
        while (!world.request) {
            run_posts(&world);
            (void)sched_yield();
        }
        assert_int_equal(world.request->kind, FSH_EXCHANGE_REFRESH);
        grant(&world, seconds_of(generation));
    }
    atomic_store(&reader.stop, true);
    for (int i = 0; i < READERS; i++)
        (void)pthread_join(threads[i], NULL);
    run_posts(&world);
    assert_int_equal(atomic_load(&reader.wrong), 0);
    assert_int_equal(world.twice, 0);
    assert_int_equal(atomic_load(&world.session->counters.refreshes), ROUNDS - 1);
    assert_int_equal(atomic_load(&world.session->counters.ended), 1);
    teardown(&world);
}

static int password(void *data, char *ret_password, size_t size)
{
    (void)data;
    assert_true(size > 2);
    memcpy(ret_password, "pw", 3);
    return FRESHET_OK;
}

static void read_done(struct fsh_store_op *op)
{
    assert_int_equal(op->status, FRESHET_OK);
}

static uint32_t refusals(struct world *world, const char *name)
{
    struct fsh_store_op op = {
        .done = read_done,
        .session = name,
        .change.kind = FSH_CHANGE_READ,
    };

    world->secrets->ops->submit(world->secrets, &op);
    return op.record.refusals;
}

/* One refusal of the credentials is one, though the next attempt is given up in the air. */
static void a_sign_in_that_is_given_up_was_not_refused(void **state)
{
    struct fsh_session_options options = {
        .name = "svc",
        .service = true,
        .threshold_ms = FSH_THRESHOLD_MS,
        .sign_in_pause_ms = FSH_SIGN_IN_PAUSE_MS,
        .credentials = {.username = strdup("svc"), .password = password},
    };
    struct world world;

    (void)state;
    setup(&world);
    assert_int_equal(fsh_engine_session_open(world.engine, &options, &world.session, NULL),
                     FRESHET_OK);
    run_posts(&world);
    answer(&world, 401, "{}");
    assert_int_equal(refusals(&world, "svc"), 1);
    world.wall_ms += FSH_SIGN_IN_PAUSE_MS;
    pass(&world, FSH_SIGN_IN_PAUSE_MS);
    assert_int_equal(world.request->kind, FSH_EXCHANGE_SIGN_IN);
    fsh_engine_session_close(world.session);
    run_posts(&world);
    assert_int_equal(refusals(&world, "svc"), 1);
    teardown(&world);
}

/* ---- at rest ----------------------------------------------------------------------------- */

static const char granted[] = "{\"AccessToken\":\"b\",\"ExpiresIn\":3600}";

/* Signed in, and nothing goes on. */
static void setup_at_rest(struct world *world)
{
    setup(world);
    sign_in(world, 3600);
    world->request = NULL;
    fsh_engine_run(world->engine);
    assert_true(world->session->resting);
}

static uint64_t generation_in_force(struct world *world)
{
    uint64_t generation = 0;
    struct fsh_freshness token;

    (void)fsh_engine_view(world->session, &generation, &token);
    return generation;
}

static void a_session_at_rest_serves_and_rests_again(void **state)
{
    struct fsh_call call = {.kind = FSH_CALL_ENSURE};
    struct world world;
    struct fsh_token *token;
    struct fsh_core core;

    (void)state;
    setup_at_rest(&world);
    token = fsh_engine_token(world.session);
    assert_int_equal(token->generation, 1);
    fsh_token_unref(token);
    fsh_engine_core(world.session, &core);
    assert_int_equal(core.record.phase, FSH_PHASE_LIVE);
    assert_int_equal(core.published, 1);
    begin(&world, &call);
    assert_int_equal(world.status, FRESHET_OK);
    fsh_engine_run(world.engine);
    assert_true(world.session->resting);
    teardown(&world);
}

static void a_session_at_rest_is_refreshed_and_rests_again(void **state)
{
    struct world world;

    (void)state;
    setup_at_rest(&world);
    world.mono.ms += INT64_C(56) * 60000;
    fsh_engine_poke(world.session);
    run_posts(&world);
    answer(&world, 200, granted);
    assert_int_equal(generation_in_force(&world), 2);
    assert_true(world.session->resting);
    /* The next one begins like the first. */
    world.mono.ms += INT64_C(56) * 60000;
    fsh_engine_poke(world.session);
    run_posts(&world);
    assert_int_equal(world.request->kind, FSH_EXCHANGE_REFRESH);
    teardown(&world);
}

/* By a refresh that was refused, and by a 401: its record says what callers are told. */
static void a_session_that_has_ended_comes_to_rest(void **state)
{
    struct fsh_call call = {.kind = FSH_CALL_ENSURE, .deadline = {0}};
    struct world world;

    (void)state;
    for (unsigned reported = 0; reported < 2; reported++) {
        setup_at_rest(&world);
        if (reported) {
            fsh_engine_unauthorized(world.session, generation_in_force(&world));
            run_posts(&world);
        } else {
            world.mono.ms += INT64_C(3600) * 1000;
            begin(&world, &call);
            run_posts(&world);
            answer(&world, 401, "{}");
        }
        pass(&world, 0);
        assert_true(world.session->resting);
        world.status = FRESHET_OK;
        begin(&world, &call);
        assert_int_equal(world.status, FRESHET_EENDED);
        pass(&world, 0);
        assert_true(world.session->resting);
        teardown(&world);
    }
}

static void a_failure_is_kept_until_it_is_made_good(void **state)
{
    struct fsh_call call = {.kind = FSH_CALL_ENSURE, .deadline = {0}};
    struct world world;

    (void)state;
    setup_at_rest(&world);
    world.mono.ms += INT64_C(3600) * 1000;
    begin(&world, &call);
    run_posts(&world);
    answer(&world, 503, "{}");
    assert_false(world.session->resting);
    pass(&world, 2000);
    assert_int_equal(world.status, FRESHET_EUNAVAILABLE);
    assert_int_equal(call.error.http_status, 503);
    assert_true(call.error.retry_after_ms >= 0);
    pass(&world, 60000);
    begin(&world, &call);
    run_posts(&world);
    answer(&world, 200, granted);
    assert_int_equal(world.status, FRESHET_OK);
    assert_true(world.session->resting);
    teardown(&world);
}

static void who_calls_without_memory_is_told(void **state)
{
    struct fsh_call call = {.kind = FSH_CALL_ENSURE};
    struct world world;

    (void)state;
    setup_at_rest(&world);
    exhausted = true;
    begin(&world, &call);
    exhausted = false;
    assert_int_equal(world.status, FRESHET_ENOMEM);
    begin(&world, &call);
    assert_int_equal(world.status, FRESHET_OK);
    teardown(&world);
}

static void a_report_without_memory_is_not_lost(void **state)
{
    struct world world;

    (void)state;
    setup_at_rest(&world);
    exhausted = true;
    fsh_engine_unauthorized(world.session, 1);
    run_posts(&world);
    assert_true(world.session->resting);
    assert_int_equal(generation_in_force(&world), 1);
    pass(&world, 1000);
    assert_int_equal(generation_in_force(&world), 1); /* still without */
    exhausted = false;
    pass(&world, 1000);
    assert_int_equal(generation_in_force(&world), 0);
    teardown(&world);
}

/* The report goes first, or the caller would get the token that it has just reported. */
static void who_calls_after_a_report_without_memory_does_not_overtake_it(void **state)
{
    struct fsh_call call = {.kind = FSH_CALL_ENSURE};
    struct world world;

    (void)state;
    setup_at_rest(&world);
    exhausted = true;
    fsh_engine_unauthorized(world.session, 1);
    run_posts(&world);
    exhausted = false;
    begin(&world, &call);
    run_posts(&world);
    assert_int_equal(world.status, FRESHET_EENDED);
    teardown(&world);
}

static void a_poke_without_memory_is_not_lost(void **state)
{
    struct world world;

    (void)state;
    setup_at_rest(&world);
    world.mono.ms += INT64_C(56) * 60000;
    exhausted = true;
    fsh_engine_poke(world.session);
    run_posts(&world);
    exhausted = false;
    assert_null(world.request);
    pass(&world, 1000);
    assert_int_equal(world.request->kind, FSH_EXCHANGE_REFRESH);
    teardown(&world);
}

static void a_session_is_closed_at_rest_without_memory(void **state)
{
    struct world world;

    (void)state;
    setup_at_rest(&world);
    exhausted = true;
    fsh_engine_session_close(world.session);
    fsh_engine_run(world.engine);
    assert_true(fsh_engine_empty(world.engine));
    exhausted = false;
    teardown(&world);
}

static void a_session_is_not_gone_while_its_post_waits(void **state)
{
    struct world world;

    (void)state;
    setup_at_rest(&world);
    fsh_engine_poke(world.session);
    fsh_engine_session_close(world.session);
    fsh_engine_run(world.engine);
    assert_false(fsh_engine_empty(world.engine));
    run_posts(&world);
    fsh_engine_run(world.engine);
    assert_true(fsh_engine_empty(world.engine));
    teardown(&world);
}

/* Two sessions that are signed in; the second is the world's. Returns the first. */
static struct fsh_session *setup_two(struct world *world)
{
    struct fsh_session_options options = {.name = "bob", .threshold_ms = FSH_THRESHOLD_MS};
    struct fsh_session *ann;

    setup_at_rest(world);
    ann = world->session;
    assert_int_equal(fsh_engine_session_open(world->engine, &options, &world->session, NULL),
                     FRESHET_OK);
    run_posts(world);
    sign_in(world, 3600);
    return ann;
}

/* While one session's exchange tries a platform that failed, another's caller waits for what
 * becomes of that: news may come at once, though the exchange may take longer than the caller will
 * wait. */
static void who_waits_for_the_trial_of_another_is_not_refused(void **state)
{
    struct fsh_call call = {.kind = FSH_CALL_ENSURE};
    struct world world;
    struct fsh_session *ann = setup_two(&world);

    (void)state;
    world.mono.ms += INT64_C(3600) * 1000;
    fsh_engine_poke(ann);
    run_posts(&world);
    answer(&world, 503, "{}");
    world.mono.ms += 1000;
    fsh_engine_poke(ann);
    run_posts(&world);
    assert_non_null(world.request); /* the trial, which may take 15 s */
    begin(&world, &call);           /* and waits for 1 s */
    run_posts(&world);
    assert_int_equal(world.status, 1);
    answer(&world, 200, granted);
    run_posts(&world);
    assert_ptr_equal(world.request->session, world.session);
    answer(&world, 200, granted);
    assert_int_equal(world.status, FRESHET_OK);
    teardown(&world);
}

/* One session's success opens the gate for another that waits there, rested as it was before. */
static void the_gate_opens_for_who_waits_there(void **state)
{
    struct world world;
    struct fsh_session *ann = setup_two(&world);

    (void)state;
    fsh_engine_run(world.engine);
    assert_true(ann->resting && world.session->resting);
    /* The platform fails for one of them, and the other comes to the closed gate. */
    world.mono.ms += INT64_C(56) * 60000;
    fsh_engine_poke(ann);
    run_posts(&world);
    answer(&world, 503, "{}");
    fsh_engine_poke(world.session);
    run_posts(&world);
    fsh_engine_run(world.engine);
    assert_null(world.request);
    assert_false(world.session->resting);
    /* It works again. */
    pass(&world, 1000);
    fsh_engine_poke(ann);
    run_posts(&world);
    assert_non_null(world.request);
    answer(&world, 200, granted);
    run_posts(&world);
    assert_non_null(world.request);
    assert_ptr_equal(world.request->session, ann->resting ? world.session : ann);
    answer(&world, 200, granted);
    assert_true(ann->resting && world.session->resting);
    teardown(&world);
}

/* ---- what is counted --------------------------------------------------------------------- */

static uint64_t total(const struct fsh_histogram *histogram)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i <= FSH_BOUNDS_MAX; i++)
        sum += atomic_load(&histogram->buckets[i]);
    return sum;
}

static void what_happens_is_counted(void **state)
{
    struct fsh_call first = {.min_valid_ms = INT64_C(40) * 60000};
    struct fsh_call second = first;
    struct fsh_call out = {.kind = FSH_CALL_SIGN_OUT};
    const struct fsh_meter *meter;
    struct world world;

    (void)state;
    setup(&world);
    meter = fsh_engine_meter(world.engine);
    assert_int_equal(atomic_load(&meter->sessions[0][FSH_METER_NONE][0]), 1);
    sign_in(&world, 3600);
    assert_int_equal(atomic_load(&meter->sessions[0][FSH_METER_NONE][0]), 0);
    assert_int_equal(atomic_load(&meter->sessions[0][FSH_METER_LIVE][0]), 1);
    assert_int_equal(fsh_engine_meter_usable(meter, world.mono), 1);
    pass(&world, INT64_C(30) * 60000);
    begin(&world, &first);
    begin(&world, &second);
    run_posts(&world);
    assert_int_equal(atomic_load(&meter->waited), 2);
    assert_int_equal(atomic_load(&meter->coalesced), 1);
    world.mono.ms += 40;
    grant(&world, 3600);
    assert_int_equal(atomic_load(&meter->exchanges[FSH_EXCHANGE_SIGN_IN][FSH_RESULT_GRANT]), 1);
    assert_int_equal(atomic_load(&meter->exchanges[FSH_EXCHANGE_REFRESH][FSH_RESULT_GRANT]), 1);
    assert_int_equal(atomic_load(&meter->exchange[FSH_EXCHANGE_REFRESH].sum_ms), 40);
    assert_int_equal(total(&meter->exchange[FSH_EXCHANGE_REFRESH]), 1);
    assert_int_equal(total(&meter->flight[FSH_METER_REFRESH]), 1);
    assert_int_equal(atomic_load(&meter->flight[FSH_METER_REFRESH].sum_ms), 40);
    assert_int_equal(total(&meter->secrets[FSH_CHANGE_COMMIT].latency), 2);
    assert_int_equal(total(&meter->tokens[FSH_CACHE_PUT].latency), 2);
    fsh_engine_unauthorized(world.session, 1);
    fsh_engine_unauthorized(world.session, 2);
    fsh_engine_unauthorized(world.session, 2);
    assert_int_equal(atomic_load(&meter->late_401s), 1);
    assert_int_equal(atomic_load(&meter->repeated_401s), 1);
    run_posts(&world);
    assert_int_equal(atomic_load(&meter->notes[FSH_NOTE_401_COUNTS]), 1);
    assert_int_equal(atomic_load(&meter->ended[-FRESHET_EENDED]), 1);
    assert_int_equal(atomic_load(&meter->sessions[0][FSH_METER_ENDED][0]), 1);
    assert_int_equal(fsh_engine_meter_usable(meter, world.mono), 0);
    begin(&world, &out);
    run_posts(&world);
    assert_int_equal(atomic_load(&meter->ended[-FRESHET_ESIGNEDOUT]), 1);
    fsh_engine_session_close(world.session);
    fsh_engine_run(world.engine);
    assert_int_equal(atomic_load(&meter->sessions[0][FSH_METER_SIGNED_OUT][0]), 0);
    teardown(&world);
}

/* What is given up, and what cannot be sent, is counted too: each attempt is one of the outcomes.
 */
static void an_exchange_without_an_answer_is_counted(void **state)
{
    struct fsh_call out = {.kind = FSH_CALL_SIGN_OUT};
    const struct fsh_meter *meter;
    struct world world;

    (void)state;
    setup(&world);
    meter = fsh_engine_meter(world.engine);
    sign_in(&world, 3600);
    pass(&world, INT64_C(56) * 60000);
    fsh_engine_poke(world.session);
    run_posts(&world);
    assert_int_equal(world.request->kind, FSH_EXCHANGE_REFRESH);
    answer(&world, 503, "");
    assert_int_equal(atomic_load(&meter->exchanges[FSH_EXCHANGE_REFRESH][FSH_RESULT_TRANSIENT]) +
                         atomic_load(&meter->exchanges[FSH_EXCHANGE_REFRESH][FSH_RESULT_UNKNOWN]),
                     1);
    pass(&world, 60000);
    fsh_engine_poke(world.session);
    run_posts(&world);
    assert_non_null(world.request);
    begin(&world, &out);
    run_posts(&world);
    assert_int_equal(atomic_load(&meter->exchanges[FSH_EXCHANGE_REFRESH][FSH_METER_ABANDONED]), 1);
    assert_int_equal(total(&meter->exchange[FSH_EXCHANGE_REFRESH]), 1);
    assert_int_equal(total(&meter->flight[FSH_METER_REFRESH]), 2);
    teardown(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poke_that_waits_is_not_posted_again),
        cmocka_unit_test(a_poke_counts_once_and_then_again),
        cmocka_unit_test(a_poke_for_nothing_does_not_silence_the_next),
        cmocka_unit_test(a_report_that_was_slow_does_not_displace_the_next),
        cmocka_unit_test(who_may_not_answer_is_told_that_time_does_not_help),
        cmocka_unit_test(who_meets_a_sign_out_in_the_air_is_told_that_time_does_not_help),
        cmocka_unit_test(threads_read_poke_and_report_while_tokens_come_and_go),
        cmocka_unit_test(a_sign_in_that_is_given_up_was_not_refused),
        cmocka_unit_test(a_session_at_rest_serves_and_rests_again),
        cmocka_unit_test(a_session_at_rest_is_refreshed_and_rests_again),
        cmocka_unit_test(a_session_that_has_ended_comes_to_rest),
        cmocka_unit_test(a_failure_is_kept_until_it_is_made_good),
        cmocka_unit_test(who_calls_without_memory_is_told),
        cmocka_unit_test(a_report_without_memory_is_not_lost),
        cmocka_unit_test(who_calls_after_a_report_without_memory_does_not_overtake_it),
        cmocka_unit_test(a_poke_without_memory_is_not_lost),
        cmocka_unit_test(a_session_is_closed_at_rest_without_memory),
        cmocka_unit_test(a_session_is_not_gone_while_its_post_waits),
        cmocka_unit_test(who_waits_for_the_trial_of_another_is_not_refused),
        cmocka_unit_test(the_gate_opens_for_who_waits_there),
        cmocka_unit_test(what_happens_is_counted),
        cmocka_unit_test(an_exchange_without_an_answer_is_counted),
    };

    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
