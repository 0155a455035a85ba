/* SPDX-License-Identifier: Apache-2.0 */

/* Memory runs out in a program whose sessions are a keeper's, at any place of a session's life:
 * nobody who calls is left hanging, a token in hand serves on, and with memory again the session
 * works as ever. The keeper is this file. */

#include "alloc.h"
#include "base/status.h"
#include "engine/remote.h"
#include "ground.h"
#include "unit.h"

#include <freshet/status.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOUR (INT64_C(3600) * 1000)

static char keeper_socket[] = "/run/freshet/control.sock";
static char keeper_url[] = "https://api.example.com";
static char *keeper_origins[] = {keeper_url};
static const struct fsh_remote_keeper keeper = {keeper_socket, {keeper_url, keeper_origins, 1}};

struct world {
    struct ground ground;
    struct fsh_session *session;

    /* The keeper's. */
    bool live;
    uint64_t generation;
    struct fsh_mono granted_at;
};

/* ---- the keeper -------------------------------------------------------------------------- */

static int say_problem(char body[640], const char *code)
{
    (void)snprintf(body, 640, "{\"code\":\"%s\",\"detail\":\"session ann: so it is\"}", code);
    return freshet_status_http(fsh_base_status_named(code));
}

static int say_token(struct world *world, const struct fsh_request *request, char body[640])
{
    if (!world->live)
        return say_problem(body, "FRESHET_EENDED");
    /* It refreshes in time, and when it is asked to. */
    if (fsh_mono_until(world->granted_at, world->ground.mono) > HOUR - 300000) {
        world->generation++;
        world->granted_at = world->ground.mono;
    }
    if (request->if_generation == world->generation)
        return 304;
    (void)snprintf(
        body, 640,
        "{\"platform\":{\"url\":\"%s\",\"origins\":[\"%s\"]},\"authorization\":\"Bearer t%llu\","
        "\"partner_header\":\"X-P\",\"partners\":[\"fd1\",\"fd2\"],\"partner\":\"fd2\","
        "\"generation\":%llu,\"age_ms\":%lld,\"lifetime_ms\":%lld}",
        keeper_url, keeper_url, (unsigned long long)world->generation,
        (unsigned long long)world->generation,
        (long long)fsh_mono_until(world->granted_at, world->ground.mono), (long long)HOUR);
    return 200;
}

static int say(struct world *world, const struct fsh_request *request, char body[640])
{
    static const struct {
        const char *method;
        const char *what;
        int http;
        const char *body;
    } plain[] = {
        {"GET", "", 200, "{\"phase\":\"live\",\"generation\":1}"},
        {"GET", "/explain", 200, "{\"entries\":[{\"number\":1,\"name\":\"refreshed\"}]}"},
        {"GET", "/mfa-settings", 200, "{\"enabled\":true,\"preferred\":\"totp\"}"},
        {"PUT", "/mfa-settings", 204, ""},
        {"POST", "/totp", 200, "{\"uri\":\"otpauth://x\",\"secret\":\"base32\"}"},
        {"PUT", "/totp", 204, ""},
        {"POST", "/unauthorized", 204, ""},
    };
    const char *what = strrchr(request->message.path, '/');

    body[0] = '\0';
    what = strcmp(what, "/ann") == 0 ? "" : what;
    if (strncmp(what, "/token", 6) == 0)
        return say_token(world, request, body);
    if (strcmp(what, "/mfa") == 0 || strcmp(what, "/new-password") == 0)
        return say_problem(body, "FRESHET_ENOCHALLENGE");
    if (strcmp(what, "/sign-in") == 0) {
        world->live = true;
        world->generation++;
        world->granted_at = world->ground.mono;
        return 200;
    }
    if (strcmp(what, "/sign-out") == 0) {
        world->live = false;
        return 204;
    }
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (strcmp(what, plain[i].what) == 0 &&
            strcmp(request->message.method, plain[i].method) == 0) {
            (void)snprintf(body, 640, "%s", plain[i].body);
            return plain[i].http;
        }
    }
    fail_msg("%s %s", request->message.method, request->message.path);
    return 0;
}

