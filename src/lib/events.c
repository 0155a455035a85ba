/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "engine/remote_read.h"
#include "lib/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct freshet_ledger_entry public_entry(const struct fsh_ledger_entry *entry)
{
    return (struct freshet_ledger_entry){
        .number = entry->number,
        .at_ms = entry->wall.ms,
        .what = fsh_engine_note_text(entry->note),
        .name = fsh_engine_note_name(entry->note),
        .status = entry->status,
        .value = entry->value,
        .times = entry->times,
    };
}

int fsh_lib_events_init(struct fsh_events *events, struct freshet_error *error)
{
    (void)pthread_mutex_init(&events->lock, NULL);
    events->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (events->fd < 0)
        return fsh_base_fail(error, FRESHET_ELIMIT, "no descriptor to be had: %s", strerror(errno));
    return FRESHET_OK;
}

void fsh_lib_events_done(struct fsh_events *events)
{
    if (events->fd < 0)
        return;
    (void)close(events->fd);
    (void)pthread_mutex_destroy(&events->lock);
}

void fsh_lib_event(void *data, struct fsh_session *session, const struct fsh_ledger_entry *entry)
{
    struct fsh_events *events = &((struct freshet *)data)->events;
    struct freshet_event *event;

    (void)pthread_mutex_lock(&events->lock);
    if (events->count == FSH_EVENTS) {
        events->first = (events->first + 1) % FSH_EVENTS;
        events->count--;
        events->lost++;
    }
    event = &events->ring[(events->first + events->count) % FSH_EVENTS];
    (void)snprintf(event->session, sizeof(event->session), "%s", session->name);
    event->entry = public_entry(entry);
    if (events->count++ == 0)
        (void)eventfd_write(events->fd, 1);
    (void)pthread_mutex_unlock(&events->lock);
}

int freshet_event_fd(const struct freshet *freshet)
{
    return fsh_lib_forked(freshet) ? -1 : freshet->events.fd;
}

int freshet_event_next(struct freshet *freshet, struct freshet_event *ret_event, uint64_t *ret_lost)
{
    struct fsh_events *events = &freshet->events;
    eventfd_t value;
    int found = 0;

    if (fsh_lib_forked(freshet))
        return FRESHET_EFORKED;
    (void)pthread_mutex_lock(&events->lock);
    if (events->count > 0) {
        *ret_event = events->ring[events->first];
        events->first = (events->first + 1) % FSH_EVENTS;
        if (--events->count == 0)
            (void)eventfd_read(events->fd, &value);
        found = 1;
    }
    if (ret_lost) {
        *ret_lost = events->lost;
        events->lost = 0;
    }
    (void)pthread_mutex_unlock(&events->lock);
    return found;
}

/* ---- the ledger -------------------------------------------------------------------------- */

#define EXPLAINED FSH_NOTES_KEPT

static struct freshet_ledger_entry kept_entry(const struct fsh_note_row *row)
{
    enum fsh_note_kind note = fsh_engine_note_kind(row->name);

    return (struct freshet_ledger_entry){
        .at_ms = row->at_ms,
        .what = note == FSH_NOTE_KINDS ? "something that this version does not know"
                                       : fsh_engine_note_text(note),
        .name = note == FSH_NOTE_KINDS ? "unknown" : fsh_engine_note_name(note),
        .status = row->status,
        .value = row->value,
        .times = row->times,
    };
}

/* What the store kept of other processes, and of this one before the earliest entry that is still
 * at hand. */
static size_t read_kept(const struct freshet_session *session, const struct fsh_engine *engine,
                        uint64_t earliest, struct freshet_ledger_entry *ret_entries)
{
    struct fsh_secret_store *store = session->freshet->secrets;
    struct fsh_note_row rows[EXPLAINED];
    size_t read = 0;
    size_t count = 0;

    if (!store->ops->read_notes ||
        store->ops->read_notes(store, session->engine.name, rows, EXPLAINED, &read) != FRESHET_OK)
        return 0;
    for (size_t i = 0; i < read; i++) {
        if (rows[i].writer != fsh_engine_holder(engine) || rows[i].number < earliest)
            ret_entries[count++] = kept_entry(&rows[i]);
    }
    return count;
}

/* Two lists as one, each in its order, the earlier first. */
static size_t merge(const struct freshet_ledger_entry *a, size_t a_count,
                    const struct freshet_ledger_entry *b, size_t b_count,
                    struct freshet_ledger_entry *ret_all)
{
    size_t i = 0;
    size_t j = 0;

    while (i < a_count || j < b_count) {
        bool first = j == b_count || (i < a_count && a[i].at_ms <= b[j].at_ms);

        ret_all[i + j] = first ? a[i] : b[j];
        i += first;
        j += !first;
    }
    return i + j;
}

/* The keeper's ledger is of all who use the session. */
static int ask_keeper(struct freshet_session *session, struct freshet_ledger_entry *ret_entries,
                      size_t room, size_t *ret_count)
{
    struct fsh_call call = {.kind = FSH_CALL_EXPLAIN};
    int status = fsh_lib_call(session, &call, 0, NULL);

    if (status == FRESHET_OK)
        status = fsh_remote_read_ledger(fsh_base_secret_reveal(&call.answer), call.answer.len,
                                        ret_entries, room, ret_count);
    fsh_lib_call_done(&call);
    return status;
}

int freshet_explain(struct freshet_session *session, struct freshet_ledger_entry *ret_entries,
                    size_t room, size_t *ret_count)
{
    struct fsh_ledger_entry entries[EXPLAINED];
    struct freshet_ledger_entry own[EXPLAINED];
    struct freshet_ledger_entry kept[EXPLAINED];
    struct freshet_ledger_entry all[2 * EXPLAINED];
    struct fsh_engine *engine;
    size_t count;
    size_t kept_count;

    if (fsh_lib_forked(session->freshet))
        return FRESHET_EFORKED;
    if (session->freshet->keeper)
        return ask_keeper(session, ret_entries, room, ret_count);
    engine = fsh_loop_engine(session->freshet->loop);
    count = fsh_engine_ledger_read(fsh_engine_ledger(engine), session->engine.number, entries,
                                   EXPLAINED);
    for (size_t i = 0; i < count; i++)
        own[i] = public_entry(&entries[i]);
    kept_count = read_kept(session, engine, count ? entries[0].number : UINT64_MAX, kept);
    count = merge(kept, kept_count, own, count, all);
    if (room > EXPLAINED)
        room = EXPLAINED;
    if (room > count)
        room = count;
    memcpy(ret_entries, all + count - room, room * sizeof(all[0]));
    *ret_count = room;
    return FRESHET_OK;
}
