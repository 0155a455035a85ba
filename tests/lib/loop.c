/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <stdlib.h>

static size_t discard(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes;
    (void)data;
    return size * count;
}

int loop_setup(void **state)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    void *world = NULL;

    if (!loop || world_setup(&world) != 0)
        return -1;
    loop->world = world;
    loop->curl = curl_multi_init();
    *state = loop;
    return freshet_multi_new(loop->curl, &loop->multi, NULL);
}

int loop_teardown(void **state)
{
    struct loop *loop = *state;
    void *world = loop->world;

    freshet_multi_free(loop->multi);
    (void)curl_multi_cleanup(loop->curl);
    free(loop);
    return world_teardown(&world);
}

CURL *easy_new(const struct loop *loop, const char *path)
{
    CURL *easy = curl_easy_init();
    char url[256];

    assert_non_null(easy);
    (void)curl_easy_setopt(easy, CURLOPT_URL,
                           path[0] == '/' ? url_of(loop->world, path, url) : path);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    return easy;
}

void add(struct loop *loop, struct freshet_session *session, CURL *easy)
{
    struct freshet_error error = {0};

    if (freshet_multi_add(loop->multi, session, easy, NULL, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
}

int turn(struct loop *loop, struct freshet_multi_message *ret_message)
{
    struct curl_waitfd extra = {.fd = freshet_multi_fd(loop->multi), .events = CURL_WAIT_POLLIN};
    int running;

    (void)curl_multi_poll(loop->curl, &extra, 1, 50, NULL);
    (void)curl_multi_perform(loop->curl, &running);
    return freshet_multi_info_read(loop->multi, ret_message);
}

int until_message(struct loop *loop, struct freshet_multi_message *ret_message)
{
    for (int turns = 0; turns < 5000; turns++) {
        if (turn(loop, ret_message) == 1)
            return ret_message->status;
    }
    fail_msg("nothing is handed back");
    return 0;
}

long http_status_of(CURL *easy)
{
    long http_status = 0;

    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http_status);
    return http_status;
}

long until_answer(struct loop *loop, CURL *easy)
{
    struct freshet_multi_message message = {0};
    int status = until_message(loop, &message);

    assert_ptr_equal(message.easy, easy);
    return status == FRESHET_OK ? http_status_of(easy) : status;
}

void assert_idle(struct loop *loop)
{
    struct freshet_multi_message message;

    assert_int_equal(freshet_multi_count(loop->multi), 0);
    assert_int_equal(turn(loop, &message), 0);
}
