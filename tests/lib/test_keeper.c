/* SPDX-License-Identifier: Apache-2.0 */

/* What is only so over a keeper. The rest of the library's tests run over one, too. */

#include "lib.h"

#include <freshet/admin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct freshet *open_other(const struct world *world)
{
    struct freshet_options options;
    struct freshet *freshet = NULL;

    world_options(world, &options);
    options.url = NULL;
    assert_int_equal(freshet_open(&options, &freshet, NULL), FRESHET_OK);
    return freshet;
}

/* ---- opening ------------------------------------------------------------------------------- */

static void the_url_and_the_origins_are_the_keepers(void **state)
{
    struct world *world = *state;
    struct freshet *other = open_other(world);
    char url[256];

    assert_int_equal(freshet_url_check(other, url_of(world, "/api/x", url), NULL, NULL),
                     FRESHET_OK);
    assert_int_equal(freshet_url_check(other, "https://elsewhere.example.com", NULL, NULL),
                     FRESHET_EORIGIN);
    freshet_close(other);
}

static void another_platforms_keeper_is_refused(void **state)
{
    struct world *world = *state;
    struct freshet_options options;
    struct freshet *freshet = NULL;
    struct freshet_error error = {0};

    world_options(world, &options);
    options.url = "https://elsewhere.example.com";
    assert_int_equal(freshet_open(&options, &freshet, &error), FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, world->server.dev.url));
    options.secrets = "keeper:relative.sock";
    assert_int_equal(freshet_open(&options, &freshet, &error), FRESHET_ECONFIG);
}

static void without_a_keeper_a_handle_opens_if_it_knows_the_url(void **state)
{
    struct world *world = *state;
    struct freshet_options options;
    struct freshet_session *session = NULL;
    struct freshet_demand demand = {.timeout_ms = 300};
    struct freshet *freshet = NULL;
    struct freshet_error error = {0};

    world_options(world, &options);
    options.secrets = "keeper:/nonexistent/control.sock";
    assert_int_equal(freshet_open(&options, &freshet, &error), FRESHET_OK);
    assert_int_equal(freshet_session_open(freshet, "ann", NULL, &session, NULL), FRESHET_OK);
    assert_int_equal(freshet_ensure_fresh(session, &demand, NULL, &error), FRESHET_EUNAVAILABLE);
    assert_non_null(strstr(error.message, "freshetd"));
    freshet_close(freshet);
    options.url = NULL;
    assert_int_equal(freshet_open(&options, &freshet, &error), FRESHET_EUNAVAILABLE);
}

/* Rule 13: what could not be compared at the opening is compared with each token. */
static void a_keeper_that_was_away_is_compared_when_it_answers(void **state)
{
    struct world *world = *state;
    struct freshet_options options;
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    struct freshet_session *other = NULL;
    const struct freshet_headers *headers = NULL;
    struct freshet *freshet = NULL;
    struct freshet_error error = {0};

    freshet_session_close(session);
    keeper_kill(&world->keeper);
    world_options(world, &options);
    options.url = "https://elsewhere.example.com";
    assert_int_equal(freshet_open(&options, &freshet, NULL), FRESHET_OK);
    assert_int_equal(freshet_session_open(freshet, "svc-demo", NULL, &other, NULL), FRESHET_OK);
    keeper_restart(&world->keeper);
    session = open_signed_in(world, "svc-demo");
    assert_int_equal(freshet_ensure_fresh(other, NULL, NULL, &error), FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, options.url));
    assert_non_null(strstr(error.message, world->server.dev.url));
    assert_int_equal(freshet_headers_get(other, NULL, &headers, NULL), FRESHET_EUNAVAILABLE);
    freshet_close(freshet);
    freshet_session_close(session);
}

static void a_keeper_that_became_another_platforms_gives_no_header(void **state)
{
    struct world *world = *state;
    struct freshet *freshet = open_other(world); /* takes the origins over */
    struct freshet_session *session = NULL;
    struct devserver elsewhere = {0};
    struct freshet_error error = {0};
    long requests;
    char url[256];

    assert_int_equal(freshet_session_open(freshet, "ann", NULL, &session, NULL), FRESHET_OK);
    devserver_start(&elsewhere, "http", NULL);
    keeper_kill(&world->keeper);
    keeper_restart_for(&world->keeper, elsewhere.dev.url);
    assert_int_equal(freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, &error),
                     FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, elsewhere.dev.url));
    requests = devserver_counter(&world->server, "requests");
    assert_int_equal(get(session, url_of(world, "/api/x", url), NULL, &error), FRESHET_ECONFIG);
    assert_int_equal(devserver_counter(&world->server, "requests"), requests);
    freshet_close(freshet);
    devserver_stop(&elsewhere);
}

