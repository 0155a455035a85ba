/* SPDX-License-Identifier: Apache-2.0 */

/* Signing out. */

#include "cli.h"

#include <jansson.h>

int fsh_cli_logout_run(struct fsh_cli *cli)
{
    int status = fsh_cli_operands_at_most(cli, 1);
    bool hold;

    if (status == FRESHET_OK)
        status = fsh_cli_open_session(cli, FSH_CLI_LOOK);
    if (status != FRESHET_OK)
        return status;
    /* A service would sign in again at its next use. */
    hold = cli->values[FSH_CLI_hold] != NULL || fsh_cli_is_service(cli, cli->name);
    fsh_cli_wait_begin(cli, "signing out");
    status = freshet_sign_out(cli->session, hold, &cli->error);
    fsh_cli_wait_end(cli);
    if (status != FRESHET_OK)
        return status;
    if (fsh_cli_wants_json(cli))
        return fsh_cli_document(
            cli, json_pack("{s:s, s:b, s:b}", "session", cli->name, "signed_in", 0, "held", hold),
            status);
    fsh_cli_print(cli, "%s: signed out%s\n", cli->name,
                  hold ? ", and held: `freshet login` brings it back" : "");
    return status;
}
