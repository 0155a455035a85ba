/* SPDX-License-Identifier: Apache-2.0 */

/* A keeper's sessions: what is asked of the keeper, when, and what callers are told. The keeper is
 * this file, the clock is turned by hand. */

#include "engine/engine.h"
#include "engine/remote.h"
#include "unit.h"

#include <freshet/status.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POSTS   32
#define IN_AIR  8
#define HOUR    3600000
#define BILL    "/v1/sessions/billing"
#define AT_ONCE "/token?min_valid_ms=0&timeout_ms=-1"
#define PLACE   "{\"url\":\"https://api.example.com\",\"origins\":[\"https://api.example.com\"]}"

struct world {
    struct fsh_mono mono;
    uint64_t random;
    struct fsh_post *waiting[POSTS];
    unsigned posts;
    struct fsh_request *in_air[IN_AIR];
    unsigned sent; /* in all */
    unsigned closed;
    struct fsh_engine *engine;
    struct fsh_session *session;
    enum fsh_note_kind note; /* the last */
};

static char keeper_socket[] = "/run/freshet/control.sock";
static char keeper_url[] = "https://api.example.com/v2";
static char keeper_origin[] = "https://api.example.com:443";
static char *keeper_origins[] = {keeper_origin};
static const struct fsh_remote_keeper keeper = {
    keeper_socket,
    {keeper_url, keeper_origins, 1},
};

struct caller {
    struct fsh_call call;
    int status; /* 1: it waits */
};

static struct fsh_now io_now(void *data)
{
    struct world *world = data;

    world->random = world->random * 6364136223846793005u + 1442695040888963407u;
    return (struct fsh_now){world->mono, {INT64_C(1800000000000)}, world->random >> 20};
}

static void io_post(void *data, struct fsh_post *post)
{
    struct world *world = data;

    assert_true(world->posts < POSTS);
    world->waiting[world->posts++] = post;
}

static int io_send(void *data, struct fsh_request *request)
{
    struct world *world = data;

    for (unsigned i = 0; i < IN_AIR; i++) {
        if (!world->in_air[i]) {
            world->in_air[i] = request;
            world->sent++;
            return FRESHET_OK;
        }
    }
    fail_msg("too many in the air");
    return FRESHET_ENOMEM;
}

static void io_cancel(void *data, struct fsh_request *request)
{
    struct world *world = data;

    for (unsigned i = 0; i < IN_AIR; i++) {
        if (world->in_air[i] == request)
            world->in_air[i] = NULL;
    }
}

static void io_event(void *data, struct fsh_session *session, const struct fsh_ledger_entry *entry)
{
    (void)session;
    ((struct world *)data)->note = entry->note;
}

static void io_closed(struct fsh_session *session)
{
    (void)session;
}

static void run(struct world *world)
{
    for (unsigned i = 0; i < world->posts; i++)
        world->waiting[i]->run(world->waiting[i]);
    world->posts = 0;
    fsh_engine_run(world->engine);
}

static void pass(struct world *world, int64_t ms)
{
    struct fsh_mono to = fsh_mono_add(world->mono, ms);

    for (int i = 0; i < 10000 && fsh_engine_wake_at(world->engine).ms <= to.ms; i++) {
        world->mono = fsh_mono_max(world->mono, fsh_engine_wake_at(world->engine));
        run(world);
    }
    world->mono = to;
    run(world);
}

/* The one request in the air whose path begins so; it is the test's then. */
static struct fsh_request *taken(struct world *world, const char *method, const char *path)
{
    for (unsigned i = 0; i < IN_AIR; i++) {
        struct fsh_request *request = world->in_air[i];

        if (request && strcmp(request->message.method, method) == 0 &&
            strncmp(request->message.path, path, strlen(path)) == 0) {
            world->in_air[i] = NULL;
            return request;
        }
    }
    fail_msg("nobody asked %s %s", method, path);
    return NULL;
}

static unsigned in_air(const struct world *world)
{
    unsigned count = 0;

    for (unsigned i = 0; i < IN_AIR; i++)
        count += world->in_air[i] != NULL;
    return count;
}

static bool no_memory; /* for jansson */

static void *json_malloc(size_t size)
{
    return no_memory ? NULL : malloc(size);
}

/* Before a body: there is no memory to read it. */
#define WITHOUT_MEMORY "\1"

static void answer(struct world *world, struct fsh_request *request, int http, const char *body)
{
    bool none = body[0] == WITHOUT_MEMORY[0];
    struct fsh_reply reply = {
        .complete = true,
        .sent = true,
        .http_status = http,
        .body = none ? body + 1 : body,
        .body_len = strlen(body) - none,
    };

    no_memory = none;
    fsh_engine_answered(request, &reply);
    no_memory = false;
    run(world);
}

static void problem(struct world *world, struct fsh_request *request, int http, const char *code)
{
    char body[256];

    (void)snprintf(body, sizeof(body),
                   "{\"code\":\"%s\",\"detail\":\"session billing: so it is\","
                   "\"platform_code\":\"X\",\"retry_after_ms\":1234}",
                   code);
    answer(world, request, http, body);
}

static void no_answer(struct world *world, struct fsh_request *request, bool sent)
{
    struct fsh_reply reply = {.sent = sent, .failure = "nobody there", .body = ""};

    fsh_engine_answered(request, &reply);
    run(world);
}

