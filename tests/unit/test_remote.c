/* SPDX-License-Identifier: Apache-2.0 */

/* The tokens of a keeper's session: when they are asked for, which are taken, and what callers are
 * told meanwhile. */

#include "remote_world.h"

#include <freshet/status.h>
#include <string.h>

/* ---- fetching ---------------------------------------------------------------------------- */

static void callers_share_one_fetch(void **state)
{
    struct world *world = *state;
    struct caller callers[100] = {0};
    uint64_t generation = 0;

    open_world(world, false);
    for (int i = 0; i < 100; i++)
        begin(world, &callers[i], FSH_CALL_ENSURE, 20000);
    assert_int_equal(world->sent, 1);
    token(world, taken(world, "GET", BILL "/token"), 5, 1000, HOUR);
    for (int i = 0; i < 100; i++)
        assert_int_equal(callers[i].status, FRESHET_OK);
    assert_int_equal(world->sent, 1);
    assert_true(view(world, &generation));
    assert_int_equal(generation, 5);
    assert_string_equal(fsh_base_secret_reveal(&world->session->token->authorization), "Bearer t5");
    assert_string_equal(world->session->token->preset, "fd2");
    /* Its age is the keeper's: a second of its hour has gone. */
    assert_int_equal(world->session->token->sent_at.ms, world->mono.ms - 1000);
}

static void who_waits_hands_the_deadline_on(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};

    open_world(world, false);
    refuse(world, 401, "FRESHET_EENDED");
    begin(world, &caller, FSH_CALL_ENSURE, 20000);
    problem(world, taken(world, "GET", BILL "/token?min_valid_ms=0&timeout_ms=19950"), 403,
            "FRESHET_EHELD");
    assert_int_equal(caller.status, FRESHET_EHELD);
    assert_string_equal(caller.call.error.message, "session billing: so it is");
    assert_string_equal(caller.call.error.code, "X");
    assert_int_equal(caller.call.error.retry_after_ms, 1234);
    assert_int_equal(in_air(world), 0);
}

static void a_refusal_that_did_not_wait_is_not_the_last_word(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};

    open_world(world, false);
    begin(world, &caller, FSH_CALL_ENSURE, 20000);
    problem(world, taken(world, "GET", BILL AT_ONCE), 401, "FRESHET_EENDED");
    assert_int_equal(caller.status, 1);
    token(world, taken(world, "GET", BILL "/token?min_valid_ms=0&timeout_ms=19950"), 6, 0, HOUR);
    assert_int_equal(caller.status, FRESHET_OK);
}

static void below_the_threshold_one_fetches_and_nobody_waits(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};
    struct fsh_request *request;

    open_live(world, false);
    pass(world, HOUR - 250000);
    assert_int_equal(in_air(world), 0);
    for (int i = 0; i < 100; i++)
        fsh_engine_poke(world->session);
    run(world);
    assert_int_equal(world->sent, 2);
    begin(world, &caller, FSH_CALL_ENSURE, 20000);
    assert_int_equal(caller.status, FRESHET_OK);
    request = taken(world, "GET", BILL "/token?min_valid_ms=300001&timeout_ms=14950");
    assert_int_equal(request->if_generation, 5);
    token(world, request, 6, 0, HOUR);
    assert_int_equal(world->session->token->generation, 6);
    assert_int_equal(world->sent, 2);
}

static void a_session_in_the_background_follows_its_keeper(void **state)
{
    struct world *world = *state;

    open_live(world, true);
    /* It refreshes when nine tenths have passed; all who follow do not come at once. */
    pass(world, HOUR - HOUR / 10 - 1);
    assert_int_equal(in_air(world), 0);
    pass(world, 2001);
    token(world, taken(world, "GET", BILL "/token"), 6, 30000, HOUR);
    assert_int_equal(world->session->token->generation, 6);
}

