/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_SESSION_H
#define FRESHET_SESSION_H

#include <freshet/client.h>
#include <freshet/error.h>
#include <freshet/export.h>
#include <freshet/headers.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One account's session with a platform. Any thread may use it. */
struct freshet_session;

/** Who signs the session in. */
enum freshet_session_kind {
    /** A person, by freshet_sign_in and the answers to challenges. */
    FRESHET_INTERACTIVE,
    /** Freshet itself, whenever it is needed, with the account of the options. */
    FRESHET_SERVICE,
};

/** What freshet_session_open needs to know. All strings are copied. Initialise with
 *  FRESHET_SESSION_OPTIONS_INIT. */
struct freshet_session_options {
    /** sizeof(struct freshet_session_options). */
    size_t size;
    enum freshet_session_kind kind;
    /** The account of a service; NULL for interactive sessions. */
    const char *username;
    /** File that holds the password of a service, read anew at each sign-in; or: */
    const char *password_file;
    /** ... a function that writes the password and a NUL into `ret_password` and returns 0. It is
     *  called on Freshet's thread and must not call Freshet. */
    int (*password)(void *data, char *ret_password, size_t size);
    void *password_data;
    /** Partner id of requests that choose none; NULL for the only one there is. */
    const char *partner_id;
    /** Refuse accounts of external users. */
    bool first_party;
    /** Do not refresh in the background, only when used. */
    bool on_demand;
    /** As in struct freshet_options, for this session alone; 0 for what those say. */
    int64_t threshold_ms;
    /** Milliseconds between two automatic sign-ins of a service, at least; 0 for 30,000. */
    int64_t sign_in_pause_ms;
    /** 32 bytes that only the session's owner carries, as a browser does in its cookie, or NULL.
     *  What the stores keep of the session is sealed with them besides the stores' own keys: with
     *  another key, or without, the session has no token, and nothing of it is lost. Copied, and
     *  wiped when the session goes. To sign out needs no key. */
    const unsigned char *session_key;
};

/** The defaults. */
#define FRESHET_SESSION_OPTIONS_INIT                                                               \
    {                                                                                              \
        sizeof(struct freshet_session_options), FRESHET_INTERACTIVE, 0, 0, 0, 0, 0, false, false,  \
            0, 0, 0                                                                                \
    }

/** Opens a session: reads what the store has of it, and lets a service sign in, in the background.
 *
 *  @param name         name of the session in the store, 1 to 128 bytes of printable ASCII without
 *                      spaces; one handle may have each name open once.
 *  @param options      borrowed.
 *  @param ret_session  the session; freshet_session_close or freshet_close ends it.
 *  @return FRESHET_OK, FRESHET_EINVAL, FRESHET_EFORKED, FRESHET_ENOMEM. */
FRESHET_EXPORT int freshet_session_open(struct freshet *freshet, const char *name,
                                        const struct freshet_session_options *options,
                                        struct freshet_session **ret_session,
                                        struct freshet_error *error);

/** Ends the use of a session in this process; it stays signed in. Callers who wait are told
 *  FRESHET_ECLOSED. NULL is allowed. The session must not be used by anybody afterwards. */
FRESHET_EXPORT void freshet_session_close(struct freshet_session *session);

/** What a caller asks for beyond a usable token. */
struct freshet_demand {
    /** Milliseconds that must be left of the token, else the caller awaits a refresh; 0 for any
     *  usable token. More than three quarters of a token's life counts as three quarters. */
    int64_t min_valid_ms;
    /** Milliseconds to wait at the most; 0 for 20,000; negative: do not wait. */
    int64_t timeout_ms;
};

/** What is known of the token in force. */
struct freshet_freshness {
    /** Serial number of the token; grows for ever. */
    uint64_t generation;
    /** Milliseconds for which it may still be used. */
    int64_t usable_ms;
    /** Milliseconds until it expires. */
    int64_t expires_ms;
};

/** Makes sure that a usable token is there.
 *
 *  Returns at once when one is: without a lock, an allocation or a system call. If less than the
 *  threshold is left it sets a refresh going, and goes on. Only without a usable token does the
 *  caller wait, for the one flight that all callers share.
 *
 *  @param demand         NULL for the defaults.
 *  @param ret_freshness  NULL, or what is known of the token; written on success only.
 *  @return FRESHET_OK; a status of the class RETRY, ENDED or CHALLENGE that says what is the case,
 *          with FRESHET_EUNAVAILABLE when the deadline passed; FRESHET_ENOMEM; FRESHET_EFORKED;
 *          FRESHET_ECLOSED. */
FRESHET_EXPORT int freshet_ensure_fresh(struct freshet_session *session,
                                        const struct freshet_demand *demand,
                                        struct freshet_freshness *ret_freshness,
                                        struct freshet_error *error);

/** Takes a reference to the headers of the token in force. Does not wait and does not refresh: call
 *  freshet_ensure_fresh before.
 *
 *  @param partner      partner id of this request; NULL for the session's.
 *  @param ret_headers  give it back with freshet_headers_unref.
 *  @return FRESHET_OK; FRESHET_EPARTNER, FRESHET_EPARTNERCHOICE; FRESHET_EUNAVAILABLE when no
 *          usable token is there; FRESHET_EFORKED. */
