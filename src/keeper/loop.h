/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_LOOP_H
#define FSH_KEEPER_LOOP_H

#include <stdbool.h>
#include <stdint.h>

/* The main thread's loop: descriptors and timers, level-triggered, over epoll(7). */

struct fsh_watch {
    int fd;
    void (*ready)(struct fsh_watch *watch, uint32_t events); /* EPOLLIN and the like */
};

/* A timer of the loop. All zero before its first use. Embedded in what it is about. */
struct fsh_alarm {
    void (*ring)(struct fsh_alarm *alarm);
    /* The loop's: a node of a pairing heap (Fredman et al. 1986), which allocates nothing. */
    int64_t at_ms; /* CLOCK_BOOTTIME */
    bool set;
    unsigned round; /* of the loop, in which it was set */
    struct fsh_alarm *child;
    struct fsh_alarm *next;
    struct fsh_alarm *back; /* the sibling before, or the parent */
};

struct fsh_main_loop;

int fsh_main_loop_new(struct fsh_main_loop **ret_loop);
void fsh_main_loop_free(struct fsh_main_loop *loop);

/* The watch stays in place until fsh_main_loop_unwatch. Hang-ups (EPOLLHUP) are always told.
 * FRESHET_ELIMIT. */
int fsh_main_loop_watch(struct fsh_main_loop *loop, struct fsh_watch *watch, uint32_t events);
void fsh_main_loop_unwatch(struct fsh_main_loop *loop, struct fsh_watch *watch);

/* Sets it, or sets it anew: `ring` is called once, in so many milliseconds. */
void fsh_main_loop_alarm(struct fsh_main_loop *loop, struct fsh_alarm *alarm, int64_t in_ms);
void fsh_main_loop_unset(struct fsh_main_loop *loop, struct fsh_alarm *alarm);

/* CLOCK_BOOTTIME in milliseconds, as it was when the loop woke up. */
int64_t fsh_main_loop_now(const struct fsh_main_loop *loop);

/* Runs until fsh_main_loop_stop. */
int fsh_main_loop_run(struct fsh_main_loop *loop);
void fsh_main_loop_stop(struct fsh_main_loop *loop);

#endif
