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

static void session_free(struct freshet_session *session)
{
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

/* The engine's half goes when what is in the air has landed, and takes this half along. */
static void closed(void *data)
{
    session_free(data);
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
    (void)pthread_mutex_init(&session->lock, NULL);
    if (copy(name, &session->name) != FRESHET_OK ||
        copy(known.partner_id, &session->preset) != FRESHET_OK)
        status = fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    else
        status = open_engine_session(session, &known, error);
    if (status != FRESHET_OK) {
        session_free(session);
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
    fsh_lib_on_engine(session->freshet, close_on_engine, session);
}

const char *freshet_session_name(const struct freshet_session *session)
{
    return session->name;
}

/* ---- freshness --------------------------------------------------------------------------- */

static void tell(uint64_t generation, const struct fsh_freshness *token, struct fsh_mono now,
                 struct freshet_freshness *ret_freshness)
{
    if (!ret_freshness)
        return;
    ret_freshness->generation = generation;
    ret_freshness->usable_ms = fsh_mono_until(now, token->usable_until);
    ret_freshness->expires_ms = fsh_mono_until(now, token->expires_at);
}

static int wait_for_token(struct freshet_session *session, const struct freshet_demand *demand,
                          struct freshet_freshness *ret_freshness, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_ENSURE};
    struct fsh_freshness token;
    uint64_t generation;
    int status;

    call.min_valid_ms = demand ? demand->min_valid_ms : 0;
    status = fsh_lib_call(session, &call, demand ? demand->timeout_ms : 0, error);
    if (status != FRESHET_OK)
        return status;
    /* Between the engine's word and here it may have been signed out again. */
    if (!fsh_view_read(&session->engine->view, &generation, &token))
        return fsh_base_fail(error, FRESHET_ESIGNEDOUT, NULL);
    tell(generation, &token, fsh_clock_mono(), ret_freshness);
    return FRESHET_OK;
}

int freshet_ensure_fresh(struct freshet_session *session, const struct freshet_demand *demand,
                         struct freshet_freshness *ret_freshness, struct freshet_error *error)
{
    struct fsh_freshness token;
    struct fsh_mono now;
    uint64_t generation;
    uint64_t reported;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    /* Who has just reported a 401 must not get the same token again: what is on its way to the
     * engine is looked at before what the engine has published. */
    reported = atomic_load_explicit(&session->engine->reported, memory_order_acquire);
    if (!fsh_view_read(&session->engine->view, &generation, &token) || reported == generation)
        return wait_for_token(session, demand, ret_freshness, error);
    now = fsh_clock_mono();
    if (now.ms >= token.threshold_at.ms || (demand && demand->min_valid_ms > 0)) {
        if (!fsh_core_satisfies(&token, now, demand ? demand->min_valid_ms : 0))
            return wait_for_token(session, demand, ret_freshness, error);
        if (now.ms >= token.threshold_at.ms)
            fsh_engine_poke(session->engine);
    }
    tell(generation, &token, now, ret_freshness);
    return FRESHET_OK;
}

int freshet_unauthorized(struct freshet_session *session, uint64_t generation)
{
    if (fsh_lib_forked(session->freshet))
        return FRESHET_EFORKED;
    fsh_engine_unauthorized(session->engine, generation);
    return FRESHET_OK;
}

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

/* ---- signing in and out ------------------------------------------------------------------ */

int fsh_lib_copy_text(const char *text, size_t most, const char *what, struct fsh_secret *ret_copy,
                      struct freshet_error *error)
{
    if (!text)
        return FRESHET_OK;
    if (text[0] == '\0' || strlen(text) > most)
        return fsh_base_fail(error, FRESHET_EINVAL, "%s: 1 to %zu bytes", what, most);
    if (fsh_base_secret_copy(text, strlen(text), ret_copy) != FRESHET_OK)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    return FRESHET_OK;
}

static void input_done(struct fsh_call *call)
{
    fsh_base_secret_done(&call->in.username);
    fsh_base_secret_done(&call->in.password);
    fsh_base_secret_done(&call->in.code);
    fsh_base_secret_done(&call->in.new_password);
}

/* Goes on with a call whose input was copied with `status`. */
static int call_with_input(struct freshet_session *session, struct fsh_call *call, int status,
                           int64_t timeout_ms, struct freshet_error *error)
{
    if (status == FRESHET_OK)
        return fsh_lib_call(session, call, timeout_ms, error);
    input_done(call);
    return status;
}

int freshet_sign_in(struct freshet_session *session, const char *username, const char *password,
                    int64_t timeout_ms, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_SIGN_IN};
    const struct fsh_credentials *own = &session->engine->credentials;
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    if (!username && !own->username)
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "session %s has no username of its own: pass one", session->name);
    if (!password && !own->password && !own->password_file)
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "session %s has no password of its own: pass one", session->name);
    status = fsh_lib_copy_text(username, FSH_CREDENTIAL_MAX, "username", &call.in.username, error);
    if (status == FRESHET_OK)
        status =
            fsh_lib_copy_text(password, FSH_CREDENTIAL_MAX, "password", &call.in.password, error);
    return call_with_input(session, &call, status, timeout_ms, error);
}

int freshet_answer_mfa(struct freshet_session *session, const char *code, bool remember_device,
                       int64_t timeout_ms, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_MFA, .in.remember_device = remember_device};
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    status = fsh_lib_copy_text(code ? code : "", FSH_CREDENTIAL_MAX, "code", &call.in.code, error);
    return call_with_input(session, &call, status, timeout_ms, error);
}

int freshet_answer_new_password(struct freshet_session *session, const char *new_password,
                                int64_t timeout_ms, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_NEW_PASSWORD};
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    status = fsh_lib_copy_text(new_password ? new_password : "", FSH_CREDENTIAL_MAX, "new_password",
                               &call.in.new_password, error);
    return call_with_input(session, &call, status, timeout_ms, error);
}

int freshet_sign_out(struct freshet_session *session, bool hold, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_SIGN_OUT, .in.hold = hold};

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    return fsh_lib_call(session, &call, 0, error);
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
        tell(core->published, &core->token, now, &ret->freshness);
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
