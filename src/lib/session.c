/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "lib/internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- open and close ---------------------------------------------------------------------- */

static int read_options(const struct freshet_session_options *given,
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
    if (options.kind == FRESHET_SERVICE &&
        (!options.username || (!options.password && !options.password_file)))
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "a service signs in by itself: it needs a username and a password");
    if (options.username && strlen(options.username) > FSH_CREDENTIAL_MAX)
        return fsh_base_fail(error, FRESHET_EINVAL, "username: more than %d bytes",
                             FSH_CREDENTIAL_MAX);
    if (options.partner_id && strlen(options.partner_id) > FSH_PARTNER_ID_MAX)
        return fsh_base_fail(error, FRESHET_EINVAL, "partner_id: more than %d bytes",
                             FSH_PARTNER_ID_MAX);
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

struct freshet_session *fsh_lib_session_ref(struct freshet_session *session)
{
    atomic_fetch_add_explicit(&session->references, 1, memory_order_relaxed);
    return session;
}

void fsh_lib_session_unref(struct freshet_session *session)
{
    /* The last one must see all that others did with it before it frees. */
    if (atomic_fetch_sub_explicit(&session->references, 1, memory_order_acq_rel) != 1)
        return;
    (void)pthread_mutex_destroy(&session->lock);
    free(session->name);
    free(session->preset);
    free(session->setting);
    free(session);
}

struct opening {
    struct freshet_session *session;
    struct fsh_session_options options;
    struct freshet_error *error;
    int status;
};

static void open_on_engine(void *data)
{
    struct opening *opening = data;
    struct freshet_session *session = opening->session;

    opening->status = fsh_engine_session_open(fsh_loop_engine(session->freshet->loop),
                                              &opening->options, &session->engine, opening->error);
}

/* The engine's half goes when what is in the air has landed, and with it its reference. */
static void closed(void *data)
{
    struct freshet_session *session = data;

    atomic_store(&session->closed, true);
    fsh_lib_session_unref(session);
}

static int open_engine_session(struct freshet_session *session,
                               const struct freshet_session_options *options,
                               struct freshet_error *error)
{
    struct opening opening = {
        .session = session,
        .options =
            {
                .name = session->name,
                .service = options->kind == FRESHET_SERVICE,
                .background = !options->on_demand,
                .first_party = options->first_party,
                .threshold_ms = session->freshet->threshold_ms,
                .sign_in_pause_ms = FSH_SIGN_IN_PAUSE_MS,
                .closed = closed,
                .closed_data = session,
                .credentials = {.password = options->password,
                                .password_data = options->password_data},
            },
        .error = error,
    };
    struct fsh_credentials *credentials = &opening.options.credentials;

    if (copy(options->username, &credentials->username) != FRESHET_OK ||
        copy(options->password_file, &credentials->password_file) != FRESHET_OK)
        opening.status = fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    else
        fsh_lib_on_engine(session->freshet, open_on_engine, &opening);
    /* Empty when the engine has taken them over. */
    fsh_engine_credentials_done(credentials);
    return opening.status;
}

int freshet_session_open(struct freshet *freshet, const char *name,
                         const struct freshet_session_options *options,
                         struct freshet_session **ret_session, struct freshet_error *error)
{
    struct freshet_session_options known = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session *session;
    int status;

    if (fsh_lib_forked(freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    if (!good_name(name))
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "a session's name is 1 to %d bytes of printable ASCII, no spaces",
                             FSH_NAME_MAX);
    status = read_options(options, &known, error);
    if (status != FRESHET_OK)
        return status;
    session = calloc(1, sizeof(*session));
    if (!session)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    session->freshet = freshet;
    atomic_init(&session->references, 1);
    (void)pthread_mutex_init(&session->lock, NULL);
    if (copy(name, &session->name) != FRESHET_OK ||
        copy(known.partner_id, &session->preset) != FRESHET_OK)
        status = fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    else
        status = open_engine_session(session, &known, error);
    if (status != FRESHET_OK) {
        fsh_lib_session_unref(session);
        return status;
    }
    *ret_session = session;
    return FRESHET_OK;
}

static void close_on_engine(void *data)
{
    struct freshet_session *session = data;

    fsh_engine_session_close(session->engine);
}

void freshet_session_close(struct freshet_session *session)
{
    if (!session || fsh_lib_forked(session->freshet))
        return;
    atomic_store(&session->closed, true);
    fsh_lib_on_engine(session->freshet, close_on_engine, session);
}

const char *freshet_session_name(const struct freshet_session *session)
{
    return session->name;
}

/* ---- the partner --------------------------------------------------------------------------- */

int freshet_partner_set(struct freshet_session *session, const char *partner)
{
    char *setting;
    char *before;

    if (fsh_lib_forked(session->freshet))
        return FRESHET_EFORKED;
    if (partner && (partner[0] == '\0' || strlen(partner) > FSH_PARTNER_ID_MAX))
        return FRESHET_EINVAL;
    if (copy(partner, &setting) != FRESHET_OK)
        return FRESHET_ENOMEM;
    (void)pthread_mutex_lock(&session->lock);
    before = session->setting;
    session->setting = setting;
    (void)pthread_mutex_unlock(&session->lock);
    free(before);
    return FRESHET_OK;
}

/* ---- status ------------------------------------------------------------------------------ */

struct looking {
    struct freshet_session *session;
    struct freshet_session_status *ret_status;
};

static enum freshet_phase public_phase(enum fsh_phase phase)
{
    static const enum freshet_phase phases[] = {
        [FSH_PHASE_NONE] = FRESHET_PHASE_NONE,   [FSH_PHASE_LIVE] = FRESHET_PHASE_LIVE,
        [FSH_PHASE_ENDED] = FRESHET_PHASE_ENDED, [FSH_PHASE_SIGNED_OUT] = FRESHET_PHASE_SIGNED_OUT,
        [FSH_PHASE_HELD] = FRESHET_PHASE_HELD,
    };

    return phases[phase];
}

static void look_on_engine(void *data)
{
    struct looking *looking = data;
    struct fsh_session *engine = looking->session->engine;
    const struct fsh_core *core = &engine->core;
    struct fsh_mono now = fsh_clock_mono();
    struct fsh_mono wake = fsh_core_wake_at(core);
    struct freshet_session_status *ret = looking->ret_status;

    *ret = (struct freshet_session_status){
        .phase = public_phase(core->record.phase),
        .usable = fsh_core_usable(core, now),
        .challenge = core->challenge ? core->challenge : core->record.parked,
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
    ret->status = ret->usable ? FRESHET_OK : fsh_core_why(core);
    if (core->published) {
        fsh_lib_tell(core->published, &core->token, now, &ret->freshness);
        ret->age_ms = fsh_mono_until(core->token.sent_at, now);
    }
}

int freshet_session_status(struct freshet_session *session,
                           struct freshet_session_status *ret_status, struct freshet_error *error)
{
    struct looking looking = {session, ret_status};

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    fsh_lib_on_engine(session->freshet, look_on_engine, &looking);
    return FRESHET_OK;
}