static void token_of(struct world *world, struct fsh_request *request, int generation, int64_t age,
                     int64_t lifetime, const char *platform)
{
    char body[640];

    (void)snprintf(
        body, sizeof(body),
        "{\"platform\":%s,\"authorization\":\"Bearer t%d\",\"partner_header\":\"X-P\","
        "\"partners\":[\"fd1\",\"fd2\"],\"partner\":\"fd2\",\"generation\":%d,\"age_ms\":%lld,"
        "\"lifetime_ms\":%lld,\"refresh_in_ms\":%lld}",
        platform, generation, generation, (long long)age, (long long)lifetime,
        (long long)(lifetime - lifetime / 10 - age));
    answer(world, request, 200, body);
}

static void token(struct world *world, struct fsh_request *request, int generation, int64_t age,
                  int64_t lifetime)
{
    token_of(world, request, generation, age, lifetime, PLACE);
}

/* What the keeper does with the one fetch in the air: grants a token of an hour, refuses, knows
 * nothing newer, or does not answer. */
static void grant(struct world *world, int generation)
{
    token(world, taken(world, "GET", BILL "/token"), generation, 0, HOUR);
}

static void refuse(struct world *world, int http, const char *code)
{
    problem(world, taken(world, "GET", BILL "/token"), http, code);
}

static void unchanged(struct world *world)
{
    answer(world, taken(world, "GET", BILL "/token"), 304, "");
}

static void vanish(struct world *world, bool sent)
{
    no_answer(world, taken(world, "GET", BILL "/token"), sent);
}

/* A 401 is told of; the keeper takes the report of one. */
static void report(struct world *world, uint64_t generation)
{
    fsh_engine_unauthorized(world->session, generation);
    run(world);
}

static void take_report(struct world *world)
{
    answer(world, taken(world, "POST", BILL "/unauthorized"), 204, "");
}

static void call_done(struct fsh_call *call)
{
    ((struct caller *)call->data)->status = call->status;
}

static void begin(struct world *world, struct caller *caller, enum fsh_call_kind kind, int64_t ms)
{
    caller->status = 1;
    caller->call.kind = kind;
    caller->call.session = world->session;
    caller->call.deadline = fsh_mono_add(world->mono, ms);
    caller->call.done = call_done;
    caller->call.data = caller;
    fsh_engine_call(&caller->call);
    run(world);
}

static void open_world(struct world *world, bool background)
{
    struct fsh_io io = {
        .data = world,
        .now = io_now,
        .boot = 7,
        .post = io_post,
        .send = io_send,
        .cancel = io_cancel,
        .event = io_event,
        .closed = io_closed,
        .event_data = world,
    };
    struct fsh_engine_options options = {.profile = fsh_profile_find("partner"), .keeper = &keeper};
    struct fsh_session_options session = {
        .name = "billing", .background = background, .threshold_ms = 300000};

    *world = (struct world){.mono = {1000000}};
    assert_int_equal(fsh_engine_new(&options, &io, &world->engine), FRESHET_OK);
    assert_int_equal(fsh_engine_session_open(world->engine, &session, &world->session, NULL),
                     FRESHET_OK);
    run(world);
}

static void close_world(struct world *world)
{
    fsh_engine_close_all(world->engine);
    run(world);
    fsh_engine_abandon(world->engine);
    run(world);
    assert_true(fsh_engine_empty(world->engine));
    assert_int_equal(in_air(world), 0);
    fsh_engine_free(world->engine);
}

/* With a token of an hour in hand. */
static void open_live(struct world *world, bool background)
{
    open_world(world, background);
    token(world, taken(world, "GET", BILL AT_ONCE), 5, 0, HOUR);
}

static bool view(const struct world *world, uint64_t *ret_generation)
{
    struct fsh_freshness times;

    return fsh_engine_view(world->session, ret_generation, &times);
}

/* ---- fetching ---------------------------------------------------------------------------- */

static void callers_share_one_fetch(void **state)
{
    struct world world;
    struct caller callers[100] = {0};
    uint64_t generation = 0;

    (void)state;
    open_world(&world, false);
    for (int i = 0; i < 100; i++)
        begin(&world, &callers[i], FSH_CALL_ENSURE, 20000);
    assert_int_equal(world.sent, 1);
    token(&world, taken(&world, "GET", BILL "/token"), 5, 1000, HOUR);
    for (int i = 0; i < 100; i++)
        assert_int_equal(callers[i].status, FRESHET_OK);
    assert_int_equal(world.sent, 1);
    assert_true(view(&world, &generation));
    assert_int_equal(generation, 5);
    assert_string_equal(fsh_base_secret_reveal(&world.session->token->authorization), "Bearer t5");
    assert_string_equal(world.session->token->preset, "fd2");
    /* Its age is the keeper's: a second of its hour has gone. */
    assert_int_equal(world.session->token->sent_at.ms, world.mono.ms - 1000);
    close_world(&world);
}

