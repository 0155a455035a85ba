/* SPDX-License-Identifier: Apache-2.0 */

/* Queues: where the ends of asynchronous calls are delivered. */

#include "base/error.h"
#include "lib/internal.h"

#include <errno.h>
#include <freshet/async.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

TAILQ_HEAD(operations, freshet_operation);

/* One asynchronous call, from its being taken to its `done`. */
struct freshet_operation {
    struct freshet_queue *queue;
    struct freshet_session *session; /* a reference; NULL: no session's call */
    freshet_done_fn *done;
    void *data;
    fsh_lib_bring_fn *bring; /* NULL: it brings nothing but its status */
    void *where;
    uint64_t generation; /* ENSURE: what the engine gave */
    struct fsh_freshness token;
    struct fsh_post cancel;
    /* Under the queue's lock: */
    bool ended;      /* the call came back */
    bool cancelling; /* `cancel` is on its way to the engine, and makes it ready */
    bool canceled;
    TAILQ_ENTRY(freshet_operation) in_queue;
    struct fsh_call call; /* the engine's until `ended` */
};

struct freshet_queue {
    pid_t pid;
    int fd; /* an eventfd: readable while `ready` is not empty */
    pthread_mutex_t lock;
    size_t count; /* in both lists */
    size_t ready_count;
    struct operations under_way;
    struct operations ready;
    bool freeing; /* takes nothing more, not even from a `done` that is called meanwhile */
};

/* ---- operations -------------------------------------------------------------------------- */

/* Moves it from the calls under way to those that wait to be delivered. The lock is held. */
static void make_ready(struct freshet_operation *operation)
{
    struct freshet_queue *queue = operation->queue;

    if (TAILQ_EMPTY(&queue->ready))
        (void)eventfd_write(queue->fd, 1);
    TAILQ_REMOVE(&queue->under_way, operation, in_queue);
    TAILQ_INSERT_TAIL(&queue->ready, operation, in_queue);
    queue->ready_count++;
}

/* On the engine's thread. */
static void call_ended(struct fsh_call *call)
{
    struct freshet_operation *operation = fsh_container_of(call, struct freshet_operation, call);

    if (call->kind == FSH_CALL_ENSURE && call->status == FRESHET_OK &&
        !fsh_engine_view(call->session, &operation->generation, &operation->token))
        call->status = fsh_base_fail(&call->error, FRESHET_ESIGNEDOUT, NULL);
    (void)pthread_mutex_lock(&operation->queue->lock);
    operation->ended = true;
    if (!operation->cancelling)
        make_ready(operation);
    (void)pthread_mutex_unlock(&operation->queue->lock);
}

/* On the engine's thread. Nobody else makes the operation ready, so it is still there. */
static void cancel_run(struct fsh_post *post)
{
    struct freshet_operation *operation = fsh_container_of(post, struct freshet_operation, cancel);

    if (!operation->ended)
        fsh_engine_call_cancel(&operation->call);
    (void)pthread_mutex_lock(&operation->queue->lock);
    make_ready(operation);
    (void)pthread_mutex_unlock(&operation->queue->lock);
}

/* The lock is held. While it is, the call does not end, so the session is still there. */
static void cancel(struct freshet_operation *operation)
{
    operation->canceled = operation->session != NULL;
    if (operation->ended || operation->cancelling || !operation->session)
        return;
    operation->cancelling = true;
    operation->cancel.run = cancel_run;
    fsh_loop_post(operation->session->freshet->loop, &operation->cancel);
}

void freshet_operation_cancel(struct freshet_operation *operation)
{
    struct freshet_queue *queue = operation->queue;

    /* In a child of fork(2) the lock may be held for ever. */
    if (fsh_lib_queue_forked(queue))
        return;
    (void)pthread_mutex_lock(&queue->lock);
    cancel(operation);
    (void)pthread_mutex_unlock(&queue->lock);
}

static void operation_free(struct freshet_operation *operation)
{
    fsh_lib_call_done(&operation->call);
    if (operation->session)
        fsh_engine_session_unref(&operation->session->engine);
    free(operation);
}

static void deliver(struct freshet_operation *operation)
{
    struct freshet_freshness freshness = {0};
    struct freshet_error *error = &operation->call.error;
    int status = operation->call.status;
    bool ensured = operation->session && operation->call.kind == FSH_CALL_ENSURE;

    if (operation->canceled)
        status = fsh_base_fail(error, FRESHET_ECANCELED, NULL);
    else if (operation->session && atomic_load(&operation->session->engine.closed))
        status = fsh_base_fail(error, FRESHET_ECLOSED, NULL);
    if (operation->bring && status == FRESHET_OK)
        operation->bring(&operation->call, operation->where);
    if (ensured && status == FRESHET_OK)
        fsh_lib_tell(operation->generation, &operation->token, fsh_clock_mono(), &freshness);
    operation->done(operation->data, status, ensured && status == FRESHET_OK ? &freshness : NULL,
                    status == FRESHET_OK ? NULL : error);
}

