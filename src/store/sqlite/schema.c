/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite/database.h"
#include "store/sqlite/sql.h"

/* What is in the files. A step never changes once it was released; a change is one more step. */

static const char *const secrets_steps[] = {
    "CREATE TABLE session(name TEXT NOT NULL PRIMARY KEY, record BLOB NOT NULL, sealed BLOB, key "
    "TEXT, device INTEGER)", /* whether a device's keys are among what is sealed */
    "CREATE TABLE ledger(session TEXT NOT NULL, number INTEGER NOT NULL, writer INTEGER NOT NULL, "
    "entry INTEGER NOT NULL, at INTEGER NOT NULL, name TEXT NOT NULL, status INTEGER NOT NULL, "
    "value INTEGER NOT NULL, times INTEGER NOT NULL, PRIMARY KEY(session, number)) WITHOUT ROWID",
    /* A table of its own: a refresh does not carry it along. */
    "CREATE TABLE label(name TEXT NOT NULL PRIMARY KEY, sealed BLOB NOT NULL, key TEXT) "
    "WITHOUT ROWID",
};

static const char *const secrets_sql[] = {
    [FSH_SQL_SESSION_READ] = "SELECT record, sealed, rowid, device FROM session WHERE name=?1",
    [FSH_SQL_SESSION_NEW] = "INSERT INTO session(name, record, sealed, key) VALUES(?1, ?2, ?3, ?4)",
    [FSH_SQL_SESSION_WRITE] =
        "UPDATE session SET record=?2, sealed=?3, key=?4, device=?5 WHERE rowid=?1",
    [FSH_SQL_SESSION_RECORD] = "UPDATE session SET record=?2 WHERE rowid=?1",
    [FSH_SQL_SESSIONS] = "SELECT name, record FROM session ORDER BY name",
    [FSH_SQL_NOTE_AGAIN] = "UPDATE ledger SET times=?4 WHERE session=?1 AND writer=?2 AND entry=?3",
    [FSH_SQL_NOTE_WRITE] =
        "INSERT INTO ledger(session, number, writer, entry, at, name, status, value, times) "
        "VALUES(?1, 1 + ifnull((SELECT max(number) FROM ledger WHERE session=?1), 0), ?2, ?3, ?5, "
        "?6, ?7, ?8, ?4)",
    [FSH_SQL_NOTES_PRUNE] = "DELETE FROM ledger WHERE session=?1 AND number <= "
                            "(SELECT max(number) FROM ledger WHERE session=?1) - 64",
    [FSH_SQL_NOTES_READ] = "SELECT writer, entry, at, name, status, value, times FROM ledger WHERE "
                           "session=?1 ORDER BY number DESC LIMIT ?2",
    [FSH_SQL_LABEL_WRITE] =
        "INSERT INTO label(name, sealed, key) VALUES(?1, ?2, ?3) "
        "ON CONFLICT(name) DO UPDATE SET sealed=excluded.sealed, key=excluded.key",
    [FSH_SQL_LABELS] = "SELECT session.name, record, label.sealed FROM session LEFT JOIN label "
                       "ON label.name=session.name WHERE session.name >= ?1 AND session.name < ?2 "
                       "ORDER BY session.name",
    [FSH_SQL_SESSION_DROP] = "DELETE FROM session WHERE name=?1",
    [FSH_SQL_LABEL_DROP] = "DELETE FROM label WHERE name=?1",
    [FSH_SQL_NOTES_DROP] = "DELETE FROM ledger WHERE session=?1",
};

_Static_assert(sizeof(secrets_sql) / sizeof(secrets_sql[0]) == FSH_SQLITE_STATEMENTS,
               "a connection has room for them all");

static const char *const tokens_steps[] = {
    "CREATE TABLE token(name TEXT NOT NULL PRIMARY KEY, incarnation INTEGER NOT NULL, generation "
    "INTEGER NOT NULL, sealed BLOB NOT NULL, key TEXT)",
};

static const char *const tokens_sql[] = {
    [FSH_SQL_TOKEN_READ] = "SELECT incarnation, generation, sealed FROM token WHERE name=?1",
    [FSH_SQL_TOKEN_WRITE] =
        "INSERT INTO token(name, incarnation, generation, sealed, key) VALUES(?1, ?2, ?3, ?4, ?5) "
        "ON CONFLICT(name) DO UPDATE SET incarnation=excluded.incarnation, "
        "generation=excluded.generation, sealed=excluded.sealed, key=excluded.key "
        "WHERE excluded.generation >= token.generation",
    [FSH_SQL_TOKEN_DROP] = "DELETE FROM token WHERE name=?1 AND generation <= ?2",
};

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

const struct fsh_sqlite_schema fsh_sqlite_secrets_schema = {
    .application_id = 0x46736853, /* "FshS" */
    .what = "Freshet's secrets",
    .synchronous = "FULL",
    .steps = secrets_steps,
    .version = COUNT(secrets_steps),
    .sql = secrets_sql,
};

/* The cache may forget what it said last: the next refresh brings it. */
const struct fsh_sqlite_schema fsh_sqlite_tokens_schema = {
    .application_id = 0x46736854, /* "FshT" */
    .what = "Freshet's tokens",
    .synchronous = "NORMAL",
    .steps = tokens_steps,
    .version = COUNT(tokens_steps),
    .sql = tokens_sql,
};
