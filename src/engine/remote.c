/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/remote.h"

#include "base/error.h"
#include "engine/internal.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

bool fsh_remote_usable(const struct fsh_remote *remote, struct fsh_mono now)
{
    struct fsh_freshness token;

    return in_hand(remote, &token) && now.ms < token.usable_until.ms;
}

bool fsh_remote_satisfied(const struct fsh_remote *remote, struct fsh_mono now,
                          int64_t min_valid_ms)
{
    struct fsh_freshness token;

    return in_hand(remote, &token) && fsh_core_satisfies(&token, now, min_valid_ms);
}

/* ---- the ends of calls ------------------------------------------------------------------- */

void fsh_remote_refuse(struct fsh_call *call, const struct fsh_problem *problem)
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

void fsh_remote_succeed(struct fsh_call *call)
{
    call->status = FRESHET_OK;
    fsh_engine_hand_back(call);
}

void fsh_remote_release_granted(struct fsh_remote *remote)
{
    while (!TAILQ_EMPTY(&remote->granted))
        fsh_remote_succeed(TAILQ_FIRST(&remote->granted));
}

/* ---- what is due ------------------------------------------------------------------------- */

static struct fsh_remote_ask *ask_of(const struct fsh_remote *remote, const struct fsh_call *call)
{
    struct fsh_remote_ask *ask;

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
        fsh_remote_refuse(call, &problem);
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
        remote->retry_at = fsh_mono_add(now, FSH_REMOTE_RETRY_MS);
        fsh_remote_release_granted(remote);
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
            fsh_remote_refuse(call, &(struct fsh_problem){.status = status, .retry_after_ms = -1});
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
    at = fsh_mono_min(at, remote->report_at);
    if (at.ms != FSH_NEVER.ms)
        at = fsh_mono_max(at, remote->retry_at);
    if (unsent(remote))
        at = fsh_mono_min(at, remote->retry_at);
    if (session->closing)
        at = LIST_EMPTY(&remote->asks) ? (struct fsh_mono){INT64_MIN} : FSH_NEVER;
    fsh_base_heap_set(&session->engine->timers, &session->timer, at);
}

/* What was answered 401 again soon after the keeper had heard of it, which asks the platform no
 * more often. Nobody waits for the judgement, and who has another token by now has no complaint. */
static void report_again(struct fsh_remote *remote)
{
    const struct fsh_token *token = remote->session->token;

    remote->report_at = FSH_NEVER;
    if (token && token->generation == remote->delivered)
        remote->undelivered = remote->delivered;
}

/* Starts what is due. A report goes before any fetch, which then tells what became of it. */
void fsh_remote_advance(struct fsh_remote *remote)
{
    struct fsh_mono now = now_of(remote).mono;

    if (now.ms >= remote->report_at.ms)
        report_again(remote);
    if (!remote->session->closing && now.ms >= remote->retry_at.ms) {
        if (remote->undelivered && !remote->report &&
            fsh_remote_send_report(remote, remote->undelivered) != FRESHET_OK)
            remote->retry_at = fsh_mono_add(now, FSH_REMOTE_RETRY_MS);
        send_commands(remote);
        fetch(remote, now);
    }
    set_timer(remote);
}

/* ---- what other threads said ------------------------------------------------------------- */

/* Callers may go on with the token that they have, or wait for another. */
void fsh_remote_clear_report(struct fsh_remote *remote, uint64_t generation)
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

    /* What became of the report is being asked, or will be: until then nobody gets that token. */
    bool judging = remote->fetch && remote->fetch->judged;
    bool pending = judging || remote->look_at.ms != FSH_NEVER.ms;

    if (generation == 0)
        return;
    if (again && !judging)
        remote->report_at = fsh_mono_add(remote->delivered_at, FSH_PROBE_PAUSE_MS);
    if (!token || token->generation != generation || (again && !pending)) {
        fsh_remote_clear_report(remote, generation);
        return;
    }
    if (!known && !again)
        remote->undelivered = generation;
    /* Of a keeper that is away nobody waits for a judgement. */
    if (remote->away > 0 && !remote->report)
        fsh_remote_clear_report(remote, generation);
}

