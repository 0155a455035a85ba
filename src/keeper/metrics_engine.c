/* SPDX-License-Identifier: Apache-2.0 */

/* What the engine counts, as metrics. */

#include "engine/clock.h"
#include "keeper/metrics.h"
#include "keeper/openmetrics.h"
#include "lib/glance.h"

#include <ctype.h>
#include <freshet/status.h>
#include <string.h>

static uint64_t value_of(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static bool empty(const struct fsh_histogram *histogram)
{
    for (unsigned i = 0; i <= FSH_BOUNDS_MAX; i++) {
        if (value_of(&histogram->buckets[i]))
            return false;
    }
    return true;
}

/* ---- exchanges with the platform, and flights -------------------------------------------- */

static const char *const exchanges[FSH_EXCHANGE_KINDS] = {
    [FSH_EXCHANGE_SIGN_IN] = "sign_in",
    [FSH_EXCHANGE_MFA] = "mfa",
    [FSH_EXCHANGE_NEW_PASSWORD] = "new_password",
    [FSH_EXCHANGE_REFRESH] = "refresh",
    [FSH_EXCHANGE_PROBE] = "probe",
    [FSH_EXCHANGE_MFA_SETTINGS_GET] = "mfa_settings_get",
    [FSH_EXCHANGE_MFA_SETTINGS_PUT] = "mfa_settings_put",
    [FSH_EXCHANGE_TOTP_GET] = "totp_get",
    [FSH_EXCHANGE_TOTP_PUT] = "totp_put",
};

static const char *const outcomes[FSH_METER_OUTCOMES] = {
    [FSH_RESULT_GRANT] = "granted",     [FSH_RESULT_CHALLENGE] = "challenged",
    [FSH_RESULT_DEFINITE] = "refused",  [FSH_RESULT_TRANSIENT] = "unavailable",
    [FSH_RESULT_UNKNOWN] = "unknown",   [FSH_RESULT_LOCAL] = "not_sent",
    [FSH_METER_ABANDONED] = "given_up",
};

static uint64_t sum(const struct fsh_meter *meter, const enum fsh_exchange_kind *kinds,
                    size_t count, unsigned outcome)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += value_of(&meter->exchanges[kinds[i]][outcome]);
    return sum;
}

static void write_outcomes(FILE *out, const struct fsh_metric *metric,
                           const struct fsh_meter *meter, const enum fsh_exchange_kind *kinds,
                           size_t count)
{
    fsh_openmetrics_family(out, metric);
    for (unsigned outcome = 0; outcome < FSH_METER_OUTCOMES; outcome++)
        fsh_openmetrics_value(out, metric, FSH_LABELS("outcome", outcomes[outcome]),
                              sum(meter, kinds, count, outcome));
}

static void write_exchanges(FILE *out, const struct fsh_meter *meter)
{
    static const enum fsh_exchange_kind refresh[] = {FSH_EXCHANGE_REFRESH};
    static const enum fsh_exchange_kind probe[] = {FSH_EXCHANGE_PROBE};
    static const enum fsh_exchange_kind sign_in[] = {FSH_EXCHANGE_SIGN_IN, FSH_EXCHANGE_MFA,
                                                     FSH_EXCHANGE_NEW_PASSWORD};
    static const struct fsh_metric refreshes = {
        FSH_FAMILY_COUNTER, "refreshes", NULL,
        "Refreshes sent to the platform, by what came of them."};
    static const struct fsh_metric sign_ins = {
        FSH_FAMILY_COUNTER, "sign_ins", NULL,
        "Sign-ins and answers to challenges, by what came of them."};
    static const struct fsh_metric probes = {
        FSH_FAMILY_COUNTER, "probes", NULL,
        "Calls that confirm a 401 of a service: granted, it lives; refused, it is dead."};
    static const struct fsh_metric seconds = {FSH_FAMILY_HISTOGRAM, "exchange", "seconds",
                                              "From a message to the platform to its answer."};

    write_outcomes(out, &refreshes, meter, refresh, 1);
    write_outcomes(out, &sign_ins, meter, sign_in, sizeof(sign_in) / sizeof(sign_in[0]));
    write_outcomes(out, &probes, meter, probe, 1);
    fsh_openmetrics_family(out, &seconds);
    for (unsigned kind = 0; kind < FSH_EXCHANGE_KINDS; kind++) {
        if (kind == FSH_EXCHANGE_REFRESH || !empty(&meter->exchange[kind]))
            fsh_openmetrics_histogram(out, &seconds, FSH_LABELS("exchange", exchanges[kind]),
                                      &meter->exchange[kind], &fsh_engine_latency_bounds);
    }
}

