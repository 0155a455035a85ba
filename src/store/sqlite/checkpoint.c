/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite/checkpoint.h"

#include "store/sqlite/thread.h"

#include <freshet/status.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A log that new pages are added to as fast as old ones are brought in never begins anew by itself;
 * at so many pages the store's thread waits until it has. */
#define MOST_PAGES (8 * FSH_SQLITE_WAL_PAGES)

struct fsh_sqlite_checkpoint {
    char *path;
    const struct fsh_sqlite_schema *schema;
    struct fsh_sqlite_thread *thread; /* NULL until it is needed */
    struct fsh_sqlite *db;            /* the thread's */
    struct fsh_post post;
    atomic_bool posted;
    pthread_mutex_t
        lock; /* who holds it brings the log in: SQLite lets only one, and does not wait */
    int last; /* pages at the last time */
};

static void work(void *data, struct fsh_post *posts)
{
    struct fsh_sqlite_checkpoint *checkpoint = data;

    (void)posts;
    (void)pthread_mutex_lock(&checkpoint->lock);
    if (!checkpoint->db)
        (void)fsh_sqlite_open(checkpoint->path, checkpoint->schema, false, &checkpoint->db, NULL);
    /* What fails is tried again when the log has grown further. */
    if (checkpoint->db &&
        sqlite3_wal_checkpoint_v2(checkpoint->db->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
                                  NULL) != SQLITE_OK) {
        fsh_sqlite_close(checkpoint->db);
        checkpoint->db = NULL;
    }
    (void)pthread_mutex_unlock(&checkpoint->lock);
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
    (void)pthread_mutex_init(&checkpoint->lock, NULL);
    checkpoint->schema = schema;
    return checkpoint;
}

void fsh_sqlite_checkpoint_free(struct fsh_sqlite_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    fsh_sqlite_thread_stop(checkpoint->thread);
    fsh_sqlite_close(checkpoint->db);
    (void)pthread_mutex_destroy(&checkpoint->lock);
    free(checkpoint->path);
    free(checkpoint);
}

static bool bring_in_now(struct fsh_sqlite_checkpoint *checkpoint, struct fsh_sqlite *db)
{
    int code;

    (void)pthread_mutex_lock(&checkpoint->lock);
    code = sqlite3_wal_checkpoint_v2(db->db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    (void)pthread_mutex_unlock(&checkpoint->lock);
    return code == SQLITE_OK;
}

static bool bring_in_later(struct fsh_sqlite_checkpoint *checkpoint)
{
    const struct fsh_sqlite_duty duty = {checkpoint, work, nothing};

    if (atomic_load(&checkpoint->posted))
        return false;
    if (!checkpoint->thread &&
        fsh_sqlite_thread_start(&duty, &checkpoint->thread, NULL) != FRESHET_OK)
        return false;
    atomic_store(&checkpoint->posted, true);
    fsh_sqlite_thread_submit(checkpoint->thread, &checkpoint->post);
    return true;
}

void fsh_sqlite_checkpoint_see_to(struct fsh_sqlite_checkpoint *checkpoint, struct fsh_sqlite *db)
{
    int pages = db->wal_pages;

    if (pages < checkpoint->last)
        checkpoint->last = 0; /* it began anew */
    if (!db->db || pages - checkpoint->last < FSH_SQLITE_WAL_PAGES)
        return;
    if (pages < MOST_PAGES ? bring_in_later(checkpoint) : bring_in_now(checkpoint, db))
        checkpoint->last = pages;
}
