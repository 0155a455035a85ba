/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CORE_MUTANT_H
#define FSH_CORE_MUTANT_H

#include <stdbool.h>

/* Ways to break the core on purpose, so that the simulator can be shown to notice each. They exist
 * in one test program alone, which is compiled with FSH_MUTANTS; anywhere else FSH_MUTANT is false,
 * and the compiler leaves nothing of it. */
enum fsh_mutant {
    FSH_MUTANT_NONE,
    FSH_MUTANT_NO_LEASE,        /* grants a lease that another holds */
    FSH_MUTANT_NO_SWAP,         /* commits without compare-and-swap */
    FSH_MUTANT_EXPIRED,         /* takes any token for usable */
    FSH_MUTANT_DROPS,           /* withdraws the token when a refresh fails */
    FSH_MUTANT_NO_GRACE,        /* replays a spent refresh token for ever */
    FSH_MUTANT_READOPTS,        /* adopts a token again that was withdrawn */
    FSH_MUTANT_UNDOES_SIGN_OUT, /* lets a flight land after a sign-out */
    FSH_MUTANT_WAITS,           /* has callers wait below the threshold */
    FSH_MUTANT_HALF,            /* publishes what the cache does not have */
    FSH_MUTANT_GIVES_UP,        /* never tries again after a failure */
    FSH_MUTANTS_COUNT
};

#ifdef FSH_MUTANTS
extern enum fsh_mutant fsh_core_mutant;
#define FSH_MUTANT(name) (fsh_core_mutant == FSH_MUTANT_##name)
#else
#define FSH_MUTANT(name) false
#endif

#endif
