/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_DEVSERVER_H
#define FRESHET_DEVSERVER_H

/* The stand-in platform of design section 1, to develop and test against. One process, loopback
 * only, everything in memory and bounded. libmicrohttpd runs one thread a connection, so a handler
 * may sleep; `lock` of the server guards what handlers share, and is never held while signing,
 * sleeping or sending. */

#include <jansson.h>
#include <microhttpd.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define DEV_BODY_MAX           (256 * 1024)      /* bytes of a request's body that are read */
#define DEV_DISCARD_MAX        (8 * 1024 * 1024) /* beyond, the connection is closed without an answer */
#define DEV_CONNECTIONS_MAX    4096
#define DEV_JSON_DEPTH_MAX     16
#define DEV_DIGEST_LEN         32
#define DEV_PASSWORD_MAX       256
#define DEV_TEXT_MAX           4096      /* bytes of other text fields, tokens but access tokens */
#define DEV_GROUPS_MAX         512       /* groups of one account */
#define DEV_LOAD_MAX           65536     /* accounts load-0 ... */
#define DEV_DEVICES_MAX        8         /* remembered devices of one account */
#define DEV_FAULTS_MAX         64        /* in force at once */
#define DEV_WAIT_MAX_MS        300000    /* the longest latency */
#define DEV_CHALLENGES_MAX     4096      /* open at once; the oldest go first */
#define DEV_REFRESH_TOKENS_MAX (1 << 18) /* remembered; the oldest go first */
#define DEV_ACCESS_TOKENS_MAX  (1 << 16) /* whose exact end is known; for others `exp` counts */
#define DEV_REQUEST_IDS_MAX    (1 << 16) /* remembered; the oldest go first */
#define DEV_CHALLENGE_ATTEMPTS 3         /* wrong codes that end a challenge */
#define DEV_CLIENT_ID          "freshet-dev-client"

#define DEV_SECOND_NS INT64_C(1000000000)

struct dev_server;
struct dev_request;

/* --- clock.c --- */

int64_t dev_mono_ns(void); /* runs through suspend */
int64_t dev_wall_ns(void);

/* Both clocks run ahead by the 8 bytes at the beginning of a file, in nanoseconds, which others may
 * change at any time. False: it cannot be mapped. Before the first look at a clock. */
bool dev_clock_follow(const char *file);

/* --- codec.c: text of bytes. Allocated results belong to the caller; NULL: no memory --- */

char *dev_base64url(const void *bytes, size_t len);

/* Decodes without padding; returns the length, or -1 when the text is malformed or has more than
 * `room` bytes. */
ptrdiff_t dev_base64url_decode(const char *text, size_t len, unsigned char *out, size_t room);

/* RFC 4648 base32 without padding. `out` takes (len * 8 + 4) / 5 characters and a NUL. */
void dev_base32(const unsigned char *bytes, size_t len, char *out);

void dev_digest(const void *bytes, size_t len, unsigned char out[DEV_DIGEST_LEN]);
void dev_random(void *out, size_t len); /* aborts when the system has no randomness */

/* The prefix and 32 random bytes as base64url. */
char *dev_random_text(const char *prefix);

/* --- map.c: a bounded table by digest, which forgets the oldest entry when full --- */

struct dev_map {
    unsigned char *entries; /* ring of `room` entries, each a header and a payload */
    uint32_t *buckets;      /* 1 + index of the first entry of each chain */
    size_t room;
    size_t entry_size;
    size_t filled; /* entries used at any time */
    size_t next;   /* where the next one goes */
};

bool dev_map_init(struct dev_map *map, size_t room, size_t payload_size);
void dev_map_done(struct dev_map *map);
void dev_map_clear(struct dev_map *map);

/* The payload, or NULL. Valid until the next put. */
void *dev_map_find(struct dev_map *map, const unsigned char key[DEV_DIGEST_LEN]);

/* A new payload, zeroed, under a key that is not in the map. */
void *dev_map_put(struct dev_map *map, const unsigned char key[DEV_DIGEST_LEN]);
void dev_map_remove(struct dev_map *map, const unsigned char key[DEV_DIGEST_LEN]);
void dev_map_each(struct dev_map *map, void (*visit)(void *payload, void *context), void *context);

/* --- counters.c --- */

