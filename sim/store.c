/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "store/kept.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- the secrets beside a record, sealed -------------------------------------------------------
 */

static const unsigned char first_key[FSH_KEY_BYTES] = "the first of a world";

void sim_store_begin(struct sim_world *world)
{
    const struct fsh_record none = {0};

    for (int i = 0; i < SIM_SESSIONS; i++)
        fsh_store_encode(&none, world->rows[i].bytes);
    if (fsh_keyring_fixed(first_key, &world->keyring) != FRESHET_OK)
        abort();
}

void sim_store_done(struct sim_world *world)
{
    for (int i = 0; i < SIM_SESSIONS; i++)
        free(world->rows[i].sealed);
    fsh_keyring_unref(world->keyring);
}

/* A refresh token is its place in the platform's list. */
static unsigned number_of(const struct fsh_secret *token)
{
    return (unsigned)strtoul(fsh_base_secret_reveal(token), NULL, 10);
}

static void secret_of(unsigned number, struct fsh_secret *ret_token)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", number);

    if (fsh_base_secret_copy(text, (size_t)len, ret_token) != FRESHET_OK)
        abort();
}

static bool open_row(struct sim_world *world, int session, struct fsh_kept *ret_kept)
{
    const struct sim_row *row = &world->rows[session];
    struct fsh_record record = sim_store_read(world, session);
    char why[FSH_SEAL_WHY];

    if (row->sealed &&
        fsh_kept_unseal(world->keyring, sim_session_name(world, session), NULL, &record,
                        row->sealed, row->sealed_len, ret_kept, why, sizeof(why)) != FRESHET_OK) {
        sim_say(world, 0, session, "store: %s", why);
        sim_violated(world, SIM_RULE_READABLE, "what stands beside a record cannot be opened");
        return false;
    }
    if (number_of(&ret_kept->refresh_token) == row->refresh_token)
        return true;
    sim_violated(world, SIM_RULE_READABLE, "another refresh token comes out than went in");
    return false;
}

static void seal_row(struct sim_world *world, int session, const struct fsh_record *record,
                     const struct fsh_kept *kept)
{
    struct sim_row *row = &world->rows[session];

    free(row->sealed);
    if (fsh_kept_seal(world->keyring, sim_session_name(world, session), NULL, record, kept,
                      &row->sealed, &row->sealed_len) != FRESHET_OK)
        abort();
}

void sim_store_check(struct sim_world *world)
{
    for (int session = 0; session < SIM_SESSIONS && world->broken == SIM_RULE_NONE; session++) {
        struct fsh_kept kept = {0};

        (void)open_row(world, session, &kept);
        fsh_store_kept_done(&kept);
    }
}

/* As every store does it. The checkers' own number is moved by what a change means. */
static void keep_sealed(struct sim_world *world, struct sim_event *event,
                        const struct fsh_record *after)
{
    struct fsh_store_op op = {.change = event->change, .verdict = FSH_VERDICT_DONE};
    struct fsh_kept kept = {0};

    if (!fsh_kept_concerns(event->change.kind))
        return;
    if (open_row(world, event->session, &kept)) {
        if (event->change.kind == FSH_CHANGE_COMMIT && event->grant.refresh)
            secret_of(event->grant.refresh, &op.kept.refresh_token);
        if (fsh_store_keep(&kept, &op) != FRESHET_OK)
            abort();
        if (event->change.kind == FSH_CHANGE_LEASE)
            event->leased = number_of(&op.kept.refresh_token);
        else
            seal_row(world, event->session, after, &kept);
    }
    fsh_store_kept_done(&op.kept);
    fsh_store_kept_done(&kept);
}

/* What the refresh token beside the record must be after a change. */
static void expect(struct sim_row *row, const struct sim_event *event)
{
    switch (event->change.kind) {
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

    keep_sealed(world, event, after);
    expect(row, event);
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

/* ---- its keys are rotated ----------------------------------------------------------------------
 */

/* Drops the keys that seal nothing, as `freshet key prune` does in a transaction. */
static void prune(struct sim_world *world, struct fsh_keys *keys)
{
    for (unsigned i = keys->count; i-- > 1;) {
        bool used = false;

        for (int session = 0; session < SIM_SESSIONS; session++) {
            const struct sim_row *row = &world->rows[session];
            char by[FSH_KEY_ID_TEXT] = "";
            char id[FSH_KEY_ID_TEXT];

            fsh_key_id_text(keys->list[i].id, id);
            used = used || (row->sealed && fsh_sealed_by(row->sealed, row->sealed_len, by) &&
                            strcmp(by, id) == 0);
        }
        if (!used)
            fsh_keys_drop(keys, i);
    }
}

/* The keys change as a file does: another set takes their place. */
static void change_keys(struct sim_world *world, bool add)
{
    struct fsh_keys *before = fsh_keyring_keys(world->keyring);
    struct fsh_keys *keys = NULL;
    unsigned char bytes[FSH_KEY_BYTES];

    if (fsh_keys_new(&keys) != FRESHET_OK)
        abort();
    keys->count = before->count;
    memcpy(keys->list, before->list, sizeof(keys->list));
    prune(world, keys);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)sim_fault_uniform(world, SIM_ROTATIONS, 255);
    if (add && fsh_keys_add(keys, bytes) != FRESHET_OK)
        abort();
    fsh_keyring_replace(world->keyring, keys);
    fsh_keys_unref(keys);
    fsh_keys_unref(before);
}

/* Step N is the record of session N; after the last the old keys go. */
static void next_step(struct sim_world *world, uint64_t step)
{
    sim_event(world, SIM_RESEAL, 0, 0, 1 + sim_fault_uniform(world, SIM_ROTATIONS, 20000))->ticket =
        step;
}

void sim_store_rotate(struct sim_world *world)
{
    sim_tell(world, "store: a new key seals from now on");
    change_keys(world, true);
    next_step(world, 0);
}

static void reseal_row(struct sim_world *world, int session)
{
    struct sim_row *row = &world->rows[session];
    struct fsh_record record = sim_store_read(world, session);
    unsigned char *anew = NULL;
    size_t len = 0;
    char why[FSH_SEAL_WHY];

    if (!row->sealed)
        return;
    if (fsh_kept_reseal(world->keyring, sim_session_name(world, session), &record, row->sealed,
                        row->sealed_len, &anew, &len, why, sizeof(why)) != FRESHET_OK) {
        sim_tell(world, "store: %s", why);
        sim_violated(world, SIM_RULE_READABLE, "a record cannot be sealed anew");
        return;
    }
    free(row->sealed);
    row->sealed = anew;
    row->sealed_len = len;
}

/* Whoever rotates may die on the way, and begin anew another day. */
void sim_store_reseal(struct sim_world *world, const struct sim_event *event)
{
    if (event->ticket == SIM_SESSIONS) {
        sim_tell(world, "store: the keys that seal nothing are dropped");
        change_keys(world, false);
        return;
    }
    if (sim_fault_uniform(world, SIM_ROTATIONS, 3) == 0) {
        sim_tell(world, "store: the rotation of its key is interrupted");
        return;
    }
    reseal_row(world, (int)event->ticket);
    next_step(world, event->ticket + 1);
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
