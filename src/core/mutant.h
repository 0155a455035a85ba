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
    FSH_MUTANT_STRETCHES,       /* sends under a lease that was granted too late */
    FSH_MUTANT_NO_SWAP,         /* commits without compare-and-swap */
    FSH_MUTANT_HASTY,           /* publishes a sign-in or a rotation before its commit */
    FSH_MUTANT_EXPIRED,         /* takes any token for usable */
    FSH_MUTANT_DROPS,           /* withdraws the token when a refresh fails */
    FSH_MUTANT_LATE_401,        /* lets a 401 of an older generation count */
    FSH_MUTANT_UNPROBED,        /* ends a service on a 401 without a probe */
    FSH_MUTANT_NO_GRACE,        /* replays a spent refresh token for ever */
    FSH_MUTANT_READOPTS,        /* adopts a token again that was withdrawn */
    FSH_MUTANT_UNBIDDEN,        /* signs a person's session in by itself */
    FSH_MUTANT_HALF,            /* publishes what the cache does not have */
    FSH_MUTANT_FALLS_BACK,      /* takes another partner in place of one that is not allowed */
    FSH_MUTANT_UNDOES_SIGN_OUT, /* lets a flight land after a sign-out */
    FSH_MUTANT_UNHELD,          /* signs a service in again that an operator holds */
    FSH_MUTANT_WAITS,           /* has callers wait below the threshold */
    FSH_MUTANT_OVERSTAYS,       /* has callers wait beyond their deadline */
    FSH_MUTANT_LOOPS,           /* signs in again and again, without a pause */
    FSH_MUTANT_UNPARKED,        /* signs in by itself though a challenge parked it */
    FSH_MUTANT_PROBES,          /* probes without a pause */
    FSH_MUTANT_IMPATIENT,       /* does not obey Retry-After */
    FSH_MUTANT_LOSSY,           /* forgets in the codec who holds the lease */
    FSH_MUTANT_SLEEPLESS,       /* asks to be woken in the past */
    FSH_MUTANT_GIVES_UP,        /* never tries again after a failure */
    FSH_MUTANT_HOARDS,          /* never gives its place among the flights back */
    FSH_MUTANT_JUMPS,           /* passes those who wait for a place */
    FSH_MUTANT_MISBOUND,        /* binds a seal to the generation that is reserved */
    FSH_MUTANT_NEWEST_KEY,      /* opens what the newest key seals alone */
    FSH_MUTANTS_COUNT
};

#ifdef FSH_MUTANTS
extern enum fsh_mutant fsh_core_mutant;
#define FSH_MUTANT(name) (fsh_core_mutant == FSH_MUTANT_##name)
#else
#define FSH_MUTANT(name) false
#endif

#endif
