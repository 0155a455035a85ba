/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <jansson.h>

int fsh_cli_version_run(struct fsh_cli *cli)
{
    int status = fsh_cli_operands_at_most(cli, 0);

    if (status != FRESHET_OK)
        return status;
    if (fsh_cli_wants_json(cli))
        return fsh_cli_document(cli, json_pack("{s:s}", "version", FRESHET_VERSION), FRESHET_OK);
    fsh_cli_print(cli, "freshet %s\n", FRESHET_VERSION);
    return FRESHET_OK;
}
