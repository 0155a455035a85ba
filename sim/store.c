/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <freshet/status.h>

struct fsh_record sim_store_read(struct sim_world *world, int session)
{
    struct fsh_record record = {0};

    if (fsh_store_decode(world->rows[session].bytes, FSH_CODEC_BYTES, &record) != FRESHET_OK)
        sim_violated(world, SIM_RULE_RECORD, "the store holds a record that cannot be read");
    return record;
}

/* A store of one host goes by that host's clock and boot, from the moment of the submission, as the
 * engine hands it over. A database of many hosts has a clock of its own, the true one. */
static struct fsh_stamp stamp_of(const struct sim_world *world, const struct sim_event *event)
{
    if (world->plan.one_host)
        return (struct fsh_stamp){event->started.ms, world->hosts[0].boot};
    return (struct fsh_stamp){world->now, 1};
}

/* What the secrets beside the record do with a change: src/store/store.c, by numbers. */
static void keep(struct sim_row *row, struct sim_event *event)
{
    switch (event->change.kind) {
    case FSH_CHANGE_LEASE:
        event->leased = event->change.purpose == FSH_PURPOSE_REFRESH ? row->refresh_token : 0;
        break;
    case FSH_CHANGE_COMMIT:
        if (event->grant.refresh)
            row->refresh_token = event->grant.refresh;
        else if (event->change.purpose == FSH_PURPOSE_SIGN_IN)
            row->refresh_token = 0;
        break;
    case FSH_CHANGE_END:
    case FSH_CHANGE_SIGN_OUT:
    case FSH_CHANGE_LOSE:
        row->refresh_token = 0;
        break;
    default:
        break;
    }
}

static void tell_verdict(struct sim_world *world, const struct sim_event *event,
                         const char *verdict)
{
    sim_say(world, event->engine, event->session, "store: %s %s: %s, generation %llu",
            sim_change_name(&event->change), verdict, sim_phase_name(event->record.phase),
            (unsigned long long)event->record.generation);
}

static void tell_lease(struct sim_world *world, const struct sim_event *event)
{
    sim_say(world, event->engine, event->session,
            "store: %s granted until %.3f s, generation %llu reserved",
            sim_change_name(&event->change), (double)event->lease_until / 1000.0,
            (unsigned long long)event->record.reserved);
}

/* Once, when nothing has changed since. */
static void tell_read(struct sim_world *world, const struct sim_event *event)
{
    const struct fsh_record *before = &world->engines[event->engine].sessions[event->session].read;

    if (before->generation != event->record.generation || before->phase != event->record.phase)
        tell_verdict(world, event, "done");
}

static void tell_busy(struct sim_world *world, const struct sim_event *event)
{
    uint64_t *told = &world->rows[event->session].busy_attempt;

    if (*told != event->change.attempt)
        tell_verdict(world, event, "has to wait for another's lease");
    *told = event->change.attempt;
}

static void tell(struct sim_world *world, const struct sim_event *event)
{
    if (event->change.kind == FSH_CHANGE_READ)
        tell_read(world, event);
    else if (event->verdict == FSH_VERDICT_BUSY)
        tell_busy(world, event);
    else if (event->verdict == FSH_VERDICT_STALE)
        tell_verdict(world, event, "is out of date");
    else if (event->change.kind == FSH_CHANGE_LEASE)
        tell_lease(world, event);
    else
        tell_verdict(world, event, "done");
}

/* The change took effect: what the checkers go by. */
static void done(struct sim_world *world, struct sim_event *event, const struct fsh_record *before,
                 const struct fsh_record *after)
{
    struct sim_row *row = &world->rows[event->session];

    keep(row, event);
    if (event->change.kind == FSH_CHANGE_LEASE) {
        sim_check_lease(world, event, before);
        event->leased_at = world->now;
        event->lease_until = after->lease.until.ms;
        if (world->plan.one_host)
            event->lease_until -= world->hosts[0].offset;
        row->lease_until = event->lease_until;
        row->lease_holder = after->lease.holder;
    }
    if (event->change.kind == FSH_CHANGE_COMMIT) {
        sim_check_commit(world, event, before, after);
        row->committed = after->generation;
    }
    if (event->change.kind == FSH_CHANGE_SIGN_OUT)
        row->signed_out_at = world->now;
    if (after->lease.holder == 0)
        row->lease_holder = 0;
}

