/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <freshet/status.h>

#define CHALLENGE_MS 180000 /* that an account's challenge is open */

static unsigned new_token(struct sim_world *world, struct sim_account *account, unsigned family,
                          int64_t lifetime)
{
    if (account->count + 1 >= SIM_TOKENS) {
        sim_violated(world, SIM_RULE_BOUNDED, "the simulator's own bound: too many tokens");
        return account->count;
    }
    account->tokens[++account->count] = (struct sim_token){
        .family = family,
        .partners = account->partners,
        .spent_at = -1,
        .expires_at = world->now + lifetime,
    };
    return account->count;
}

static bool alive(const struct sim_world *world, int session, unsigned token)
{
    const struct sim_account *account = &world->accounts[session];
    const struct sim_token *known = &account->tokens[token];

    return token != 0 && account->ended_at[known->family] == 0 && world->now < known->expires_at;
}

bool sim_platform_accepts(const struct sim_world *world, int session, unsigned token)
{
    return alive(world, session, token) && world->now >= world->accounts[session].suspended_until;
}

static void fails(struct sim_event *event, enum fsh_result_kind kind, int status,
                  int64_t retry_after_ms)
{
    event->grant = (struct sim_grant){0};
    event->result = (struct fsh_result){
        .kind = kind,
        .status = status,
        .retry_after_ms = retry_after_ms,
    };
}

static void grant(struct sim_world *world, struct sim_event *event, unsigned family,
                  bool refresh_token)
{
    struct sim_account *account = &world->accounts[event->session];
    int64_t lifetime = world->plan.lifetime_ms;
    int64_t refresh_life = sim_plan_refresh_life_ms(&world->plan, event->session);
    bool identified = event->errand != FSH_ERRAND_REFRESH || sim_chance(world, 800);

    event->grant = (struct sim_grant){
        .access = new_token(world, account, family, lifetime),
        .refresh = refresh_token ? new_token(world, account, family, refresh_life) : 0,
        .partners = account->partners,
        .identified = identified,
        .lifetime_ms = lifetime,
    };
    event->result = (struct fsh_result){
        .kind = FSH_RESULT_GRANT,
        .retry_after_ms = -1,
        .lifetime_ms = lifetime,
        .refresh_token = refresh_token,
        .identified = identified,
        .suspended = identified && world->now < account->suspended_until,
    };
}

/* ---- the calls ----------------------------------------------------------------------------- */

static void refresh(struct sim_world *world, struct sim_event *event)
{
    struct sim_account *account = &world->accounts[event->session];
    struct sim_token *token = &account->tokens[event->token];
    bool rotating = world->plan.rotating;

    if (!alive(world, event->session, event->token)) {
        fails(event, FSH_RESULT_DEFINITE, FRESHET_EENDED, -1);
        return;
    }
    if (rotating && token->spent_at >= 0 && world->now - token->spent_at > world->plan.grace_ms) {
        /* Reuse: the whole family goes, as the security considerations of OAuth 2.0 want it. */
        account->ended_at[token->family] = world->now;
        sim_tell(world, "platform: a spent refresh token came again: everything of that sign-in "
                        "is revoked");
        fails(event, FSH_RESULT_DEFINITE, FRESHET_EENDED, -1);
        return;
    }
    if (rotating && token->spent_at < 0)
        token->spent_at = world->now;
    /* A platform that does not rotate may hand out a new one all the same. */
    grant(world, event, token->family, rotating || sim_chance(world, 50));
}

static void new_family(struct sim_world *world, struct sim_event *event)
{
    struct sim_account *account = &world->accounts[event->session];

    if (account->families + 1 >= SIM_TOKENS) {
        sim_violated(world, SIM_RULE_BOUNDED, "the simulator's own bound: too many sign-ins");
        return;
    }
    if (world->plan.newest_only)
        account->ended_at[account->families] = world->now;
    account->challenge = 0;
    grant(world, event, ++account->families, true);
}

static void sign_in(struct sim_world *world, struct sim_event *event)
{
    struct sim_account *account = &world->accounts[event->session];

    if (world->now < account->refused_until) {
        fails(event, FSH_RESULT_DEFINITE, FRESHET_ECREDENTIALS, -1);
        return;
    }
    if (world->now < account->suspended_until && sim_chance(world, 500)) {
        fails(event, FSH_RESULT_DEFINITE, FRESHET_ESUSPENDED, -1);
        return;
    }
    if (!sim_strikes(world, SIM_CHALLENGES)) {
        new_family(world, event);
        return;
    }
    account->challenge = sim_chance(world, 700) ? FRESHET_EMFA : FRESHET_ENEWPASSWORD;
    account->challenged_until = world->now + CHALLENGE_MS;
    fails(event, FSH_RESULT_CHALLENGE, account->challenge, -1);
}

