/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "engine/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fsh_engine_credentials_done(struct fsh_credentials *credentials)
{
    free(credentials->username);
    free(credentials->password_file);
    *credentials = (struct fsh_credentials){0};
}

/* Reads up to `size` bytes; returns how many, or -1 with errno. */
static ssize_t read_whole(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    size_t len = 0;
    ssize_t got = 1;

    if (fd < 0)
        return -1;
    while (len < size && got > 0) {
        got = read(fd, buffer + len, size - len);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            len += (size_t)got;
    }
    (void)close(fd);
    return got < 0 ? -1 : (ssize_t)len;
}

/* Editors end a file with a newline that is no part of the password. */
static size_t without_newline(const char *bytes, size_t len)
{
    if (len > 0 && bytes[len - 1] == '\n')
        len--;
    if (len > 0 && bytes[len - 1] == '\r')
        len--;
    return len;
}

static int from_file(const char *path, struct fsh_secret *ret_password, struct freshet_error *error)
{
    char buffer[FSH_CREDENTIAL_MAX + 3];
    ssize_t got = read_whole(path, buffer, sizeof(buffer));
    size_t len = got < 0 ? 0 : without_newline(buffer, (size_t)got);
    int status;

    if (got < 0)
        status = fsh_base_fail(error, FRESHET_ECONFIG, "password_file %s cannot be read: %s", path,
                               strerror(errno));
    else if (len == 0)
        status = fsh_base_fail(error, FRESHET_ECONFIG, "password_file %s is empty", path);
    else if (len > FSH_CREDENTIAL_MAX)
        status = fsh_base_fail(error, FRESHET_ECONFIG, "password_file %s holds more than %d bytes",
                               path, FSH_CREDENTIAL_MAX);
    else
        status = fsh_base_secret_copy(buffer, len, ret_password);
    fsh_base_wipe(buffer, sizeof(buffer));
    return status;
}

static int from_callback(const struct fsh_credentials *credentials, struct fsh_secret *ret_password,
                         struct freshet_error *error)
{
    char buffer[FSH_CREDENTIAL_MAX + 1] = "";
    int status = credentials->password(credentials->password_data, buffer, sizeof(buffer));

    buffer[sizeof(buffer) - 1] = '\0';
    if (status == FRESHET_OK)
        status = fsh_base_secret_copy(buffer, strlen(buffer), ret_password);
    else
        status = fsh_base_fail(error, FRESHET_ECONFIG, "the program's password callback failed");
    fsh_base_wipe(buffer, sizeof(buffer));
    return status;
}

int fsh_engine_password(const struct fsh_credentials *credentials, struct fsh_secret *ret_password,
                        struct freshet_error *error)
{
    if (credentials->password)
        return from_callback(credentials, ret_password, error);
    if (credentials->password_file)
        return from_file(credentials->password_file, ret_password, error);
    return fsh_base_fail(error, FRESHET_ECONFIG,
                         "the session has no password and no password_file");
}
