/* SPDX-License-Identifier: Apache-2.0 */

/* The main loop: alarms ring in their order, descriptors are told until they are let go. */

#include "base/post.h"
#include "keeper/loop.h"
#include "unit.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ALARMS 500

struct bell {
    struct fsh_alarm alarm;
    struct fsh_main_loop *loop;
    int64_t at_ms;
    int rung;
};

static int64_t latest_ms;
static int rung;
static int expected;

static void ring(struct fsh_alarm *alarm)
{
    struct bell *bell = fsh_container_of(alarm, struct bell, alarm);

    assert_false(alarm->set);
    assert_true(bell->at_ms >= latest_ms);
    latest_ms = bell->at_ms;
    bell->rung++;
    if (++rung == expected)
        fsh_main_loop_stop(bell->loop);
}

static void set(struct bell *bell, int64_t in_ms)
{
    bell->at_ms = fsh_main_loop_now(bell->loop) + in_ms;
    fsh_main_loop_alarm(bell->loop, &bell->alarm, in_ms);
}

/* Set, moved and unset in an order without sense, from a seed that never changes. */
static void alarms_ring_in_their_order(void **state)
{
    static struct bell bells[ALARMS];
    struct fsh_main_loop *loop;
    unsigned seed = 12345;

    (void)state;
    assert_int_equal(fsh_main_loop_new(&loop), FRESHET_OK);
    rung = expected = 0;
    latest_ms = 0;
    for (int i = 0; i < ALARMS; i++) {
        bells[i] = (struct bell){.alarm.ring = ring, .loop = loop};
        set(&bells[i], rand_r(&seed) % 40);
    }
    for (int i = 0; i < 4 * ALARMS; i++) {
        struct bell *bell = &bells[rand_r(&seed) % ALARMS];

        if (rand_r(&seed) % 3 == 0)
            fsh_main_loop_unset(loop, &bell->alarm);
        else
            set(bell, rand_r(&seed) % 40);
    }
    for (int i = 0; i < ALARMS; i++)
        expected += bells[i].alarm.set;
    assert_true(expected > 0 && expected < ALARMS);
    for (int i = 0; i < ALARMS; i++)
        bells[i].rung -= bells[i].alarm.set;
    assert_int_equal(fsh_main_loop_run(loop), FRESHET_OK);
    for (int i = 0; i < ALARMS; i++)
        assert_int_equal(bells[i].rung, 0);
    fsh_main_loop_free(loop);
}

struct told {
    struct fsh_watch watch;
    struct fsh_main_loop *loop;
    struct told *other;
    int times;
};

/* The first that is told lets go of both: the other must not be told, though it is ready, too. */
static void let_go(struct fsh_watch *watch, uint32_t events)
{
    struct told *told = fsh_container_of(watch, struct told, watch);

    assert_true((events & EPOLLIN) != 0);
    told->times++;
    fsh_main_loop_unwatch(told->loop, &told->watch);
    fsh_main_loop_unwatch(told->loop, &told->other->watch);
}

static void stop(struct fsh_alarm *alarm)
{
    fsh_main_loop_stop(fsh_container_of(alarm, struct bell, alarm)->loop);
}

static void a_descriptor_that_was_let_go_is_not_told(void **state)
{
    struct bell end = {.alarm.ring = stop};
    struct fsh_main_loop *loop;
    struct told a;
    struct told b;

    (void)state;
    assert_int_equal(fsh_main_loop_new(&loop), FRESHET_OK);
    a = (struct told){{eventfd(1, EFD_CLOEXEC), let_go}, loop, &b, 0};
    b = (struct told){{eventfd(1, EFD_CLOEXEC), let_go}, loop, &a, 0};
    assert_int_equal(fsh_main_loop_watch(loop, &a.watch, EPOLLIN), FRESHET_OK);
    assert_int_equal(fsh_main_loop_watch(loop, &b.watch, EPOLLIN), FRESHET_OK);
    end.loop = loop;
    fsh_main_loop_alarm(loop, &end.alarm, 10);
    assert_int_equal(fsh_main_loop_run(loop), FRESHET_OK);
    assert_int_equal(a.times + b.times, 1);
    fsh_main_loop_free(loop);
    (void)close(a.watch.fd);
    (void)close(b.watch.fd);
}

struct again {
    struct fsh_alarm alarm;
    struct fsh_main_loop *loop;
    int left;
};

static void ring_again(struct fsh_alarm *alarm)
{
    struct again *again = fsh_container_of(alarm, struct again, alarm);

    if (again->left-- > 0)
        fsh_main_loop_alarm(again->loop, alarm, 0);
    else
        fsh_main_loop_stop(again->loop);
}

static void count(struct fsh_watch *watch, uint32_t events)
{
    (void)events;
    fsh_container_of(watch, struct told, watch)->times++;
}

static void who_has_more_to_do_at_once_lets_descriptors_have_their_turn(void **state)
{
    struct again again = {.alarm.ring = ring_again, .left = 10};
    struct told told = {{eventfd(1, EFD_CLOEXEC), count}, NULL, NULL, 0};

    (void)state;
    assert_int_equal(fsh_main_loop_new(&again.loop), FRESHET_OK);
    assert_int_equal(fsh_main_loop_watch(again.loop, &told.watch, EPOLLIN), FRESHET_OK);
    fsh_main_loop_alarm(again.loop, &again.alarm, 0);
    assert_int_equal(fsh_main_loop_run(again.loop), FRESHET_OK);
    assert_int_equal(told.times, 11);
    fsh_main_loop_free(again.loop);
    (void)close(told.watch.fd);
}

static void what_cannot_be_watched_is_told(void **state)
{
    struct fsh_watch watch = {.fd = -1};
    struct fsh_main_loop *loop;

    (void)state;
    assert_int_equal(fsh_main_loop_new(&loop), FRESHET_OK);
    assert_int_equal(fsh_main_loop_watch(loop, &watch, EPOLLIN), FRESHET_ELIMIT);
    fsh_main_loop_free(loop);
    fsh_main_loop_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alarms_ring_in_their_order),
        cmocka_unit_test(a_descriptor_that_was_let_go_is_not_told),
        cmocka_unit_test(who_has_more_to_do_at_once_lets_descriptors_have_their_turn),
        cmocka_unit_test(what_cannot_be_watched_is_told),
    };

    return cmocka_run_group_tests_name("keeper-loop", tests, NULL, NULL);
}
