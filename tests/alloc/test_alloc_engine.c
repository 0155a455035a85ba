/* SPDX-License-Identifier: Apache-2.0 */

/* Memory runs out in the engine, at any place of a session's life: nobody who calls is left
 * hanging, nothing spins, and with memory again the session works as ever. */

#include "alloc.h"
#include "ground.h"
#include "store/memory/memory.h"
#include "unit.h"

#include <freshet/status.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct world {
    struct ground ground;
    struct fsh_secret_store *secrets;
    struct fsh_token_cache *tokens;
    struct fsh_session *session;
    bool silent; /* the platform does not answer */
};

/* ---- the platform ---------------------------------------------------------------------------- */

static int password(void *data, char *ret_password, size_t size)
{
    (void)data;
    assert_true(size > 3);
    memcpy(ret_password, "pw", 3);
    return FRESHET_OK;
}

static bool answer(void *data)
{
    static const char grant[] = "{\"AccessToken\":\"a\",\"RefreshToken\":\"r\",\"ExpiresIn\":3600,"
                                "\"DeviceKey\":\"dk\",\"DeviceGroupKey\":\"dgk\"}";
    struct world *world = data;
    struct fsh_request *request;
    struct fsh_reply reply = {.complete = true, .sent = true, .http_status = 200, .body = grant};

    if (world->ground.request_count == 0 || world->silent)
        return false;
    request = ground_take(&world->ground);
    if (request->kind == FSH_EXCHANGE_TOTP_GET)
        reply.body = "{\"qr_uri\":\"otpauth://x\",\"qr_secret\":\"base32\"}";
    reply.body_len = strlen(reply.body);
    fsh_engine_answered(request, &reply);
    return true;
}

/* ---- a session and its callers --------------------------------------------------------------- */

static int call(struct world *world, enum fsh_call_kind kind, struct fsh_secret *username,
                struct fsh_secret *word)
{
    struct fsh_call call = {.kind = kind, .session = world->session};

    if (username)
        fsh_base_secret_move(&call.in.username, username);
    if (word)
        fsh_base_secret_move(&call.in.password, word);
    return ground_call(&world->ground, &call);
}

static int sign_in(struct world *world)
{
    struct fsh_secret username = {0};
    struct fsh_secret word = {0};
    int status = fsh_base_secret_copy("ann", 3, &username);

    if (status == FRESHET_OK)
        status = fsh_base_secret_copy("pw", 2, &word);
    if (status == FRESHET_OK)
        status = call(world, FSH_CALL_SIGN_IN, &username, &word);
    fsh_base_secret_done(&username);
    fsh_base_secret_done(&word);
    return status;
}

struct kind {
    const char *profile;
    bool service;
};

static int open_session(struct world *world, const struct kind *kind)
{
    struct fsh_session_options options = {
        .name = "ann",
        .service = kind->service,
        .background = kind->service,
        .threshold_ms = FSH_THRESHOLD_MS,
        .sign_in_pause_ms = FSH_SIGN_IN_PAUSE_MS,
    };
    int status;

    if (kind->service) {
        options.credentials.username = strdup("svc");
        options.credentials.password = password;
        if (!options.credentials.username)
            return FRESHET_ENOMEM;
    }
    status = fsh_engine_session_open(world->ground.engine, &options, &world->session, NULL);
    fsh_engine_credentials_done(&options.credentials);
    if (status == FRESHET_OK)
        ground_pass(&world->ground, 100);
    return status;
}

static int open_engine(struct world *world, const struct kind *kind)
{
    struct fsh_engine_options options = {.profile = fsh_profile_find(kind->profile), .holder = 1};
    struct fsh_io io = ground_io(&world->ground);

    options.secrets = world->secrets;
    options.tokens = world->tokens;
    return fsh_engine_new(&options, &io, &world->ground.engine);
}

static void open_world(struct world *world)
{
    memset(world, 0, sizeof(*world));
    ground_begin(&world->ground, answer, world);
    assert_int_equal(fsh_store_memory_secrets(&world->secrets, NULL), FRESHET_OK);
    assert_int_equal(fsh_store_memory_tokens(&world->tokens, NULL), FRESHET_OK);
}

static void close_world(struct world *world)
{
    ground_end(&world->ground);
    world->secrets->ops->close(world->secrets);
    world->tokens->ops->close(world->tokens);
}

/* ---- the steps of a life --------------------------------------------------------------------- */

static int step_open(struct world *world, const struct kind *kind)
{
    int status = open_engine(world, kind);

    return status == FRESHET_OK ? open_session(world, kind) : status;
}

static int step_sign_in(struct world *world, const struct kind *kind)
{
    (void)kind;
    return sign_in(world);
}

static int step_ensure(struct world *world, const struct kind *kind)
{
    (void)kind;
    return call(world, FSH_CALL_ENSURE, NULL, NULL);
}

/* A caller goes on below the threshold. */
static int step_poke(struct world *world, const struct kind *kind)
{
    world->ground.mono.ms += INT64_C(56) * 60000;
    fsh_engine_poke(world->session);
    ground_pass(&world->ground, 1000);
    return step_ensure(world, kind);
}

/* No usable token is left. */
static int step_expired(struct world *world, const struct kind *kind)
{
    world->ground.mono.ms += INT64_C(3600) * 1000;
    return step_ensure(world, kind);
}

/* A person's session is dead then; a service probes, and lives. */
static int step_401(struct world *world, const struct kind *kind)
{
    struct fsh_core core;

    (void)kind;
    fsh_engine_core(world->session, &core);
    fsh_engine_unauthorized(world->session, core.published);
    ground_pass(&world->ground, 1000);
    return FRESHET_OK;
}

