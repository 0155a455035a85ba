/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_ALLOC_H
#define TESTS_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Has one allocation fail, or all from one on: those of our own code, of jansson and of libcurl, of
 * all threads. The linker leads our code's here (tests/meson.build); the two libraries are told. */

/* Once, before anything else. */
void alloc_init(void);

/* Runs `once(what)` with the first allocation failing, with the second, and so on, until it comes
 * through without a failure; and then again with all allocations failing from the first on, the
 * second and so on. False when there is no end to it. Only what `once` does between alloc_arm and
 * alloc_disarm is meant. */
bool alloc_every(void (*once)(const void *what), const void *what);

void alloc_arm(void);

/* Nothing fails any more. Whether anything did. */
bool alloc_disarm(void);

#endif
