/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_SQLITE_SQL_H
#define FSH_STORE_SQLITE_SQL_H

/* The version of a file of secrets that has labels first. */
#define FSH_SQLITE_LABELS_SINCE 3

/* The statements of the two kinds of files, by their numbers in the schema. */

enum fsh_sqlite_secrets_sql {
    FSH_SQL_SESSION_READ,
    FSH_SQL_SESSION_NEW,    /* a row for a name */
    FSH_SQL_SESSION_WRITE,  /* record and sealed secrets of a row that there is */
    FSH_SQL_SESSION_RECORD, /* the record alone */
    FSH_SQL_SESSIONS,
    FSH_SQL_NOTE_AGAIN,
    FSH_SQL_NOTE_WRITE,
    FSH_SQL_NOTES_PRUNE,
    FSH_SQL_NOTES_READ,
    FSH_SQL_LABEL_WRITE,
    FSH_SQL_LABELS,
    FSH_SQL_SESSION_DROP,
    FSH_SQL_LABEL_DROP,
    FSH_SQL_NOTES_DROP
};

enum fsh_sqlite_tokens_sql { FSH_SQL_TOKEN_READ, FSH_SQL_TOKEN_WRITE, FSH_SQL_TOKEN_DROP };

#endif
