/* SPDX-License-Identifier: Apache-2.0 */
#include "store/token.h"

#include "base/post.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

static void token_free(struct fsh_token *token)
{
    free(token->preset);
    fsh_shelf_give(token);
}

static size_t text_bytes(const char *partner_header, char *const *partners, size_t count)
{
    size_t bytes = strlen(partner_header) + 1;

    for (size_t i = 0; i < count; i++)
        bytes += strlen(partners[i]) + 1;
    return bytes;
}

/* Puts a text at *at, and *at behind it. */
static char *put_text(char **at, const char *text, size_t len)
{
    char *copy = memcpy(*at, text, len);

    copy[len] = '\0';
    *at += len + 1;
    return copy;
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

int fsh_token_new(struct fsh_shelf *shelf, uint64_t incarnation, uint64_t generation,
                  struct fsh_stamp sent_at, int64_t lifetime_ms, struct fsh_secret *authorization,
                  const char *partner_header, char *const *partners, size_t partner_count,
                  struct fsh_token **ret_token)
{
    struct fsh_token *token = fsh_shelf_take(
        shelf, sizeof(*token) + partner_count * (sizeof(struct fsh_bundle) + sizeof(char *)) +
                   text_bytes(partner_header, partners, partner_count) + authorization->len + 1);
    char *at;

    if (!token)
        return FRESHET_ENOMEM;
    atomic_init(&token->references, 1);
    token->incarnation = incarnation;
    token->generation = generation;
    token->sent_at = sent_at;
    token->lifetime_ms = lifetime_ms;
    token->partner_count = partner_count;
    token->bundles = (struct fsh_bundle *)(token + 1);
    token->partners = (char **)(void *)(token->bundles + partner_count);
    at = (char *)(token->partners + partner_count);
    token->partner_header = put_text(&at, partner_header, strlen(partner_header));
    for (size_t i = 0; i < partner_count; i++)
        token->partners[i] = put_text(&at, partners[i], strlen(partners[i]));
    token->authorization.bytes =
        put_text(&at, fsh_base_secret_reveal(authorization), authorization->len);
    token->authorization.len = authorization->len;
    fsh_base_secret_done(authorization);
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
