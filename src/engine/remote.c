/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/remote.h"

#include "base/error.h"
#include "core/backoff.h"
#include "engine/internal.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_MS 50   /* while somebody waits for a keeper that is away; it doubles */
#define RETRY_LAST_MS  1000 /* ... up to this */
#define LOOK_MS        2000 /* after a 401 that a keeper took and that ended nothing yet */
#define SPREAD_MS      2000 /* within which the processes of a keeper fetch a new token */

/* ---- what is in hand --------------------------------------------------------------------- */

static struct fsh_now now_of(const struct fsh_remote *remote)
{
    return fsh_engine_now(remote->session->engine);
}

/* A token that was answered 401 is not in hand, until the keeper has judged that. */
static bool in_hand(const struct fsh_remote *remote, struct fsh_freshness *ret_token)
{
    uint64_t generation;

    return fsh_engine_view(remote->session, &generation, ret_token) &&
           atomic_load(&remote->session->reported) != generation;
}

static bool usable(const struct fsh_remote *remote, struct fsh_mono now)
{
    struct fsh_freshness token;

    return in_hand(remote, &token) && now.ms < token.usable_until.ms;
}

static bool satisfied(const struct fsh_remote *remote, struct fsh_mono now, int64_t min_valid_ms)
{
    struct fsh_freshness token;

    return in_hand(remote, &token) && fsh_core_satisfies(&token, now, min_valid_ms);
}

/* ---- the ends of calls ------------------------------------------------------------------- */

static void refuse(struct fsh_call *call, const struct fsh_problem *problem)
{
    int status = problem->status == FRESHET_OK ? FRESHET_EUNAVAILABLE : problem->status;

    if (problem->detail[0])
        (void)fsh_base_fail(&call->error, status, "%s", problem->detail);
    else
        (void)fsh_base_fail(&call->error, status, "session %s: %s", call->session->name,
                            freshet_status_text(status));
    call->status = status;
    call->error.retry_after_ms = problem->retry_after_ms;
    call->error.http_status = problem->platform_http;
    (void)snprintf(call->error.code, sizeof(call->error.code), "%s", problem->code);
    fsh_engine_hand_back(call);
}

static void succeed(struct fsh_call *call)
{
    call->status = FRESHET_OK;
    fsh_engine_hand_back(call);
}

static void release_granted(struct fsh_remote *remote)
{
    while (!TAILQ_EMPTY(&remote->granted))
        succeed(TAILQ_FIRST(&remote->granted));
}

/* ---- what is due ------------------------------------------------------------------------- */

static struct fsh_ask *ask_of(const struct fsh_remote *remote, const struct fsh_call *call)
{
    struct fsh_ask *ask;

    LIST_FOREACH (ask, &remote->asks, in_remote) {
        if (ask->call == call)
            break;
    }
    return ask;
}

static void refuse_all(struct fsh_calls *calls, int status)
{
    const struct fsh_problem problem = {.status = status, .retry_after_ms = -1};
    struct fsh_calls all = TAILQ_HEAD_INITIALIZER(all);
    struct fsh_call *call;

    TAILQ_CONCAT(&all, calls, in_list);
    TAILQ_FOREACH (call, &all, in_list)
        call->list = &all;
    while ((call = TAILQ_FIRST(&all)))
        refuse(call, &problem);
}

/* The soonest that does for somebody, for as long as anybody waits. */
static int fetch_for_callers(struct fsh_remote *remote)
{
    struct fsh_mono until = {INT64_MIN};
    int64_t least = INT64_MAX;
    const struct fsh_call *call;

    TAILQ_FOREACH (call, &remote->waiting, in_list) {
        until = fsh_mono_max(until, call->deadline);
        least = fsh_core_least(least, call->min_valid_ms);
    }
    return fsh_remote_send_fetch(remote, least, true, until);
}