/* ---- sessions ------------------------------------------------------------------------------ */

static void two_handles_have_one_session(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    struct freshet *other = open_other(world);
    struct freshet_session *theirs = NULL;
    struct freshet_stored_session *list = NULL;
    struct freshet_options options;
    struct freshet_demand strict = {.min_valid_ms = 3600000};
    size_t count = 0;

    assert_int_equal(freshet_session_open(other, "svc-demo", NULL, &theirs, NULL), FRESHET_OK);
    assert_int_equal(freshet_ensure_fresh(theirs, NULL, NULL, NULL), FRESHET_OK);
    assert_int_equal(devserver_counter(&world->server, "sign_ins"), 1);
    world_options(world, &options);
    assert_int_equal(freshet_sessions_list(&options, &list, &count, NULL), FRESHET_OK);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, "svc-demo") == 0)
            assert_int_equal(list[i].phase, FRESHET_PHASE_LIVE);
    }
    assert_true(count >= 1);
    free(list);
    /* A sign-out elsewhere is met at the next fetch. */
    assert_int_equal(freshet_sign_out(theirs, true, NULL), FRESHET_OK);
    (void)freshet_ensure_fresh(session, &strict, NULL, NULL);
    assert_int_equal(freshet_unauthorized(session, 1), FRESHET_OK);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, NULL), FRESHET_EHELD);
    freshet_close(other);
}

static void a_killed_keeper_leaves_the_token_and_comes_back(void **state)
{
    struct world *world = *state;
    struct freshet_session *session = open_signed_in(world, "svc-demo");
    struct freshet_session_status status;
    char url[256];

    keeper_kill(&world->keeper);
    for (int i = 0; i < 20; i++)
        assert_int_equal(get(session, url_of(world, "/api/x", url), NULL, NULL), 200);
    assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_EUNAVAILABLE);
    keeper_restart(&world->keeper);
    /* Its store was in memory. */
    assert_int_equal(freshet_sign_in(session, "svc-two", DEV_PASSWORD, 0, NULL), FRESHET_OK);
    assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
    assert_true(status.usable);
    freshet_session_close(session);
}

/* Its name, password and partner are in the keeper's configuration alone. */
static void a_service_needs_no_credentials_here(void **state)
{
    struct world world = {0};
    struct freshet_options options;
    struct freshet_session *session = NULL;
    const struct freshet_headers *headers = NULL;
    char path[] = P_tmpdir "/freshet-test-password-XXXXXX";
    char more[256];
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, DEV_PASSWORD "\n", sizeof(DEV_PASSWORD)), sizeof(DEV_PASSWORD));
    (void)close(fd);
    devserver_start(&world.server, "http", NULL);
    (void)snprintf(
        more, sizeof(more),
        "[session billing]\nusername = svc-demo\npassword_file = %s\npartner_id = fd42\n", path);
    keeper_start(&world.keeper, world.server.dev.url, more);
    world_options(&world, &options);
    assert_int_equal(freshet_open(&options, &world.freshet, NULL), FRESHET_OK);
    assert_int_equal(freshet_session_open(world.freshet, "billing", NULL, &session, NULL), 0);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, NULL), FRESHET_OK);
    assert_int_equal(freshet_headers_get(session, NULL, &headers, NULL), FRESHET_OK);
    assert_string_equal(headers->list[1].value, "fd42");
    freshet_headers_unref(headers);
    freshet_close(world.freshet);
    keeper_stop(&world.keeper);
    devserver_stop(&world.server);
    (void)unlink(path);
}

#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WORLD(the_url_and_the_origins_are_the_keepers),
        WITH_WORLD(another_platforms_keeper_is_refused),
        WITH_WORLD(without_a_keeper_a_handle_opens_if_it_knows_the_url),
        WITH_WORLD(a_keeper_that_was_away_is_compared_when_it_answers),
        WITH_WORLD(a_keeper_that_became_another_platforms_gives_no_header),
        WITH_WORLD(two_handles_have_one_session),
        WITH_WORLD(a_killed_keeper_leaves_the_token_and_comes_back),
        cmocka_unit_test(a_service_needs_no_credentials_here),
    };

    cmocka_set_test_filter(getenv("TEST_FILTER"));
    return cmocka_run_group_tests_name("keeper", tests, NULL, NULL);
}
