/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Of the process, as standard error is. */
static struct {
    _Atomic int level;
    atomic_bool json;
    _Atomic uint64_t lost;
} log_state = {.level = FSH_LOG_INFO};

void fsh_log_setup(const char *level, const char *format)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};

    for (int i = 0; level && i < 4; i++) {
        if (strcmp(level, words[i]) == 0)
            log_state.level = i;
    }
    if (format)
        log_state.json = strcmp(format, "json") == 0;
}

bool fsh_log_wants(enum fsh_log_level level)
{
    return (int)level <= log_state.level;
}

const char *fsh_log_number(char ret_text[24], int64_t number)
{
    (void)snprintf(ret_text, 24, "%" PRId64, number);
    return ret_text;
}

/* Whether standard error is the journal's stream, as systemd.exec(5) says of JOURNAL_STREAM. */
static bool to_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat about;
    char *end;

    if (!stream || fstat(STDERR_FILENO, &about) != 0)
        return false;
    if (strtoumax(stream, &end, 10) != (uintmax_t)about.st_dev || *end != ':')
        return false;
    return strtoumax(end + 1, &end, 10) == (uintmax_t)about.st_ino && !*end;
}

/* Lines are shorter than PIPE_BUF: what has room takes one whole, and lines of threads do not mix.
 */
static bool send_line(const char *line, size_t len)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t sent;

    if (poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT))
        return false;
    do
        sent = write(STDERR_FILENO, line, len);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)len;
}

static bool say(enum fsh_log_level level, const char *event, va_list pairs)
{
    struct fsh_log_style style = {.json = log_state.json, .journal = to_journal()};
    char line[FSH_LOG_LINE_MAX];
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    style.unix_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return send_line(line, fsh_log_line(line, &style, level, event, pairs));
}

static bool say_pairs(enum fsh_log_level level, const char *event, ...)
{
    va_list pairs;
    bool said;

    va_start(pairs, event);
    said = say(level, event, pairs);
    va_end(pairs);
    return said;
}

void fsh_log(enum fsh_log_level level, const char *event, ...)
{
    int before = errno;
    uint64_t lost;
    va_list pairs;

    if (!fsh_log_wants(level))
        return;
    lost = atomic_exchange(&log_state.lost, 0);
    if (lost > 0 && !say_pairs(FSH_LOG_WARNING, "lines-lost", FSH_LOG_NUMBER("lines", lost), NULL))
        log_state.lost += lost;
    va_start(pairs, event);
    if (!say(level, event, pairs))
        log_state.lost++;
    va_end(pairs);
    errno = before;
}
