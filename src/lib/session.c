/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "engine/remote_read.h"
#include "lib/internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- open and close ---------------------------------------------------------------------- */

static int read_options(const struct freshet_session_options *given, const struct freshet *freshet,
                        struct freshet_session_options *ret_options, struct freshet_error *error)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;

    if (given) {
        if (given->size == 0 || given->size > sizeof(options))
            return fsh_base_fail(error, FRESHET_EINVAL,
                                 "struct freshet_session_options: initialise it with "
                                 "FRESHET_SESSION_OPTIONS_INIT");
        memcpy(&options, given, given->size);
    }
    if (options.kind == FRESHET_SERVICE && !freshet->keeper &&
        (!options.username || (!options.password && !options.password_file)))
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "a service signs in by itself: it needs a username and a password");
    if (options.username && strlen(options.username) > FSH_CREDENTIAL_MAX)
        return fsh_base_fail(error, FRESHET_EINVAL, "username: more than %d bytes",
                             FSH_CREDENTIAL_MAX);
    if (options.partner_id && strlen(options.partner_id) > FSH_PARTNER_ID_MAX)
        return fsh_base_fail(error, FRESHET_EINVAL, "partner_id: more than %d bytes",
                             FSH_PARTNER_ID_MAX);
    if (options.threshold_ms < 0 || options.sign_in_pause_ms < 0)
        return fsh_base_fail(error, FRESHET_EINVAL, "a duration is negative");
    if (options.threshold_ms == 0)
        options.threshold_ms = freshet->threshold_ms;
    if (options.sign_in_pause_ms == 0)
        options.sign_in_pause_ms = FSH_SIGN_IN_PAUSE_MS;
    *ret_options = options;
    return FRESHET_OK;
}

static bool good_name(const char *name)
{
    size_t len = name ? strlen(name) : 0;

    for (size_t i = 0; i < len; i++) {
        if (name[i] <= ' ' || name[i] > '~')
            return false;
    }
    return len > 0 && len <= FSH_NAME_MAX;
}

static int copy(const char *text, char **ret_text)
{
    *ret_text = text ? strdup(text) : NULL;
    return text && !*ret_text ? FRESHET_ENOMEM : FRESHET_OK;
}

/* ---- the partner ------------------------------------------------------------------------- */

static void partner_free(struct fsh_partner *partner)
{
    if (!partner)
        return;
    free(partner->setting);
    free(partner->preset);
    free(partner);
}

/* NULL when nothing is preset. */
static int partner_new(const char *preset, struct fsh_partner **ret_partner)
{
    struct fsh_partner *partner = NULL;

    if (preset) {
        partner = calloc(1, sizeof(*partner));
        if (!partner || copy(preset, &partner->preset) != FRESHET_OK) {
            partner_free(partner);
            return FRESHET_ENOMEM;
        }
    }
    *ret_partner = partner;
    return FRESHET_OK;
}

/* ---- opening ----------------------------------------------------------------------------- */

struct opening {
    struct freshet *freshet;
    struct fsh_session_options options;
    struct fsh_partner *partner; /* moved from when the session is made */
    struct freshet_session *session;
    struct freshet_error *error;
    int status;
};

static void open_on_engine(void *data)
{
    struct opening *opening = data;
    struct fsh_session *engine;

    opening->status = fsh_engine_session_open(fsh_loop_engine(opening->freshet->loop),
                                              &opening->options, &engine, opening->error);
    if (opening->status != FRESHET_OK)
        return;
    opening->session = fsh_container_of(engine, struct freshet_session, engine);
    opening->session->freshet = opening->freshet;
    opening->session->partner = opening->partner;
    opening->partner = NULL;
}

/* What is in the air has landed. */
void fsh_lib_session_closed(struct fsh_session *session)
{
    struct freshet_session *own = fsh_container_of(session, struct freshet_session, engine);

    atomic_store(&session->closed, true);
    partner_free(own->partner);
    own->partner = NULL;
}

int freshet_session_open(struct freshet *freshet, const char *name,
                         const struct freshet_session_options *options,
                         struct freshet_session **ret_session, struct freshet_error *error)
{
    struct freshet_session_options known = FRESHET_SESSION_OPTIONS_INIT;
    struct opening opening = {.freshet = freshet, .error = error};
    struct fsh_credentials *credentials = &opening.options.credentials;
    int status;

