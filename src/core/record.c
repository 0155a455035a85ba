/* SPDX-License-Identifier: Apache-2.0 */
#include "core/record.h"

#include "base/bounds.h"
#include "core/backoff.h"
#include "core/mutant.h"

static bool lease_of_another(const struct fsh_record *record, uint64_t holder, struct fsh_stamp now)
{
    const struct fsh_lease *lease = &record->lease;

    /* A lease of another boot is over: its holder went down with the machine. */
    return lease->holder != 0 && lease->holder != holder && lease->until.boot == now.boot &&
           now.ms < lease->until.ms;
}

static bool moved_on(const struct fsh_record *record, const struct fsh_change *change)
{
    return record->incarnation != change->incarnation || record->generation != change->generation;
}

int64_t fsh_core_record_pause_ms(const struct fsh_record *record, struct fsh_wall now,
                                 int64_t pause_ms)
{
    int64_t most = record->refusals ? fsh_core_refused_ms(record->refusals, pause_ms) : pause_ms;
    int64_t left = record->sign_in_at.ms - now.ms;

    /* It was written down by the calendar. An end that lies further off than such a pause can last
     * means that the calendar was stepped back since: it must not lock a session out. */
    return left < 0 || left > most || FSH_MUTANT(LOOPS) ? 0 : left;
}

/* What became of another engine's sign-in, while this one waited for its lease, holds for this one
 * too. An attempt that asks again meets only the pause that it has set itself. */
static bool must_not_sign_in(const struct fsh_record *record, const struct fsh_change *change)
{
    bool automatic = change->purpose == FSH_PURPOSE_SIGN_IN && change->sign_in_at.ms != 0;
    bool again =
        record->lease.attempt == change->attempt && record->lease.purpose == FSH_PURPOSE_SIGN_IN;

    if (!automatic)
        return false;
    if (record->parked && !FSH_MUTANT(UNPARKED))
        return true;
    if (again)
        return false;
    /* A change that was long on its way comes from a calendar of the past, by which a new pause
     * looks like one of a calendar that was stepped back. */
    return (record->sign_in_at.ms != change->known_at.ms && !FSH_MUTANT(LOOPS)) ||
           fsh_core_record_pause_ms(record, change->wall, change->pause_ms) > 0;
}

static void give_back(struct fsh_record *record, uint64_t attempt)
{
    if (record->lease.attempt == attempt)
        record->lease = (struct fsh_lease){0};
}

static void forget_refresh_token(struct fsh_record *record)
{
    record->refreshable = false;
    record->refresh_until = (struct fsh_wall){0};
    record->unresolved = 0;
}

/* An attempt that asks again was not told that it has the lease, and so has sent nothing; but those
 * that had it in between may have. */
static void note_attempt(struct fsh_record *record, uint64_t attempt, struct fsh_stamp now)
{
    if (record->unresolved == attempt && record->lease.attempt != attempt) {
        record->unresolved = FSH_ATTEMPTS_SEVERAL;
    } else if (record->unresolved == 0 || record->unresolved == attempt) {
        record->unresolved = attempt;
        record->unresolved_at = now;
    }
}

static enum fsh_verdict take_lease(struct fsh_record *record, const struct fsh_change *change,
                                   struct fsh_stamp now)
{
    if (moved_on(record, change))
        return FSH_VERDICT_STALE;
    if (change->purpose == FSH_PURPOSE_REFRESH && !record->refreshable)
        return FSH_VERDICT_STALE;
    if (lease_of_another(record, change->holder, now) && !FSH_MUTANT(NO_LEASE))
        return FSH_VERDICT_BUSY;
    if (must_not_sign_in(record, change))
        return FSH_VERDICT_STALE;
    if (change->purpose == FSH_PURPOSE_REFRESH)
        note_attempt(record, change->attempt, now);
    record->reserved++;
    record->lease = (struct fsh_lease){
        .holder = change->holder,
        .attempt = change->attempt,
        .generation = record->reserved,
        .until = {now.ms + FSH_LEASE_MS, now.boot},
        .purpose = change->purpose,
    };
    if (change->purpose == FSH_PURPOSE_SIGN_IN && change->sign_in_at.ms != 0)
        record->sign_in_at = change->sign_in_at;
    return FSH_VERDICT_DONE;
}

static enum fsh_verdict release(struct fsh_record *record, const struct fsh_change *change)
{
    if (change->resolved && record->unresolved == change->attempt)
        record->unresolved = 0;
    if (record->lease.attempt == change->attempt && change->purpose == FSH_PURPOSE_SIGN_IN) {
        record->refusals = change->refusals;
        if (change->sign_in_at.ms > record->sign_in_at.ms)
            record->sign_in_at = change->sign_in_at;
    }
    give_back(record, change->attempt);
    return FSH_VERDICT_DONE;
}

