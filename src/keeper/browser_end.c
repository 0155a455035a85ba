/* SPDX-License-Identifier: Apache-2.0 */

/* How browser sessions end: signed out by a page, timed out, or never granted. The entry goes at
 * once; the rows in the store go in the background, and are tried again while the store is away. */

#include "keeper/browser.h"

#include "base/error.h"
#include "base/post.h"
#include "lib/labels.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MS 5000

/* A page that waits until its sessions have ended. */
struct parting {
    struct fsh_browsers *browsers;
    struct fsh_keeper_request *request; /* NULL: the client has gone, or was answered */
    unsigned left;                      /* endings, and one while they are begun */
    bool own;                           /* its own session is among them: the cookie goes, too */
    struct freshet_error error;         /* of the last that failed */
};

struct fsh_ending {
    struct fsh_browsers *browsers;
    struct freshet_session *session; /* to be signed out and closed; or NULL */
    struct parting *parting;         /* or NULL */
    struct fsh_alarm retry;
    TAILQ_ENTRY(fsh_ending) in_browsers;
    char name[FSH_BROWSER_NAME];
};

/* ---- who waits --------------------------------------------------------------------------- */

static void parting_gone(struct fsh_keeper_request *request)
{
    struct parting *parting = request->data;

    parting->request = NULL;
}

static struct parting *parting_new(struct fsh_keeper_request *request)
{
    struct parting *parting = calloc(1, sizeof(*parting));

    if (!parting)
        return NULL;
    parting->browsers = request->keeper->browsers;
    parting->request = request;
    parting->left = 1;
    request->data = parting;
    request->gone = parting_gone;
    return parting;
}

static void parting_answer(struct parting *parting)
{
    struct fsh_page *page = parting->error.status != FRESHET_OK
                                ? fsh_browser_problem(parting->error.status, &parting->error)
                                : fsh_page_new(204, NULL, NULL, 0);

    if (parting->own)
        page = fsh_browser_set_cookie(parting->browsers, page, NULL);
    parting->request->gone = NULL;
    fsh_request_answer(parting->request, page);
}

static void parting_less(struct parting *parting, int status, const struct freshet_error *error)
{
    if (!parting)
        return;
    if (status != FRESHET_OK && error)
        parting->error = *error;
    else if (status != FRESHET_OK)
        (void)fsh_base_fail(&parting->error, status, NULL);
    if (--parting->left > 0)
        return;
    if (parting->request)
        parting_answer(parting);
    free(parting);
}

/* ---- an ending --------------------------------------------------------------------------- */

static void ending_free(struct fsh_ending *ending)
{
    TAILQ_REMOVE(&ending->browsers->endings, ending, in_browsers);
    if (ending->browsers->keeper->loop)
        fsh_main_loop_unset(ending->browsers->keeper->loop, &ending->retry);
    free(ending);
}

static void remove_rows(struct fsh_ending *ending);

static void retry(struct fsh_alarm *alarm)
{
    remove_rows(fsh_container_of(alarm, struct fsh_ending, retry));
}

static void removed(void *data, int status, const struct freshet_freshness *freshness,
                    const struct freshet_error *error)
{
    struct fsh_ending *ending = data;
    struct parting *parting = ending->parting;

    (void)freshness;
    ending->parting = NULL;
    parting_less(parting, status, error);
    if (status == FRESHET_OK || status == FRESHET_ECANCELED || status == FRESHET_ECLOSED ||
        !ending->browsers->keeper->loop)
        ending_free(ending);
    else
        fsh_main_loop_alarm(ending->browsers->keeper->loop, &ending->retry, RETRY_MS);
}

static void remove_rows(struct fsh_ending *ending)
{
    struct fsh_keeper *keeper = ending->browsers->keeper;
    struct freshet_error error = {0};
    int status =
        fsh_lib_session_end(keeper->freshet, ending->name, keeper->queue, removed, ending, &error);

    if (status != FRESHET_OK)
        removed(ending, status, NULL, &error);
}

static void signed_out(void *data, int status, const struct freshet_freshness *freshness,
                       const struct freshet_error *error)
{
    struct fsh_ending *ending = data;

    (void)freshness;
    freshet_session_close(ending->session);
    ending->session = NULL;
    /* The keeper is at its end: the session stays as it is in the store. */
    if (status == FRESHET_ECANCELED || status == FRESHET_ECLOSED)
        removed(ending, status, NULL, error);
    else
        remove_rows(ending);
}

static struct fsh_ending *ending_new(struct fsh_browsers *browsers, struct parting *parting)
{
    struct fsh_ending *ending = calloc(1, sizeof(*ending));

    if (!ending)
        return NULL;
    ending->browsers = browsers;
    ending->retry.ring = retry;
    ending->parting = parting;
    if (parting)
        parting->left++;
    TAILQ_INSERT_TAIL(&browsers->endings, ending, in_browsers);
    return ending;
}

/* Signs out by the engine what is open, so that a flight in the air loses (rule 10). */
static void begin(struct fsh_browsers *browsers, struct freshet_session *session, const char *name,
                  struct parting *parting)
{
    struct fsh_ending *ending = ending_new(browsers, parting);
    struct freshet_error error = {0};
    int status;