/* ---- queues ------------------------------------------------------------------------------ */

int freshet_queue_new(struct freshet_queue **ret_queue, struct freshet_error *error)
{
    struct freshet_queue *queue = calloc(1, sizeof(*queue));

    if (!queue)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    queue->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (queue->fd < 0) {
        free(queue);
        return fsh_base_fail(error, FRESHET_ELIMIT, "no descriptor to be had: %s", strerror(errno));
    }
    queue->pid = getpid();
    (void)pthread_mutex_init(&queue->lock, NULL);
    TAILQ_INIT(&queue->under_way);
    TAILQ_INIT(&queue->ready);
    *ret_queue = queue;
    return FRESHET_OK;
}

bool fsh_lib_queue_forked(const struct freshet_queue *queue)
{
    return queue->pid != getpid();
}

int freshet_queue_fd(const struct freshet_queue *queue)
{
    return queue->fd;
}

int freshet_queue_dispatch(struct freshet_queue *queue)
{
    struct operations batch = TAILQ_HEAD_INITIALIZER(batch);
    struct freshet_operation *operation;
    eventfd_t value;
    int delivered = 0;

    if (fsh_lib_queue_forked(queue))
        return FRESHET_EFORKED;
    (void)pthread_mutex_lock(&queue->lock);
    TAILQ_CONCAT(&batch, &queue->ready, in_queue);
    queue->count -= queue->ready_count;
    queue->ready_count = 0;
    (void)eventfd_read(queue->fd, &value);
    (void)pthread_mutex_unlock(&queue->lock);
    TAILQ_FOREACH (operation, &batch, in_queue) {
        deliver(operation);
        delivered++;
    }
    /* Nobody waits for this part. */
    while ((operation = TAILQ_FIRST(&batch))) {
        TAILQ_REMOVE(&batch, operation, in_queue);
        operation_free(operation);
    }
    return delivered;
}

static size_t cancel_all(struct freshet_queue *queue)
{
    struct freshet_operation *operation;
    size_t left;

    (void)pthread_mutex_lock(&queue->lock);
    queue->freeing = true;
    TAILQ_FOREACH (operation, &queue->under_way, in_queue)
        cancel(operation);
    TAILQ_FOREACH (operation, &queue->ready, in_queue)
        operation->canceled = operation->session != NULL;
    left = queue->count;
    (void)pthread_mutex_unlock(&queue->lock);
    return left;
}

void freshet_queue_free(struct freshet_queue *queue)
{
    /* In a child of fork(2) nobody ends what is under way. */
    if (!queue || fsh_lib_queue_forked(queue))
        return;
    while (cancel_all(queue) > 0) {
        struct pollfd ready = {.fd = queue->fd, .events = POLLIN};

        (void)poll(&ready, 1, -1);
        (void)freshet_queue_dispatch(queue);
    }
    (void)close(queue->fd);
    (void)pthread_mutex_destroy(&queue->lock);
    free(queue);
}

/* ---- taking calls ------------------------------------------------------------------------ */

/* What all asynchronous calls begin with; `session` may be NULL. */
static int operation_new(struct freshet_session *session, struct freshet_queue *queue,
                         freshet_done_fn *done, void *data,
                         struct freshet_operation **ret_operation, struct freshet_error *error)
{
    struct freshet_operation *operation;

    if (session && fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    if (!queue || !done)
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "an asynchronous call needs a queue and a done");
    /* A child that has opened a handle of its own needs a queue of its own, too. */
    if (fsh_lib_queue_forked(queue))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    operation = calloc(1, sizeof(*operation));
    if (!operation)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    operation->queue = queue;
    operation->session = session;
    if (session)
        fsh_engine_session_ref(&session->engine);
    operation->done = done;
    operation->data = data;
    operation->call.done = call_ended;
    *ret_operation = operation;
    return FRESHET_OK;
}

/* Puts it among the calls under way, or, when it has ended by itself, among the ready. */
static int enter(struct freshet_operation *operation, bool ended,
                 struct freshet_operation **ret_operation, struct freshet_error *error)
{
    struct freshet_queue *queue = operation->queue;
    bool freeing;
    bool full;

    (void)pthread_mutex_lock(&queue->lock);
    freeing = queue->freeing;
    full = queue->count == FSH_QUEUE_MAX;
    if (!freeing && !full) {
        queue->count++;
        TAILQ_INSERT_TAIL(&queue->under_way, operation, in_queue);
        operation->ended = ended;
        if (ret_operation)
            *ret_operation = operation;
        if (ended)
            make_ready(operation);
    }
    (void)pthread_mutex_unlock(&queue->lock);
    if (freeing)
        return fsh_base_fail(error, FRESHET_ECLOSED, "the queue is being freed");
    if (full)
        return fsh_base_fail(error, FRESHET_ELIMIT, "%d calls of this queue are under way",
                             FSH_QUEUE_MAX);
    return FRESHET_OK;
}

