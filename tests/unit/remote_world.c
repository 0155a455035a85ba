/* SPDX-License-Identifier: Apache-2.0 */
#include "remote_world.h"

#include <freshet/status.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char keeper_socket[] = "/run/freshet/control.sock";
static char keeper_url[] = "https://api.example.com/v2";
static char keeper_origin[] = "https://api.example.com:443";
static char *keeper_origins[] = {keeper_origin};
static const struct fsh_remote_keeper keeper = {
    keeper_socket,
    {keeper_url, keeper_origins, 1},
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

void run(struct world *world)
{
    for (unsigned i = 0; i < world->posts; i++)
        world->waiting[i]->run(world->waiting[i]);
    world->posts = 0;
    fsh_engine_run(world->engine);
}

void pass(struct world *world, int64_t ms)
{
    struct fsh_mono to = fsh_mono_add(world->mono, ms);

    for (int i = 0; i < 10000 && fsh_engine_wake_at(world->engine).ms <= to.ms; i++) {
        world->mono = fsh_mono_max(world->mono, fsh_engine_wake_at(world->engine));
        run(world);
    }
    world->mono = to;
    run(world);
}

struct fsh_request *taken(struct world *world, const char *method, const char *path)
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

unsigned in_air(const struct world *world)
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

void answer(struct world *world, struct fsh_request *request, int http, const char *body)
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

void problem(struct world *world, struct fsh_request *request, int http, const char *code)
{
    char body[256];

    (void)snprintf(body, sizeof(body),
                   "{\"code\":\"%s\",\"detail\":\"session billing: so it is\","
                   "\"platform_code\":\"X\",\"retry_after_ms\":1234}",
                   code);
    answer(world, request, http, body);
}

void no_answer(struct world *world, struct fsh_request *request, bool sent)
{
    struct fsh_reply reply = {.sent = sent, .failure = "nobody there", .body = ""};

    fsh_engine_answered(request, &reply);
    run(world);
}

void token_of(struct world *world, struct fsh_request *request, int generation, int64_t age,
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

void token(struct world *world, struct fsh_request *request, int generation, int64_t age,
           int64_t lifetime)
{
    token_of(world, request, generation, age, lifetime, PLACE);
}

void grant(struct world *world, int generation)
{
    token(world, taken(world, "GET", BILL "/token"), generation, 0, HOUR);
}

void refuse(struct world *world, int http, const char *code)
{
    problem(world, taken(world, "GET", BILL "/token"), http, code);
}

void unchanged(struct world *world)
{
    answer(world, taken(world, "GET", BILL "/token"), 304, "");
}

void vanish(struct world *world, bool sent)
{
    no_answer(world, taken(world, "GET", BILL "/token"), sent);
}

void report(struct world *world, uint64_t generation)
{
    fsh_engine_unauthorized(world->session, generation);
    run(world);
}

void take_report(struct world *world)
{
    answer(world, taken(world, "POST", BILL "/unauthorized"), 204, "");
}

static void call_done(struct fsh_call *call)
{
    struct caller *caller = call->data;

    caller->status = call->status;
    caller->world->callers--;
}

void begin(struct world *world, struct caller *caller, enum fsh_call_kind kind, int64_t ms)
{
    world->callers++;
    caller->world = world;
    caller->status = 1;
    caller->call.kind = kind;
    caller->call.session = world->session;
    caller->call.deadline = fsh_mono_add(world->mono, ms);
    caller->call.done = call_done;
    caller->call.data = caller;
    fsh_engine_call(&caller->call);
    run(world);
}

void open_world(struct world *world, bool background)
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

    json_set_alloc_funcs(json_malloc, free);
    *world = (struct world){.mono = {1000000}};
    assert_int_equal(fsh_engine_new(&options, &io, &world->engine), FRESHET_OK);
    assert_int_equal(fsh_engine_session_open(world->engine, &session, &world->session, NULL),
                     FRESHET_OK);
    run(world);
}

void close_world(struct world *world)
{
    fsh_engine_close_all(world->engine);
    run(world);
    fsh_engine_abandon(world->engine);
    run(world);
    assert_true(fsh_engine_empty(world->engine));
    assert_int_equal(in_air(world), 0);
    fsh_engine_free(world->engine);
}

void open_live(struct world *world, bool background)
{
    open_world(world, background);
    token(world, taken(world, "GET", BILL AT_ONCE), 5, 0, HOUR);
}

bool view(const struct world *world, uint64_t *ret_generation)
{
    struct fsh_freshness times;

    return fsh_engine_view(world->session, ret_generation, &times);
}

void begin_strict(struct world *world, struct caller *caller)
{
    caller->call.min_valid_ms = 600000;
    pass(world, HOUR - 500000);
    begin(world, caller, FSH_CALL_ENSURE, 5000);
}

int world_begin(void **state)
{
    static struct world world;

    world = (struct world){0};
    *state = &world;
    return 0;
}

int world_end(void **state)
{
    assert_int_equal(((struct world *)*state)->callers, 0);
    close_world(*state);
    return 0;
}
