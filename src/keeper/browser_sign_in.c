/* SPDX-License-Identifier: Apache-2.0 */

/* Signing a browser in. The session's own cookie is chosen at the beginning, since its key seals
 * what the store gets, but the browser has it only with the grant. Until then it has a cookie that
 * stands for the open challenge, and another one after each answer: whoever planted or overheard an
 * earlier one has nothing. */

#include "keeper/browser.h"

#include "base/error.h"
#include "base/post.h"
#include "engine/clock.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Challenges that wait for an answer: so many, and so long. */
#define CHALLENGED_MAX 4096
#define CHALLENGED_S   300

struct fsh_attempt {
    struct fsh_browsers *browsers;
    struct fsh_cookie cookie; /* of the session to be */
    struct freshet_session *session;
    struct fsh_keeper_request
        *request;                /* that waits for the outcome, or NULL: its client has gone */
    struct fsh_browser *browser; /* once it is granted, while its label is written */
    struct fsh_client client;
    char *account;
    unsigned taken; /* attempts that were counted, and are given back by a grant */
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

/* False: too many, and it is answered. */
static bool may_try(struct fsh_keeper_request *request, const struct fsh_client *client,
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
    fsh_request_answer(request, fsh_browser_page(fsh_browser_problem(FRESHET_ERATE, &error)));
    return false;
}

static void give_back(struct fsh_attempt *attempt, unsigned times)
{
    struct who who;

    who_tries(&attempt->client, attempt->account, &who);
    for (; times > 0; times--, attempt->taken--)
        fsh_limits_give_back(attempt->browsers->limits, who.list, who.count);
}

/* ---- an attempt -------------------------------------------------------------------------- */

static void attempt_gone(struct fsh_keeper_request *request)
{
    struct fsh_attempt *attempt = request->data;

    attempt->request = NULL;
}

static void wait_for(struct fsh_attempt *attempt, struct fsh_keeper_request *request)
{
    attempt->request = request;
    request->data = attempt;
    request->gone = attempt_gone;
}

static void unlist(struct fsh_attempt *attempt)
{
    if (!attempt->challenged)
        return;
    attempt->challenged = false;
    fsh_table_remove(&attempt->browsers->attempts, &attempt->node);
    TAILQ_REMOVE(&attempt->browsers->challenged, attempt, in_browsers);
}

/* Its session, if it is still its own, is nobody's. */
static void attempt_free(struct fsh_attempt *attempt)
{
    if (!attempt)
        return;
    unlist(attempt);
    if (attempt->session)
        fsh_browser_abandon(attempt->browsers, attempt->session);
    fsh_browser_unref(attempt->browser);
    sodium_memzero(&attempt->cookie, sizeof(attempt->cookie));
    free(attempt->account);
    free(attempt);
}

/* NULL, and `error` says why. */
static struct fsh_attempt *attempt_new(struct fsh_browsers *browsers, const char *account,
                                       const struct fsh_client *client, struct freshet_error *error)
{
    struct fsh_attempt *attempt = calloc(1, sizeof(*attempt));

    if (attempt) {
        attempt->browsers = browsers;
        attempt->client = *client;
        attempt->taken = 1;
        attempt->account = strdup(account);
    }
    if (!attempt || !attempt->account) {
        (void)fsh_base_fail(error, FRESHET_ENOMEM, NULL);
        attempt_free(attempt);
        return NULL;
    }
    fsh_cookie_random(&attempt->cookie);
    if (fsh_browsers_open(browsers, &attempt->cookie, &attempt->session, error) != FRESHET_OK) {
        attempt_free(attempt);
        return NULL;
    }
    return attempt;
}

static struct fsh_attempt *find_attempt(const struct fsh_browsers *browsers,
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

/* It waits for an answer, under a cookie that was never used before. */
static void challenge(struct fsh_attempt *attempt, struct fsh_cookie *ret_cookie)
{
    struct fsh_browsers *browsers = attempt->browsers;
    uint64_t place;

    if (browsers->attempts.count >= CHALLENGED_MAX)
        attempt_free(TAILQ_FIRST(&browsers->challenged));
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

        attempt_free(attempt);
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
        attempt_free(attempt);
        attempt = next;
    }
}

/* ---- outcomes ---------------------------------------------------------------------------- */

static void answer(struct fsh_attempt *attempt, struct fsh_page *page)
{
    struct fsh_keeper_request *request = attempt->request;

    attempt->request = NULL;
    request->gone = NULL;
    fsh_request_answer(request, fsh_browser_page(page));
}

/* The sign-in goes on: with a challenge, or with another answer to it. */
static void go_on(struct fsh_attempt *attempt, int status, const struct freshet_error *error)
{
    struct fsh_cookie cookie;

    challenge(attempt, &cookie);
    answer(attempt,
           fsh_browser_set_cookie(attempt->browsers, fsh_browser_problem(status, error), &cookie));
    sodium_memzero(&cookie, sizeof(cookie));
}

static void refuse(struct fsh_attempt *attempt, int status, const struct freshet_error *error)
{
    fsh_browser_audit("browser-sign-in-refused", NULL, attempt->account, &attempt->client,
                      freshet_status_name(status));
    answer(attempt,
           fsh_browser_set_cookie(attempt->browsers, fsh_browser_problem(status, error), NULL));
    attempt_free(attempt);
}

/* The label is in the store, so that a restart keeps the session: the browser gets its cookie. */
static void labeled(void *data, int status, const struct freshet_freshness *freshness,
                    const struct freshet_error *error)
{
    struct fsh_attempt *attempt = data;
    struct fsh_browsers *browsers = attempt->browsers;
    struct fsh_browser *browser = attempt->browser;
    struct fsh_browser *before;
    json_t *self;

    (void)freshness;
    /* Signed out everywhere meanwhile, or nobody waits for the cookie. */
    if (browser->over || !attempt->request || status != FRESHET_OK) {
        if (!browser->over)
            fsh_browser_end(browsers, browser);
        if (attempt->request)
            refuse(attempt, status == FRESHET_OK ? FRESHET_ESIGNEDOUT : status, error);
        else
            attempt_free(attempt);
        return;
    }
    before = attempt->replaces ? fsh_browsers_by_hash(browsers, attempt->replaced) : NULL;
    if (before)
        fsh_browser_end(browsers, before);
    fsh_browser_audit("browser-signed-in", browser->hash, attempt->account, &attempt->client, NULL);
    give_back(attempt, attempt->taken);
    self = fsh_browser_self_json(browsers, browser);
    answer(attempt, fsh_browser_set_cookie(browsers, fsh_page_json(200, self), &attempt->cookie));
    attempt_free(attempt);
}

static struct in6_addr binary(const char *address)
{
    struct in6_addr six = IN6ADDR_ANY_INIT;
    struct in_addr four;

