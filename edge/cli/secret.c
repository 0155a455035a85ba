/* SPDX-License-Identifier: Apache-2.0 */

/* Passwords from files and commands: their first line, and nothing of it left over. */

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Reads the first line; what follows is read and dropped, so that a writer can end. */
static int first_line(struct fsh_cli *cli, int fd, const char *from, const char *what,
                      struct fsh_cli_secret *ret_secret)
{
    char chunk[512];
    size_t len = 0;
    bool over = false;
    bool is_long = false;
    ssize_t got;

    while ((got = read(fd, chunk, sizeof(chunk))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        for (ssize_t i = 0; i < got && !over; i++) {
            over = chunk[i] == '\n';
            is_long |= !over && len == FSH_CLI_SECRET_MAX;
            if (!over && len < FSH_CLI_SECRET_MAX)
                ret_secret->text[len++] = chunk[i];
        }
    }
    fsh_cli_wipe(chunk, sizeof(chunk));
    if (len > 0 && ret_secret->text[len - 1] == '\r')
        len--;
    ret_secret->text[len] = '\0';
    if (got < 0)
        return fsh_cli_fail(cli, FRESHET_ECONFIG, "%s %.96s cannot be read: %s", what, from,
                            strerror(errno));
    if (is_long)
        return fsh_cli_fail(cli, FRESHET_ECONFIG,
                            "the first line of %s %.96s has more than %d bytes", what, from,
                            FSH_CLI_SECRET_MAX);
    if (len == 0 || strlen(ret_secret->text) != len)
        return fsh_cli_fail(cli, FRESHET_ECONFIG, "%s %.96s: its first line is %s", what, from,
                            len == 0 ? "empty" : "no text");
    return FRESHET_OK;
}

int fsh_cli_secret_file(struct fsh_cli *cli, const char *option, const char *path,
                        struct fsh_cli_secret *ret_secret)
{
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int status;

    if (fd < 0)
        return fsh_cli_fail(cli, FRESHET_ECONFIG, "%s %.96s cannot be read: %s", option, path,
                            strerror(errno));
    status = first_line(cli, fd, path, option, ret_secret);
    if (!standard)
        (void)close(fd);
    return status;
}

/* `sh -c COMMAND` with its output in a pipe. 0, or an errno. */
static int start(const char *command, int output, pid_t *ret_pid)
{
    char shell[] = "sh";
    char option[] = "-c";
    union {
        const char *given;
        char *argument; /* posix_spawn only reads it */
    } line = {.given = command};
    char *arguments[] = {shell, option, line.argument, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    int failure;

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    (void)posix_spawnattr_init(&attributes);
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    failure = posix_spawn(ret_pid, "/bin/sh", &actions, &attributes, arguments, environ);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return failure;
}

int fsh_cli_secret_command(struct fsh_cli *cli, const char *command,
                           struct fsh_cli_secret *ret_secret)
{
    int ends[2];
    pid_t pid;
    int result = 0;
    int failure = pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno;
    int status;

    if (failure == 0) {
        failure = start(command, ends[1], &pid);
        (void)close(ends[1]);
        if (failure != 0)
            (void)close(ends[0]);
    }
    if (failure != 0)
        return fsh_cli_fail(cli, FRESHET_ECONFIG, "--password-command cannot be started: %s",
                            strerror(failure));
    status = first_line(cli, ends[0], "", "what --password-command prints", ret_secret);
    (void)close(ends[0]);
    while (waitpid(pid, &result, 0) < 0 && errno == EINTR) {
        /* Not ended yet. */
    }
    if (!WIFEXITED(result) || WEXITSTATUS(result) != 0)
        return fsh_cli_fail(cli, FRESHET_ECONFIG,
                            "--password-command failed; run it by hand to see why");
    return status;
}
