/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite/file.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <freshet/status.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool fsh_sqlite_file_exists(const char *path)
{
    struct stat file;

    return lstat(path, &file) == 0 || errno != ENOENT;
}

/* So that the file's name outlives the machine's going down. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    char *slash;
    int fd;

    (void)snprintf(folder, sizeof(folder), "%s", path);
    slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    (void)close(fd);
}

int fsh_sqlite_file_create(const char *path, struct freshet_error *error)
{
    if (strlen(path) >= PATH_MAX - 8)
        return fsh_base_fail(error, FRESHET_ECONFIG, "the store's path is too long");
    /* mknod(2) makes it without opening it, and never follows a link. */
    if (mknod(path, S_IFREG | S_IRUSR | S_IWUSR, 0) != 0) {
        if (errno == EEXIST || errno == EROFS)
            return FRESHET_OK; /* whoever opens it sees the rest */
        return fsh_base_fail(error, errno == ENOENT ? FRESHET_ECONFIG : FRESHET_ESTORE,
                             "the store cannot be created (%s): %s", strerror(errno), path);
    }
    /* A umask may have taken more than it should. */
    if (chmod(path, S_IRUSR | S_IWUSR) != 0)
        return fsh_base_fail(error, FRESHET_ESTORE, "the store cannot be created (%s): %s",
                             strerror(errno), path);
    sync_folder(path);
    return FRESHET_OK;
}

static int check(const char *path, const struct stat *file, struct freshet_error *error)
{
    if (!S_ISREG(file->st_mode))
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "a store is a plain file, not a link, a folder or a device: %s", path);
    if (file->st_uid != geteuid())
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "the store belongs to user %u; run this program as that user: %s",
                             (unsigned)file->st_uid, path);
    if (file->st_mode & (S_IRWXG | S_IRWXO))
        return fsh_base_fail(error, FRESHET_ECONFIG, "others may open the store; chmod 600 it: %s",
                             path);
    return FRESHET_OK;
}

int fsh_sqlite_file_check(const char *path, struct stat *ret_file, struct freshet_error *error)
{
    static const char *const beside[] = {"-wal", "-shm"};
    char name[PATH_MAX];
    struct stat file;
    struct stat other;
    int status;

    if (lstat(path, &file) != 0)
        return fsh_base_fail(error, FRESHET_ESTORE, "the store is not there (%s): %s",
                             strerror(errno), path);
    status = check(path, &file, error);
    for (size_t i = 0; status == FRESHET_OK && i < sizeof(beside) / sizeof(beside[0]); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, beside[i]);
        if (lstat(name, &other) == 0)
            status = check(name, &other, error);
    }
    if (status == FRESHET_OK)
        *ret_file = file;
    return status;
}
