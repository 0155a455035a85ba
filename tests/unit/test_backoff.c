/* SPDX-License-Identifier: Apache-2.0 */

/* Rules 6 and 8: windows that double, the gate of a platform. */

#include "base/bounds.h"
#include "core/backoff.h"
#include "core/random.h"
#include "core/session.h"
#include "unit.h"

#include <freshet/status.h>

static struct fsh_mono at(int64_t ms)
{
    return (struct fsh_mono){ms};
}

static void windows_double_from_one_second_to_thirty(void **state)
{
    static const int64_t windows[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    uint64_t seed = 3;

    (void)state;
    for (uint32_t failures = 1; failures <= 8; failures++) {
        int64_t most = 0;

        for (int i = 0; i < 20000; i++) {
            int64_t pause = fsh_core_backoff_ms(failures, fsh_core_draw(&seed));

            assert_in_range(pause, 0, windows[failures - 1]);
            most = pause > most ? pause : most;
        }
        assert_in_range(most, windows[failures - 1] * 9 / 10, windows[failures - 1]);
    }
    assert_in_range(fsh_core_backoff_ms(UINT32_MAX, 12345), 0, 30000);
}

static void refused_credentials_pause_from_30_seconds_to_15_minutes(void **state)
{
    static const int64_t pauses[] = {30000, 60000, 120000, 240000, 480000, 900000, 900000};

    (void)state;
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(fsh_core_refused_ms(i + 1, 30000), pauses[i]);
}

static void a_gate_that_never_failed_is_open(void **state)
{
    struct fsh_gate gate = {0};

    (void)state;
    fsh_core_gate_enter(&gate, at(1000));
    assert_true(fsh_core_gate_opens(&gate).ms <= 1000);
    assert_false(fsh_core_gate_worked(&gate));
}

static void while_the_platform_fails_one_at_a_time_tries_it(void **state)
{
    struct fsh_gate gate = {0};

    (void)state;
    fsh_core_gate_failed(&gate, at(0), -1, 500);
    assert_int_equal(fsh_core_gate_opens(&gate).ms, 500);
    fsh_core_gate_enter(&gate, at(500));
    assert_true(fsh_core_gate_opens(&gate).ms > 15000);
    assert_int_equal(fsh_core_gate_news(&gate).ms, 500);
    assert_true(fsh_core_gate_leave(&gate));
    assert_int_equal(fsh_core_gate_opens(&gate).ms, 500);
    assert_false(fsh_core_gate_failed(&gate, at(500), -1, 500));
    fsh_core_gate_enter(&gate, at(2000));
    assert_true(fsh_core_gate_failed(&gate, at(2000), -1, 500));
    assert_true(fsh_core_gate_worked(&gate));
    assert_int_equal(fsh_core_gate_opens(&gate).ms, 0);
}

static void retry_after_is_obeyed_up_to_five_minutes(void **state)
{
    struct fsh_gate gate = {0};

    (void)state;
    fsh_core_gate_failed(&gate, at(0), 120000, 0);
    assert_int_equal(fsh_core_gate_opens(&gate).ms, 120000);
    fsh_core_gate_failed(&gate, at(0), 86400000, 0);
    assert_int_equal(fsh_core_gate_opens(&gate).ms, 300000);
    /* A shorter word later takes nothing back. */
    fsh_core_gate_failed(&gate, at(0), 0, 0);
    assert_int_equal(fsh_core_gate_opens(&gate).ms, 300000);
}

/* What the platform answers changes none. */
static void a_gate_has_so_many_places(void **state)
{
    struct fsh_gate gate = {.room = 4};

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_false(fsh_core_gate_full(&gate));
        fsh_core_gate_take(&gate);
    }
    assert_true(fsh_core_gate_full(&gate));
    fsh_core_gate_take(&gate); /* one too many is still counted */
    fsh_core_gate_failed(&gate, at(0), -1, 500);
    fsh_core_gate_worked(&gate);
    assert_true(fsh_core_gate_full(&gate));
    fsh_core_gate_give(&gate);
    assert_true(fsh_core_gate_full(&gate));
    fsh_core_gate_give(&gate);
    assert_false(fsh_core_gate_full(&gate));
    for (int i = 0; i < 3; i++)
        fsh_core_gate_give(&gate);
    assert_int_equal(gate.taken, 0);
}

