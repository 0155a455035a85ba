/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "lib/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const char *const names[FSH_NOTE_KINDS] = {
    [FSH_NOTE_OPENED] = "opened",
    [FSH_NOTE_REFRESH_BACKGROUND] = "refresh_background",
    [FSH_NOTE_REFRESH_CALLER] = "refresh_caller",
    [FSH_NOTE_REFRESH_NEEDED] = "refresh_needed",
    [FSH_NOTE_REFRESH_REPLAY] = "refresh_replay",
    [FSH_NOTE_SIGN_IN_AUTOMATIC] = "sign_in_automatic",
    [FSH_NOTE_SIGN_IN_EXPLICIT] = "sign_in_explicit",
    [FSH_NOTE_ANSWERED_CHALLENGE] = "challenge_answered",
    [FSH_NOTE_REFRESHED] = "refreshed",
    [FSH_NOTE_SIGNED_IN] = "signed_in",
    [FSH_NOTE_ADOPTED] = "adopted",
    [FSH_NOTE_FAILED] = "failed",
    [FSH_NOTE_STORE_FAILED] = "store_failed",
    [FSH_NOTE_WAITING_FOR_LEASE] = "waiting_for_lease",
    [FSH_NOTE_CHALLENGED] = "challenged",
    [FSH_NOTE_PARKED] = "parked",
    [FSH_NOTE_401_LATE] = "401_late",
    [FSH_NOTE_401_HELD] = "401_held",
    [FSH_NOTE_401_UNUSABLE] = "401_unusable",
    [FSH_NOTE_401_COUNTS] = "401_counts",
    [FSH_NOTE_PROBE] = "probe",
    [FSH_NOTE_PROBE_SAYS_ALIVE] = "probe_alive",
    [FSH_NOTE_PROBE_SAYS_DEAD] = "probe_dead",
    [FSH_NOTE_PROBE_FAILED] = "probe_failed",
    [FSH_NOTE_ENDED] = "ended",
    [FSH_NOTE_SIGNED_OUT] = "signed_out",
    [FSH_NOTE_LOST_ROTATION] = "lost_rotation",
};

static struct freshet_ledger_entry public_entry(const struct fsh_ledger_entry *entry)
{
    return (struct freshet_ledger_entry){
        .number = entry->number,
        .at_ms = entry->wall.ms,
        .what = fsh_engine_note_text(entry->note),
        .name = names[entry->note],
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

int freshet_explain(struct freshet_session *session, struct freshet_ledger_entry *ret_entries,
                    size_t room, size_t *ret_count)
{
    struct fsh_ledger_entry entries[64];
    struct fsh_ledger *ledger;
    size_t count;

    if (fsh_lib_forked(session->freshet))
        return FRESHET_EFORKED;
    ledger = fsh_engine_ledger(fsh_loop_engine(session->freshet->loop));
    if (room > sizeof(entries) / sizeof(entries[0]))
        room = sizeof(entries) / sizeof(entries[0]);
    count = fsh_engine_ledger_read(ledger, session->engine.number, entries, room);
    for (size_t i = 0; i < count; i++)
        ret_entries[i] = public_entry(&entries[i]);
    *ret_count = count;
    return FRESHET_OK;
}
