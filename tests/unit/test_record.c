/* SPDX-License-Identifier: Apache-2.0 */

/* The lease protocol: rule 1 and rule 7, as pure changes of a record. */

#include "base/bounds.h"
#include "core/record.h"
#include "unit.h"

#include <freshet/status.h>

#define BOOT 7

static struct fsh_stamp at(int64_t ms)
{
    return (struct fsh_stamp){ms, BOOT};
}

static struct fsh_record live(void)
{
    return (struct fsh_record){
        .incarnation = 3,
        .generation = 10,
        .reserved = 10,
        .phase = FSH_PHASE_LIVE,
        .refreshable = true,
    };
}

static struct fsh_change change_of(const struct fsh_record *record, enum fsh_change_kind kind,
                                   uint64_t holder, uint64_t attempt)
{
    return (struct fsh_change){
        .kind = kind,
        .incarnation = record->incarnation,
        .generation = record->generation,
        .holder = holder,
        .attempt = attempt,
        .purpose = FSH_PURPOSE_REFRESH,
        .refreshable = true,
    };
}

static enum fsh_verdict lease(struct fsh_record *record, uint64_t holder, uint64_t attempt,
                              int64_t ms)
{
    struct fsh_change change = change_of(record, FSH_CHANGE_LEASE, holder, attempt);

    return fsh_core_record_apply(record, &change, at(ms));
}

static void lease_is_one_at_a_time(void **state)
{
    struct fsh_record record = live();

    (void)state;
    assert_int_equal(lease(&record, 1, 100, 0), FSH_VERDICT_DONE);
    assert_int_equal(lease(&record, 2, 200, FSH_LEASE_MS - 1), FSH_VERDICT_BUSY);
    assert_int_equal(lease(&record, 2, 200, FSH_LEASE_MS), FSH_VERDICT_DONE);
    assert_int_equal(record.lease.holder, 2);
}

static void lease_of_another_boot_is_over(void **state)
{
    struct fsh_record record = live();
    struct fsh_change change;

    (void)state;
    assert_int_equal(lease(&record, 1, 100, 1000000), FSH_VERDICT_DONE);
    change = change_of(&record, FSH_CHANGE_LEASE, 2, 200);
    assert_int_equal(fsh_core_record_apply(&record, &change, (struct fsh_stamp){5, BOOT + 1}),
                     FSH_VERDICT_DONE);
}

static void each_lease_reserves_a_generation_of_its_own(void **state)
{
    struct fsh_record record = live();

    (void)state;
    assert_int_equal(lease(&record, 1, 100, 0), FSH_VERDICT_DONE);
    assert_int_equal(record.lease.generation, 11);
    assert_int_equal(lease(&record, 2, 200, FSH_LEASE_MS), FSH_VERDICT_DONE);
    assert_int_equal(record.lease.generation, 12);
    assert_int_equal(record.generation, 10);
}

static void of_two_holders_the_first_commit_wins(void **state)
{
    struct fsh_record record = live();
    struct fsh_change first = change_of(&record, FSH_CHANGE_COMMIT, 1, 100);
    struct fsh_change second = change_of(&record, FSH_CHANGE_COMMIT, 2, 200);

    (void)state;
    assert_int_equal(lease(&record, 1, 100, 0), FSH_VERDICT_DONE);
    first.reserved = record.lease.generation;
    assert_int_equal(lease(&record, 2, 200, FSH_LEASE_MS), FSH_VERDICT_DONE);
    second.reserved = record.lease.generation;
    assert_int_equal(fsh_core_record_apply(&record, &first, at(FSH_LEASE_MS + 1)),
                     FSH_VERDICT_DONE);
    assert_int_equal(record.generation, 11);
    assert_int_equal(fsh_core_record_apply(&record, &second, at(FSH_LEASE_MS + 2)),
                     FSH_VERDICT_STALE);
    assert_int_equal(record.generation, 11);
}

static void a_commit_after_sign_out_is_stale(void **state)
{
    struct fsh_record record = live();
    struct fsh_change commit = change_of(&record, FSH_CHANGE_COMMIT, 1, 100);
    struct fsh_change out = change_of(&record, FSH_CHANGE_SIGN_OUT, 2, 0);

    (void)state;
    assert_int_equal(lease(&record, 1, 100, 0), FSH_VERDICT_DONE);
    commit.reserved = record.lease.generation;
    assert_int_equal(fsh_core_record_apply(&record, &out, at(1)), FSH_VERDICT_DONE);
    assert_int_equal(fsh_core_record_apply(&record, &commit, at(2)), FSH_VERDICT_STALE);
    assert_int_equal(record.phase, FSH_PHASE_SIGNED_OUT);
    assert_int_equal(record.lease.holder, 0);
}

