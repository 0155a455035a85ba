/* SPDX-License-Identifier: Apache-2.0 */

/* A core that is folded away at every rest answers like one that never is: two of them are told the
 * same, for many random histories, and must say the same. */

#include "base/bounds.h"
#include "core/rest.h"
#include "unit.h"

#include <freshet/status.h>
#include <string.h>

#define HISTORIES 400
#define STEPS     300

/* One of the two. */
struct side {
    struct fsh_gate gate;
    struct fsh_core core;
    struct fsh_effects fx;
    uint64_t ticket; /* of what is in the air; 0: nothing */
    uint64_t probe;
    uint64_t seen;
};

struct history {
    uint64_t seed;
    struct fsh_policy policy;
    struct fsh_now now;
    struct fsh_record record; /* the store's */
    uint64_t attempts;        /* of another engine */
    struct side sides[2];     /* the second is folded */
    enum fsh_effect_kind in_air;
    struct fsh_change change;
    uint64_t generation; /* the latest that was in force */
    bool waiting;        /* one caller */
    unsigned folds;
};

static uint64_t draw(struct history *history)
{
    uint64_t x = (history->seed += UINT64_C(0x9E3779B97F4A7C15));

    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* Less than `below`. */
static unsigned pick(struct history *history, unsigned below)
{
    return (unsigned)(draw(history) % below);
}

/* ---- comparing ----------------------------------------------------------------------------- */

static bool of_attempt(enum fsh_change_kind kind)
{
    return kind != FSH_CHANGE_READ && kind != FSH_CHANGE_END && kind != FSH_CHANGE_SIGN_OUT;
}

static void same_change(const struct fsh_change *a, const struct fsh_change *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->incarnation, b->incarnation);
    assert_int_equal(a->generation, b->generation);
    assert_int_equal(a->holder, b->holder);
    assert_int_equal(a->reserved, b->reserved);
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->hold, b->hold);
    assert_int_equal(a->resolved, b->resolved);
    assert_int_equal(a->refreshable, b->refreshable);
    assert_int_equal(a->refusals, b->refusals);
    assert_int_equal(a->sign_in_at.ms, b->sign_in_at.ms);
    assert_int_equal(a->wall.ms, b->wall.ms);
    assert_int_equal(a->pause_ms, b->pause_ms);
    assert_int_equal(a->refresh_until.ms, b->refresh_until.ms);
    if (!of_attempt(a->kind))
        return;
    assert_int_equal(a->attempt, b->attempt);
    assert_int_equal(a->purpose, b->purpose);
}

static void same_effect(const struct fsh_effect *a, const struct fsh_effect *b)
{
    assert_int_equal(a->kind, b->kind);
    switch (a->kind) {
    case FSH_EFFECT_STORE:
        same_change(&a->change, &b->change);
        break;
    case FSH_EFFECT_SEND:
        assert_int_equal(a->send.errand, b->send.errand);
        break;
    case FSH_EFFECT_ADOPT:
    case FSH_EFFECT_PUBLISH:
        assert_int_equal(a->publish.generation, b->publish.generation);
        break;
    case FSH_EFFECT_REPLY:
    case FSH_EFFECT_SIGNED_OUT:
        assert_int_equal(a->status, b->status);
        break;
    case FSH_EFFECT_NOTE:
        assert_int_equal(a->note.note, b->note.note);
        assert_int_equal(a->note.status, b->note.status);
        assert_int_equal(a->note.value, b->note.value);
        break;
    default:
        break;
    }
}

static void same_state(const struct history *history)
{
    const struct fsh_core *a = &history->sides[0].core;
    const struct fsh_core *b = &history->sides[1].core;

    assert_int_equal(fsh_core_wake_at(a).ms, fsh_core_wake_at(b).ms);
    assert_int_equal(fsh_core_why(a), fsh_core_why(b));
    assert_int_equal(a->published, b->published);
    assert_int_equal(fsh_core_usable(a, history->now.mono), fsh_core_usable(b, history->now.mono));
    if (a->published)
        assert_memory_equal(&a->token, &b->token, sizeof(a->token));
    assert_int_equal(a->record.phase, b->record.phase);
    assert_int_equal(a->challenge, b->challenge);
}

/* ---- what follows each event ------------------------------------------------------------- */

