/* SPDX-License-Identifier: Apache-2.0 */

/* freshet: the command line. */

#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sysexits.h>

/* Ends us as a signal would: a reader that has gone, or what ended a program that we ran. */
static void end_by(int number)
{
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static int run(struct fsh_cli *cli, int argc, char *argv[])
{
    int status = fsh_cli_parse(cli, argc, argv);

    if (status == FRESHET_OK && cli->values[FSH_CLI_help])
        return fsh_cli_help_run(cli);
    if (status == FRESHET_OK)
        status = fsh_cli_verbs[cli->verb].run(cli);
    return status;
}

int main(int argc, char *argv[])
{
    struct fsh_cli cli = {0};
    int status;
    int failure;

    fsh_cli_harden();
    (void)signal(SIGPIPE, SIG_IGN);
    /* Who started us may ignore it, and then the ends of our children are told to nobody. */
    (void)signal(SIGCHLD, SIG_DFL);
    status = run(&cli, argc, argv);
    fsh_cli_place_done(&cli);
    if (status != FRESHET_OK)
        fsh_cli_complain(&cli, status);
    failure = fsh_cli_flush(&cli);
    if (failure == EPIPE)
        end_by(SIGPIPE);
    if (cli.signal != 0)
        end_by(cli.signal);
    if (failure == 0)
        return status == FRESHET_OK ? cli.exit_code : freshet_status_exit_code(status);
    fsh_cli_say(&cli, "standard output: %s; what was asked may be done all the same",
                strerror(failure));
    return EX_IOERR;
}
