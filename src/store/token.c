/* SPDX-License-Identifier: Apache-2.0 */
#include "store/token.h"

#include "base/post.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

static void token_free(struct fsh_token *token)
{
    fsh_base_secret_done(&token->authorization);
    for (size_t i = 0; i < token->partner_count; i++)
        free(token->partners[i]);
    free(token->partners);
    free(token->partner_header);
    free(token->preset);
    free(token->bundles);
    free(token);
}

static int copy_partners(struct fsh_token *token, char *const *partners, size_t count)
{
    /* One more than needed: calloc of nothing may return NULL. */
    token->partners = calloc(count + 1, sizeof(char *));
    token->bundles = calloc(count + 1, sizeof(struct fsh_bundle));
    if (!token->partners || !token->bundles)
        return FRESHET_ENOMEM;
    for (; token->partner_count < count; token->partner_count++) {
        token->partners[token->partner_count] = strdup(partners[token->partner_count]);
        if (!token->partners[token->partner_count])
            return FRESHET_ENOMEM;
    }
    return FRESHET_OK;
}

static void make_bundle(struct fsh_token *token, size_t index)
{
    struct fsh_bundle *bundle = &token->bundles[index];

    bundle->token = token;
    bundle->list[0].name = "Authorization";
    bundle->list[0].value = fsh_base_secret_reveal(&token->authorization);
    bundle->list[1].name = token->partner_header;
    bundle->list[1].value = token->partners[index];
    bundle->headers.generation = token->generation;
    bundle->headers.count = 2;
    bundle->headers.list = bundle->list;
}

int fsh_token_new(uint64_t incarnation, uint64_t generation, struct fsh_stamp sent_at,
                  int64_t lifetime_ms, struct fsh_secret *authorization, const char *partner_header,
                  char *const *partners, size_t partner_count, struct fsh_token **ret_token)
{
    struct fsh_token *token = calloc(1, sizeof(*token));

    if (!token)
        return FRESHET_ENOMEM;
    atomic_init(&token->references, 1);
    token->incarnation = incarnation;
    token->generation = generation;
    token->sent_at = sent_at;
    token->lifetime_ms = lifetime_ms;
    token->partner_header = strdup(partner_header);
    if (!token->partner_header || copy_partners(token, partners, partner_count) != FRESHET_OK) {
        token_free(token);
        return FRESHET_ENOMEM;
    }
    fsh_base_secret_move(&token->authorization, authorization);
    for (size_t i = 0; i < partner_count; i++)
        make_bundle(token, i);
    *ret_token = token;
    return FRESHET_OK;
}

struct fsh_token *fsh_token_ref(struct fsh_token *token)
{
    if (token)
        atomic_fetch_add_explicit(&token->references, 1, memory_order_relaxed);
    return token;
}

void fsh_token_unref(struct fsh_token *token)
{
    /* The last one must see all that others did with it before it frees. */
    if (token && atomic_fetch_sub_explicit(&token->references, 1, memory_order_acq_rel) == 1)
        token_free(token);
}