static void nothing_newer_is_asked_for_ever_more_seldom(void **state)
{
    struct world *world = *state;
    unsigned sent;

    open_live(world, true);
    pass(world, HOUR - 300000);
    sent = world->sent - in_air(world);
    for (int i = 0; i < 300000 - 30000; i += 100) {
        if (in_air(world) > 0)
            unchanged(world);
        pass(world, 100);
    }
    assert_in_range(world->sent - sent, 5, 60);
    assert_int_equal(world->session->token->generation, 5);
}

static void a_strict_caller_waits_and_takes_what_there_is(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};

    open_live(world, false);
    begin_strict(world, &caller);
    problem(world, taken(world, "GET", BILL "/token?min_valid_ms=600000&timeout_ms=4950"), 503,
            "FRESHET_EUNAVAILABLE");
    assert_int_equal(caller.status, FRESHET_OK);
}

/* A service that is parked serves its token to the end. */
static void a_challenge_does_not_end_the_token_in_hand(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};
    uint64_t generation;

    open_live(world, false);
    begin_strict(world, &caller);
    problem(world, taken(world, "GET", BILL "/token?min_valid_ms=600000"), 503,
            "FRESHET_EOPERATOR");
    assert_int_equal(caller.status, 1);
    answer(world, taken(world, "GET", BILL AT_ONCE), 304, "");
    assert_int_equal(caller.status, FRESHET_OK);
    assert_true(view(world, &generation));
}

static void a_sign_out_elsewhere_is_met_at_the_next_fetch(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};
    uint64_t generation;

    open_live(world, false);
    begin_strict(world, &caller);
    problem(world, taken(world, "GET", BILL "/token?min_valid_ms=600000"), 403, "FRESHET_EHELD");
    problem(world, taken(world, "GET", BILL AT_ONCE), 403, "FRESHET_EHELD");
    assert_false(view(world, &generation));
    assert_int_equal(world->note, FSH_NOTE_SIGNED_OUT);
    refuse(world, 403, "FRESHET_EHELD");
    assert_int_equal(caller.status, FRESHET_EHELD);
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
        struct caller caller = {0};
        struct caller command = {0};

        open_live(&world, false);
        begin_strict(&world, &caller);
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
    struct world *world = *state;
    struct caller caller = {0};

    open_live(world, false);
    begin_strict(world, &caller);
    grant(world, 4);
    assert_int_equal(caller.status, FRESHET_OK);
    assert_int_equal(world->session->token->generation, 5);
    /* With nothing usable in hand, there is no place to keep. */
    pass(world, 500000);
    caller = (struct caller){0};
    begin(world, &caller, FSH_CALL_ENSURE, 5000);
    grant(world, 4);
    assert_int_equal(caller.status, FRESHET_OK);
    assert_int_equal(world->session->token->generation, 4);
}

/* Of a keeper that lost its store: what was signed in counts, not what was before. */
static void what_a_sign_in_brought_is_taken_whatever_its_number(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};
    struct fsh_request *request;

    open_live(world, false);
    begin(world, &caller, FSH_CALL_SIGN_IN, 5000);
    answer(world, taken(world, "POST", BILL "/sign-in"), 200, "{}");
    request = taken(world, "GET", BILL "/token");
    assert_int_equal(request->if_generation, 0);
    token(world, request, 1, 0, HOUR);
    assert_int_equal(caller.status, FRESHET_OK);
    assert_int_equal(world->session->token->generation, 1);
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
    struct world *world = *state;
    struct caller caller = {0};
    struct caller second = {0};
    uint64_t generation;

    open_live(world, false);
    begin_strict(world, &caller);
    token_of(world, taken(world, "GET", BILL "/token"), 6, 0, HOUR,
             "{\"url\":\"https://other.example.com\",\"origins\":[]}");
    assert_int_equal(caller.status, FRESHET_ECONFIG);
    assert_false(view(world, &generation));
    assert_int_equal(world->note, FSH_NOTE_ENDED);
    /* Nor does who signs in with it get anything. */
    begin(world, &second, FSH_CALL_SIGN_IN, 5000);
    answer(world, taken(world, "POST", BILL "/sign-in"), 200, "{}");
    token_of(world, taken(world, "GET", BILL "/token"), 7, 0, HOUR,
             "{\"url\":\"https://other.example.com\",\"origins\":[]}");
    assert_int_equal(second.status, FRESHET_ECONFIG);
    assert_false(view(world, &generation));
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
    struct world *world = *state;
    struct caller caller = {0};

    open_world(world, false);
    begin(world, &caller, FSH_CALL_ENSURE, 20000);
    for (int i = 0; i < 5; i++) {
        vanish(world, false);
        pass(world, 1000);
    }
    assert_int_equal(caller.status, 1);
    grant(world, 5);
    assert_int_equal(caller.status, FRESHET_OK);
}