static bool answer(void *data)
{
    struct world *world = data;
    struct fsh_request *request;
    struct fsh_reply reply = {.complete = true, .sent = true};
    char body[640];

    if (world->ground.request_count == 0)
        return false;
    request = ground_take(&world->ground);
    reply.http_status = say(world, request, body);
    reply.body = body;
    reply.body_len = strlen(body);
    fsh_engine_answered(request, &reply);
    return true;
}

/* ---- a session and its callers ----------------------------------------------------------- */

/* The input of all the calls there are; each sends its own. */
static int fill(struct fsh_call *call)
{
    struct {
        struct fsh_secret *secret;
        const char *text;
    } in[] = {
        {&call->in.username, "ann"},
        {&call->in.password, "pw"},
        {&call->in.code, "123456"},
        {&call->in.new_password, "pw2"},
    };
    int status = FRESHET_OK;

    for (size_t i = 0; status == FRESHET_OK && i < sizeof(in) / sizeof(in[0]); i++)
        status = fsh_base_secret_copy(in[i].text, strlen(in[i].text), in[i].secret);
    return status;
}

static int call(struct world *world, enum fsh_call_kind kind)
{
    struct fsh_call call = {.kind = kind, .session = world->session};
    int status = kind == FSH_CALL_ENSURE ? FRESHET_OK : fill(&call);

    call.in.mfa_enabled = 1;
    if (status == FRESHET_OK)
        status = ground_call(&world->ground, &call);
    fsh_base_secret_done(&call.in.username);
    fsh_base_secret_done(&call.in.password);
    fsh_base_secret_done(&call.in.code);
    fsh_base_secret_done(&call.in.new_password);
    return status;
}

static int open_session(struct world *world)
{
    struct fsh_session_options options = {
        .name = "ann", .background = true, .threshold_ms = FSH_THRESHOLD_MS};
    int status = fsh_engine_session_open(world->ground.engine, &options, &world->session, NULL);

    if (status == FRESHET_OK)
        ground_pass(&world->ground, 100);
    return status;
}

static int open_engine(struct world *world)
{
    struct fsh_engine_options options = {.profile = fsh_profile_find("partner"), .keeper = &keeper};
    struct fsh_io io = ground_io(&world->ground);

    return fsh_engine_new(&options, &io, &world->ground.engine);
}

/* ---- the steps of a life ----------------------------------------------------------------- */

static int step_open(struct world *world)
{
    int status = open_engine(world);

    return status == FRESHET_OK ? open_session(world) : status;
}

static int step_sign_in(struct world *world)
{
    return call(world, FSH_CALL_SIGN_IN);
}

static int step_ensure(struct world *world)
{
    return call(world, FSH_CALL_ENSURE);
}

/* The background fetches ahead of the end. */
static int step_ahead(struct world *world)
{
    ground_pass(&world->ground, HOUR - 200000);
    return step_ensure(world);
}

/* No usable token is left. */
static int step_expired(struct world *world)
{
    world->ground.mono.ms += HOUR;
    return step_ensure(world);
}

/* The keeper finds that the token is good. */
static int step_401(struct world *world)
{
    fsh_engine_unauthorized(world->session, world->generation);
    ground_pass(&world->ground, 5000);
    return step_ensure(world);
}

/* ... or dead. */
static int step_dead(struct world *world)
{
    world->live = false;
    fsh_engine_unauthorized(world->session, world->generation);
    ground_pass(&world->ground, 5000);
    return FRESHET_OK;
}

static int step_ask_the_dead(struct world *world)
{
    int status = step_ensure(world);

    return status == FRESHET_EENDED || status == FRESHET_ESIGNEDOUT ? FRESHET_OK : status;
}

static int step_challenge(struct world *world)
{
    int status = call(world, FSH_CALL_MFA);

    if (status == FRESHET_ENOCHALLENGE)
        status = call(world, FSH_CALL_NEW_PASSWORD);
    return status == FRESHET_ENOCHALLENGE ? FRESHET_OK : status;
}

