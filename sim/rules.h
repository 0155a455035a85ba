/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIM_RULES_H
#define SIM_RULES_H

/* The checkers: what must hold after every step, each with a name. They judge by what the platform,
 * the store and the callers saw, not by what the core believes. docs/simulator.md has the table. */
enum sim_rule {
    SIM_RULE_NONE, /* all held */
    SIM_RULE_ONE_LEASE,
    SIM_RULE_UNDER_LEASE,
    SIM_RULE_ONE_COMMIT,
    SIM_RULE_COMMIT_FIRST,
    SIM_RULE_NO_EXPIRED,
    SIM_RULE_NO_DROP,
    SIM_RULE_GRACE,
    SIM_RULE_STAYS_DEAD,
    SIM_RULE_BOTH_HEADERS,
    SIM_RULE_SIGN_OUT_WINS,
    SIM_RULE_NO_WAIT,
    SIM_RULE_DEADLINE,
    SIM_RULE_SIGN_IN_ONCE,
    SIM_RULE_ONE_PROBE,
    SIM_RULE_RETRY_AFTER,
    SIM_RULE_FIRST_COME,
    SIM_RULE_RECORD,
    SIM_RULE_READABLE,
    SIM_RULE_BOUNDED,
    SIM_RULE_LIVENESS,
    SIM_RULES
};

/* As it is called on the command line, in reports and in tests. */
const char *sim_rule_name(enum sim_rule rule);

/* In one sentence. */
const char *sim_rule_text(enum sim_rule rule);

#endif
