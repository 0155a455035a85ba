/* SPDX-License-Identifier: Apache-2.0 */

/* What must hold in every scenario, after every step and at certain moments. */

#include "scenario.h"

#include "core/step.h"

#include <freshet/status.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- secrets (rule 5)
 * ----------------------------------------------------------------------------
 */

/* Shorter ones could stand in a sentence by chance. */
#define SECRET_LEAST 6

void scenario_secret(struct scenario *scenario, enum secret_kind kind, const char *text)
{
    struct secret *secret;

    if (!text || strlen(text) < SECRET_LEAST)
        return;
    LIST_FOREACH (secret, &scenario->known, in_list) {
        if (strcmp(secret->text, text) == 0)
            return;
    }
    secret = calloc(1, sizeof(*secret));
    if (!secret)
        abort();
    secret->kind = kind;
    secret->text = strdup(text);
    LIST_INSERT_HEAD(&scenario->known, secret, in_list);
    scenario->known_count++;
}

void scenario_secrets_close(struct scenario *scenario)
{
    while (!LIST_EMPTY(&scenario->known)) {
        struct secret *secret = LIST_FIRST(&scenario->known);

        LIST_REMOVE(secret, in_list);
        free(secret->text);
        free(secret);
    }
}

static bool tells(const struct scenario *scenario, const char *text)
{
    const struct secret *secret;

    LIST_FOREACH (secret, &scenario->known, in_list) {
        if (strstr(text, secret->text))
            return true;
    }
    return false;
}

/* A refresh token stands in the body of a refresh, and an access token in no
 * body. */
static void check_body(struct scenario *scenario, const struct fsh_request *request)
{
    const char *body = fsh_base_secret_reveal(&request->message.body);
    const struct secret *secret;

    scenario_charge(scenario, 1 + scenario->known_count / 4);
    LIST_FOREACH (secret, &scenario->known, in_list) {
        bool may = secret->kind == SECRET_OTHER ||
                   (secret->kind == SECRET_REFRESH && request->kind == FSH_EXCHANGE_REFRESH);

        if (!may && strstr(body, secret->text))
            scenario_problem(scenario, "always: a token is in the body of a %s",
                             scenario_kind_name(request->kind));
    }
}

/* Only access tokens leave a keeper. */
void scenario_check_answer(struct scenario *scenario, const char *text)
{
    const struct secret *secret;

    scenario_charge(scenario, 1 + scenario->known_count / 4);
    LIST_FOREACH (secret, &scenario->known, in_list) {
        if (secret->kind != SECRET_ACCESS && strstr(text, secret->text))
            scenario_problem(scenario, "always: a secret is in an answer of the keeper");
    }
}

/* ---- requests (rules 1, 3, 7 and 8)
 * ----------------------------------------------------------------- */

static bool is_flight(const struct fsh_request *request)
{
    return !request->call && request->kind != FSH_EXCHANGE_PROBE;
}

static void check_lease(const struct actor *actor)
{
    struct scenario *scenario = actor->scenario;
    struct fsh_record record = scenario_record(scenario);
    const struct fsh_lease *lease = &record.lease;

    if (lease->holder != actor->holder || lease->until.boot != scenario->boot ||
        lease->until.ms - scenario->mono.ms < FSH_EXCHANGE_MS)
        scenario_problem(scenario, "always: a request is sent without a lease that outlives it");
    if (lease->generation <= record.generation)
        scenario_problem(scenario, "always: the lease has not reserved the next generation");
}

static void check_alone(const struct actor *actor)
{
    const struct air *air;

    LIST_FOREACH (air, &actor->scenario->in_air, in_list) {
        if (air->actor == actor && is_flight(air->request))
            scenario_problem(actor->scenario, "always: two flights of one engine are in the air");
    }
}

static void check_probe(struct actor *actor)
{
    struct fsh_mono now = actor->scenario->mono;

    if (actor->probed && fsh_mono_until(actor->probed_at, now) < FSH_PROBE_PAUSE_MS)
        scenario_problem(actor->scenario, "always: two probes within 30 s");
    actor->probed = true;
    actor->probed_at = now;
}

static void check_sign_in(const struct actor *actor, const struct fsh_request *request)
{
    struct scenario *scenario = actor->scenario;
    int64_t since = scenario->wall.ms - scenario->signed_in_at.ms;

    if (request->session->active->core.command != FSH_ERRAND_NONE)
        return;
    if (scenario->signed_in_once && !scenario->unsteady && since < FSH_SIGN_IN_PAUSE_MS)
        scenario_problem(scenario, "always: two automatic sign-ins within 30 s");
    scenario->signed_in_once = true;
    scenario->signed_in_at = scenario->wall;
}

void scenario_check_send(struct actor *actor, const struct fsh_request *request)
{
    check_body(actor->scenario, request);
    if (request->kind == FSH_EXCHANGE_PROBE)
        check_probe(actor);
    if (!is_flight(request))
        return;
    check_lease(actor);
    check_alone(actor);
    if (request->kind == FSH_EXCHANGE_SIGN_IN)
        check_sign_in(actor, request);
    if (request->kind == FSH_EXCHANGE_REFRESH && request->session->policy->rotating &&
        !request->fresh_connection)
        scenario_problem(actor->scenario, "always: a rotating refresh on a used connection");
}

