/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

struct rule {
    const char *name;
    const char *text;
};

static const struct rule rules[SIM_RULES] = {
    [SIM_RULE_NONE] = {"none", "all rules held"},
    [SIM_RULE_ONE_LEASE] = {"one-lease", "a session has one valid lease holder"},
    [SIM_RULE_UNDER_LEASE] = {"under-lease",
                              "what may bring a token is asked under a lease that outlives it"},
    [SIM_RULE_ONE_COMMIT] = {"one-commit", "a generation is committed once, and none goes back"},
    [SIM_RULE_COMMIT_FIRST] = {"commit-first",
                               "a sign-in and a rotation are written before anybody sees them"},
    [SIM_RULE_NO_EXPIRED] = {"no-expired", "no expired or unusable token is handed out"},
    [SIM_RULE_NO_DROP] = {"no-drop", "no usable token is dropped without a verdict"},
    [SIM_RULE_GRACE] = {"grace", "no spent refresh token is sent outside its grace"},
    [SIM_RULE_STAYS_DEAD] = {"stays-dead", "a dead session stays dead until somebody signs in"},
    [SIM_RULE_BOTH_HEADERS] = {"both-headers", "both headers of one snapshot, or neither"},
    [SIM_RULE_SIGN_OUT_WINS] = {"sign-out-wins", "a sign-out is never undone"},
    [SIM_RULE_NO_WAIT] = {"no-wait", "nobody waits, or is refused, who holds a usable token"},
    [SIM_RULE_DEADLINE] = {"deadline", "nobody waits beyond the deadline"},
    [SIM_RULE_SIGN_IN_ONCE] = {"sign-in-once",
                               "automatic sign-ins keep their pause, and stop at a challenge"},
    [SIM_RULE_ONE_PROBE] = {"one-probe", "probes of a session keep their pause"},
    [SIM_RULE_RETRY_AFTER] = {"retry-after", "nothing is sent before the platform's Retry-After"},
    [SIM_RULE_FIRST_COME] = {"first-come", "nobody passes those who wait for a place"},
    [SIM_RULE_RECORD] = {"record", "the codec gives back what it was given"},
    [SIM_RULE_READABLE] = {"readable",
                           "what was sealed opens to what it was, whatever keys are rotated"},
    [SIM_RULE_BOUNDED] = {"bounded", "no step overflows, and nothing wakes up for ever"},
    [SIM_RULE_LIVENESS] = {"liveness", "when faults stop, every session is fresh within the bound"},
};

const char *sim_rule_name(enum sim_rule rule)
{
    return rules[rule].name;
}

const char *sim_rule_text(enum sim_rule rule)
{
    return rules[rule].text;
}
