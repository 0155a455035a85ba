/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite/checkpoint.h"

#include "store/sqlite/thread.h"

#include <freshet/status.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Whoever reads an old state of the file, as a backup does, keeps the log from beginning anew. All
 * writers wait meanwhile, so it is waited for no longer than this. */
#define FINISH_MS 100

struct fsh_sqlite_checkpoint {
    char *path;
    const struct fsh_sqlite_schema *schema;
    struct fsh_sqlite_thread *thread; /* NULL until it is needed */
    struct fsh_sqlite *db;            /* the thread's */
    struct fsh_post post;
    int last; /* pages at the last time; the store's thread's */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool posted;
    bool writing;   /* the store's thread is */
    bool finishing; /* and must not begin */
};

/* ---- its own thread ---------------------------------------------------------------------- */

static void finish(struct fsh_sqlite_checkpoint *checkpoint, bool finishing)
{
    (void)pthread_mutex_lock(&checkpoint->lock);
    checkpoint->finishing = finishing;
    while (finishing && checkpoint->writing)
        (void)pthread_cond_wait(&checkpoint->changed, &checkpoint->lock);
    (void)pthread_cond_signal(&checkpoint->changed);
    (void)pthread_mutex_unlock(&checkpoint->lock);
}

static int bring_in(struct fsh_sqlite_checkpoint *checkpoint)
{
    sqlite3 *db = checkpoint->db->db;
    int code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

    if (code != SQLITE_OK)
        return code;
    finish(checkpoint, true);
    code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    finish(checkpoint, false);
    return code;
}

static void work(void *data, struct fsh_post *posts)
{
    struct fsh_sqlite_checkpoint *checkpoint = data;

    (void)posts;
    if (!checkpoint->db && fsh_sqlite_open(checkpoint->path, checkpoint->schema, false,
                                           &checkpoint->db, NULL) == FRESHET_OK)
        (void)sqlite3_busy_timeout(checkpoint->db->db, FINISH_MS);
    /* What fails is tried again when the log has grown further. */
    if (checkpoint->db && bring_in(checkpoint) != SQLITE_OK) {
        fsh_sqlite_close(checkpoint->db);
        checkpoint->db = NULL;
    }
    (void)pthread_mutex_lock(&checkpoint->lock);
    checkpoint->posted = false;
    (void)pthread_mutex_unlock(&checkpoint->lock);
}

static void nothing(void *data)
{
    (void)data;
}

/* ---- the store's thread ------------------------------------------------------------------ */

void fsh_sqlite_checkpoint_enter(struct fsh_sqlite_checkpoint *checkpoint)
{
    (void)pthread_mutex_lock(&checkpoint->lock);
    while (checkpoint->finishing)
        (void)pthread_cond_wait(&checkpoint->changed, &checkpoint->lock);
    checkpoint->writing = true;
    (void)pthread_mutex_unlock(&checkpoint->lock);
}

static bool many(struct fsh_sqlite_checkpoint *checkpoint, int pages)
{
    if (pages < checkpoint->last)
        checkpoint->last = 0; /* it began anew */
    return pages - checkpoint->last >= FSH_SQLITE_WAL_PAGES;
}

static bool start(struct fsh_sqlite_checkpoint *checkpoint)
{
    const struct fsh_sqlite_duty duty = {checkpoint, work, nothing};

    return checkpoint->thread ||
           fsh_sqlite_thread_start(&duty, &checkpoint->thread, NULL) == FRESHET_OK;
}

void fsh_sqlite_checkpoint_leave(struct fsh_sqlite_checkpoint *checkpoint,
                                 const struct fsh_sqlite *db)
{
    bool needed = many(checkpoint, db->wal_pages) && start(checkpoint);
    bool post;

    (void)pthread_mutex_lock(&checkpoint->lock);
    checkpoint->writing = false;
    post = needed && !checkpoint->posted;
    checkpoint->posted = checkpoint->posted || post;
    (void)pthread_cond_signal(&checkpoint->changed);
    (void)pthread_mutex_unlock(&checkpoint->lock);
    if (!post)
        return;
    checkpoint->last = db->wal_pages;
    fsh_sqlite_thread_submit(checkpoint->thread, &checkpoint->post);
}

/* ---- from its beginning to its end ------------------------------------------------------- */

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
    (void)pthread_cond_init(&checkpoint->changed, NULL);
    checkpoint->schema = schema;
    return checkpoint;
}

void fsh_sqlite_checkpoint_free(struct fsh_sqlite_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    fsh_sqlite_thread_stop(checkpoint->thread);
    fsh_sqlite_close(checkpoint->db);
    (void)pthread_cond_destroy(&checkpoint->changed);
    (void)pthread_mutex_destroy(&checkpoint->lock);
    free(checkpoint->path);
    free(checkpoint);
}
