/* SPDX-License-Identifier: Apache-2.0 */

/* The headers of a request, or the token alone. This is what scripts call a thousand times, so
 * nothing is touched here that a warm answer does not need. */

#include "cli.h"

#include <jansson.h>
#include <string.h>

#define THRESHOLD_MS 300000 /* the library's, where no configuration says otherwise */

int fsh_cli_fresh(struct fsh_cli *cli, int64_t timeout_ms,
                  const struct freshet_headers **ret_headers,
                  struct freshet_freshness *ret_freshness)
{
    struct freshet_demand demand = {.timeout_ms = timeout_ms};
    int status;

    /* Nobody is there to refresh in the background, so who finds less than the threshold awaits the
     * refresh: rule 2, the strict form. */
    demand.min_valid_ms = cli->threshold_ms ? cli->threshold_ms : THRESHOLD_MS;
    fsh_cli_wait_begin(cli, "waiting for a fresh token");
    status = freshet_ensure_fresh(cli->session, &demand, ret_freshness, &cli->error);
    fsh_cli_wait_end(cli);
    if (status == FRESHET_OK)
        status = freshet_headers_get(cli->session, cli->values[FSH_CLI_partner], ret_headers,
                                     &cli->error);
    return status;
}

static int fetch(struct fsh_cli *cli, const struct freshet_headers **ret_headers,
                 struct freshet_freshness *ret_freshness)
{
    int64_t timeout_ms = 0;
    int status = fsh_cli_operands_at_most(cli, 1);

    if (status == FRESHET_OK)
        status = fsh_cli_timeout(cli, &timeout_ms);
    if (status == FRESHET_OK)
        status = fsh_cli_open_session(cli, FSH_CLI_CALL);
    if (status == FRESHET_OK)
        status = fsh_cli_fresh(cli, timeout_ms, ret_headers, ret_freshness);
    return status;
}

static json_t *document(const struct fsh_cli *cli, const struct freshet_headers *headers,
                        const struct freshet_freshness *freshness)
{
    json_t *list = json_object();

    for (size_t i = 0; i < headers->count; i++)
        (void)json_object_set_new(list, headers->list[i].name, json_string(headers->list[i].value));
    return json_pack("{s:s, s:I, s:I, s:I, s:o}", "session", cli->name, "generation",
                     (json_int_t)headers->generation, "usable_ms", (json_int_t)freshness->usable_ms,
                     "expires_ms", (json_int_t)freshness->expires_ms, "headers", list);
}

int fsh_cli_headers_run(struct fsh_cli *cli)
{
    const struct freshet_headers *headers = NULL;
    struct freshet_freshness freshness;
    int status = fetch(cli, &headers, &freshness);

    if (status != FRESHET_OK)
        return status;
    if (fsh_cli_wants_json(cli))
        status = fsh_cli_document(cli, document(cli, headers, &freshness), status);
    else
        for (size_t i = 0; i < headers->count; i++)
            fsh_cli_print(cli, "%s: %s\n", headers->list[i].name, headers->list[i].value);
    freshet_headers_unref(headers);
    return status;
}

/* The token in the value of its header, behind a scheme if there is one. */
static const char *token_of(const struct freshet_headers *headers)
{
    const char *space = strrchr(headers->list[0].value, ' ');

    return space ? space + 1 : headers->list[0].value;
}

int fsh_cli_token_run(struct fsh_cli *cli)
{
    const struct freshet_headers *headers = NULL;
    struct freshet_freshness freshness;
    int status = fetch(cli, &headers, &freshness);

    if (status != FRESHET_OK)
        return status;
    if (fsh_cli_wants_json(cli))
        status = fsh_cli_document(
            cli,
            json_pack("{s:s, s:I, s:I, s:I, s:s}", "session", cli->name, "generation",
                      (json_int_t)headers->generation, "usable_ms", (json_int_t)freshness.usable_ms,
                      "expires_ms", (json_int_t)freshness.expires_ms, "token", token_of(headers)),
            status);
    else
        fsh_cli_print(cli, "%s\n", token_of(headers));
    freshet_headers_unref(headers);
    return status;
}
