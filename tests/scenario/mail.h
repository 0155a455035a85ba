/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SCENARIO_MAIL_H
#define TESTS_SCENARIO_MAIL_H

#include "keeper/request.h"
#include "scenario.h"

/* What goes to and fro between a keeper and who asks it, without a socket: requests of the remote
 * engine become requests of the keeper's handlers, and their pages its replies. */

#define MAIL_ARGUMENTS 4

struct mail {
    struct fsh_keeper_request request;
    struct fsh_request *from;
    struct mails *mails;
    struct fsh_mono until; /* the client gives up then */
    bool arrived;
    bool answered;
    struct fsh_page *page; /* the answer; NULL: the connection ended */
    char path[768];        /* its query is taken apart */
    char etag[24];
    size_t argument_count;
    struct {
        const char *name;
        const char *value;
    } arguments[MAIL_ARGUMENTS];
    TAILQ_ENTRY(mail) in_list;
};

struct mails {
    struct scenario *scenario;
    struct fsh_keeper *keeper;
    const struct fsh_peer *peer;
    TAILQ_HEAD(, mail) list; /* in their order */
};

void mails_init(struct mails *mails, struct scenario *scenario, struct fsh_keeper *keeper,
                const struct fsh_peer *peer);

/* A problem when something is still on its way. */
void mails_done(struct mails *mails);

void mail_send(struct mails *mails, struct fsh_request *from, struct fsh_mono now);
void mail_cancel(struct mails *mails, struct fsh_request *from);

/* Brings the keeper what was sent; true when there was anything. */
bool mails_deliver(struct mails *mails);

/* Brings back one answer, or the word that there was none in time; true when there was one. */
bool mails_return(struct mails *mails, struct fsh_mono now);

struct fsh_mono mails_wake_at(const struct mails *mails);

#endif
