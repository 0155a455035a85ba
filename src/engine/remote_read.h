/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_ENGINE_REMOTE_READ_H
#define FSH_ENGINE_REMOTE_READ_H

#include "base/bounds.h"
#include "base/secret.h"
#include "store/token.h"

#include <freshet/admin.h>
#include <freshet/error.h>
#include <freshet/ledger.h>
#include <freshet/session.h>

/* The keeper's answers (spec/keeper-api.yaml). All of these are bounded, and whatever does not make
 * sense is FRESHET_EBADBODY. FRESHET_ENOMEM. Outputs are written on success only. */

/* Why the keeper did not do what it was asked to. */
struct fsh_problem {
    int status;
    int64_t retry_after_ms; /* -1: time alone does not help, or it did not say */
    int platform_http;      /* 0: it did not say */
    char code[FSH_CODE_MAX];
    char detail[256];
};

/* Which platform the keeper keeps sessions of. */
struct fsh_remote_platform {
    char *url;      /* owned, as all of it */
    char **origins; /* `origins_count` of them */
    size_t origins_count;
};

int fsh_remote_read_platform(const char *body, size_t len,
                             struct fsh_remote_platform *ret_platform);
void fsh_remote_platform_done(struct fsh_remote_platform *platform);

/* A keeper, and whose sessions it is to have. */
struct fsh_remote_keeper {
    char *socket; /* owned */
    struct fsh_remote_platform platform;
};

/* Rule 13: FRESHET_ECONFIG unless the platform that the keeper tells is at the origin of the
 * expected url, and has each of the expected origins. FRESHET_EBADBODY; FRESHET_ENOMEM.
 * remote_platform.c */
int fsh_remote_same_platform(const struct fsh_remote_keeper *expected,
                             const struct fsh_remote_platform *told, struct freshet_error *error);

/* A token, and what the keeper says of it besides. */
struct fsh_fetched {
    struct fsh_token *token; /* one reference is the caller's; its sent_at is to be filled in */
    struct fsh_remote_platform platform; /* the caller ends it */
    int64_t age_ms;                      /* when the keeper answered */
    int64_t refresh_in_ms;               /* -1: the keeper does not refresh it by itself */
};

int fsh_remote_read_token(const char *body, size_t len, struct fsh_fetched *ret_fetched);

/* Never fails. What is no problem document, or names no status that is known, says nothing of the
 * session, whatever its HTTP status: FRESHET_EUNAVAILABLE; FRESHET_ENOMEM. */
void fsh_remote_read_problem(int http_status, const char *body, size_t len,
                             struct fsh_problem *ret_problem);

int fsh_remote_read_status(const char *body, size_t len, struct freshet_session_status *ret_status);

/* The latest `room` entries at most, the oldest first. */
int fsh_remote_read_ledger(const char *body, size_t len, struct freshet_ledger_entry *ret_entries,
                           size_t room, size_t *ret_count);

/* *ret_list is NULL for none; else the caller frees it. */
int fsh_remote_read_sessions(const char *body, size_t len, struct freshet_stored_session **ret_list,
                             size_t *ret_count);

int fsh_remote_read_mfa(const char *body, size_t len, int *ret_enabled, char *ret_preferred,
                        size_t size);
int fsh_remote_read_totp(const char *body, size_t len, struct fsh_secret *ret_uri,
                         struct fsh_secret *ret_secret);

#endif