static void write_flights(FILE *out, const struct fsh_meter *meter)
{
    static const struct fsh_metric seconds = {
        FSH_FAMILY_HISTOGRAM, "flight", "seconds",
        "From the begin of a refresh or a sign-in, before its lease, to its outcome."};
    static const struct fsh_metric waited = {FSH_FAMILY_COUNTER, "callers_waited", NULL,
                                             "Callers who had to wait for a token."};
    static const struct fsh_metric coalesced = {
        FSH_FAMILY_COUNTER, "callers_coalesced", NULL,
        "Those of them who waited for what was under way already."};
    static const struct fsh_metric adopted = {
        FSH_FAMILY_COUNTER, "adoptions", NULL,
        "Tokens taken over from the token cache: of another process, or an earlier one."};

    fsh_openmetrics_family(out, &seconds);
    fsh_openmetrics_histogram(out, &seconds, FSH_LABELS("flight", "refresh"),
                              &meter->flight[FSH_METER_REFRESH], &fsh_engine_latency_bounds);
    fsh_openmetrics_histogram(out, &seconds, FSH_LABELS("flight", "sign_in"),
                              &meter->flight[FSH_METER_SIGN_IN], &fsh_engine_latency_bounds);
    fsh_openmetrics_family(out, &waited);
    fsh_openmetrics_value(out, &waited, NULL, value_of(&meter->waited));
    fsh_openmetrics_family(out, &coalesced);
    fsh_openmetrics_value(out, &coalesced, NULL, value_of(&meter->coalesced));
    fsh_openmetrics_family(out, &adopted);
    fsh_openmetrics_value(out, &adopted, NULL, value_of(&meter->notes[FSH_NOTE_ADOPTED]));
}

/* ---- stores ------------------------------------------------------------------------------ */

static const char *const changes[FSH_METER_CHANGES] = {
    [FSH_CHANGE_READ] = "read",       [FSH_CHANGE_LEASE] = "lease",
    [FSH_CHANGE_RELEASE] = "release", [FSH_CHANGE_COMMIT] = "commit",
    [FSH_CHANGE_END] = "end",         [FSH_CHANGE_SIGN_OUT] = "sign_out",
    [FSH_CHANGE_PARK] = "park",       [FSH_CHANGE_LOSE] = "lose",
};

static const char *const caches[FSH_METER_CACHES] = {
    [FSH_CACHE_PUT] = "put",
    [FSH_CACHE_GET] = "get",
    [FSH_CACHE_DROP] = "drop",
};

static void write_latencies(FILE *out, const struct fsh_metric *metric, const char *store,
                            const struct fsh_use_meter *uses, const char *const *names,
                            unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!empty(&uses[i].latency))
            fsh_openmetrics_histogram(out, metric,
                                      FSH_LABELS("store", store, "operation", names[i]),
                                      &uses[i].latency, &fsh_engine_latency_bounds);
    }
}

static void write_failures(FILE *out, const struct fsh_metric *metric, const char *store,
                           const struct fsh_use_meter *uses, unsigned count)
{
    uint64_t failures = 0;

    for (unsigned i = 0; i < count; i++)
        failures += value_of(&uses[i].failures);
    fsh_openmetrics_value(out, metric, FSH_LABELS("store", store), failures);
}

static void write_stores(FILE *out, const struct fsh_meter *meter)
{
    static const struct fsh_metric seconds = {FSH_FAMILY_HISTOGRAM, "store", "seconds",
                                              "From a use of a store to its end."};
    static const struct fsh_metric failures = {FSH_FAMILY_COUNTER, "store_failures", NULL,
                                               "Uses of a store that failed."};

    fsh_openmetrics_family(out, &seconds);
    write_latencies(out, &seconds, "secrets", meter->secrets, changes, FSH_METER_CHANGES);
    write_latencies(out, &seconds, "tokens", meter->tokens, caches, FSH_METER_CACHES);
    fsh_openmetrics_family(out, &failures);
    write_failures(out, &failures, "secrets", meter->secrets, FSH_METER_CHANGES);
    write_failures(out, &failures, "tokens", meter->tokens, FSH_METER_CACHES);
}

/* ---- sessions ---------------------------------------------------------------------------- */

