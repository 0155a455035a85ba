/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "engine/remote_read.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES 8

/* What goes out as a header must be fit to. */
static void check_token(const struct fsh_token *token)
{
    if (token->generation == 0 || token->lifetime_ms <= 0 || token->partner_header[0] == '\0')
        __builtin_trap();
    for (size_t i = 0; i < token->partner_count; i++) {
        const struct freshet_headers *headers = &token->bundles[i].headers;

        for (size_t j = 0; j < headers->count; j++) {
            if (headers->list[j].value[0] == '\0' || strpbrk(headers->list[j].value, "\r\n"))
                __builtin_trap();
        }
    }
}

static void read_token(const char *body, size_t len)
{
    struct fsh_fetched fetched;

    if (fsh_remote_read_token(body, len, &fetched) != FRESHET_OK)
        return;
    check_token(fetched.token);
    if (!fetched.platform.url)
        __builtin_trap();
    fsh_remote_platform_done(&fetched.platform);
    fsh_token_unref(fetched.token);
}

static void read_problem(const char *body, size_t len)
{
    struct fsh_problem problem;

    fsh_remote_read_problem(503, body, len, &problem);
    if (problem.status >= 0 || problem.detail[0] == '\0' || problem.retry_after_ms < -1)
        __builtin_trap();
}

static void read_lists(const char *body, size_t len)
{
    struct freshet_ledger_entry entries[ENTRIES];
    struct freshet_stored_session *list = NULL;
    size_t count = 0;

    if (fsh_remote_read_ledger(body, len, entries, ENTRIES, &count) == FRESHET_OK &&
        count > ENTRIES)
        __builtin_trap();
    if (fsh_remote_read_sessions(body, len, &list, &count) == FRESHET_OK)
        free(list);
}

static void read_others(const char *body, size_t len)
{
    struct freshet_session_status status;
    struct fsh_remote_platform platform;
    struct fsh_secret uri = {0};
    struct fsh_secret secret = {0};
    char preferred[32];
    int enabled;

    (void)fsh_remote_read_status(body, len, &status);
    (void)fsh_remote_read_mfa(body, len, &enabled, preferred, sizeof(preferred));
    (void)fsh_remote_read_totp(body, len, &uri, &secret);
    fsh_base_secret_done(&uri);
    fsh_base_secret_done(&secret);
    if (fsh_remote_read_platform(body, len, &platform) == FRESHET_OK)
        fsh_remote_platform_done(&platform);
}

/* One text, read as each of the documents that a keeper sends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *body = (const char *)data;

    read_token(body, size);
    read_problem(body, size);
    read_lists(body, size);
    read_others(body, size);
    return 0;
}
