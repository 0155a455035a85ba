/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_OPENMETRICS_H
#define FSH_KEEPER_OPENMETRICS_H

#include "base/histogram.h"

#include <stdio.h>

/* The text format of OpenMetrics 1.0: families of samples, written to a stream. Whoever writes
 * names each family once, and its samples right behind it. Names and units are literals. */

#define FSH_OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum fsh_family { FSH_FAMILY_COUNTER, FSH_FAMILY_GAUGE, FSH_FAMILY_HISTOGRAM, FSH_FAMILY_INFO };

/* `name` is without the prefix "freshet_", the unit and "_total"; `unit` NULL for none. */
struct fsh_metric {
    enum fsh_family family;
    const char *name;
    const char *unit;
    const char *help;
};

void fsh_openmetrics_family(FILE *out, const struct fsh_metric *metric);

/* Labels are pairs of a name and a text, of any bytes, that end with NULL; NULL for none. */
void fsh_openmetrics_value(FILE *out, const struct fsh_metric *metric, const char *const *labels,
                           uint64_t value);
void fsh_openmetrics_histogram(FILE *out, const struct fsh_metric *metric,
                               const char *const *labels, const struct fsh_histogram *histogram,
                               const struct fsh_bounds *bounds);

void fsh_openmetrics_end(FILE *out);

#define FSH_LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

#endif
