/* SPDX-License-Identifier: Apache-2.0 */

/* Rules 2 and 11: threshold, jitter, margin. */

#include "core/freshness.h"
#include "core/random.h"
#include "unit.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)

struct row {
    int64_t lifetime;
    int64_t threshold; /* effective, of 300 s */
    int64_t margin;
    bool usable;
};

static const struct row rows[] = {
    {HOUR, 5 * MINUTE, 30000, true},
    {20 * MINUTE, 5 * MINUTE, 30000, true},
    {10 * MINUTE, 150000, 30000, true},
    {5 * MINUTE, 75000, 30000, true},
    {MINUTE, 15000, 6000, true},
    {10000, 2500, 1000, true},
    {4000, 1000, 1000, true},
    {2000, 1000, 1000, true},
    {1001, 1000, 1000, true},
    {1000, 1000, 1000, false},
    {1, 1000, 1000, false},
};

static void thresholds_and_margins(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fsh_core_threshold_ms(5 * MINUTE, rows[i].lifetime), rows[i].threshold);
        assert_int_equal(fsh_core_margin_ms(rows[i].lifetime), rows[i].margin);
        assert_int_equal(fsh_core_ever_usable(rows[i].lifetime), rows[i].usable);
    }
}

static void an_hour_is_refreshed_between_54_and_55_minutes(void **state)
{
    uint64_t seed = 1;
    int64_t earliest = INT64_MAX;
    int64_t latest = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct fsh_freshness token =
            fsh_core_freshness((struct fsh_mono){0}, HOUR, 5 * MINUTE, fsh_core_draw(&seed));

        earliest = token.background_at.ms < earliest ? token.background_at.ms : earliest;
        latest = token.background_at.ms > latest ? token.background_at.ms : latest;
        assert_int_equal(token.threshold_at.ms, 55 * MINUTE);
    }
    assert_in_range(earliest, 54 * MINUTE, 54 * MINUTE + 100);
    assert_in_range(latest, 55 * MINUTE - 100, 55 * MINUTE);
}

static void expiry_counts_from_when_the_request_was_sent(void **state)
{
    struct fsh_freshness token = fsh_core_freshness((struct fsh_mono){1000}, HOUR, 5 * MINUTE, 0);

    (void)state;
    assert_int_equal(token.expires_at.ms, 1000 + HOUR);
    assert_int_equal(token.usable_until.ms, 1000 + HOUR - 30000);
}

static void who_asks_for_more_than_there_ever_is_gets_a_new_token(void **state)
{
    struct fsh_freshness token = fsh_core_freshness((struct fsh_mono){0}, MINUTE, 5 * MINUTE, 0);

    (void)state;
    assert_true(fsh_core_satisfies(&token, (struct fsh_mono){0}, HOUR));
    assert_true(fsh_core_satisfies(&token, (struct fsh_mono){15000}, HOUR));
    assert_false(fsh_core_satisfies(&token, (struct fsh_mono){15001}, HOUR));
    assert_true(fsh_core_satisfies(&token, (struct fsh_mono){53999}, 0));
    assert_false(fsh_core_satisfies(&token, (struct fsh_mono){54000}, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds_and_margins),
        cmocka_unit_test(an_hour_is_refreshed_between_54_and_55_minutes),
        cmocka_unit_test(expiry_counts_from_when_the_request_was_sent),
        cmocka_unit_test(who_asks_for_more_than_there_ever_is_gets_a_new_token),
    };

    return cmocka_run_group_tests_name("freshness", tests, NULL, NULL);
}
