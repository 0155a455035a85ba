/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keyfile.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <freshet/status.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* ---- reading --------------------------------------------------------------------------------- */

static int cannot_open(const char *path, struct freshet_error *error)
{
    if (errno == ENOENT)
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "there is no key file %s; make one with `freshet key new FILE`", path);
    return fsh_base_fail(error, FRESHET_ECONFIG, "the key file %s cannot be opened: %s", path,
                         strerror(errno));
}

/* For a credential systemd sets 0400 and lets the service read it by an access list, whose mask
 * shows as the permission of the group. */
static bool is_private(const struct stat *about)
{
    mode_t others = about->st_mode & 0077;

    return others == 0 || (about->st_uid == 0 && (about->st_mode & 0777) == 0440);
}

static int examine(const char *path, const struct stat *about, struct freshet_error *error)
{
    if (!S_ISREG(about->st_mode))
        return fsh_base_fail(error, FRESHET_ECONFIG, "the key file %s is not a regular file", path);
    if (!is_private(about))
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "others may read or write the key file %s (%04o); chmod 600 it, and "
                             "rotate the key if others may have seen it",
                             path, (unsigned)about->st_mode & 07777);
    if (about->st_size > FSH_KEYS_TEXT_MAX)
        return fsh_base_fail(error, FRESHET_ECONFIG, "%s is too large for a key file", path);
    return FRESHET_OK;
}

/* The whole file, up to its bound; -1 with errno. */
static ssize_t read_whole(int fd, char text[FSH_KEYS_TEXT_MAX])
{
    size_t len = 0;

    while (len < FSH_KEYS_TEXT_MAX) {
        ssize_t got = read(fd, text + len, FSH_KEYS_TEXT_MAX - len);

        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return -1;
        len += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)len;
}

static int read_keys(const char *path, int fd, char text[FSH_KEYS_TEXT_MAX], struct fsh_keys *keys,
                     struct freshet_error *error)
{
    ssize_t len = read_whole(fd, text);
    const char *why;

    if (len < 0)
        return fsh_base_fail(error, FRESHET_ECONFIG, "the key file %s cannot be read: %s", path,
                             strerror(errno));
    if (fsh_keys_parse(text, (size_t)len, keys, &why) != FRESHET_OK)
        return fsh_base_fail(error, FRESHET_ECONFIG, "%s is no key file: %s", path, why);
    return FRESHET_OK;
}

static int read_open(const char *path, int fd, struct fsh_keys **ret_keys,
                     struct freshet_error *error)
{
    struct fsh_keys *keys = NULL;
    int status = fsh_keys_new(&keys);
    char *text = status == FRESHET_OK ? sodium_malloc(FSH_KEYS_TEXT_MAX) : NULL;

    if (text)
        status = read_keys(path, fd, text, keys, error);
    else
        status = fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    sodium_free(text);
    if (status == FRESHET_OK)
        *ret_keys = keys;
    else
        fsh_keys_unref(keys);
    return status;
}

int fsh_keyfile_read(const char *path, struct fsh_keys **ret_keys, struct stat *ret_about,
                     struct freshet_error *error)
{
    /* Not to hang on a pipe of that name. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat about;
    int status;

    if (fd < 0 || fstat(fd, &about) != 0) {
        status = cannot_open(path, error);
    } else {
        status = examine(path, &about, error);
        if (status == FRESHET_OK)
            status = read_open(path, fd, ret_keys, error);
        if (status == FRESHET_OK)
            *ret_about = about;
    }
    if (fd >= 0)
        (void)close(fd);
    return status;
}

bool fsh_keyfile_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool write_whole(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, text, len);

        if (put < 0 && errno != EINTR)
            return false;
        text += put > 0 ? put : 0;
        len -= put > 0 ? (size_t)put : 0;
    }
    return fsync(fd) == 0;
}

static int write_keys(const char *path, int fd, const struct fsh_keys *keys,
                      struct freshet_error *error)
{
    char *text = sodium_malloc(FSH_KEYS_TEXT_MAX);
    int status = FRESHET_OK;

    if (!text)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    if (!write_whole(fd, text, fsh_keys_format(keys, text)))
        status = fsh_base_fail(error, FRESHET_ECONFIG, "%s cannot be written: %s", path,
                               strerror(errno));
    sodium_free(text);
    return status;
}

/* How much of a path is its folder, the slash behind it included. */
static int folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (int)(slash - path) + 1 : 0;
}