static void take(struct history *history, struct side *side)
{
    for (unsigned i = 0; i < side->fx.count; i++) {
        const struct fsh_effect *effect = &side->fx.list[i];

        if (effect->kind == FSH_EFFECT_CANCEL) {
            side->ticket = 0;
        } else if (effect->kind == FSH_EFFECT_SEND && effect->send.errand == FSH_ERRAND_PROBE) {
            side->probe = effect->ticket;
        } else if (effect->kind == FSH_EFFECT_STORE || effect->kind == FSH_EFFECT_ADOPT ||
                   effect->kind == FSH_EFFECT_SEND) {
            side->ticket = effect->ticket;
            history->in_air = effect->kind;
            history->change = effect->kind == FSH_EFFECT_STORE ? effect->change : history->change;
        } else if (effect->kind == FSH_EFFECT_PUBLISH) {
            history->generation = effect->publish.generation;
        }
    }
}

static void fold(struct history *history)
{
    struct side *side = &history->sides[1];
    struct fsh_freshness token = side->core.token;
    uint64_t published = side->core.published;
    struct fsh_mono wake_at = fsh_core_wake_at(&side->core);
    struct fsh_rest rest;

    if (history->waiting || !fsh_core_fold(&side->core, history->now, &rest))
        return;
    assert_int_equal(side->ticket, 0);
    assert_int_equal(side->probe, 0);
    token = fsh_core_moments(token.sent_at, fsh_mono_until(token.sent_at, token.expires_at),
                             history->policy.threshold_ms);
    memset(&side->core, 0xA5, sizeof(side->core));
    fsh_core_init(&side->core, &history->policy, &side->gate, 1);
    fsh_core_unfold(&side->core, &rest, published, &token, wake_at);
    history->folds++;
}

static void after(struct history *history)
{
    const struct fsh_effects *a = &history->sides[0].fx;
    const struct fsh_effects *b = &history->sides[1].fx;

    assert_int_equal(a->count, b->count);
    for (unsigned i = 0; i < a->count; i++)
        same_effect(&a->list[i], &b->list[i]);
    for (unsigned i = 0; i < 2; i++) {
        take(history, &history->sides[i]);
        history->sides[i].fx.count = 0;
    }
    same_state(history);
    fold(history);
    same_state(history);
}

/* ---- events ------------------------------------------------------------------------------ */

static void tick(struct history *history)
{
    for (unsigned i = 0; i < 2; i++)
        fsh_core_tick(&history->sides[i].core, history->now, &history->sides[i].fx);
    after(history);
}

static void time_passes(struct history *history)
{
    static const int64_t spans[] = {1, 60, 1000, 20000, 60000, 1800000, 3600000, 86400000};
    int64_t ms = spans[pick(history, sizeof(spans) / sizeof(spans[0]))];
    struct fsh_mono wake = fsh_core_wake_at(&history->sides[0].core);

    if (pick(history, 2) && wake.ms != FSH_NEVER.ms && wake.ms > history->now.mono.ms)
        ms = fsh_mono_until(history->now.mono, wake);
    history->now.mono.ms += ms;
    history->now.wall.ms += ms;
    if (pick(history, 20) == 0)
        history->now.wall.ms += pick(history, 2) ? 3600000 : -3600000;
    if (wake.ms <= history->now.mono.ms)
        tick(history);
}

/* Another engine uses the same record. */
static void another_engine(struct history *history)
{
    struct fsh_change change = {
        .kind = pick(history, 4) ? FSH_CHANGE_LEASE : FSH_CHANGE_SIGN_OUT,
        .incarnation = history->record.incarnation,
        .generation = history->record.generation,
        .holder = 2,
        .attempt = UINT64_C(1000000) + ++history->attempts,
        .purpose = pick(history, 2) ? FSH_PURPOSE_REFRESH : FSH_PURPOSE_SIGN_IN,
        .reason = FRESHET_ESIGNEDOUT,
    };
    struct fsh_stamp now = {history->now.mono.ms, 1};

    if (fsh_core_record_apply(&history->record, &change, now) != FSH_VERDICT_DONE ||
        change.kind != FSH_CHANGE_LEASE || pick(history, 2))
        return;
    change.kind = FSH_CHANGE_COMMIT;
    change.reserved = history->record.lease.generation;
    change.refreshable = true;
    (void)fsh_core_record_apply(&history->record, &change, now);
}

