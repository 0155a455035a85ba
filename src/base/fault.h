/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_BASE_FAULT_H
#define FSH_BASE_FAULT_H

#include <stdbool.h>

/* Points at which the kill test (tests/kill) ends the process, and orders that it breaks on purpose
 * to show that it notices. They exist in its programs alone, which are compiled with FSH_FAULTS;
 * anywhere else the compiler leaves nothing of them. `kind` is what a point is passed with: of a
 * store an fsh_change_kind, of HTTP an fsh_exchange_kind. */
#ifdef FSH_FAULTS
void fsh_fault(const char *point, int kind);
bool fsh_fault_breaks(const char *order);
#define FSH_FAULT(point, kind)  fsh_fault(point, (int)(kind))
#define FSH_FAULT_BREAKS(order) fsh_fault_breaks(order)
#else
#define FSH_FAULT(point, kind)  ((void)0)
#define FSH_FAULT_BREAKS(order) false
#endif

#endif
