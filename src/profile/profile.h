/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_PROFILE_PROFILE_H
#define FSH_PROFILE_PROFILE_H

#include "base/bounds.h"
#include "base/secret.h"
#include "base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A profile says how a platform speaks: paths, field names, error codes, the authorization scheme,
 * whether refresh tokens rotate. It is a table of data, and the codec below turns structs into
 * messages and answers into structs by it. Nothing outside this folder knows a path or a field.
 *
 * Pure functions: no clock, no I/O, no state. Any thread. */
struct fsh_profile;

/* What can be asked of a platform. */
enum fsh_exchange_kind {
    FSH_EXCHANGE_SIGN_IN,
    FSH_EXCHANGE_MFA,
    FSH_EXCHANGE_NEW_PASSWORD,
    FSH_EXCHANGE_REFRESH,
    FSH_EXCHANGE_PROBE, /* the call that tells whether an access token is still good (rule 3) */
    FSH_EXCHANGE_MFA_SETTINGS_GET,
    FSH_EXCHANGE_MFA_SETTINGS_PUT,
    FSH_EXCHANGE_TOTP_GET,
    FSH_EXCHANGE_TOTP_PUT,
    FSH_EXCHANGE_KINDS
};

/* A challenge of the platform. */
enum fsh_challenge {
    FSH_CHALLENGE_NONE,
    FSH_CHALLENGE_MFA,
    FSH_CHALLENGE_NEW_PASSWORD,
    FSH_CHALLENGE_OTHER /* one that this version cannot answer */
};

/* What an exchange asks with; each kind reads the fields that it needs. Borrowed, never kept. */
struct fsh_question {
    const char *username;
    const struct fsh_secret *password;         /* SIGN_IN */
    const struct fsh_secret *device_key;       /* SIGN_IN of a remembered device, or NULL */
    const struct fsh_secret *device_group_key; /* with device_key */
    const struct fsh_secret *session;          /* MFA, NEW_PASSWORD: the challenge's Session */
    const struct fsh_secret *code;             /* MFA, TOTP_PUT */
    const struct fsh_secret *new_password;     /* NEW_PASSWORD */
    const struct fsh_secret *refresh_token;    /* REFRESH */
    bool remember_device;                      /* MFA */
    int mfa_enabled;                           /* MFA_SETTINGS_PUT: 1, 0, or -1 to leave it */
    const char *mfa_method;                    /* MFA_SETTINGS_PUT: preferred method, or NULL */
};

/* A message to the platform. The body is JSON, empty for GET. */
struct fsh_message {
    const char *method;     /* static */
    const char *path;       /* static; begins with '/', relative to the platform's url */
    struct fsh_secret body; /* owned */
    bool authorized;        /* carries the Authorization header of the token in force */
};

/* What came back, as the transport saw it. Borrowed. */
struct fsh_reply {
    bool complete;           /* status line, headers and whole body arrived, within the bounds */
    bool sent;               /* a byte of the request may have left this machine */
    int http_status;         /* 0 when there was no answer */
    const char *retry_after; /* the header's value, or NULL */
    const char *date;        /* the Date header's value, or NULL */
    const char *body;
    size_t body_len;
    const char *failure; /* the transport's words when there was no answer, or NULL */
};

/* How an exchange ended, as the rules tell apart. */
enum fsh_outcome {
    FSH_OUTCOME_GRANT,     /* tokens, or for PROBE and the settings calls: success */
    FSH_OUTCOME_CHALLENGE, /* the platform wants an answer first */
    FSH_OUTCOME_DEFINITE,  /* a verdict: 401, or a code that the profile lists (rule 6) */
    FSH_OUTCOME_TRANSIENT, /* no verdict, and surely nothing done: may be tried again */
    FSH_OUTCOME_UNKNOWN    /* no verdict, and it may have been done (rule 7) */
};

/* Tokens and what is known of them. */
struct fsh_grant {
    struct fsh_secret access_token;
    struct fsh_secret refresh_token; /* empty when the platform sent none: the old one stays */
    struct fsh_secret device_key;    /* both empty unless a device is to be remembered */
    struct fsh_secret device_group_key;
    int64_t lifetime_ms; /* from the moment the request was sent; at least 1 */
    bool identified;     /* an ID token came, and what follows was read from it */
    bool suspended;      /* the account is suspended */
    bool external;       /* an external user */
    char **partners;     /* ids the account may use, in the platform's order */
    size_t partner_count;
};

/* Of the MFA calls. */
struct fsh_mfa_answer {
    int enabled;              /* 1, 0, -1 unknown */
    char preferred[32];       /* "" unknown */
    struct fsh_secret qr_uri; /* TOTP_GET */
    struct fsh_secret qr_secret;
};

struct fsh_answer {
    enum fsh_outcome outcome;
    int status; /* FRESHET_OK, or what a caller would be told */
    int http_status;
    int64_t retry_after_ms;  /* -1: the platform did not say; bounded by FSH_RETRY_AFTER_MS */
    char code[FSH_CODE_MAX]; /* the platform's error code, printable ASCII; "" when there is none */
    char detail[160];        /* for people and the ledger, printable ASCII, never a secret */
    enum fsh_challenge challenge;
    struct fsh_secret challenge_session;
    struct fsh_grant grant;
    struct fsh_mfa_answer mfa;
};

/* The profile of that name, or NULL. The profiles live for ever. */
const struct fsh_profile *fsh_profile_find(const char *name);

/* The names of all profiles, NULL-terminated. */
const char *const *fsh_profile_names(void);

const char *fsh_profile_name(const struct fsh_profile *profile);

/* Whether a refresh token is replaced at each use, and for how long after its first use a replay
 * is answered like the first one, in milliseconds. */
bool fsh_profile_rotates(const struct fsh_profile *profile);
int64_t fsh_profile_grace_ms(const struct fsh_profile *profile);

/* How long a refresh token lives from its grant, in milliseconds; 0 when that is not known. */
int64_t fsh_profile_refresh_life_ms(const struct fsh_profile *profile);

/* Whether the profile names a call that can confirm a 401 (rule 3). */
bool fsh_profile_has_probe(const struct fsh_profile *profile);

/* The name of the header that carries the partner id. */
const char *fsh_profile_partner_header(const struct fsh_profile *profile);

/* The value of the Authorization header for a token: "Bearer x", or the bare token.
 * FRESHET_EBADBODY when the token has a character that no header value may have. */
int fsh_profile_authorization(const struct fsh_profile *profile,
                              const struct fsh_secret *access_token, struct fsh_secret *ret_value);

/* Builds the message of an exchange. FRESHET_EINVAL when the question lacks what the kind needs, is
 * not UTF-8, or is over the bounds; FRESHET_ENOMEM. */
int fsh_profile_ask(const struct fsh_profile *profile, enum fsh_exchange_kind kind,
                    const struct fsh_question *question, struct fsh_message *ret_message);
void fsh_profile_message_done(struct fsh_message *message);

/* Reads what came back. Never fails: hostile, truncated or missing answers are outcomes too, and
 * so is a lack of memory (TRANSIENT or UNKNOWN with FRESHET_ENOMEM, depending on what was sent).
 * `now` is the calendar's time, for a Retry-After date when the answer has no Date of its own.
 * The caller ends *ret_answer with fsh_profile_answer_done. */
void fsh_profile_read(const struct fsh_profile *profile, enum fsh_exchange_kind kind,
                      const struct fsh_reply *reply, struct fsh_wall now,
                      struct fsh_answer *ret_answer);
void fsh_profile_answer_done(struct fsh_answer *answer);
void fsh_profile_grant_done(struct fsh_grant *grant);

#endif
