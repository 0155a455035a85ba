/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_BASE_FAULT_H
#define FSH_BASE_FAULT_H

/* Points at which the kill test (tests/kill) ends the process. They exist in its program alone,
 * which is compiled with FSH_FAULTS; anywhere else the compiler leaves nothing of them. `kind` is
 * what a point is passed with: of a store an fsh_change_kind or FSH_FAULT_LEDGER, of HTTP an
 * fsh_exchange_kind. */
#define FSH_FAULT_LEDGER 100
#ifdef FSH_FAULTS
void fsh_fault(const char *point, int kind);
#define FSH_FAULT(point, kind) fsh_fault(point, (int)(kind))
#else
#define FSH_FAULT(point, kind) ((void)0)
#endif

#endif
