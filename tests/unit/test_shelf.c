/* SPDX-License-Identifier: Apache-2.0 */

#include "base/shelf.h"
#include "core/random.h"
#include "unit.h"

#include <freshet/status.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define BLOCKS 2000
#define ROUNDS 40000

/* What 2000 blocks of 300 bytes stand on; with sanitizers each stands alone. */
#ifdef FSH_SANITIZED
#define BOARDS BLOCKS
#else
#define BOARDS 20
#endif

struct taken {
    unsigned char *bytes;
    size_t size;
    unsigned char mark;
};

static void take(struct fsh_shelf *shelf, size_t size, unsigned char mark, struct taken *ret_taken)
{
    unsigned char *bytes = fsh_shelf_take(shelf, size);

    assert_non_null(bytes);
    assert_int_equal((uintptr_t)bytes % alignof(int64_t), 0);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], 0);
    memset(bytes, mark, size);
    *ret_taken = (struct taken){bytes, size, mark};
}

/* Nobody else has written to it. */
static void give(struct taken *taken)
{
    for (size_t i = 0; i < taken->size; i++)
        assert_int_equal(taken->bytes[i], taken->mark);
    fsh_shelf_give(taken->bytes);
    *taken = (struct taken){0};
}

/* The linker leads malloc and free of the shelf here. */
void *__real_malloc(size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void __wrap_free(void *memory);

static atomic_int blocks_of_malloc;

void *__wrap_malloc(size_t size)
{
    (void)atomic_fetch_add(&blocks_of_malloc, 1);
    return __real_malloc(size);
}

void __wrap_free(void *memory)
{
    (void)atomic_fetch_sub(&blocks_of_malloc, 1);
    __real_free(memory);
}

static void blocks_are_zero_and_apart(void **state)
{
    static struct taken taken[BLOCKS];
    struct fsh_shelf *shelf;
    uint64_t random = 5;

    (void)state;
    assert_int_equal(fsh_shelf_new(&shelf), FRESHET_OK);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t drawn = fsh_core_draw(&random);
        struct taken *one = &taken[drawn % BLOCKS];

        if (one->bytes)
            give(one);
        else
            take(shelf, drawn >> 16 & 1 ? 1 + (drawn >> 20) % 64 : 1 + (drawn >> 20) % 6000,
                 (unsigned char)(1 + i % 255), one);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (taken[i].bytes)
            give(&taken[i]);
    }
    fsh_shelf_free(shelf);
}

static void boards_without_a_block_go_back(void **state)
{
    static struct taken taken[BLOCKS];
    struct fsh_shelf *shelf;
    int before;

    (void)state;
    assert_int_equal(fsh_shelf_new(&shelf), FRESHET_OK);
    before = atomic_load(&blocks_of_malloc);
    for (unsigned i = 0; i < BLOCKS; i++)
        take(shelf, 300, 1, &taken[i]);
    assert_int_equal(atomic_load(&blocks_of_malloc) - before, BOARDS);
    /* One in a thousand stays. */
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (i % 1000 != 0)
            give(&taken[i]);
    }
    assert_int_equal(atomic_load(&blocks_of_malloc) - before, 2);
    for (unsigned i = 0; i < BLOCKS; i += 1000)
        give(&taken[i]);
    assert_int_equal(atomic_load(&blocks_of_malloc), before);
    fsh_shelf_free(shelf);
}

static void a_full_board_has_room_again_when_a_block_is_given(void **state)
{
    static struct taken taken[BLOCKS];
    struct fsh_shelf *shelf;
    int full;

    (void)state;
    assert_int_equal(fsh_shelf_new(&shelf), FRESHET_OK);
    for (unsigned i = 0; i < BLOCKS; i++)
        take(shelf, 1300, 1, &taken[i]);
    full = atomic_load(&blocks_of_malloc);
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = round; i < BLOCKS; i += 7)
            give(&taken[i]);
        for (unsigned i = round; i < BLOCKS; i += 7)
            take(shelf, 1300, 2, &taken[i]);
        assert_int_equal(atomic_load(&blocks_of_malloc), full);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        give(&taken[i]);
    fsh_shelf_free(shelf);
}

static void blocks_outlive_their_shelf(void **state)
{
    struct fsh_shelf *shelf;
    struct taken small;
    struct taken large;

    (void)state;
    assert_int_equal(fsh_shelf_new(&shelf), FRESHET_OK);
    take(shelf, 100, 1, &small);
    take(shelf, FSH_SHELF_MOST + 1, 2, &large);
    fsh_shelf_free(shelf);
    give(&small);
    give(&large);
    fsh_shelf_free(NULL);
}

static void no_shelf_is_needed(void **state)
{
    struct taken taken;

    (void)state;
    take(NULL, 100, 1, &taken);
    give(&taken);
    fsh_shelf_give(NULL);
}

/* ---- threads ----------------------------------------------------------------------------- */

static void *give_all(void *data)
{
    struct taken *taken = data;

    for (unsigned i = 0; i < BLOCKS; i++)
        fsh_shelf_give(taken[i].bytes);
    return NULL;
}

static void any_thread_gives(void **state)
{
    static struct taken taken[2][BLOCKS];
    struct fsh_shelf *shelf;
    pthread_t thread;

    (void)state;
    assert_int_equal(fsh_shelf_new(&shelf), FRESHET_OK);
    for (unsigned i = 0; i < BLOCKS; i++)
        take(shelf, 1 + i % 500, 1, &taken[0][i]);
    assert_int_equal(pthread_create(&thread, NULL, give_all, taken[0]), 0);
    for (unsigned i = 0; i < BLOCKS; i++)
        take(shelf, 1 + i % 500, 2, &taken[1][i]);
    fsh_shelf_free(shelf);
    (void)give_all(taken[1]);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_zero_and_apart),
        cmocka_unit_test(boards_without_a_block_go_back),
        cmocka_unit_test(a_full_board_has_room_again_when_a_block_is_given),
        cmocka_unit_test(blocks_outlive_their_shelf),
        cmocka_unit_test(no_shelf_is_needed),
        cmocka_unit_test(any_thread_gives),
    };

    return cmocka_run_group_tests_name("shelf", tests, NULL, NULL);
}
