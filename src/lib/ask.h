/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_LIB_ASK_H
#define FSH_LIB_ASK_H

#include <freshet/async.h>
#include <freshet/ledger.h>
#include <freshet/mfa.h>
#include <freshet/session.h>

/* What the keeper needs beyond the public functions: the same without waiting.
 *
 * The asynchronous ones are like those of <freshet/async.h>, but they cannot be called off: they
 * end by themselves, soon after the session is closed. What they have to tell stands in ret_x,
 * which must be there until `done` is called, and is written before it, with FRESHET_OK only. */

/* Whether the token in force does for the demand: the fast path. Sees to a refresh below the
 * threshold. */
bool fsh_lib_at_hand(struct freshet_session *session, const struct freshet_demand *demand,
                     struct freshet_freshness *ret_freshness);

/* The token in force, for a client that keeps it itself: the library's remote mode. */
struct fsh_lib_token {
    const char *authorization;  /* value of the header */
    const char *partner_header; /* name of the header */
    size_t partner_count;
    const char *const *partners;
    char partner[256]; /* of requests that choose none; "" when none is set */
    uint64_t generation;
    int64_t usable_ms;
    int64_t expires_ms;
    int64_t age_ms;
    int64_t lifetime_ms;
    int64_t threshold_ms;  /* the effective one */
    int64_t refresh_in_ms; /* until the threshold; negative below it */
    void *held;
};

/* FRESHET_EUNAVAILABLE: there is none that is usable. Give it back with fsh_lib_token_give. */
int fsh_lib_token_take(struct freshet_session *session, struct fsh_lib_token *ret_token,
                       struct freshet_error *error);
void fsh_lib_token_give(struct fsh_lib_token *token);

/* freshet_session_status. */
int fsh_lib_status_async(struct freshet_session *session, struct freshet_session_status *ret_status,
                         struct freshet_queue *queue, freshet_done_fn *done, void *data,
                         struct freshet_error *error);

/* freshet_explain, on a thread of its own. FRESHET_ELIMIT: too many are under way. */
int fsh_lib_explain_async(struct freshet_session *session, struct freshet_ledger_entry *ret_entries,
                          size_t room, size_t *ret_count, struct freshet_queue *queue,
                          freshet_done_fn *done, void *data, struct freshet_error *error);

/* The functions of <freshet/mfa.h>. */
int fsh_lib_mfa_get_async(struct freshet_session *session, int64_t timeout_ms,
                          struct freshet_mfa_settings *ret_settings, struct freshet_queue *queue,
                          freshet_done_fn *done, void *data, struct freshet_error *error);
int fsh_lib_mfa_put_async(struct freshet_session *session, int enabled, const char *preferred,
                          int64_t timeout_ms, struct freshet_queue *queue, freshet_done_fn *done,
                          void *data, struct freshet_error *error);
int fsh_lib_totp_begin_async(struct freshet_session *session, int64_t timeout_ms,
                             struct freshet_totp *ret_totp, struct freshet_queue *queue,
                             freshet_done_fn *done, void *data, struct freshet_error *error);
int fsh_lib_totp_confirm_async(struct freshet_session *session, const char *code,
                               int64_t timeout_ms, struct freshet_queue *queue,
                               freshet_done_fn *done, void *data, struct freshet_error *error);

#endif