    if (fsh_lib_forked(freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    if (!good_name(name))
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "a session's name is 1 to %d bytes of printable ASCII, no spaces",
                             FSH_NAME_MAX);
    status = read_options(options, freshet, &known, error);
    if (status != FRESHET_OK)
        return status;
    opening.options = (struct fsh_session_options){
        .name = name,
        .session_key = known.session_key,
        .size = sizeof(struct freshet_session),
        .service = known.kind == FRESHET_SERVICE,
        .background = !known.on_demand,
        .first_party = known.first_party,
        .threshold_ms = known.threshold_ms,
        .sign_in_pause_ms = known.sign_in_pause_ms,
        .credentials = {.password = known.password, .password_data = known.password_data},
    };
    if (copy(known.username, &credentials->username) != FRESHET_OK ||
        copy(known.password_file, &credentials->password_file) != FRESHET_OK ||
        partner_new(known.partner_id, &opening.partner) != FRESHET_OK)
        opening.status = fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    else
        fsh_lib_on_engine(freshet, open_on_engine, &opening);
    /* Empty when the session has taken them over. */
    fsh_engine_credentials_done(credentials);
    partner_free(opening.partner);
    if (opening.status == FRESHET_OK)
        *ret_session = opening.session;
    return opening.status;
}

static void close_on_engine(void *data)
{
    struct freshet_session *session = data;

    fsh_engine_session_close(&session->engine);
}

void freshet_session_close(struct freshet_session *session)
{
    if (!session || fsh_lib_forked(session->freshet))
        return;
    atomic_store(&session->engine.closed, true);
    fsh_lib_on_engine(session->freshet, close_on_engine, session);
}

const char *freshet_session_name(const struct freshet_session *session)
{
    return session->engine.name;
}

int freshet_partner_set(struct freshet_session *session, const char *partner)
{
    pthread_mutex_t *lock;
    char *setting;
    int status = FRESHET_OK;

    if (fsh_lib_forked(session->freshet))
        return FRESHET_EFORKED;
    if (partner && (partner[0] == '\0' || strlen(partner) > FSH_PARTNER_ID_MAX))
        return FRESHET_EINVAL;
    if (copy(partner, &setting) != FRESHET_OK)
        return FRESHET_ENOMEM;
    lock = fsh_engine_lock(&session->engine);
    (void)pthread_mutex_lock(lock);
    if (!session->partner && setting)
        session->partner = calloc(1, sizeof(*session->partner));
    if (session->partner) {
        char *before = session->partner->setting;

        session->partner->setting = setting;
        setting = before;
    } else if (setting) {
        status = FRESHET_ENOMEM;
    }
    (void)pthread_mutex_unlock(lock);
    free(setting);
    return status;
}

/* ---- status ------------------------------------------------------------------------------ */

#define READING_MS 5000 /* longer than a store takes to say that it is busy */

struct looking {
    struct freshet_session *session;
    struct freshet_session_status *ret_status;
    bool reading;
};

enum freshet_phase fsh_lib_phase(enum fsh_phase phase)
{
    static const enum freshet_phase phases[] = {
        [FSH_PHASE_NONE] = FRESHET_PHASE_NONE,   [FSH_PHASE_LIVE] = FRESHET_PHASE_LIVE,
        [FSH_PHASE_ENDED] = FRESHET_PHASE_ENDED, [FSH_PHASE_SIGNED_OUT] = FRESHET_PHASE_SIGNED_OUT,
        [FSH_PHASE_HELD] = FRESHET_PHASE_HELD,
    };

    return phases[phase];
}

bool fsh_lib_look(struct freshet_session *session, struct freshet_session_status *ret_status)
{
    struct fsh_session *engine = &session->engine;
    struct fsh_core core;
    struct fsh_mono now = fsh_clock_mono();
    struct fsh_mono wake;

    /* Only its keeper knows. */
    if (session->freshet->keeper) {
        *ret_status = (struct freshet_session_status){.status = FRESHET_EUNAVAILABLE};
        return false;
    }
    fsh_engine_core(engine, &core);
    wake = fsh_core_wake_at(&core);
    *ret_status = (struct freshet_session_status){
        .phase = fsh_lib_phase(core.record.phase),
        .usable = fsh_core_usable(&core, now),
        .challenge = core.challenge ? core.challenge : core.record.parked,
        .age_ms = -1,
        .next_ms = wake.ms == FSH_NEVER.ms ? -1
                   : wake.ms > now.ms      ? wake.ms - now.ms
                                           : 0,
        .refreshes = atomic_load(&engine->counters.refreshes),
        .sign_ins = atomic_load(&engine->counters.sign_ins),
        .failures = atomic_load(&engine->counters.failures),
        .waited = atomic_load(&engine->counters.waited),
        .ended = atomic_load(&engine->counters.ended),
        .partners = engine->token ? engine->token->partner_count : 0,
    };
    ret_status->status = ret_status->usable ? FRESHET_OK : fsh_core_why(&core);
    if (core.published) {
        fsh_lib_tell(core.published, &core.token, now, &ret_status->freshness);
        ret_status->age_ms = fsh_mono_until(core.token.sent_at, now);
    }
    return core.loaded ? core.step == FSH_STEP_ADOPT : core.failure == 0 && !core.closing;
}

static void look_on_engine(void *data)
{
    struct looking *looking = data;

    looking->reading = fsh_lib_look(looking->session, looking->ret_status);
}

/* The keeper's word on it, but for the token in hand here, which may serve on without a keeper. */
static int ask_keeper(struct freshet_session *session, struct freshet_session_status *ret_status,
                      struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_STATUS};
    int status = fsh_lib_call(session, &call, READING_MS, error);

    if (status == FRESHET_OK) {
        status = fsh_remote_read_status(fsh_base_secret_reveal(&call.answer), call.answer.len,
                                        ret_status);
        if (status != FRESHET_OK)
            (void)fsh_base_fail(error, status, "session %s: the keeper's answer: %s",
                                session->engine.name, freshet_status_text(status));
    }
    fsh_lib_call_done(&call);
    return status;
}

int freshet_session_status(struct freshet_session *session,
                           struct freshet_session_status *ret_status, struct freshet_error *error)
{
    struct looking looking = {.session = session, .ret_status = ret_status};
    const struct timespec pause = {.tv_nsec = 1000000};
    struct fsh_mono latest;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    if (session->freshet->keeper)
        return ask_keeper(session, ret_status, error);
    latest = fsh_mono_add(fsh_clock_mono(), READING_MS);
    fsh_lib_on_engine(session->freshet, look_on_engine, &looking);
    while (looking.reading && fsh_clock_mono().ms < latest.ms) {
        (void)nanosleep(&pause, NULL);
        fsh_lib_on_engine(session->freshet, look_on_engine, &looking);
    }
    return FRESHET_OK;
}
