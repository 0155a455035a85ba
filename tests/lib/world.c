/* SPDX-License-Identifier: Apache-2.0 */
#include "lib.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void sleep_ms(long ms)
{
    struct timespec pause = {ms / 1000, (ms % 1000) * 1000000};

    (void)nanosleep(&pause, NULL);
}

struct freshet_session *open_person(struct world *world, const char *name)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session *session = NULL;

    options.on_demand = true;
    assert_int_equal(freshet_session_open(world->freshet, name, &options, &session, NULL),
                     FRESHET_OK);
    return session;
}

struct freshet_session *open_signed_in(struct world *world, const char *username)
{
    struct freshet_session *session = open_person(world, username);
    struct freshet_error error = {0};

    if (freshet_sign_in(session, username, DEV_PASSWORD, 0, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    return session;
}

struct freshet_session *open_used_up(struct world *world, const char *username)
{
    struct freshet_session *session;

    devserver_control(&world->server, "PUT", "/_dev/lifetime", "{\"seconds\": 1.3}");
    session = open_signed_in(world, username);
    devserver_control(&world->server, "PUT", "/_dev/lifetime", "{\"seconds\": 3600}");
    until_unusable(session);
    return session;
}

void delay_refreshes(struct world *world, int ms)
{
    char fault[128];

    (void)snprintf(fault, sizeof(fault),
                   "{\"match\": \"/auth/refresh_token\", \"count\": -1, \"kind\": \"latency\","
                   " \"ms\": %d}",
                   ms);
    devserver_control(&world->server, "POST", "/_dev/faults", fault);
}

static size_t discard(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes;
    (void)data;
    return size * count;
}

long get(struct freshet_session *session, const char *url,
         const struct freshet_curl_request *request, struct freshet_error *error)
{
    CURL *easy = curl_easy_init();
    long http_status = 0;
    int status;

    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    status = freshet_curl_perform(session, easy, request, NULL, error);
    if (status == FRESHET_OK)
        (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http_status);
    curl_easy_cleanup(easy);
    return status == FRESHET_OK ? http_status : status;
}

const char *url_of(const struct world *world, const char *path, char ret_url[256])
{
    (void)snprintf(ret_url, 256, "%s%s", world->server.dev.url, path);
    return ret_url;
}

void until_unusable(struct freshet_session *session)
{
    struct freshet_session_status status;

    assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
    while (status.usable) {
        sleep_ms((long)status.freshness.usable_ms + 1);
        assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
    }
}

void until_refreshes(struct freshet_session *session, uint64_t count)
{
    struct freshet_session_status status;

    for (int tries = 0; tries < 6000; tries++) {
        assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
        if (status.refreshes + status.failures >= count)
            return;
        sleep_ms(5);
    }
    fail_msg("no refresh in half a minute");
}

void until_readable(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&ready, 1, 30000), 1);
}

/* A quarter of the token's life. */
void until_below_threshold(struct freshet_session *session)
{
    struct freshet_session_status status;
    int64_t life;

    assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
    life = status.age_ms + status.freshness.expires_ms;
    sleep_ms((long)(status.freshness.expires_ms - life / 4 + 5));
}

void world_options(const struct world *world, struct freshet_options *ret_options)
{
    *ret_options = (struct freshet_options)FRESHET_OPTIONS_INIT;
    ret_options->url = world->server.dev.url;
    if (keeper_wanted())
        ret_options->secrets = world->keeper.secrets;
}

/* A keeper refreshes ahead whatever its configuration does not say otherwise of. */
static const char refreshed_when_used[] = "[session svc-demo]\non_demand = yes\n"
                                          "[session svc-two]\non_demand = yes\n"
                                          "[session load-1]\non_demand = yes\n"
                                          "[session load-2]\non_demand = yes\n"
                                          "[session ann]\non_demand = yes\n";

bool embedded_only(const char *why)
{
    if (keeper_wanted())
        print_message("# not over a keeper: %s\n", why);
    return keeper_wanted();
}

int world_setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet_error error = {0};

    if (!world)
        return -1;
    devserver_start(&world->server, "http", NULL);
    if (keeper_wanted())
        keeper_start(&world->keeper, world->server.dev.url, refreshed_when_used);
    world_options(world, &options);
    if (freshet_open(&options, &world->freshet, &error) != FRESHET_OK) {
        print_message("%s\n", error.message);
        return -1;
    }
    *state = world;
    return 0;
}

int world_teardown(void **state)
{
    struct world *world = *state;

    freshet_close(world->freshet);
    if (keeper_wanted())
        keeper_stop(&world->keeper);
    devserver_stop(&world->server);
    free(world);
    return 0;
}
