/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_lib.h"

#include "base/error.h"
#include "engine/ledger.h"
#include "keeper/loop.h"
#include "lib/ask.h"
#include "lib/internal.h"
#include "lib/labels.h"

#include <freshet/freshet.h>
#include <stdlib.h>
#include <string.h>

#define CALLS 1024

struct freshet_operation {
    freshet_done_fn *done;
    void *data;
    struct freshet_session *session; /* that has a token when it ends well; or NULL */
    bool signs_out;
    int status;
};

static struct freshet handle;
static struct fsh_policy policy = {.threshold_ms = 300000};
static struct fsh_ledger ledger;
static struct freshet_operation calls[CALLS];
static unsigned first;
static unsigned next;
static unsigned sessions;
static int outcome;

void fake_lib_begin(struct fsh_keeper *keeper)
{
    first = next = sessions = 0;
    outcome = FRESHET_OK;
    keeper->freshet = &handle;
    if (ledger.written == 0 && handle.threshold_ms == 0)
        fsh_engine_ledger_init(&ledger);
    handle.threshold_ms = policy.threshold_ms;
}

void fake_lib_outcome(unsigned char choice)
{
    static const int outcomes[] = {
        FRESHET_OK,           FRESHET_EMFA,           FRESHET_ENEWPASSWORD,    FRESHET_EMFACODE,
        FRESHET_ECREDENTIALS, FRESHET_EUNAVAILABLE,   FRESHET_ESTORE,          FRESHET_EENDED,
        FRESHET_ESUSPENDED,   FRESHET_ECHALLENGEOVER, FRESHET_ENOCHALLENGE,    FRESHET_EOUTCOME,
        FRESHET_ECLOSED,      FRESHET_ECANCELED,      FRESHET_EPASSWORDPOLICY, FRESHET_ENOMEM,
    };

    outcome = outcomes[choice % (sizeof(outcomes) / sizeof(outcomes[0]))];
}

static bool end(struct freshet_operation *call)
{
    static const struct freshet_freshness freshness = {1, 3000000, 3030000};
    struct freshet_operation own = *call;
    struct freshet_error error;

    if (!own.done)
        return false;
    call->done = NULL;
    if (own.status == FRESHET_OK && own.session)
        fsh_view_write(&own.session->engine.view, own.signs_out ? 0 : 1, fsh_clock_mono(), 3600000);
    if (own.status != FRESHET_OK)
        (void)fsh_base_fail(&error, own.status, NULL);
    if (own.status != FRESHET_OK)
        error.retry_after_ms = -1;
    own.done(own.data, own.status, own.status == FRESHET_OK ? &freshness : NULL,
             own.status == FRESHET_OK ? NULL : &error);
    return true;
}

bool fake_lib_end(bool oldest)
{
    while (first < next && !calls[first].done)
        first++;
    while (next > first && !calls[next - 1].done)
        next--;
    return first < next && end(oldest ? &calls[first] : &calls[next - 1]);
}

unsigned fake_lib_sessions(void)
{
    return sessions;
}

/* One more call; of a fuzzer's many the next ones are not taken. */
static int begin(struct freshet_session *session, bool signs_out, freshet_done_fn *done, void *data,
                 struct freshet_operation **ret_operation, struct freshet_error *error)
{
    if (next == CALLS)
        return fsh_base_fail(error, FRESHET_ELIMIT, NULL);
    calls[next] = (struct freshet_operation){done, data, session, signs_out, outcome};
    if (ret_operation)
        *ret_operation = &calls[next];
    next++;
    return FRESHET_OK;
}

/* ---- sessions ---------------------------------------------------------------------------- */

int freshet_session_open(struct freshet *freshet, const char *name,
                         const struct freshet_session_options *options,
                         struct freshet_session **ret_session, struct freshet_error *error)
{
    size_t len = strlen(name) + 1;
    struct freshet_session *session = calloc(1, sizeof(*session) + len);

    (void)options;
    if (!session)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    session->freshet = freshet;
    session->engine.policy = &policy;
    session->engine.name = memcpy((char *)(session + 1), name, len);
    sessions++;
    *ret_session = session;
    return FRESHET_OK;
}

/* Calls that it is in end as closed, and do not touch it. */
void freshet_session_close(struct freshet_session *session)
{
    if (!session)
        return;
    for (unsigned i = first; i < next; i++) {
        if (calls[i].done && calls[i].session == session) {
            calls[i].session = NULL;
            calls[i].status = FRESHET_ECLOSED;
        }
    }
    sessions--;
    free(session);
}

const char *freshet_session_name(const struct freshet_session *session)
{
    return session->engine.name;
}

int freshet_sign_in_async(struct freshet_session *session, const char *username,
                          const char *password, int64_t timeout_ms, struct freshet_queue *queue,
                          freshet_done_fn *done, void *data,
                          struct freshet_operation **ret_operation, struct freshet_error *error)
{
    (void)username;
    (void)password;
    (void)timeout_ms;
    (void)queue;
    return begin(session, false, done, data, ret_operation, error);
}

int freshet_answer_mfa_async(struct freshet_session *session, const char *code,
                             bool remember_device, int64_t timeout_ms, struct freshet_queue *queue,
                             freshet_done_fn *done, void *data,
                             struct freshet_operation **ret_operation, struct freshet_error *error)
{
    (void)remember_device;
    (void)timeout_ms;
    (void)queue;
    if (code[0] == '\0')
        return fsh_base_fail(error, FRESHET_EINVAL, NULL);
    return begin(session, false, done, data, ret_operation, error);
}

