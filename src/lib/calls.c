/* SPDX-License-Identifier: Apache-2.0 */

/* What callers want of a session: made ready here, and awaited; async.c queues the same calls. */

#include "base/error.h"
#include "lib/internal.h"

#include <string.h>

/* ---- freshness --------------------------------------------------------------------------- */

void fsh_lib_tell(uint64_t generation, const struct fsh_freshness *token, struct fsh_mono now,
                  struct freshet_freshness *ret_freshness)
{
    if (!ret_freshness)
        return;
    ret_freshness->generation = generation;
    ret_freshness->usable_ms = fsh_mono_until(now, token->usable_until);
    ret_freshness->expires_ms = fsh_mono_until(now, token->expires_at);
}

bool fsh_lib_at_hand(struct freshet_session *session, const struct freshet_demand *demand,
                     struct freshet_freshness *ret_freshness)
{
    struct fsh_mono now = fsh_clock_mono();
    struct fsh_freshness token;
    uint64_t generation;
    uint64_t reported;

    /* Who has just reported a 401 must not get the same token again: what is on its way to the
     * engine is looked at before what the engine has published. */
    reported = atomic_load_explicit(&session->engine.reported, memory_order_acquire);
    if (!fsh_engine_view(&session->engine, &generation, &token) || reported == generation)
        return false;
    if (now.ms >= token.threshold_at.ms || (demand && demand->min_valid_ms > 0)) {
        if (!fsh_core_satisfies(&token, now, demand ? demand->min_valid_ms : 0))
            return false;
        if (now.ms >= token.threshold_at.ms)
            fsh_engine_poke(&session->engine);
    }
    fsh_lib_tell(generation, &token, now, ret_freshness);
    return true;
}

void fsh_lib_make_ensure(const struct freshet_demand *demand, struct fsh_call *call)
{
    call->kind = FSH_CALL_ENSURE;
    call->min_valid_ms = demand ? demand->min_valid_ms : 0;
}

static int wait_for_token(struct freshet_session *session, const struct freshet_demand *demand,
                          struct freshet_freshness *ret_freshness, struct freshet_error *error)
{
    struct fsh_call call = {0};
    struct fsh_freshness token;
    uint64_t generation;
    int status;

    fsh_lib_make_ensure(demand, &call);
    status = fsh_lib_call(session, &call, demand ? demand->timeout_ms : 0, error);
    if (status != FRESHET_OK)
        return status;
    /* Between the engine's word and here it may have been signed out again. */
    if (!fsh_engine_view(&session->engine, &generation, &token))
        return fsh_base_fail(error, FRESHET_ESIGNEDOUT, NULL);
    fsh_lib_tell(generation, &token, fsh_clock_mono(), ret_freshness);
    return FRESHET_OK;
}

int freshet_ensure_fresh(struct freshet_session *session, const struct freshet_demand *demand,
                         struct freshet_freshness *ret_freshness, struct freshet_error *error)
{
    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    if (fsh_lib_at_hand(session, demand, ret_freshness))
        return FRESHET_OK;
    return wait_for_token(session, demand, ret_freshness, error);
}

int freshet_unauthorized(struct freshet_session *session, uint64_t generation)
{
    if (fsh_lib_forked(session->freshet))
        return FRESHET_EFORKED;
    fsh_engine_unauthorized(&session->engine, generation);
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

void fsh_lib_call_done(struct fsh_call *call)
{
    fsh_base_secret_done(&call->in.username);
    fsh_base_secret_done(&call->in.password);
    fsh_base_secret_done(&call->in.code);
    fsh_base_secret_done(&call->in.new_password);
    fsh_base_secret_done(&call->mfa.qr_uri);
    fsh_base_secret_done(&call->mfa.qr_secret);
    fsh_base_secret_done(&call->answer);
}

int fsh_lib_make_sign_in(struct freshet_session *session, const char *username,
                         const char *password, struct fsh_call *call, struct freshet_error *error)
{
    /* Whether it has any, the keeper knows. */
    static char known_to_it[] = "";
    static const struct fsh_credentials keepers = {known_to_it, known_to_it, NULL, NULL};
    const struct fsh_credentials *own = session->engine.credentials;
    int status;

    call->kind = FSH_CALL_SIGN_IN;
    if (session->freshet->keeper)
        own = &keepers;
    if (own == &keepers && !username != !password)
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "session %s is a keeper's: pass a username and a password, or neither",
                             session->engine.name);
    if (!username && !own->username)
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "session %s has no username of its own: pass one",
                             session->engine.name);
    if (!password && !own->password && !own->password_file)
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "session %s has no password of its own: pass one",
                             session->engine.name);
    status = fsh_lib_copy_text(username, FSH_CREDENTIAL_MAX, "username", &call->in.username, error);
    if (status == FRESHET_OK)
        status =
            fsh_lib_copy_text(password, FSH_CREDENTIAL_MAX, "password", &call->in.password, error);
    return status;
}

int fsh_lib_make_mfa(const char *code, bool remember_device, struct fsh_call *call,
                     struct freshet_error *error)
{
    call->kind = FSH_CALL_MFA;
    call->in.remember_device = remember_device;
    return fsh_lib_copy_text(code ? code : "", FSH_CREDENTIAL_MAX, "code", &call->in.code, error);
}

int fsh_lib_make_new_password(const char *new_password, struct fsh_call *call,
                              struct freshet_error *error)
{
    call->kind = FSH_CALL_NEW_PASSWORD;
    return fsh_lib_copy_text(new_password ? new_password : "", FSH_CREDENTIAL_MAX, "new_password",
                             &call->in.new_password, error);
}

/* Awaits a call that was made with `status`, and ends it. */
static int await_made(struct freshet_session *session, struct fsh_call *call, int status,
                      int64_t timeout_ms, struct freshet_error *error)
{
    if (status == FRESHET_OK)
        status = fsh_lib_call(session, call, timeout_ms, error);
    fsh_lib_call_done(call);
    return status;
}

int freshet_sign_in(struct freshet_session *session, const char *username, const char *password,
                    int64_t timeout_ms, struct freshet_error *error)
{
    struct fsh_call call = {0};
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    status = fsh_lib_make_sign_in(session, username, password, &call, error);
    return await_made(session, &call, status, timeout_ms, error);
}

int freshet_answer_mfa(struct freshet_session *session, const char *code, bool remember_device,
                       int64_t timeout_ms, struct freshet_error *error)
{
    struct fsh_call call = {0};
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    status = fsh_lib_make_mfa(code, remember_device, &call, error);
    return await_made(session, &call, status, timeout_ms, error);
}

int freshet_answer_new_password(struct freshet_session *session, const char *new_password,
                                int64_t timeout_ms, struct freshet_error *error)
{
    struct fsh_call call = {0};
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    status = fsh_lib_make_new_password(new_password, &call, error);
    return await_made(session, &call, status, timeout_ms, error);
}

int freshet_sign_out(struct freshet_session *session, bool hold, struct freshet_error *error)
{
    struct fsh_call call = {.kind = FSH_CALL_SIGN_OUT, .in.hold = hold};

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    return await_made(session, &call, FRESHET_OK, 0, error);
}
