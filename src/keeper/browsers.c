/* SPDX-License-Identifier: Apache-2.0 */

/* All sessions of browsers: finding, adding, dropping, and their timeouts. */

#include "keeper/browser.h"

#include "base/error.h"
#include "base/post.h"
#include "config/value.h"
#include "engine/clock.h"
#include "keeper/log.h"

#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_MS     1000
#define SWEEP_AT_ONE 256
#define FULL_MS      60000

int32_t fsh_browsers_now(void)
{
    return (int32_t)(fsh_clock_mono().ms / 1000);
}

static struct fsh_browser *browser_of(struct fsh_table_node *node)
{
    return node ? fsh_container_of(node, struct fsh_browser, node) : NULL;
}

/* ---- words ------------------------------------------------------------------------------- */

static uint64_t word_hash(const struct fsh_browsers *browsers, const char *text)
{
    unsigned char out[crypto_shorthash_BYTES];
    uint64_t hash;

    (void)crypto_shorthash(out, (const unsigned char *)text, strlen(text), browsers->key);
    memcpy(&hash, out, sizeof(hash));
    return hash;
}

/* A reference to the word of that text, which is made when it is not there. */
static struct fsh_browser_word *word_ref(struct fsh_browsers *browsers, struct fsh_table *words,
                                         const char *text)
{
    uint64_t hash = word_hash(browsers, text);
    struct fsh_browser_word *word;
    size_t len = strlen(text) + 1;

    for (struct fsh_table_node *node = fsh_table_first(words, hash); node;
         node = fsh_table_next(node)) {
        word = fsh_container_of(node, struct fsh_browser_word, node);
        if (strcmp(word->text, text) == 0) {
            word->references++;
            return word;
        }
    }
    word = fsh_shelf_take(browsers->shelf, sizeof(*word) + len);
    if (!word)
        return NULL;
    memcpy(word->text, text, len);
    word->references = 1;
    fsh_table_add(words, &word->node, hash);
    return word;
}

static void word_unref(struct fsh_table *words, struct fsh_browser_word *word)
{
    if (!word || --word->references > 0)
        return;
    fsh_table_remove(words, &word->node);
    fsh_shelf_give(word);
}

void fsh_browser_word_unref(struct fsh_browsers *browsers, struct fsh_browser_word *account)
{
    word_unref(&browsers->accounts, account);
}

/* The sessions of an account are a list whose first knows its last: the longest unused is at hand
 * without a byte more. */
static void account_put(struct fsh_browser *browser)
{
    struct fsh_browser *first = browser->account->first;

    browser->next = first;
    browser->prev = first ? first->prev : browser;
    if (first)
        first->prev = browser;
    browser->account->first = browser;
}

static void account_take(struct fsh_browser *browser)
{
    struct fsh_browser *first = browser->account->first;

    if (browser->next)
        browser->next->prev = browser->prev;
    else
        first->prev = browser->prev;
    if (browser == first)
        browser->account->first = browser->next;
    else
        browser->prev->next = browser->next;
}

void fsh_browser_to_front(struct fsh_browser *browser)
{
    account_take(browser);
    account_put(browser);
}

/* ---- one of them ------------------------------------------------------------------------- */

void fsh_browser_name(const unsigned char hash[FSH_COOKIE_HASH], char ret_name[FSH_BROWSER_NAME])
{
    memcpy(ret_name, FSH_BROWSER_PREFIX, sizeof(FSH_BROWSER_PREFIX) - 1);
    fsh_cookie_short(hash, ret_name + sizeof(FSH_BROWSER_PREFIX) - 1);
}

int fsh_browsers_open(struct fsh_browsers *browsers, const struct fsh_cookie *cookie,
                      struct freshet_session **ret_session, struct freshet_error *error)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    unsigned char hash[FSH_COOKIE_HASH];
    char name[FSH_BROWSER_NAME];

    fsh_cookie_hash(cookie, hash);
    fsh_browser_name(hash, name);
    options.on_demand = true;
    options.first_party = browsers->first_party;
    options.session_key = cookie->key;
    return freshet_session_open(browsers->keeper->freshet, name, &options, ret_session, error);
}

static uint64_t place_of(const unsigned char hash[FSH_COOKIE_HASH])
{
    uint64_t place;

    memcpy(&place, hash, sizeof(place));
    return place;
}

struct fsh_browser *fsh_browsers_by_hash(const struct fsh_browsers *browsers,
                                         const unsigned char hash[FSH_COOKIE_HASH])
{
    struct fsh_table_node *node = fsh_table_first(&browsers->sessions, place_of(hash));

    for (; node; node = fsh_table_next(node)) {
        if (fsh_cookie_same(browser_of(node)->hash, hash))
            return browser_of(node);
    }
    return NULL;
}