/* Hands a call that was made with `status` to the engine, unless it has ended by itself. */
static int take(struct freshet_operation *operation, int status, int64_t timeout_ms, bool ended,
                struct freshet_operation **ret_operation, struct freshet_error *error)
{
    if (status == FRESHET_OK)
        status = enter(operation, ended, ret_operation, error);
    if (status != FRESHET_OK) {
        operation_free(operation);
        return status;
    }
    if (!ended)
        fsh_lib_submit(operation->session, &operation->call, timeout_ms);
    return FRESHET_OK;
}

int fsh_lib_operation_begin(struct freshet_queue *queue, freshet_done_fn *done, void *data,
                            struct freshet_operation **ret_operation, struct freshet_error *error)
{
    struct freshet_operation *operation = NULL;
    int status = operation_new(NULL, queue, done, data, &operation, error);

    if (!operation)
        return status;
    status = enter(operation, false, ret_operation, error);
    if (status != FRESHET_OK)
        operation_free(operation);
    return status;
}

void fsh_lib_operation_end(struct freshet_operation *operation, int status, const char *why)
{
    struct freshet_queue *queue = operation->queue;

    operation->call.status = status;
    if (status != FRESHET_OK)
        (void)fsh_base_fail(&operation->call.error, status, why[0] ? "%s" : NULL, why);
    (void)pthread_mutex_lock(&queue->lock);
    operation->ended = true;
    make_ready(operation);
    (void)pthread_mutex_unlock(&queue->lock);
}

int fsh_lib_call_async(struct freshet_session *session, struct fsh_call *call, int64_t timeout_ms,
                       fsh_lib_bring_fn *bring, void *where, struct freshet_queue *queue,
                       freshet_done_fn *done, void *data, struct freshet_error *error)
{
    struct freshet_operation *operation = NULL;
    int status = operation_new(session, queue, done, data, &operation, error);

    if (!operation) {
        fsh_lib_call_done(call);
        return status;
    }
    operation->call.kind = call->kind;
    operation->call.in = call->in;
    operation->bring = bring;
    operation->where = where;
    return take(operation, status, timeout_ms, false, NULL, error);
}

int freshet_ensure_fresh_async(struct freshet_session *session, const struct freshet_demand *demand,
                               struct freshet_queue *queue, freshet_done_fn *done, void *data,
                               struct freshet_operation **ret_operation,
                               struct freshet_error *error)
{
    struct freshet_operation *operation = NULL;
    bool at_hand;
    int status = operation_new(session, queue, done, data, &operation, error);

    if (!operation)
        return status;
    fsh_lib_make_ensure(demand, &operation->call);
    at_hand = fsh_lib_at_hand(session, demand, NULL) &&
              fsh_engine_view(&session->engine, &operation->generation, &operation->token);
    return take(operation, FRESHET_OK, demand ? demand->timeout_ms : 0, at_hand, ret_operation,
                error);
}

int freshet_sign_in_async(struct freshet_session *session, const char *username,
                          const char *password, int64_t timeout_ms, struct freshet_queue *queue,
                          freshet_done_fn *done, void *data,
                          struct freshet_operation **ret_operation, struct freshet_error *error)
{
    struct freshet_operation *operation = NULL;
    int status = operation_new(session, queue, done, data, &operation, error);

    if (!operation)
        return status;
    status = fsh_lib_make_sign_in(session, username, password, &operation->call, error);
    return take(operation, status, timeout_ms, false, ret_operation, error);
}

int freshet_answer_mfa_async(struct freshet_session *session, const char *code,
                             bool remember_device, int64_t timeout_ms, struct freshet_queue *queue,
                             freshet_done_fn *done, void *data,
                             struct freshet_operation **ret_operation, struct freshet_error *error)
{
    struct freshet_operation *operation = NULL;
    int status = operation_new(session, queue, done, data, &operation, error);

    if (!operation)
        return status;
    status = fsh_lib_make_mfa(code, remember_device, &operation->call, error);
    return take(operation, status, timeout_ms, false, ret_operation, error);
}

int freshet_answer_new_password_async(struct freshet_session *session, const char *new_password,
                                      int64_t timeout_ms, struct freshet_queue *queue,
                                      freshet_done_fn *done, void *data,
                                      struct freshet_operation **ret_operation,
                                      struct freshet_error *error)
{
    struct freshet_operation *operation = NULL;
    int status = operation_new(session, queue, done, data, &operation, error);

    if (!operation)
        return status;
    status = fsh_lib_make_new_password(new_password, &operation->call, error);
    return take(operation, status, timeout_ms, false, ret_operation, error);
}

int freshet_sign_out_async(struct freshet_session *session, bool hold, struct freshet_queue *queue,
                           freshet_done_fn *done, void *data,
                           struct freshet_operation **ret_operation, struct freshet_error *error)
{
    struct freshet_operation *operation = NULL;
    int status = operation_new(session, queue, done, data, &operation, error);

    if (!operation)
        return status;
    operation->call.kind = FSH_CALL_SIGN_OUT;
    operation->call.in.hold = hold;
    return take(operation, FRESHET_OK, 0, false, ret_operation, error);
}