#define DEV_COUNTERS(X)                                                                            \
    X(requests)                                                                                    \
    X(connections)                                                                                 \
    X(connections_open)                                                                            \
    X(connections_open_max)                                                                        \
    X(sign_in_attempts)                                                                            \
    X(sign_ins)                                                                                    \
    X(sign_ins_refused)                                                                            \
    X(mfa_challenges)                                                                              \
    X(mfa_wrong_codes)                                                                             \
    X(sms_sent)                                                                                    \
    X(new_password_challenges)                                                                     \
    X(refresh_attempts)                                                                            \
    X(refreshes)                                                                                   \
    X(refreshes_refused)                                                                           \
    X(refresh_in_flight)                                                                           \
    X(refresh_in_flight_max)                                                                       \
    X(refresh_in_flight_max_per_account)                                                           \
    X(sign_in_in_flight)                                                                           \
    X(sign_in_in_flight_max)                                                                       \
    X(sign_in_in_flight_max_per_account)                                                           \
    X(refresh_same_token_concurrent)                                                               \
    X(refresh_replays)                                                                             \
    X(reuse_detected)                                                                              \
    X(probes)                                                                                      \
    X(api_requests)                                                                                \
    X(api_ok)                                                                                      \
    X(api_lacking_header)                                                                          \
    X(api_lacking_authorization)                                                                   \
    X(api_lacking_partner)                                                                         \
    X(api_wrong_partner)                                                                           \
    X(api_duplicate_header)                                                                        \
    X(api_bad_token)                                                                               \
    X(api_expired_token)                                                                           \
    X(api_revoked_token)                                                                           \
    X(api_401)                                                                                     \
    X(api_403)                                                                                     \
    X(resent_requests)                                                                             \
    X(faults)

enum dev_counter {
#define X(name) DEV_COUNT_##name,
    DEV_COUNTERS(X)
#undef X
        DEV_COUNTER_KINDS
};

struct dev_counters {
    _Atomic uint64_t values[DEV_COUNTER_KINDS];
};

void dev_count(struct dev_counters *counters, enum dev_counter counter);

/* A gauge and its high-water mark, the counter that follows it in the table. */
void dev_gauge_up(struct dev_counters *counters, enum dev_counter gauge);
void dev_gauge_down(struct dev_counters *counters, enum dev_counter gauge);
void dev_count_max(struct dev_counters *counters, enum dev_counter counter, uint64_t value);

/* Zeroes everything but the gauges; their high-water marks begin anew at the present value. */
void dev_counters_reset(struct dev_counters *counters);
json_t *dev_counters_json(struct dev_counters *counters);

/* --- reply.c --- */

struct dev_reply {
    unsigned status;
    char *body; /* owned, from malloc */
    size_t len;
    const char *content_type; /* static */
    char *location;           /* owned; NULL: none */
    char *retry_after;        /* owned; NULL: none */
    char *request_id;         /* owned; echoed; NULL: none */
    const char *allow;        /* static; NULL: none */
};

void dev_reply_done(struct dev_reply *reply);
void dev_reply_text(struct dev_reply *reply, unsigned status, const char *content_type,
                    const char *text);
void dev_reply_json(struct dev_reply *reply, unsigned status, json_t *stolen);
void dev_reply_error(struct dev_reply *reply, unsigned status, const char *code,
                     const char *message);

/* --- input.c: JSON bodies. Every failure fills the reply with a ValidationException --- */

/* The request's body, which must be an object; NULL: refused. */
json_t *dev_input_object(struct dev_request *request, struct dev_reply *reply);

/* False: wrong type or length. An absent optional field leaves *ret alone. */
bool dev_input_text(json_t *object, const char *field, size_t max, bool required,
                    const char **ret_text, struct dev_reply *reply);
bool dev_input_bool(json_t *object, const char *field, bool *ret, struct dev_reply *reply);
bool dev_input_integer(json_t *object, const char *field, int64_t min, int64_t max, int64_t *ret,
                       struct dev_reply *reply);
bool dev_input_seconds(json_t *object, const char *field, double min, double max, int64_t *ret_ns,
                       struct dev_reply *reply);

/* A JSON string of text that may not be UTF-8: other bytes become '?'. */
json_t *dev_json_text(const char *text);

/* --- totp.c: RFC 6238 with SHA-1, 30 s, 6 digits --- */

#define DEV_TOTP_SECRET_LEN 20
#define DEV_TOTP_STEP_S     30

