/* SPDX-License-Identifier: Apache-2.0 */

/* curl as a child: it gets the headers through one pipe and tells the answer's through another, so
 * that no token stands in an argument, in the environment or in a file. */

#include "curl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUR_ARGUMENTS 16

struct child {
    int headers; /* pipe that curl reads them from; kept to see whether it did */
    int answer;  /* end of the pipe that the answer's headers come through */
    int copy;    /* the user's own file of them, or -1 */
    int signals; /* signalfd */
    sigset_t before;
    pid_t pid;
    bool ended;
    int wait_status;
    struct fsh_cli_curl_answer read;
};

static int no_descriptor(struct fsh_cli *cli)
{
    return fsh_cli_fail(cli, FRESHET_ELIMIT, "no descriptor to be had: %s", strerror(errno));
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* ---- before ------------------------------------------------------------------------------ */

/* Both headers fit into the pipe, whose capacity is 64 KiB; where it is less, this says so rather
 * than wait for a reader that does not run yet. */
static int fill(struct fsh_cli *cli, int fd, const struct freshet_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        const char *texts[] = {headers->list[i].name, ": ", headers->list[i].value, "\n"};

        for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++) {
            size_t len = strlen(texts[j]);

            if (write(fd, texts[j], len) != (ssize_t)len)
                return fsh_cli_fail(cli, FRESHET_ELIMIT, "the headers do not fit into a pipe");
        }
    }
    return FRESHET_OK;
}

static int open_headers(struct fsh_cli *cli, struct child *child,
                        const struct freshet_headers *headers)
{
    int pipe[2];
    int status;

    if (pipe2(pipe, O_CLOEXEC) != 0)
        return no_descriptor(cli);
    child->headers = pipe[0];
    (void)fcntl(pipe[1], F_SETFL, O_NONBLOCK);
    status = fill(cli, pipe[1], headers);
    (void)close(pipe[1]);
    return status;
}

static int open_copy(struct fsh_cli *cli, struct child *child, const char *path)
{
    if (!path)
        return FRESHET_OK;
    child->copy = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (child->copy < 0)
        return fsh_cli_fail(cli, FRESHET_EINVAL, "-D %.160s: %s", path, strerror(errno));
    return FRESHET_OK;
}

/* From here on signals come through a descriptor, and curl is the one who acts on them. */
static int open_signals(struct fsh_cli *cli, struct child *child)
{
    static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD};
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        (void)sigaddset(&set, ours[i]);
    (void)sigprocmask(SIG_BLOCK, &set, &child->before);
    child->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return child->signals < 0 ? no_descriptor(cli) : FRESHET_OK;
}

/* Ours stand behind the user's, so that they hold. */
static const char **arguments(const struct fsh_cli_curl_line *line, bool loopback,
                              const char *headers, const char *answer)
{
    const char *const ours[] = {"--suppress-connect-headers", "--dump-header", answer, "--header",
                                headers};
    const char **list = calloc(line->passed_count + OUR_ARGUMENTS, sizeof(*list));
    size_t count = 0;

    if (!list)
        return NULL;
    list[count++] = "curl";
    list[count++] = "-q"; /* first, or ~/.curlrc is read */
    list[count++] = "--globoff";
    for (size_t i = 0; i < line->passed_count; i++)
        list[count++] = line->passed[i];
    if (loopback) {
        list[count++] = "--noproxy";
        list[count++] = "*";
    }
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        list[count++] = ours[i];
    list[count++] = line->url;
    return list;
}