/* Ahead of time: what is wanted is a token that has more left than the threshold. */
static int fetch_ahead(struct fsh_remote *remote, struct fsh_mono now)
{
    struct fsh_freshness token;
    int64_t threshold = 0;

    if (in_hand(remote, &token))
        threshold = fsh_mono_until(token.threshold_at, token.expires_at) + 1;
    return fsh_remote_send_fetch(remote, threshold, true, fsh_mono_add(now, FSH_EXCHANGE_MS));
}

static void fetch(struct fsh_remote *remote, struct fsh_mono now)
{
    bool looking = now.ms >= remote->look_at.ms || !TAILQ_EMPTY(&remote->granted);
    bool due = now.ms >= remote->next_at.ms;
    int status = FRESHET_OK;

    if (remote->fetch || remote->report)
        return;
    if (!TAILQ_EMPTY(&remote->waiting) && !looking)
        status = fetch_for_callers(remote);
    else if (looking)
        status = fsh_remote_send_fetch(remote, 0, false, now);
    else if (due)
        status = fetch_ahead(remote, now);
    if (remote->fetch) {
        uint64_t reported = atomic_load(&remote->session->reported);

        remote->fetch->judged =
            reported != 0 && reported == remote->delivered && !remote->undelivered;
        remote->fetch->confirms = remote->confirming;
    }
    if (looking && status == FRESHET_OK)
        remote->look_at = FSH_NEVER;
    else if (due && status == FRESHET_OK)
        remote->next_at = FSH_NEVER;
    if (status != FRESHET_OK) {
        remote->retry_at = fsh_mono_add(now, RETRY_LAST_MS);
        release_granted(remote);
        refuse_all(&remote->waiting, status);
    }
}

static void send_commands(struct fsh_remote *remote)
{
    struct fsh_call *call = TAILQ_FIRST(&remote->commands);

    while (call) {
        struct fsh_call *next = TAILQ_NEXT(call, in_list);
        int status = ask_of(remote, call) ? FRESHET_OK : fsh_remote_send_call(remote, call);

        if (status != FRESHET_OK)
            refuse(call, &(struct fsh_problem){.status = status, .retry_after_ms = -1});
        call = next;
    }
}

static bool unsent(const struct fsh_remote *remote)
{
    const struct fsh_call *call;

    TAILQ_FOREACH (call, &remote->commands, in_list) {
        if (!ask_of(remote, call))
            return true;
    }
    return (remote->undelivered && !remote->report) ||
           (!remote->fetch && !remote->report &&
            (!TAILQ_EMPTY(&remote->waiting) || !TAILQ_EMPTY(&remote->granted)));
}

static void set_timer(struct fsh_remote *remote)
{
    struct fsh_session *session = remote->session;
    struct fsh_mono at = FSH_NEVER;

    if (!remote->fetch && !remote->report)
        at = fsh_mono_min(remote->next_at, remote->look_at);
    if (at.ms != FSH_NEVER.ms)
        at = fsh_mono_max(at, remote->retry_at);
    if (unsent(remote))
        at = fsh_mono_min(at, remote->retry_at);
    if (session->closing)
        at = LIST_EMPTY(&remote->asks) ? (struct fsh_mono){INT64_MIN} : FSH_NEVER;
    fsh_base_heap_set(&session->engine->timers, &session->timer, at);
}

/* Starts what is due. A report goes before any fetch, which then tells what became of it. */
static void advance(struct fsh_remote *remote)
{
    struct fsh_mono now = now_of(remote).mono;

    if (!remote->session->closing && now.ms >= remote->retry_at.ms) {
        if (remote->undelivered && !remote->report &&
            fsh_remote_send_report(remote, remote->undelivered) != FRESHET_OK)
            remote->retry_at = fsh_mono_add(now, RETRY_LAST_MS);
        send_commands(remote);
        fetch(remote, now);
    }
    set_timer(remote);
}

/* ---- what other threads said ------------------------------------------------------------- */

/* Callers may go on with the token that they have, or wait for another. */
static void clear_report(struct fsh_remote *remote, uint64_t generation)
{
    uint_fast64_t expected = generation;

    (void)atomic_compare_exchange_strong(&remote->session->reported, &expected, 0);
}