static void apply(struct sim_world *world, struct sim_event *event)
{
    struct sim_row *row = &world->rows[event->session];
    struct fsh_stamp stamp = stamp_of(world, event);
    struct fsh_record before = sim_store_read(world, event->session);
    struct fsh_record after = before;

    event->verdict = fsh_core_record_apply(&after, &event->change, stamp);
    if (event->verdict == FSH_VERDICT_DONE)
        done(world, event, &before, &after);
    fsh_store_encode(&after, row->bytes);
    event->record = sim_store_read(world, event->session);
    sim_check_record(world, &after, &event->record);
    event->unresolved_ms =
        fsh_core_record_unresolved_ms(&event->record, event->change.attempt, stamp);
    tell(world, event);
}

/* What an engine had submitted when it went down was not durable. A store inside its process loses
 * it; a database may have got it in time. */
static bool went_down(struct sim_world *world, const struct sim_event *event)
{
    if (event->life == world->engines[event->engine].life)
        return false;
    return world->plan.one_host || sim_chance(world, 500);
}

void sim_store_receive(struct sim_world *world, struct sim_event *event)
{
    bool out = world->now < world->store_out_until;
    int64_t delay = 1 + sim_uniform(world, 5);

    if (went_down(world, event)) {
        sim_say(world, event->engine, event->session, "store: %s was not durable, and is lost",
                sim_change_name(&event->change));
        return;
    }
    event->status = FRESHET_OK;
    if (out || sim_strikes(world, SIM_STORE_ERRORS)) {
        event->status = FRESHET_ESTORE;
        sim_say(world, event->engine, event->session, "store: %s fails",
                sim_change_name(&event->change));
    } else {
        apply(world, event);
        if (sim_strikes(world, SIM_LOST_WORDS)) {
            event->status = FRESHET_ESTORE;
            sim_say(world, event->engine, event->session, "store: ... and its word is lost");
        }
    }
    if (sim_strikes(world, SIM_SLOW_STORE))
        delay = sim_fault_uniform(world, SIM_SLOW_STORE, 20000);
    (void)sim_follow(world, SIM_STORED, event, delay);
}

/* ---- the token cache ------------------------------------------------------------------------- */

void sim_cache_put(struct sim_world *world, int engine, int session,
                   const struct fsh_change *change)
{
    const struct sim_session *self = &world->engines[engine].sessions[session];
    struct sim_cached *cached = &world->rows[session].cached;

    if (self->made.access == 0 || cached->generation > change->reserved ||
        sim_strikes(world, SIM_CACHE_FAILURES))
        return;
    *cached = (struct sim_cached){
        .generation = change->reserved,
        .incarnation = change->incarnation + (change->purpose == FSH_PURPOSE_SIGN_IN),
        .boot = world->hosts[world->engines[engine].host].boot,
        .sent = self->core.sent_at,
        .grant = self->made,
    };
}

bool sim_cache_get(struct sim_world *world, int engine, int session, uint64_t generation,
                   struct sim_event *ret_event)
{
    const struct sim_session *self = &world->engines[engine].sessions[session];
    const struct sim_cached *cached = &world->rows[session].cached;

    if (cached->generation != generation || cached->incarnation != self->core.record.incarnation ||
        cached->boot != world->hosts[world->engines[engine].host].boot ||
        sim_strikes(world, SIM_CACHE_FAILURES))
        return false;
    ret_event->grant = cached->grant;
    ret_event->started = cached->sent;
    return true;
}

void sim_cache_drop(struct sim_world *world, int session, uint64_t generation)
{
    struct sim_cached *cached = &world->rows[session].cached;

    if (cached->generation <= generation && !sim_strikes(world, SIM_CACHE_FAILURES))
        *cached = (struct sim_cached){0};
}
