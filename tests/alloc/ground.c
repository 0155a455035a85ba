/* SPDX-License-Identifier: Apache-2.0 */
#include "ground.h"

#include "core/random.h"

#include <freshet/status.h>

/* More posts at one moment are a loop without an end. */
#define POSTS_MAX 200

static struct fsh_now io_now(void *data)
{
    struct ground *ground = data;

    return (struct fsh_now){
        ground->mono, {INT64_C(1800000000000) + ground->mono.ms}, fsh_core_draw(&ground->random)};
}

static void io_post(void *data, struct fsh_post *post)
{
    struct ground *ground = data;

    post->next = NULL;
    *ground->last = post;
    ground->last = &post->next;
}

static int io_send(void *data, struct fsh_request *request)
{
    struct ground *ground = data;

    assert_true(ground->request_count < GROUND_REQUESTS);
    ground->requests[ground->request_count++] = request;
    return FRESHET_OK;
}

static void io_cancel(void *data, struct fsh_request *request)
{
    struct ground *ground = data;
    unsigned kept = 0;

    for (unsigned i = 0; i < ground->request_count; i++) {
        if (ground->requests[i] != request)
            ground->requests[kept++] = ground->requests[i];
    }
    ground->request_count = kept;
}

void ground_begin(struct ground *ground, bool (*answer)(void *data), void *data)
{
    *ground = (struct ground){.mono.ms = 1000, .answer = answer, .data = data};
    ground->last = &ground->first;
}

struct fsh_io ground_io(struct ground *ground)
{
    return (struct fsh_io){
        .data = ground,
        .now = io_now,
        .boot = 1,
        .post = io_post,
        .send = io_send,
        .cancel = io_cancel,
    };
}

struct fsh_request *ground_take(struct ground *ground)
{
    struct fsh_request *request = ground->requests[0];

    assert_true(ground->request_count > 0);
    io_cancel(ground, request);
    return request;
}

void ground_settle(struct ground *ground)
{
    unsigned posts = 0;

    do {
        while (ground->first) {
            struct fsh_post *post = ground->first;

            assert_true(posts++ < POSTS_MAX);
            ground->first = post->next;
            if (!ground->first)
                ground->last = &ground->first;
            post->run(post);
        }
        fsh_engine_run(ground->engine);
    } while (ground->first || ground->answer(ground->data));
}

void ground_pass(struct ground *ground, int64_t ms)
{
    struct fsh_mono end = fsh_mono_add(ground->mono, ms);
    unsigned rounds = 0;

    ground_settle(ground);
    while (fsh_engine_wake_at(ground->engine).ms <= end.ms) {
        assert_true(rounds++ < 5000);
        ground->mono = fsh_mono_max(ground->mono, fsh_engine_wake_at(ground->engine));
        ground_settle(ground);
    }
    ground->mono = end;
    ground_settle(ground);
}

static void done(struct fsh_call *call)
{
    struct ground *ground = call->data;

    assert_true(ground->in_air > 0);
    ground->in_air--;
    ground->status = call->status;
    if (call->status != FRESHET_OK)
        assert_true(call->error.status == call->status && call->error.message[0] != '\0');
    fsh_base_secret_done(&call->mfa.qr_uri);
    fsh_base_secret_done(&call->mfa.qr_secret);
    fsh_base_secret_done(&call->answer);
}

int ground_call(struct ground *ground, struct fsh_call *call)
{
    call->done = done;
    call->data = ground;
    call->deadline = fsh_mono_add(ground->mono, FSH_CALL_MS);
    ground->in_air++;
    fsh_engine_call(call);
    ground_settle(ground);
    while (ground->in_air > 0) {
        assert_true(ground->mono.ms < call->deadline.ms);
        ground_pass(ground, 1000);
    }
    return ground->status;
}

void ground_end(struct ground *ground)
{
    if (ground->engine) {
        fsh_engine_close_all(ground->engine);
        ground_pass(ground, FSH_EXCHANGE_MS);
        assert_true(fsh_engine_empty(ground->engine));
        fsh_engine_free(ground->engine);
    }
    assert_int_equal(ground->request_count, 0);
}