static void who_waits_hands_the_deadline_on(void **state)
{
    struct world world;
    struct caller caller = {0};

    (void)state;
    open_world(&world, false);
    refuse(&world, 401, "FRESHET_EENDED");
    begin(&world, &caller, FSH_CALL_ENSURE, 20000);
    problem(&world, taken(&world, "GET", BILL "/token?min_valid_ms=0&timeout_ms=19950"), 403,
            "FRESHET_EHELD");
    assert_int_equal(caller.status, FRESHET_EHELD);
    assert_string_equal(caller.call.error.message, "session billing: so it is");
    assert_string_equal(caller.call.error.code, "X");
    assert_int_equal(caller.call.error.retry_after_ms, 1234);
    assert_int_equal(in_air(&world), 0);
    close_world(&world);
}

static void a_refusal_that_did_not_wait_is_not_the_last_word(void **state)
{
    struct world world;
    struct caller caller = {0};

    (void)state;
    open_world(&world, false);
    begin(&world, &caller, FSH_CALL_ENSURE, 20000);
    problem(&world, taken(&world, "GET", BILL AT_ONCE), 401, "FRESHET_EENDED");
    assert_int_equal(caller.status, 1);
    token(&world, taken(&world, "GET", BILL "/token?min_valid_ms=0&timeout_ms=19950"), 6, 0, HOUR);
    assert_int_equal(caller.status, FRESHET_OK);
    close_world(&world);
}

static void below_the_threshold_one_fetches_and_nobody_waits(void **state)
{
    struct world world;
    struct caller caller = {0};
    struct fsh_request *request;

    (void)state;
    open_live(&world, false);
    pass(&world, HOUR - 250000);
    assert_int_equal(in_air(&world), 0);
    for (int i = 0; i < 100; i++)
        fsh_engine_poke(world.session);
    run(&world);
    assert_int_equal(world.sent, 2);
    begin(&world, &caller, FSH_CALL_ENSURE, 20000);
    assert_int_equal(caller.status, FRESHET_OK);
    request = taken(&world, "GET", BILL "/token?min_valid_ms=300001&timeout_ms=14950");
    assert_int_equal(request->if_generation, 5);
    token(&world, request, 6, 0, HOUR);
    assert_int_equal(world.session->token->generation, 6);
    assert_int_equal(world.sent, 2);
    close_world(&world);
}

static void a_session_in_the_background_follows_its_keeper(void **state)
{
    struct world world;

    (void)state;
    open_live(&world, true);
    /* It refreshes when nine tenths have passed; all who follow do not come at once. */
    pass(&world, HOUR - HOUR / 10 - 1);
    assert_int_equal(in_air(&world), 0);
    pass(&world, 2001);
    token(&world, taken(&world, "GET", BILL "/token"), 6, 30000, HOUR);
    assert_int_equal(world.session->token->generation, 6);
    close_world(&world);
}

static void nothing_newer_is_asked_for_ever_more_seldom(void **state)
{
    struct world world;
    unsigned sent;

    (void)state;
    open_live(&world, true);
    pass(&world, HOUR - 300000);
    sent = world.sent - in_air(&world);
    for (int i = 0; i < 300000 - 30000; i += 100) {
        if (in_air(&world) > 0)
            unchanged(&world);
        pass(&world, 100);
    }
    assert_in_range(world.sent - sent, 5, 60);
    assert_int_equal(world.session->token->generation, 5);
    close_world(&world);
}

static void a_strict_caller_waits_and_takes_what_there_is(void **state)
{
    struct world world;
    struct caller caller = {.call.min_valid_ms = 600000};

    (void)state;
    open_live(&world, false);
    pass(&world, HOUR - 500000);
    begin(&world, &caller, FSH_CALL_ENSURE, 5000);
    problem(&world, taken(&world, "GET", BILL "/token?min_valid_ms=600000&timeout_ms=4950"), 503,
            "FRESHET_EUNAVAILABLE");
    assert_int_equal(caller.status, FRESHET_OK);
    close_world(&world);
}

/* A service that is parked serves its token to the end. */
static void a_challenge_does_not_end_the_token_in_hand(void **state)
{
    struct world world;
    struct caller caller = {.call.min_valid_ms = 600000};
    uint64_t generation;

    (void)state;
    open_live(&world, false);
    pass(&world, HOUR - 500000);
    begin(&world, &caller, FSH_CALL_ENSURE, 5000);
    problem(&world, taken(&world, "GET", BILL "/token?min_valid_ms=600000"), 503,
            "FRESHET_EOPERATOR");
    assert_int_equal(caller.status, 1);
    answer(&world, taken(&world, "GET", BILL AT_ONCE), 304, "");
    assert_int_equal(caller.status, FRESHET_OK);
    assert_true(view(&world, &generation));
    close_world(&world);
}

static void a_sign_out_elsewhere_is_met_at_the_next_fetch(void **state)
{
    struct world world;
    struct caller caller = {.call.min_valid_ms = 600000};
    uint64_t generation;

    (void)state;
    open_live(&world, false);
    pass(&world, HOUR - 500000);
    begin(&world, &caller, FSH_CALL_ENSURE, 5000);
    problem(&world, taken(&world, "GET", BILL "/token?min_valid_ms=600000"), 403, "FRESHET_EHELD");
    problem(&world, taken(&world, "GET", BILL AT_ONCE), 403, "FRESHET_EHELD");
    assert_false(view(&world, &generation));
    assert_int_equal(world.note, FSH_NOTE_SIGNED_OUT);
    refuse(&world, 403, "FRESHET_EHELD");
    assert_int_equal(caller.status, FRESHET_EHELD);
    close_world(&world);
}

