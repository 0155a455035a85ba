/* SPDX-License-Identifier: Apache-2.0 */

/* How often somebody may try to sign in; and the table that sessions are found in. */

#include "base/post.h"
#include "keeper/limits.h"
#include "keeper/table.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1000000000)

static struct fsh_limited who(const char *text)
{
    return (struct fsh_limited){{3, 1000}, 'n', text, strlen(text)};
}

static int64_t take(struct fsh_limits *limits, const char *text, int64_t now_ms)
{
    const struct fsh_limited one = who(text);

    return fsh_limits_take(limits, &one, 1, now_ms);
}

static void a_burst_then_one_at_a_time(void **state)
{
    struct fsh_limits *limits = NULL;

    (void)state;
    assert_int_equal(fsh_limits_new(&limits), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(take(limits, "ann", NOW), 0);
    assert_int_equal(take(limits, "ann", NOW), 1000);
    assert_int_equal(take(limits, "ann", NOW + 400), 600);
    assert_int_equal(take(limits, "bob", NOW + 400), 0);
    assert_int_equal(take(limits, "ann", NOW + 1000), 0);
    assert_int_equal(take(limits, "ann", NOW + 1000), 1000);
    /* A pause gives all of it back, and no more. */
    for (int i = 0; i < 3; i++)
        assert_int_equal(take(limits, "ann", NOW + 1000000), 0);
    assert_int_equal(take(limits, "ann", NOW + 1000000), 1000);
    fsh_limits_free(limits);
}

/* Of an attempt that one of the two has none left for, the other is not charged. */
static void all_or_none(void **state)
{
    struct fsh_limits *limits = NULL;
    struct fsh_limited both[2] = {who("ann"), who("192.0.2.1")};

    (void)state;
    both[1].kind = 'a';
    assert_int_equal(fsh_limits_new(&limits), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(take(limits, "ann", NOW), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(fsh_limits_take(limits, both, 2, NOW), 1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fsh_limits_take(limits, &both[1], 1, NOW), 0);
    assert_int_equal(fsh_limits_take(limits, &both[1], 1, NOW), 1000);
    /* The same text of another kind is somebody else. */
    assert_int_equal(take(limits, "192.0.2.1", NOW), 0);
    fsh_limits_free(limits);
}

static void success_is_given_back(void **state)
{
    struct fsh_limits *limits = NULL;
    const struct fsh_limited one = who("ann");

    (void)state;
    assert_int_equal(fsh_limits_new(&limits), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(take(limits, "ann", NOW), 0);
        fsh_limits_give_back(limits, &one, 1);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(take(limits, "ann", NOW), 0);
    assert_int_equal(take(limits, "ann", NOW), 1000);
    fsh_limits_free(limits);
}

/* A hundred thousand names take no memory, and do not wash away who has tried too often. */
static void a_flood_of_names(void **state)
{
    struct fsh_limits *limits = NULL;
    char name[32];

    (void)state;
    assert_int_equal(fsh_limits_new(&limits), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(take(limits, "ann", NOW), 0);
    for (int i = 0; i < 100000; i++) {
        (void)snprintf(name, sizeof(name), "name %d", i);
        assert_int_equal(take(limits, name, NOW), 0);
    }
    assert_int_equal(take(limits, "ann", NOW), 1000);
    fsh_limits_free(limits);
}

/* ---- the table --------------------------------------------------------------------------- */

#define NODES 5000

struct thing {
    struct fsh_table_node node;
    unsigned value;
};

static uint64_t mix(uint64_t value)
{
    value = (value + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return value ^ (value >> 31);
}

static struct thing *look(const struct fsh_table *table, unsigned value)
{
    struct fsh_table_node *node = fsh_table_first(table, mix(value / 2));

    for (; node; node = fsh_table_next(node)) {
        struct thing *thing = fsh_container_of(node, struct thing, node);

        if (thing->value == value)
            return thing;
    }
    return NULL;
}

/* Things are found while the table grows and afterwards, two of each hash. */
static void what_was_added_is_found(void **state)
{
    static struct thing things[NODES];
    struct fsh_table table;

    (void)state;
    assert_int_equal(fsh_table_init(&table), 0);
    for (unsigned i = 0; i < NODES; i++) {
        assert_null(look(&table, i));
        things[i].value = i;
        fsh_table_add(&table, &things[i].node, mix(i / 2));
        assert_ptr_equal(look(&table, i), &things[i]);
        assert_ptr_equal(look(&table, i / 3), &things[i / 3]);
    }
    assert_int_equal(table.count, NODES);
    for (unsigned i = 0; i < NODES; i += 2)
        fsh_table_remove(&table, &things[i].node);
    for (unsigned i = 0; i < NODES; i++)
        assert_ptr_equal(look(&table, i), i % 2 ? &things[i] : NULL);
    assert_int_equal(table.count, NODES / 2);
    fsh_table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_then_one_at_a_time), cmocka_unit_test(all_or_none),
        cmocka_unit_test(success_is_given_back),      cmocka_unit_test(a_flood_of_names),
        cmocka_unit_test(what_was_added_is_found),
    };

    return cmocka_run_group_tests_name("keeper_limits", tests, NULL, NULL);
}
