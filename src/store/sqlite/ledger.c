/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite/ledger.h"

#include "store/sqlite/sql.h"

#include <freshet/status.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fsh_sqlite_note {
    TAILQ_ENTRY(fsh_sqlite_note) in_list;
    struct fsh_note_row row;
    char session[]; /* its name */
};

static void empty(struct fsh_sqlite_note_list *list)
{
    struct fsh_sqlite_note *note;

    while ((note = TAILQ_FIRST(list))) {
        TAILQ_REMOVE(list, note, in_list);
        free(note);
    }
}

void fsh_sqlite_notes_init(struct fsh_sqlite_notes *notes)
{
    (void)pthread_mutex_init(&notes->lock, NULL);
    TAILQ_INIT(&notes->waiting);
    TAILQ_INIT(&notes->written);
}

void fsh_sqlite_notes_done(struct fsh_sqlite_notes *notes)
{
    empty(&notes->waiting);
    empty(&notes->written);
    (void)pthread_mutex_destroy(&notes->lock);
}

static bool repeats(const struct fsh_sqlite_note *last, const char *session,
                    const struct fsh_note_row *row)
{
    return last && last->row.writer == row->writer && last->row.number == row->number &&
           strcmp(last->session, session) == 0;
}

static void make_room(struct fsh_sqlite_notes *notes)
{
    struct fsh_sqlite_note *oldest;

    for (; notes->count > FSH_SQLITE_NOTES_MAX; notes->count--) {
        oldest = TAILQ_FIRST(&notes->waiting);
        TAILQ_REMOVE(&notes->waiting, oldest, in_list);
        free(oldest);
    }
}

void fsh_sqlite_notes_add(struct fsh_sqlite_notes *notes, const char *session,
                          const struct fsh_note_row *row)
{
    size_t len = strlen(session) + 1;
    struct fsh_sqlite_note *last;
    struct fsh_sqlite_note *note;

    (void)pthread_mutex_lock(&notes->lock);
    last = TAILQ_LAST(&notes->waiting, fsh_sqlite_note_list);
    note = repeats(last, session, row) ? NULL : malloc(sizeof(*note) + len);
    if (note) {
        note->row = *row;
        memcpy(note->session, session, len);
        TAILQ_INSERT_TAIL(&notes->waiting, note, in_list);
        notes->count++;
        make_room(notes);
    } else if (repeats(last, session, row)) {
        last->row.times = row->times;
    }
    (void)pthread_mutex_unlock(&notes->lock);
}

int fsh_sqlite_notes_drop(struct fsh_sqlite_notes *notes, struct fsh_sqlite *db,
                          const char *session)
{
    sqlite3_stmt *drop = fsh_sqlite_statement(db, FSH_SQL_NOTES_DROP);
    struct fsh_sqlite_note *note;
    struct fsh_sqlite_note *next;

    (void)pthread_mutex_lock(&notes->lock);
    for (note = TAILQ_FIRST(&notes->waiting); note; note = next) {
        next = TAILQ_NEXT(note, in_list);
        if (strcmp(note->session, session) != 0)
            continue;
        TAILQ_REMOVE(&notes->waiting, note, in_list);
        notes->count--;
        free(note);
    }
    (void)pthread_mutex_unlock(&notes->lock);
    if (drop)
        (void)sqlite3_bind_text(drop, 1, session, -1, SQLITE_STATIC);
    return fsh_sqlite_run(db, drop);
}

bool fsh_sqlite_notes_waiting(struct fsh_sqlite_notes *notes)
{
    bool waiting;

    (void)pthread_mutex_lock(&notes->lock);
    waiting = notes->count > 0;
    (void)pthread_mutex_unlock(&notes->lock);
    return waiting;
}

static sqlite3_stmt *statement_for(struct fsh_sqlite *db, unsigned number,
                                   const struct fsh_sqlite_note *note)
{
    sqlite3_stmt *statement = fsh_sqlite_statement(db, number);

    if (!statement)
        return NULL;
    (void)sqlite3_bind_text(statement, 1, note->session, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)note->row.writer);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)note->row.number);
    (void)sqlite3_bind_int64(statement, 4, (int64_t)note->row.times);
    return statement;
}