static void what_makes_no_sense_is_not_taken(void **state)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "[1]",
        "{\"platform\":" PLACE
        ",\"authorization\":\"Bearer x\\u000a\",\"partner_header\":\"X-P\",\"partners\":[],"
        "\"generation\":1,\"age_ms\":0,\"lifetime_ms\":3600000}",
        "{\"platform\":" PLACE
        ",\"authorization\":\"Bearer x\",\"partner_header\":\"X P\",\"partners\":[],"
        "\"generation\":1,\"age_ms\":0,\"lifetime_ms\":3600000}",
        "{\"platform\":" PLACE
        ",\"authorization\":\"Bearer x\",\"partner_header\":\"X-P\",\"partners\":[\"a\\u0000b\"],"
        "\"generation\":1,\"age_ms\":0,\"lifetime_ms\":3600000}",
        "{\"platform\":" PLACE
        ",\"authorization\":\"Bearer x\",\"partner_header\":\"X-P\",\"partners\":[],"
        "\"generation\":0,\"age_ms\":0,\"lifetime_ms\":3600000}",
        "{\"platform\":" PLACE
        ",\"authorization\":\"Bearer x\",\"partner_header\":\"X-P\",\"partners\":[],"
        "\"generation\":1,\"age_ms\":-1,\"lifetime_ms\":3600000}",
        "{\"platform\":" PLACE
        ",\"authorization\":\"Bearer x\",\"partner_header\":\"X-P\",\"partners\":[],"
        "\"generation\":1,\"age_ms\":0,\"lifetime_ms\":0}",
        "{\"authorization\":\"Bearer x\",\"partner_header\":\"X-P\",\"partners\":[],"
        "\"generation\":1,\"age_ms\":0,\"lifetime_ms\":3600000}",
        "{\"platform\":{\"url\":\"https://api.example.com\",\"origins\":["
        "\"https://api.example.com\",\"https://files.example.com\\u0000.evil.example\"]},"
        "\"authorization\":\"Bearer x\",\"partner_header\":\"X-P\",\"partners\":[],"
        "\"generation\":1,\"age_ms\":0,\"lifetime_ms\":3600000}",
        "{\"platform\":{\"url\":\"nonsense\"},\"authorization\":\"Bearer x\",\"partner_header\":"
        "\"X-P\",\"partners\":[],\"generation\":1,\"age_ms\":0,\"lifetime_ms\":3600000}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct world world;
        struct caller caller = {0};
        uint64_t generation;

        open_world(&world, false);
        refuse(&world, 401, "FRESHET_EENDED");
        begin(&world, &caller, FSH_CALL_ENSURE, 5000);
        answer(&world, taken(&world, "GET", BILL "/token"), 200, bodies[i]);
        assert_int_equal(caller.status, FRESHET_EBADBODY);
        assert_false(view(&world, &generation));
        close_world(&world);
    }
}

/* Rule 6: only a document that names it is a verdict, and none is read without memory. */
static void an_answer_that_names_nothing_ends_nothing(void **state)
{
    static const int https[] = {401, 403, 404, 410, 503};
    static const char *const bodies[] = {
        "",
        "<html>not found</html>",
        "{}",
        "[\"FRESHET_ENOSESSION\"]",
        "{\"code\":\"FRESHET_ENOSESSION\",\"detail\":\"no se",
        "{\"code\":\"FRESHET_ENOSESSION\",\"code\":\"FRESHET_EHELD\"}",
        "{\"code\":\"FRESHET_ENOSESSION\\u0000\"}",
        "{\"code\":\"FRESHET_EINVENTED\"}",
        WITHOUT_MEMORY "{\"code\":\"FRESHET_ENOSESSION\"}",
    };
    const size_t count = sizeof(bodies) / sizeof(bodies[0]);

    (void)state;
    for (size_t i = 0; i < count * sizeof(https) / sizeof(https[0]); i++) {
        const char *body = bodies[i % count];
        bool out_of_memory = strncmp(body, WITHOUT_MEMORY, 1) == 0;
        struct world world;
        struct caller caller = {.call.min_valid_ms = 600000};
        struct caller command = {0};

        open_live(&world, false);
        pass(&world, HOUR - 500000);
        begin(&world, &caller, FSH_CALL_ENSURE, 5000);
        answer(&world, taken(&world, "GET", BILL "/token"), https[i / count], body);
        assert_int_equal(caller.status, FRESHET_OK);
        assert_int_equal(world.session->token->generation, 5);
        begin(&world, &command, FSH_CALL_SIGN_OUT, 5000);
        answer(&world, taken(&world, "POST", BILL "/sign-out"), https[i / count], body);
        assert_int_equal(command.status, out_of_memory ? FRESHET_ENOMEM : FRESHET_EUNAVAILABLE);
        assert_int_equal(world.session->token->generation, 5);
        close_world(&world);
    }
}

static void an_earlier_generation_takes_the_place_of_no_later_one(void **state)
{
    struct world world;
    struct caller caller = {.call.min_valid_ms = 600000};

    (void)state;
    open_live(&world, false);
    pass(&world, HOUR - 500000);
    begin(&world, &caller, FSH_CALL_ENSURE, 5000);
    grant(&world, 4);
    assert_int_equal(caller.status, FRESHET_OK);
    assert_int_equal(world.session->token->generation, 5);
    /* With nothing usable in hand, there is no place to keep. */
    pass(&world, 500000);
    caller = (struct caller){0};
    begin(&world, &caller, FSH_CALL_ENSURE, 5000);
    grant(&world, 4);
    assert_int_equal(caller.status, FRESHET_OK);
    assert_int_equal(world.session->token->generation, 4);
    close_world(&world);
}