void dev_totp_code(const unsigned char secret[DEV_TOTP_SECRET_LEN], int64_t wall_s, char out[7]);

/* One step of drift is allowed either way. */
bool dev_totp_matches(const unsigned char secret[DEV_TOTP_SECRET_LEN], int64_t wall_s,
                      const char *code);

/* --- accounts.c --- */

enum dev_method { DEV_METHOD_NONE, DEV_METHOD_TOTP, DEV_METHOD_SMS };

/* Guarded by the server's lock, but for `name` and `sub`, which never change. */
struct dev_account {
    char name[24];
    char sub[40];
    char password[DEV_PASSWORD_MAX + 1];
    json_t *groups; /* array of strings; copied, not shared, to where the lock is not held */
    bool new_password_required;
    bool mfa_enabled;
    bool has_phone;
    bool totp_verified;
    bool totp_pending; /* enrolment begun, `pending_secret` not yet verified */
    enum dev_method preferred;
    unsigned char totp_secret[DEV_TOTP_SECRET_LEN];
    unsigned char pending_secret[DEV_TOTP_SECRET_LEN];
    char sms_code[7];                                       /* "": none sent */
    unsigned char devices[DEV_DEVICES_MAX][DEV_DIGEST_LEN]; /* a ring */
    unsigned device_count;                                  /* ever remembered */
    uint64_t access_revoked; /* access tokens up to this serial number are revoked */
    uint64_t refresh_in_flight;
    uint64_t sign_in_in_flight;
    uint64_t refresh_in_flight_max; /* from here on: counters of this account */
    uint64_t sign_ins;
    uint64_t refreshes;
    uint64_t api_requests;
};

struct dev_accounts {
    struct dev_account **demo;              /* the table of demo accounts, NULL-terminated */
    struct dev_account *load[DEV_LOAD_MAX]; /* made when first named */
};

bool dev_accounts_init(struct dev_accounts *accounts);
void dev_accounts_done(struct dev_accounts *accounts);

/* NULL: there is none. Lock held. Accounts live as long as the server. */
struct dev_account *dev_account_find(struct dev_accounts *accounts, const char *name);
bool dev_account_in_group(const json_t *groups, const char *group);
const char *dev_method_name(enum dev_method method); /* NULL for NONE */
bool dev_method_parse(const char *name, enum dev_method *ret_method);
bool dev_account_has_device(const struct dev_account *account, const char *key, const char *group);
void dev_account_remember_device(struct dev_account *account, const char *key, const char *group);
void dev_accounts_counters_reset(struct dev_accounts *accounts);
void dev_accounts_print(void); /* the banner's table */

/* --- keys.c: the RSA key, RS256 --- */

struct dev_keys {
    EVP_PKEY *key;
    char kid[17];
    char *header; /* of every JWT, as base64url */
    char *jwks;
};

/* Loads a PEM file, or makes a key when it is NULL. Says on stderr what is wrong. */
bool dev_keys_init(struct dev_keys *keys, const char *file);
void dev_keys_done(struct dev_keys *keys);

/* The signed JWT, to be freed. */
char *dev_keys_sign(const struct dev_keys *keys, const json_t *claims);

/* The claims when the signature is ours, else NULL. */
json_t *dev_keys_verify(const struct dev_keys *keys, const char *jwt);

/* --- tokens.c: grants, access tokens, refresh tokens --- */

enum dev_reuse { DEV_REUSE_REFUSE, DEV_REUSE_REVOKE };

/* A refresh token that was issued. The map keys it by digest: the token itself is not kept. */
struct dev_refresh {
    struct dev_account *account;
    uint64_t family;
    int64_t expires_ns;
    int64_t superseded_ns; /* 0: not yet */
    bool revoked;
    unsigned in_flight;
};

struct dev_access_end {
    uint64_t serial;
    int64_t expires_ns;
};

struct dev_tokens {
    int64_t lifetime_ns;
    int64_t refresh_lifetime_ns;
    int64_t challenge_lifetime_ns;
    bool rotate;
    int64_t grace_ns;
    enum dev_reuse reuse;
    uint64_t serial; /* of the access token last issued */
    uint64_t family; /* of the sign-in last done */
    struct dev_map refresh;
    struct dev_access_end *ends; /* ring by serial */
};

