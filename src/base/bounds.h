/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_BASE_BOUNDS_H
#define FSH_BASE_BOUNDS_H

/* Rule 12: everything is bounded, and the bounds stand here. Times in milliseconds. */

#define FSH_CONNECT_MS          5000  /* to connect, TLS included */
#define FSH_EXCHANGE_MS         15000 /* one call of the platform's auth endpoints in all */
#define FSH_LEASE_MS            30000 /* longer than the exchange, so that its holder outlives it */
#define FSH_LEASE_POLL_MS       50    /* how often a waiter of another process looks */
#define FSH_REREAD_MS           1000  /* between two looks whether another engine signed in */
#define FSH_THRESHOLD_MS        300000 /* default time left at which a refresh starts (rule 2) */
#define FSH_BACKOFF_FIRST_MS    1000   /* first window of the back-off (rule 6) */
#define FSH_BACKOFF_LAST_MS     30000  /* it doubles up to this */
#define FSH_RETRY_AFTER_MS      300000 /* the longest Retry-After that is obeyed */
#define FSH_PROBE_PAUSE_MS      30000  /* between two probes of a service session (rule 3) */
#define FSH_SIGN_IN_PAUSE_MS    30000  /* between two automatic sign-ins (rule 8) */
#define FSH_REFUSED_LAST_MS     900000 /* back-off of refused credentials goes up to this */
#define FSH_LIFETIME_DEFAULT_MS 300000 /* when nothing tells the lifetime (rule 11) */
#define FSH_LIFETIME_ABSURD_MS                                                                     \
    (366 * INT64_C(86400000)) /* an ExpiresIn above this is no answer                              \
                               */
#define FSH_CALL_MS 20000     /* a caller's default deadline */

#define FSH_BODY_MAX       262144 /* bytes of an answer's body */
#define FSH_TOKEN_MAX      16384  /* bytes of a token */
#define FSH_FLIGHTS_MAX    64     /* of one platform at once, beside those of people */
#define FSH_PARTNERS_MAX   256    /* partner ids of one account */
#define FSH_PARTNER_ID_MAX 128    /* bytes of one of them */
#define FSH_NAME_MAX       128    /* bytes of a session's name */
#define FSH_SESSION_KEY    32     /* bytes of the key that a session's owner carries */
#define FSH_LABEL_MAX      512    /* bytes that its owner keeps with it */
#define FSH_WHY_MAX        160    /* bytes of the sentence that says why a store failed */
#define FSH_CODE_MAX       64     /* bytes of the platform's error code that are kept */
#define FSH_CHALLENGE_MAX  8192   /* bytes of a challenge's Session */
#define FSH_QUEUE_MAX      65536  /* asynchronous calls under way in one queue */
#define FSH_CREDENTIAL_MAX 1024   /* bytes of a username, password, code or device key */

#endif