/* One report in the air tells of them all, and the keeper probes no more often than that. */
static void heed_report(struct fsh_remote *remote)
{
    const struct fsh_token *token = remote->session->token;
    uint64_t generation = atomic_load(&remote->session->reported);
    struct fsh_mono now = now_of(remote).mono;
    bool again = generation == remote->delivered &&
                 fsh_mono_until(remote->delivered_at, now) < FSH_PROBE_PAUSE_MS;
    bool known = generation == remote->undelivered ||
                 (remote->report && remote->report->generation == generation);

    if (generation == 0)
        return;
    if (!token || token->generation != generation ||
        (again && !(remote->fetch && remote->fetch->judged))) {
        clear_report(remote, generation);
        return;
    }
    if (!known && !again)
        remote->undelivered = generation;
    /* Of a keeper that is away nobody waits for a judgement. */
    if (remote->away > 0 && !remote->report)
        clear_report(remote, generation);
}

static void heed_poke(struct fsh_remote *remote)
{
    struct fsh_session *session = remote->session;

    if (atomic_load(&session->poked) != FSH_POKE_SAID)
        return;
    atomic_store(&session->poked, FSH_POKE_HEEDED);
    if (remote->stale == 0 && !remote->fetch)
        remote->next_at = now_of(remote).mono;
}

void fsh_remote_heed(struct fsh_remote *remote)
{
    if (!remote->session->closing) {
        heed_report(remote);
        heed_poke(remote);
    }
    advance(remote);
}

void fsh_remote_fire(struct fsh_remote *remote)
{
    fsh_remote_heed(remote);
}

/* ---- callers ----------------------------------------------------------------------------- */

/* Somebody waits: who is away is tried again soon. */
static void hurry(struct fsh_remote *remote, struct fsh_mono now)
{
    remote->retry_at = fsh_mono_min(remote->retry_at, fsh_mono_add(now, RETRY_LAST_MS));
}

static void ask(struct fsh_remote *remote, struct fsh_call *call)
{
    struct fsh_mono now = now_of(remote).mono;

    if (satisfied(remote, now, call->min_valid_ms)) {
        succeed(call);
        return;
    }
    if (call->deadline.ms > now.ms) {
        hurry(remote, now);
        fsh_engine_put_on(&remote->waiting, call);
        atomic_fetch_add_explicit(&remote->session->counters.waited, 1, memory_order_relaxed);
        return;
    }
    if (remote->stale == 0)
        remote->next_at = fsh_mono_min(remote->next_at, now);
    if (usable(remote, now))
        succeed(call);
    else
        refuse(call, &remote->problem);
}

void fsh_remote_call(struct fsh_call *call)
{
    struct fsh_remote *remote = call->session->remote;

    heed_report(remote);
    heed_poke(remote);
    if (call->kind == FSH_CALL_ENSURE) {
        ask(remote, call);
    } else {
        hurry(remote, now_of(remote).mono);
        fsh_engine_put_on(&remote->commands, call);
    }
    advance(remote);
}

void fsh_remote_call_forget(struct fsh_call *call)
{
    fsh_remote_ask_cancel(ask_of(call->session->remote, call));
}

void fsh_remote_call_late(struct fsh_call *call)
{
    struct fsh_remote *remote = call->session->remote;
    bool ensure = call->list == &remote->waiting;
    const struct fsh_problem away = {.status = FRESHET_EUNAVAILABLE, .retry_after_ms = -1};

    fsh_remote_call_forget(call);
    if (call->list == &remote->granted || (ensure && usable(remote, now_of(remote).mono)))
        succeed(call);
    else
        refuse(call, ensure || remote->away > 0 ? &remote->problem : &away);
    advance(remote);
}

/* ---- tokens ------------------------------------------------------------------------------ */

/* The moment that the token's request was sent, as the keeper's age of it tells. The age is that of
 * the keeper's answering, which is not known: no later than it came, and than it was due. */
