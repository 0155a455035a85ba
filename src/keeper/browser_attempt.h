/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_BROWSER_ATTEMPT_H
#define FSH_KEEPER_BROWSER_ATTEMPT_H

#include "keeper/browser.h"

/* One sign-in that is not granted yet. The session's own cookie is chosen at the beginning, since
 * its key seals what the store gets, but the browser has it only with the grant. Until then it has
 * a cookie that stands for the open challenge, and another one after each answer: whoever planted
 * or overheard an earlier one has nothing. */
struct fsh_attempt {
    struct fsh_browsers *browsers;
    struct fsh_cookie cookie; /* of the session to be */
    struct freshet_session *session;
    struct fsh_keeper_request
        *request;                /* that waits for the outcome, or NULL: its client has gone */
    struct fsh_browser *browser; /* once it is granted, while its label is written */
    struct fsh_client client;
    char *account;
    /* Attempts that were counted, and are given back by a grant: of the account, and of where the
     * latest answer came from. */
    unsigned taken;
    unsigned taken_there;
    bool over; /* its account was signed out everywhere: whatever lands, there is no session */
    TAILQ_ENTRY(fsh_attempt) in_trying;
    /* While it waits for an answer. */
    bool challenged;
    struct fsh_table_node node;
    unsigned char hash[FSH_COOKIE_HASH];
    int32_t since_s;
    TAILQ_ENTRY(fsh_attempt) in_browsers;
    /* The session that the browser had, and that ends when this one begins. */
    bool replaces;
    unsigned char replaced[FSH_COOKIE_HASH];
};

/* NULL, and `error` says why. The attempt was counted. */
struct fsh_attempt *fsh_attempt_new(struct fsh_browsers *browsers, const char *account,
                                    const struct fsh_client *client, struct freshet_error *error);

/* Its session, if it is still its own, is nobody's. Takes NULL. */
void fsh_attempt_free(struct fsh_attempt *attempt);

/* The request waits for the outcome; when its client goes, nobody does. */
void fsh_attempt_wait(struct fsh_attempt *attempt, struct fsh_keeper_request *request);

/* It waits for an answer, under a cookie that was never used before. */
void fsh_attempt_challenge(struct fsh_attempt *attempt, struct fsh_cookie *ret_cookie);

/* It no longer does: its cookie is void. */
void fsh_attempt_unlist(struct fsh_attempt *attempt);

/* The one that waits for an answer under that cookie, or NULL. */
struct fsh_attempt *fsh_attempt_find(const struct fsh_browsers *browsers,
                                     const struct fsh_cookie *cookie);

/* Counts an attempt of the account and from the client's address. False: there were too many, and
 * the request is answered. */
bool fsh_attempt_may(struct fsh_keeper_request *request, const struct fsh_client *client,
                     const char *account);

/* It goes on from where this request comes from, which is counted there. False: as above. */
bool fsh_attempt_may_go_on(struct fsh_attempt *attempt, struct fsh_keeper_request *request);

/* All that were counted were good ones. */
void fsh_attempt_give_back(struct fsh_attempt *attempt);

/* Nobody has judged the latest, which is not the account's fault; its address still pays for it,
 * or whoever guesses would do so for nothing while the platform is away. */
void fsh_attempt_unjudged(struct fsh_attempt *attempt);

#endif