static void stored(struct history *history)
{
    struct fsh_stamp now = {history->now.mono.ms, 1};
    int status = pick(history, 10) ? FRESHET_OK : FRESHET_ESTORE;
    enum fsh_verdict verdict = FSH_VERDICT_STALE;
    int64_t unresolved = -1;

    if (status == FRESHET_OK || pick(history, 2)) { /* it may fail after it was done */
        verdict = fsh_core_record_apply(&history->record, &history->change, now);
        unresolved = fsh_core_record_unresolved_ms(&history->record, history->change.attempt, now);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct side *side = &history->sides[i];
        uint64_t ticket = side->ticket;

        side->ticket = 0;
        fsh_core_stored(&side->core, history->now, ticket, status, verdict, &history->record,
                        unresolved, &side->fx);
    }
}

static void adopted(struct history *history)
{
    int64_t lifetime = pick(history, 3) ? 3600000 : 0;

    for (unsigned i = 0; i < 2; i++) {
        struct side *side = &history->sides[i];
        uint64_t ticket = side->ticket;

        side->ticket = 0;
        fsh_core_adopted(&side->core, history->now, ticket, history->now.mono, lifetime, &side->fx);
    }
}

static struct fsh_result any_result(struct history *history, enum fsh_errand errand)
{
    static const int64_t lifetimes[] = {3600000, 3600000, 300000, 1500, 500};
    static const int definite[] = {FRESHET_EENDED, FRESHET_ECREDENTIALS, FRESHET_ESUSPENDED};
    struct fsh_result result = {.kind = FSH_RESULT_GRANT, .retry_after_ms = -1};
    unsigned kind = pick(history, 10);

    if (kind < 6) {
        result.lifetime_ms = lifetimes[pick(history, 5)];
        result.refresh_token = errand != FSH_ERRAND_REFRESH || history->policy.rotating;
    } else if (kind == 6) {
        result.kind = FSH_RESULT_CHALLENGE;
        result.status = FRESHET_EMFA;
    } else if (kind == 7) {
        result.kind = FSH_RESULT_DEFINITE;
        result.status = definite[pick(history, 3)];
    } else {
        result.kind = kind == 8 ? FSH_RESULT_TRANSIENT : FSH_RESULT_UNKNOWN;
        result.status = FRESHET_EUNAVAILABLE;
        result.retry_after_ms = pick(history, 3) ? -1 : 120000;
    }
    return result;
}

static void answered(struct history *history, bool probe)
{
    enum fsh_errand errand = probe ? FSH_ERRAND_PROBE : history->sides[0].core.errand;
    struct fsh_result result = any_result(history, errand);

    if (probe && result.kind == FSH_RESULT_CHALLENGE)
        result.kind = FSH_RESULT_DEFINITE;
    for (unsigned i = 0; i < 2; i++) {
        struct side *side = &history->sides[i];
        uint64_t *ticket = probe ? &side->probe : &side->ticket;
        uint64_t answer = *ticket;

        *ticket = 0;
        fsh_core_answered(&side->core, history->now, answer, &result, &side->fx);
    }
}

/* What is in the air comes back. */
static void land(struct history *history)
{
    const struct side *side = &history->sides[0];

    if (side->probe && pick(history, 2))
        answered(history, true);
    else if (!side->ticket)
        return;
    else if (history->in_air == FSH_EFFECT_STORE)
        stored(history);
    else if (history->in_air == FSH_EFFECT_ADOPT)
        adopted(history);
    else
        answered(history, false);
    after(history);
}

static void ask(struct history *history)
{
    int64_t min_valid = pick(history, 3) ? 0 : 300000;
    struct fsh_mono deadline = fsh_mono_add(history->now.mono, pick(history, 3) ? 20000 : 0);
    struct fsh_caller_answer answers[2];

    for (unsigned i = 0; i < 2; i++) {
        struct side *side = &history->sides[i];

        if (!history->waiting)
            side->seen = fsh_core_flights(&side->core);
        answers[i] = fsh_core_ask(&side->core, history->now, min_valid, deadline,
                                  history->waiting ? &side->seen : NULL, &side->fx);
    }
    assert_int_equal(answers[0].kind, answers[1].kind);
    assert_int_equal(answers[0].status, answers[1].status);
    assert_int_equal(answers[0].retry_after_ms, answers[1].retry_after_ms);
    history->waiting = answers[0].kind == FSH_ANSWER_WAIT;
    after(history);
}