static struct fsh_mono sent_at(const struct fsh_ask *ask, struct fsh_mono now, int64_t age_ms)
{
    return fsh_mono_add(fsh_mono_min(now, ask->until), -age_ms);
}

/* The next fetch in the background: when the keeper will have refreshed, or at our own threshold,
 * if that comes first. */
static struct fsh_mono ahead(const struct fsh_remote *remote, const struct fsh_fetched *fetched,
                             struct fsh_now now)
{
    const struct fsh_token *token = fetched->token;
    struct fsh_freshness times =
        fsh_core_moments((struct fsh_mono){token->sent_at.ms}, token->lifetime_ms,
                         remote->session->policy->threshold_ms);
    struct fsh_mono at = times.threshold_at;
    int64_t spread = fsh_core_least(SPREAD_MS, token->lifetime_ms / 20) + 1;

    if (!remote->session->policy->background)
        return FSH_NEVER;
    if (fetched->refresh_in_ms >= 0)
        at = fsh_mono_min(at, fsh_mono_add(fsh_mono_add(now.mono, fetched->refresh_in_ms),
                                           (int64_t)(now.random % (uint64_t)spread)));
    return fsh_mono_max(at, fsh_mono_add(now.mono, spread));
}

/* A report of a token that is no longer in force is over, and the next is not to wait for it. */
static void forget_reports(struct fsh_remote *remote, uint64_t generation)
{
    uint64_t reported = atomic_load(&remote->session->reported);

    if (remote->undelivered != generation)
        remote->undelivered = 0;
    if (reported != 0 && reported != generation)
        clear_report(remote, reported);
}

static void publish(struct fsh_remote *remote, const struct fsh_ask *ask,
                    const struct fsh_fetched *fetched)
{
    struct fsh_session *session = remote->session;
    struct fsh_token *token = fetched->token;
    struct fsh_now now = now_of(remote);
    bool newer = !session->token || session->token->generation != token->generation;
    struct fsh_mono sent = sent_at(ask, now.mono, fetched->age_ms);

    token->sent_at = (struct fsh_stamp){sent.ms, session->engine->io.boot};
    remote->problem = (struct fsh_problem){.retry_after_ms = -1};
    remote->any = false;
    if (newer)
        remote->stale = 0;
    remote->next_at = ahead(remote, fetched, now);
    fsh_engine_put_in_force(session, token, sent, token->lifetime_ms);
    forget_reports(remote, token->generation);
    if (newer)
        fsh_engine_note(session, FSH_NOTE_ADOPTED, FRESHET_OK, (int64_t)token->generation);
}

static void withdraw(struct fsh_remote *remote)
{
    int status = remote->problem.status;
    bool signed_out = status == FRESHET_ESIGNEDOUT || status == FRESHET_EHELD;

    remote->next_at = FSH_NEVER;
    if (!remote->session->token)
        return;
    fsh_engine_put_in_force(remote->session, NULL, (struct fsh_mono){0}, 0);
    forget_reports(remote, 0);
    fsh_engine_note(remote->session, signed_out ? FSH_NOTE_SIGNED_OUT : FSH_NOTE_ENDED, status, 0);
}

/* Something newer was wanted, and is not to be had now. */
static void try_again_later(struct fsh_remote *remote, int64_t retry_after_ms)
{
    struct fsh_now now = now_of(remote);
    int64_t pause = fsh_core_backoff_ms(++remote->stale, now.random);

    if (!usable(remote, now.mono)) {
        fsh_engine_unheed(remote->session);
        remote->next_at = FSH_NEVER;
        return;
    }
    remote->next_at = fsh_mono_add(now.mono, fsh_core_most(pause, retry_after_ms));
}

/* ---- answers ----------------------------------------------------------------------------- */

/* The keeper itself did not answer, or is about to go. */
static bool away(const struct fsh_reply *reply, const struct fsh_problem *problem)
{
    return !reply->complete ||
           (reply->http_status >= 300 && reply->http_status != 304 &&
            (problem->status == FRESHET_ECLOSED || problem->status == FRESHET_ECANCELED));
}