int freshet_answer_new_password_async(struct freshet_session *session, const char *new_password,
                                      int64_t timeout_ms, struct freshet_queue *queue,
                                      freshet_done_fn *done, void *data,
                                      struct freshet_operation **ret_operation,
                                      struct freshet_error *error)
{
    return freshet_answer_mfa_async(session, new_password, false, timeout_ms, queue, done, data,
                                    ret_operation, error);
}

int freshet_sign_out_async(struct freshet_session *session, bool hold, struct freshet_queue *queue,
                           freshet_done_fn *done, void *data,
                           struct freshet_operation **ret_operation, struct freshet_error *error)
{
    (void)hold;
    (void)queue;
    return begin(session, true, done, data, ret_operation, error);
}

int freshet_ensure_fresh_async(struct freshet_session *session, const struct freshet_demand *demand,
                               struct freshet_queue *queue, freshet_done_fn *done, void *data,
                               struct freshet_operation **ret_operation,
                               struct freshet_error *error)
{
    (void)demand;
    (void)queue;
    return begin(session, false, done, data, ret_operation, error);
}

void freshet_operation_cancel(struct freshet_operation *operation)
{
    operation->status = FRESHET_ECANCELED;
}

bool fsh_lib_at_hand(struct freshet_session *session, const struct freshet_demand *demand,
                     struct freshet_freshness *ret_freshness)
{
    struct fsh_freshness token;
    uint64_t generation;

    (void)demand;
    (void)ret_freshness;
    return fsh_engine_view(&session->engine, &generation, &token);
}

int freshet_headers_get(struct freshet_session *session, const char *partner,
                        const struct freshet_headers **ret_headers, struct freshet_error *error)
{
    static const struct freshet_header list[] = {{"Authorization", "Bearer x"},
                                                 {"X-Preferred-Partner-Id", "fd42"}};
    static const struct freshet_headers headers = {1, 2, list};

    if (!fsh_lib_at_hand(session, NULL, NULL))
        return fsh_base_fail(error, FRESHET_EUNAVAILABLE, NULL);
    if (partner && strcmp(partner, "fd42") != 0)
        return fsh_base_fail(error, FRESHET_EPARTNER, NULL);
    *ret_headers = &headers;
    return FRESHET_OK;
}

void freshet_headers_unref(const struct freshet_headers *headers)
{
    (void)headers;
}

int freshet_unauthorized(struct freshet_session *session, uint64_t generation)
{
    if (generation == 1)
        fsh_view_write(&session->engine.view, 0, fsh_clock_mono(), 0);
    return FRESHET_OK;
}

/* ---- the engine and the store ------------------------------------------------------------ */

struct fsh_engine *fsh_loop_engine(struct fsh_loop *loop)
{
    (void)loop;
    return NULL;
}

struct fsh_ledger *fsh_engine_ledger(struct fsh_engine *engine)
{
    (void)engine;
    return &ledger;
}

struct fsh_token *fsh_engine_token(struct fsh_session *session)
{
    (void)session;
    return NULL;
}

int fsh_lib_label_put(struct freshet *freshet, const char *name, const void *label, size_t len,
                      struct freshet_queue *queue, freshet_done_fn *done, void *data,
                      struct freshet_error *error)
{
    (void)freshet;
    (void)name;
    (void)label;
    (void)len;
    (void)queue;
    return done ? begin(NULL, false, done, data, NULL, error) : FRESHET_OK;
}

int fsh_lib_session_end(struct freshet *freshet, const char *name, struct freshet_queue *queue,
                        freshet_done_fn *done, void *data, struct freshet_error *error)
{
    (void)freshet;
    (void)name;
    (void)queue;
    return begin(NULL, false, done, data, NULL, error);
}

int fsh_lib_labels(struct freshet *freshet, const char *prefix,
                   int (*each)(void *data, const struct fsh_labeled *session), void *data,
                   struct freshet_error *error)
{
    (void)freshet;
    (void)prefix;
    (void)each;
    (void)data;
    (void)error;
    return FRESHET_OK;
}

/* ---- the configuration and the control API: there is nothing but [browser] --------------- */

const char *freshet_config_get(const struct freshet_config *config, const char *section,
                               const char *key)
{
    static const char *const keys[][2] = {{"origin", "https://app.example.com"},
                                          {"idle_timeout", "30min"},
                                          {"absolute_timeout", "12h"},
                                          {"sessions_per_account", "2"},
                                          {"sessions", "4"}};

    (void)config;
    (void)section;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcmp(keys[i][0], key) == 0)
            return keys[i][1];
    }
    return NULL;
}

struct fsh_entry *fsh_registry_find(struct fsh_registry *registry, const char *name)
{
    (void)registry;
    (void)name;
    return NULL;
}

struct fsh_entry *fsh_entry_ref(struct fsh_entry *entry)
{
    return entry;
}

void fsh_entry_unref(struct fsh_entry *entry)
{
    (void)entry;
}

unsigned fsh_grants_verbs(const struct fsh_grants *grants, const struct fsh_peer *peer)
{
    (void)grants;
    (void)peer;
    return 0;
}

void fsh_main_loop_alarm(struct fsh_main_loop *loop, struct fsh_alarm *alarm, int64_t in_ms)
{
    (void)loop;
    (void)alarm;
    (void)in_ms;
}

void fsh_main_loop_unset(struct fsh_main_loop *loop, struct fsh_alarm *alarm)
{
    (void)loop;
    (void)alarm;
}

const struct fsh_route fsh_control_routes[] = {{0}};
const struct fsh_route fsh_events_routes[] = {{0}};
const struct fsh_route fsh_health_routes[] = {{0}};