    if (inet_pton(AF_INET, address, &four) == 1) {
        six.s6_addr[10] = six.s6_addr[11] = 0xff;
        memcpy(&six.s6_addr[12], &four, sizeof(four));
    } else if (inet_pton(AF_INET6, address, &six) != 1) {
        six = (struct in6_addr)IN6ADDR_ANY_INIT;
    }
    return six;
}

static void granted(struct fsh_attempt *attempt)
{
    const struct fsh_browser_about about = {
        .account = attempt->account,
        .agent = attempt->client.agent,
        .address = binary(attempt->client.address),
        .created_s = fsh_browsers_now(),
        .seen_s = fsh_browsers_now(),
    };
    unsigned char hash[FSH_COOKIE_HASH];
    struct freshet_error error = {0};
    int status;

    fsh_cookie_hash(&attempt->cookie, hash);
    status = fsh_browsers_add(attempt->browsers, hash, &about, &attempt->browser);
    if (status != FRESHET_OK) {
        (void)fsh_base_fail(&error, status, NULL);
        refuse(attempt, status, &error);
        return;
    }
    attempt->browser->references++;
    attempt->browser->session = attempt->session;
    attempt->session = NULL;
    status = fsh_browser_save(attempt->browsers, attempt->browser, labeled, attempt, &error);
    if (status != FRESHET_OK)
        labeled(attempt, status, NULL, &error);
}

static void tried(void *data, int status, const struct freshet_freshness *freshness,
                  const struct freshet_error *error)
{
    struct fsh_attempt *attempt = data;
    enum freshet_class class = freshet_status_class(status);

    (void)freshness;
    /* Not the account's fault: nobody has judged the attempt. */
    if (class == FRESHET_CLASS_RETRY && attempt->taken > 0)
        give_back(attempt, 1);
    if (!attempt->request) {
        attempt_free(attempt);
        return;
    }
    switch (status) {
    case FRESHET_OK:
        granted(attempt);
        return;
    case FRESHET_EMFA:
    case FRESHET_ENEWPASSWORD:
    case FRESHET_EMFACODE:
    case FRESHET_EPASSWORDPOLICY:
        go_on(attempt, status, error);
        return;
    default:
        break;
    }
    /* An answer that did not arrive may be given again. */
    if (attempt->since_s != 0 && (class == FRESHET_CLASS_RETRY || status == FRESHET_ENOCHALLENGE ||
                                  status == FRESHET_EINVAL))
        go_on(attempt, status, error);
    else
        refuse(attempt, status, error);
}

/* ---- requests ---------------------------------------------------------------------------- */

/* What the browser has already: a session, which this sign-in is to replace, or a challenge. */
static void look_at_cookie(struct fsh_attempt *attempt, const struct fsh_keeper_request *request)
{
    struct fsh_browsers *browsers = attempt->browsers;
    struct fsh_cookie cookie;

    if (fsh_browsers_cookie(browsers, request, &cookie) != FSH_COOKIE_ONE)
        return;
    attempt_free(find_attempt(browsers, &cookie));
    fsh_cookie_hash(&cookie, attempt->replaced);
    attempt->replaces = true;
    sodium_memzero(&cookie, sizeof(cookie));
}

static void sign_in(struct fsh_keeper_request *request, const char *username, const char *password)
{
    struct fsh_browsers *browsers = request->keeper->browsers;
    struct fsh_attempt *attempt;
    struct freshet_error error = {0};
    struct fsh_client client;
    int status;

    fsh_client_read(request, &client);
    if (!may_try(request, &client, username))
        return;
    attempt = attempt_new(browsers, username, &client, &error);
    if (!attempt) {
        fsh_request_answer(request, fsh_browser_page(fsh_browser_problem(error.status, &error)));
        return;
    }
    look_at_cookie(attempt, request);
    wait_for(attempt, request);
    status = freshet_sign_in_async(attempt->session, username, password, 0, browsers->keeper->queue,
                                   tried, attempt, NULL, &error);
    if (status != FRESHET_OK)
        refuse(attempt, status, &error);
}

void fsh_browser_sign_in(struct fsh_keeper_request *request)
{
    const char *username = NULL;
    const char *password = NULL;
    json_t *body;

    if (!fsh_browser_changes(request))
        return;
    body = fsh_browser_body(request, "{s:s, s:s}", "username", &username, "password", &password);
    if (!body)
        return;
    if (username[0] == '\0' || strlen(username) > FSH_BROWSER_ACCOUNT_MAX || password[0] == '\0')
        fsh_request_answer(request, fsh_page_fail(FRESHET_EINVAL,
                                                  "username: 1 to %d bytes; password: not empty",
                                                  FSH_BROWSER_ACCOUNT_MAX));
    else
        sign_in(request, username, password);
    json_decref(body);
}

/* The attempt whose challenge the request's cookie stands for, which nobody else can answer from
 * now on. NULL: it was answered. */
static struct fsh_attempt *take_attempt(struct fsh_keeper_request *request)
{
    struct fsh_browsers *browsers = request->keeper->browsers;
    struct fsh_attempt *attempt = NULL;
    struct fsh_cookie cookie;

