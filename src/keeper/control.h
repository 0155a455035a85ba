/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_CONTROL_H
#define FSH_KEEPER_CONTROL_H

#include "keeper/keeper.h"
#include "lib/ask.h"

/* The inside of the control API: control.c has the routes and what they share. */

#define FSH_CONTROL_TIMEOUT_MAX_MS 300000
#define FSH_CONTROL_ENTRIES        64
#define FSH_CONTROL_THRESHOLD_MS   300000 /* as in struct freshet_options */

/* ---- sessions ---- */

typedef void fsh_control_then_fn(struct fsh_keeper_request *request, struct fsh_entry *entry);

/* Looks for the session that the path names, and goes on with `then` if the peer has the verb on
 * it; else the request is answered. To whom may do nothing with a session it is as if there were
 * none. A person's session that is not open yet is opened, and must be in the store. */
void fsh_control_session(struct fsh_keeper_request *request, enum fsh_verb verb,
                         fsh_control_then_fn *then);

/* The same, but it need not be in the store: it is to be signed in. */
void fsh_control_session_anew(struct fsh_keeper_request *request, enum fsh_verb verb,
                              fsh_control_then_fn *then);

/* ---- input ---- */

/* A whole number of a query argument, as it was when it is not there. False: it is something else,
 * and the request is answered. */
bool fsh_control_number(struct fsh_keeper_request *request, const char *name, int64_t least,
                        int64_t most, int64_t *number);

/* The body, which is one JSON object; none is an empty one. NULL: it is something else, and the
 * request is answered. */
json_t *fsh_control_body(struct fsh_keeper_request *request);

/* Its members, as json_unpack_ex takes them. FRESHET_EINVAL: they are others. */
int fsh_control_read(json_t *body, struct freshet_error *error, const char *format, ...);

/* FRESHET_EINVAL: it is out of its bounds. */
int fsh_control_timeout(json_int_t timeout_ms, struct freshet_error *error);

/* ---- requests that wait for an asynchronous call of a session ---- */

struct fsh_ask;

/* Answers ask->request, which is there. With FRESHET_OK `error` is NULL. True: it has made a
 * further call with fsh_ask_made, and the ask is not its own any more. */
typedef bool fsh_ask_answer_fn(struct fsh_ask *ask, int status, const struct freshet_error *error);

struct fsh_ask {
    struct fsh_keeper_request *request; /* NULL once the client has gone */
    struct fsh_registry *registry;
    struct fsh_entry *entry; /* a reference */
    struct freshet_operation *operation;
    bool cancels; /* the wait is given up with the client; else the call goes on */
    fsh_ask_answer_fn *answer;
    fsh_control_then_fn *then;
    /* Where the call's outcome goes. */
    struct freshet_freshness freshness;
    struct freshet_session_status status;
    struct freshet_mfa_settings settings;
    struct freshet_totp totp;
    size_t entry_count;
    struct freshet_ledger_entry *entries; /* owned */
};

/* NULL: no memory, and the request is answered. */
struct fsh_ask *fsh_ask_new(struct fsh_keeper_request *request, struct fsh_entry *entry,
                            fsh_ask_answer_fn *answer);

/* What a call that was made with fsh_ask_done and the ask has returned: when it was not taken, the
 * ask ends here. Either way it is not the caller's any more. */
void fsh_ask_made(struct fsh_ask *ask, int status, const struct freshet_error *error);
freshet_done_fn fsh_ask_done;

/* Reads what it needs of the body, which is valid until it returns, and calls the session with
 * fsh_ask_done and the ask. Returns what the call has returned, or why there was none. */
typedef int fsh_control_call_fn(struct fsh_ask *ask, json_t *body, struct freshet_error *error);

/* Makes the call with the request's body, and answers when it is done. */
void fsh_control_call(struct fsh_keeper_request *request, struct fsh_entry *entry,
                      fsh_control_call_fn *call, fsh_ask_answer_fn *answer);

/* Answers with the problem, or with 204. */
fsh_ask_answer_fn fsh_ask_answer_done;

/* Answers with the problem, or looks at the session and answers with its status. */
fsh_ask_answer_fn fsh_ask_answer_status;

/* ---- control_status.c ---- */

json_t *fsh_control_status_json(const struct fsh_entry *entry,
                                const struct freshet_session_status *status);

/* Where the headers may go (rule 13). NULL without memory. */
json_t *fsh_control_platform_json(const struct freshet_config *config);

/* ---- the routes ---- */

void fsh_control_platform(struct fsh_keeper_request *request);
void fsh_control_sessions(struct fsh_keeper_request *request);
void fsh_control_status(struct fsh_keeper_request *request);
void fsh_control_headers(struct fsh_keeper_request *request);
void fsh_control_token(struct fsh_keeper_request *request);
void fsh_control_unauthorized(struct fsh_keeper_request *request);
void fsh_control_sign_in(struct fsh_keeper_request *request);
void fsh_control_mfa(struct fsh_keeper_request *request);
void fsh_control_new_password(struct fsh_keeper_request *request);
void fsh_control_sign_out(struct fsh_keeper_request *request);
void fsh_control_mfa_get(struct fsh_keeper_request *request);
void fsh_control_mfa_put(struct fsh_keeper_request *request);
void fsh_control_totp_begin(struct fsh_keeper_request *request);
void fsh_control_totp_confirm(struct fsh_keeper_request *request);
void fsh_control_explain(struct fsh_keeper_request *request);

#endif
