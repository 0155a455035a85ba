/* SPDX-License-Identifier: Apache-2.0 */

#include "base/error.h"
#include "base/heap.h"
#include "base/secret.h"
#include "core/random.h"
#include "unit.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

static void secrets_move_and_compare(void **state)
{
    struct fsh_secret a = {0};
    struct fsh_secret b = {0};

    (void)state;
    assert_true(fsh_base_secret_equal(&a, &b));
    assert_string_equal(fsh_base_secret_reveal(&a), "");
    assert_int_equal(fsh_base_secret_copy("abc", 3, &a), FRESHET_OK);
    assert_int_equal(fsh_base_secret_dup(&a, &b), FRESHET_OK);
    assert_true(fsh_base_secret_equal(&a, &b));
    assert_int_equal(fsh_base_secret_copy("abd", 3, &b), FRESHET_OK);
    assert_false(fsh_base_secret_equal(&a, &b));
    fsh_base_secret_move(&b, &a);
    assert_true(fsh_base_secret_empty(&a));
    assert_string_equal(fsh_base_secret_reveal(&b), "abc");
    fsh_base_secret_move(&b, &b);
    assert_string_equal(fsh_base_secret_reveal(&b), "abc");
    fsh_base_secret_done(&a);
    fsh_base_secret_done(&b);
    fsh_base_secret_done(NULL);
}

static void errors_have_no_line_breaks(void **state)
{
    struct freshet_error error;

    (void)state;
    assert_int_equal(fsh_base_fail(&error, FRESHET_EENDED, "said: %s", "a\r\nb\x1b[31m\x7f"),
                     FRESHET_EENDED);
    assert_string_equal(error.message, "said: a  b [31m ");
    assert_int_equal(error.retry_after_ms, -1);
    assert_int_equal(fsh_base_fail(&error, FRESHET_EHELD, NULL), FRESHET_EHELD);
    assert_string_equal(error.message, freshet_status_text(FRESHET_EHELD));
    assert_int_equal(fsh_base_fail(NULL, FRESHET_EHELD, "x"), FRESHET_EHELD);
}

static void an_error_longer_than_its_place_is_cut(void **state)
{
    struct freshet_error error;
    char text[1000];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    (void)fsh_base_fail(&error, FRESHET_EINVAL, "%s", text);
    assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
}

static void statuses_are_known_by_name_and_class(void **state)
{
    (void)state;
    assert_string_equal(freshet_status_name(FRESHET_OK), "FRESHET_OK");
    assert_string_equal(freshet_status_name(FRESHET_ELOSTROTATION), "FRESHET_ELOSTROTATION");
    assert_string_equal(freshet_status_name(12345), "FRESHET_E?");
    assert_int_equal(freshet_status_class(FRESHET_EUNAVAILABLE), FRESHET_CLASS_RETRY);
    assert_int_equal(freshet_status_class(FRESHET_EMFA), FRESHET_CLASS_CHALLENGE);
    assert_int_equal(freshet_status_class(1), FRESHET_CLASS_INTERNAL);
    assert_int_equal(freshet_status_http(FRESHET_EPARTNER), 403);
    assert_int_equal(freshet_status_http(FRESHET_EPARTNERCHOICE), 409);
    assert_int_equal(freshet_status_exit_code(FRESHET_EUNAVAILABLE), 75);
}

#define TIMERS 500

/* Random sets, moves and removals: what comes out is always the earliest of what is in. */
static void the_heap_gives_the_earliest(void **state)
{
    static struct fsh_timer timers[TIMERS];
    struct fsh_heap heap = {0};
    uint64_t seed = 42;

    (void)state;
    assert_int_equal(fsh_base_heap_reserve(&heap, TIMERS), FRESHET_OK);
    assert_null(fsh_base_heap_first(&heap));
    for (int round = 0; round < 20000; round++) {
        struct fsh_timer *timer = &timers[fsh_core_draw(&seed) % TIMERS];
        bool remove = fsh_core_draw(&seed) % 4 == 0;
        struct fsh_mono when = {fsh_core_uniform(fsh_core_draw(&seed), 1000)};
        struct fsh_timer *first;

        fsh_base_heap_set(&heap, timer, remove ? FSH_NEVER : when);
        first = fsh_base_heap_first(&heap);
        for (int i = 0; i < TIMERS; i++)
            assert_true(timers[i].place == 0 || first->at.ms <= timers[i].at.ms);
    }
    fsh_base_heap_done(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_move_and_compare),
        cmocka_unit_test(errors_have_no_line_breaks),
        cmocka_unit_test(an_error_longer_than_its_place_is_cut),
        cmocka_unit_test(statuses_are_known_by_name_and_class),
        cmocka_unit_test(the_heap_gives_the_earliest),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