static const char *const states[FSH_METER_STATES] = {
    [FSH_METER_NONE] = "none",   [FSH_METER_LIVE] = "live",
    [FSH_METER_ENDED] = "ended", [FSH_METER_SIGNED_OUT] = "signed_out",
    [FSH_METER_HELD] = "held",   [FSH_METER_OPENING] = "opening",
};

static void write_sessions(FILE *out, const struct fsh_meter *meter)
{
    static const struct fsh_metric sessions = {
        FSH_FAMILY_GAUGE, "sessions", NULL,
        "Sessions that are open, by kind and state; challenged, when an answer is wanted."};
    static const struct fsh_metric usable = {
        FSH_FAMILY_GAUGE, "sessions_usable", NULL,
        "Sessions with a token that may be used now; to about a hundredth of a token's life."};

    fsh_openmetrics_family(out, &sessions);
    for (unsigned service = 0; service < 2; service++) {
        for (unsigned state = 0; state < FSH_METER_STATES; state++) {
            for (unsigned challenged = 0; challenged < 2; challenged++)
                fsh_openmetrics_value(
                    out, &sessions,
                    FSH_LABELS("kind", service ? "service" : "person", "state", states[state],
                               "challenged", challenged ? "yes" : "no"),
                    atomic_load_explicit(&meter->sessions[service][state][challenged],
                                         memory_order_relaxed));
        }
    }
    fsh_openmetrics_family(out, &usable);
    fsh_openmetrics_value(out, &usable, NULL, fsh_engine_meter_usable(meter, fsh_clock_mono()));
}

/* "FRESHET_EENDED" is "ended". */
static void reason_of(int status, char ret_reason[32])
{
    const char *name = freshet_status_name(status);
    size_t len = 0;

    if (strncmp(name, "FRESHET_E", 9) == 0)
        name += 9;
    for (; name[len] && len < 31; len++)
        ret_reason[len] = (char)tolower((unsigned char)name[len]);
    ret_reason[len] = '\0';
}

static void write_endings(FILE *out, const struct fsh_meter *meter)
{
    static const struct fsh_metric endings = {FSH_FAMILY_COUNTER, "endings", NULL,
                                              "Sessions that ended or were signed out, by reason."};
    static const int always[] = {FRESHET_ESIGNEDOUT,    FRESHET_EENDED, FRESHET_ESUSPENDED,
                                 FRESHET_EEXTERNALUSER, FRESHET_EHELD,  FRESHET_ELOSTROTATION};
    char reason[32];

    fsh_openmetrics_family(out, &endings);
    for (int status = 0; status > -FSH_METER_REASONS; status--) {
        uint64_t ended = value_of(&meter->ended[-status]);
        bool show = ended > 0;

        for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
            show = show || status == always[i];
        if (!show)
            continue;
        reason_of(status, reason);
        fsh_openmetrics_value(out, &endings, FSH_LABELS("reason", reason), ended);
    }
}

static void write_notes(FILE *out, const struct fsh_meter *meter)
{
    static const struct fsh_metric metric = {FSH_FAMILY_COUNTER, "unauthorized", NULL,
                                             "401s that callers reported, by what became of them."};
    const struct {
        const char *outcome;
        uint64_t count;
    } rows[] = {
        {"late", value_of(&meter->late_401s) + value_of(&meter->notes[FSH_NOTE_401_LATE])},
        {"repeated", value_of(&meter->repeated_401s)},
        {"held", value_of(&meter->notes[FSH_NOTE_401_HELD])},
        {"unusable", value_of(&meter->notes[FSH_NOTE_401_UNUSABLE])},
        {"counted", value_of(&meter->notes[FSH_NOTE_401_COUNTS])},
    };
    static const struct fsh_metric parked = {
        FSH_FAMILY_COUNTER, "parkings", NULL,
        "Services that met a challenge and were parked until an operator answers."};

    fsh_openmetrics_family(out, &metric);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        fsh_openmetrics_value(out, &metric, FSH_LABELS("outcome", rows[i].outcome), rows[i].count);
    fsh_openmetrics_family(out, &parked);
    fsh_openmetrics_value(out, &parked, NULL, value_of(&meter->notes[FSH_NOTE_PARKED]));
}

void fsh_metrics_engine(FILE *out, const struct freshet *freshet)
{
    const struct fsh_meter *meter = fsh_lib_meter(freshet);

    write_exchanges(out, meter);
    write_flights(out, meter);
    write_stores(out, meter);
    write_sessions(out, meter);
    write_endings(out, meter);
    write_notes(out, meter);
}