static void browser_free(struct fsh_browser *browser)
{
    free(browser->partner);
    fsh_shelf_give(browser);
}

void fsh_browser_unref(struct fsh_browser *browser)
{
    if (!browser)
        return;
    browser->references--;
    if (browser->references == 0)
        browser_free(browser);
}

int fsh_browsers_add(struct fsh_browsers *browsers, const unsigned char hash[FSH_COOKIE_HASH],
                     const struct fsh_browser_about *about, struct fsh_browser **ret_browser)
{
    struct fsh_browser *browser = fsh_shelf_take(browsers->shelf, sizeof(*browser));

    if (!browser)
        return FRESHET_ENOMEM;
    browser->account = word_ref(browsers, &browsers->accounts, about->account);
    browser->agent = word_ref(browsers, &browsers->agents, about->agent);
    browser->partner = about->partner ? strdup(about->partner) : NULL;
    if (!browser->account || !browser->agent || (about->partner && !browser->partner)) {
        word_unref(&browsers->accounts, browser->account);
        word_unref(&browsers->agents, browser->agent);
        browser_free(browser);
        return FRESHET_ENOMEM;
    }
    memcpy(browser->hash, hash, FSH_COOKIE_HASH);
    browser->address = about->address;
    browser->created_s = about->created_s;
    browser->seen_s = browser->saved_s = about->seen_s;
    browser->references = 1;
    account_put(browser);
    TAILQ_INSERT_TAIL(&browsers->used, browser, in_used);
    fsh_table_add(&browsers->sessions, &browser->node, place_of(hash));
    *ret_browser = browser;
    return FRESHET_OK;
}

void fsh_browsers_drop(struct fsh_browsers *browsers, struct fsh_browser *browser)
{
    browser->over = true;
    fsh_table_remove(&browsers->sessions, &browser->node);
    TAILQ_REMOVE(&browsers->used, browser, in_used);
    account_take(browser);
    word_unref(&browsers->accounts, browser->account);
    word_unref(&browsers->agents, browser->agent);
    browser->account = browser->agent = NULL;
    fsh_browser_unref(browser);
}

/* ---- bounds ------------------------------------------------------------------------------ */

/* Above the bound of all, nobody is signed out for somebody else, as Tomcat and Keycloak's default
 * have it: it would take accounts by the thousand, and then let them sign out everyone, each of
 * whom may get an SMS to come back. Room comes by itself, as sessions time out. */
bool fsh_browsers_full(const struct fsh_browsers *browsers, const unsigned char *replaced,
                       struct freshet_error *error)
{
    size_t count = browsers->sessions.count;
    int64_t wait_ms;

    if (replaced && fsh_browsers_by_hash(browsers, replaced))
        count--;
    if (count < browsers->most)
        return false;
    wait_ms = fsh_browser_idle_ms(browsers, TAILQ_FIRST(&browsers->used));
    fsh_log(FSH_LOG_WARNING, "browser-sessions-full",
            FSH_LOG_NUMBER("sessions", browsers->sessions.count), NULL);
    (void)fsh_base_fail(error, FRESHET_ELIMIT,
                        "there are as many sessions as the keeper may have; try again later");
    error->retry_after_ms = wait_ms > FULL_MS ? FULL_MS : wait_ms;
    return true;
}

/* Above the bound of one account its own oldest goes (Keycloak: "terminate oldest session"): who
 * has lost a browser gets in all the same, and nobody but the account's owner loses one. Two at the
 * most, so that a bound that was lowered is reached at a bounded cost a sign-in. */
void fsh_browsers_displace(struct fsh_browsers *browsers, struct fsh_browser *browser)
{
    struct fsh_browser_word *account = browser->account;

    fsh_browser_to_front(browser);
    for (int i = 0; i < 2 && account->references > browsers->most_of_one; i++) {
        struct fsh_browser *last = account->first->prev;

        fsh_browser_audit("browser-session-ended", last->hash, account->text, NULL,
                          "too many sessions of the account");
        fsh_browser_end(browsers, last);
    }
}

/* ---- times ------------------------------------------------------------------------------- */

static int64_t left_ms(int32_t since_s, int32_t life_s)
{
    int64_t left = ((int64_t)since_s + life_s) * 1000 - fsh_clock_mono().ms;

    return left > 0 ? left : 0;
}

int64_t fsh_browser_idle_ms(const struct fsh_browsers *browsers, const struct fsh_browser *browser)
{
    return left_ms(browser->seen_s, browsers->idle_s);
}

int64_t fsh_browser_absolute_ms(const struct fsh_browsers *browsers,
                                const struct fsh_browser *browser)
{
    return left_ms(browser->created_s, browsers->absolute_s);
}

