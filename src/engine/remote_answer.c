/* SPDX-License-Identifier: Apache-2.0 */

/* What the keeper answered, and what becomes of it. */

#include "core/backoff.h"
#include "engine/internal.h"
#include "engine/remote.h"

#include <freshet/status.h>
#include <stdio.h>
#include <string.h>

#define RETRY_FIRST_MS 50   /* while somebody waits for a keeper that is away; it doubles */
#define LOOK_MS        2000 /* after a 401 that a keeper took and that ended nothing yet */
#define SPREAD_MS      2000 /* within which the processes of a keeper fetch a new token */

static struct fsh_now now_of(const struct fsh_remote *remote)
{
    return fsh_engine_now(remote->session->engine);
}

/* ---- tokens ------------------------------------------------------------------------------ */

/* The moment that the token's request was sent, as the keeper's age of it tells. The age is that of
 * the keeper's answering, which is not known: no later than it came, and than it was due. */
static struct fsh_mono sent_at(const struct fsh_remote_ask *ask, struct fsh_mono now,
                               int64_t age_ms)
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
        fsh_remote_clear_report(remote, reported);
}

static void publish(struct fsh_remote *remote, const struct fsh_remote_ask *ask,
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

/* There is no token, for the reason in remote->problem. */
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

/* Something newer was wanted, and is not to be had now. One that is refreshed only when used waits
 * for its next use. */
static void try_again_later(struct fsh_remote *remote, int64_t retry_after_ms)
{
    struct fsh_now now = now_of(remote);
    int64_t pause = fsh_core_backoff_ms(++remote->stale, now.random);

    remote->again_at = fsh_mono_add(now.mono, fsh_core_most(pause, retry_after_ms));
    if (remote->session->policy->background && fsh_remote_usable(remote, now.mono)) {
        remote->next_at = remote->again_at;
        return;
    }
    fsh_engine_unheed(remote->session);
    remote->next_at = FSH_NEVER;
}

/* ---- answers ----------------------------------------------------------------------------- */

/* The keeper itself did not answer, or is about to go. */
static bool away(const struct fsh_reply *reply, const struct fsh_problem *problem)
{
    return !reply->complete || (reply->http_status >= 300 && reply->http_status != 304 &&
                                problem->status == FRESHET_ECLOSED);
}

static void note_away(struct fsh_remote *remote, const struct fsh_reply *reply)
{
    struct fsh_now now = now_of(remote);
    bool hurried = !TAILQ_EMPTY(&remote->waiting) || !TAILQ_EMPTY(&remote->commands);
    uint32_t doublings = remote->away < 5 ? remote->away : 5;
    int64_t pause = fsh_core_least((int64_t)RETRY_FIRST_MS << doublings, FSH_REMOTE_RETRY_MS);

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
static bool covered(const struct fsh_remote_ask *ask, const struct fsh_call *call,
                    struct fsh_mono now)
{
    return !ask->peek &&
           (call->deadline.ms <= ask->until.ms || (ask->longest && now.ms < ask->until.ms));
}

/* The fetch is over: tells those who waited for it. Who waits longer than the keeper was given, or
 * wants more left than it was asked for, goes on waiting. */
static void tell_waiting(struct fsh_remote *remote, const struct fsh_remote_ask *ask, bool refused)
{
    struct fsh_mono now = now_of(remote).mono;
    bool in_use = fsh_remote_usable(remote, now);
    bool told = false;
    struct fsh_call *call = TAILQ_FIRST(&remote->waiting);

    while (call) {
        struct fsh_call *next = TAILQ_NEXT(call, in_list);
        bool asked = !ask->peek && call->min_valid_ms <= ask->min_valid_ms;
        bool ok = fsh_remote_satisfied(remote, now, call->min_valid_ms) ||
                  (in_use && (asked || ask->confirms));
        bool no = !ok && refused && !in_use && covered(ask, call, now);

        if (ok)
            fsh_remote_succeed(call);
        else if (no)
            fsh_remote_refuse(call, &remote->problem);
        told = told || ok || no;
        call = next;
    }
    /* When it did for nobody, the next would not either. */
    if (!told && !TAILQ_EMPTY(&remote->waiting) && !ask->peek)
        remote->retry_at = fsh_mono_add(now, 2 * (int64_t)RETRY_FIRST_MS);
}

static void refused_fetch(struct fsh_remote *remote, const struct fsh_remote_ask *ask,
                          const struct fsh_problem *problem)
{
    struct fsh_mono now = now_of(remote).mono;

    if (!lasting(problem->status)) {
        if (!fsh_remote_usable(remote, now))
            remote->problem = *problem;
        if (!ask->peek)
            try_again_later(remote, problem->retry_after_ms);
    } else if (ask->min_valid_ms > 0 && fsh_remote_usable(remote, now)) {
        /* That there will be no newer one does not say that the one in hand is over. */
        remote->confirming = true;
        remote->look_at = now;
        try_again_later(remote, problem->retry_after_ms);
    } else {
        remote->problem = *problem;
        withdraw(remote);
    }
}

static void unchanged(struct fsh_remote *remote, const struct fsh_remote_ask *ask)
{
    struct fsh_mono now = now_of(remote).mono;

    if (!fsh_remote_usable(remote, now))
        remote->any = true;
    if (ask->judged)
        remote->look_at = fsh_mono_add(now, LOOK_MS);
    if (!ask->peek)
        try_again_later(remote, -1);
}

/* A session that nobody has signed in is none to the keeper. Here it was opened by its name, and to
 * those who hold it, it is signed out. */
static void not_signed_in(const struct fsh_remote *remote, struct fsh_problem *problem)
{
    if (problem->status != FRESHET_ENOSESSION)
        return;
    problem->status = FRESHET_ESIGNEDOUT;
    (void)snprintf(problem->detail, sizeof(problem->detail),
                   "session %s: the keeper has no session of that name; sign in",
                   remote->session->name);
}

/* Rule 13: a keeper of another platform than this handle's, which it may have become since the
 * last answer. Its token goes nowhere, and the one in hand goes no further either: a 401 to it
 * would be told a keeper that does not know it. */
static void not_ours(struct fsh_remote *remote, const char *why)
{
    remote->problem = (struct fsh_problem){.status = FRESHET_ECONFIG, .retry_after_ms = -1};
    (void)snprintf(remote->problem.detail, sizeof(remote->problem.detail), "%s", why);
    withdraw(remote);
    while (!TAILQ_EMPTY(&remote->granted))
        fsh_remote_refuse(TAILQ_FIRST(&remote->granted), &remote->problem);
}

/* Rule 3: generations never restart, so an earlier one than that in hand is no news. Of a keeper
 * that may have lost its store, and when nothing usable is in hand, whatever there is does. */
static bool outdated(const struct fsh_remote *remote, const struct fsh_token *token)
{
    const struct fsh_token *held = remote->session->token;

    return held && token->generation < held->generation && !remote->any &&
           fsh_remote_usable(remote, now_of(remote).mono);
}

static int take_token(struct fsh_remote *remote, const struct fsh_remote_ask *ask,
                      const struct fsh_reply *reply)
{
    struct fsh_fetched fetched;
    struct freshet_error error;
    int status = fsh_remote_read_token(reply->body, reply->body_len, &fetched);

    if (status != FRESHET_OK)
        return status;
    status = fsh_remote_same_platform(remote->session->engine->options.keeper, &fetched.platform,
                                      &error);
    fsh_remote_platform_done(&fetched.platform);
    if (status == FRESHET_OK && !outdated(remote, fetched.token)) {
        publish(remote, ask, &fetched);
    } else {
        fsh_token_unref(fetched.token);
        if (status == FRESHET_OK)
            unchanged(remote, ask);
    }
    if (status != FRESHET_ECONFIG)
        return status;
    not_ours(remote, error.message);
    return FRESHET_OK;
}

static void take_fetch(struct fsh_remote *remote, const struct fsh_remote_ask *ask,
                       const struct fsh_reply *reply, const struct fsh_problem *problem)
{
    struct fsh_problem bad = {.retry_after_ms = -1};

    if (reply->http_status == 304) {
        unchanged(remote, ask);
        return;
    }
    if (reply->http_status != 200) {
        refused_fetch(remote, ask, problem);
        return;
    }
    bad.status = take_token(remote, ask, reply);
    if (bad.status == FRESHET_OK)
        return;
    (void)snprintf(bad.detail, sizeof(bad.detail), "session %s: the keeper's answer: %s",
                   remote->session->name, freshet_status_text(bad.status));
    refused_fetch(remote, ask, &bad);
}

static void fetch_answered(struct fsh_remote *remote, const struct fsh_remote_ask *ask,
                           const struct fsh_reply *reply, struct fsh_problem *problem)
{
    bool gone = away(reply, problem);
    uint64_t reported = atomic_load(&remote->session->reported);
    bool judged = ask->judged || gone;

    if (gone) {
        note_away(remote, reply);
        if (!ask->peek)
            try_again_later(remote, -1);
    }
    /* What was reported before this was asked is judged now: as harmless, */
    if (judged && (gone || reply->http_status == 304))
        fsh_remote_clear_report(remote, reported);
    if (!gone) {
        remote->away = 0;
        remote->confirming = false;
        not_signed_in(remote, problem);
        take_fetch(remote, ask, reply, problem);
        /* or else when what it led to can be seen (see freshet_ensure_fresh). A keeper that has
         * nothing at hand for now has judged nothing. */
        if (judged && (problem->status == FRESHET_OK || lasting(problem->status)))
            fsh_remote_clear_report(remote, reported);
        else if (judged && reported != 0)
            remote->look_at =
                fsh_mono_add(fsh_engine_now(remote->session->engine).mono, FSH_REMOTE_RETRY_MS);
        if (!remote->confirming)
            tell_waiting(remote, ask, reply->http_status != 304);
    }
    fsh_remote_release_granted(remote);
}

static void report_answered(struct fsh_remote *remote, const struct fsh_remote_ask *ask,
                            const struct fsh_reply *reply, const struct fsh_problem *problem)
{
    struct fsh_mono now = now_of(remote).mono;

    if (away(reply, problem)) {
        note_away(remote, reply);
        fsh_remote_clear_report(remote, ask->generation);
        return;
    }
    remote->away = 0;
    if (remote->undelivered == ask->generation)
        remote->undelivered = 0;
    remote->delivered = ask->generation;
    remote->delivered_at = now;
    if (reply->http_status >= 300)
        fsh_engine_note(remote->session, FSH_NOTE_FAILED, problem->status, 0);
    /* One that is in the air may have been answered before; what it wanted is wanted still. */
    if (remote->fetch && !remote->fetch->peek)
        remote->next_at = fsh_mono_min(remote->next_at, now);
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

static void signed_out(struct fsh_remote *remote, const struct fsh_call *call)
{
    fsh_remote_ask_cancel(remote->fetch);
    remote->problem = (struct fsh_problem){
        .status = call->in.hold ? FRESHET_EHELD : FRESHET_ESIGNEDOUT,
        .retry_after_ms = -1,
    };
    withdraw(remote);
}

static void command_done(struct fsh_remote *remote, struct fsh_call *call,
                         const struct fsh_reply *reply)
{
    int status = read_answer(call, reply);

    if (status != FRESHET_OK) {
        fsh_remote_refuse(call, &(struct fsh_problem){.status = status, .retry_after_ms = -1});
        return;
    }
    if (brings_token(call->kind)) {
        fsh_engine_note(remote->session, FSH_NOTE_SIGNED_IN, FRESHET_OK, 0);
        TAILQ_REMOVE(&remote->commands, call, in_list);
        fsh_engine_put_on(&remote->granted, call);
        remote->any = true; /* what was signed in is wanted, not what was before */
        fsh_remote_ask_cancel(remote->fetch);
        return;
    }
    if (call->kind == FSH_CALL_SIGN_OUT)
        signed_out(remote, call);
    fsh_remote_succeed(call);
}

/* The same for the other calls. False: it is not the case, or not for this call to tell. */
static bool told_nobody_signed_in(struct fsh_remote *remote, struct fsh_call *call,
                                  struct fsh_problem *problem)
{
    static const char *const nothing[FSH_CALL_KINDS] = {
        [FSH_CALL_STATUS] = "{\"phase\":\"none\",\"status\":\"FRESHET_ESIGNEDOUT\"}",
        [FSH_CALL_EXPLAIN] = "{\"entries\":[]}",
    };
    struct fsh_reply reply = {.complete = true, .http_status = 200, .body = nothing[call->kind]};

    if (problem->status != FRESHET_ENOSESSION || call->kind == FSH_CALL_SIGN_IN)
        return false;
    not_signed_in(remote, problem);
    if (call->kind == FSH_CALL_MFA || call->kind == FSH_CALL_NEW_PASSWORD)
        problem->status = FRESHET_ENOCHALLENGE;
    if (reply.body)
        reply.body_len = strlen(reply.body);
    if (reply.body || call->kind == FSH_CALL_SIGN_OUT)
        command_done(remote, call, &reply);
    else
        fsh_remote_refuse(call, problem);
    return true;
}

static void command_answered(struct fsh_remote *remote, struct fsh_call *call,
                             const struct fsh_reply *reply, struct fsh_problem *problem)
{
    bool gone = away(reply, problem);

    if (gone) {
        note_away(remote, reply);
        if (!reply->sent || fsh_remote_repeatable(call->kind))
            return;
        fsh_remote_refuse(call,
                          &(struct fsh_problem){.status = FRESHET_EOUTCOME, .retry_after_ms = -1});
        return;
    }
    remote->away = 0;
    if (told_nobody_signed_in(remote, call, problem))
        return;
    /* It counts at once, as it does without a keeper; its store is still to hear of it. */
    if (call->kind == FSH_CALL_SIGN_OUT && problem->status == FRESHET_ESTORE)
        signed_out(remote, call);
    if (reply->http_status >= 300)
        fsh_remote_refuse(call, problem);
    else
        command_done(remote, call, reply);
}

void fsh_remote_answered(struct fsh_request *request, const struct fsh_reply *reply)
{
    struct fsh_remote_ask *ask = fsh_container_of(request, struct fsh_remote_ask, request);
    struct fsh_remote *remote = ask->remote;
    struct fsh_problem problem = {.status = FRESHET_OK, .retry_after_ms = -1};
    struct fsh_remote_ask copy = *ask;

    if (reply->complete && reply->http_status >= 300 && reply->http_status != 304)
        fsh_remote_read_problem(reply->http_status, reply->body, reply->body_len, &problem);
    /* What follows may forget what is in the air; this one is no longer. */
    fsh_remote_ask_free(ask);
    if (copy.kind == FSH_ASK_FETCH)
        fetch_answered(remote, &copy, reply, &problem);
    else if (copy.kind == FSH_ASK_REPORT)
        report_answered(remote, &copy, reply, &problem);
    else if (copy.call)
        command_answered(remote, copy.call, reply, &problem);
    else /* of a caller who has gone: what is at hand now may be something else */
        remote->look_at = fsh_engine_now(remote->session->engine).mono;
    fsh_remote_advance(remote);
}
