/* SPDX-License-Identifier: Apache-2.0 */
#include "core/freshness.h"
#include "core/partner.h"
#include "lib/internal.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* The set of headers that `headers` stands in. Only constness of the shared view is taken away: the
 * memory is the token's, and its counter is atomic. */
static struct fsh_token *token_of(const struct freshet_headers *headers)
{
    const struct fsh_bundle *bundle =
        (const struct fsh_bundle *)(const void *)((const char *)headers -
                                                  offsetof(struct fsh_bundle, headers));

    return bundle->token;
}

const struct freshet_headers *freshet_headers_ref(const struct freshet_headers *headers)
{
    if (headers)
        (void)fsh_token_ref(token_of(headers));
    return headers;
}

void freshet_headers_unref(const struct freshet_headers *headers)
{
    if (headers)
        fsh_token_unref(token_of(headers));
}

static bool usable(const struct fsh_token *token)
{
    int64_t life = token->lifetime_ms - fsh_core_margin_ms(token->lifetime_ms);

    return fsh_clock_mono().ms < token->sent_at.ms + life;
}

/* Says which ids there are: whoever reads it wants to choose one. They are no secrets. */
static int no_partner(int status, const struct fsh_token *token, const char *name,
                      struct freshet_error *error)
{
    char ids[128] = "none";
    size_t len = 0;

    for (size_t i = 0; i < token->partner_count && len < sizeof(ids) - 1; i++) {
        int more =
            snprintf(ids + len, sizeof(ids) - len, "%s%s", i ? ", " : "", token->partners[i]);

        len += more > 0 ? (size_t)more : 0;
    }
    return fsh_base_fail(error, status, "session %s: %s (allowed: %s)", name,
                         freshet_status_text(status), ids);
}

static int choose(struct freshet_session *session, const char *partner,
                  const struct fsh_token *token, size_t *ret_index, struct freshet_error *error)
{
    pthread_mutex_t *lock = fsh_engine_lock(&session->engine);
    const struct fsh_partner *own;
    int status;

    (void)pthread_mutex_lock(lock);
    own = session->partner;
    status =
        fsh_core_partner(token->partners, token->partner_count, partner, own ? own->setting : NULL,
                         own && own->preset ? own->preset : token->preset, ret_index);
    (void)pthread_mutex_unlock(lock);
    if (status != FRESHET_OK)
        return no_partner(status, token, session->engine.name, error);
    return FRESHET_OK;
}

int freshet_headers_get(struct freshet_session *session, const char *partner,
                        const struct freshet_headers **ret_headers, struct freshet_error *error)
{
    struct fsh_token *token;
    size_t index = 0;
    int status;

    if (fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    token = fsh_engine_token(&session->engine);
    if (!token || !usable(token)) {
        fsh_token_unref(token);
        return fsh_base_fail(error, FRESHET_EUNAVAILABLE,
                             "session %s has no usable token; call freshet_ensure_fresh first",
                             session->engine.name);
    }
    status = choose(session, partner, token, &index, error);
    if (status != FRESHET_OK) {
        fsh_token_unref(token);
        return status;
    }
    *ret_headers = &token->bundles[index].headers; /* with our reference */
    return FRESHET_OK;
}