/* Why it has timed out, or NULL. */
static const char *timed_out(const struct fsh_browsers *browsers, const struct fsh_browser *browser,
                             int32_t now_s)
{
    /* Both are whole seconds that have begun: never too early. */
    if ((int64_t)now_s - browser->created_s > browsers->absolute_s)
        return "absolute timeout";
    return (int64_t)now_s - browser->seen_s > browsers->idle_s ? "idle timeout" : NULL;
}

static void time_out(struct fsh_browsers *browsers, struct fsh_browser *browser, const char *why)
{
    fsh_browser_audit("browser-timed-out", browser->hash, browser->account->text, NULL, why);
    fsh_browser_end(browsers, browser);
}

void fsh_browsers_sweep(struct fsh_browsers *browsers, int32_t now_s)
{
    struct fsh_browser *browser = TAILQ_FIRST(&browsers->used);

    /* Who is used is looked at when it is used; who is not stands at the beginning. */
    for (unsigned i = 0; browser && i < SWEEP_AT_ONE; i++) {
        struct fsh_browser *next = TAILQ_NEXT(browser, in_used);
        const char *why = timed_out(browsers, browser, now_s);

        if (!why)
            break;
        time_out(browsers, browser, why);
        browser = next;
    }
    fsh_browsers_sweep_attempts(browsers, now_s);
}

static void ring(struct fsh_alarm *alarm)
{
    struct fsh_browsers *browsers = fsh_container_of(alarm, struct fsh_browsers, sweep);

    fsh_browsers_sweep(browsers, fsh_browsers_now());
    fsh_main_loop_alarm(browsers->keeper->loop, alarm, SWEEP_MS);
}

/* ---- finding ----------------------------------------------------------------------------- */

enum fsh_cookie_found fsh_browsers_cookie(const struct fsh_browsers *browsers,
                                          const struct fsh_keeper_request *request,
                                          struct fsh_cookie *ret_cookie)
{
    bool several = false;
    const char *header = request->source->header(request, "Cookie", &several);

    return several ? FSH_COOKIE_BAD : fsh_cookie_read(&browsers->kind, header, ret_cookie);
}

/* It goes to the end of the queue, and the store is told once a minute at the most. */
void fsh_browsers_use(struct fsh_browsers *browsers, struct fsh_browser *browser)
{
    int32_t now_s = fsh_browsers_now();

    if (browser->dead || browser->seen_s == now_s)
        return;
    browser->seen_s = now_s;
    TAILQ_REMOVE(&browsers->used, browser, in_used);
    TAILQ_INSERT_TAIL(&browsers->used, browser, in_used);
    fsh_browser_to_front(browser);
    if (now_s - browser->saved_s >= 60)
        (void)fsh_browser_save(browsers, browser, NULL, NULL, NULL);
}

static int find(struct fsh_browsers *browsers, const struct fsh_cookie *cookie,
                struct fsh_browser **ret_browser, struct freshet_error *error)
{
    unsigned char hash[FSH_COOKIE_HASH];
    struct fsh_browser *browser;
    int32_t now_s = fsh_browsers_now();
    const char *why;
    int status;

    fsh_cookie_hash(cookie, hash);
    browser = fsh_browsers_by_hash(browsers, hash);
    if (!browser)
        return fsh_base_fail(error, FRESHET_ESIGNEDOUT, NULL);
    why = timed_out(browsers, browser, now_s);
    if (why) {
        time_out(browsers, browser, why);
        return fsh_base_fail(error, FRESHET_ESIGNEDOUT, "signed out: %s; sign in", why);
    }
    if (!browser->session) {
        status = fsh_browsers_open(browsers, cookie, &browser->session, error);
        if (status != FRESHET_OK)
            return status;
    }
    browser->references++;
    *ret_browser = browser;
    return FRESHET_OK;
}

int fsh_browsers_find(struct fsh_browsers *browsers, const struct fsh_keeper_request *request,
                      struct fsh_browser **ret_browser, struct freshet_error *error)
{
    struct fsh_cookie cookie;
    int status;

    if (!browsers || browsers->origin[0] == '\0' ||
        fsh_browsers_cookie(browsers, request, &cookie) != FSH_COOKIE_ONE)
        return fsh_base_fail(error, FRESHET_ESIGNEDOUT, NULL);
    status = find(browsers, &cookie, ret_browser, error);
    sodium_memzero(&cookie, sizeof(cookie));
    return status;
}

size_t fsh_browsers_count(const struct fsh_browsers *browsers)
{
    return browsers ? browsers->sessions.count : 0;
}

/* ---- all of them ------------------------------------------------------------------------- */