static void note_away(struct fsh_remote *remote, const struct fsh_reply *reply)
{
    struct fsh_now now = now_of(remote);
    bool hurried = !TAILQ_EMPTY(&remote->waiting) || !TAILQ_EMPTY(&remote->commands);
    uint32_t doublings = remote->away < 5 ? remote->away : 5;
    int64_t pause = fsh_core_least((int64_t)RETRY_FIRST_MS << doublings, RETRY_LAST_MS);

    remote->away++;
    remote->any = true;
    if (!hurried)
        pause = fsh_core_most(pause, fsh_core_backoff_ms(remote->away, now.random));
    remote->retry_at = fsh_mono_add(now.mono, pause);
    remote->problem = (struct fsh_problem){
        .status = FRESHET_EUNAVAILABLE,
        .retry_after_ms = pause,
    };
    (void)snprintf(remote->problem.detail, sizeof(remote->problem.detail), "session %s: %s",
                   remote->session->name,
                   reply->failure ? reply->failure : "the keeper is about to end");
    if (remote->away == 1)
        fsh_engine_note(remote->session, FSH_NOTE_FAILED, FRESHET_EUNAVAILABLE, 0);
}

/* The keeper has nothing for this session, or not for us. */
static bool lasting(int status)
{
    enum freshet_class class = freshet_status_class(status);
    int http = freshet_status_http(status);

    return class == FRESHET_CLASS_ENDED || class == FRESHET_CLASS_CHALLENGE ||
           (class == FRESHET_CLASS_USAGE && (http == 403 || http == 404));
}

/* Whether the keeper has said what it has to say to a caller: it had as long as he has, or as long
 * as it is ever given and did not want to have it. */
static bool covered(const struct fsh_ask *ask, const struct fsh_call *call, struct fsh_mono now)
{
    return !ask->peek &&
           (call->deadline.ms <= ask->until.ms || (ask->longest && now.ms < ask->until.ms));
}

/* The fetch is over: tells those who waited for it. Who waits longer than the keeper was given, or
 * wants more left than it was asked for, goes on waiting. */
static void tell_waiting(struct fsh_remote *remote, const struct fsh_ask *ask, bool refused)
{
    struct fsh_mono now = now_of(remote).mono;
    bool in_use = usable(remote, now);
    struct fsh_call *call = TAILQ_FIRST(&remote->waiting);

    while (call) {
        struct fsh_call *next = TAILQ_NEXT(call, in_list);
        bool asked = !ask->peek && call->min_valid_ms <= ask->min_valid_ms;

        if (satisfied(remote, now, call->min_valid_ms) || (in_use && (asked || ask->confirms)))
            succeed(call);
        else if (refused && !in_use && covered(ask, call, now))
            refuse(call, &remote->problem);
        call = next;
    }
    if (!TAILQ_EMPTY(&remote->waiting) && !ask->peek)
        remote->retry_at = fsh_mono_add(now, 2 * (int64_t)RETRY_FIRST_MS);
}

static void refused_fetch(struct fsh_remote *remote, const struct fsh_ask *ask,
                          const struct fsh_problem *problem)
{
    struct fsh_mono now = now_of(remote).mono;

    if (!lasting(problem->status)) {
        if (!usable(remote, now))
            remote->problem = *problem;
        if (!ask->peek)
            try_again_later(remote, problem->retry_after_ms);
    } else if (ask->min_valid_ms > 0 && usable(remote, now)) {
        /* That there will be no newer one does not say that the one in hand is over. */
        remote->confirming = true;
        remote->look_at = now;
        try_again_later(remote, problem->retry_after_ms);
    } else {
        remote->problem = *problem;
        withdraw(remote);
    }
}

static void unchanged(struct fsh_remote *remote, const struct fsh_ask *ask)
{
    struct fsh_mono now = now_of(remote).mono;

    if (!usable(remote, now))
        remote->any = true;
    if (ask->judged)
        remote->look_at = fsh_mono_add(now, LOOK_MS);
    if (!ask->peek)
        try_again_later(remote, -1);
}

