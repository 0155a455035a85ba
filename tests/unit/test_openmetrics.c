/* SPDX-License-Identifier: Apache-2.0 */

/* The text of metrics, line by line. */

#include "keeper/openmetrics.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

static const struct fsh_bounds bounds = {4, {0, 1, 250, 60000}};

/* What is written of one metric. */
static void expect(const struct fsh_metric *metric, const char *const *labels, uint64_t value,
                   const struct fsh_histogram *histogram, const char *expected)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    fsh_openmetrics_family(out, metric);
    if (histogram)
        fsh_openmetrics_histogram(out, metric, labels, histogram, &bounds);
    else
        fsh_openmetrics_value(out, metric, labels, value);
    fsh_openmetrics_end(out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, expected);
    free(text);
}

static void values_bear_the_suffix_of_their_family(void **state)
{
    static const struct fsh_metric counter = {FSH_FAMILY_COUNTER, "a", NULL, "Of a."};
    static const struct fsh_metric gauge = {FSH_FAMILY_GAUGE, "b", "bytes", "Of b."};
    static const struct fsh_metric info = {FSH_FAMILY_INFO, "c", NULL, "Of c."};

    (void)state;
    expect(&counter, NULL, UINT64_MAX, NULL,
           "# TYPE freshet_a counter\n# HELP freshet_a Of a.\n"
           "freshet_a_total 18446744073709551615\n# EOF\n");
    expect(&gauge, NULL, 0, NULL,
           "# TYPE freshet_b_bytes gauge\n# UNIT freshet_b_bytes bytes\n"
           "# HELP freshet_b_bytes Of b.\nfreshet_b_bytes 0\n# EOF\n");
    expect(&info, FSH_LABELS("x", "1"), 1, NULL,
           "# TYPE freshet_c info\n# HELP freshet_c Of c.\nfreshet_c_info{x=\"1\"} 1\n# EOF\n");
}

/* Whatever stands in a label stays there. */
static void a_label_cannot_end_its_line(void **state)
{
    static const struct fsh_metric gauge = {FSH_FAMILY_GAUGE, "a", NULL, "Of a."};

    (void)state;
    expect(&gauge, FSH_LABELS("x", "\"} 1\n\\", "y", ""), 7, NULL,
           "# TYPE freshet_a gauge\n# HELP freshet_a Of a.\n"
           "freshet_a{x=\"\\\"} 1\\n\\\\\",y=\"\"} 7\n# EOF\n");
}

static void buckets_are_summed_up_to_the_count(void **state)
{
    static const struct fsh_metric metric = {FSH_FAMILY_HISTOGRAM, "a", "seconds", "Of a."};
    static const int64_t values[] = {0, 1, 2, 250, 251, 60001, 60001};
    struct fsh_histogram histogram = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        fsh_base_observe(&histogram, &bounds, values[i]);
    expect(&metric, FSH_LABELS("x", "y"), 0, &histogram,
           "# TYPE freshet_a_seconds histogram\n# UNIT freshet_a_seconds seconds\n"
           "# HELP freshet_a_seconds Of a.\n"
           "freshet_a_seconds_bucket{x=\"y\",le=\"0.0\"} 1\n"
           "freshet_a_seconds_bucket{x=\"y\",le=\"0.001\"} 2\n"
           "freshet_a_seconds_bucket{x=\"y\",le=\"0.25\"} 4\n"
           "freshet_a_seconds_bucket{x=\"y\",le=\"60.0\"} 5\n"
           "freshet_a_seconds_bucket{x=\"y\",le=\"+Inf\"} 7\n"
           "freshet_a_seconds_count{x=\"y\"} 7\n"
           "freshet_a_seconds_sum{x=\"y\"} 120.506\n# EOF\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_bear_the_suffix_of_their_family),
        cmocka_unit_test(a_label_cannot_end_its_line),
        cmocka_unit_test(buckets_are_summed_up_to_the_count),
    };

    return cmocka_run_group_tests_name("openmetrics", tests, NULL, NULL);
}