/* Of a keeper that lost its store: what was signed in counts, not what was before. */
static void what_a_sign_in_brought_is_taken_whatever_its_number(void **state)
{
    struct world world;
    struct caller caller = {0};
    struct fsh_request *request;

    (void)state;
    open_live(&world, false);
    begin(&world, &caller, FSH_CALL_SIGN_IN, 5000);
    answer(&world, taken(&world, "POST", BILL "/sign-in"), 200, "{}");
    request = taken(&world, "GET", BILL "/token");
    assert_int_equal(request->if_generation, 0);
    token(&world, request, 1, 0, HOUR);
    assert_int_equal(caller.status, FRESHET_OK);
    assert_int_equal(world.session->token->generation, 1);
    close_world(&world);
}

/* Rule 13. Of a keeper that was away when the handle was opened, or was started anew for another
 * platform since. */
static void a_token_of_another_platform_is_not_taken(void **state)
{
    static const char *const others[] = {
        "{\"url\":\"https://other.example.com\",\"origins\":[\"https://other.example.com\"]}",
        "{\"url\":\"https://other.example.com\",\"origins\":[\"https://api.example.com\"]}",
        "{\"url\":\"https://api.example.com:8443\",\"origins\":[\"https://api.example.com\"]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct world world;
        struct caller caller = {0};
        uint64_t generation;

        open_world(&world, false);
        token_of(&world, taken(&world, "GET", BILL "/token"), 5, 0, HOUR, others[i]);
        assert_false(view(&world, &generation));
        begin(&world, &caller, FSH_CALL_ENSURE, 5000);
        token_of(&world, taken(&world, "GET", BILL "/token"), 5, 0, HOUR, others[i]);
        assert_int_equal(caller.status, FRESHET_ECONFIG);
        assert_non_null(strstr(caller.call.error.message, "example.com"));
        assert_non_null(strstr(caller.call.error.message, keeper_socket));
        assert_false(view(&world, &generation));
        /* It was mended. */
        begin(&world, &caller, FSH_CALL_ENSURE, 5000);
        grant(&world, 5);
        assert_int_equal(caller.status, FRESHET_OK);
        close_world(&world);
    }
}

static void a_keeper_that_became_another_platforms_ends_the_token(void **state)
{
    struct world world;
    struct caller caller = {.call.min_valid_ms = 600000};
    struct caller second = {0};
    uint64_t generation;

    (void)state;
    open_live(&world, false);
    pass(&world, HOUR - 500000);
    begin(&world, &caller, FSH_CALL_ENSURE, 5000);
    token_of(&world, taken(&world, "GET", BILL "/token"), 6, 0, HOUR,
             "{\"url\":\"https://other.example.com\",\"origins\":[]}");
    assert_int_equal(caller.status, FRESHET_ECONFIG);
    assert_false(view(&world, &generation));
    assert_int_equal(world.note, FSH_NOTE_ENDED);
    /* Nor does who signs in with it get anything. */
    begin(&world, &second, FSH_CALL_SIGN_IN, 5000);
    answer(&world, taken(&world, "POST", BILL "/sign-in"), 200, "{}");
    token_of(&world, taken(&world, "GET", BILL "/token"), 7, 0, HOUR,
             "{\"url\":\"https://other.example.com\",\"origins\":[]}");
    assert_int_equal(second.status, FRESHET_ECONFIG);
    assert_false(view(&world, &generation));
    close_world(&world);
}

static void an_origin_that_the_keeper_gave_up_gets_nothing(void **state)
{
    static char url[] = "https://api.example.com";
    static char file[] = "https://files.example.com";
    static char *origins[] = {url, file};
    const struct fsh_remote_keeper known = {keeper_socket, {url, origins, 2}};
    const struct fsh_remote_platform less = {url, origins, 1};
    const struct fsh_remote_keeper first = {keeper_socket, {url, origins, 1}};
    const struct fsh_remote_platform more = {url, origins, 2};
    struct freshet_error error;

    (void)state;
    assert_int_equal(fsh_remote_same_platform(&known, &less, &error), FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, file));
    assert_int_equal(fsh_remote_same_platform(&first, &more, &error), FRESHET_OK);
}

/* ---- a keeper that is away ---------------------------------------------------------------- */

static void a_keeper_that_is_away_is_tried_again_within_the_deadline(void **state)
{
    struct world world;
    struct caller caller = {0};

    (void)state;
    open_world(&world, false);
    begin(&world, &caller, FSH_CALL_ENSURE, 20000);
    for (int i = 0; i < 5; i++) {
        vanish(&world, false);
        pass(&world, 1000);
    }
    assert_int_equal(caller.status, 1);
    grant(&world, 5);
    assert_int_equal(caller.status, FRESHET_OK);
    close_world(&world);
}

