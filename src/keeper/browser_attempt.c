/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/browser_attempt.h"

#include "base/error.h"
#include "base/post.h"
#include "engine/clock.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Challenges that wait for an answer: so many, and so long. */
#define CHALLENGED_MAX 4096
#define CHALLENGED_S   300

/* ---- limits ------------------------------------------------------------------------------ */

struct who {
    struct fsh_limited list[3];
    size_t count;
    char account[256];
};

static void who_tries(const struct fsh_client *client, const char *account, struct who *ret_who)
{
    size_t len = strnlen(account, sizeof(ret_who->account));

    /* Platforms differ in whether case counts; here it must not be a way to more attempts. */
    for (size_t i = 0; i < len; i++)
        ret_who->account[i] =
            (char)(account[i] >= 'A' && account[i] <= 'Z' ? account[i] + 32 : account[i]);
    ret_who->list[0] = (struct fsh_limited){FSH_LIMIT_ACCOUNT, 'n', ret_who->account, len};
    ret_who->count = 1;
    for (size_t i = 0; i < client->network_count; i++)
        ret_who->list[ret_who->count++] = (struct fsh_limited){
            FSH_LIMIT_ADDRESS, 'a', client->networks[i], strlen(client->networks[i])};
}

bool fsh_attempt_may(struct fsh_keeper_request *request, const struct fsh_client *client,
                     const char *account)
{
    struct fsh_browsers *browsers = request->keeper->browsers;
    struct freshet_error error;
    struct who who;
    int64_t wait_ms;

    who_tries(client, account, &who);
    wait_ms = fsh_limits_take(browsers->limits, who.list, who.count, fsh_clock_mono().ms);
    if (wait_ms == 0)
        return true;
    (void)fsh_base_fail(&error, FRESHET_ERATE,
                        "too many attempts to sign in with this account or from this address");
    error.retry_after_ms = wait_ms;
    fsh_browser_audit("browser-sign-in-limited", NULL, account, client, NULL);
    fsh_request_answer(request, fsh_browser_problem(FRESHET_ERATE, &error));
    return false;
}

static bool same_place(const struct fsh_client *a, const struct fsh_client *b)
{
    return a->network_count == b->network_count && strcmp(a->networks[0], b->networks[0]) == 0 &&
           strcmp(a->networks[1], b->networks[1]) == 0;
}

bool fsh_attempt_may_go_on(struct fsh_attempt *attempt, struct fsh_keeper_request *request)
{
    struct fsh_client client;

    fsh_client_read(request, &client);
    if (!fsh_attempt_may(request, &client, attempt->account))
        return false;
    /* What another place has paid is not given back to this one. */
    if (!same_place(&attempt->client, &client))
        attempt->taken_there = 0;
    attempt->client = client;
    attempt->taken++;
    attempt->taken_there++;
    return true;
}

void fsh_attempt_give_back(struct fsh_attempt *attempt)
{
    struct who who;

    who_tries(&attempt->client, attempt->account, &who);
    for (; attempt->taken > 0; attempt->taken--)
        fsh_limits_give_back(attempt->browsers->limits, who.list, 1);
    for (; attempt->taken_there > 0; attempt->taken_there--)
        fsh_limits_give_back(attempt->browsers->limits, who.list + 1, who.count - 1);
}

void fsh_attempt_unjudged(struct fsh_attempt *attempt)
{
    struct who who;

    if (attempt->taken == 0)
        return;
    who_tries(&attempt->client, attempt->account, &who);
    fsh_limits_give_back(attempt->browsers->limits, who.list, 1);
    attempt->taken--;
}

/* ---- an attempt -------------------------------------------------------------------------- */

static void attempt_gone(struct fsh_keeper_request *request)
{
    struct fsh_attempt *attempt = request->data;

    attempt->request = NULL;
}

void fsh_attempt_wait(struct fsh_attempt *attempt, struct fsh_keeper_request *request)
{
    attempt->request = request;
    request->data = attempt;
    request->gone = attempt_gone;
}

void fsh_attempt_unlist(struct fsh_attempt *attempt)
{
    if (!attempt->challenged)
        return;
    attempt->challenged = false;
    fsh_table_remove(&attempt->browsers->attempts, &attempt->node);
    TAILQ_REMOVE(&attempt->browsers->challenged, attempt, in_browsers);
}

