/* SPDX-License-Identifier: Apache-2.0 */
#include "core/mutant.h"
#include "engine/clock.h"
#include "kill.h"

#include <freshet/status.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANGS_S    60 /* a process that has not ended by then hangs */
#define TRIES      20
#define FLIGHT_MS  5000
#define EAGER_MS   40 /* for who expects to be told to come back */
#define LEDGER_MAX 64

struct worker {
    const struct kill_test *test;
    struct shared *shared;
    struct remains remains;
    struct freshet *freshet;
    struct freshet_session *session;
    int64_t since_ms; /* the calendar at the start */
    bool open;        /* the outcome of a refresh is not known, or was not when the last one died */
    bool spent;       /* ... and the platform has handled it */
    uint64_t sign_ins; /* of the handle, that are accounted for */
};

enum fsh_mutant fsh_core_mutant;

void worker_fail(struct shared *shared, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(shared->problem, sizeof(shared->problem), format, arguments);
    va_end(arguments);
    _exit(EXIT_FAILURE);
}

unsigned draw(struct shared *shared, unsigned count)
{
    shared->random = shared->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(shared->random >> 33) % count;
}

static void control(struct worker *worker, const char *path, const char *body)
{
    long status = devclient_send(&worker->test->server.dev, "POST", path, body, NULL, 0);

    if (status < 200 || status > 299)
        worker_fail(worker->shared, "the devserver says %ld to POST %s", status, path);
}

/* ---- what the program learns ------------------------------------------------------------- */

/* Set before what is told about: a kill in between must find it under way. */
static void begin(struct worker *worker, enum known what)
{
    worker->shared->begun = what;
}

static void told(struct worker *worker, enum known what)
{
    worker->shared->known = what;
    worker->shared->begun = KNOWN_NOTHING;
}

static bool noted(struct worker *worker, const char *name)
{
    struct freshet_ledger_entry entries[LEDGER_MAX];
    size_t count = 0;

    (void)freshet_explain(worker->session, entries, LEDGER_MAX, &count);
    for (size_t i = 0; i < count; i++)
        if (entries[i].at_ms >= worker->since_ms && strcmp(entries[i].name, name) == 0)
            return true;
    return false;
}

/* Rule 7: lost is only what may have been spent, when nobody may ask again. */
static void told_lost(struct worker *worker)
{
    struct shared *shared = worker->shared;

    if (shared->known != KNOWN_LOST && !worker->open && !shared->revoked)
        worker_fail(shared, "a rotation is reported lost, and nothing was under way");
    if (shared->known != KNOWN_LOST) {
        shared->losses++;
        shared->spent += worker->spent;
        if (!noted(worker, "lost_rotation") && !shared->revoked)
            worker_fail(shared, "a loss is not in the ledger");
    }
    told(worker, KNOWN_LOST);
    worker->open = false;
}

static void told_token(struct worker *worker, const struct freshet_freshness *fresh)
{
    struct shared *shared = worker->shared;

    if (fresh->generation < shared->generation)
        worker_fail(shared, "generation %llu was given out after %llu",
                    (unsigned long long)fresh->generation, (unsigned long long)shared->generation);
    if (shared->known == KNOWN_OUT)
        worker_fail(shared, "a token of a session that is signed out");
    shared->generation = fresh->generation;
}

/* ---- asking ------------------------------------------------------------------------------ */

/* What `freshet_ensure_fresh` comes to, when the clock is moved on by `step_ms` as often as it says
 * to come back. */
static int demand(struct worker *worker, int64_t timeout_ms, int64_t step_ms,
                  struct freshet_freshness *ret_fresh)
{
    struct freshet_demand patience = {.timeout_ms = timeout_ms};
    struct freshet_error error = {0};
    int status = FRESHET_EUNAVAILABLE;

    for (int tries = 0; tries < TRIES && status == FRESHET_EUNAVAILABLE; tries++) {
        if (tries > 0)
            clock_advance(step_ms);
        status = freshet_ensure_fresh(worker->session, &patience, ret_fresh, &error);
    }
    if (status == FRESHET_EUNAVAILABLE)
        worker_fail(worker->shared, "unavailable for ever: %s", error.message);
    return status;
}

