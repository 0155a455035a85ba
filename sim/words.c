/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <freshet/status.h>
#include <stdarg.h>
#include <string.h>

/* The words of a trace. */

static const char *const errands[] = {
    [FSH_ERRAND_NONE] = "nothing",
    [FSH_ERRAND_REFRESH] = "refresh",
    [FSH_ERRAND_SIGN_IN] = "sign-in",
    [FSH_ERRAND_MFA] = "MFA answer",
    [FSH_ERRAND_NEW_PASSWORD] = "new password",
    [FSH_ERRAND_PROBE] = "probe",
};

static const char *const changes[] = {
    [FSH_CHANGE_READ] = "reading",    [FSH_CHANGE_LEASE] = "lease",
    [FSH_CHANGE_RELEASE] = "release", [FSH_CHANGE_COMMIT] = "commit",
    [FSH_CHANGE_END] = "end",         [FSH_CHANGE_SIGN_OUT] = "sign-out",
    [FSH_CHANGE_PARK] = "parking",    [FSH_CHANGE_LOSE] = "loss of the rotation",
};

static const char *const phases[] = {
    [FSH_PHASE_NONE] = "never signed in",
    [FSH_PHASE_LIVE] = "live",
    [FSH_PHASE_ENDED] = "ended",
    [FSH_PHASE_SIGNED_OUT] = "signed out",
    [FSH_PHASE_HELD] = "held by an operator",
};

static const char *const notes[FSH_NOTE_KINDS] = {
    [FSH_NOTE_OPENED] = "has read its record",
    [FSH_NOTE_REFRESH_BACKGROUND] = "wants to refresh: it is time",
    [FSH_NOTE_REFRESH_CALLER] = "wants to refresh: a caller found little time left",
    [FSH_NOTE_REFRESH_NEEDED] = "wants to refresh: no usable token is left",
    [FSH_NOTE_REFRESH_REPLAY] = "asks again within the grace of rotation",
    [FSH_NOTE_SIGN_IN_AUTOMATIC] = "wants to sign in by itself",
    [FSH_NOTE_SIGN_IN_EXPLICIT] = "signs in for a person",
    [FSH_NOTE_ANSWERED_CHALLENGE] = "answers the challenge for a person",
    [FSH_NOTE_REFRESHED] = "has refreshed",
    [FSH_NOTE_SIGNED_IN] = "has signed in",
    [FSH_NOTE_ADOPTED] = "has adopted another engine's token",
    [FSH_NOTE_FAILED] = "the exchange failed",
    [FSH_NOTE_STORE_FAILED] = "the store failed",
    [FSH_NOTE_WAITING_FOR_LEASE] = "waits for another engine's lease",
    [FSH_NOTE_CHALLENGED] = "met a challenge",
    [FSH_NOTE_PARKED] = "is parked until an operator comes",
    [FSH_NOTE_401_LATE] = "a 401 of another generation ends nothing",
    [FSH_NOTE_401_HELD] = "a 401 is held until the flight has landed",
    [FSH_NOTE_401_UNUSABLE] = "a 401 of a token past its use ends nothing",
    [FSH_NOTE_401_COUNTS] = "a 401 counts",
    [FSH_NOTE_PROBE] = "asks by a probe whether the session is dead",
    [FSH_NOTE_PROBE_SAYS_ALIVE] = "the probe says: alive",
    [FSH_NOTE_PROBE_SAYS_DEAD] = "the probe says: dead",
    [FSH_NOTE_PROBE_FAILED] = "the probe failed",
    [FSH_NOTE_ENDED] = "the session has ended",
    [FSH_NOTE_SIGNED_OUT] = "is signed out",
    [FSH_NOTE_LOST_ROTATION] = "the rotated refresh token is lost",
};

const char *sim_engine_name(int engine)
{
    static const char *const names[SIM_ENGINES] = {"A", "B", "C"};

    return names[engine];
}

const char *sim_session_name(const struct sim_world *world, int session)
{
    static const char *const services[SIM_SESSIONS] = {"billing", "mailer"};
    static const char *const people[SIM_SESSIONS] = {"ann", "bob"};

    return world->plan.service[session] ? services[session] : people[session];
}

const char *sim_errand_name(enum fsh_errand errand)
{
    return errands[errand];
}

const char *sim_change_name(const struct fsh_change *change)
{
    if (change->kind == FSH_CHANGE_LEASE || change->kind == FSH_CHANGE_COMMIT)
        return change->purpose == FSH_PURPOSE_SIGN_IN
                   ? (change->kind == FSH_CHANGE_LEASE ? "lease to sign in" : "commit of a sign-in")
                   : (change->kind == FSH_CHANGE_LEASE ? "lease to refresh"
                                                       : "commit of a refresh");
    return changes[change->kind];
}

const char *sim_phase_name(enum fsh_phase phase)
{
    return phases[phase];
}

const char *sim_note_text(enum fsh_note_kind note)
{
    return notes[note];
}

const char *sim_status_name(int status)
{
    const char *name = freshet_status_name(status);

    return strncmp(name, "FRESHET_", 8) == 0 ? name + 8 : name;
}

static void append(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(char *text, const char *format, ...)
{
    size_t len = strlen(text);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text + len, SIM_LINE - len, format, args);
    va_end(args);
}

void sim_tell_answer(struct sim_world *world, const struct sim_event *event, const char *what)
{
    static const char *const kinds[] = {
        [FSH_RESULT_GRANT] = "granted",
        [FSH_RESULT_CHALLENGE] = "challenged",
        [FSH_RESULT_DEFINITE] = "refused",
        [FSH_RESULT_TRANSIENT] = "failed, and nothing was done",
        [FSH_RESULT_UNKNOWN] = "failed, and the outcome is not known",
        [FSH_RESULT_LOCAL] = "nothing was sent",
    };
    const struct fsh_result *result = &event->result;
    char text[SIM_LINE] = "";

    if (world->telling == SIM_TELL_NOTHING)
        return;
    append(text, "%s %s: %s", what, sim_errand_name(event->errand), kinds[result->kind]);
    if (result->kind == FSH_RESULT_GRANT && event->grant.access)
        append(text, ", access token %u for %.1f s", event->grant.access,
               (double)result->lifetime_ms / 1000.0);
    if (result->kind == FSH_RESULT_GRANT && event->grant.refresh)
        append(text, ", refresh token %u", event->grant.refresh);
    if (result->suspended)
        append(text, ", of a suspended account");
    if (result->status)
        append(text, " (%s)", sim_status_name(result->status));
    if (result->retry_after_ms > 0)
        append(text, ", Retry-After %.1f s", (double)result->retry_after_ms / 1000.0);
    sim_say(world, event->engine, event->session, "%s", text);
}