bool dev_tokens_init(struct dev_tokens *tokens);
void dev_tokens_done(struct dev_tokens *tokens);

/* Issues a grant as a JSON object; family 0 begins a new one, `with_refresh` adds a RefreshToken.
 * NULL: no memory. */
json_t *dev_grant_new(struct dev_server *server, struct dev_account *account, uint64_t family,
                      bool with_refresh);

enum dev_verdict {
    DEV_TOKEN_ABSENT,
    DEV_TOKEN_GOOD,
    DEV_TOKEN_BAD,
    DEV_TOKEN_EXPIRED,
    DEV_TOKEN_REVOKED
};

/* Who calls, by the Authorization header. */
struct dev_caller {
    enum dev_verdict verdict;
    struct dev_account *account; /* NULL: unknown */
    json_t *claims;              /* owned; NULL unless the signature is ours */
};

void dev_caller_init(struct dev_caller *caller, struct dev_server *server,
                     const char *authorization);
void dev_caller_done(struct dev_caller *caller);
const char *dev_verdict_text(enum dev_verdict verdict);

void dev_revoke_access(struct dev_server *server, struct dev_account *account);  /* lock held */
void dev_revoke_refresh(struct dev_server *server, struct dev_account *account); /* lock held */

/* --- flight.c: refreshes and sign-ins in the air --- */

struct dev_flight {
    bool aloft;
    bool sign_in;
    struct dev_account *account;          /* NULL: the token or the user is unknown */
    unsigned char digest[DEV_DIGEST_LEN]; /* of a refresh token */
};

void dev_flight_start(struct dev_server *server, struct dev_flight *flight, const char *token);
void dev_flight_start_sign_in(struct dev_server *server, struct dev_flight *flight,
                              const char *username);
void dev_flight_land(struct dev_server *server, struct dev_flight *flight); /* idempotent */

/* --- challenges.c --- */

enum dev_challenge_kind { DEV_CHALLENGE_TOTP, DEV_CHALLENGE_SMS, DEV_CHALLENGE_NEW_PASSWORD };

struct dev_challenge {
    enum dev_challenge_kind kind;
    struct dev_account *account;
    int64_t expires_ns;
    unsigned wrong;
};

/* Answers with the challenge. */
void dev_challenge_pose(struct dev_server *server, struct dev_account *account,
                        enum dev_challenge_kind kind, struct dev_reply *reply);

/* The open challenge, or NULL. Lock held. */
struct dev_challenge *dev_challenge_find(struct dev_server *server, const char *session);
void dev_challenge_end(struct dev_server *server, const char *session); /* lock held */

/* --- faults.c --- */

enum dev_fault_kind {
    DEV_FAULT_LATENCY,
    DEV_FAULT_STATUS,
    DEV_FAULT_RESET_BEFORE,
    DEV_FAULT_RESET_AFTER,
    DEV_FAULT_TRUNCATE,
    DEV_FAULT_HTML,
    DEV_FAULT_GIANT,
    DEV_FAULT_DRIP,
    DEV_FAULT_BODY
};

struct dev_fault {
    enum dev_fault_kind kind;
    int64_t id;
    int64_t count; /* requests left; -1: until cleared */
    int64_t ms;
    int64_t bytes; /* -1: the kind's default */
    unsigned status;
    bool after; /* the request is processed first */
    char match[256];
    char method[16];
    char username[24]; /* of sign-ins, refreshes and API calls; "": any */
    char retry_after[64];
    char content_type[128];
    char *body; /* owned; NULL: the kind's default */
};

struct dev_faults {
    struct dev_fault list[DEV_FAULTS_MAX];
    size_t count;
    int64_t last_id;
    unsigned cleared; /* how often */
};

/* Takes the first fault that fits, a copy whose `body` the caller frees. False: there is none. */
bool dev_fault_take(struct dev_request *request, struct dev_fault *ret_fault);
bool dev_fault_processes(const struct dev_fault *fault);
void dev_fault_replace(const struct dev_fault *fault, struct dev_reply *reply);
const char *dev_fault_name(enum dev_fault_kind kind);
void dev_faults_clear(struct dev_faults *faults); /* lock held */

/* --- stream.c: bodies that are cut short, dripped or giant --- */

/* Takes the reply's body. NULL: no memory. */
struct MHD_Response *dev_stream_response(struct dev_request *request, const struct dev_fault *fault,
                                         struct dev_reply *reply);