static void without_a_keeper_callers_are_told_so_at_their_deadline(void **state)
{
    struct world world;
    struct caller caller = {0};

    (void)state;
    open_world(&world, false);
    begin(&world, &caller, FSH_CALL_ENSURE, 3000);
    for (int i = 0; i < 3000; i += 50) {
        if (in_air(&world) > 0)
            vanish(&world, false);
        assert_int_equal(caller.status, 1);
        pass(&world, 50);
    }
    assert_int_equal(caller.status, FRESHET_EUNAVAILABLE);
    assert_non_null(strstr(caller.call.error.message, "nobody there"));
    assert_in_range(world.sent, 4, 20);
    close_world(&world);
}

static void a_usable_token_serves_on_without_a_keeper(void **state)
{
    struct world world;
    struct caller caller = {0};

    (void)state;
    open_live(&world, true);
    pass(&world, HOUR - 300000);
    for (int i = 0; i < 260000; i += 1000) {
        if (in_air(&world) > 0)
            vanish(&world, false);
        begin(&world, &caller, FSH_CALL_ENSURE, 1000);
        assert_int_equal(caller.status, FRESHET_OK);
        pass(&world, 1000);
    }
    assert_in_range(world.sent, 5, 300);
    close_world(&world);
}

/* Its store may have been lost, and another token have the number of ours. */
static void a_keeper_that_came_back_is_asked_without_the_generation_in_hand(void **state)
{
    struct world world;
    struct fsh_request *request;

    (void)state;
    open_live(&world, true);
    pass(&world, HOUR - 300000);
    vanish(&world, true);
    for (int i = 0; i < 310 && in_air(&world) == 0; i++)
        pass(&world, 100);
    request = taken(&world, "GET", BILL "/token");
    assert_int_equal(request->if_generation, 0);
    token(&world, request, 5, 1000, HOUR);
    assert_int_equal(world.session->token->sent_at.ms, world.mono.ms - 1000);
    close_world(&world);
}

/* ---- reports of 401s ---------------------------------------------------------------------- */

static void ten_thousand_reports_are_one(void **state)
{
    struct world world;
    struct caller caller = {0};

    (void)state;
    open_live(&world, false);
    for (int i = 0; i < 10000; i++)
        report(&world, 5);
    /* Until the keeper has judged it, the token is not for new callers. */
    begin(&world, &caller, FSH_CALL_ENSURE, 20000);
    assert_int_equal(caller.status, 1);
    assert_int_equal(world.sent, 2);
    take_report(&world);
    answer(&world, taken(&world, "GET", BILL AT_ONCE), 304, "");
    assert_int_equal(caller.status, FRESHET_OK);
    report(&world, 5);
    assert_int_equal(in_air(&world), 0);
    /* What its probe found out is looked at a little later. */
    pass(&world, 2000);
    token(&world, taken(&world, "GET", BILL AT_ONCE), 6, 0, HOUR);
    assert_int_equal(world.session->token->generation, 6);
    close_world(&world);
}

static void a_token_that_is_judged_dead_is_gone(void **state)
{
    struct world world;
    struct caller caller = {0};
    uint64_t generation;

    (void)state;
    open_live(&world, false);
    report(&world, 5);
    take_report(&world);
    refuse(&world, 401, "FRESHET_EENDED");
    assert_false(view(&world, &generation));
    assert_int_equal(world.note, FSH_NOTE_ENDED);
    begin(&world, &caller, FSH_CALL_ENSURE, 0);
    assert_int_equal(caller.status, FRESHET_EENDED);
    close_world(&world);
}

static void a_401_of_an_old_generation_is_not_reported(void **state)
{
    struct world world;

    (void)state;
    open_live(&world, false);
    report(&world, 4);
    assert_int_equal(world.sent, 1);
    close_world(&world);
}

static void the_same_401_is_reported_again_after_the_pause_of_probes(void **state)
{
    struct world world;

    (void)state;
    open_live(&world, false);
    report(&world, 5);
    take_report(&world);
    unchanged(&world);
    pass(&world, 2000);
    unchanged(&world);
    pass(&world, 28000);
    report(&world, 5);
    take_report(&world);
    close_world(&world);
}

static void a_report_that_nobody_takes_is_kept_and_callers_go_on(void **state)
{
    struct world world;
    struct caller caller = {0};

    (void)state;
    open_live(&world, false);
    report(&world, 5);
    no_answer(&world, taken(&world, "POST", BILL "/unauthorized"), false);
    begin(&world, &caller, FSH_CALL_ENSURE, 20000);
    assert_int_equal(caller.status, FRESHET_OK);
    pass(&world, 31000);
    take_report(&world);
    refuse(&world, 401, "FRESHET_EENDED");
    close_world(&world);
}

/* A program that runs for one request meets a 401, and ends. */
static void a_session_that_closes_delivers_its_report(void **state)
{
    struct world world;

    (void)state;
    open_live(&world, false);
    fsh_engine_unauthorized(world.session, 5);
    fsh_engine_session_close(world.session);
    run(&world);
    assert_false(fsh_engine_empty(world.engine));
    take_report(&world);
    assert_true(fsh_engine_empty(world.engine));
    close_world(&world);
}

/* ---- commands ----------------------------------------------------------------------------- */