    if (fsh_browsers_cookie(browsers, request, &cookie) == FSH_COOKIE_ONE)
        attempt = find_attempt(browsers, &cookie);
    sodium_memzero(&cookie, sizeof(cookie));
    if (!attempt) {
        fsh_request_answer(request,
                           fsh_browser_page(fsh_browser_problem(FRESHET_ENOCHALLENGE, NULL)));
        return NULL;
    }
    /* The limit is of who signs in, and of where the answer comes from. */
    fsh_client_read(request, &attempt->client);
    if (!may_try(request, &attempt->client, attempt->account))
        return NULL;
    attempt->taken++;
    unlist(attempt);
    wait_for(attempt, request);
    return attempt;
}

static void answered(struct fsh_attempt *attempt, int status, const struct freshet_error *error)
{
    if (status != FRESHET_OK)
        tried(attempt, status, NULL, error);
}

void fsh_browser_mfa(struct fsh_keeper_request *request)
{
    struct freshet_error error = {0};
    struct fsh_attempt *attempt;
    const char *code = NULL;
    int remember = 0;
    json_t *body;

    if (!fsh_browser_changes(request))
        return;
    body = fsh_browser_body(request, "{s:s, s?b}", "code", &code, "remember_device", &remember);
    if (!body)
        return;
    attempt = take_attempt(request);
    if (attempt)
        answered(attempt,
                 freshet_answer_mfa_async(attempt->session, code, remember, 0,
                                          request->keeper->queue, tried, attempt, NULL, &error),
                 &error);
    json_decref(body);
}

void fsh_browser_new_password(struct fsh_keeper_request *request)
{
    struct freshet_error error = {0};
    struct fsh_attempt *attempt;
    const char *password = NULL;
    json_t *body;

    if (!fsh_browser_changes(request))
        return;
    body = fsh_browser_body(request, "{s:s}", "new_password", &password);
    if (!body)
        return;
    attempt = take_attempt(request);
    if (attempt)
        answered(attempt,
                 freshet_answer_new_password_async(attempt->session, password, 0,
                                                   request->keeper->queue, tried, attempt, NULL,
                                                   &error),
                 &error);
    json_decref(body);
}
