/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_BROWSER_H
#define FSH_KEEPER_BROWSER_H

#include "keeper/client.h"
#include "keeper/cookie.h"
#include "keeper/keeper.h"
#include "keeper/limits.h"
#include "keeper/loop.h"
#include "keeper/table.h"

#include "base/bounds.h"
#include "base/shelf.h"

#include <netinet/in.h>
#include <sys/queue.h>

/* The sessions of browsers: all that the store has, found by the hash of their cookie. There may be
 * a million, so each byte of an entry counts; nothing walks through all of them but the start.
 *
 * Times are seconds of CLOCK_BOOTTIME, and below zero for what was before the boot. The label that
 * stands with a session in the store says them by the calendar, which alone outlives a boot. */

/* A text that several sessions have in common: their account, or their User-Agent. */
struct fsh_browser_word {
    struct fsh_table_node node;
    struct fsh_browser *first; /* of an account: its sessions, the latest used first */
    unsigned references;       /* of sessions, and of who walks through them */
    char text[];
};

struct fsh_browser {
    struct fsh_table_node node;
    unsigned char hash[FSH_COOKIE_HASH];
    struct freshet_session *session; /* NULL: its cookie has not come since the keeper began */
    struct fsh_browser_word *account;
    struct fsh_browser_word *agent; /* of the sign-in */
    struct in6_addr address;        /* likewise; all zero: not known */
    char *partner;                  /* what the page chose, or NULL */
    struct fsh_browser *next;       /* of the account; NULL: it is the longest unused */
    struct fsh_browser *prev;       /* of the first: the last */
    TAILQ_ENTRY(fsh_browser) in_used;
    int32_t created_s;
    int32_t seen_s;
    int32_t saved_s; /* what its label says of seen_s */
    /* Its own, and of requests; a choice of partner outlives its connection while the store is
     * slow, so there may be more than connections. */
    unsigned references : 30;
    unsigned over : 1; /* signed out, or timed out: it is in no list any more */
    unsigned dead : 1; /* the platform ended it; its callers are told why until it times out */
};

struct fsh_attempt;

struct fsh_browsers {
    struct fsh_keeper *keeper;
    char *origin;
    struct fsh_cookie_kind kind;
    bool first_party;
    int32_t idle_s;
    int32_t absolute_s;
    size_t most;          /* sessions in all */
    unsigned most_of_one; /* of an account */
    struct fsh_limits *limits;
    struct fsh_shelf *shelf;   /* of sessions and words */
    struct fsh_table sessions; /* struct fsh_browser */
    struct fsh_table accounts; /* struct fsh_browser_word */
    struct fsh_table agents;
    TAILQ_HEAD(fsh_browser_used, fsh_browser) used;   /* the longest unused first */
    TAILQ_HEAD(fsh_trying, fsh_attempt) trying;       /* all attempts */
    struct fsh_table attempts;                        /* that wait for an answer, by their cookie */
    TAILQ_HEAD(fsh_attempts, fsh_attempt) challenged; /* the oldest first */
    TAILQ_HEAD(fsh_endings, fsh_ending) endings;
    struct fsh_alarm sweep;
    unsigned char key[16]; /* of the hashes of words */
};

/* Reads what the store has; waits for it. NULL, and FRESHET_OK, without an origin in [browser]. */
int fsh_browsers_new(struct fsh_keeper *keeper, const struct freshet_config *config,
                     struct fsh_browsers **ret_browsers, struct freshet_error *error);

/* The queue must still be there, so that nobody is called afterwards; the sessions stay signed in.
 * NULL is allowed. */
void fsh_browsers_free(struct fsh_browsers *browsers);

/* After a reload: origin, timeouts and bounds are those of `config` from now on. With [browser] for
 * the first time it reads what the store has, and waits for it; without it all sessions stay, and
 * nobody is served until there is an origin again. */
int fsh_browsers_reload(struct fsh_keeper *keeper, const struct freshet_config *config,
                        struct freshet_error *error);

size_t fsh_browsers_count(const struct fsh_browsers *browsers);

int32_t fsh_browsers_now(void);

/* ---- for browser_*.c and authz.c */

/* The session of the request's cookie, open, with a reference. FRESHET_ESIGNEDOUT: there is none,
 * for whatever reason. */
int fsh_browsers_find(struct fsh_browsers *browsers, const struct fsh_keeper_request *request,
                      struct fsh_browser **ret_browser, struct freshet_error *error);

/* It is used: its idle timeout begins anew. What a page may do by itself, such as to look at its
 * session, is no use. */
void fsh_browsers_use(struct fsh_browsers *browsers, struct fsh_browser *browser);
void fsh_browser_unref(struct fsh_browser *browser);

/* The cookie of the request. */
enum fsh_cookie_found fsh_browsers_cookie(const struct fsh_browsers *browsers,
                                          const struct fsh_keeper_request *request,
                                          struct fsh_cookie *ret_cookie);

/* By its public id; NULL: there is none. */
struct fsh_browser *fsh_browsers_by_hash(const struct fsh_browsers *browsers,
                                         const unsigned char hash[FSH_COOKIE_HASH]);

/* Bytes of an account's name: what its label has room for. */
#define FSH_BROWSER_ACCOUNT_MAX 200

/* The name of a session in the store. */
#define FSH_BROWSER_PREFIX "browser/"
#define FSH_BROWSER_NAME   (sizeof(FSH_BROWSER_PREFIX) - 1 + FSH_COOKIE_SHORT)
void fsh_browser_name(const unsigned char hash[FSH_COOKIE_HASH], char ret_name[FSH_BROWSER_NAME]);

