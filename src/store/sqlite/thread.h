/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_SQLITE_THREAD_H
#define FSH_STORE_SQLITE_THREAD_H

#include "base/post.h"

#include <freshet/error.h>

/* The thread of one store. Whatever was submitted while it was at work it takes at once, in the
 * order of submission, so that one sync of the disk serves all of it (group commit). */
struct fsh_sqlite_thread;

/* The most that is taken at once. */
#define FSH_SQLITE_GROUP 64

/* What is put off is done at the latest so long after it came. */
#define FSH_SQLITE_IDLE_MS 1000

struct fsh_sqlite_duty {
    void *data;
    /* Does a list of posts, which are the submitter's again when they are done. */
    void (*group)(void *data, struct fsh_post *posts);
    /* Does what was put off, and is called when the thread ends, too. */
    void (*idle)(void *data);
};

int fsh_sqlite_thread_start(const struct fsh_sqlite_duty *duty,
                            struct fsh_sqlite_thread **ret_thread, struct freshet_error *error);

/* Does what was submitted and put off, and ends the thread. NULL is allowed. */
void fsh_sqlite_thread_stop(struct fsh_sqlite_thread *thread);

/* Any thread. */
void fsh_sqlite_thread_submit(struct fsh_sqlite_thread *thread, struct fsh_post *post);

/* Something was put off. Any thread. */
void fsh_sqlite_thread_put_off(struct fsh_sqlite_thread *thread);

#endif