static int step_totp(struct world *world, const struct kind *kind)
{
    (void)kind;
    return call(world, FSH_CALL_TOTP_GET, NULL, NULL);
}

static int step_sign_out(struct world *world, const struct kind *kind)
{
    int status = call(world, FSH_CALL_SIGN_OUT, NULL, NULL);

    (void)kind;
    /* Whatever the store says: there is no token any more. Without memory nothing was done. */
    assert_true(status == FRESHET_ENOMEM || !world->session->token);
    return status;
}

/* Whoever asks of a dead session has the store read again: another engine may have signed in. */
static int step_ask_the_dead(struct world *world, const struct kind *kind)
{
    int status;

    world->ground.mono.ms += 2000;
    status = step_ensure(world, kind);
    return freshet_status_class(status) == FRESHET_CLASS_ENDED ? FRESHET_OK : status;
}

static int step_close(struct world *world, const struct kind *kind)
{
    (void)kind;
    fsh_engine_session_close(world->session);
    world->session = NULL;
    ground_pass(&world->ground, FSH_EXCHANGE_MS);
    assert_true(fsh_engine_empty(world->ground.engine));
    return FRESHET_OK;
}

typedef int step_fn(struct world *world, const struct kind *kind);

static step_fn *const life[] = {step_open,     step_sign_in,      step_ensure,  step_poke,
                                step_totp,     step_expired,      step_401,     step_sign_in,
                                step_sign_out, step_ask_the_dead, step_sign_in, step_close};

#define STEPS (sizeof(life) / sizeof(life[0]))

/* What a caller may be told when memory runs out on the way. */
static void check_status(int status)
{
    switch (status) {
    case FRESHET_OK:
    case FRESHET_ENOMEM:
    case FRESHET_EUNAVAILABLE: /* the deadline passed */
        return;
    default:
        fail_msg("%s", freshet_status_name(status));
    }
}

/* With memory again everything works. */
static void check_recovery(struct world *world, const struct kind *kind)
{
    if (!world->ground.engine)
        assert_int_equal(open_engine(world, kind), FRESHET_OK);
    if (!world->session)
        assert_int_equal(open_session(world, kind), FRESHET_OK);
    ground_pass(&world->ground, 120000);
    assert_int_equal(sign_in(world), FRESHET_OK);
    assert_int_equal(call(world, FSH_CALL_ENSURE, NULL, NULL), FRESHET_OK);
    assert_non_null(world->session->token);
    world->ground.mono.ms += INT64_C(3600) * 1000;
    assert_int_equal(call(world, FSH_CALL_ENSURE, NULL, NULL), FRESHET_OK);
}

/* ---- a refresh token that came -------------------------------------------------------------- */

/* An answer that was read, and then no memory is left for the token that it brings: the refresh
 * token is the only one there is (rule 7), and the next refresh asks with it. */
static void take_rotation(const void *what)
{
    static const char body[] = "{\"AccessToken\":\"a\",\"RefreshToken\":\"rotated\"}";
    const struct fsh_reply reply = {
        .complete = true, .sent = true, .http_status = 200, .body = body, .body_len = strlen(body)};
    struct world world;
    struct fsh_request *request;
    struct fsh_answer answer;
    bool read;

    open_world(&world);
    assert_int_equal(step_open(&world, what), FRESHET_OK);
    world.ground.mono.ms += INT64_C(56) * 60000;
    world.silent = true;
    ground_pass(&world.ground, 1000);
    assert_int_equal(world.ground.request_count, 1);
    request = ground_take(&world.ground);
    /* Once to see whether it can be read at all, and once in earnest, with the same allocations. */
    alloc_arm();
    fsh_profile_read(fsh_engine_profile(world.ground.engine), request->kind, &reply,
                     (struct fsh_wall){0}, &answer);
    read = !alloc_disarm();
    fsh_profile_answer_done(&answer);
    alloc_arm();
    fsh_engine_answered(request, &reply);
    (void)alloc_disarm();
    for (int s = 0; s < 600 && world.ground.request_count == 0; s++)
        ground_pass(&world.ground, 1000);
    assert_int_equal(world.ground.request_count, 1);
    if (read)
        assert_non_null(
            strstr(fsh_base_secret_reveal(&world.ground.requests[0]->message.body), "rotated"));
    world.silent = false;
    close_world(&world);
}

static void a_rotation_is_not_lost(void **state)
{
    (void)state;
    assert_true(alloc_every(take_rotation, &(struct kind){"partner-rotating", true}));
}

struct place {
    const struct kind *kind;
    size_t step;
};

static void live_to(const void *what)
{
    const struct place *place = what;
    struct world world;
    int status = FRESHET_OK;

    open_world(&world);
    for (size_t i = 0; i < place->step; i++)
        status = life[i](&world, place->kind);
    alloc_arm();
    status = life[place->step](&world, place->kind);
    if (alloc_disarm())
        check_status(status);
    check_recovery(&world, place->kind);
    close_world(&world);
}

static void live(const struct kind *kind)
{
    for (size_t step = 0; step < STEPS; step++) {
        const struct place place = {kind, step};

        assert_true(alloc_every(live_to, &place));
    }
}

static void a_person(void **state)
{
    (void)state;
    live(&(struct kind){"partner", false});
}

static void a_service(void **state)
{
    (void)state;
    live(&(struct kind){"partner", true});
}

static void a_service_whose_refresh_tokens_rotate(void **state)
{
    (void)state;
    live(&(struct kind){"partner-rotating", true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rotation_is_not_lost),
        cmocka_unit_test(a_person),
        cmocka_unit_test(a_service),
        cmocka_unit_test(a_service_whose_refresh_tokens_rotate),
    };

    alloc_init();
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests_name("alloc-engine", tests, NULL, NULL);
}
