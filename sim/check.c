/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "base/bounds.h"
#include "core/partner.h"

#include <freshet/status.h>
#include <string.h>

/* The rules, each checked where it can be broken. */

/* Two hosts' clocks may differ by this much over one exchange. */
#define DRIFT_MS 10

static struct sim_session *at(struct sim_world *world, int engine, int session)
{
    return &world->engines[engine].sessions[session];
}

/* ---- at the store -------------------------------------------------------------------------- */

static void check_comeback(struct sim_world *world, const struct sim_event *event,
                           const struct fsh_record *before)
{
    if (event->commanded)
        return;
    if (before->phase == FSH_PHASE_HELD || before->phase == FSH_PHASE_SIGNED_OUT)
        sim_violated(world, SIM_RULE_SIGN_OUT_WINS,
                     "a session that was signed out signs in by itself");
    else if (!world->plan.service[event->session])
        sim_violated(world, SIM_RULE_STAYS_DEAD, "a person's session signs in by itself");
    else if (before->phase == FSH_PHASE_ENDED && before->reason == FRESHET_ESUSPENDED)
        sim_violated(world, SIM_RULE_STAYS_DEAD, "a suspended account signs in by itself");
    else if (before->parked)
        sim_violated(world, SIM_RULE_SIGN_IN_ONCE, "a parked service signs in by itself");
}

void sim_check_lease(struct sim_world *world, const struct sim_event *event,
                     const struct fsh_record *before)
{
    const struct sim_row *row = &world->rows[event->session];

    if (row->lease_holder != 0 && row->lease_holder != event->change.holder &&
        world->now < row->lease_until)
        sim_violated(world, SIM_RULE_ONE_LEASE, "a lease was granted while another is valid");
    if (event->change.purpose == FSH_PURPOSE_SIGN_IN)
        check_comeback(world, event, before);
    else if (before->phase != FSH_PHASE_LIVE)
        sim_violated(world, SIM_RULE_STAYS_DEAD, "a session that is over is refreshed");
}

void sim_check_commit(struct sim_world *world, const struct sim_event *event,
                      const struct fsh_record *before, const struct fsh_record *after)
{
    const struct sim_row *row = &world->rows[event->session];

    if (event->leased_at <= row->signed_out_at)
        sim_violated(world, SIM_RULE_SIGN_OUT_WINS,
                     "a flight that began before a sign-out landed after it");
    if (before->phase != FSH_PHASE_LIVE && event->change.purpose != FSH_PURPOSE_SIGN_IN)
        sim_violated(world, SIM_RULE_STAYS_DEAD,
                     "a session that was over came back without a sign-in");
    if (after->generation <= row->committed)
        sim_violated(world, SIM_RULE_ONE_COMMIT,
                     "a generation was committed twice, or one went back");
}

static bool same_lease(const struct fsh_lease *a, const struct fsh_lease *b)
{
    return a->holder == b->holder && a->attempt == b->attempt && a->generation == b->generation &&
           a->until.ms == b->until.ms && a->until.boot == b->until.boot && a->purpose == b->purpose;
}

static bool same_record(const struct fsh_record *a, const struct fsh_record *b)
{
    return a->incarnation == b->incarnation && a->generation == b->generation &&
           a->reserved == b->reserved && a->phase == b->phase && a->reason == b->reason &&
           a->refreshable == b->refreshable && a->parked == b->parked &&
           a->refresh_until.ms == b->refresh_until.ms && a->sign_in_at.ms == b->sign_in_at.ms &&
           a->refusals == b->refusals && same_lease(&a->lease, &b->lease) &&
           a->unresolved == b->unresolved && a->unresolved_at.ms == b->unresolved_at.ms &&
           a->unresolved_at.boot == b->unresolved_at.boot;
}

void sim_check_record(struct sim_world *world, const struct fsh_record *given,
                      const struct fsh_record *back)
{
    if (!same_record(given, back))
        sim_violated(world, SIM_RULE_RECORD, "the store gives back another record than it got");
}

/* ---- at the gate -------------------------------------------------------------------------------
 */

void sim_check_line(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);

    for (int i = 0; i < SIM_SESSIONS && self->core.placed && !self->placed; i++) {
        const struct sim_session *other = at(world, engine, i);

        if (other->core.stand.waits && (self->came == 0 || other->came < self->came))
            sim_violated(world, SIM_RULE_FIRST_COME, "a flight began while another waited longer");
    }
    self->placed = self->core.placed;
    if (!self->core.stand.waits)
        self->came = 0;
    else if (self->came == 0)
        self->came = ++world->engines[engine].came;
}

