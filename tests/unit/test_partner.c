/* SPDX-License-Identifier: Apache-2.0 */

/* Rule 4: which partner id a request carries. */

#include "core/partner.h"
#include "unit.h"

#include <freshet/status.h>

static char fd1[] = "fd1";
static char fd2[] = "fd2";
static char *const two[] = {fd1, fd2};

struct row {
    size_t allowed;
    const char *asked;
    const char *setting;
    const char *preset;
    int status;
    size_t index;
};

static const struct row rows[] = {
    {0, NULL, NULL, NULL, FRESHET_EPARTNER, 0},
    {0, "fd1", NULL, NULL, FRESHET_EPARTNER, 0},
    {1, NULL, NULL, NULL, FRESHET_OK, 0},
    {2, NULL, NULL, NULL, FRESHET_EPARTNERCHOICE, 0},
    {2, "fd2", NULL, NULL, FRESHET_OK, 1},
    {2, "fd2", "fd1", "fd1", FRESHET_OK, 1},
    {2, NULL, "fd2", "fd1", FRESHET_OK, 1},
    {2, NULL, NULL, "fd2", FRESHET_OK, 1},
    /* No falling back from a choice that is not allowed. */
    {2, "fd3", "fd1", "fd2", FRESHET_EPARTNER, 0},
    {2, NULL, "fd3", "fd2", FRESHET_EPARTNER, 0},
    {1, NULL, NULL, "fd2", FRESHET_EPARTNER, 0},
    {2, "", NULL, NULL, FRESHET_EPARTNER, 0},
    {2, "fd", NULL, NULL, FRESHET_EPARTNER, 0},
    {2, "FD1", NULL, NULL, FRESHET_EPARTNER, 0},
};

static void the_first_choice_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        size_t index = 0;

        assert_int_equal(
            fsh_core_partner(two, row->allowed, row->asked, row->setting, row->preset, &index),
            row->status);
        assert_int_equal(index, row->index);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_choice_decides),
    };

    return cmocka_run_group_tests_name("partner", tests, NULL, NULL);
}
