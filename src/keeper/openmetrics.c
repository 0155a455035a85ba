/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/openmetrics.h"

#include <inttypes.h>

static void write_name(FILE *out, const struct fsh_metric *metric)
{
    (void)fprintf(out, "freshet_%s", metric->name);
    if (metric->unit)
        (void)fprintf(out, "_%s", metric->unit);
}

void fsh_openmetrics_family(FILE *out, const struct fsh_metric *metric)
{
    static const char *const types[] = {
        [FSH_FAMILY_COUNTER] = "counter",
        [FSH_FAMILY_GAUGE] = "gauge",
        [FSH_FAMILY_HISTOGRAM] = "histogram",
        [FSH_FAMILY_INFO] = "info",
    };

    (void)fputs("# TYPE ", out);
    write_name(out, metric);
    (void)fprintf(out, " %s\n", types[metric->family]);
    if (metric->unit) {
        (void)fputs("# UNIT ", out);
        write_name(out, metric);
        (void)fprintf(out, " %s\n", metric->unit);
    }
    (void)fputs("# HELP ", out);
    write_name(out, metric);
    (void)fprintf(out, " %s\n", metric->help);
}

/* The ABNF's escaped-string: a backslash, a quote and a line's end cannot stand for themselves. */
static void write_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            (void)fputs("\\n", out);
        else if (*text == '\\' || *text == '"')
            (void)fprintf(out, "\\%c", *text);
        else
            (void)fputc(*text, out);
    }
}

/* `le` may be NULL. */
static void write_labels(FILE *out, const char *const *labels, const char *le)
{
    const char *before = "{";

    for (; labels && labels[0]; labels += 2) {
        (void)fprintf(out, "%s%s=\"", before, labels[0]);
        write_text(out, labels[1]);
        (void)fputc('"', out);
        before = ",";
    }
    if (le) {
        (void)fprintf(out, "%sle=\"%s\"", before, le);
        before = ",";
    }
    if (*before == ',')
        (void)fputc('}', out);
}

void fsh_openmetrics_value(FILE *out, const struct fsh_metric *metric, const char *const *labels,
                           uint64_t value)
{
    static const char *const suffixes[] = {
        [FSH_FAMILY_COUNTER] = "_total",
        [FSH_FAMILY_GAUGE] = "",
        [FSH_FAMILY_HISTOGRAM] = "",
        [FSH_FAMILY_INFO] = "_info",
    };

    write_name(out, metric);
    (void)fputs(suffixes[metric->family], out);
    write_labels(out, labels, NULL);
    (void)fprintf(out, " %" PRIu64 "\n", value);
}

static void write_part(FILE *out, const struct fsh_metric *metric, const char *suffix,
                       const char *const *labels, const char *le)
{
    write_name(out, metric);
    (void)fputs(suffix, out);
    write_labels(out, labels, le);
}

/* A bound as the standard writes it: 0.001, 0.25, 1.0. */
static void write_bound(char ret_text[24], int64_t ms)
{
    int len = snprintf(ret_text, 24, "%" PRId64 ".%03" PRId64, ms / 1000, ms % 1000);

    while (len > 2 && ret_text[len - 1] == '0' && ret_text[len - 2] != '.')
        ret_text[--len] = '\0';
}

void fsh_openmetrics_histogram(FILE *out, const struct fsh_metric *metric,
                               const char *const *labels, const struct fsh_histogram *histogram,
                               const struct fsh_bounds *bounds)
{
    uint64_t sum = atomic_load_explicit(&histogram->sum_ms, memory_order_relaxed);
    uint64_t count = 0;
    char bound[24];

    for (unsigned i = 0; i <= bounds->count; i++) {
        count += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        if (i < bounds->count)
            write_bound(bound, bounds->ms[i]);
        write_part(out, metric, "_bucket", labels, i < bounds->count ? bound : "+Inf");
        (void)fprintf(out, " %" PRIu64 "\n", count);
    }
    write_part(out, metric, "_count", labels, NULL);
    (void)fprintf(out, " %" PRIu64 "\n", count);
    write_part(out, metric, "_sum", labels, NULL);
    (void)fprintf(out, " %" PRIu64 ".%03" PRIu64 "\n", sum / 1000, sum % 1000);
}

void fsh_openmetrics_end(FILE *out)
{
    (void)fputs("# EOF\n", out);
}