static void an_end_waits_for_the_flight_of_another(void **state)
{
    struct fsh_record record = live();
    struct fsh_change end = change_of(&record, FSH_CHANGE_END, 2, 0);

    (void)state;
    end.reason = FRESHET_EENDED;
    assert_int_equal(lease(&record, 1, 100, 0), FSH_VERDICT_DONE);
    assert_int_equal(fsh_core_record_apply(&record, &end, at(1)), FSH_VERDICT_BUSY);
    assert_int_equal(fsh_core_record_apply(&record, &end, at(FSH_LEASE_MS)), FSH_VERDICT_DONE);
    assert_int_equal(record.phase, FSH_PHASE_ENDED);
    assert_false(record.refreshable);
}

static void an_end_of_an_older_generation_is_stale(void **state)
{
    struct fsh_record record = live();
    struct fsh_change end = change_of(&record, FSH_CHANGE_END, 2, 0);

    (void)state;
    record.generation = 11;
    assert_int_equal(fsh_core_record_apply(&record, &end, at(1)), FSH_VERDICT_STALE);
    assert_int_equal(record.phase, FSH_PHASE_LIVE);
}

static void nothing_to_refresh_with_is_stale(void **state)
{
    struct fsh_record record = live();

    (void)state;
    record.refreshable = false;
    assert_int_equal(lease(&record, 1, 100, 0), FSH_VERDICT_STALE);
}

static void an_unresolved_refresh_is_remembered_until_it_is_resolved(void **state)
{
    struct fsh_record record = live();
    struct fsh_change release;

    (void)state;
    assert_int_equal(lease(&record, 1, 100, 1000), FSH_VERDICT_DONE);
    assert_int_equal(fsh_core_record_unresolved_ms(&record, 100, at(1000)), -1);
    release = change_of(&record, FSH_CHANGE_RELEASE, 1, 100);
    assert_int_equal(fsh_core_record_apply(&record, &release, at(2000)), FSH_VERDICT_DONE);
    assert_int_equal(lease(&record, 1, 101, 5000), FSH_VERDICT_DONE);
    assert_int_equal(fsh_core_record_unresolved_ms(&record, 101, at(5000)), 4000);
    /* What is known of the second attempt says nothing of the first. */
    release = change_of(&record, FSH_CHANGE_RELEASE, 1, 101);
    release.resolved = true;
    assert_int_equal(fsh_core_record_apply(&record, &release, at(6000)), FSH_VERDICT_DONE);
    assert_int_equal(fsh_core_record_unresolved_ms(&record, 102, at(7000)), 6000);
}

static void an_attempt_that_asks_again_has_sent_nothing(void **state)
{
    struct fsh_record record = live();

    (void)state;
    assert_int_equal(lease(&record, 1, 100, 1000), FSH_VERDICT_DONE);
    assert_int_equal(lease(&record, 1, 100, 90000), FSH_VERDICT_DONE);
    assert_int_equal(record.unresolved_at.ms, 90000);
}

static void an_attempt_that_asks_again_after_another_may_be_a_replay(void **state)
{
    struct fsh_record record = live();

    (void)state;
    assert_int_equal(lease(&record, 1, 101, 1000), FSH_VERDICT_DONE);
    assert_int_equal(lease(&record, 2, 201, 1000 + FSH_LEASE_MS), FSH_VERDICT_DONE);
    assert_int_equal(lease(&record, 1, 101, 1000 + 2 * FSH_LEASE_MS), FSH_VERDICT_DONE);
    assert_int_equal(fsh_core_record_unresolved_ms(&record, 101, at(1000 + 2 * FSH_LEASE_MS)),
                     2 * FSH_LEASE_MS);
    assert_int_equal(fsh_core_record_unresolved_ms(&record, 201, at(1000 + 2 * FSH_LEASE_MS)),
                     2 * FSH_LEASE_MS);
}

static struct fsh_change automatic(const struct fsh_record *record, uint64_t attempt, int64_t wall)
{
    struct fsh_change change = change_of(record, FSH_CHANGE_LEASE, 1, attempt);

    change.purpose = FSH_PURPOSE_SIGN_IN;
    change.wall.ms = wall;
    change.pause_ms = FSH_SIGN_IN_PAUSE_MS;
    change.sign_in_at.ms = wall + FSH_SIGN_IN_PAUSE_MS;
    change.known_at = record->sign_in_at;
    return change;
}

