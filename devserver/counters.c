/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

static const char *const names[DEV_COUNTER_KINDS] = {
#define X(name) #name,
    DEV_COUNTERS(X)
#undef X
};

static bool is_gauge(int counter)
{
    return counter == DEV_COUNT_connections_open || counter == DEV_COUNT_refresh_in_flight ||
           counter == DEV_COUNT_sign_in_in_flight;
}

void dev_count(struct dev_counters *counters, enum dev_counter counter)
{
    atomic_fetch_add(&counters->values[counter], 1);
}

void dev_count_max(struct dev_counters *counters, enum dev_counter counter, uint64_t value)
{
    uint64_t seen = atomic_load(&counters->values[counter]);

    while (seen < value &&
           !atomic_compare_exchange_weak(&counters->values[counter], &seen, value)) {
    }
}

void dev_gauge_up(struct dev_counters *counters, enum dev_counter gauge)
{
    uint64_t now = atomic_fetch_add(&counters->values[gauge], 1) + 1;

    dev_count_max(counters, gauge + 1, now);
}

void dev_gauge_down(struct dev_counters *counters, enum dev_counter gauge)
{
    atomic_fetch_sub(&counters->values[gauge], 1);
}

void dev_counters_reset(struct dev_counters *counters)
{
    for (int i = 0; i < DEV_COUNTER_KINDS; i++) {
        if (is_gauge(i))
            continue;
        atomic_store(&counters->values[i],
                     i > 0 && is_gauge(i - 1) ? atomic_load(&counters->values[i - 1]) : 0);
    }
}

json_t *dev_counters_json(struct dev_counters *counters)
{
    json_t *object = json_object();

    for (int i = 0; i < DEV_COUNTER_KINDS; i++)
        json_object_set_new(object, names[i],
                            json_integer((json_int_t)atomic_load(&counters->values[i])));
    return object;
}
