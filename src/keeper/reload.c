/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/reload.h"

#include "base/error.h"
#include "config/keys.h"
#include "keeper/browser.h"
#include "keeper/log.h"
#include "keeper/notify.h"

#include <freshet/status.h>
#include <string.h>

/* The sections whose keys are read at the start alone; of [browser] that there are browsers. */
static const enum fsh_config_kind fixed[] = {FSH_CONFIG_PLATFORM, FSH_CONFIG_STORE,
                                             FSH_CONFIG_KEEPER, FSH_CONFIG_BROWSER};

/* What a reload does change of them. */
static bool swapped(const char *key)
{
    return strcmp(key, "log_level") == 0 || strcmp(key, "log_format") == 0;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void name_what_stays(const struct fsh_keeper *keeper, const struct freshet_config *read)
{
    const struct freshet_config *running = keeper->config;

    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        const char *section = fsh_config_heading(fixed[i]);
        size_t count = 0;
        const struct fsh_config_key *keys = fsh_config_keys(fixed[i], &count);

        if (fixed[i] == FSH_CONFIG_BROWSER)
            continue;
        for (size_t k = 0; k < count; k++) {
            if (!swapped(keys[k].name) && !same(freshet_config_get(running, section, keys[k].name),
                                                freshet_config_get(read, section, keys[k].name)))
                fsh_log(FSH_LOG_WARNING, "reload-needs-restart", "section", section, "key",
                        keys[k].name, NULL);
        }
    }
}

static int swap(struct fsh_keeper *keeper, const struct freshet_config *read,
                struct freshet_error *error)
{
    struct fsh_registry_change *change;
    int status = fsh_registry_prepare(keeper->registry, read, &change, error);

    if (status != FRESHET_OK)
        return status;
    status = fsh_browsers_reload(keeper, read, error);
    if (status != FRESHET_OK) {
        fsh_registry_undo(change);
        return status;
    }
    fsh_registry_carry_out(change);
    name_what_stays(keeper, read);
    fsh_log_setup(freshet_config_get(read, "keeper", "log_level"),
                  freshet_config_get(read, "keeper", "log_format"));
    return FRESHET_OK;
}

void fsh_reload(struct fsh_keeper *keeper)
{
    struct freshet_config *read = NULL;
    struct freshet_error error;
    int status;

    fsh_notify_reloading();
    status = freshet_config_load(keeper->config_path, &read, &error);
    if (status == FRESHET_OK)
        status = swap(keeper, read, &error);
    if (status == FRESHET_OK)
        fsh_log(FSH_LOG_INFO, "reloaded",
                FSH_LOG_NUMBER("sessions", freshet_config_session_count(read)), NULL);
    else
        fsh_log(FSH_LOG_ERROR, "reload-failed", "status", freshet_status_name(status), "message",
                error.message, "stays", "the old configuration", NULL);
    freshet_config_free(read);
    fsh_notify_ready(status == FRESHET_OK ? "serving" : "serving; the new configuration is wrong");
}
