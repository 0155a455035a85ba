/* SPDX-License-Identifier: Apache-2.0 */

#include "core/random.h"
#include "store/codec.h"
#include "unit.h"

#include <freshet/status.h>
#include <string.h>

static struct fsh_record full(void)
{
    return (struct fsh_record){
        .incarnation = UINT64_MAX,
        .generation = 0x0123456789abcdef,
        .reserved = UINT64_MAX - 1,
        .phase = FSH_PHASE_HELD,
        .reason = FRESHET_EHELD,
        .refreshable = true,
        .parked = FRESHET_EMFA,
        .refresh_until = {INT64_MAX},
        .sign_in_at = {-1},
        .refusals = UINT32_MAX,
        .lease = {1, 2, 3, {INT64_MIN, 5}, FSH_PURPOSE_SIGN_IN},
        .unresolved = 6,
        .unresolved_at = {7, 8},
    };
}

static void what_is_written_is_read(void **state)
{
    unsigned char bytes[FSH_CODEC_BYTES];
    unsigned char again[FSH_CODEC_BYTES];
    struct fsh_record record = full();
    struct fsh_record read = {0};

    (void)state;
    fsh_store_encode(&record, bytes);
    assert_int_equal(fsh_store_decode(bytes, sizeof(bytes), &read), FRESHET_OK);
    fsh_store_encode(&read, again);
    assert_memory_equal(bytes, again, sizeof(bytes));
    assert_int_equal(read.reason, FRESHET_EHELD);
    assert_int_equal(read.parked, FRESHET_EMFA);
    assert_true(read.lease.until.ms == INT64_MIN);
    assert_true(read.sign_in_at.ms == -1);
}

static void other_versions_lengths_and_ranges_are_refused(void **state)
{
    unsigned char bytes[FSH_CODEC_BYTES + 1] = {0};
    struct fsh_record record = full();
    struct fsh_record read = {.generation = 42};

    (void)state;
    fsh_store_encode(&record, bytes);
    assert_int_equal(fsh_store_decode(bytes, FSH_CODEC_BYTES - 1, &read), FRESHET_ESTORE);
    assert_int_equal(fsh_store_decode(bytes, FSH_CODEC_BYTES + 1, &read), FRESHET_ESTORE);
    assert_int_equal(fsh_store_decode(bytes, 0, &read), FRESHET_ESTORE);
    bytes[0]++;
    assert_int_equal(fsh_store_decode(bytes, FSH_CODEC_BYTES, &read), FRESHET_ESTORE);
    bytes[0]--;
    bytes[25] = 200; /* the phase */
    assert_int_equal(fsh_store_decode(bytes, FSH_CODEC_BYTES, &read), FRESHET_ESTORE);
    assert_int_equal(read.generation, 42);
}

static void random_bytes_never_do_harm(void **state)
{
    uint64_t seed = 9;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        unsigned char bytes[FSH_CODEC_BYTES];
        struct fsh_record read;

        for (size_t j = 0; j < sizeof(bytes); j++)
            bytes[j] = (unsigned char)fsh_core_draw(&seed);
        bytes[0] = FSH_CODEC_VERSION;
        (void)fsh_store_decode(bytes, sizeof(bytes), &read);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(other_versions_lengths_and_ranges_are_refused),
        cmocka_unit_test(random_bytes_never_do_harm),
    };

    return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