    if (!ending) {
        /* Void in this process; the store is told by the timeout after the next start. */
        freshet_session_close(session);
        if (parting)
            (void)fsh_base_fail(&parting->error, FRESHET_ENOMEM, NULL);
        return;
    }
    (void)strncpy(ending->name, name, sizeof(ending->name) - 1);
    ending->session = session;
    if (!session) {
        remove_rows(ending);
        return;
    }
    status = freshet_sign_out_async(session, false, browsers->keeper->queue, signed_out, ending,
                                    NULL, &error);
    if (status != FRESHET_OK)
        signed_out(ending, status, NULL, &error);
}

static void end(struct fsh_browsers *browsers, struct fsh_browser *browser, struct parting *parting)
{
    struct freshet_session *session = browser->session;
    char name[FSH_BROWSER_NAME];

    fsh_browser_name(browser->hash, name);
    browser->session = NULL;
    fsh_browsers_drop(browsers, browser);
    begin(browsers, session, name, parting);
}

void fsh_browser_end(struct fsh_browsers *browsers, struct fsh_browser *browser)
{
    end(browsers, browser, NULL);
}

void fsh_browser_abandon(struct fsh_browsers *browsers, struct freshet_session *session)
{
    char name[FSH_BROWSER_NAME] = "";

    (void)strncpy(name, freshet_session_name(session), sizeof(name) - 1);
    begin(browsers, session, name, NULL);
}

void fsh_browser_end_name(struct fsh_browsers *browsers, const char *name)
{
    begin(browsers, NULL, name, NULL);
}

void fsh_browsers_forget_endings(struct fsh_browsers *browsers)
{
    struct fsh_ending *ending = TAILQ_FIRST(&browsers->endings);

    while (ending) {
        struct fsh_ending *next = TAILQ_NEXT(ending, in_browsers);

        ending_free(ending);
        ending = next;
    }
}

/* ---- requests ---------------------------------------------------------------------------- */

/* The session that asks, for a request that ends one or more. NULL: it was answered. */
static struct fsh_browser *asker(struct fsh_keeper_request *request, struct parting **ret_parting)
{
    struct fsh_browsers *browsers = request->keeper->browsers;
    struct freshet_error error = {0};
    struct fsh_browser *browser = NULL;
    int status;

    if (!fsh_browser_changes(request))
        return NULL;
    status = fsh_browsers_find(browsers, request, &browser, &error);
    if (status == FRESHET_OK) {
        *ret_parting = parting_new(request);
        if (*ret_parting)
            return browser;
        fsh_browser_unref(browser);
        status = fsh_base_fail(&error, FRESHET_ENOMEM, NULL);
    }
    fsh_request_answer(request, fsh_browser_problem(status, &error));
    return NULL;
}

void fsh_browser_sign_out(struct fsh_keeper_request *request)
{
    struct parting *parting;
    struct fsh_browser *browser = asker(request, &parting);
    struct fsh_client client;

    if (!browser)
        return;
    fsh_client_read(request, &client);
    fsh_browser_audit("browser-signed-out", browser->hash, browser->account->text, &client, NULL);
    parting->own = true;
    end(parting->browsers, browser, parting);
    fsh_browser_unref(browser);
    parting_less(parting, FRESHET_OK, NULL);
}

void fsh_browser_sign_out_everywhere(struct fsh_keeper_request *request)
{
    struct parting *parting;
    struct fsh_browser *browser = asker(request, &parting);
    struct fsh_browser_word *account;
    struct fsh_client client;

    if (!browser)
        return;
    fsh_client_read(request, &client);
    fsh_browser_audit("browser-signed-out-everywhere", browser->hash, browser->account->text,
                      &client, NULL);
    parting->own = true;
    account = browser->account;
    account->references++;
    while (account->first)
        end(parting->browsers, account->first, parting);
    fsh_browsers_end_attempts(parting->browsers, account->text);
    fsh_browser_word_unref(parting->browsers, account);
    fsh_browser_unref(browser);
    parting_less(parting, FRESHET_OK, NULL);
}

void fsh_browser_end_one(struct fsh_keeper_request *request)
{
    struct parting *parting;
    struct fsh_browser *browser = asker(request, &parting);
    struct fsh_browser *other = NULL;
    unsigned char hash[FSH_COOKIE_HASH];
    struct fsh_client client;

    if (!browser)
        return;
    if (fsh_cookie_unshort(request->segments[0], hash))
        other = fsh_browsers_by_hash(parting->browsers, hash);
    /* Another account's is as good as none. */
    if (!other || other->account != browser->account) {
        (void)fsh_base_fail(&parting->error, FRESHET_ENOSESSION,
                            "the account has no session of that id");
    } else {
        fsh_client_read(request, &client);
        fsh_browser_audit("browser-session-ended", hash, browser->account->text, &client, NULL);
        parting->own = other == browser;
        end(parting->browsers, other, parting);
    }
    fsh_browser_unref(browser);
    parting_less(parting, FRESHET_OK, NULL);
}
