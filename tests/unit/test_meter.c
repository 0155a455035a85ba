/* SPDX-License-Identifier: Apache-2.0 */

/* What is counted of many sessions without looking at any of them. */

#include "engine/meter.h"

#include "unit.h"

#include <freshet/status.h>
#include <stdlib.h>

static struct fsh_mono at(int64_t ms)
{
    return (struct fsh_mono){ms};
}

static void a_value_falls_into_the_bucket_of_its_bound(void **state)
{
    static const struct fsh_bounds bounds = {3, {1, 10, 100}};
    static const struct {
        int64_t value;
        unsigned bucket;
    } rows[] = {{0, 0}, {1, 0}, {2, 1}, {10, 1}, {11, 2}, {100, 2}, {101, 3}, {-5, 0}};
    uint64_t sum = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fsh_histogram one = {0};

        fsh_base_observe(&one, &bounds, rows[i].value);
        for (unsigned bucket = 0; bucket <= bounds.count; bucket++)
            assert_int_equal(atomic_load(&one.buckets[bucket]), bucket == rows[i].bucket);
        sum = rows[i].value > 0 ? (uint64_t)rows[i].value : 0;
        assert_int_equal(atomic_load(&one.sum_ms), sum);
    }
}

static void a_session_is_counted_where_it_is(void **state)
{
    struct fsh_meter *meter = calloc(1, sizeof(*meter));
    uint8_t marks[2 * FSH_METER_STATES * 2];
    enum fsh_meter_state state_read;
    bool challenged_read;
    unsigned count = 0;

    (void)state;
    assert_non_null(meter);
    assert_false(fsh_engine_meter_read(0, &state_read, &challenged_read));
    for (unsigned service = 0; service < 2; service++) {
        for (unsigned phase = 0; phase < FSH_METER_STATES; phase++) {
            for (unsigned challenged = 0; challenged < 2; challenged++) {
                uint8_t mark = fsh_engine_meter_mark(service, phase, challenged);

                assert_int_not_equal(mark, 0);
                assert_true(fsh_engine_meter_read(mark, &state_read, &challenged_read));
                assert_int_equal(state_read, phase);
                assert_int_equal(challenged_read, challenged);
                for (unsigned i = 0; i < count; i++)
                    assert_int_not_equal(mark, marks[i]);
                marks[count] = mark;
                fsh_engine_meter_session(meter, count ? marks[count - 1] : 0, mark);
                assert_int_equal(atomic_load(&meter->sessions[service][phase][challenged]), 1);
                if (count)
                    fsh_engine_meter_session(meter, 0, marks[count - 1]);
                count++;
            }
        }
    }
    for (unsigned i = 0; i < count; i++)
        fsh_engine_meter_session(meter, marks[i], 0);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(atomic_load((_Atomic uint32_t *)meter->sessions + i), 0);
    free(meter);
}

static void only_ends_count_as_ends(void **state)
{
    struct fsh_meter *meter = calloc(1, sizeof(*meter));

    (void)state;
    assert_non_null(meter);
    fsh_engine_meter_note(meter, FSH_NOTE_ENDED, FRESHET_EENDED);
    fsh_engine_meter_note(meter, FSH_NOTE_SIGNED_OUT, FRESHET_EHELD);
    fsh_engine_meter_note(meter, FSH_NOTE_FAILED, FRESHET_EUNAVAILABLE);
    fsh_engine_meter_note(meter, FSH_NOTE_ENDED, -1000);
    assert_int_equal(atomic_load(&meter->ended[-FRESHET_EENDED]), 1);
    assert_int_equal(atomic_load(&meter->ended[-FRESHET_EHELD]), 1);
    assert_int_equal(atomic_load(&meter->ended[-FRESHET_EUNAVAILABLE]), 0);
    assert_int_equal(atomic_load(&meter->notes[FSH_NOTE_ENDED]), 2);
    assert_int_equal(atomic_load(&meter->notes[FSH_NOTE_FAILED]), 1);
    free(meter);
}

/* A token that nobody touches any more is not counted once its use is over: whatever its life, and
 * however late somebody looks. */
static void a_token_is_usable_for_its_life(void **state)
{
    static const int64_t lives[] = {1100,    60000,    65536,      65537,
                                    3600000, 86400000, 2592000000, INT64_C(31622400000)};

    (void)state;
    for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
        struct fsh_meter *meter = calloc(1, sizeof(*meter));
        int64_t begin = INT64_C(123456789);
        int64_t use = lives[i] - fsh_core_margin_ms(lives[i]);

        assert_non_null(meter);
        assert_int_equal(fsh_engine_meter_usable(meter, at(begin)), 0);
        fsh_engine_meter_token_in(meter, at(begin), at(begin), lives[i]);
        assert_int_equal(fsh_engine_meter_usable(meter, at(begin)), 1);
        assert_int_equal(fsh_engine_meter_usable(meter, at(begin + use - 1)), 1);
        assert_int_equal(fsh_engine_meter_usable(meter, at(begin + use + lives[i] / 100 + 256)), 0);
        assert_int_equal(fsh_engine_meter_usable(meter, at(begin + 1000 * lives[i])), 0);
        free(meter);
    }
}

static uint64_t next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

struct model_token {
    int64_t sent_at;
    int64_t life; /* 0: none */
};

/* Many sessions for a long time, some of them idle for days: against a count of each. */
static void the_usable_are_counted_as_if_each_were_looked_at(void **state)
{
    enum { SESSIONS = 200, STEPS = 20000 };
    struct fsh_meter *meter = calloc(1, sizeof(*meter));
    struct model_token tokens[SESSIONS] = {{0, 0}};
    uint64_t random = 88172645463325252U;
    int64_t now = 5000;

    (void)state;
    assert_non_null(meter);
    for (unsigned step = 0; step < STEPS; step++) {
        struct model_token *token = &tokens[next(&random) % SESSIONS];
        unsigned surely = 0;
        unsigned perhaps = 0;
        uint64_t said;

        now += (int64_t)(next(&random) % (step % 1000 == 0 ? 200000000 : 20000));
        if (token->life)
            fsh_engine_meter_token_out(meter, at(now), at(token->sent_at), token->life);
        token->life = next(&random) % 4 ? (int64_t)(1100 + next(&random) % 10000000) : 0;
        token->sent_at = now - (int64_t)(next(&random) % 2000 % (uint64_t)(token->life + 1));
        if (token->life)
            fsh_engine_meter_token_in(meter, at(now), at(token->sent_at), token->life);
        for (unsigned i = 0; i < SESSIONS; i++) {
            int64_t end = tokens[i].sent_at + tokens[i].life - fsh_core_margin_ms(tokens[i].life);

            if (tokens[i].life == 0)
                continue;
            surely += now < end;
            perhaps += now < end + tokens[i].life / 100 + 256;
        }
        said = fsh_engine_meter_usable(meter, at(now));
        if (said < surely || said > perhaps)
            fail_msg("step %u: %llu usable, of %u to %u", step, (unsigned long long)said, surely,
                     perhaps);
    }
    free(meter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_falls_into_the_bucket_of_its_bound),
        cmocka_unit_test(a_session_is_counted_where_it_is),
        cmocka_unit_test(only_ends_count_as_ends),
        cmocka_unit_test(a_token_is_usable_for_its_life),
        cmocka_unit_test(the_usable_are_counted_as_if_each_were_looked_at),
    };

    return cmocka_run_group_tests_name("meter", tests, NULL, NULL);
}