/* ---- at a request ---------------------------------------------------------------------------- */

static void check_probe(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    struct fsh_mono now = sim_engine_mono(world, engine);

    if (self->probed_at.ms != FSH_NEVER.ms && now.ms < self->probed_at.ms + FSH_PROBE_PAUSE_MS)
        sim_violated(world, SIM_RULE_ONE_PROBE, "a probe was sent before its pause was over");
    self->probed_at = now;
}

static void check_sign_in(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    struct sim_row *row = &world->rows[session];

    /* The pause is kept by the calendar: where that steps, nothing can be said. */
    if (self->commanded || world->plan.rate[SIM_CLOCK_STEPS])
        return;
    if (row->signed_in_at != 0 && self->lease_wall < row->signed_in_at + FSH_SIGN_IN_PAUSE_MS)
        sim_violated(world, SIM_RULE_SIGN_IN_ONCE,
                     "an automatic sign-in was sent before its pause was over");
    row->signed_in_at = self->lease_wall;
}

static void check_spent(struct sim_world *world, int session, unsigned token)
{
    const struct sim_token *known = &world->accounts[session].tokens[token];

    if (token == 0)
        sim_violated(world, SIM_RULE_GRACE, "a refresh was sent without a refresh token");
    if (world->plan.rotating && known->spent_at >= 0 &&
        world->now - known->spent_at > world->plan.grace_ms)
        sim_violated(world, SIM_RULE_GRACE, "a spent refresh token was sent outside its grace");
}

void sim_check_send(struct sim_world *world, int engine, int session, enum fsh_errand errand)
{
    if (sim_engine_mono(world, engine).ms < world->engines[engine].closed_to.ms)
        sim_violated(world, SIM_RULE_RETRY_AFTER, "a request was sent before Retry-After");
    if (errand == FSH_ERRAND_PROBE)
        check_probe(world, engine, session);
    if (errand == FSH_ERRAND_SIGN_IN)
        check_sign_in(world, engine, session);
    if (errand == FSH_ERRAND_REFRESH)
        check_spent(world, session, at(world, engine, session)->leased);
}

void sim_check_leave(struct sim_world *world, const struct sim_event *event)
{
    const struct sim_row *row = &world->rows[event->session];
    int64_t gone = sim_engine_mono(world, event->engine).ms - event->started.ms;

    if (event->errand == FSH_ERRAND_PROBE)
        return;
    if (world->now + FSH_EXCHANGE_MS - gone > event->lease_until + DRIFT_MS)
        sim_violated(world, SIM_RULE_UNDER_LEASE, "a request may outlive its lease");
    /* A sign-out takes leases away without asking, and a person may sign in after it. */
    if (row->lease_holder != 0 && row->lease_holder != world->engines[event->engine].holder &&
        world->now < row->lease_until && row->signed_out_at < event->leased_at)
        sim_violated(world, SIM_RULE_UNDER_LEASE, "a request was sent under another's lease");
}

/* ---- at a snapshot -----------------------------------------------------------------------------
 */

static bool must_be_written(const struct sim_session *self, const struct sim_grant *grant)
{
    return grant == &self->made && (grant->refresh || self->core.errand != FSH_ERRAND_REFRESH);
}

void sim_check_publish(struct sim_world *world, int engine, int session, uint64_t generation,
                       const struct sim_grant *grant)
{
    struct sim_session *self = at(world, engine, session);

    if (grant->access == 0)
        sim_violated(world, SIM_RULE_BOTH_HEADERS, "a generation was published without its token");
    if (generation <= self->generation && self->force.access == 0)
        sim_violated(world, SIM_RULE_STAYS_DEAD, "a token that was withdrawn is in force again");
    if (generation <= self->generation)
        sim_violated(world, SIM_RULE_ONE_COMMIT, "the published generation went back");
    if (self->life != SIM_ALIVE && self->read.phase != FSH_PHASE_LIVE)
        sim_violated(world, self->life == SIM_ENDED ? SIM_RULE_STAYS_DEAD : SIM_RULE_SIGN_OUT_WINS,
                     "a session that is over has a token again without a sign-in");
    if (must_be_written(self, grant) && world->rows[session].committed < generation)
        sim_violated(world, SIM_RULE_COMMIT_FIRST,
                     "what cannot be had again was published before it was written");
}

