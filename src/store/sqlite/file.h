/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_SQLITE_FILE_H
#define FSH_STORE_SQLITE_FILE_H

#include <freshet/error.h>
#include <stdbool.h>
#include <sys/stat.h>

/* The file of a database, and those that SQLite keeps beside it. None of this opens a file that may
 * be a database: to close it would take the locks away that a connection of this process has on it
 * (fcntl(2)). */

bool fsh_sqlite_file_exists(const char *path);

/* Makes an empty file that only its owner may read, unless there is one of that name. */
int fsh_sqlite_file_create(const char *path, struct freshet_error *error);

/* Refuses one that is no regular file, that others may read, or that is another user's; likewise
 * its -wal and -shm. */
int fsh_sqlite_file_check(const char *path, struct stat *ret_file, struct freshet_error *error);

#endif
