/* SPDX-License-Identifier: Apache-2.0 */

/* Whether the sessions are a keeper's. */

#include "cli.h"

#include <errno.h>
#include <freshet/config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SCHEME "keeper:"

const char *fsh_cli_keeper_socket(const struct fsh_cli *cli)
{
    return cli->keeper + strlen(SCHEME);
}

/* A keeper that was killed leaves its socket behind, at which nobody answers. */
static bool answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bool connected;
    int fd;

    if (strlen(path) >= sizeof(address.sun_path))
        return false;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    /* EAGAIN: so many wait to be let in that there is no room; but there is somebody. */
    connected =
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 || errno == EAGAIN;
    (void)close(fd);
    return connected;
}

/* The keys and the stores are not asked of a keeper, but looked at. */
static const char *find(const struct fsh_cli *cli)
{
    const char *configured =
        cli->config ? freshet_config_get(cli->config, "keeper", "control_socket") : NULL;

    if (cli->values[FSH_CLI_no_keeper] || cli->verb == FSH_CLI_VERB_key)
        return NULL;
    if (cli->values[FSH_CLI_keeper])
        return cli->values[FSH_CLI_keeper];
    return configured && answers(configured) ? configured : NULL;
}

int fsh_cli_keeper(struct fsh_cli *cli)
{
    const char *socket = find(cli);

    if (cli->given[FSH_CLI_keeper] && cli->values[FSH_CLI_no_keeper])
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "--keeper names a keeper, and --no-keeper wants none; leave one out");
    if (!socket)
        return FRESHET_OK;
    if (asprintf(&cli->keeper, SCHEME "%s", socket) < 0) {
        cli->keeper = NULL;
        return fsh_cli_fail(cli, FRESHET_ENOMEM, NULL);
    }
    cli->options.secrets = cli->keeper;
    cli->options.tokens = NULL;
    cli->options.key_file = NULL;
    return FRESHET_OK;
}