static void take_fetch(struct fsh_remote *remote, const struct fsh_ask *ask,
                       const struct fsh_reply *reply, const struct fsh_problem *problem)
{
    struct fsh_fetched fetched;
    struct fsh_problem bad = {.retry_after_ms = -1};

    if (reply->http_status == 304) {
        unchanged(remote, ask);
        return;
    }
    if (reply->http_status != 200) {
        refused_fetch(remote, ask, problem);
        return;
    }
    bad.status = fsh_remote_read_token(reply->body, reply->body_len, &fetched);
    if (bad.status == FRESHET_OK) {
        publish(remote, ask, &fetched);
        return;
    }
    (void)snprintf(bad.detail, sizeof(bad.detail), "session %s: the keeper's answer: %s",
                   remote->session->name, freshet_status_text(bad.status));
    refused_fetch(remote, ask, &bad);
}

static void fetch_answered(struct fsh_remote *remote, const struct fsh_ask *ask,
                           const struct fsh_reply *reply, const struct fsh_problem *problem)
{
    bool gone = away(reply, problem);
    uint64_t reported = atomic_load(&remote->session->reported);

    if (gone) {
        note_away(remote, reply);
        if (!ask->peek)
            try_again_later(remote, -1);
    }
    /* What was reported before it was asked is judged now. */
    if (ask->judged || gone)
        clear_report(remote, reported);
    if (!gone) {
        remote->away = 0;
        remote->confirming = false;
        take_fetch(remote, ask, reply, problem);
        if (!remote->confirming)
            tell_waiting(remote, ask, reply->http_status != 304);
    }
    release_granted(remote);
}

static void report_answered(struct fsh_remote *remote, const struct fsh_ask *ask,
                            const struct fsh_reply *reply, const struct fsh_problem *problem)
{
    struct fsh_mono now = now_of(remote).mono;

    if (away(reply, problem)) {
        note_away(remote, reply);
        clear_report(remote, ask->generation);
        return;
    }
    remote->away = 0;
    if (remote->undelivered == ask->generation)
        remote->undelivered = 0;
    remote->delivered = ask->generation;
    remote->delivered_at = now;
    if (reply->http_status >= 300)
        fsh_engine_note(remote->session, FSH_NOTE_FAILED, problem->status, 0);
    /* One that is in the air may have been answered before. */
    fsh_remote_ask_cancel(remote->fetch);
    remote->look_at = now;
}

/* ---- answers to commands ----------------------------------------------------------------- */

static int read_answer(struct fsh_call *call, const struct fsh_reply *reply)
{
    switch (call->kind) {
    case FSH_CALL_MFA_SETTINGS_GET:
        return fsh_remote_read_mfa(reply->body, reply->body_len, &call->mfa.enabled,
                                   call->mfa.preferred, sizeof(call->mfa.preferred));
    case FSH_CALL_TOTP_GET:
        return fsh_remote_read_totp(reply->body, reply->body_len, &call->mfa.qr_uri,
                                    &call->mfa.qr_secret);
    case FSH_CALL_STATUS:
    case FSH_CALL_EXPLAIN:
        return fsh_base_secret_copy(reply->body, reply->body_len, &call->answer);
    default:
        return FRESHET_OK;
    }
}

static bool brings_token(enum fsh_call_kind kind)
{
    return kind == FSH_CALL_SIGN_IN || kind == FSH_CALL_MFA || kind == FSH_CALL_NEW_PASSWORD;
}

static void command_done(struct fsh_remote *remote, struct fsh_call *call,
                         const struct fsh_reply *reply)
{
    int status = read_answer(call, reply);

    if (status != FRESHET_OK) {
        refuse(call, &(struct fsh_problem){.status = status, .retry_after_ms = -1});
        return;
    }
    if (brings_token(call->kind)) {
        TAILQ_REMOVE(&remote->commands, call, in_list);
        fsh_engine_put_on(&remote->granted, call);
        fsh_remote_ask_cancel(remote->fetch);
        return;
    }
    if (call->kind == FSH_CALL_SIGN_OUT) {
        fsh_remote_ask_cancel(remote->fetch);
        remote->problem = (struct fsh_problem){
            .status = call->in.hold ? FRESHET_EHELD : FRESHET_ESIGNEDOUT,
            .retry_after_ms = -1,
        };
        withdraw(remote);
    }
    succeed(call);
}

