/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/ledger.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

void fsh_engine_ledger_init(struct fsh_ledger *ledger)
{
    (void)pthread_mutex_init(&ledger->lock, NULL);
    ledger->written = 0;
}

void fsh_engine_ledger_done(struct fsh_ledger *ledger)
{
    (void)pthread_mutex_destroy(&ledger->lock);
}

static struct fsh_ledger_entry *at(struct fsh_ledger *ledger, uint64_t number)
{
    return &ledger->ring[number % FSH_LEDGER_ENTRIES];
}

static bool repeats(const struct fsh_ledger_entry *last, const struct fsh_ledger_entry *entry)
{
    return last->session == entry->session && last->note == entry->note &&
           last->status == entry->status && last->value == entry->value;
}

bool fsh_engine_ledger_write(struct fsh_ledger *ledger, struct fsh_ledger_entry *entry)
{
    struct fsh_ledger_entry *place;
    bool repeated;

    (void)pthread_mutex_lock(&ledger->lock);
    place = at(ledger, ledger->written);
    repeated = ledger->written > 0 && repeats(place, entry);
    if (repeated) {
        place->times++;
        *entry = *place;
    } else {
        entry->number = ++ledger->written;
        entry->times = 1;
        *at(ledger, ledger->written) = *entry;
    }
    (void)pthread_mutex_unlock(&ledger->lock);
    return !repeated;
}

size_t fsh_engine_ledger_read(struct fsh_ledger *ledger, uint64_t session,
                              struct fsh_ledger_entry *ret_entries, size_t room)
{
    size_t count = 0;
    uint64_t oldest;

    (void)pthread_mutex_lock(&ledger->lock);
    oldest = ledger->written > FSH_LEDGER_ENTRIES ? ledger->written - FSH_LEDGER_ENTRIES : 0;
    for (uint64_t n = ledger->written; n > oldest && count < room; n--) {
        if (at(ledger, n)->session == session)
            ret_entries[count++] = *at(ledger, n);
    }
    (void)pthread_mutex_unlock(&ledger->lock);
    for (size_t i = 0; i < count / 2; i++) {
        struct fsh_ledger_entry swap = ret_entries[i];

        ret_entries[i] = ret_entries[count - 1 - i];
        ret_entries[count - 1 - i] = swap;
    }
    return count;
}

static const char *const texts[FSH_NOTE_KINDS] = {
    [FSH_NOTE_OPENED] = "opened; its record was read",
    [FSH_NOTE_REFRESH_BACKGROUND] = "a refresh began: ahead of time, in the background",
    [FSH_NOTE_REFRESH_CALLER] = "a refresh began: a caller found less left than it asks for",
    [FSH_NOTE_REFRESH_NEEDED] = "a refresh began: no usable token was left",
    [FSH_NOTE_REFRESH_REPLAY] = "the refresh is a replay within the grace of rotation",
    [FSH_NOTE_SIGN_IN_AUTOMATIC] = "an automatic sign-in began",
    [FSH_NOTE_SIGN_IN_EXPLICIT] = "a sign-in began that somebody asked for",
    [FSH_NOTE_ANSWERED_CHALLENGE] = "a challenge was answered",
    [FSH_NOTE_REFRESHED] = "refreshed",
    [FSH_NOTE_SIGNED_IN] = "signed in",
    [FSH_NOTE_ADOPTED] = "took over the token of another engine",
    [FSH_NOTE_FAILED] = "the platform granted nothing",
    [FSH_NOTE_STORE_FAILED] = "the store failed",
    [FSH_NOTE_WAITING_FOR_LEASE] = "waits for the flight of another engine",
    [FSH_NOTE_CHALLENGED] = "the platform asked for more",
    [FSH_NOTE_PARKED] = "parked: needs an operator",
    [FSH_NOTE_401_LATE] = "a 401 of an older generation came late; it ends nothing",
    [FSH_NOTE_401_HELD] = "a 401 came during a flight and is held until it lands",
    [FSH_NOTE_401_UNUSABLE] = "a 401 of a token past its use; it ends nothing",
    [FSH_NOTE_401_COUNTS] = "a 401 of the token in force",
    [FSH_NOTE_PROBE] = "a probe was sent to confirm the 401",
    [FSH_NOTE_PROBE_SAYS_ALIVE] = "the probe was answered: the session lives",
    [FSH_NOTE_PROBE_SAYS_DEAD] = "the probe was answered 401: the session is dead",
    [FSH_NOTE_PROBE_FAILED] = "the probe told nothing; it ends nothing",
    [FSH_NOTE_ENDED] = "ended",
    [FSH_NOTE_SIGNED_OUT] = "signed out",
    [FSH_NOTE_LOST_ROTATION] = "the answer with the next refresh token was lost",
};

const char *fsh_engine_note_text(enum fsh_note_kind note)
{
    return note < FSH_NOTE_KINDS && texts[note] ? texts[note] : "?";
}

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

const char *fsh_engine_note_name(enum fsh_note_kind note)
{
    return note < FSH_NOTE_KINDS && names[note] ? names[note] : "unknown";
}

enum fsh_note_kind fsh_engine_note_kind(const char *name)
{
    for (unsigned note = 0; note < FSH_NOTE_KINDS; note++) {
        if (names[note] && strcmp(names[note], name) == 0)
            return (enum fsh_note_kind)note;
    }
    return FSH_NOTE_KINDS;
}
