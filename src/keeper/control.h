/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_CONTROL_H
#define FSH_KEEPER_CONTROL_H

#include "keeper/keeper.h"
#include "lib/ask.h"

/* The inside of the control API: control.c has the routes and what they share. */

/* A request that waits for an asynchronous call of a session. */
struct fsh_ask {
    struct fsh_keeper_request *request; /* NULL once the client has gone */
    struct fsh_entry *entry;            /* a reference */
    struct freshet_operation *operation;
    bool cancels; /* the wait is given up with the client; else the call goes on */
    /* Answers the request, which is there. With FRESHET_ECLOSED the session is gone. */
    void (*answer)(struct fsh_ask *ask, int status, const struct freshet_error *error);
    union {
        struct freshet_demand demand;
    };
};

/* The session that the path names, if the peer has the verb on it. Else NULL, and the request is
 * answered: to whom may do nothing with a session it is as if there were none. */
struct fsh_entry *fsh_control_entry(struct fsh_keeper_request *request, enum fsh_verb verb);

/* A whole number of a query argument, as it was when it is not there. False: it is something else,
 * and the request is answered. */
bool fsh_control_number(struct fsh_keeper_request *request, const char *name, int64_t *number);

/* NULL: no memory, and the request is answered. */
struct fsh_ask *fsh_ask_new(struct fsh_keeper_request *request, struct fsh_entry *entry,
                            void (*answer)(struct fsh_ask *ask, int status,
                                           const struct freshet_error *error));

/* What a call that was made with fsh_ask_done and the ask has returned: when it was not taken, the
 * ask ends here. */
void fsh_ask_made(struct fsh_ask *ask, int status, const struct freshet_error *error);
freshet_done_fn fsh_ask_done;

void fsh_control_headers(struct fsh_keeper_request *request);

#endif
