/* SPDX-License-Identifier: Apache-2.0 */
#include "sim.h"

#include <freshet/status.h>

struct fsh_record sim_store_read(struct sim_world *world, int session)
{
    struct fsh_record record = {0};

    if (fsh_store_decode(world->rows[session].bytes, FSH_CODEC_BYTES, &record) != FRESHET_OK)
        sim_violated(world, "the store holds a record that cannot be read");
    return record;
}

/* The store is a database of many hosts: it has a clock of its own, the true one. */
static struct fsh_stamp store_now(const struct sim_world *world)
{
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
        if (event->new_refresh)
            row->refresh_token = event->new_refresh;
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

static void check_lease(struct sim_world *world, struct sim_row *row,
                        const struct fsh_record *before, const struct sim_event *event)
{
    const struct fsh_change *change = &event->change;

    if (before->lease.holder != 0 && before->lease.holder != change->holder &&
        world->now < before->lease.until.ms)
        sim_violated(world, "two valid lease holders");
    if (change->purpose != FSH_PURPOSE_SIGN_IN)
        return;
    row->sign_in_leased_at = world->now;
    if ((before->phase == FSH_PHASE_HELD || before->phase == FSH_PHASE_SIGNED_OUT) &&
        !event->explicit)
        sim_violated(world, "a session that was signed out came back by itself");
}

static void check_commit(struct sim_world *world, struct sim_row *row,
                         const struct fsh_record *before, const struct fsh_record *after,
                         const struct sim_event *event)
{
    if (after->generation <= row->committed)
        sim_violated(world, "a generation was committed twice, or went back");
    row->committed = after->generation;
    if (before->phase != FSH_PHASE_LIVE && event->change.purpose != FSH_PURPOSE_SIGN_IN)
        sim_violated(world, "a session that was over came back without a sign-in");
    if (event->change.purpose == FSH_PURPOSE_SIGN_IN && row->sign_in_leased_at < row->signed_out_at)
        sim_violated(world, "a sign-out was undone by a flight that began before");
}

static void apply(struct sim_world *world, struct sim_event *event)
{
    struct sim_row *row = &world->rows[event->session];
    struct fsh_record before = sim_store_read(world, event->session);
    struct fsh_record after = before;

    event->verdict = fsh_core_record_apply(&after, &event->change, store_now(world));
    if (event->verdict == FSH_VERDICT_DONE) {
        keep(row, event);
        if (event->change.kind == FSH_CHANGE_LEASE)
            check_lease(world, row, &before, event);
        if (event->change.kind == FSH_CHANGE_COMMIT)
            check_commit(world, row, &before, &after, event);
        if (event->change.kind == FSH_CHANGE_SIGN_OUT)
            row->signed_out_at = world->now;
    }
    fsh_store_encode(&after, row->bytes);
    event->record = sim_store_read(world, event->session);
    event->unresolved =
        fsh_core_record_unresolved_ms(&event->record, event->change.attempt, store_now(world));
}

void sim_store_process(struct sim_world *world, struct sim_event *event)
{
    bool out = world->now < world->store_out_until;

    event->status = FRESHET_OK;
    if (out || (sim_faulty(world) && sim_chance(world, world->plan.store_error))) {
        event->status = FRESHET_ESTORE;
        if (out || sim_chance(world, 500))
            return;
        sim_note(world, "store: change %d took effect, and its word is lost", event->change.kind);
    }
    apply(world, event);
}