/* Something newer is wanted; who asked for it in vain waits out the pause. */
static void wish(struct fsh_remote *remote, struct fsh_mono now)
{
    struct fsh_mono at = remote->stale == 0 ? now : fsh_mono_max(now, remote->again_at);

    remote->next_at = fsh_mono_min(remote->next_at, at);
}

static void heed_poke(struct fsh_remote *remote)
{
    struct fsh_session *session = remote->session;

    if (atomic_load(&session->poked) != FSH_POKE_SAID)
        return;
    atomic_store(&session->poked, FSH_POKE_HEEDED);
    if (!remote->fetch)
        wish(remote, now_of(remote).mono);
}

void fsh_remote_heed(struct fsh_remote *remote)
{
    if (!remote->session->closing) {
        heed_report(remote);
        heed_poke(remote);
    }
    fsh_remote_advance(remote);
}

void fsh_remote_fire(struct fsh_remote *remote)
{
    fsh_remote_heed(remote);
}

/* ---- callers ----------------------------------------------------------------------------- */

/* Somebody waits: who is away is tried again soon. */
static void hurry(struct fsh_remote *remote, struct fsh_mono now)
{
    remote->retry_at = fsh_mono_min(remote->retry_at, fsh_mono_add(now, FSH_REMOTE_RETRY_MS));
}

static void ask(struct fsh_remote *remote, struct fsh_call *call)
{
    struct fsh_mono now = now_of(remote).mono;

    if (fsh_remote_satisfied(remote, now, call->min_valid_ms)) {
        fsh_remote_succeed(call);
        return;
    }
    if (call->deadline.ms > now.ms) {
        hurry(remote, now);
        fsh_engine_put_on(&remote->waiting, call);
        atomic_fetch_add_explicit(&remote->session->counters.waited, 1, memory_order_relaxed);
        return;
    }
    wish(remote, now);
    if (fsh_remote_usable(remote, now))
        fsh_remote_succeed(call);
    else
        fsh_remote_refuse(call, &remote->problem);
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
    fsh_remote_advance(remote);
}

void fsh_remote_call_forget(struct fsh_call *call)
{
    struct fsh_remote_ask *ask = ask_of(call->session->remote, call);

    /* What changes something goes on without its caller, as it does without a keeper. */
    if (ask && strcmp(ask->request.message.method, "GET") != 0)
        ask->call = NULL;
    else
        fsh_remote_ask_cancel(ask);
}

void fsh_remote_call_late(struct fsh_call *call)
{
    struct fsh_remote *remote = call->session->remote;
    bool ensure = call->list == &remote->waiting;
    const struct fsh_problem away = {.status = FRESHET_EUNAVAILABLE, .retry_after_ms = -1};

    if (call->list == &remote->commands)
        fsh_remote_call_forget(call);
    if (call->list == &remote->granted ||
        (ensure && fsh_remote_usable(remote, now_of(remote).mono)))
        fsh_remote_succeed(call);
    else
        fsh_remote_refuse(call, ensure || remote->away > 0 ? &remote->problem : &away);
    fsh_remote_advance(remote);
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
    remote->report_at = FSH_NEVER;
    remote->retry_at = (struct fsh_mono){INT64_MIN};
    remote->problem.retry_after_ms = -1;
    return remote;
}

void fsh_remote_begin(struct fsh_remote *remote)
{
    remote->look_at = now_of(remote).mono;
    fsh_remote_advance(remote);
}

static void cancel_all_but(struct fsh_remote *remote, const struct fsh_remote_ask *spared)
{
    struct fsh_remote_ask *ask = LIST_FIRST(&remote->asks);

    while (ask) {
        struct fsh_remote_ask *next = LIST_NEXT(ask, in_remote);

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
