/* SPDX-License-Identifier: Apache-2.0 */

/* Who may read and write the files that Freshet trusts. */

#include "engine/internal.h"
#include "lib/doctor.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK "permissions"

/* Ours, or root's: nobody else may write to what we trust. */
static bool trusted(const struct stat *about)
{
    return about->st_uid == geteuid() || about->st_uid == 0;
}

/* Who may write to a folder may put another file in the place of ours. */
static void check_folder(struct fsh_doctor *doctor, const char *what, const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct stat about;

    if (!slash)
        (void)snprintf(folder, sizeof(folder), ".");
    else
        (void)snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path),
                       path);
    /* What it means that a folder is not there is said of the file. */
    if (stat(folder, &about) != 0)
        return;
    if (about.st_mode & S_IWOTH && !(about.st_mode & S_ISVTX))
        fsh_doctor_bad(doctor, CHECK, FRESHET_ECONFIG,
                       "%s: everybody may replace the files in its folder; chmod o-w %s", what,
                       folder);
    else if (about.st_mode & (S_IWGRP | S_IWOTH))
        fsh_doctor_warn(doctor, CHECK, "%s: others may make files in its folder; chmod go-w %s",
                        what, folder);
    else if (!trusted(&about))
        fsh_doctor_warn(doctor, CHECK,
                        "%s: its folder belongs to user %u, who may replace files in it; chown %s",
                        what, (unsigned)about.st_uid, folder);
}

static void check_config_file(struct fsh_doctor *doctor, const char *path)
{
    struct stat about;

    if (stat(path, &about) != 0)
        fsh_doctor_bad(doctor, CHECK, FRESHET_ECONFIG,
                       "the configuration file %s is gone since it was read (%s)", path,
                       strerror(errno));
    else if (!trusted(&about))
        fsh_doctor_warn(doctor, CHECK,
                        "the configuration file %s belongs to user %u, who may change it; chown it",
                        path, (unsigned)about.st_uid);
    else if (about.st_mode & S_IWGRP)
        fsh_doctor_warn(doctor, CHECK, "the group may change the configuration file; chmod g-w %s",
                        path);
    check_folder(doctor, "configuration", path);
}

/* ---- passwords --------------------------------------------------------------------------- */

/* Reads it as a sign-in would, and forgets it. */
static bool usable_password(struct fsh_doctor *doctor, const char *session, char *path)
{
    struct fsh_credentials credentials = {.password_file = path};
    struct fsh_secret password = {0};
    struct freshet_error error = {0};
    int status = fsh_engine_password(&credentials, &password, &error);

    fsh_base_secret_done(&password);
    if (status != FRESHET_OK)
        fsh_doctor_bad(doctor, CHECK, status, "[session %s] %s", session, error.message);
    return status == FRESHET_OK;
}

static void check_password_file(struct fsh_doctor *doctor, const char *session, const char *path)
{
    char copy[PATH_MAX];
    struct stat about;

    (void)snprintf(copy, sizeof(copy), "%s", path);
    if (!usable_password(doctor, session, copy) || stat(path, &about) != 0)
        return;
    if (about.st_mode & S_IRWXO)
        fsh_doctor_bad(doctor, CHECK, FRESHET_ECONFIG,
                       "[session %s] everybody may open the password; chmod 600 %s", session, path);
    /* A credential of systemd's is root's and 0440: an access list shows as the group. */
    else if (about.st_mode & S_IRWXG && !(about.st_uid == 0 && (about.st_mode & 0777) == 0440))
        fsh_doctor_warn(doctor, CHECK, "[session %s] the group may open the password; chmod 600 %s",
                        session, path);
    else if (!trusted(&about))
        fsh_doctor_warn(doctor, CHECK,
                        "[session %s] the password's file belongs to user %u; chown %s", session,
                        (unsigned)about.st_uid, path);
    check_folder(doctor, "password", path);
}

static size_t check_passwords(struct fsh_doctor *doctor)
{
    size_t count = freshet_config_session_count(doctor->config);
    size_t files = 0;

    for (size_t i = 0; i < count; i++) {
        const char *name = freshet_config_session_name(doctor->config, i);
        char section[FSH_NAME_MAX + 16];
        const char *path;

        (void)snprintf(section, sizeof(section), "session %s", name);
        path = freshet_config_get(doctor->config, section, "password_file");
        if (path) {
            check_password_file(doctor, name, path);
            files++;
        }
    }
    return files;
}

/* ---- all --------------------------------------------------------------------------------- */

void fsh_doctor_permissions(struct fsh_doctor *doctor)
{
    const char *secrets = fsh_doctor_store_path(doctor->options.secrets);
    const char *tokens = fsh_doctor_store_path(doctor->options.tokens);
    size_t files = 0;
    size_t passwords = 0;
    size_t before = doctor->troubles;
    const char *path;

    for (; doctor->config && (path = fsh_lib_config_file(doctor->config, files)); files++)
        check_config_file(doctor, path);
    if (doctor->config)
        passwords = check_passwords(doctor);
    if (doctor->options.key_file)
        check_folder(doctor, "key file", doctor->options.key_file);
    if (secrets)
        check_folder(doctor, "secrets", secrets);
    if (tokens)
        check_folder(doctor, "tokens", tokens);
    if (doctor->troubles == before)
        fsh_doctor_good(doctor, CHECK,
                        "%zu configuration file%s, %zu password file%s and all folders are safe",
                        files, files == 1 ? "" : "s", passwords, passwords == 1 ? "" : "s");
}