/* Whoever leaves the line, from wherever: the others keep their order. */
static void a_line_keeps_its_order(void **state)
{
    struct fsh_gate gate = {.room = 1};
    struct fsh_stand stands[5] = {{0}};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        fsh_core_gate_join(&gate, &stands[i]);
    fsh_core_gate_join(&gate, &stands[0]); /* it does not lose its place by asking again */
    assert_true(fsh_core_gate_lets(&gate, &stands[0]));
    assert_false(fsh_core_gate_lets(&gate, &stands[1]));
    fsh_core_gate_quit(&gate, &stands[2]);
    fsh_core_gate_quit(&gate, &stands[2]);
    fsh_core_gate_quit(&gate, &stands[4]);
    fsh_core_gate_quit(&gate, &stands[0]);
    fsh_core_gate_worked(&gate); /* which says nothing of who waits */
    assert_true(fsh_core_gate_lets(&gate, &stands[1]));
    fsh_core_gate_join(&gate, &stands[0]);
    fsh_core_gate_quit(&gate, &stands[1]);
    assert_true(fsh_core_gate_lets(&gate, &stands[3]));
    fsh_core_gate_quit(&gate, &stands[3]);
    assert_true(fsh_core_gate_lets(&gate, &stands[0]));
    fsh_core_gate_take(&gate);
    assert_false(fsh_core_gate_lets(&gate, &stands[0]));
    fsh_core_gate_quit(&gate, &stands[0]);
    assert_null(gate.first);
    assert_null(gate.last);
}

static void a_gate_without_a_bound_is_never_full(void **state)
{
    struct fsh_gate gate = {0};

    (void)state;
    for (int i = 0; i < 1000; i++)
        fsh_core_gate_take(&gate);
    assert_false(fsh_core_gate_full(&gate));
    for (int i = 0; i < 1000; i++)
        fsh_core_gate_give(&gate);
    assert_int_equal(gate.taken, 0);
}

static const struct fsh_policy service = {.threshold_ms = FSH_THRESHOLD_MS, .service = true};

/* A core that asks for a lease: for itself, or for a person. */
static void take_off(struct fsh_core *core, const struct fsh_policy *policy, struct fsh_gate *gate,
                     bool person)
{
    const struct fsh_now now = {{1000}, {INT64_C(1800000000000)}, 1};
    const struct fsh_record none = {0};
    struct fsh_effects fx = {0};

    fsh_core_init(core, policy, gate, 1);
    fsh_core_tick(core, now, &fx);
    fsh_core_stored(core, now, core->ticket, FRESHET_OK, FSH_VERDICT_DONE, &none, -1, &fx);
    if (person)
        assert_int_equal(fsh_core_command(core, now, FSH_ERRAND_SIGN_IN, &fx), FRESHET_OK);
}

/* However many sign in, there is room for what nobody may see. */
static void people_neither_wait_for_a_place_nor_take_one(void **state)
{
    const struct fsh_policy people = {.threshold_ms = FSH_THRESHOLD_MS};
    struct fsh_gate gate = {.room = 1};
    struct fsh_core waiting;
    struct fsh_core core;

    (void)state;
    for (int i = 0; i < 3; i++) {
        take_off(&core, &people, &gate, true);
        assert_int_equal(core.step, FSH_STEP_LEASE);
        assert_int_equal(gate.taken, 0);
    }
    take_off(&core, &service, &gate, false);
    assert_int_equal(core.step, FSH_STEP_LEASE);
    assert_int_equal(gate.taken, 1);
    take_off(&waiting, &service, &gate, false);
    assert_int_equal(waiting.step, FSH_STEP_IDLE);
    assert_true(waiting.stand.waits);
    take_off(&core, &people, &gate, true);
    assert_int_equal(core.step, FSH_STEP_LEASE);
    assert_int_equal(gate.taken, 1);
}

static struct fsh_now now_at(int64_t ms)
{
    return (struct fsh_now){at(ms), {INT64_C(1800000000000)}, 1};
}

/* The flight's lease fails: it is over, and the session tries again later. */
static void fly_in_vain(struct fsh_core *core, int64_t ms)
{
    struct fsh_effects fx = {0};

    assert_int_equal(core->step, FSH_STEP_LEASE);
    fsh_core_stored(core, now_at(ms), core->ticket, FRESHET_ESTORE, FSH_VERDICT_STALE, NULL, -1,
                    &fx);
    assert_int_equal(core->step, FSH_STEP_IDLE);
}

static void look(struct fsh_core *core, int64_t ms)
{
    struct fsh_effects fx = {0};

    fsh_core_tick(core, now_at(ms), &fx);
}

