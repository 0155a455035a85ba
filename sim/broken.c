/* SPDX-License-Identifier: Apache-2.0 */
#include "broken.h"

#include "core/mutant.h"

#include <string.h>

#ifdef FSH_MUTANTS
enum fsh_mutant fsh_core_mutant;
#endif

static const struct sim_broken cores[FSH_MUTANTS_COUNT] = {
    [FSH_MUTANT_NO_LEASE] = {"no-lease", SIM_RULE_ONE_LEASE, "grants a lease that another holds"},
    [FSH_MUTANT_STRETCHES] = {"stretches", SIM_RULE_UNDER_LEASE,
                              "sends under a lease that was granted too late"},
    [FSH_MUTANT_NO_SWAP] = {"no-swap", SIM_RULE_ONE_COMMIT, "commits without compare-and-swap"},
    [FSH_MUTANT_HASTY] = {"hasty", SIM_RULE_COMMIT_FIRST,
                          "publishes a sign-in or a rotation before its commit"},
    [FSH_MUTANT_EXPIRED] = {"expired", SIM_RULE_NO_EXPIRED, "takes any token for usable"},
    [FSH_MUTANT_DROPS] = {"drops", SIM_RULE_NO_DROP, "withdraws the token when a refresh fails"},
    [FSH_MUTANT_LATE_401] = {"late-401", SIM_RULE_NO_DROP,
                             "lets a 401 of an older generation count"},
    [FSH_MUTANT_UNPROBED] = {"unprobed", SIM_RULE_NO_DROP,
                             "ends a service on a 401 without a probe"},
    [FSH_MUTANT_NO_GRACE] = {"no-grace", SIM_RULE_GRACE, "replays a spent refresh token for ever"},
    [FSH_MUTANT_READOPTS] = {"readopts", SIM_RULE_STAYS_DEAD,
                             "adopts a token again that was withdrawn"},
    [FSH_MUTANT_UNBIDDEN] = {"unbidden", SIM_RULE_STAYS_DEAD,
                             "signs a person's session in by itself"},
    [FSH_MUTANT_HALF] = {"half", SIM_RULE_BOTH_HEADERS, "publishes what the cache does not have"},
    [FSH_MUTANT_FALLS_BACK] = {"falls-back", SIM_RULE_BOTH_HEADERS,
                               "takes another partner in place of one that is not allowed"},
    [FSH_MUTANT_UNDOES_SIGN_OUT] = {"undoes-sign-out", SIM_RULE_SIGN_OUT_WINS,
                                    "lets a flight land after a sign-out"},
    [FSH_MUTANT_UNHELD] = {"unheld", SIM_RULE_SIGN_OUT_WINS,
                           "signs a service in again that an operator holds"},
    [FSH_MUTANT_WAITS] = {"waits", SIM_RULE_NO_WAIT, "has callers wait below the threshold"},
    [FSH_MUTANT_OVERSTAYS] = {"overstays", SIM_RULE_DEADLINE,
                              "has callers wait beyond their deadline"},
    [FSH_MUTANT_LOOPS] = {"loops", SIM_RULE_SIGN_IN_ONCE,
                          "signs in again and again, without a pause"},
    [FSH_MUTANT_UNPARKED] = {"unparked", SIM_RULE_SIGN_IN_ONCE,
                             "signs in by itself though a challenge parked it"},
    [FSH_MUTANT_PROBES] = {"probes", SIM_RULE_ONE_PROBE, "probes without a pause"},
    [FSH_MUTANT_IMPATIENT] = {"impatient", SIM_RULE_RETRY_AFTER, "does not obey Retry-After"},
    [FSH_MUTANT_LOSSY] = {"lossy", SIM_RULE_RECORD, "forgets in the codec who holds the lease"},
    [FSH_MUTANT_SLEEPLESS] = {"sleepless", SIM_RULE_BOUNDED, "asks to be woken in the past"},
    [FSH_MUTANT_MISBOUND] = {"misbound", SIM_RULE_READABLE,
                             "binds a seal to the generation that is reserved"},
    [FSH_MUTANT_NEWEST_KEY] = {"newest-key", SIM_RULE_READABLE,
                               "opens what the newest key seals alone"},
    [FSH_MUTANT_GIVES_UP] = {"gives-up", SIM_RULE_LIVENESS, "never tries again after a failure"},
    [FSH_MUTANT_HOARDS] = {"hoards", SIM_RULE_LIVENESS,
                           "never gives its place among the flights back"},
    [FSH_MUTANT_JUMPS] = {"jumps", SIM_RULE_FIRST_COME, "passes those who wait for a place"},
};

const struct sim_broken *sim_broken(size_t index)
{
    return index + 1 < FSH_MUTANTS_COUNT ? &cores[index + 1] : NULL;
}

const struct sim_broken *sim_break(const char *name)
{
#ifdef FSH_MUTANTS
    for (size_t i = 0; sim_broken(i); i++) {
        if (strcmp(sim_broken(i)->name, name) == 0) {
            fsh_core_mutant = (enum fsh_mutant)(i + 1);
            return sim_broken(i);
        }
    }
#endif
    (void)name;
    return NULL;
}