/* Only one that repeats may be there already. */
static int write_again(struct fsh_sqlite *db, const struct fsh_sqlite_note *note, bool *ret_written)
{
    int status;

    *ret_written = false;
    if (note->row.times <= 1)
        return FRESHET_OK;
    status = fsh_sqlite_run(db, statement_for(db, FSH_SQL_NOTE_AGAIN, note));
    *ret_written = status == FRESHET_OK && sqlite3_changes(db->db) > 0;
    return status;
}

static int write_new(struct fsh_sqlite *db, const struct fsh_sqlite_note *note)
{
    sqlite3_stmt *statement = statement_for(db, FSH_SQL_NOTE_WRITE, note);
    int status;

    if (statement) {
        (void)sqlite3_bind_int64(statement, 5, note->row.at_ms);
        (void)sqlite3_bind_text(statement, 6, note->row.name, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int(statement, 7, note->row.status);
        (void)sqlite3_bind_int64(statement, 8, note->row.value);
    }
    status = fsh_sqlite_run(db, statement);
    if (status != FRESHET_OK)
        return status;
    statement = fsh_sqlite_statement(db, FSH_SQL_NOTES_PRUNE);
    if (statement)
        (void)sqlite3_bind_text(statement, 1, note->session, -1, SQLITE_STATIC);
    return fsh_sqlite_run(db, statement);
}

int fsh_sqlite_notes_write(struct fsh_sqlite_notes *notes, struct fsh_sqlite *db)
{
    struct fsh_sqlite_note *note;
    int status = FRESHET_OK;
    bool written;

    (void)pthread_mutex_lock(&notes->lock);
    TAILQ_CONCAT(&notes->written, &notes->waiting, in_list);
    notes->count = 0;
    (void)pthread_mutex_unlock(&notes->lock);
    TAILQ_FOREACH (note, &notes->written, in_list) {
        status = write_again(db, note, &written);
        if (status == FRESHET_OK && !written)
            status = write_new(db, note);
        if (status != FRESHET_OK)
            return status;
    }
    return FRESHET_OK;
}

void fsh_sqlite_notes_ended(struct fsh_sqlite_notes *notes, bool committed)
{
    struct fsh_sqlite_note *note;

    if (committed) {
        empty(&notes->written);
        return;
    }
    /* They wait again, before those that came meanwhile. */
    (void)pthread_mutex_lock(&notes->lock);
    TAILQ_FOREACH (note, &notes->written, in_list)
        notes->count++;
    TAILQ_CONCAT(&notes->written, &notes->waiting, in_list);
    TAILQ_CONCAT(&notes->waiting, &notes->written, in_list);
    make_room(notes);
    (void)pthread_mutex_unlock(&notes->lock);
}

static void read_row(sqlite3_stmt *statement, struct fsh_note_row *ret_row)
{
    const unsigned char *name = sqlite3_column_text(statement, 3);

    *ret_row = (struct fsh_note_row){
        .writer = (uint64_t)sqlite3_column_int64(statement, 0),
        .number = (uint64_t)sqlite3_column_int64(statement, 1),
        .at_ms = sqlite3_column_int64(statement, 2),
        .status = sqlite3_column_int(statement, 4),
        .value = sqlite3_column_int64(statement, 5),
        .times = (uint64_t)sqlite3_column_int64(statement, 6),
    };
    (void)snprintf(ret_row->name, sizeof(ret_row->name), "%s", name ? (const char *)name : "");
}

int fsh_sqlite_notes_read(struct fsh_sqlite *db, const char *session, struct fsh_note_row *ret_rows,
                          size_t room, size_t *ret_count)
{
    sqlite3_stmt *statement = fsh_sqlite_statement(db, FSH_SQL_NOTES_READ);
    size_t count = 0;
    int code = SQLITE_ERROR;

    if (!statement)
        return fsh_sqlite_failed(db);
    (void)sqlite3_bind_text(statement, 1, session, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)room);
    while (count < room && (code = sqlite3_step(statement)) == SQLITE_ROW)
        read_row(statement, &ret_rows[count++]);
    if (count < room && code != SQLITE_DONE)
        return fsh_sqlite_failed(db);
    (void)sqlite3_reset(statement);
    for (size_t i = 0; i < count / 2; i++) {
        struct fsh_note_row swap = ret_rows[i];

        ret_rows[i] = ret_rows[count - 1 - i];
        ret_rows[count - 1 - i] = swap;
    }
    *ret_count = count;
    return FRESHET_OK;
}
