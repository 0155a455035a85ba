/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/labels.h"

#include "base/error.h"
#include "lib/internal.h"

#include <stdlib.h>
#include <string.h>

/* One use of the stores, from its being taken to its `done`; its steps follow each other. */
struct label_use {
    struct freshet *freshet;
    struct freshet_operation *operation; /* NULL: nobody is told */
    const enum fsh_change_kind *next;    /* changes to come after this one */
    const enum fsh_change_kind *end;
    struct fsh_store_op op;
    struct fsh_cache_op drop;
    char bytes[]; /* the name; behind its NUL the label */
};

static void label_use_end(struct label_use *use, int status, const char *why)
{
    if (use->operation)
        fsh_lib_operation_end(use->operation, status, why);
    free(use);
}

/* ---- on the stores' threads -------------------------------------------------------------- */

static void change_done(struct fsh_store_op *op);

static void submit_next(struct label_use *use)
{
    struct fsh_secret_store *store = use->freshet->secrets;

    use->op.change = (struct fsh_change){.kind = *use->next++, .reason = FRESHET_ESIGNEDOUT};
    use->op.done = change_done;
    store->ops->submit(store, &use->op);
}

static int status_of(const struct fsh_store_op *op)
{
    if (op->status != FRESHET_OK || op->verdict == FSH_VERDICT_DONE)
        return op->status;
    return op->change.kind == FSH_CHANGE_LABEL ? FRESHET_ESIGNEDOUT : FRESHET_EBUSY;
}

static void change_done(struct fsh_store_op *op)
{
    struct label_use *use = fsh_container_of(op, struct label_use, op);
    int status = status_of(op);

    if (status == FRESHET_OK && use->next != use->end)
        submit_next(use);
    else
        label_use_end(use, status, op->status == FRESHET_OK ? "" : op->why);
}

/* A token that stays in the cache is of no use to anybody: what matters is the record. */
static void drop_done(struct fsh_cache_op *op)
{
    submit_next(fsh_container_of(op, struct label_use, drop));
}

/* ---- taking ------------------------------------------------------------------------------ */

static bool fits(const char *name)
{
    size_t len = name ? strlen(name) : 0;

    return len > 0 && len <= FSH_NAME_MAX;
}

static int use_new(struct freshet *freshet, const char *name, const void *label, size_t len,
                   struct freshet_queue *queue, freshet_done_fn *done, void *data,
                   struct label_use **ret_use, struct freshet_error *error)
{
    struct label_use *use;
    size_t name_len;
    int status = FRESHET_OK;

    if (fsh_lib_forked(freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    if (!fits(name))
        return fsh_base_fail(error, FRESHET_EINVAL, "a session's name is 1 to %d bytes",
                             FSH_NAME_MAX);
    name_len = strlen(name) + 1;
    use = calloc(1, sizeof(*use) + name_len + len);
    if (!use)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    if (queue)
        status = fsh_lib_operation_begin(queue, done, data, &use->operation, error);
    if (status != FRESHET_OK) {
        free(use);
        return status;
    }
    use->freshet = freshet;
    use->op.session = memcpy(use->bytes, name, name_len);
    use->op.now = (struct fsh_stamp){fsh_clock_mono().ms, freshet->boot};
    if (label) {
        use->op.label = memcpy(use->bytes + name_len, label, len);
        use->op.label_len = len;
    }
    *ret_use = use;
    return FRESHET_OK;
}

int fsh_lib_label_put(struct freshet *freshet, const char *name, const void *label, size_t len,
                      struct freshet_queue *queue, freshet_done_fn *done, void *data,
                      struct freshet_error *error)
{
    static const enum fsh_change_kind changes[] = {FSH_CHANGE_LABEL};
    struct label_use *use = NULL;
    int status;

    if (!label || len == 0 || len > FSH_LABEL_MAX)
        return fsh_base_fail(error, FRESHET_EINVAL, "a label is 1 to %d bytes", FSH_LABEL_MAX);
    status = use_new(freshet, name, label, len, queue, done, data, &use, error);
    if (!use)
        return status;
    use->next = changes;
    use->end = changes + 1;
    submit_next(use);
    return FRESHET_OK;
}

/* The token goes first: once the record is gone nobody knows of it. */
static int forget(struct freshet *freshet, const char *name, const enum fsh_change_kind *changes,
                  size_t count, struct freshet_queue *queue, freshet_done_fn *done, void *data,
                  struct freshet_error *error)
{
    struct label_use *use = NULL;
    int status = use_new(freshet, name, NULL, 0, queue, done, data, &use, error);

    if (!use)
        return status;
    use->next = changes;
    use->end = changes + count;
    use->drop.session = use->op.session;
    use->drop.kind = FSH_CACHE_DROP;
    use->drop.generation = INT64_MAX;
    use->drop.done = drop_done;
    freshet->tokens->ops->submit(freshet->tokens, &use->drop);
    return FRESHET_OK;
}

int fsh_lib_session_remove(struct freshet *freshet, const char *name, struct freshet_queue *queue,
                           freshet_done_fn *done, void *data, struct freshet_error *error)
{
    static const enum fsh_change_kind changes[] = {FSH_CHANGE_REMOVE};

    return forget(freshet, name, changes, 1, queue, done, data, error);
}

int fsh_lib_session_end(struct freshet *freshet, const char *name, struct freshet_queue *queue,
                        freshet_done_fn *done, void *data, struct freshet_error *error)
{
    static const enum fsh_change_kind changes[] = {FSH_CHANGE_SIGN_OUT, FSH_CHANGE_REMOVE};

    return forget(freshet, name, changes, 2, queue, done, data, error);
}

/* ---- listing ----------------------------------------------------------------------------- */

struct listing {
    int (*each)(void *data, const struct fsh_labeled *session);
    void *data;
};

static int hand_out(void *data, const struct fsh_stored *stored)
{
    const struct listing *listing = data;
    const struct fsh_labeled session = {
        .name = stored->name,
        .phase = fsh_lib_phase(stored->record->phase),
        .reason = stored->record->reason,
        .label = stored->label,
        .len = stored->label_len,
        .unopened = stored->unopened,
    };

    return listing->each(listing->data, &session);
}

int fsh_lib_labels(struct freshet *freshet, const char *prefix,
                   int (*each)(void *data, const struct fsh_labeled *session), void *data,
                   struct freshet_error *error)
{
    struct listing listing = {each, data};

    if (fsh_lib_forked(freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    return freshet->secrets->ops->list(freshet->secrets, prefix, hand_out, &listing, error);
}