/* --- server.c --- */

struct dev_options {
    struct sockaddr_storage address;
    socklen_t address_len;
    int64_t lifetime_ns;
    bool rotate;
    int64_t grace_ns;
    enum dev_reuse reuse;
    bool bare; /* the bare token is accepted too */
    bool quiet;
    const char *key_file;
    const char *tls_cert_file;
    const char *tls_key_file;
    const char *port_file;
    const char *clock_file;
};

struct dev_server {
    struct dev_options options;
    struct MHD_Daemon *daemon;
    char *tls_cert;
    char *tls_key;
    char authority[64]; /* host:port */
    char url[80];
    struct dev_keys keys;
    struct dev_counters counters;
    pthread_mutex_t lock;
    pthread_cond_t wake_signal;
    bool stopping;
    struct dev_accounts accounts;
    struct dev_tokens tokens;
    struct dev_map challenges;
    struct dev_map request_ids;
    struct dev_faults faults;
};

struct dev_route {
    const char *method;                           /* NULL: any */
    const char *path;                             /* ends in '/': a prefix */
    void (*observe)(struct dev_request *request); /* at arrival, before any fault; NULL: nothing */
    void (*handle)(struct dev_request *request, struct dev_reply *reply);
};

struct dev_request {
    struct dev_server *server;
    struct MHD_Connection *connection;
    const char *method; /* both are libmicrohttpd's, for the time of the request */
    const char *path;
    const struct dev_route *route;
    char *body; /* NUL-terminated */
    size_t body_len;
    size_t body_room;
    size_t discarded;
    bool too_large;
    bool no_memory;
    int64_t arrived_ns;
    struct dev_caller caller; /* by routes that observe it */
    struct dev_flight flight;
};

/* Starts to listen and serve. Says on stderr what is wrong. */
bool dev_server_start(struct dev_server *server, const struct dev_options *options);
void dev_server_stop(struct dev_server *server);

/* Sleeps, until the faults are cleared at the most; false when the server stops meanwhile. */
bool dev_server_sleep(struct dev_server *server, int64_t ms);
const char *dev_request_header(const struct dev_request *request, const char *name);
const char *dev_request_query(const struct dev_request *request, const char *name);

/* --- the endpoints --- */

void dev_auth_observe_sign_in(struct dev_request *request);
void dev_auth_observe_refresh(struct dev_request *request);
void dev_auth_sign_in(struct dev_request *request, struct dev_reply *reply);
void dev_auth_mfa_token(struct dev_request *request, struct dev_reply *reply);
void dev_auth_new_password(struct dev_request *request, struct dev_reply *reply);
void dev_auth_refresh(struct dev_request *request, struct dev_reply *reply);
void dev_auth_jwks(struct dev_request *request, struct dev_reply *reply);

void dev_mfa_observe(struct dev_request *request);
void dev_mfa_observe_settings(struct dev_request *request);
void dev_mfa_settings_get(struct dev_request *request, struct dev_reply *reply);
void dev_mfa_settings_put(struct dev_request *request, struct dev_reply *reply);
void dev_mfa_totp_get(struct dev_request *request, struct dev_reply *reply);
void dev_mfa_totp_put(struct dev_request *request, struct dev_reply *reply);

void dev_api_observe(struct dev_request *request);
void dev_api_handle(struct dev_request *request, struct dev_reply *reply);

void dev_control_counters(struct dev_request *request, struct dev_reply *reply);
void dev_control_counters_reset(struct dev_request *request, struct dev_reply *reply);
void dev_control_lifetime(struct dev_request *request, struct dev_reply *reply);
void dev_control_rotation(struct dev_request *request, struct dev_reply *reply);
void dev_control_revoke(struct dev_request *request, struct dev_reply *reply);
void dev_control_account(struct dev_request *request, struct dev_reply *reply);
void dev_control_refresh_token(struct dev_request *request, struct dev_reply *reply);
void dev_control_totp(struct dev_request *request, struct dev_reply *reply);
void dev_control_sms(struct dev_request *request, struct dev_reply *reply);

void dev_faults_add(struct dev_request *request, struct dev_reply *reply);
void dev_faults_list(struct dev_request *request, struct dev_reply *reply);
void dev_faults_delete(struct dev_request *request, struct dev_reply *reply);

#endif