static int step_mfa(struct world *world)
{
    static const enum fsh_call_kind kinds[] = {FSH_CALL_MFA_SETTINGS_GET, FSH_CALL_MFA_SETTINGS_PUT,
                                               FSH_CALL_TOTP_GET, FSH_CALL_TOTP_PUT};
    int status = FRESHET_OK;

    for (size_t i = 0; status == FRESHET_OK && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        status = call(world, kinds[i]);
    return status;
}

static int step_look(struct world *world)
{
    int status = call(world, FSH_CALL_STATUS);

    return status == FRESHET_OK ? call(world, FSH_CALL_EXPLAIN) : status;
}

static int step_sign_out(struct world *world)
{
    int status = call(world, FSH_CALL_SIGN_OUT);

    if (status == FRESHET_OK)
        assert_null(world->session->token);
    return status;
}

/* A 401 is told on the way out, if there is memory for it. */
static int step_close(struct world *world)
{
    fsh_engine_unauthorized(world->session, world->generation);
    fsh_engine_session_close(world->session);
    world->session = NULL;
    ground_pass(&world->ground, FSH_EXCHANGE_MS);
    assert_true(fsh_engine_empty(world->ground.engine));
    return FRESHET_OK;
}

static const struct step {
    int (*take)(struct world *world);
    bool ends; /* the token in hand */
} life[] = {
    {step_open, false},    {step_sign_in, false},     {step_ensure, false},
    {step_ahead, false},   {step_401, false},         {step_look, false},
    {step_mfa, false},     {step_challenge, false},   {step_expired, false},
    {step_dead, true},     {step_ask_the_dead, true}, {step_sign_in, false},
    {step_sign_out, true}, {step_ask_the_dead, true}, {step_sign_in, false},
    {step_close, true},
};

#define STEPS (sizeof(life) / sizeof(life[0]))

/* With memory again everything works. */
static void check_recovery(struct world *world)
{
    if (!world->ground.engine)
        assert_int_equal(open_engine(world), FRESHET_OK);
    if (!world->session)
        assert_int_equal(open_session(world), FRESHET_OK);
    ground_pass(&world->ground, 120000);
    /* Of a sign-in that the keeper did, the token is to be had; whatever its caller was told. */
    assert_int_equal(call(world, FSH_CALL_ENSURE) == FRESHET_OK, world->live);
    assert_int_equal(world->session->token != NULL, world->live);
    assert_int_equal(call(world, FSH_CALL_SIGN_IN), FRESHET_OK);
    assert_int_equal(call(world, FSH_CALL_ENSURE), FRESHET_OK);
    assert_non_null(world->session->token);
    assert_int_equal(world->session->token->generation, world->generation);
    world->ground.mono.ms += HOUR;
    assert_int_equal(call(world, FSH_CALL_ENSURE), FRESHET_OK);
    assert_int_equal(world->session->token->generation, world->generation);
}

static void live_to(const void *what)
{
    const size_t last = *(const size_t *)what;
    struct world world = {0};
    bool held;
    int status;

    ground_begin(&world.ground, answer, &world);
    for (size_t i = 0; i < last; i++)
        assert_int_equal(life[i].take(&world), FRESHET_OK);
    held = world.session && world.session->token;
    alloc_arm();
    status = life[last].take(&world);
    if (!alloc_disarm())
        assert_int_equal(status, FRESHET_OK);
    else if (status != FRESHET_OK && status != FRESHET_ENOMEM && status != FRESHET_EUNAVAILABLE)
        fail_msg("step %zu: %s", last, freshet_status_name(status));
    /* Rule 6. */
    if (held && !life[last].ends)
        assert_non_null(world.session->token);
    check_recovery(&world);
    ground_end(&world.ground);
}

static void sessions_of_a_keeper(void **state)
{
    (void)state;
    for (size_t step = 0; step < STEPS; step++)
        assert_true(alloc_every(live_to, &step));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_of_a_keeper),
    };

    alloc_init();
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests_name("alloc-remote", tests, NULL, NULL);
}