/* A service that was live has signed in by itself: what it lost, it says. */
static void account_for_sign_in(struct worker *worker)
{
    struct shared *shared = worker->shared;

    if (shared->known == KNOWN_LIVE && !shared->revoked) {
        if (!noted(worker, "lost_rotation"))
            worker_fail(shared, "a live service signed in again, and no loss is in the ledger");
        if (!worker->open)
            worker_fail(shared, "a live service lost a rotation, and nothing was under way");
        shared->losses++;
        shared->spent += worker->spent;
    }
    shared->revoked = false;
    shared->sign_ins++;
}

/* A token that a refresh, or a service's own sign-in, has brought. */
static void got_token(struct worker *worker, const struct freshet_freshness *fresh)
{
    struct freshet_session_status status = {0};

    told_token(worker, fresh);
    if (fresh->generation == worker->remains.record.generation)
        return; /* what the cache had: it serves to its end */
    (void)freshet_session_status(worker->session, &status, NULL);
    if (status.sign_ins != worker->sign_ins)
        account_for_sign_in(worker);
    worker->sign_ins = status.sign_ins;
    worker->open = false;
    worker->spent = false;
    told(worker, KNOWN_LIVE);
}

static void sign_in(struct worker *worker)
{
    struct shared *shared = worker->shared;
    struct freshet_session_status after = {0};
    struct freshet_freshness fresh;
    struct freshet_error error = {0};
    int status;

    begin(worker, KNOWN_LIVE);
    status =
        freshet_sign_in(worker->session, worker->test->account, DEV_PASSWORD, FLIGHT_MS, &error);
    if (status != FRESHET_OK)
        worker_fail(shared, "a sign-in comes to %d: %s", status, error.message);
    told(worker, KNOWN_LIVE);
    shared->revoked = false;
    worker->open = false;
    shared->sign_ins++;
    if (demand(worker, FLIGHT_MS, 0, &fresh) != FRESHET_OK)
        worker_fail(shared, "signed in, and no token");
    told_token(worker, &fresh);
    (void)freshet_session_status(worker->session, &after, NULL);
    worker->sign_ins = after.sign_ins;
}

/* What the session may say of itself, by what the program knows. */
static void settle(struct worker *worker, int status, const struct freshet_freshness *fresh)
{
    struct shared *shared = worker->shared;
    bool out = shared->known == KNOWN_OUT || shared->known == KNOWN_NOTHING;

    if (status == FRESHET_OK)
        got_token(worker, fresh);
    else if (status == FRESHET_ELOSTROTATION)
        told_lost(worker);
    else if (status == FRESHET_EENDED && (shared->known == KNOWN_ENDED || shared->revoked))
        told(worker, KNOWN_ENDED);
    else if (!(status == FRESHET_ESIGNEDOUT && out) &&
             !(status == FRESHET_EHELD && shared->known == KNOWN_OUT))
        worker_fail(shared, "the session says %d, and the program knows %d", status, shared->known);
    if (status != FRESHET_OK)
        sign_in(worker);
}

/* ---- what a process does ----------------------------------------------------------------- */

static int give_password(void *data, char *ret_password, size_t size)
{
    (void)data;
    return snprintf(ret_password, size, "%s", DEV_PASSWORD) < (int)size ? 0 : -1;
}

void worker_open(const struct kill_test *test, struct freshet **ret_freshet,
                 struct freshet_session **ret_session)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet_session_options session = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_error error = {0};
    char secrets[128];
    char tokens[128];

    (void)snprintf(secrets, sizeof(secrets), "sqlite:%s", test->secrets);
    (void)snprintf(tokens, sizeof(tokens), "sqlite:%s", test->tokens);
    options.url = test->server.dev.url;
    options.profile = "partner-rotating";
    options.secrets = secrets;
    options.tokens = tokens;
    options.key_file = test->key_file;
    session.on_demand = true;
    if (test->service) {
        session.kind = FRESHET_SERVICE;
        session.username = test->account;
        session.password = give_password;
    }
    if (freshet_open(&options, ret_freshet, &error) != FRESHET_OK ||
        freshet_session_open(*ret_freshet, NAME, &session, ret_session, &error) != FRESHET_OK)
        worker_fail(test->shared, "it does not open: %s", error.message);
}

/* Time passes until the dead hold nothing back, unless the lease is to be met. */
static void outwait(struct worker *worker)
{
    const struct fsh_record *record = &worker->remains.record;
    int64_t wait = worker->remains.lease_left;
    int64_t pause = record->sign_in_at.ms - fsh_clock_wall().ms;

    if (worker->test->service && pause > wait)
        wait = pause;
    if (wait > 0)
        clock_advance(wait + 1);
}