static void answer_challenge(struct sim_world *world, struct sim_event *event)
{
    struct sim_account *account = &world->accounts[event->session];
    bool mfa = event->errand == FSH_ERRAND_MFA;

    if (account->challenge != (mfa ? FRESHET_EMFA : FRESHET_ENEWPASSWORD) ||
        world->now >= account->challenged_until) {
        fails(event, FSH_RESULT_DEFINITE, FRESHET_ECHALLENGEOVER, -1);
        return;
    }
    if (sim_strikes(world, SIM_WRONG_CODES)) {
        fails(event, FSH_RESULT_DEFINITE, mfa ? FRESHET_EMFACODE : FRESHET_EPASSWORDPOLICY, -1);
        return;
    }
    new_family(world, event);
}

static void probe(struct sim_world *world, struct sim_event *event)
{
    if (sim_platform_accepts(world, event->session, event->token))
        event->result = (struct fsh_result){.kind = FSH_RESULT_GRANT, .lifetime_ms = 1};
    else
        fails(event, FSH_RESULT_DEFINITE, FRESHET_EENDED, -1);
}

static void process(struct sim_world *world, struct sim_event *event)
{
    switch (event->errand) {
    case FSH_ERRAND_REFRESH:
        refresh(world, event);
        break;
    case FSH_ERRAND_PROBE:
        probe(world, event);
        break;
    case FSH_ERRAND_SIGN_IN:
        sign_in(world, event);
        break;
    default:
        answer_challenge(world, event);
        break;
    }
}

/* ---- what becomes of a request --------------------------------------------------------------- */

/* A grant whose access token is never usable, or a body that nobody can read. */
static void spoil(struct sim_world *world, struct sim_event *event)
{
    if (event->result.kind == FSH_RESULT_GRANT && event->errand != FSH_ERRAND_PROBE &&
        sim_chance(world, 400))
        event->result.lifetime_ms = event->grant.lifetime_ms = 500;
    else
        fails(event, FSH_RESULT_UNKNOWN, FRESHET_EBADBODY, -1);
}

/* What stands before the platform, and answers in its place. True when it did. */
static bool turned_away(struct sim_world *world, struct sim_event *event)
{
    if (world->now < world->outage_until) {
        fails(event, FSH_RESULT_UNKNOWN, FRESHET_EUNAVAILABLE,
              sim_chance(world, 300) ? sim_uniform(world, 60000) : -1);
        return true;
    }
    if (sim_strikes(world, SIM_FIREWALL_PAGES)) { /* 403, text/html */
        fails(event, FSH_RESULT_TRANSIENT, FRESHET_EUNAVAILABLE, -1);
        return true;
    }
    if (sim_strikes(world, SIM_RATE_LIMITS)) { /* 429, at times for longer than is obeyed */
        fails(event, FSH_RESULT_TRANSIENT, FRESHET_EUNAVAILABLE,
              sim_fault_uniform(world, SIM_RATE_LIMITS, 400000));
        return true;
    }
    return false;
}

/* A proxy before the platform may try what it passed on once more. */
static void try_again(struct sim_world *world, const struct sim_event *event)
{
    if (sim_strikes(world, SIM_TWO_REQUESTS))
        sim_follow(world, SIM_ARRIVE, event, sim_fault_uniform(world, SIM_TWO_REQUESTS, 30000))
            ->extra = true;
}

static void answer(struct sim_world *world, struct sim_event *event)
{
    if (event->extra) {
        process(world, event);
        return;
    }
    if (turned_away(world, event))
        return;
    try_again(world, event);
    if (sim_strikes(world, SIM_SERVER_ERRORS)) {
        /* A 5xx says nothing about whether it was done. */
        if (sim_chance(world, 500))
            process(world, event);
        fails(event, FSH_RESULT_UNKNOWN, FRESHET_EUNAVAILABLE, -1);
        return;
    }
    process(world, event);
    if (sim_strikes(world, SIM_BAD_BODIES))
        spoil(world, event);
}

void sim_platform_receive(struct sim_world *world, struct sim_event *event)
{
    int64_t delay = 5 + sim_uniform(world, 200);

    answer(world, event);
    sim_tell_answer(world, event, event->extra ? "platform, once more:" : "platform:");
    if (sim_strikes(world, SIM_SLOW_NETWORK))
        delay = sim_fault_uniform(world, SIM_SLOW_NETWORK, 25000);
    if (sim_strikes(world, SIM_LOST_ANSWERS)) {
        sim_say(world, event->engine, event->session, "network: that answer is lost");
        return;
    }
    (void)sim_follow(world, SIM_ANSWER, event, delay);
    if (sim_strikes(world, SIM_TWO_ANSWERS))
        (void)sim_follow(world, SIM_ANSWER, event,
                         delay + sim_fault_uniform(world, SIM_TWO_ANSWERS, 60000));
}
