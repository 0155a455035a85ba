/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_TOKEN_H
#define FSH_STORE_TOKEN_H

#include "base/secret.h"
#include "base/shelf.h"
#include "base/time.h"

#include <freshet/headers.h>
#include <stdatomic.h>
#include <stdint.h>

/* One generation: an access token and the partner ids it may be used with, as one immutable
 * snapshot (rule 4). It carries the headers ready made, one set a partner, so that handing them out
 * is a lookup and a reference. Counted references; any thread. */
struct fsh_token {
    atomic_uint_fast64_t references;
    uint64_t incarnation;
    uint64_t generation;
    struct fsh_stamp sent_at;
    int64_t lifetime_ms;
    struct fsh_secret authorization; /* value of the Authorization header */
    char *partner_header;            /* name of the header */
    size_t partner_count;
    char **partners;
    struct fsh_bundle *bundles; /* one a partner; like all above in the token's own memory */
    char *preset;               /* owned; of a keeper: the id its configuration names, or NULL */
};

/* The headers for one partner, and the token that they belong to. */
struct fsh_bundle {
    struct freshet_headers headers;
    struct freshet_header list[2];
    struct fsh_token *token;
};

/* Copies all of it, onto the shelf, which may be NULL; `authorization` is wiped then. One reference
 * is the caller's. FRESHET_ENOMEM leaves everything as it was. */
int fsh_token_new(struct fsh_shelf *shelf, uint64_t incarnation, uint64_t generation,
                  struct fsh_stamp sent_at, int64_t lifetime_ms, struct fsh_secret *authorization,
                  const char *partner_header, char *const *partners, size_t partner_count,
                  struct fsh_token **ret_token);

struct fsh_token *fsh_token_ref(struct fsh_token *token);
void fsh_token_unref(struct fsh_token *token);

#endif
