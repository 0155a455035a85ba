/* SPDX-License-Identifier: Apache-2.0 */

/* What only the whole can tell: keys that are missing, and keys that do not go together. */

#include "config/reading.h"
#include "config/value.h"

#include <string.h>

static void missing(struct fsh_config_reading *reading, const struct fsh_config_section *section)
{
    size_t count;
    const struct fsh_config_key *keys = fsh_config_keys(section->kind, &count);

    for (size_t i = 0; i < count; i++) {
        if (keys[i].times == FSH_CONFIG_REQUIRED && !section->values[i].text)
            fsh_config_problem(reading, section->file, section->line, "[%s] needs the key %s",
                               fsh_config_heading(section->kind), keys[i].name);
    }
}

/* What is sealed needs a key. */
static void judge_store(struct fsh_config_reading *reading,
                        const struct fsh_config_section *section)
{
    static const char *const stores[] = {"secrets", "tokens"};
    const struct fsh_config_value *key_file = fsh_config_value_of(section, "key_file");
    const struct fsh_config_value *secrets = fsh_config_value_of(section, "secrets");
    const struct fsh_config_value *tokens = fsh_config_value_of(section, "tokens");

    for (size_t i = 0; i < 2 && !key_file->text; i++) {
        const struct fsh_config_value *store = fsh_config_value_of(section, stores[i]);

        if (!store->text || strncmp(store->text, "sqlite:", 7) != 0)
            continue;
        fsh_config_problem(reading, store->file, store->line,
                           "%s on a disk needs key_file in [store]; `freshet key new FILE` makes "
                           "one",
                           stores[i]);
        break;
    }
    if (secrets->text && tokens->text && strncmp(tokens->text, "sqlite:", 7) == 0 &&
        strcmp(secrets->text, tokens->text) == 0)
        fsh_config_problem(reading, tokens->file, tokens->line,
                           "tokens must not be in the file of the secrets; name another");
}

static void judge_keeper(struct fsh_config_reading *reading,
                         const struct fsh_config_section *section)
{
    const struct fsh_config_value *control = fsh_config_value_of(section, "control_socket");
    const struct fsh_config_value *browser = fsh_config_value_of(section, "browser_socket");

    if (control->text && browser->text && strcmp(control->text, browser->text) == 0)
        fsh_config_problem(reading, browser->file, browser->line,
                           "browser_socket is control_socket; name another");
}

static void judge_browser(struct fsh_config_reading *reading,
                          const struct fsh_config_section *section)
{
    const struct fsh_config_value *idle = fsh_config_value_of(section, "idle_timeout");
    const struct fsh_config_value *absolute = fsh_config_value_of(section, "absolute_timeout");
    const struct fsh_config_value *set = idle->text ? idle : absolute;

    if (fsh_config_duration(fsh_config_text(section, "idle_timeout")) >
        fsh_config_duration(fsh_config_text(section, "absolute_timeout")))
        fsh_config_problem(reading, set->file, set->line,
                           "idle_timeout is longer than absolute_timeout");
}

static void judge_session(struct fsh_config_reading *reading,
                          const struct fsh_config_section *section)
{
    const struct fsh_config_value *file = fsh_config_value_of(section, "password_file");

    if (file->text && !fsh_config_value_of(section, "username")->text)
        fsh_config_problem(reading, file->file, file->line,
                           "password_file without username; name the account");
}

void fsh_config_judge(struct fsh_config_reading *reading)
{
    const struct fsh_config *config = reading->config;

    for (int kind = 0; kind < FSH_CONFIG_KINDS; kind++) {
        if (kind != FSH_CONFIG_SESSION)
            missing(reading, &config->fixed[kind]);
    }
    judge_store(reading, &config->fixed[FSH_CONFIG_STORE]);
    judge_keeper(reading, &config->fixed[FSH_CONFIG_KEEPER]);
    judge_browser(reading, &config->fixed[FSH_CONFIG_BROWSER]);
    for (size_t i = 0; i < config->session_count && !reading->stop; i++)
        judge_session(reading, &config->sessions[i]);
}
