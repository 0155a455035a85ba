/* SPDX-License-Identifier: Apache-2.0 */

/* What happens in the engine is counted: for a session's status, and in the meter. */

#include "engine/internal.h"

#include <freshet/status.h>

static void count_use(struct fsh_use_meter *meter, atomic_int_fast64_t *failed_at,
                      struct fsh_mono asked_at, struct fsh_mono now, int status)
{
    bool failed = status == FRESHET_ESTORE;

    fsh_base_observe(&meter->latency, &fsh_engine_latency_bounds, fsh_mono_until(asked_at, now));
    if (failed)
        fsh_engine_add(&meter->failures);
    atomic_store_explicit(failed_at, failed ? now.ms : 0, memory_order_relaxed);
}

void fsh_engine_count_secrets(struct fsh_engine *engine, const struct fsh_store_op *op,
                              struct fsh_mono asked_at, struct fsh_mono now)
{
    struct fsh_meter *meter = &engine->meter;

    count_use(&meter->secrets[op->change.kind], &meter->secrets_failed_at, asked_at, now,
              op->status);
}

void fsh_engine_count_tokens(struct fsh_engine *engine, const struct fsh_cache_op *op,
                             struct fsh_mono asked_at, struct fsh_mono now)
{
    struct fsh_meter *meter = &engine->meter;

    count_use(&meter->tokens[op->kind], &meter->tokens_failed_at, asked_at, now, op->status);
}

void fsh_engine_count_exchange(const struct fsh_request *request, unsigned outcome)
{
    struct fsh_engine *engine = request->session->engine;
    struct fsh_meter *meter = &engine->meter;

    fsh_engine_add(&meter->exchanges[request->kind][outcome]);
    if (outcome < FSH_RESULT_LOCAL)
        fsh_base_observe(&meter->exchange[request->kind], &fsh_engine_latency_bounds,
                         fsh_mono_until(request->asked_at, fsh_engine_now(engine).mono));
}

/* ---- notes ------------------------------------------------------------------------------- */

static bool begins_refresh(enum fsh_note_kind note)
{
    return note == FSH_NOTE_REFRESH_BACKGROUND || note == FSH_NOTE_REFRESH_CALLER ||
           note == FSH_NOTE_REFRESH_NEEDED;
}

static bool begins_sign_in(enum fsh_note_kind note)
{
    return note == FSH_NOTE_SIGN_IN_AUTOMATIC || note == FSH_NOTE_SIGN_IN_EXPLICIT ||
           note == FSH_NOTE_ANSWERED_CHALLENGE;
}

/* Callers have what the flight brings when this is noted, though its commit may be to come. */
static bool ends_flight(enum fsh_note_kind note)
{
    return note == FSH_NOTE_REFRESHED || note == FSH_NOTE_SIGNED_IN || note == FSH_NOTE_FAILED ||
           note == FSH_NOTE_ADOPTED || note == FSH_NOTE_PARKED || note == FSH_NOTE_ENDED ||
           note == FSH_NOTE_LOST_ROTATION || note == FSH_NOTE_SIGNED_OUT;
}

static void flight(struct fsh_active *active, enum fsh_note_kind note, struct fsh_mono now)
{
    struct fsh_meter *meter = &active->session->engine->meter;

    if (begins_refresh(note) || begins_sign_in(note)) {
        active->flying = true;
        active->refreshing = begins_refresh(note);
        active->flight_at = now;
    } else if (active->flying && ends_flight(note)) {
        active->flying = false;
        fsh_base_observe(&meter->flight[active->refreshing ? FSH_METER_REFRESH : FSH_METER_SIGN_IN],
                         &fsh_engine_latency_bounds, fsh_mono_until(active->flight_at, now));
    }
}

static void add(_Atomic uint32_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void count_own(struct fsh_counters *counters, enum fsh_note_kind note)
{
    if (note == FSH_NOTE_REFRESHED)
        add(&counters->refreshes);
    else if (note == FSH_NOTE_SIGNED_IN)
        add(&counters->sign_ins);
    else if (note == FSH_NOTE_FAILED)
        add(&counters->failures);
    else if (note == FSH_NOTE_ENDED)
        add(&counters->ended);
}

void fsh_engine_count_note(struct fsh_session *session, enum fsh_note_kind note, int status,
                           struct fsh_mono now)
{
    struct fsh_active *active = fsh_engine_active(session);

    count_own(&session->counters, note);
    fsh_engine_meter_note(&session->engine->meter, note, status);
    if (active)
        flight(active, note, now);
}

/* ---- sessions and their tokens ----------------------------------------------------------- */

void fsh_engine_count_token(struct fsh_session *session, const struct fsh_token *before,
                            const struct fsh_token *token)
{
    struct fsh_engine *engine = session->engine;
    struct fsh_mono now = fsh_engine_now(engine).mono;

    if (before)
        fsh_engine_meter_token_out(&engine->meter, now, (struct fsh_mono){before->sent_at.ms},
                                   before->lifetime_ms);
    if (token)
        fsh_engine_meter_token_in(&engine->meter, now, (struct fsh_mono){token->sent_at.ms},
                                  token->lifetime_ms);
}

static uint8_t mark_of(const struct fsh_session *session)
{
    return atomic_load_explicit(&session->metered, memory_order_relaxed);
}

void fsh_engine_count_session(struct fsh_active *active)
{
    const struct fsh_core *core = &active->core;
    struct fsh_session *session = active->session;
    enum fsh_meter_state state =
        core->loaded ? (enum fsh_meter_state)core->record.phase : FSH_METER_OPENING;
    uint8_t mark = fsh_engine_meter_mark(session->policy->service, state,
                                         core->challenge != 0 || core->record.parked != 0);

    fsh_engine_meter_session(&session->engine->meter, mark_of(session), mark);
    atomic_store_explicit(&session->metered, mark, memory_order_relaxed);
    atomic_store_explicit(&session->refused, core->record.refusals > 0, memory_order_relaxed);
}

void fsh_engine_count_end(struct fsh_session *session)
{
    fsh_engine_count_token(session, session->token, NULL);
    fsh_engine_meter_session(&session->engine->meter, mark_of(session), 0);
    atomic_store_explicit(&session->metered, 0, memory_order_relaxed);
}