static int32_t seconds(const struct freshet_config *config, const char *key)
{
    const char *text = freshet_config_get(config, "browser", key);
    int64_t ms = text ? fsh_config_duration(text) : -1;

    /* No time of this clock is so far away that adding the two overflows. */
    if (ms < 0 || ms / 1000 > INT32_MAX / 2)
        return INT32_MAX / 2;
    return ms < 1000 ? 1 : (int32_t)(ms / 1000);
}

static unsigned number(const struct freshet_config *config, const char *key)
{
    const char *text = freshet_config_get(config, "browser", key);
    int64_t count = text ? fsh_config_number(text) : -1;

    return count < 0 ? UINT_MAX : (unsigned)count;
}

static int configure(struct fsh_browsers *browsers, const struct freshet_config *config)
{
    const char *origin = freshet_config_get(config, "browser", "origin");
    const char *first_party = freshet_config_get(config, "browser", "first_party");
    char *own;

    /* Without an origin nobody is served, until there is one again. */
    own = strdup(origin ? origin : "");
    if (!own)
        return FRESHET_ENOMEM;
    free(browsers->origin);
    browsers->origin = own;
    browsers->kind = fsh_cookie_kind(own);
    browsers->first_party = first_party && strcmp(first_party, "yes") == 0;
    browsers->idle_s = seconds(config, "idle_timeout");
    browsers->absolute_s = seconds(config, "absolute_timeout");
    browsers->most = number(config, "sessions");
    browsers->most_of_one = number(config, "sessions_per_account");
    return FRESHET_OK;
}

static int browsers_init(struct fsh_browsers *browsers, const struct freshet_config *config)
{
    TAILQ_INIT(&browsers->used);
    TAILQ_INIT(&browsers->trying);
    TAILQ_INIT(&browsers->challenged);
    TAILQ_INIT(&browsers->endings);
    randombytes_buf(browsers->key, sizeof(browsers->key));
    if (fsh_shelf_new(&browsers->shelf) != FRESHET_OK ||
        fsh_table_init(&browsers->sessions) != FRESHET_OK ||
        fsh_table_init(&browsers->accounts) != FRESHET_OK ||
        fsh_table_init(&browsers->agents) != FRESHET_OK ||
        fsh_table_init(&browsers->attempts) != FRESHET_OK ||
        fsh_limits_new(&browsers->limits) != FRESHET_OK)
        return FRESHET_ENOMEM;
    return configure(browsers, config);
}

int fsh_browsers_new(struct fsh_keeper *keeper, const struct freshet_config *config,
                     struct fsh_browsers **ret_browsers, struct freshet_error *error)
{
    struct fsh_browsers *browsers;
    int status;

    if (!freshet_config_get(config, "browser", "origin")) {
        *ret_browsers = NULL;
        return FRESHET_OK;
    }
    browsers = calloc(1, sizeof(*browsers));
    if (!browsers)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    browsers->keeper = keeper;
    browsers->sweep.ring = ring;
    status = browsers_init(browsers, config);
    status = status == FRESHET_OK ? fsh_browsers_load(browsers, error)
                                  : fsh_base_fail(error, status, NULL);
    if (status != FRESHET_OK) {
        fsh_browsers_free(browsers);
        return status;
    }
    if (keeper->loop)
        fsh_main_loop_alarm(keeper->loop, &browsers->sweep, SWEEP_MS);
    *ret_browsers = browsers;
    return FRESHET_OK;
}

int fsh_browsers_reload(struct fsh_keeper *keeper, const struct freshet_config *config,
                        struct freshet_error *error)
{
    if (!keeper->browsers)
        return fsh_browsers_new(keeper, config, &keeper->browsers, error);
    if (configure(keeper->browsers, config) != FRESHET_OK)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    return FRESHET_OK;
}

void fsh_browsers_free(struct fsh_browsers *browsers)
{
    struct fsh_browser *browser;

    if (!browsers)
        return;
    if (browsers->keeper->loop)
        fsh_main_loop_unset(browsers->keeper->loop, &browsers->sweep);
    fsh_browsers_forget_attempts(browsers);
    fsh_browsers_forget_endings(browsers);
    while ((browser = TAILQ_FIRST(&browsers->used)) != NULL) {
        freshet_session_close(browser->session);
        browser->session = NULL;
        fsh_browsers_drop(browsers, browser);
    }
    fsh_table_done(&browsers->sessions);
    fsh_table_done(&browsers->accounts);
    fsh_table_done(&browsers->agents);
    fsh_table_done(&browsers->attempts);
    fsh_limits_free(browsers->limits);
    fsh_shelf_free(browsers->shelf);
    free(browsers->origin);
    free(browsers);
}
