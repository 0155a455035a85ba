/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_SQLITE_EXAMINE_H
#define FSH_STORE_SQLITE_EXAMINE_H

#include "store/keys.h"

#include <freshet/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A look at a database file that changes nothing: for freshet_doctor. */

/* More kinds of keys than this are not told apart. */
#define FSH_SQLITE_USES_MAX 128

/* How many records a key seals. */
struct fsh_sqlite_use {
    char key[FSH_KEY_ID_TEXT];
    uint64_t records;
};

struct fsh_sqlite_examined {
    int version;      /* of the schema; older ones are brought up when the store is opened */
    uint64_t records; /* sessions, or tokens */
    uint64_t log;     /* bytes of the write-ahead log */
    uint64_t free;    /* bytes that the disk has left for us */
    size_t use_count;
    struct fsh_sqlite_use uses[FSH_SQLITE_USES_MAX];
};

/* Looks at a file of secrets, or of tokens: at its permissions, its schema and its pages. As
 * fsh_sqlite_open; the error says what is the case and what to do. Waits up to FSH_SQLITE_BUSY_MS
 * for locks. */
int fsh_sqlite_examine(const char *path, bool secrets, struct fsh_sqlite_examined *ret_examined,
                       struct freshet_error *error);

#endif