static void unauthorized(struct history *history)
{
    uint64_t generation = history->generation - (pick(history, 3) == 0);

    for (unsigned i = 0; i < 2; i++)
        fsh_core_unauthorized(&history->sides[i].core, history->now, generation,
                              &history->sides[i].fx);
    after(history);
}

static void command(struct history *history)
{
    enum fsh_errand errand = pick(history, 3) ? FSH_ERRAND_SIGN_IN : FSH_ERRAND_MFA;
    int statuses[2];

    for (unsigned i = 0; i < 2; i++)
        statuses[i] =
            fsh_core_command(&history->sides[i].core, history->now, errand, &history->sides[i].fx);
    assert_int_equal(statuses[0], statuses[1]);
    after(history);
}

static void sign_out(struct history *history)
{
    bool hold = pick(history, 2);

    for (unsigned i = 0; i < 2; i++)
        fsh_core_sign_out(&history->sides[i].core, history->now, hold, &history->sides[i].fx);
    after(history);
}

static void step(struct history *history)
{
    unsigned what = pick(history, 40);

    history->now.random = draw(history);
    if (what < 18)
        land(history);
    else if (what < 26)
        time_passes(history);
    else if (what < 34)
        ask(history);
    else if (what < 36)
        command(history);
    else if (what < 38)
        unauthorized(history);
    else if (what == 38)
        another_engine(history);
    else if (pick(history, 3) == 0)
        sign_out(history);
}

static unsigned run(uint64_t seed)
{
    struct history history = {.seed = seed, .now = {{1000}, {INT64_C(1800000000000)}, 0}};

    history.policy = (struct fsh_policy){
        .service = (seed & 1) != 0,
        .background = (seed & 2) != 0,
        .rotating = (seed & 4) != 0,
        .probe = (seed & 8) != 0,
        .threshold_ms = FSH_THRESHOLD_MS,
        .grace_ms = 60000,
        .refresh_life_ms = (seed & 16) ? INT64_C(30) * 86400000 : 0,
        .sign_in_pause_ms = FSH_SIGN_IN_PAUSE_MS,
    };
    for (unsigned i = 0; i < 2; i++)
        fsh_core_init(&history.sides[i].core, &history.policy, &history.sides[i].gate, 1);
    tick(&history);
    for (unsigned i = 0; i < STEPS; i++)
        step(&history);
    return history.folds;
}

static void a_folded_core_is_as_good_as_new(void **state)
{
    unsigned rested = 0;

    (void)state;
    for (uint64_t seed = 0; seed < HISTORIES; seed++) {
        print_message("# seed %llu\n", (unsigned long long)seed);
        rested += run(seed) > 0;
    }
    /* It says nothing about cores that never come to rest. */
    assert_true(rested > HISTORIES / 2);
}

static void what_goes_on_is_not_folded(void **state)
{
    struct fsh_policy policy = {.threshold_ms = FSH_THRESHOLD_MS};
    struct fsh_now now = {{1000}, {INT64_C(1800000000000)}, 1};
    struct fsh_gate gate = {0};
    struct fsh_record none = {0};
    struct fsh_effects fx = {0};
    struct fsh_core core;
    struct fsh_rest rest;

    (void)state;
    fsh_core_init(&core, &policy, &gate, 1);
    assert_false(fsh_core_fold(&core, now, &rest)); /* its record was not read */
    fsh_core_tick(&core, now, &fx);
    assert_false(fsh_core_fold(&core, now, &rest)); /* it is being read */
    fsh_core_stored(&core, now, fx.list[0].ticket, FRESHET_OK, FSH_VERDICT_DONE, &none, -1, &fx);
    assert_true(fsh_core_fold(&core, now, &rest));
    assert_int_equal(fsh_core_command(&core, now, FSH_ERRAND_SIGN_IN, &fx), FRESHET_OK);
    assert_false(fsh_core_fold(&core, now, &rest)); /* a person signs in */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folded_core_is_as_good_as_new),
        cmocka_unit_test(what_goes_on_is_not_folded),
    };

    return cmocka_run_group_tests_name("rest", tests, NULL, NULL);
}