static void command_answered(struct fsh_remote *remote, struct fsh_call *call,
                             const struct fsh_reply *reply, const struct fsh_problem *problem)
{
    bool gone = away(reply, problem);

    if (gone) {
        note_away(remote, reply);
        if (!reply->sent || fsh_remote_repeatable(call->kind))
            return;
        refuse(call, &(struct fsh_problem){.status = FRESHET_EOUTCOME, .retry_after_ms = -1});
        return;
    }
    remote->away = 0;
    if (reply->http_status >= 300)
        refuse(call, problem);
    else
        command_done(remote, call, reply);
}

void fsh_remote_answered(struct fsh_request *request, const struct fsh_reply *reply)
{
    struct fsh_ask *ask = fsh_container_of(request, struct fsh_ask, request);
    struct fsh_remote *remote = ask->remote;
    struct fsh_problem problem = {.status = FRESHET_OK, .retry_after_ms = -1};
    struct fsh_ask copy = *ask;

    if (reply->complete && reply->http_status >= 300 && reply->http_status != 304)
        fsh_remote_read_problem(reply->http_status, reply->body, reply->body_len, &problem);
    /* What follows may forget what is in the air; this one is no longer. */
    fsh_remote_ask_free(ask);
    if (copy.kind == FSH_ASK_FETCH)
        fetch_answered(remote, &copy, reply, &problem);
    else if (copy.kind == FSH_ASK_REPORT)
        report_answered(remote, &copy, reply, &problem);
    else
        command_answered(remote, copy.call, reply, &problem);
    advance(remote);
}

/* ---- the beginning and the end ----------------------------------------------------------- */

struct fsh_remote *fsh_remote_new(struct fsh_session *session)
{
    struct fsh_remote *remote = calloc(1, sizeof(*remote));

    if (!remote)
        return NULL;
    remote->session = session;
    TAILQ_INIT(&remote->waiting);
    TAILQ_INIT(&remote->commands);
    TAILQ_INIT(&remote->granted);
    LIST_INIT(&remote->asks);
    remote->next_at = FSH_NEVER;
    remote->look_at = FSH_NEVER;
    remote->retry_at = (struct fsh_mono){INT64_MIN};
    remote->problem.retry_after_ms = -1;
    return remote;
}

void fsh_remote_begin(struct fsh_remote *remote)
{
    remote->look_at = now_of(remote).mono;
    advance(remote);
}

static void cancel_all_but(struct fsh_remote *remote, const struct fsh_ask *spared)
{
    struct fsh_ask *ask = LIST_FIRST(&remote->asks);

    while (ask) {
        struct fsh_ask *next = LIST_NEXT(ask, in_remote);

        if (ask != spared)
            fsh_remote_ask_cancel(ask);
        ask = next;
    }
}

void fsh_remote_close(struct fsh_remote *remote)
{
    struct fsh_calls *const lists[] = {&remote->waiting, &remote->commands, &remote->granted};

    heed_report(remote);
    cancel_all_but(remote, remote->report);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        fsh_engine_finish_all(lists[i], FRESHET_ECLOSED);
    if (remote->undelivered && !remote->report)
        (void)fsh_remote_send_report(remote, remote->undelivered);
}

bool fsh_remote_closed(const struct fsh_remote *remote)
{
    return LIST_EMPTY(&remote->asks);
}

void fsh_remote_abandon(struct fsh_remote *remote)
{
    cancel_all_but(remote, NULL);
    set_timer(remote);
}

void fsh_remote_free(struct fsh_remote *remote)
{
    cancel_all_but(remote, NULL);
    free(remote);
}
