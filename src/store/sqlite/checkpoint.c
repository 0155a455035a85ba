/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite/checkpoint.h"

#include "store/sqlite/thread.h"

#include <freshet/status.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A log that new pages are added to as fast as old ones are brought in never begins anew by itself;
 * at so many pages those who write are made to wait until it has. */
#define MOST_PAGES (8 * FSH_SQLITE_WAL_PAGES)

struct fsh_sqlite_checkpoint {
    char *path;
    const struct fsh_sqlite_schema *schema;
    struct fsh_sqlite_thread *thread; /* NULL until it is needed */
    struct fsh_sqlite *db;            /* the thread's */
    struct fsh_post post;
    atomic_bool posted;
    atomic_int pages;
    int last; /* pages at the last time */
};

static void work(void *data, struct fsh_post *posts)
{
    struct fsh_sqlite_checkpoint *checkpoint = data;
    int pages = atomic_load(&checkpoint->pages);
    int mode = pages < MOST_PAGES ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_RESTART;

    (void)posts;
    if (!checkpoint->db)
        (void)fsh_sqlite_open(checkpoint->path, checkpoint->schema, false, &checkpoint->db, NULL);
    /* What fails is tried again when the log has grown further. */
    if (checkpoint->db &&
        sqlite3_wal_checkpoint_v2(checkpoint->db->db, NULL, mode, NULL, NULL) != SQLITE_OK) {
        fsh_sqlite_close(checkpoint->db);
        checkpoint->db = NULL;
    }
    atomic_store(&checkpoint->posted, false);
}

static void nothing(void *data)
{
    (void)data;
}

struct fsh_sqlite_checkpoint *fsh_sqlite_checkpoint_new(const char *path,
                                                        const struct fsh_sqlite_schema *schema)
{
    struct fsh_sqlite_checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));

    if (checkpoint)
        checkpoint->path = strdup(path);
    if (!checkpoint || !checkpoint->path) {
        free(checkpoint);
        return NULL;
    }
    checkpoint->schema = schema;
    return checkpoint;
}

void fsh_sqlite_checkpoint_free(struct fsh_sqlite_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    fsh_sqlite_thread_stop(checkpoint->thread);
    fsh_sqlite_close(checkpoint->db);
    free(checkpoint->path);
    free(checkpoint);
}

void fsh_sqlite_checkpoint_tell(struct fsh_sqlite_checkpoint *checkpoint, int pages)
{
    const struct fsh_sqlite_duty duty = {checkpoint, work, nothing};

    if (pages < checkpoint->last)
        checkpoint->last = 0; /* it began anew */
    if (pages - checkpoint->last < FSH_SQLITE_WAL_PAGES || atomic_load(&checkpoint->posted))
        return;
    if (!checkpoint->thread &&
        fsh_sqlite_thread_start(&duty, &checkpoint->thread, NULL) != FRESHET_OK)
        return;
    checkpoint->last = pages;
    atomic_store(&checkpoint->pages, pages);
    atomic_store(&checkpoint->posted, true);
    fsh_sqlite_thread_submit(checkpoint->thread, &checkpoint->post);
}