static void who_came_first_goes_first(void **state)
{
    struct fsh_gate gate = {.room = 1};
    struct fsh_effects fx = {0};
    struct fsh_core cores[5];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        take_off(&cores[i], &service, &gate, false);
    assert_null(fsh_core_next(&gate, at(1000)));
    fly_in_vain(&cores[0], 1000);
    assert_ptr_equal(fsh_core_next(&gate, at(1000)), &cores[1]);
    /* There is room, but not for who comes now, nor for who asks out of turn. */
    take_off(&cores[4], &service, &gate, false);
    look(&cores[2], 1000);
    assert_int_equal(cores[4].step, FSH_STEP_IDLE);
    assert_int_equal(cores[2].step, FSH_STEP_IDLE);
    look(&cores[1], 1000);
    assert_int_equal(cores[1].step, FSH_STEP_LEASE);
    assert_null(fsh_core_next(&gate, at(1000)));
    /* Who goes away from the line holds up nobody. */
    fsh_core_close(&cores[2], now_at(1000), &fx);
    fsh_core_abandon(&cores[3]);
    fly_in_vain(&cores[1], 1000);
    assert_ptr_equal(fsh_core_next(&gate, at(1000)), &cores[4]);
    look(&cores[4], 1000);
    assert_int_equal(cores[4].step, FSH_STEP_LEASE);
    assert_null(gate.first);
}

/* Who waits for a place when the platform fails must learn when to look, and keeps its place. */
static void a_gate_that_closes_leaves_the_line_as_it_is(void **state)
{
    struct fsh_gate gate = {.room = 1};
    struct fsh_core cores[3];

    (void)state;
    for (size_t i = 0; i < 3; i++)
        take_off(&cores[i], &service, &gate, false);
    assert_int_equal(fsh_core_wake_at(&cores[1]).ms, FSH_NEVER.ms);
    fsh_core_gate_failed(&gate, at(1000), 5000, 0);
    fly_in_vain(&cores[0], 1000);
    assert_ptr_equal(fsh_core_next(&gate, at(1000)), &cores[1]);
    look(&cores[1], 1000);
    assert_int_equal(cores[1].step, FSH_STEP_IDLE);
    assert_int_equal(fsh_core_wake_at(&cores[1]).ms, 6000);
    assert_null(fsh_core_next(&gate, at(1000)));
    look(&cores[2], 6000);
    assert_int_equal(cores[2].step, FSH_STEP_IDLE);
    assert_ptr_equal(fsh_core_next(&gate, at(6000)), &cores[1]);
    look(&cores[1], 6000);
    assert_int_equal(cores[1].step, FSH_STEP_LEASE);
}

/* The platform does not take what a sign-in, of a person or of a service, sent. */
static void sign_in_refused(struct fsh_gate *gate, bool person, int64_t retry_after_ms)
{
    const struct fsh_policy policy = {.threshold_ms = FSH_THRESHOLD_MS, .service = !person};
    const struct fsh_now now = {{1000}, {INT64_C(1800000000000)}, 1};
    const struct fsh_result result = {
        .kind = FSH_RESULT_TRANSIENT,
        .status = FRESHET_EUNAVAILABLE,
        .retry_after_ms = retry_after_ms,
    };
    struct fsh_record record = {0};
    struct fsh_effects fx = {0};
    struct fsh_core core;

    take_off(&core, &policy, gate, person);
    record.reserved = 1;
    record.lease.generation = 1;
    fsh_core_stored(&core, now, core.ticket, FRESHET_OK, FSH_VERDICT_DONE, &record, -1, &fx);
    assert_int_equal(core.step, FSH_STEP_SEND);
    fsh_core_answered(&core, now, core.ticket, &result, &fx);
    assert_int_equal(core.step, FSH_STEP_RELEASE);
}

/* Anybody can type what the platform does not take; only what it says of later counts for all. */
static void what_people_type_closes_no_gate(void **state)
{
    struct fsh_gate gate = {0};

    (void)state;
    sign_in_refused(&gate, true, -1);
    assert_int_equal(gate.failures, 0);
    assert_int_equal(fsh_core_gate_opens(&gate).ms, 0);
    sign_in_refused(&gate, true, 5000);
    assert_int_equal(fsh_core_gate_opens(&gate).ms, 6000);
    gate = (struct fsh_gate){0};
    sign_in_refused(&gate, false, -1);
    assert_int_equal(gate.failures, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_double_from_one_second_to_thirty),
        cmocka_unit_test(refused_credentials_pause_from_30_seconds_to_15_minutes),
        cmocka_unit_test(a_gate_that_never_failed_is_open),
        cmocka_unit_test(a_gate_has_so_many_places),
        cmocka_unit_test(a_line_keeps_its_order),
        cmocka_unit_test(a_gate_without_a_bound_is_never_full),
        cmocka_unit_test(who_came_first_goes_first),
        cmocka_unit_test(a_gate_that_closes_leaves_the_line_as_it_is),
        cmocka_unit_test(people_neither_wait_for_a_place_nor_take_one),
        cmocka_unit_test(what_people_type_closes_no_gate),
        cmocka_unit_test(while_the_platform_fails_one_at_a_time_tries_it),
        cmocka_unit_test(retry_after_is_obeyed_up_to_five_minutes),
    };

    return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