static long attempts(const struct worker *worker)
{
    const struct devserver *server = &worker->test->server;

    return devserver_counter(server, "refresh_attempts") +
           devserver_counter(server, "sign_in_attempts");
}

/* Rule 1: while the lease of the dead is in force, nobody asks the platform. */
static void meet_lease(struct worker *worker)
{
    struct freshet_demand eager = {.timeout_ms = EAGER_MS};
    struct freshet_freshness fresh;
    long before = attempts(worker);
    int status = freshet_ensure_fresh(worker->session, &eager, &fresh, NULL);

    if (status == FRESHET_OK)
        told_token(worker, &fresh);
    if (status != FRESHET_EUNAVAILABLE || worker->remains.lease_left < 10 * SECOND)
        return;
    if (attempts(worker) != before)
        worker_fail(worker->shared, "the platform was asked under the lease of the dead");
    worker->shared->waited++;
}

static void refresh(struct worker *worker, bool lose)
{
    const struct script *script = &worker->shared->script;
    struct freshet_freshness fresh;
    int64_t step = lose && script->lose_grace ? GRACE + SECOND : 2 * SECOND;
    int status;

    clock_advance(LIFE);
    if (lose) {
        control(worker, "/_dev/faults",
                "{\"match\": \"/auth/refresh_token\", \"kind\": \"reset_after\"}");
        worker->open = true;
        worker->spent = true;
    }
    status = demand(worker, lose ? EAGER_MS : FLIGHT_MS, step, &fresh);
    settle(worker, status, &fresh);
    worker->shared->refreshes += status == FRESHET_OK;
}

static void sign_out(struct worker *worker)
{
    struct freshet_error error = {0};

    begin(worker, KNOWN_OUT);
    if (freshet_sign_out(worker->session, false, &error) != FRESHET_OK)
        worker_fail(worker->shared, "a sign-out comes to: %s", error.message);
    told(worker, KNOWN_OUT);
    worker->shared->revoked = false;
    worker->shared->sign_outs++;
}

static void be_ended(struct worker *worker)
{
    struct freshet_freshness fresh;
    char body[96];

    worker->shared->revoked = true;
    (void)snprintf(body, sizeof(body), "{\"username\": \"%s\"}", worker->test->account);
    control(worker, "/_dev/revoke", body);
    clock_advance(LIFE);
    begin(worker, KNOWN_ENDED);
    settle(worker, demand(worker, FLIGHT_MS, 31 * SECOND, &fresh), &fresh);
    worker->shared->ends++;
}

static void break_order(const char *broken)
{
    if (broken && strcmp(broken, "publish-before-commit") == 0)
        fsh_core_mutant = FSH_MUTANT_HASTY;
    else if (broken && strcmp(broken, "replay-for-ever") == 0)
        fsh_core_mutant = FSH_MUTANT_NO_GRACE;
}

void worker_run(const struct kill_test *test, int started)
{
    struct shared *shared = test->shared;
    const struct script *script = &shared->script;
    struct worker worker = {.test = test, .shared = shared};
    struct freshet_freshness fresh;

    (void)alarm(HANGS_S);
    remains_read(test, &worker.remains);
    remains_check(test, &worker.remains);
    guest_check(test);
    worker.open = worker.remains.open_for >= 0;
    worker.spent = worker.remains.superseded_for >= 0;
    worker.since_ms = fsh_clock_wall().ms;
    break_order(test->broken);
    faults_arm(shared, test->broken);
    (void)!write(started, "", 1);
    worker_open(test, &worker.freshet, &worker.session);
    if (script->look_early)
        meet_lease(&worker);
    outwait(&worker);
    settle(&worker, demand(&worker, FLIGHT_MS, 31 * SECOND, &fresh), &fresh);
    if (script->again)
        sign_in(&worker);
    for (unsigned i = 0; i < script->refreshes; i++)
        refresh(&worker, i == 0 && script->lose_answer);
    if (script->guest)
        guest_visit(test, worker.freshet);
    if (script->end)
        be_ended(&worker);
    if (script->sign_out)
        sign_out(&worker);
    freshet_close(worker.freshet);
    _exit(EXIT_SUCCESS);
}