static void who_signed_in_finds_the_token(void **state)
{
    struct world world;
    struct caller caller = {0};
    struct fsh_request *request;
    uint64_t generation;

    (void)state;
    open_world(&world, false);
    refuse(&world, 401, "FRESHET_ESIGNEDOUT");
    assert_int_equal(fsh_base_secret_copy("ann", 3, &caller.call.in.username), FRESHET_OK);
    assert_int_equal(fsh_base_secret_copy("pw", 2, &caller.call.in.password), FRESHET_OK);
    begin(&world, &caller, FSH_CALL_SIGN_IN, 20000);
    request = taken(&world, "POST", BILL "/sign-in");
    assert_string_equal(fsh_base_secret_reveal(&request->message.body),
                        "{\"timeout_ms\":19950,\"username\":\"ann\",\"password\":\"pw\"}");
    assert_true(request->fresh_connection);
    answer(&world, request, 200, "{}");
    assert_int_equal(caller.status, 1);
    grant(&world, 1);
    assert_int_equal(caller.status, FRESHET_OK);
    assert_true(view(&world, &generation));
    close_world(&world);
}

static void a_challenge_comes_back_as_its_status(void **state)
{
    struct world world;
    struct caller caller = {0};
    struct caller code = {.call.in.remember_device = true};
    struct fsh_request *request;

    (void)state;
    open_world(&world, false);
    begin(&world, &caller, FSH_CALL_SIGN_IN, 20000);
    problem(&world, taken(&world, "POST", BILL "/sign-in"), 401, "FRESHET_EMFA");
    assert_int_equal(caller.status, FRESHET_EMFA);
    assert_int_equal(fsh_base_secret_copy("123456", 6, &code.call.in.code), FRESHET_OK);
    begin(&world, &code, FSH_CALL_MFA, 20000);
    request = taken(&world, "POST", BILL "/mfa");
    assert_string_equal(fsh_base_secret_reveal(&request->message.body),
                        "{\"timeout_ms\":19950,\"remember_device\":true,\"code\":\"123456\"}");
    problem(&world, request, 401, "FRESHET_EMFACODE");
    assert_int_equal(code.status, FRESHET_EMFACODE);
    close_world(&world);
}

static void a_sign_in_whose_answer_was_lost_is_not_sent_again(void **state)
{
    struct world world;
    struct caller caller = {0};

    (void)state;
    open_live(&world, false);
    begin(&world, &caller, FSH_CALL_SIGN_IN, 20000);
    /* Nobody was there to take it. */
    no_answer(&world, taken(&world, "POST", BILL "/sign-in"), false);
    assert_int_equal(caller.status, 1);
    pass(&world, 100);
    no_answer(&world, taken(&world, "POST", BILL "/sign-in"), true);
    assert_int_equal(caller.status, FRESHET_EOUTCOME);
    pass(&world, 100);
    assert_int_equal(in_air(&world), 0);
    close_world(&world);
}

static void a_sign_out_takes_the_token_away(void **state)
{
    struct world world;
    struct caller caller = {.call.in.hold = true};
    struct fsh_request *request;
    uint64_t generation;

    (void)state;
    open_live(&world, false);
    begin(&world, &caller, FSH_CALL_SIGN_OUT, 20000);
    no_answer(&world, taken(&world, "POST", BILL "/sign-out"), true);
    pass(&world, 100);
    request = taken(&world, "POST", BILL "/sign-out");
    assert_string_equal(fsh_base_secret_reveal(&request->message.body), "{\"hold\":true}");
    answer(&world, request, 204, "");
    assert_int_equal(caller.status, FRESHET_OK);
    assert_false(view(&world, &generation));
    close_world(&world);
}

static void commands_end_when_cancelled_late_or_closed(void **state)
{
    struct world world;
    struct caller cancelled = {0};
    struct caller late = {0};
    struct caller closed = {0};
    struct caller waiting = {0};

    (void)state;
    open_world(&world, false);
    refuse(&world, 401, "FRESHET_ESIGNEDOUT");
    begin(&world, &cancelled, FSH_CALL_MFA_SETTINGS_GET, 20000);
    fsh_engine_call_cancel(&cancelled.call);
    assert_int_equal(cancelled.status, FRESHET_ECANCELED);
    assert_int_equal(in_air(&world), 0);
    begin(&world, &late, FSH_CALL_STATUS, 1000);
    pass(&world, 1000);
    assert_int_equal(late.status, FRESHET_EUNAVAILABLE);
    assert_int_equal(in_air(&world), 0);
    begin(&world, &closed, FSH_CALL_EXPLAIN, 20000);
    begin(&world, &waiting, FSH_CALL_ENSURE, 20000);
    fsh_engine_session_close(world.session);
    assert_int_equal(closed.status, FRESHET_ECLOSED);
    assert_int_equal(waiting.status, FRESHET_ECLOSED);
    close_world(&world);
}

static void a_name_is_fit_for_a_path(void **state)
{
    struct world world;
    struct fsh_session_options options = {.name = "../a%?b", .threshold_ms = 1};
    struct fsh_session *session;

    (void)state;
    open_world(&world, false);
    assert_int_equal(fsh_engine_session_open(world.engine, &options, &session, NULL), FRESHET_OK);
    problem(&world, taken(&world, "GET", "/v1/sessions/%2E%2E%2Fa%25%3Fb/token?"), 404,
            "FRESHET_ENOSESSION");
    close_world(&world);
}

/* ---- documents ---------------------------------------------------------------------------- */

