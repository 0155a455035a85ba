/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_ENGINE_LEDGER_H
#define FSH_ENGINE_LEDGER_H

#include "base/time.h"
#include "core/session.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why sessions refreshed, waited or died: the last entries of all sessions of an engine, in one
 * ring. An entry is numbers only, so that no secret can be in it. Any thread. */

#define FSH_LEDGER_ENTRIES 1024

struct fsh_ledger_entry {
    uint64_t number;  /* serial, from 1 */
    uint64_t session; /* the engine's number of the session */
    struct fsh_mono mono;
    struct fsh_wall wall;
    enum fsh_note_kind note;
    int status;
    int64_t value;
    uint64_t times; /* the same note that many times in a row */
};

struct fsh_ledger {
    pthread_mutex_t lock;
    uint64_t written;
    struct fsh_ledger_entry ring[FSH_LEDGER_ENTRIES];
};

void fsh_engine_ledger_init(struct fsh_ledger *ledger);
void fsh_engine_ledger_done(struct fsh_ledger *ledger);

/* Writes one entry, and fills in its number and times. One that only repeats the last is counted
 * there, and false is returned. */
bool fsh_engine_ledger_write(struct fsh_ledger *ledger, struct fsh_ledger_entry *entry);

/* Copies the latest entries of a session, at most `room`, in the order of their writing. Returns
 * how many. */
size_t fsh_engine_ledger_read(struct fsh_ledger *ledger, uint64_t session,
                              struct fsh_ledger_entry *ret_entries, size_t room);

/* One English phrase for a note. */
const char *fsh_engine_note_text(enum fsh_note_kind note);

/* Its name for programs, which never changes; and back: FSH_NOTE_KINDS for a name that this version
 * does not know. */
const char *fsh_engine_note_name(enum fsh_note_kind note);
enum fsh_note_kind fsh_engine_note_kind(const char *name);

#endif