/* ---- the store (rules 1, 3 and 10)
 * ------------------------------------------------------------------- */

void scenario_check_change(struct actor *actor, const struct fsh_record *before,
                           const struct fsh_store_op *op)
{
    struct scenario *scenario = actor->scenario;

    if (op->record.generation < before->generation || op->record.incarnation < before->incarnation)
        scenario_problem(scenario, "always: a generation or an incarnation went back");
    if (op->change.kind != FSH_CHANGE_COMMIT || op->verdict != FSH_VERDICT_DONE)
        return;
    if (op->record.generation <= scenario->committed)
        scenario_problem(scenario, "always: generation %" PRIu64 " was committed after %" PRIu64,
                         op->record.generation, scenario->committed);
    if (op->change.incarnation != before->incarnation)
        scenario_problem(scenario, "always: a flight was committed to another incarnation");
    scenario->committed = op->record.generation;
}

/* ---- callers
 * ------------------------------------------------------------------------------------------
 */

bool scenario_usable(const struct fsh_session *session, struct fsh_mono now)
{
    struct fsh_freshness token;
    uint64_t generation;

    return fsh_engine_view(session, &generation, &token) && now.ms < token.usable_until.ms;
}

void scenario_check_caller(const struct caller *caller)
{
    const struct fsh_call *call = &caller->call;
    struct scenario *scenario = caller->scenario;

    if (call->status != FRESHET_OK)
        scenario_charge(scenario, 1 + scenario->known_count / 4);
    if (call->status != FRESHET_OK &&
        (tells(scenario, call->error.message) || tells(scenario, call->error.code)))
        scenario_problem(scenario, "always: a secret is in the error of %s", caller->name);
    if (call->status == FRESHET_OK && call->kind == FSH_CALL_ENSURE &&
        (!scenario_usable(call->session, scenario->mono) || !call->session->token))
        scenario_problem(scenario, "always: %s was told OK without a usable token", caller->name);
}

/* One that was answered 401 is not usable to whoever asks a keeper, until that has judged it. */
static bool in_use(const struct actor *actor, struct fsh_mono now)
{
    const struct fsh_session *session = actor->asked;

    return scenario_usable(session, now) &&
           (!actor->keeper || atomic_load(&session->reported) != session->token->generation);
}

static void check_waiting(struct scenario *scenario)
{
    const struct caller *caller;

    TAILQ_FOREACH (caller, &scenario->callers, in_list) {
        if (!caller->done && !caller->actor->paused && caller->call.kind == FSH_CALL_ENSURE &&
            caller->call.min_valid_ms == 0 && in_use(caller->actor, scenario->mono))
            scenario_problem(scenario, "always: %s waits though a usable token is there",
                             caller->name);
    }
}

/* ---- engines
 * ------------------------------------------------------------------------------------------
 */

/* What other threads see is what is in force. */
static void check_view(struct scenario *scenario, struct fsh_session *session)
{
    struct fsh_freshness token;
    struct fsh_core core;
    uint64_t seen = 0;

    (void)fsh_engine_view(session, &seen, &token);
    fsh_engine_core(session, &core);
    if (seen != core.published || seen != (session->token ? session->token->generation : 0) ||
        (seen != 0 && token.usable_until.ms != core.token.usable_until.ms))
        scenario_problem(scenario, "always: other threads see another generation");
}

/* One immutable snapshot a generation, in all engines (rule 4). */
static void check_snapshot(struct scenario *scenario, const struct fsh_token *token)
{
    const char *value = token ? fsh_base_secret_reveal(&token->authorization) : NULL;
    const char *before;
    char name[24];

    if (!token)
        return;
    (void)snprintf(name, sizeof(name), "%" PRIu64, token->generation);
    before = scenario_text_of(scenario->generations, name, NULL);
    if (!before)
        (void)json_object_set_new(scenario->generations, name, json_string(value));
    else if (strcmp(before, value) != 0)
        scenario_problem(scenario, "always: generation %s stands for two tokens", name);
}

/* The refresh token is in the clear during its flight only. */
static void check_forgotten(struct scenario *scenario, const struct fsh_session *session)
{
    const struct fsh_active *active = session->active;

    if (session->resting)
        return;
    if (!fsh_core_flying(&active->core) && active->core.step == FSH_STEP_IDLE &&
        (!fsh_base_secret_empty(&active->leased.refresh_token) ||
         !fsh_base_secret_empty(&active->grant.refresh_token)))
        scenario_problem(scenario, "always: a refresh token is kept after its flight");
}

void scenario_check(struct scenario *scenario)
{
    for (unsigned i = 0; i < scenario->actor_count; i++) {
        const struct actor *actor = &scenario->actors[i];

        if (!actor->session)
            continue;
        check_view(scenario, actor->session);
        check_snapshot(scenario, actor->session->token);
        check_snapshot(scenario, actor->asked->token);
        check_forgotten(scenario, actor->session);
    }
    check_waiting(scenario);
}
