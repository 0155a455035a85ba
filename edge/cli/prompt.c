/* SPDX-License-Identifier: Apache-2.0 */

/* Questions at the terminal. Echo comes back whatever ends the question: an answer, an end of file,
 * a signal. */

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* What a signal handler needs; set while a question without echo is open. */
static struct {
    int fd;
    struct termios before;
    struct termios silent;
    const char *question;
} terminal;

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

static void print(int fd, const char *text)
{
    (void)!write(fd, text, strlen(text));
}

/* Only functions that a signal handler may call. */
static void interrupted(int number)
{
    int kept = errno;

    (void)tcsetattr(terminal.fd, TCSANOW, &terminal.before);
    if (number == SIGTSTP) {
        (void)kill(getpid(), SIGSTOP);
        /* Here again, in the foreground. */
        (void)tcsetattr(terminal.fd, TCSANOW, &terminal.silent);
        print(terminal.fd, terminal.question);
        errno = kept;
        return;
    }
    print(terminal.fd, "\n");
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

bool fsh_cli_can_ask(void)
{
    return isatty(STDIN_FILENO);
}

static int terminal_fd(void)
{
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

    return fd >= 0 ? fd : dup(STDIN_FILENO);
}

/* One line, byte by byte, so that nothing of it stays in a buffer. */
static int read_line(int fd, struct fsh_cli_secret *ret_answer, bool *ret_long)
{
    size_t len = 0;
    char c = '\0';
    ssize_t got = 1;

    *ret_long = false;
    while (c != '\n' && got > 0) {
        got = read(fd, &c, 1);
        if (got < 0 && errno == EINTR)
            got = 1, c = '\0';
        else if (got > 0 && c != '\n' && len < FSH_CLI_SECRET_MAX)
            ret_answer->text[len++] = c;
        else if (got > 0 && c != '\n')
            *ret_long = true;
    }
    ret_answer->text[len] = '\0';
    return got > 0 ? 0 : -1;
}

static int read_hidden(const char *question, struct fsh_cli_secret *ret_answer, bool *ret_long)
{
    struct sigaction action = {.sa_handler = interrupted, .sa_flags = SA_RESTART | SA_NODEFER};
    struct sigaction before[SIGNALS];
    int result;

    if (tcgetattr(terminal.fd, &terminal.before) != 0)
        return -1;
    terminal.silent = terminal.before;
    terminal.silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    terminal.question = question;
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < SIGNALS; i++) {
        (void)sigaction(signals[i], NULL, &before[i]);
        /* What was ignored when we came, as by nohup(1), stays so. */
        if (before[i].sa_handler != SIG_IGN)
            (void)sigaction(signals[i], &action, NULL);
    }
    (void)tcsetattr(terminal.fd, TCSAFLUSH, &terminal.silent);
    print(terminal.fd, question);
    result = read_line(terminal.fd, ret_answer, ret_long);
    (void)tcsetattr(terminal.fd, TCSANOW, &terminal.before);
    for (size_t i = 0; i < SIGNALS; i++)
        (void)sigaction(signals[i], &before[i], NULL);
    print(terminal.fd, "\n");
    return result;
}

void fsh_cli_show(const char *text)
{
    int fd = terminal_fd();

    print(fd, text);
    (void)close(fd);
}

int fsh_cli_ask(struct fsh_cli *cli, const char *question, bool hidden,
                struct fsh_cli_secret *ret_answer)
{
    bool is_long = false;
    int result;

    terminal.fd = terminal_fd();
    if (hidden) {
        result = read_hidden(question, ret_answer, &is_long);
    } else {
        print(terminal.fd, question);
        result = read_line(terminal.fd, ret_answer, &is_long);
    }
    (void)close(terminal.fd);
    if (result != 0)
        return fsh_cli_fail(cli, FRESHET_EINVAL, "no answer came; nothing was done");
    if (is_long)
        return fsh_cli_fail(cli, FRESHET_EINVAL, "an answer has at most %d bytes",
                            FSH_CLI_SECRET_MAX);
    return FRESHET_OK;
}
