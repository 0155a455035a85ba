/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_LIB_LABELS_H
#define FSH_LIB_LABELS_H

#include "base/bounds.h"

#include <freshet/async.h>
#include <freshet/session.h>

/* What a session's owner keeps with it in the secret store, and sessions of the store that are not
 * open: for the keeper, whose browser sessions are far more than those in use.
 *
 * A label is a blob of the owner's (an account, times, where somebody signed in), sealed with the
 * host's key alone, so that it can be read without the session key. It is there as long as the
 * session's record, and goes with it.
 *
 * What is asynchronous ends on a queue like any call, with `done(data, status, NULL, error)`, when
 * it is durable; those of one name in the order in which they were begun. Queue and `done` may both
 * be NULL: then nobody is told. Names and labels are copied. Any thread; none of these waits, but
 * for fsh_lib_labels. */

/* Puts a label, or puts it in the place of the one that is there. A session that was never signed
 * in, or was removed, has none and gets none: FRESHET_ESIGNEDOUT. At most FSH_LABEL_MAX bytes,
 * and not empty: FRESHET_EINVAL. `done` may be told FRESHET_ESTORE and FRESHET_ENOMEM: nothing
 * changed.
 *
 * Itself returns FRESHET_OK, or, and then `done` is not called, FRESHET_EINVAL, FRESHET_ENOMEM,
 * FRESHET_ELIMIT (the queue is full), FRESHET_ECLOSED, FRESHET_EFORKED. */
int fsh_lib_label_put(struct freshet *freshet, const char *name, const void *label, size_t len,
                      struct freshet_queue *queue, freshet_done_fn *done, void *data,
                      struct freshet_error *error);

/* Removes a session that is over from both stores, with label and ledger; one that is not there is
 * as good as removed. `done` is told FRESHET_EBUSY for one that is live or about to be. Close it
 * before, if it is open. Its name must never be used again (a generation never restarts). Else as
 * fsh_lib_label_put. */
int fsh_lib_session_remove(struct freshet *freshet, const char *name, struct freshet_queue *queue,
                           freshet_done_fn *done, void *data, struct freshet_error *error);

/* Signs out a session that is not open here, without its key, and removes it. As
 * fsh_lib_session_remove, but live ones go, too. */
int fsh_lib_session_end(struct freshet *freshet, const char *name, struct freshet_queue *queue,
                        freshet_done_fn *done, void *data, struct freshet_error *error);

/* A session of the store. Valid during the call that it is handed to. */
struct fsh_labeled {
    const char *name;
    enum freshet_phase phase;
    int reason;           /* a status: why it is not live */
    const void *label;    /* NULL without one, and when it does not open */
    size_t len;           /* 0 likewise */
    const char *unopened; /* one sentence: why the label that is there does not open; else NULL */
};

/* Hands each session whose name begins with `prefix` to `each`, in the order of their names, until
 * it returns something else than FRESHET_OK, which is returned. `each` must not use the handle.
 * Waits for the store: for the start. */
int fsh_lib_labels(struct freshet *freshet, const char *prefix,
                   int (*each)(void *data, const struct fsh_labeled *session), void *data,
                   struct freshet_error *error);

#endif
