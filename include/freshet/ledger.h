/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_LEDGER_H
#define FRESHET_LEDGER_H

#include <freshet/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One entry of the ledger: why a session refreshed, waited or died. Holds no secret. */
struct freshet_ledger_entry {
    /** Serial number in the ledger of the handle; 0 for an entry that only the store has: of
     * another process, or of an earlier one. */
    uint64_t number;
    /** When, in milliseconds since 1970 UTC. */
    int64_t at_ms;
    /** What, as one English phrase. Static storage. */
    const char *what;
    /** Name of what happened for programs, such as "refreshed". Static storage. */
    const char *name;
    /** With which status; FRESHET_OK where there is none. */
    int status;
    /** A number that belongs to it: a generation, or milliseconds. */
    int64_t value;
    /** How often the same happened in a row. */
    uint64_t times;
};

/** Copies the latest entries of a session, the oldest first: those of this handle and, from a store
 *  on a disk, those that other and earlier processes wrote. Looks into the store, and so may wait
 *  for the disk; without it, this handle's are all there is.
 *
 *  @param ret_entries  room for `room` entries; more than 64 are never written.
 *  @param ret_count    how many were written.
 *  @return FRESHET_OK, FRESHET_EFORKED. Any thread. */
FRESHET_EXPORT int freshet_explain(struct freshet_session *session,
                                   struct freshet_ledger_entry *ret_entries, size_t room,
                                   size_t *ret_count);

/** Something that happened to a session, told when it happens. */
struct freshet_event {
    /** Name of the session; ends with NUL. */
    char session[129];
    struct freshet_ledger_entry entry;
};

/** A descriptor that is readable while events wait; for poll(2) and its kin. It belongs to the
 *  handle: do not read or close it. -1 after fork(2). Any thread. */
FRESHET_EXPORT int freshet_event_fd(const struct freshet *freshet);

/** Takes the next event. Up to 256 wait; when nobody takes them the oldest go, and `*ret_lost` says
 *  how many went since the last call.
 *
 *  @param ret_event  the event, if there is one.
 *  @param ret_lost   NULL, or where the number of events that were lost is written.
 *  @return 1 with an event, 0 without; FRESHET_EFORKED. Any thread. */
FRESHET_EXPORT int freshet_event_next(struct freshet *freshet, struct freshet_event *ret_event,
                                      uint64_t *ret_lost);

#ifdef __cplusplus
}
#endif

#endif