/* Opens the session of a cookie. */
int fsh_browsers_open(struct fsh_browsers *browsers, const struct fsh_cookie *cookie,
                      struct freshet_session **ret_session, struct freshet_error *error);

/* What is known of a session besides its cookie. */
struct fsh_browser_about {
    const char *account;
    const char *agent;
    const char *partner; /* or NULL */
    struct in6_addr address;
    int32_t created_s;
    int32_t seen_s;
};

/* Adds a session with what is known of it. */
int fsh_browsers_add(struct fsh_browsers *browsers, const unsigned char hash[FSH_COOKIE_HASH],
                     const struct fsh_browser_about *about, struct fsh_browser **ret_browser);

/* Whether there is no room for one more, which takes the place of the session `replaced`; NULL: of
 * none. Then `error` says so, and when to come again. */
bool fsh_browsers_full(const struct fsh_browsers *browsers, const unsigned char *replaced,
                       struct freshet_error *error);

/* Ends the sessions of the account that were not used for the longest, but never this one, while
 * there are too many of them. */
void fsh_browsers_displace(struct fsh_browsers *browsers, struct fsh_browser *browser);

/* Takes it out of everything, for good: its cookie is void from now on. */
void fsh_browsers_drop(struct fsh_browsers *browsers, struct fsh_browser *browser);

/* It is the one of its account that was used last. */
void fsh_browser_to_front(struct fsh_browser *browser);

/* Gives back a reference to an account. */
void fsh_browser_word_unref(struct fsh_browsers *browsers, struct fsh_browser_word *account);

/* Milliseconds until it times out. */
int64_t fsh_browser_idle_ms(const struct fsh_browsers *browsers, const struct fsh_browser *browser);
int64_t fsh_browser_absolute_ms(const struct fsh_browsers *browsers,
                                const struct fsh_browser *browser);

/* Ends what has timed out, a bounded number of them; what is left is left for the next time. */
void fsh_browsers_sweep(struct fsh_browsers *browsers, int32_t now_s);

/* One line of the audit log. `client` and `why` may be NULL. */
void fsh_browser_audit(const char *event, const unsigned char hash[FSH_COOKIE_HASH],
                       const char *account, const struct fsh_client *client, const char *why);

/* A problem that always says when to come again, where time helps: gateways and pages ask for it.
 */
struct fsh_page *fsh_browser_problem(int status, const struct freshet_error *error);

/* With the cookie, or with NULL without it. */
struct fsh_page *fsh_browser_set_cookie(const struct fsh_browsers *browsers, struct fsh_page *page,
                                        const struct fsh_cookie *cookie);

/* Whether a request that changes something comes from a page of ours; else it is answered. */
bool fsh_browser_changes(struct fsh_keeper_request *request);

/* The members of the request's body, as json_unpack_ex takes them, and no others. NULL, and it is
 * answered; else the strings live as long as the value. */
json_t *fsh_browser_body(struct fsh_keeper_request *request, const char *format, ...);

/* ---- browser_label.c: what stands with a session in the store */

/* FRESHET_OK, and then `done` is called when it is durable; `done` may be NULL. */
int fsh_browser_save(struct fsh_browsers *browsers, struct fsh_browser *browser,
                     freshet_done_fn *done, void *data, struct freshet_error *error);
int fsh_browsers_load(struct fsh_browsers *browsers, struct freshet_error *error);

/* For the fuzzer and tests. Returns the length; `ret_label` has room for FSH_LABEL_MAX. */
size_t fsh_browser_label_write(const struct fsh_browser_about *about, int64_t wall_ms,
                               int32_t now_s, unsigned char *ret_label);

/* `ret_texts` is where the texts of `ret_about` then are. False: it is no label. */
bool fsh_browser_label_read(const unsigned char *label, size_t len, int64_t wall_ms, int32_t now_s,
                            char ret_texts[FSH_LABEL_MAX + 3], struct fsh_browser_about *ret_about);

/* ---- browser_end.c: sign-outs and timeouts */

/* Ends a session: its cookie is void when this returns, its rows are removed in the background. */
void fsh_browser_end(struct fsh_browsers *browsers, struct fsh_browser *browser);

/* A session that was never one: the sign-in was not granted, or nobody waits for it. */
void fsh_browser_abandon(struct fsh_browsers *browsers, struct freshet_session *session);

/* A row of the store that belongs to nothing. */
void fsh_browser_end_name(struct fsh_browsers *browsers, const char *name);

void fsh_browsers_forget_endings(struct fsh_browsers *browsers);

void fsh_browser_sign_out(struct fsh_keeper_request *request);
void fsh_browser_sign_out_everywhere(struct fsh_keeper_request *request);
void fsh_browser_end_one(struct fsh_keeper_request *request);

/* ---- browser_sign_in.c, and browser_attempt.c for the last two */

void fsh_browser_sign_in(struct fsh_keeper_request *request);
void fsh_browser_mfa(struct fsh_keeper_request *request);
void fsh_browser_new_password(struct fsh_keeper_request *request);
void fsh_browsers_sweep_attempts(struct fsh_browsers *browsers, int32_t now_s);
/* Sign-ins of the account that are in the air, or wait for an answer, bring up no session. */
void fsh_browsers_end_attempts(struct fsh_browsers *browsers, const char *account);
void fsh_browsers_forget_attempts(struct fsh_browsers *browsers);

/* ---- browser_self.c */

/* NULL without memory. */
json_t *fsh_browser_self_json(struct fsh_browsers *browsers, struct fsh_browser *browser);
void fsh_browser_self(struct fsh_keeper_request *request);
void fsh_browser_list(struct fsh_keeper_request *request);
void fsh_browser_choose_partner(struct fsh_keeper_request *request);

#endif