void sim_check_withdraw(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    bool usable = sim_engine_mono(world, engine).ms < self->core.token.usable_until.ms;

    if (!self->excused && usable && sim_platform_accepts(world, session, self->force.access))
        sim_violated(world, SIM_RULE_NO_DROP, "a usable token was dropped without a verdict");
}

void sim_check_token(struct sim_world *world, int engine, int session)
{
    struct sim_session *self = at(world, engine, session);
    const struct sim_token *token = &world->accounts[session].tokens[self->force.access];

    if (self->life == SIM_SIGNED_OUT)
        sim_violated(world, SIM_RULE_SIGN_OUT_WINS, "a token was handed out after a sign-out");
    if (self->life == SIM_ENDED)
        sim_violated(world, SIM_RULE_STAYS_DEAD, "a token of a dead session was handed out");
    if (self->force.access == 0)
        sim_violated(world, SIM_RULE_BOTH_HEADERS, "a caller was sent on without a token");
    else if (world->now >= token->expires_at)
        sim_violated(world, SIM_RULE_NO_EXPIRED, "an expired token was handed out");
    else if (sim_engine_mono(world, engine).ms >= self->core.token.usable_until.ms)
        sim_violated(world, SIM_RULE_NO_EXPIRED, "a token past its use was handed out");
}

/* ---- both headers or neither -------------------------------------------------------------------
 */

static char *const partners[SIM_PARTNERS] = {(char[]){"fd1"}, (char[]){"fd2"},
                                             (char[]){"partner-id-3"}};

/* The ids of a snapshot, as a list. */
static size_t list(unsigned bits, char *ret_list[SIM_PARTNERS])
{
    size_t count = 0;

    for (unsigned i = 0; i < SIM_PARTNERS; i++) {
        if (bits & 1U << i)
            ret_list[count++] = partners[i];
    }
    return count;
}

/* The caller takes the headers of its request, and may name a partner. */
void sim_check_headers(struct sim_world *world, int engine, int session)
{
    const struct sim_session *self = at(world, engine, session);
    const struct sim_grant *force = &self->force;
    uint64_t choice = sim_draw(world) % (SIM_PARTNERS + 1);
    const char *asked = choice < SIM_PARTNERS ? partners[choice] : NULL;
    char *allowed[SIM_PARTNERS];
    size_t count = list(force->partners, allowed);
    bool only = asked ? (force->partners & 1U << choice) != 0 : count == 1;
    size_t index = SIM_PARTNERS;
    int status = fsh_core_partner(allowed, count, asked, NULL, NULL, &index);

    if (force->identified &&
        force->partners != world->accounts[session].tokens[force->access].partners)
        sim_violated(world, SIM_RULE_BOTH_HEADERS, "token and partners are of two snapshots");
    if ((status == FRESHET_OK) != only)
        sim_violated(world, SIM_RULE_BOTH_HEADERS,
                     only ? "a partner that is allowed was refused"
                          : "a request goes out with a partner that nobody chose");
    else if (status == FRESHET_OK && (index >= count || (asked && allowed[index] != asked)))
        sim_violated(world, SIM_RULE_BOTH_HEADERS, "a request goes out with another partner");
}

/* ---- at the end
 * ---------------------------------------------------------------------------------- */

/* A service that signs in anew may revoke the token of another engine at any time; that one learns
 * of it by a caller's 401 and a probe. */
static bool long_revoked(const struct sim_world *world, int session, unsigned token)
{
    const struct sim_account *account = &world->accounts[session];
    int64_t ended_at = account->ended_at[account->tokens[token].family];
    int64_t notice = 2 * world->plan.call_every_ms + FSH_PROBE_PAUSE_MS + 2 * FSH_EXCHANGE_MS;

    return token != 0 && ended_at != 0 && world->now - ended_at > notice;
}

void sim_check_recovery(struct sim_world *world)
{
    for (int engine = 0; engine < SIM_ENGINES; engine++) {
        for (int i = 0; i < SIM_SESSIONS; i++) {
            const struct sim_session *session = at(world, engine, i);

            if (!sim_takes_part(world, engine, i))
                continue;
            if (sim_store_read(world, i).phase != FSH_PHASE_LIVE)
                sim_violated(world, SIM_RULE_LIVENESS, "a session has not come back");
            else if (session->ready_at < world->plan.end)
                sim_violated(world, SIM_RULE_LIVENESS, "a caller gets no token");
            else if (long_revoked(world, i, session->force.access))
                sim_violated(world, SIM_RULE_LIVENESS, "a revoked token is still in force");
        }
    }
}
