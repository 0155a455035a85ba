/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <freshet/status.h>

static unsigned new_token(struct sim_world *world, struct sim_account *account, bool access,
                          int64_t lifetime)
{
    unsigned place = ++account->count;

    if (place >= SIM_TOKENS) {
        sim_violated(world, "the simulator's own bound: too many tokens");
        place = account->count = SIM_TOKENS - 1;
    }
    account->tokens[place] = (struct sim_token){
        .family = account->live_family,
        .spent_at = -1,
        .expires_at = world->now + lifetime,
        .access = access,
    };
    return place;
}

bool sim_platform_accepts(const struct sim_world *world, int session, unsigned token)
{
    const struct sim_account *account = &world->accounts[session];
    const struct sim_token *known = &account->tokens[token];

    return token != 0 && known->family == account->live_family && world->now < known->expires_at;
}

static void grant(struct sim_world *world, struct sim_event *event, bool refresh)
{
    struct sim_account *account = &world->accounts[event->session];

    event->lifetime = world->plan.lifetime_ms;
    event->new_access = new_token(world, account, true, event->lifetime);
    event->new_refresh = refresh ? new_token(world, account, false, INT64_MAX / 4) : 0;
    event->result = (struct fsh_result){
        .kind = FSH_RESULT_GRANT,
        .retry_after_ms = -1,
        .lifetime_ms = event->lifetime,
        .refresh_token = refresh,
        .identified = true,
    };
}

static void fails(struct sim_event *event, enum fsh_result_kind kind, int status,
                  int64_t retry_after_ms)
{
    event->result = (struct fsh_result){
        .kind = kind,
        .status = status,
        .retry_after_ms = retry_after_ms,
    };
}

static void refresh(struct sim_world *world, struct sim_event *event)
{
    struct sim_account *account = &world->accounts[event->session];
    struct sim_token *token = &account->tokens[event->token];

    if (event->token == 0 || token->family != account->live_family) {
        fails(event, FSH_RESULT_DEFINITE, FRESHET_EENDED, -1);
        return;
    }
    if (!world->plan.rotating) {
        grant(world, event, false);
        return;
    }
    if (token->spent_at >= 0 && world->now - token->spent_at > world->plan.grace_ms) {
        /* Reuse: the whole family goes, as the security considerations of OAuth 2.0 want it. */
        account->live_family = 0;
        fails(event, FSH_RESULT_DEFINITE, FRESHET_EENDED, -1);
        return;
    }
    if (token->spent_at < 0)
        token->spent_at = world->now;
    grant(world, event, true);
}

static void process(struct sim_world *world, struct sim_event *event)
{
    switch (event->errand) {
    case FSH_ERRAND_REFRESH:
        refresh(world, event);
        break;
    case FSH_ERRAND_PROBE:
        if (sim_platform_accepts(world, event->session, event->token))
            event->result = (struct fsh_result){.kind = FSH_RESULT_GRANT, .lifetime_ms = 1};
        else
            fails(event, FSH_RESULT_DEFINITE, FRESHET_EENDED, -1);
        break;
    default:
        world->accounts[event->session].live_family = ++world->accounts[event->session].families;
        grant(world, event, true);
        break;
    }
}

int64_t sim_platform_process(struct sim_world *world, struct sim_event *event)
{
    const struct sim_plan *plan = &world->plan;
    bool faulty = sim_faulty(world);
    int64_t delay = 5 + sim_uniform(world, 200);

    if (faulty && sim_chance(world, plan->slow))
        delay = sim_uniform(world, 25000);
    if (world->now < world->outage_until) {
        if (sim_chance(world, 300))
            return -1;
        fails(event, FSH_RESULT_UNKNOWN, FRESHET_EUNAVAILABLE,
              sim_chance(world, 300) ? sim_uniform(world, 60000) : -1);
        return delay;
    }
    if (faulty && sim_chance(world, plan->waf)) {
        fails(event, FSH_RESULT_TRANSIENT, FRESHET_EUNAVAILABLE, -1);
        return delay;
    }
    if (faulty && sim_chance(world, plan->server_error)) {
        fails(event, FSH_RESULT_UNKNOWN, FRESHET_EUNAVAILABLE, -1);
        return delay;
    }
    process(world, event);
    if (faulty && sim_chance(world, plan->duplicate) && !plan->rotating) {
        process(world, event); /* a proxy sent it twice; the second answer comes back */
        sim_note(world, "platform: the request came twice");
    }
    if (faulty && sim_chance(world, plan->lost_response)) {
        sim_note(world, "network: the answer to %d/%d is lost", event->engine, event->session);
        return -1;
    }
    return delay;
}