FRESHET_EXPORT int freshet_headers_get(struct freshet_session *session, const char *partner,
                                       const struct freshet_headers **ret_headers,
                                       struct freshet_error *error);

/** Tells that a request with the token of `generation` was answered 401. Returns at once; late
 *  reports, and the same one ten thousand times, are harmless. Any thread.
 *
 *  @return FRESHET_OK, FRESHET_EFORKED. */
FRESHET_EXPORT int freshet_unauthorized(struct freshet_session *session, uint64_t generation);

/** Sets the partner id of the session's requests that choose none themselves; NULL takes it back.
 *  It is not checked against the account's: a request with one that is not allowed is refused.
 *
 *  @return FRESHET_OK, FRESHET_EINVAL, FRESHET_ENOMEM, FRESHET_EFORKED. */
FRESHET_EXPORT int freshet_partner_set(struct freshet_session *session, const char *partner);

/** Signs in, and waits for the outcome.
 *
 *  @param username    NULL for the account of the session's options.
 *  @param password    NULL likewise. Copied, and wiped after use; the caller wipes its own.
 *  @param timeout_ms  0 for 20,000. When it passes the attempt goes on.
 *  @return FRESHET_OK; FRESHET_EMFA or FRESHET_ENEWPASSWORD: answer the challenge;
 *          FRESHET_ECREDENTIALS, FRESHET_ESUSPENDED, FRESHET_EEXTERNALUSER; FRESHET_EBUSY;
 *          a status of the class RETRY; FRESHET_EINVAL; FRESHET_ENOMEM; FRESHET_EFORKED. */
FRESHET_EXPORT int freshet_sign_in(struct freshet_session *session, const char *username,
                                   const char *password, int64_t timeout_ms,
                                   struct freshet_error *error);

/** Answers the challenge of FRESHET_EMFA.
 *
 *  @param code             what the person's device shows.
 *  @param remember_device  spare this account the challenge from now on, on this store.
 *  @return as freshet_sign_in, with FRESHET_EMFACODE for a wrong code (answer again),
 *          FRESHET_ECHALLENGEOVER (sign in again) and FRESHET_ENOCHALLENGE. */
FRESHET_EXPORT int freshet_answer_mfa(struct freshet_session *session, const char *code,
                                      bool remember_device, int64_t timeout_ms,
                                      struct freshet_error *error);

/** Answers the challenge of FRESHET_ENEWPASSWORD.
 *
 *  @return as freshet_answer_mfa, with FRESHET_EPASSWORDPOLICY for a password that is too weak. */
FRESHET_EXPORT int freshet_answer_new_password(struct freshet_session *session,
                                               const char *new_password, int64_t timeout_ms,
                                               struct freshet_error *error);

/** Signs out: the tokens are gone when it returns, and a flight in the air loses.
 *
 *  @param hold  an operator's: the session comes back by freshet_sign_in only. A service's sign-out
 *               is always one, since it would sign in again at once.
 *  @return FRESHET_OK; FRESHET_ESTORE: signed out here, and the store is told as soon as it can be
 *          written; FRESHET_EUNAVAILABLE: the same, of a store that has not answered within 20 s;
 *          FRESHET_ENOMEM: nothing was done; FRESHET_EFORKED. */
FRESHET_EXPORT int freshet_sign_out(struct freshet_session *session, bool hold,
                                    struct freshet_error *error);

/** What a session is. */
enum freshet_phase {
    FRESHET_PHASE_NONE,
    FRESHET_PHASE_LIVE,
    FRESHET_PHASE_ENDED,
    FRESHET_PHASE_SIGNED_OUT,
    FRESHET_PHASE_HELD,
};

/** A look at a session. Plain values; holds no secret. */
struct freshet_session_status {
    enum freshet_phase phase;
    /** FRESHET_OK, or what a caller would be told now. */
    int status;
    /** Whether a usable token is there. */
    bool usable;
    /** The challenge that waits for an operator or a person, as a status; FRESHET_OK for none. */
    int challenge;
    struct freshet_freshness freshness;
    /** Milliseconds since the token was asked for; -1 without a token. */
    int64_t age_ms;
    /** Milliseconds until the session does something by itself; -1 for nothing. */
    int64_t next_ms;
    uint64_t refreshes;
    uint64_t sign_ins;
    /** Exchanges that granted nothing. */
    uint64_t failures;
    /** Callers who waited for a flight, and so shared it. */
    uint64_t waited;
    /** Times that the session was ended. */
    uint64_t ended;
    /** Partner ids that the account may use. */
    size_t partners;
};

/** Looks at a session, through the background thread. Right after freshet_session_open it waits
 *  until the store has told what it has of the session, 5 seconds at the most; never for the
 *  platform.
 *
 *  Of a keeper's session, what the keeper says: counters and `waited` are of all who use it.
 *
 *  @return FRESHET_OK, FRESHET_EFORKED; of a keeper's session also why the keeper does not tell,
 * such as FRESHET_EUNAVAILABLE or FRESHET_EACCESS. */
FRESHET_EXPORT int freshet_session_status(struct freshet_session *session,
                                          struct freshet_session_status *ret_status,
                                          struct freshet_error *error);

/** The name that the session was opened with. Valid as long as the session. Any thread. */
FRESHET_EXPORT const char *freshet_session_name(const struct freshet_session *session);

#ifdef __cplusplus
}
#endif

#endif