static void documents_are_read(void **state)
{
    static const char status_text[] =
        "{\"name\":\"billing\",\"kind\":\"service\",\"phase\":\"held\",\"status\":\"FRESHET_"
        "EHELD\","
        "\"usable\":false,\"challenge\":\"FRESHET_EMFA\",\"generation\":9,\"usable_ms\":1,"
        "\"expires_ms\":2,\"age_ms\":3,\"next_ms\":4,\"refreshes\":5,\"sign_ins\":6,"
        "\"failures\":7,\"waited\":8,\"ended\":1,\"partners\":2}";
    static const char ledger_text[] =
        "{\"entries\":[{\"number\":1,\"name\":\"refreshed\"},{\"number\":2,\"name\":\"ended\","
        "\"status\":\"FRESHET_EENDED\",\"at_ms\":5,\"value\":6,\"times\":7},"
        "{\"number\":3,\"name\":\"invented\"}]}";
    struct freshet_session_status status;
    struct freshet_ledger_entry entries[2];
    struct freshet_stored_session *list;
    struct fsh_problem told;
    char listed[sizeof(status_text) + 32];
    size_t count;

    (void)state;
    assert_int_equal(fsh_remote_read_status(status_text, strlen(status_text), &status), FRESHET_OK);
    assert_int_equal(status.phase, FRESHET_PHASE_HELD);
    assert_int_equal(status.status, FRESHET_EHELD);
    assert_int_equal(status.challenge, FRESHET_EMFA);
    assert_int_equal(status.freshness.generation, 9);
    assert_int_equal(status.waited, 8);
    assert_int_equal(status.partners, 2);
    assert_int_equal(fsh_remote_read_ledger(ledger_text, strlen(ledger_text), entries, 2, &count),
                     FRESHET_OK);
    assert_int_equal(count, 2);
    assert_string_equal(entries[0].name, "ended");
    assert_int_equal(entries[0].status, FRESHET_EENDED);
    assert_int_equal(entries[0].times, 7);
    assert_string_equal(entries[1].name, "unknown");
    (void)snprintf(listed, sizeof(listed), "{\"sessions\":[%s]}", status_text);
    assert_int_equal(fsh_remote_read_sessions(listed, strlen(listed), &list, &count), FRESHET_OK);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].name, "billing");
    assert_int_equal(list[0].reason, FRESHET_EHELD);
    free(list);
    fsh_remote_read_problem(404, "not found", 9, &told);
    assert_int_equal(told.status, FRESHET_EUNAVAILABLE);
    fsh_remote_read_problem(502, "{\"code\":\"FRESHET_OK\"}", 21, &told);
    assert_int_equal(told.status, FRESHET_EUNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_share_one_fetch),
        cmocka_unit_test(who_waits_hands_the_deadline_on),
        cmocka_unit_test(a_refusal_that_did_not_wait_is_not_the_last_word),
        cmocka_unit_test(below_the_threshold_one_fetches_and_nobody_waits),
        cmocka_unit_test(a_session_in_the_background_follows_its_keeper),
        cmocka_unit_test(nothing_newer_is_asked_for_ever_more_seldom),
        cmocka_unit_test(a_strict_caller_waits_and_takes_what_there_is),
        cmocka_unit_test(a_challenge_does_not_end_the_token_in_hand),
        cmocka_unit_test(a_sign_out_elsewhere_is_met_at_the_next_fetch),
        cmocka_unit_test(what_makes_no_sense_is_not_taken),
        cmocka_unit_test(an_answer_that_names_nothing_ends_nothing),
        cmocka_unit_test(an_earlier_generation_takes_the_place_of_no_later_one),
        cmocka_unit_test(what_a_sign_in_brought_is_taken_whatever_its_number),
        cmocka_unit_test(a_token_of_another_platform_is_not_taken),
        cmocka_unit_test(a_keeper_that_became_another_platforms_ends_the_token),
        cmocka_unit_test(an_origin_that_the_keeper_gave_up_gets_nothing),
        cmocka_unit_test(a_keeper_that_is_away_is_tried_again_within_the_deadline),
        cmocka_unit_test(without_a_keeper_callers_are_told_so_at_their_deadline),
        cmocka_unit_test(a_usable_token_serves_on_without_a_keeper),
        cmocka_unit_test(a_keeper_that_came_back_is_asked_without_the_generation_in_hand),
        cmocka_unit_test(ten_thousand_reports_are_one),
        cmocka_unit_test(a_token_that_is_judged_dead_is_gone),
        cmocka_unit_test(a_401_of_an_old_generation_is_not_reported),
        cmocka_unit_test(the_same_401_is_reported_again_after_the_pause_of_probes),
        cmocka_unit_test(a_report_that_nobody_takes_is_kept_and_callers_go_on),
        cmocka_unit_test(a_session_that_closes_delivers_its_report),
        cmocka_unit_test(who_signed_in_finds_the_token),
        cmocka_unit_test(a_challenge_comes_back_as_its_status),
        cmocka_unit_test(a_sign_in_whose_answer_was_lost_is_not_sent_again),
        cmocka_unit_test(a_sign_out_takes_the_token_away),
        cmocka_unit_test(commands_end_when_cancelled_late_or_closed),
        cmocka_unit_test(a_name_is_fit_for_a_path),
        cmocka_unit_test(documents_are_read),
    };

    json_set_alloc_funcs(json_malloc, free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
