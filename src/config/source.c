/* SPDX-License-Identifier: Apache-2.0 */
#include "config/source.h"

#include <errno.h>
#include <fcntl.h>
#include <freshet/status.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whether the open file is one that a configuration may stand in. */
static bool fit(int fd, struct fsh_config_source *source, char *why, size_t why_size)
{
    struct stat about;

    if (fstat(fd, &about) != 0)
        (void)snprintf(why, why_size, "cannot be looked at: %s", strerror(errno));
    else if (!S_ISREG(about.st_mode))
        (void)snprintf(why, why_size, "is not a regular file");
    else if (about.st_mode & S_IWOTH)
        (void)snprintf(why, why_size, "may be written by everybody; chmod o-w it");
    else if (about.st_size > FSH_CONFIG_SOURCE_MAX)
        (void)snprintf(why, why_size, "is larger than 1 MiB");
    else {
        source->device = about.st_dev;
        source->inode = about.st_ino;
        return true;
    }
    return false;
}

/* Reads up to `room` bytes; -1 with errno. It may have grown since it was looked at. */
static ssize_t read_whole(int fd, char *buffer, size_t room)
{
    size_t len = 0;
    ssize_t got = 1;

    while (len < room && got > 0) {
        got = read(fd, buffer + len, room - len);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            len += (size_t)got;
    }
    return got < 0 ? -1 : (ssize_t)len;
}

/* A NUL ends what a parser sees, so that the rest would be passed over. */
static bool good_bytes(const char *text, size_t len, char *why, size_t why_size)
{
    const char *nul = memchr(text, '\0', len);
    size_t line = 1;

    if (!nul)
        return true;
    for (const char *c = text; c < nul; c++)
        line += *c == '\n';
    (void)snprintf(why, why_size, "has a NUL byte in line %zu; write it as text in UTF-8", line);
    return false;
}

static void drop_mark(struct fsh_config_source *source)
{
    if (source->len < 3 || memcmp(source->text, "\xef\xbb\xbf", 3) != 0)
        return;
    source->len -= 3;
    memmove(source->text, source->text + 3, source->len + 1);
}

static int read_open(int fd, struct fsh_config_source *source, char *why, size_t why_size)
{
    ssize_t got;

    if (!fit(fd, source, why, why_size))
        return FRESHET_ECONFIG;
    source->text = malloc(FSH_CONFIG_SOURCE_MAX + 2);
    if (!source->text)
        return FRESHET_ENOMEM;
    got = read_whole(fd, source->text, FSH_CONFIG_SOURCE_MAX + 1);
    if (got < 0 || got > FSH_CONFIG_SOURCE_MAX) {
        (void)snprintf(why, why_size, "%s%s", got < 0 ? "cannot be read: " : "is larger than 1 MiB",
                       got < 0 ? strerror(errno) : "");
        return FRESHET_ECONFIG;
    }
    source->len = (size_t)got;
    source->text[got] = '\0';
    if (!good_bytes(source->text, source->len, why, why_size))
        return FRESHET_ECONFIG;
    drop_mark(source);
    return FRESHET_OK;
}

int fsh_config_source_read(const char *path, struct fsh_config_source *ret_source, char *why,
                           size_t why_size)
{
    struct fsh_config_source source = {0};
    /* Without O_NONBLOCK a FIFO would have us wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int status;

    if (fd < 0) {
        (void)snprintf(why, why_size, "cannot be read: %s", strerror(errno));
        return FRESHET_ECONFIG;
    }
    status = read_open(fd, &source, why, why_size);
    (void)close(fd);
    if (status != FRESHET_OK) {
        fsh_config_source_done(&source);
        return status;
    }
    *ret_source = source;
    return FRESHET_OK;
}

void fsh_config_source_done(struct fsh_config_source *source)
{
    free(source->text);
    *source = (struct fsh_config_source){0};
}