static void an_automatic_sign_in_that_asks_again_meets_only_its_own_pause(void **state)
{
    struct fsh_record record = live();
    struct fsh_change change;

    (void)state;
    change = automatic(&record, 101, 1000);
    assert_int_equal(fsh_core_record_apply(&record, &change, at(0)), FSH_VERDICT_DONE);
    change = automatic(&record, 101, 2000);
    assert_int_equal(fsh_core_record_apply(&record, &change, at(1000)), FSH_VERDICT_DONE);
    change = automatic(&record, 103, 3000);
    assert_int_equal(fsh_core_record_apply(&record, &change, at(2000)), FSH_VERDICT_STALE);
    /* Another's challenge stops it all the same. */
    change = automatic(&record, 101, 3000);
    record.parked = FRESHET_EMFA;
    assert_int_equal(fsh_core_record_apply(&record, &change, at(2000)), FSH_VERDICT_STALE);
    record.parked = 0;
    /* A refresh sets no pause that its attempt could be exempt from. */
    assert_int_equal(lease(&record, 1, 105, 3000), FSH_VERDICT_DONE);
    change = automatic(&record, 105, 4000);
    assert_int_equal(fsh_core_record_apply(&record, &change, at(4000)), FSH_VERDICT_STALE);
}

static void an_automatic_sign_in_is_decided_by_the_pause_that_is_written(void **state)
{
    struct fsh_record record = live();
    struct fsh_change early = automatic(&record, 101, 1000);
    struct fsh_change later = automatic(&record, 103, 2000);

    (void)state;
    early.holder = 2;
    assert_int_equal(fsh_core_record_apply(&record, &later, at(2000)), FSH_VERDICT_DONE);
    assert_int_equal(fsh_core_record_apply(&record, &early, at(2000 + FSH_LEASE_MS)),
                     FSH_VERDICT_STALE);
}

static void an_unresolved_refresh_of_another_boot_is_long_ago(void **state)
{
    struct fsh_record record = live();

    (void)state;
    assert_int_equal(lease(&record, 1, 100, 1000), FSH_VERDICT_DONE);
    assert_true(fsh_core_record_unresolved_ms(&record, 200, (struct fsh_stamp){2000, BOOT + 1}) ==
                INT64_MAX);
}

static void a_sign_in_is_a_new_incarnation_and_the_generation_goes_on(void **state)
{
    struct fsh_record record = live();
    struct fsh_change commit = change_of(&record, FSH_CHANGE_LEASE, 1, 100);

    (void)state;
    commit.purpose = FSH_PURPOSE_SIGN_IN;
    record.parked = FRESHET_EMFA;
    record.refusals = 4;
    assert_int_equal(fsh_core_record_apply(&record, &commit, at(0)), FSH_VERDICT_DONE);
    commit.kind = FSH_CHANGE_COMMIT;
    commit.reserved = record.lease.generation;
    assert_int_equal(fsh_core_record_apply(&record, &commit, at(1)), FSH_VERDICT_DONE);
    assert_int_equal(record.incarnation, 4);
    assert_int_equal(record.generation, 11);
    assert_int_equal(record.parked, 0);
    assert_int_equal(record.refusals, 0);
}

static void a_lost_rotation_leaves_the_session_live_without_a_refresh_token(void **state)
{
    struct fsh_record record = live();
    struct fsh_change lose = change_of(&record, FSH_CHANGE_LOSE, 1, 100);

    (void)state;
    lose.reason = FRESHET_ELOSTROTATION;
    assert_int_equal(fsh_core_record_apply(&record, &lose, at(0)), FSH_VERDICT_DONE);
    assert_int_equal(record.phase, FSH_PHASE_LIVE);
    assert_false(record.refreshable);
    assert_int_equal(record.reason, FRESHET_ELOSTROTATION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lease_is_one_at_a_time),
        cmocka_unit_test(lease_of_another_boot_is_over),
        cmocka_unit_test(each_lease_reserves_a_generation_of_its_own),
        cmocka_unit_test(of_two_holders_the_first_commit_wins),
        cmocka_unit_test(a_commit_after_sign_out_is_stale),
        cmocka_unit_test(an_end_waits_for_the_flight_of_another),
        cmocka_unit_test(an_end_of_an_older_generation_is_stale),
        cmocka_unit_test(nothing_to_refresh_with_is_stale),
        cmocka_unit_test(an_unresolved_refresh_is_remembered_until_it_is_resolved),
        cmocka_unit_test(an_attempt_that_asks_again_has_sent_nothing),
        cmocka_unit_test(an_attempt_that_asks_again_after_another_may_be_a_replay),
        cmocka_unit_test(an_automatic_sign_in_that_asks_again_meets_only_its_own_pause),
        cmocka_unit_test(an_automatic_sign_in_is_decided_by_the_pause_that_is_written),
        cmocka_unit_test(an_unresolved_refresh_of_another_boot_is_long_ago),
        cmocka_unit_test(a_sign_in_is_a_new_incarnation_and_the_generation_goes_on),
        cmocka_unit_test(a_lost_rotation_leaves_the_session_live_without_a_refresh_token),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
