/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/socket.h"

#include "base/error.h"

#include <errno.h>
#include <freshet/status.h>
#include <grp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel takes net.core.somaxconn at the most */

static int fail(struct freshet_error *error, const char *path, const char *what)
{
    return fsh_base_fail(error, FRESHET_ECONFIG, "socket %s: %s: %s", path, what, strerror(errno));
}

static int unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Whether somebody listens there. A full backlog is somebody, too. */
static bool answers(const struct sockaddr_un *address)
{
    int fd = unix_socket();
    bool found = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
                             errno == EAGAIN);

    if (fd >= 0)
        (void)close(fd);
    return found;
}

/* Makes way for a socket: removes one that nobody serves. */
static int clear(const struct sockaddr_un *address, struct freshet_error *error)
{
    const char *path = address->sun_path;
    struct stat there;

    if (lstat(path, &there) != 0)
        return errno == ENOENT ? FRESHET_OK : fail(error, path, "cannot be looked at");
    if (!S_ISSOCK(there.st_mode))
        return fsh_base_fail(error, FRESHET_ECONFIG, "socket %s: something else is there", path);
    if (answers(address))
        return fsh_base_fail(error, FRESHET_ECONFIG, "socket %s: somebody serves it already", path);
    if (unlink(path) != 0 && errno != ENOENT)
        return fail(error, path, "an old one cannot be removed");
    return FRESHET_OK;
}

static int find_group(const char *group, gid_t *ret_gid, struct freshet_error *error)
{
    const struct group *found = getgrnam(group);
    char *end;
    unsigned long number;

    if (found) {
        *ret_gid = found->gr_gid;
        return FRESHET_OK;
    }
    errno = 0;
    number = strtoul(group, &end, 10);
    if (group[0] < '0' || group[0] > '9' || *end != '\0' || errno != 0 || number >= UINT32_MAX)
        return fsh_base_fail(error, FRESHET_ECONFIG, "gateway_group: this system has no group %s",
                             group);
    *ret_gid = (gid_t)number;
    return FRESHET_OK;
}

/* Nobody can connect yet: it does not listen. */
static int dress(const char *path, mode_t mode, const char *group, struct freshet_error *error)
{
    gid_t gid = 0;
    int status;

    if (group) {
        status = find_group(group, &gid, error);
        if (status != FRESHET_OK)
            return status;
        if (chown(path, (uid_t)-1, gid) != 0)
            return fail(error, path, "its group cannot be set");
    }
    if (chmod(path, mode) != 0)
        return fail(error, path, "its mode cannot be set");
    return FRESHET_OK;
}

static int bind_and_listen(int fd, const struct sockaddr_un *address, mode_t mode,
                           const char *group, struct fsh_socket *made, struct freshet_error *error)
{
    const char *path = address->sun_path;
    struct stat there;
    int status;

    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        return fail(error, path, "cannot be made");
    if (lstat(path, &there) != 0)
        return fail(error, path, "cannot be looked at");
    made->device = there.st_dev;
    made->inode = there.st_ino;
    status = dress(path, mode, group, error);
    if (status == FRESHET_OK && listen(fd, BACKLOG) != 0)
        status = fail(error, path, "cannot listen");
    if (status != FRESHET_OK)
        (void)unlink(path);
    return status;
}

int fsh_socket_listen(const char *path, mode_t mode, const char *group,
                      struct fsh_socket *ret_socket, int *ret_fd, struct freshet_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fsh_socket made = {0};
    int fd;
    int status;

    if (strlen(path) >= sizeof(address.sun_path))
        return fsh_base_fail(error, FRESHET_ECONFIG, "socket %s: more than %zu bytes", path,
                             sizeof(address.sun_path) - 1);
    strcpy(address.sun_path, path); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy) */
    status = clear(&address, error);
    if (status != FRESHET_OK)
        return status;
    fd = unix_socket();
    made.path = strdup(path);
    if (fd < 0)
        status = fail(error, path, "cannot be made");
    else if (!made.path)
        status = fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    else
        status = bind_and_listen(fd, &address, mode, group, &made, error);
    if (status != FRESHET_OK) {
        free(made.path);
        if (fd >= 0)
            (void)close(fd);
        return status;
    }
    *ret_socket = made;
    *ret_fd = fd;
    return FRESHET_OK;
}

void fsh_socket_done(struct fsh_socket *socket)
{
    struct stat there;

    if (!socket || !socket->path)
        return;
    if (lstat(socket->path, &there) == 0 && there.st_dev == socket->device &&
        there.st_ino == socket->inode)
        (void)unlink(socket->path);
    free(socket->path);
    *socket = (struct fsh_socket){0};
}
