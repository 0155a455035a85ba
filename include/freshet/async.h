/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_ASYNC_H
#define FRESHET_ASYNC_H

#include <freshet/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The asynchronous API: nothing here waits, so that an event loop may call it. A call that was
 *  taken (FRESHET_OK) completes exactly once, by its `done`, which freshet_queue_dispatch calls on
 *  whatever thread the program dispatches; one that was not taken never completes. */

/** Where completions are delivered: a list of them and a pollable descriptor. One event loop needs
 *  one queue, for all its sessions of all handles. */
struct freshet_queue;

/** An asynchronous call that is under way: valid until its `done` is called. */
struct freshet_operation;

/** Tells how an asynchronous call ended.
 *
 *  @param data       as it was passed with the call.
 *  @param status     what the blocking function of the same name would return; FRESHET_ECANCELED
 *                    after freshet_operation_cancel and freshet_queue_free; FRESHET_ECLOSED when
 *                    the session was closed meanwhile: it must not be used any more.
 *  @param freshness  of freshet_ensure_fresh_async with FRESHET_OK: what is known of the token;
 *                    else NULL. Valid during the call. Its times count from now, and are negative
 *                    when the program dispatched later than that.
 *  @param error      with a status other than FRESHET_OK: its detail; else NULL. Valid during the
 *                    call.
 *
 *  It may call anything but freshet_queue_dispatch and freshet_queue_free of its own queue. */
typedef void freshet_done_fn(void *data, int status, const struct freshet_freshness *freshness,
                             const struct freshet_error *error);

/** Makes a queue.
 *
 *  @param ret_queue  the queue; the caller ends it with freshet_queue_free.
 *  @return FRESHET_OK, FRESHET_ELIMIT (no descriptor to be had), FRESHET_ENOMEM. Any thread. */
FRESHET_EXPORT int freshet_queue_new(struct freshet_queue **ret_queue, struct freshet_error *error);

/** Cancels what is under way, delivers every completion that is left (so `done` is called from
 *  here), and frees the queue. NULL is allowed. Waits for Freshet's thread, not for the platform.
 *  It takes nothing more from when this begins. Does nothing in a child of fork(2).
 *  Any thread, when no other uses the queue. */
FRESHET_EXPORT void freshet_queue_free(struct freshet_queue *queue);

/** A descriptor that is readable while completions wait; for poll(2) and its kin, level-triggered.
 *  It belongs to the queue: do not read or close it. Any thread. */
FRESHET_EXPORT int freshet_queue_fd(const struct freshet_queue *queue);

/** Calls `done` for each completion that waits. What completes meanwhile is left for the next time,
 *  so it always returns. Never waits. One thread at a time.
 *
 *  @return how many were delivered, or FRESHET_EFORKED in a child of fork(2). */
FRESHET_EXPORT int freshet_queue_dispatch(struct freshet_queue *queue);

/** Makes sure that a usable token is there, as freshet_ensure_fresh, without waiting.
 *
 *  @param demand         NULL for the defaults.
 *  @param queue          where the completion goes; it must outlive the call.
 *  @param data           handed to `done`; may be NULL.
 *  @param ret_operation  NULL, or what freshet_operation_cancel needs.
 *  @return FRESHET_OK: taken; FRESHET_ELIMIT: 65,536 calls of the queue are under way;
 *          FRESHET_ECLOSED: it is being freed; FRESHET_EFORKED, also for a queue of the parent;
 *          FRESHET_ENOMEM, FRESHET_EINVAL. Any thread. */
FRESHET_EXPORT int freshet_ensure_fresh_async(struct freshet_session *session,
                                              const struct freshet_demand *demand,
                                              struct freshet_queue *queue, freshet_done_fn *done,
                                              void *data, struct freshet_operation **ret_operation,
                                              struct freshet_error *error);

/** freshet_sign_in, without waiting. The strings are copied. Else as freshet_ensure_fresh_async. */
FRESHET_EXPORT int freshet_sign_in_async(struct freshet_session *session, const char *username,
                                         const char *password, int64_t timeout_ms,
                                         struct freshet_queue *queue, freshet_done_fn *done,
                                         void *data, struct freshet_operation **ret_operation,
                                         struct freshet_error *error);

/** freshet_answer_mfa, without waiting. The string is copied. Else as freshet_ensure_fresh_async.
 */
FRESHET_EXPORT int freshet_answer_mfa_async(struct freshet_session *session, const char *code,
                                            bool remember_device, int64_t timeout_ms,
                                            struct freshet_queue *queue, freshet_done_fn *done,
                                            void *data, struct freshet_operation **ret_operation,
                                            struct freshet_error *error);

/** freshet_answer_new_password, without waiting. The string is copied. Else as
 *  freshet_ensure_fresh_async. */
FRESHET_EXPORT int freshet_answer_new_password_async(struct freshet_session *session,
                                                     const char *new_password, int64_t timeout_ms,
                                                     struct freshet_queue *queue,
                                                     freshet_done_fn *done, void *data,
                                                     struct freshet_operation **ret_operation,
                                                     struct freshet_error *error);

/** freshet_sign_out, without waiting. Else as freshet_ensure_fresh_async. */
FRESHET_EXPORT int freshet_sign_out_async(struct freshet_session *session, bool hold,
                                          struct freshet_queue *queue, freshet_done_fn *done,
                                          void *data, struct freshet_operation **ret_operation,
                                          struct freshet_error *error);

/** Gives up one caller's wait. Its `done` is called, by a later dispatch, with FRESHET_ECANCELED,
 *  even if the call had ended meanwhile. A flight that it waited for goes on, for the others and
 *  for who comes next; a sign-in, an answer or a sign-out that has begun goes on too. Twice is
 *  harmless.
 *
 *  Only on the thread that dispatches, or with dispatching otherwise kept out: the operation is
 *  gone when its `done` begins. */
FRESHET_EXPORT void freshet_operation_cancel(struct freshet_operation *operation);

#ifdef __cplusplus
}
#endif

#endif
