/* SPDX-License-Identifier: Apache-2.0 */

/* The doctor's comparison of two clocks: one header of whole seconds against two moments here. */

#include "lib/doctor.h"
#include "unit.h"

#include <freshet/status.h>
#include <stdio.h>
#include <string.h>

/* Sun, 06 Nov 1994 08:49:37 GMT */
#define THEN INT64_C(784111777000)

struct finding {
    enum freshet_health health;
    char text[512];
    size_t count;
};

static void found(void *data, const char *check, enum freshet_health health, const char *text)
{
    struct finding *finding = data;

    assert_string_equal(check, "clock");
    finding->health = health;
    finding->count++;
    (void)snprintf(finding->text, sizeof(finding->text), "%s", text);
}

static const struct {
    const char *date;
    int64_t sent; /* against THEN */
    int64_t came;
    enum freshet_health health;
    const char *part;
} rows[] = {
    {"Sun, 06 Nov 1994 08:49:37 GMT", 0, 0, FRESHET_HEALTH_OK, "agrees"},
    {"Sun, 06 Nov 1994 08:49:37 GMT", 30999, 31100, FRESHET_HEALTH_OK, "agrees"},
    {"Sun, 06 Nov 1994 08:49:37 GMT", 31000, 31100, FRESHET_HEALTH_WARNING, "is 30 s ahead of"},
    {"Sun, 06 Nov 1994 08:49:37 GMT", -31000, -30000, FRESHET_HEALTH_OK, "agrees"},
    {"Sun, 06 Nov 1994 08:49:37 GMT", -31000, -30001, FRESHET_HEALTH_WARNING, "is 30 s behind"},
    {"Sun, 06 Nov 1994 08:49:37 GMT", 3600000, 3600100, FRESHET_HEALTH_WARNING,
     "is 3599 s ahead of the platform's; set it"},
    {"Sun, 06 Nov 1994 08:49:37 GMT", -7200000, -7200000, FRESHET_HEALTH_WARNING,
     "is 7200 s behind the platform's; set it"},
    /* A slow answer: the header was made at any moment of it. */
    {"Sun, 06 Nov 1994 08:49:37 GMT", -60000, 60000, FRESHET_HEALTH_OK, "agrees"},
    {"yesterday", 0, 0, FRESHET_HEALTH_WARNING, "Date header is none"},
    {"", 0, 0, FRESHET_HEALTH_WARNING, "Date header is none"},
};

static void clocks_are_compared(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct finding finding = {0};
        struct fsh_doctor doctor = {.found = found, .data = &finding};

        fsh_doctor_compare_clocks(&doctor, rows[i].date, (struct fsh_wall){THEN + rows[i].sent},
                                  (struct fsh_wall){THEN + rows[i].came});
        if (finding.count != 1 || finding.health != rows[i].health ||
            !strstr(finding.text, rows[i].part))
            fail_msg("row %zu: %s", i, finding.text);
        assert_int_equal(doctor.status, FRESHET_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(clocks_are_compared)};

    return cmocka_run_group_tests_name("doctor-clock", tests, NULL, NULL);
}
