/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_ROUNDS_H
#define BENCH_ROUNDS_H

#include <stddef.h>

/* A benchmark takes one round at a time, when it is told to, so that bench/run.py can take those of
 * several programs in turn: it reads "NAME NUMBER" lines and answers each with nanoseconds. */
struct bench_round {
    const char *name;
    double (*run)(int number);
};

/* Answers until the end of the input. Returns the program's exit status. */
int bench_rounds(const struct bench_round *rounds, size_t count);

/* CLOCK_MONOTONIC. */
double bench_now_ns(void);

void bench_sleep_ms(long ms);

/* Says why, and ends the program: a benchmark that does not work has no number. */
_Noreturn void bench_die(const char *why, const char *detail);

#endif
