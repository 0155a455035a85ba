/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/doctor.h"

#include "base/error.h"
#include "lib/internal.h"
#include "lib/keeper.h"
#include "profile/profile.h"

#include <curl/curl.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- findings ---------------------------------------------------------------------------- */

#define FINDING_MAX 512

/* A line of text, whatever the platform or a file's name has in it. */
__attribute__((format(printf, 4, 0))) static void tell(struct fsh_doctor *doctor, const char *check,
                                                       enum freshet_health health,
                                                       const char *format, va_list args)
{
    char text[FINDING_MAX];

    (void)vsnprintf(text, sizeof(text), format, args);
    for (char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
    doctor->troubles += health != FRESHET_HEALTH_OK;
    doctor->found(doctor->data, check, health, text);
}

void fsh_doctor_good(struct fsh_doctor *doctor, const char *check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(doctor, check, FRESHET_HEALTH_OK, format, args);
    va_end(args);
}

void fsh_doctor_warn(struct fsh_doctor *doctor, const char *check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(doctor, check, FRESHET_HEALTH_WARNING, format, args);
    va_end(args);
}

void fsh_doctor_bad(struct fsh_doctor *doctor, const char *check, int status, const char *format,
                    ...)
{
    char text[sizeof(doctor->error->message)];
    va_list args;

    if (doctor->status == FRESHET_OK) {
        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        doctor->status = fsh_base_fail(doctor->error, status, "%s", text);
    }
    va_start(args, format);
    tell(doctor, check, FRESHET_HEALTH_BAD, format, args);
    va_end(args);
}

/* ---- the configuration ------------------------------------------------------------------- */

static void check_origin(struct fsh_doctor *doctor, const char *what, const char *url)
{
    struct fsh_origin origin = {0};
    struct freshet_error error = {0};
    int status = fsh_engine_origin(url, &origin, &error);

    if (status != FRESHET_OK)
        fsh_doctor_bad(doctor, "config", status, "%s: %s", what, error.message);
    fsh_engine_origin_done(&origin);
}

static bool known_id(const char *name, bool group)
{
    char buffer[4096];
    struct passwd user;
    struct passwd *user_found = NULL;
    struct group members;
    struct group *group_found = NULL;

    /* A group with more members than there is room for is there. */
    if (group)
        return getgrnam_r(name, &members, buffer, sizeof(buffer), &group_found) == ERANGE ||
               group_found;
    return getpwnam_r(name, &user, buffer, sizeof(buffer), &user_found) == ERANGE || user_found;
}

/* Each line is "uid:NAME verbs", or with gid, or with a number. */
static void check_peers(struct fsh_doctor *doctor, const char *session, const char *lines)
{
    char name[64];

    for (const char *line = lines; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(line + 4, " "), line + 4);
        if ((name[0] < '0' || name[0] > '9') && !known_id(name, line[0] == 'g'))
            fsh_doctor_warn(doctor, "config",
                            "[session %s] allows the %s %s, whom this machine does not know; mend "
                            "the name",
                            session, line[0] == 'g' ? "group" : "user", name);
    }
}

static void check_sessions(struct fsh_doctor *doctor)
{
    size_t count = freshet_config_session_count(doctor->config);

    for (size_t i = 0; i < count; i++) {
        const char *name = freshet_config_session_name(doctor->config, i);
        char section[FSH_NAME_MAX + 16];

        (void)snprintf(section, sizeof(section), "session %s", name);
        check_peers(doctor, name, freshet_config_get(doctor->config, section, "allow"));
    }
}

void fsh_doctor_config(struct fsh_doctor *doctor)
{
    const struct freshet_options *options = &doctor->options;
    size_t count = doctor->config ? freshet_config_session_count(doctor->config) : 0;
    size_t before = doctor->troubles;

    if (options->url)
        check_origin(doctor, options->url, options->url);
    for (size_t i = 0; i < options->origins_count; i++)
        check_origin(doctor, options->origins[i], options->origins[i]);
    if (!fsh_profile_find(options->profile)) {
        struct freshet_error error = {0};

        (void)fsh_lib_unknown_profile(options->profile, &error);
        fsh_doctor_bad(doctor, "config", FRESHET_ECONFIG, "%s", error.message);
    }
    if (doctor->config)
        check_sessions(doctor);
    if (doctor->troubles > before)
        return;
    if (doctor->config)
        fsh_doctor_good(doctor, "config", "%s says what it must; %zu session%s",
                        fsh_lib_config_file(doctor->config, 0), count, count == 1 ? "" : "s");
    else
        fsh_doctor_good(doctor, "config", "no file; the options say what they must");
}

/* ---- all --------------------------------------------------------------------------------- */

int freshet_doctor(const struct freshet_config *config, const struct freshet_options *options,
                   freshet_finding_fn *found, void *data, struct freshet_error *error)
{
    struct fsh_doctor doctor = {
        .config = config,
        .options = FRESHET_OPTIONS_INIT,
        .found = found,
        .data = data,
        .error = error,
    };
    int status = fsh_lib_options(options, &doctor.options, error);

    if (status != FRESHET_OK)
        return status;
    if (!doctor.options.url && !fsh_lib_keeper_socket(doctor.options.secrets))
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "url is missing: name the platform's base URL");
    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return fsh_base_fail(error, FRESHET_EINTERNAL,
                             "libsodium or libcurl cannot be initialised");
    fsh_doctor_config(&doctor);
    /* The files are the keeper's, and whoever asks it need not be able to see them. */
    if (fsh_lib_keeper_socket(doctor.options.secrets)) {
        fsh_doctor_keeper(&doctor);
    } else {
        fsh_doctor_permissions(&doctor);
        fsh_doctor_key(&doctor);
        fsh_doctor_store(&doctor);
    }
    fsh_doctor_clock(&doctor);
    fsh_doctor_limits(&doctor);
    if (doctor.options.url)
        fsh_doctor_platform(&doctor);
    return doctor.status;
}