void fsh_attempt_free(struct fsh_attempt *attempt)
{
    if (!attempt)
        return;
    fsh_attempt_unlist(attempt);
    TAILQ_REMOVE(&attempt->browsers->trying, attempt, in_trying);
    if (attempt->session)
        fsh_browser_abandon(attempt->browsers, attempt->session);
    fsh_browser_unref(attempt->browser);
    sodium_memzero(&attempt->cookie, sizeof(attempt->cookie));
    free(attempt->account);
    free(attempt);
}

struct fsh_attempt *fsh_attempt_new(struct fsh_browsers *browsers, const char *account,
                                    const struct fsh_client *client, struct freshet_error *error)
{
    struct fsh_attempt *attempt = calloc(1, sizeof(*attempt));

    if (attempt) {
        attempt->browsers = browsers;
        TAILQ_INSERT_TAIL(&browsers->trying, attempt, in_trying);
        attempt->client = *client;
        attempt->taken = attempt->taken_there = 1;
        attempt->account = strdup(account);
    }
    if (!attempt || !attempt->account) {
        (void)fsh_base_fail(error, FRESHET_ENOMEM, NULL);
        fsh_attempt_free(attempt);
        return NULL;
    }
    fsh_cookie_random(&attempt->cookie);
    if (fsh_browsers_open(browsers, &attempt->cookie, &attempt->session, error) != FRESHET_OK) {
        fsh_attempt_free(attempt);
        return NULL;
    }
    return attempt;
}

struct fsh_attempt *fsh_attempt_find(const struct fsh_browsers *browsers,
                                     const struct fsh_cookie *cookie)
{
    unsigned char hash[FSH_COOKIE_HASH];
    struct fsh_table_node *node;
    uint64_t place;

    fsh_cookie_hash(cookie, hash);
    memcpy(&place, hash, sizeof(place));
    for (node = fsh_table_first(&browsers->attempts, place); node; node = fsh_table_next(node)) {
        struct fsh_attempt *attempt = fsh_container_of(node, struct fsh_attempt, node);

        if (fsh_cookie_same(attempt->hash, hash))
            return attempt;
    }
    return NULL;
}

void fsh_attempt_challenge(struct fsh_attempt *attempt, struct fsh_cookie *ret_cookie)
{
    struct fsh_browsers *browsers = attempt->browsers;
    uint64_t place;

    if (browsers->attempts.count >= CHALLENGED_MAX) {
        struct fsh_attempt *oldest = TAILQ_FIRST(&browsers->challenged);

        fsh_browser_audit("browser-sign-in-refused", NULL, oldest->account, &oldest->client,
                          "too many open challenges");
        fsh_attempt_free(oldest);
    }
    fsh_cookie_random(ret_cookie);
    fsh_cookie_hash(ret_cookie, attempt->hash);
    memcpy(&place, attempt->hash, sizeof(place));
    attempt->since_s = fsh_browsers_now();
    attempt->challenged = true;
    fsh_table_add(&browsers->attempts, &attempt->node, place);
    TAILQ_INSERT_TAIL(&browsers->challenged, attempt, in_browsers);
}

void fsh_browsers_sweep_attempts(struct fsh_browsers *browsers, int32_t now_s)
{
    struct fsh_attempt *attempt = TAILQ_FIRST(&browsers->challenged);

    while (attempt && now_s - attempt->since_s >= CHALLENGED_S) {
        struct fsh_attempt *next = TAILQ_NEXT(attempt, in_browsers);

        fsh_attempt_free(attempt);
        attempt = next;
    }
}

void fsh_browsers_end_attempts(struct fsh_browsers *browsers, const char *account)
{
    struct fsh_attempt *attempt = TAILQ_FIRST(&browsers->trying);

    while (attempt) {
        struct fsh_attempt *next = TAILQ_NEXT(attempt, in_trying);

        if (strcmp(attempt->account, account) == 0) {
            attempt->over = true;
            /* Else it is freed when what is in the air lands. */
            if (attempt->challenged)
                fsh_attempt_free(attempt);
        }
        attempt = next;
    }
}

void fsh_browsers_forget_attempts(struct fsh_browsers *browsers)
{
    struct fsh_attempt *attempt = TAILQ_FIRST(&browsers->challenged);

    while (attempt) {
        struct fsh_attempt *next = TAILQ_NEXT(attempt, in_browsers);

        freshet_session_close(attempt->session);
        attempt->session = NULL;
        fsh_attempt_free(attempt);
        attempt = next;
    }
}