/* The lease need not be in force any more: a holder that was paused for longer than its lease may
 * have the only copy of a rotated refresh token. Incarnation and generation decide, so that of two
 * holders the first to commit wins and the other reads. The generation is the one that the attempt
 * reserved; nobody else has it. */
static enum fsh_verdict commit(struct fsh_record *record, const struct fsh_change *change)
{
    if (moved_on(record, change) && !FSH_MUTANT(NO_SWAP))
        return FSH_VERDICT_STALE;
    record->generation = change->reserved;
    record->reason = 0;
    record->phase = FSH_PHASE_LIVE;
    record->refreshable = change->refreshable;
    record->unresolved = 0;
    if (change->refresh_until.ms != 0)
        record->refresh_until = change->refresh_until;
    if (change->purpose == FSH_PURPOSE_SIGN_IN) {
        record->incarnation++;
        record->parked = 0;
        record->refusals = 0;
        if (change->refresh_until.ms == 0)
            record->refresh_until = (struct fsh_wall){0};
    }
    give_back(record, change->attempt);
    return FSH_VERDICT_DONE;
}

static enum fsh_verdict end(struct fsh_record *record, const struct fsh_change *change,
                            struct fsh_stamp now)
{
    if (moved_on(record, change))
        return FSH_VERDICT_STALE;
    /* A flight of another engine may prove the verdict late (rule 3): wait for it. */
    if (lease_of_another(record, change->holder, now))
        return FSH_VERDICT_BUSY;
    record->incarnation++;
    record->phase = FSH_PHASE_ENDED;
    record->reason = change->reason;
    forget_refresh_token(record);
    record->lease = (struct fsh_lease){0};
    return FSH_VERDICT_DONE;
}

static enum fsh_verdict sign_out(struct fsh_record *record, const struct fsh_change *change)
{
    record->incarnation += !FSH_MUTANT(UNDOES_SIGN_OUT);
    record->phase = change->hold ? FSH_PHASE_HELD : FSH_PHASE_SIGNED_OUT;
    record->reason = change->reason;
    record->parked = 0;
    forget_refresh_token(record);
    record->lease = (struct fsh_lease){0};
    return FSH_VERDICT_DONE;
}

static enum fsh_verdict park(struct fsh_record *record, const struct fsh_change *change)
{
    if (record->incarnation != change->incarnation)
        return FSH_VERDICT_STALE;
    record->parked = change->reason;
    give_back(record, change->attempt);
    return FSH_VERDICT_DONE;
}

static enum fsh_verdict lose(struct fsh_record *record, const struct fsh_change *change)
{
    if (moved_on(record, change))
        return FSH_VERDICT_STALE;
    forget_refresh_token(record);
    record->reason = change->reason;
    give_back(record, change->attempt);
    return FSH_VERDICT_DONE;
}

static enum fsh_verdict remove_all(struct fsh_record *record, struct fsh_stamp now)
{
    if (record->phase == FSH_PHASE_LIVE)
        return FSH_VERDICT_STALE;
    if (lease_of_another(record, 0, now))
        return FSH_VERDICT_BUSY;
    *record = (struct fsh_record){0};
    return FSH_VERDICT_DONE;
}

enum fsh_verdict fsh_core_record_apply(struct fsh_record *record, const struct fsh_change *change,
                                       struct fsh_stamp now)
{
    switch (change->kind) {
    case FSH_CHANGE_READ:
        return FSH_VERDICT_DONE;
    case FSH_CHANGE_LEASE:
        return take_lease(record, change, now);
    case FSH_CHANGE_RELEASE:
        return release(record, change);
    case FSH_CHANGE_COMMIT:
        return commit(record, change);
    case FSH_CHANGE_END:
        return end(record, change, now);
    case FSH_CHANGE_SIGN_OUT:
        return sign_out(record, change);
    case FSH_CHANGE_PARK:
        return park(record, change);
    case FSH_CHANGE_LOSE:
        return lose(record, change);
    case FSH_CHANGE_LABEL:
        return record->incarnation == 0 && record->reserved == 0 ? FSH_VERDICT_STALE
                                                                 : FSH_VERDICT_DONE;
    case FSH_CHANGE_REMOVE:
        return remove_all(record, now);
    }
    return FSH_VERDICT_STALE;
}

int64_t fsh_core_record_unresolved_ms(const struct fsh_record *record, uint64_t attempt,
                                      struct fsh_stamp now)
{
    if (record->unresolved == 0 || record->unresolved == attempt)
        return -1;
    if (record->unresolved_at.boot != now.boot || now.ms < record->unresolved_at.ms)
        return INT64_MAX;
    return now.ms - record->unresolved_at.ms;
}