/* So that the name is durable too. */
static int sync_folder(const char *path, struct freshet_error *error)
{
    char folder[PATH_MAX];
    int fd;
    int status = FRESHET_OK;

    (void)snprintf(folder, sizeof(folder), "%.*s.", folder_len(path), path);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        status = fsh_base_fail(error, FRESHET_ECONFIG, "the folder of %s cannot be synced: %s",
                               path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return status;
}

/* Gives the whole file its name. A name that is taken stays as it is. */
static int name_it(const char *beside, const char *path, struct freshet_error *error)
{
    if (link(beside, path) == 0)
        return sync_folder(path, error);
    if (errno == EEXIST)
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "%s exists, and its key may be needed; choose another name, or use "
                             "`freshet key rotate` for a new key",
                             path);
    return fsh_base_fail(error, FRESHET_ECONFIG, "the key file %s cannot be made: %s", path,
                         strerror(errno));
}

int fsh_keyfile_create(const char *path, const struct fsh_keys *keys, struct freshet_error *error)
{
    char beside[PATH_MAX];
    int status;
    int fd;

    /* Written under another name, so that nobody ever meets half a key file. */
    if ((size_t)snprintf(beside, sizeof(beside), "%.*s.freshet-key-XXXXXX", folder_len(path),
                         path) >= sizeof(beside))
        return fsh_base_fail(error, FRESHET_ECONFIG, "the name of the key file is too long");
    fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return fsh_base_fail(error, FRESHET_ECONFIG, "the key file %s cannot be made: %s", path,
                             strerror(errno));
    status = write_keys(path, fd, keys, error);
    if (status == FRESHET_OK)
        status = name_it(beside, path, error);
    (void)unlink(beside);
    (void)close(fd);
    return status;
}

/* ---- replacing ------------------------------------------------------------------------------- */

int fsh_keyfile_lock(const char *path, int *ret_lock, struct freshet_error *error)
{
    /* Who waited may have the lock of a file that was replaced meanwhile. */
    for (int tries = 0; tries < 1000; tries++) {
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct stat mine;
        struct stat there;

        if (fd < 0)
            return cannot_open(path, error);
        while (flock(fd, LOCK_EX) != 0) {
            if (errno != EINTR) {
                (void)close(fd);
                return cannot_open(path, error);
            }
        }
        if (fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_dev == there.st_dev &&
            mine.st_ino == there.st_ino) {
            *ret_lock = fd;
            return FRESHET_OK;
        }
        (void)close(fd);
    }
    return fsh_base_fail(error, FRESHET_ECONFIG, "the key file %s changes all the time", path);
}

static int irreplaceable(const char *path, struct freshet_error *error)
{
    return fsh_base_fail(
        error, FRESHET_ECONFIG,
        "the key file %.60s cannot be replaced (%.40s). Is it a systemd credential? "
        "Stop the service, rotate the file that LoadCredential= names, and start "
        "it again (docs/keys.md)",
        path, strerror(errno));
}

static int put_beside(const char *path, const char *beside, const struct fsh_keys *keys,
                      struct freshet_error *error)
{
    struct stat about;
    int status;
    int fd;

    if (stat(path, &about) != 0)
        return cannot_open(path, error);
    (void)unlink(beside); /* of a rotation that crashed: the lock is ours */
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return irreplaceable(path, error);
    if (fchown(fd, about.st_uid, about.st_gid) != 0 || fchmod(fd, about.st_mode & 0777) != 0)
        status = irreplaceable(path, error);
    else
        status = write_keys(beside, fd, keys, error);
    (void)close(fd);
    return status;
}

int fsh_keyfile_replace(const char *path, const struct fsh_keys *keys, struct freshet_error *error)
{
    char *whole = realpath(path, NULL); /* the file itself, not a link to it */
    char beside[PATH_MAX];
    int status;

    if (!whole)
        return cannot_open(path, error);
    if ((size_t)snprintf(beside, sizeof(beside), "%s.new", whole) >= sizeof(beside)) {
        free(whole);
        return fsh_base_fail(error, FRESHET_ECONFIG, "the name of the key file is too long");
    }
    status = put_beside(whole, beside, keys, error);
    if (status == FRESHET_OK && rename(beside, whole) != 0)
        status = irreplaceable(path, error);
    if (status == FRESHET_OK)
        status = sync_folder(whole, error);
    else
        (void)unlink(beside);
    free(whole);
    return status;
}
