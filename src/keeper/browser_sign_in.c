/* SPDX-License-Identifier: Apache-2.0 */

/* Signing a browser in: the requests, and what comes of them. */

#include "keeper/browser_attempt.h"

#include "base/error.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* ---- outcomes ---------------------------------------------------------------------------- */

static void answer(struct fsh_attempt *attempt, struct fsh_page *page)
{
    struct fsh_keeper_request *request = attempt->request;

    attempt->request = NULL;
    request->gone = NULL;
    fsh_request_answer(request, page);
}

/* The sign-in goes on: with a challenge, or with another answer to it. */
static void go_on(struct fsh_attempt *attempt, int status, const struct freshet_error *error)
{
    struct fsh_cookie cookie;

    fsh_attempt_challenge(attempt, &cookie);
    answer(attempt,
           fsh_browser_set_cookie(attempt->browsers, fsh_browser_problem(status, error), &cookie));
    sodium_memzero(&cookie, sizeof(cookie));
}

/* The browser has still the cookie of a session that goes on, and with it the means to end it. */
static bool has_session(const struct fsh_attempt *attempt)
{
    return attempt->since_s == 0 && attempt->replaces &&
           fsh_browsers_by_hash(attempt->browsers, attempt->replaced);
}

static void refuse(struct fsh_attempt *attempt, int status, const struct freshet_error *error)
{
    struct fsh_page *page = fsh_browser_problem(status, error);

    fsh_browser_audit("browser-sign-in-refused", NULL, attempt->account, &attempt->client,
                      freshet_status_name(status));
    if (!has_session(attempt))
        page = fsh_browser_set_cookie(attempt->browsers, page, NULL);
    answer(attempt, page);
    fsh_attempt_free(attempt);
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
            fsh_attempt_free(attempt);
        return;
    }
    before = attempt->replaces ? fsh_browsers_by_hash(browsers, attempt->replaced) : NULL;
    if (before)
        fsh_browser_end(browsers, before);
    fsh_browsers_displace(browsers, browser);
    fsh_browser_audit("browser-signed-in", browser->hash, attempt->account, &attempt->client, NULL);
    fsh_attempt_give_back(attempt);
    self = fsh_browser_self_json(browsers, browser);
    answer(attempt, fsh_browser_set_cookie(browsers, fsh_page_json(200, self), &attempt->cookie));
    fsh_attempt_free(attempt);
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

    /* Others may have taken the room since it began. */
    if (fsh_browsers_full(attempt->browsers, attempt->replaces ? attempt->replaced : NULL,
                          &error)) {
        refuse(attempt, FRESHET_ELIMIT, &error);
        return;
    }
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
    if (class == FRESHET_CLASS_RETRY)
        fsh_attempt_unjudged(attempt);
    if (!attempt->request) {
        fsh_attempt_free(attempt);
        return;
    }
    /* Sign-out wins (rule 10). */
    if (attempt->over) {
        refuse(attempt, FRESHET_ESIGNEDOUT, NULL);
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
    if (attempt->since_s != 0 && (class == FRESHET_CLASS_RETRY || status == FRESHET_ENOCHALLENGE))
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
    fsh_attempt_free(fsh_attempt_find(browsers, &cookie));
    fsh_cookie_hash(&cookie, attempt->replaced);
    attempt->replaces = true;
    sodium_memzero(&cookie, sizeof(cookie));
}

/* Looked at before the platform is asked, which may send an SMS. False: it is answered. */
static bool has_room(struct fsh_keeper_request *request, const struct fsh_client *client,
                     const char *username)
{
    struct fsh_browsers *browsers = request->keeper->browsers;
    unsigned char hash[FSH_COOKIE_HASH];
    struct freshet_error error = {0};
    struct fsh_cookie cookie;
    bool known = fsh_browsers_cookie(browsers, request, &cookie) == FSH_COOKIE_ONE;

    if (known)
        fsh_cookie_hash(&cookie, hash);
    sodium_memzero(&cookie, sizeof(cookie));
    if (!fsh_browsers_full(browsers, known ? hash : NULL, &error))
        return true;
    fsh_browser_audit("browser-sign-in-refused", NULL, username, client,
                      freshet_status_name(FRESHET_ELIMIT));
    fsh_request_answer(request, fsh_browser_problem(FRESHET_ELIMIT, &error));
    return false;
}

static void sign_in(struct fsh_keeper_request *request, const char *username, const char *password)
{
    struct fsh_browsers *browsers = request->keeper->browsers;
    struct fsh_attempt *attempt;
    struct freshet_error error = {0};
    struct fsh_client client;
    int status;

    fsh_client_read(request, &client);
    if (!has_room(request, &client, username) || !fsh_attempt_may(request, &client, username))
        return;
    attempt = fsh_attempt_new(browsers, username, &client, &error);
    if (!attempt) {
        fsh_request_answer(request, fsh_browser_problem(error.status, &error));
        return;
    }
    look_at_cookie(attempt, request);
    fsh_attempt_wait(attempt, request);
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
        attempt = fsh_attempt_find(browsers, &cookie);
    sodium_memzero(&cookie, sizeof(cookie));
    if (!attempt) {
        fsh_request_answer(request, fsh_browser_problem(FRESHET_ENOCHALLENGE, NULL));
        return NULL;
    }
    /* The limit is of who signs in, and of where the answer comes from. */
    if (!fsh_attempt_may_go_on(attempt, request))
        return NULL;
    fsh_attempt_unlist(attempt);
    fsh_attempt_wait(attempt, request);
    return attempt;
}

/* An answer that cannot be one costs no attempt and no cookie. True: it is answered. */
static bool is_empty(struct fsh_keeper_request *request, const char *text)
{
    if (text[0] != '\0' && strlen(text) <= FSH_CREDENTIAL_MAX)
        return false;
    fsh_request_answer(
        request, fsh_page_fail(FRESHET_EINVAL, "the answer has 1 to %d bytes", FSH_CREDENTIAL_MAX));
    return true;
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
    attempt = is_empty(request, code) ? NULL : take_attempt(request);
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
    attempt = is_empty(request, password) ? NULL : take_attempt(request);
    if (attempt)
        answered(attempt,
                 freshet_answer_new_password_async(attempt->session, password, 0,
                                                   request->keeper->queue, tried, attempt, NULL,
                                                   &error),
                 &error);
    json_decref(body);
}