static int spawn_with(struct child *child, const char *const *list, int answer)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    int failure;

    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE); /* main ignores it */
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    /* A descriptor put onto itself stays open in the child. */
    failure = posix_spawn_file_actions_adddup2(&actions, child->headers, child->headers);
    if (failure == 0)
        failure = posix_spawn_file_actions_adddup2(&actions, answer, answer);
    (void)posix_spawnattr_setsigmask(&attributes, &child->before);
    (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (failure == 0) {
        /* The strings are not written to; POSIX has no const there for historical reasons. */
        union {
            const char *const *read;
            char *const *pass;
        } argv = {.read = list};

        failure = posix_spawnp(&child->pid, "curl", &actions, &attributes, argv.pass, environ);
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return failure;
}

static int not_run(struct fsh_cli *cli, int failure, struct fsh_cli_curl_end *ret_end)
{
    if (failure == ENOMEM || failure == EAGAIN)
        return fsh_cli_fail(cli, FRESHET_ELIMIT, "curl cannot be run: %s", strerror(failure));
    /* As env(1) and its kin. */
    *ret_end = (struct fsh_cli_curl_end){.exit_code = failure == ENOENT ? 127 : 126};
    if (failure == ENOENT)
        fsh_cli_say(cli, "there is no curl in PATH; install it, or use `freshet headers`");
    else
        fsh_cli_say(cli, "curl cannot be run: %s", strerror(failure));
    return FRESHET_OK;
}

/* child->pid is 0 when curl could not be run. */
static int spawn(struct fsh_cli *cli, struct child *child, const struct fsh_cli_curl_line *line,
                 bool loopback, struct fsh_cli_curl_end *ret_end)
{
    char headers[32];
    char answer[32];
    const char **list;
    int pipe[2];
    int failure;

    if (pipe2(pipe, O_CLOEXEC) != 0)
        return no_descriptor(cli);
    child->answer = pipe[0];
    (void)snprintf(headers, sizeof(headers), "@/dev/fd/%d", child->headers);
    (void)snprintf(answer, sizeof(answer), "/dev/fd/%d", pipe[1]);
    list = arguments(line, loopback, headers, answer);
    failure = list ? spawn_with(child, list, pipe[1]) : ENOMEM;
    (void)close(pipe[1]);
    free(list);
    if (failure == 0)
        return FRESHET_OK;
    child->pid = 0;
    return not_run(cli, failure, ret_end);
}

/* ---- while it runs ----------------------------------------------------------------------- */

static void copy_out(struct child *child, const char *bytes, size_t len)
{
    while (child->copy >= 0 && len > 0) {
        ssize_t wrote = write(child->copy, bytes, len);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0) {
            close_fd(&child->copy);
            return;
        }
        bytes += wrote;
        len -= (size_t)wrote;
    }
}

static void read_answer(struct child *child)
{
    char bytes[4096];
    ssize_t len = read(child->answer, bytes, sizeof(bytes));

    if (len < 0 && errno == EINTR)
        return;
    if (len <= 0) {
        close_fd(&child->answer);
        return;
    }
    fsh_cli_curl_answer_read(&child->read, bytes, (size_t)len);
    copy_out(child, bytes, (size_t)len);
}

/* A signal from the terminal has reached curl, too: one that is told twice does no harm. */
static void read_signal(struct child *child)
{
    struct signalfd_siginfo info;

    while (read(child->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo != SIGCHLD)
            (void)kill(child->pid, (int)info.ssi_signo);
        else if (waitpid(child->pid, &child->wait_status, WNOHANG) == child->pid)
            child->ended = true;
        if (child->ended)
            return;
    }
}

static void attend(struct child *child)
{
    /* Nobody else writes into the answer's pipe, so it ends when curl does. */
    while (!child->ended || child->answer >= 0) {
        struct pollfd fds[] = {{child->signals, child->ended ? 0 : POLLIN, 0},
                               {child->answer, POLLIN, 0}};

        (void)poll(fds, 2, -1);
        if (fds[0].revents)
            read_signal(child);
        if (fds[1].revents)
            read_answer(child);
    }
}

/* ---- after ------------------------------------------------------------------------------- */

/* curl only warns when it cannot open the file of the headers: then it has sent none. */
static bool took_headers(const struct child *child)
{
    int left = 0;

    return ioctl(child->headers, FIONREAD, &left) == 0 && left == 0;
}

int fsh_cli_curl_child_run(struct fsh_cli *cli, const struct fsh_cli_curl_line *line, bool loopback,
                           const struct freshet_headers *headers, struct fsh_cli_curl_end *ret_end)
{
    struct child child = {.headers = -1, .answer = -1, .copy = -1, .signals = -1};
    int status;

    (void)sigprocmask(SIG_BLOCK, NULL, &child.before);
    status = open_headers(cli, &child, headers);
    if (status == FRESHET_OK)
        status = open_copy(cli, &child, line->dump);
    if (status == FRESHET_OK)
        status = open_signals(cli, &child);
    if (status == FRESHET_OK)
        status = spawn(cli, &child, line, loopback, ret_end);
    if (status == FRESHET_OK && child.pid > 0) {
        attend(&child);
        *ret_end = (struct fsh_cli_curl_end){
            .exit_code = WIFEXITED(child.wait_status) ? WEXITSTATUS(child.wait_status) : 0,
            .signal = WIFSIGNALED(child.wait_status) ? WTERMSIG(child.wait_status) : 0,
            .http_status = child.read.status,
            .told = took_headers(&child),
        };
    }
    (void)sigprocmask(SIG_SETMASK, &child.before, NULL);
    close_fd(&child.headers);
    close_fd(&child.answer);
    close_fd(&child.copy);
    close_fd(&child.signals);
    return status;
}