static void without_a_keeper_callers_are_told_so_at_their_deadline(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};

    open_world(world, false);
    begin(world, &caller, FSH_CALL_ENSURE, 3000);
    for (int i = 0; i < 3000; i += 50) {
        if (in_air(world) > 0)
            vanish(world, false);
        assert_int_equal(caller.status, 1);
        pass(world, 50);
    }
    assert_int_equal(caller.status, FRESHET_EUNAVAILABLE);
    assert_non_null(strstr(caller.call.error.message, "nobody there"));
    assert_in_range(world->sent, 4, 20);
}

static void a_usable_token_serves_on_without_a_keeper(void **state)
{
    struct world *world = *state;
    struct caller caller = {0};

    open_live(world, true);
    pass(world, HOUR - 300000);
    for (int i = 0; i < 260000; i += 1000) {
        if (in_air(world) > 0)
            vanish(world, false);
        begin(world, &caller, FSH_CALL_ENSURE, 1000);
        assert_int_equal(caller.status, FRESHET_OK);
        pass(world, 1000);
    }
    assert_in_range(world->sent, 5, 300);
}

/* Its store may have been lost, and another token have the number of ours. */
static void a_keeper_that_came_back_is_asked_without_the_generation_in_hand(void **state)
{
    struct world *world = *state;
    struct fsh_request *request;

    open_live(world, true);
    pass(world, HOUR - 300000);
    vanish(world, true);
    for (int i = 0; i < 310 && in_air(world) == 0; i++)
        pass(world, 100);
    request = taken(world, "GET", BILL "/token");
    assert_int_equal(request->if_generation, 0);
    token(world, request, 5, 1000, HOUR);
    assert_int_equal(world->session->token->sent_at.ms, world->mono.ms - 1000);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(callers_share_one_fetch),
        CASE(who_waits_hands_the_deadline_on),
        CASE(a_refusal_that_did_not_wait_is_not_the_last_word),
        CASE(below_the_threshold_one_fetches_and_nobody_waits),
        CASE(a_session_in_the_background_follows_its_keeper),
        CASE(nothing_newer_is_asked_for_ever_more_seldom),
        CASE(a_strict_caller_waits_and_takes_what_there_is),
        CASE(a_challenge_does_not_end_the_token_in_hand),
        CASE(a_sign_out_elsewhere_is_met_at_the_next_fetch),
        cmocka_unit_test(what_makes_no_sense_is_not_taken),
        cmocka_unit_test(an_answer_that_names_nothing_ends_nothing),
        CASE(an_earlier_generation_takes_the_place_of_no_later_one),
        CASE(what_a_sign_in_brought_is_taken_whatever_its_number),
        cmocka_unit_test(a_token_of_another_platform_is_not_taken),
        CASE(a_keeper_that_became_another_platforms_ends_the_token),
        cmocka_unit_test(an_origin_that_the_keeper_gave_up_gets_nothing),
        CASE(a_keeper_that_is_away_is_tried_again_within_the_deadline),
        CASE(without_a_keeper_callers_are_told_so_at_their_deadline),
        CASE(a_usable_token_serves_on_without_a_keeper),
        CASE(a_keeper_that_came_back_is_asked_without_the_generation_in_hand),
    };

    return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
