/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_FAKE_LIB_H
#define FUZZ_FAKE_LIB_H

#include "keeper/keeper.h"
#include "keeper/log.h"

#include <stdbool.h>

/* The library's functions that the browser API calls, in place of the library: asynchronous calls
 * end when a fuzzer says so, as it says. */

void fake_lib_begin(struct fsh_keeper *keeper);

/* How calls that are made from now on end. */
void fake_lib_outcome(unsigned char choice);

/* Ends the oldest call, or the latest. False: none is under way. */
bool fake_lib_end(bool oldest);

/* How many sessions are open. */
unsigned fake_lib_sessions(void);

#endif
