/* SPDX-License-Identifier: Apache-2.0 */

/* Which platform, which stores, which session: by a configuration, or by flags and environment. */

#include "cli.h"

#include <errno.h>
#include <freshet/admin.h>
#include <freshet/config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int no_memory(struct fsh_cli *cli)
{
    return fsh_cli_fail(cli, FRESHET_ENOMEM, NULL);
}

/* ---- where files are --------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static bool make_path(char **ret_path, const char *format,
                                                            ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vasprintf(ret_path, format, args);
    va_end(args);
    if (len < 0)
        *ret_path = NULL;
    return len >= 0;
}

/* A file or folder below one of the XDG folders, or below `otherwise` in the home folder. *ret_path
 * is NULL when there is neither. The specification wants relative paths ignored. */
static bool xdg_path(const char *variable, const char *otherwise, const char *tail, char **ret_path)
{
    const char *base = getenv(variable);
    const char *home = getenv("HOME");

    *ret_path = NULL;
    if (base && base[0] == '/')
        return make_path(ret_path, "%s/%s", base, tail);
    if (home && home[0] == '/')
        return make_path(ret_path, "%s/%s/%s", home, otherwise, tail);
    return true;
}

/* ---- the configuration ------------------------------------------------------------------- */

static const enum fsh_cli_option loose[] = {FSH_CLI_url, FSH_CLI_profile, FSH_CLI_ca_file,
                                            FSH_CLI_state};

/* The option on the command line that goes without a configuration. */
static const char *loose_option(const struct fsh_cli *cli)
{
    for (size_t i = 0; i < sizeof(loose) / sizeof(loose[0]); i++) {
        if (cli->given[loose[i]])
            return loose[i] == FSH_CLI_ca_file ? "ca-file" : fsh_cli_options[loose[i]].name;
    }
    return NULL;
}

static int find_config(struct fsh_cli *cli)
{
    const char *option = loose_option(cli);
    const char *named = cli->values[FSH_CLI_config];

    if (option && cli->given[FSH_CLI_config])
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "--%s goes without a configuration, and --config names one; leave one "
                            "of them out",
                            option);
    if (option)
        return FRESHET_OK;
    if (named) {
        cli->config_path = strdup(named);
        return cli->config_path ? FRESHET_OK : no_memory(cli);
    }
    if (!xdg_path("XDG_CONFIG_HOME", ".config", "freshet/freshet.conf", &cli->config_path))
        return no_memory(cli);
    if (cli->config_path && access(cli->config_path, F_OK) != 0) {
        free(cli->config_path);
        cli->config_path = NULL;
    }
    return FRESHET_OK;
}

static int make_up_options(struct fsh_cli *cli)
{
    const char *state = cli->values[FSH_CLI_state];
    bool good = state ? make_path(&cli->state, "%s", state)
                      : xdg_path("XDG_STATE_HOME", ".local/state", "freshet", &cli->state);

    cli->options.url = cli->values[FSH_CLI_url];
    cli->options.profile = cli->values[FSH_CLI_profile];
    cli->options.ca_file = cli->values[FSH_CLI_ca_file];
    if (!good)
        return no_memory(cli);
    if (cli->values[FSH_CLI_keeper] && !cli->values[FSH_CLI_no_keeper])
        return FRESHET_OK; /* it has the stores */
    if (!cli->state)
        return fsh_cli_fail(cli, FRESHET_ECONFIG,
                            "HOME is not set, so there is no place for the stores; name one with "
                            "--state");
    if (!make_path(&cli->secrets, "sqlite:%s/secrets.db", cli->state) ||
        !make_path(&cli->tokens, "sqlite:%s/tokens.db", cli->state) ||
        !make_path(&cli->key_file, "%s/store.key", cli->state))
        return no_memory(cli);
    cli->options.secrets = cli->secrets;
    cli->options.tokens = cli->tokens;
    cli->options.key_file = cli->key_file;
    return FRESHET_OK;
}

int fsh_cli_place(struct fsh_cli *cli)
{
    int status;

    cli->options = (struct freshet_options)FRESHET_OPTIONS_INIT;
    status = find_config(cli);
    if (status != FRESHET_OK)
        return status;
    if (!cli->config_path) {
        status = make_up_options(cli);
    } else {
        status = freshet_config_load(cli->config_path, &cli->config, &cli->error);
        if (status == FRESHET_OK)
            freshet_config_options(cli->config, &cli->options);
    }
    return status == FRESHET_OK ? fsh_cli_keeper(cli) : status;
}

/* ---- the state folder -------------------------------------------------------------------- */

bool fsh_cli_place_empty(const struct fsh_cli *cli)
{
    return !cli->config && !cli->keeper && access(cli->key_file, F_OK) != 0;
}

/* Makes a folder and those above it, for this user alone. 0, or -1 with errno. */
static int make_folders(char *path)
{
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        int made;

        *slash = '\0';
        made = mkdir(path, 0700);
        *slash = '/';
        if (made != 0 && errno != EEXIST)
            return -1;
    }
    return mkdir(path, 0700) != 0 && errno != EEXIST ? -1 : 0;
}

int fsh_cli_state_make(struct fsh_cli *cli)
{
    if (cli->config || make_folders(cli->state) == 0)
        return FRESHET_OK;
    return fsh_cli_fail(cli, FRESHET_ESTORE,
                        "the folder %.160s cannot be made: %s; choose another with --state",
                        cli->state, strerror(errno));
}

int fsh_cli_place_make(struct fsh_cli *cli)
{
    int status;

    if (!fsh_cli_place_empty(cli))
        return FRESHET_OK;
    status = fsh_cli_state_make(cli);
    if (status == FRESHET_OK)
        status = freshet_key_new(cli->key_file, &cli->error);
    /* Another first sign-in at the same moment may have made it. */
    if (status != FRESHET_OK)
        return fsh_cli_place_empty(cli) ? status : FRESHET_OK;
    fsh_cli_say(cli, "made %s, the key that seals the stores beside it; keep both", cli->key_file);
    return FRESHET_OK;
}

/* ---- opening ----------------------------------------------------------------------------- */

int fsh_cli_open(struct fsh_cli *cli)
{
    if (!cli->options.url && !cli->keeper)
        return fsh_cli_fail(cli, FRESHET_ECONFIG, FSH_CLI_WHICH_PLATFORM);
    if (fsh_cli_place_empty(cli))
        return fsh_cli_fail(cli, FRESHET_ESIGNEDOUT,
                            "nobody has signed in yet; use `freshet login`");
    return freshet_open(&cli->options, &cli->freshet, &cli->error);
}

/* What the configuration says of a session; false when it does not know it. */
static bool configured(const struct fsh_cli *cli, const char *name,
                       struct freshet_session_options *ret_options)
{
    return cli->config &&
           freshet_config_session(cli->config, name, ret_options, NULL) == FRESHET_OK;
}

bool fsh_cli_is_configured(const struct fsh_cli *cli, const char *name)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;

    return configured(cli, name, &options);
}

bool fsh_cli_is_service(const struct fsh_cli *cli, const char *name)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;

    return configured(cli, name, &options) && options.kind == FRESHET_SERVICE;
}

const char *fsh_cli_account(const struct fsh_cli *cli, const char *name)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;

    return configured(cli, name, &options) ? options.username : NULL;
}

int fsh_cli_session_name(struct fsh_cli *cli, const char *operand, const char **ret_name)
{
    size_t count = cli->config ? freshet_config_session_count(cli->config) : 0;

    if (operand)
        *ret_name = operand;
    else if (count == 0)
        *ret_name = "default";
    else if (count == 1)
        *ret_name = freshet_config_session_name(cli->config, 0);
    else
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "which session? The configuration has %zu; see `freshet sessions`",
                            count);
    return FRESHET_OK;
}

int fsh_cli_session(struct fsh_cli *cli, const char *name, enum fsh_cli_use use,
                    struct freshet_session **ret_session)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;

    (void)configured(cli, name, &options);
    cli->threshold_ms = options.threshold_ms ? options.threshold_ms : cli->options.threshold_ms;
    /* Nothing signs it in behind our back. */
    if (use != FSH_CLI_CALL)
        options.kind = FRESHET_INTERACTIVE;
    /* A program that ends in a moment refreshes for its own use only. */
    options.on_demand = true;
    return freshet_session_open(cli->freshet, name, &options, ret_session, &cli->error);
}

int fsh_cli_open_session(struct fsh_cli *cli, enum fsh_cli_use use)
{
    int status = fsh_cli_place(cli);

    if (status == FRESHET_OK)
        status = fsh_cli_session_name(cli, cli->operands[0], &cli->name);
    if (status == FRESHET_OK && use == FSH_CLI_SIGN_IN && cli->options.url)
        status = fsh_cli_place_make(cli);
    if (status == FRESHET_OK)
        status = fsh_cli_open(cli);
    if (status == FRESHET_OK)
        status = fsh_cli_session(cli, cli->name, use, &cli->session);
    return status;
}

void fsh_cli_place_done(struct fsh_cli *cli)
{
    freshet_close(cli->freshet);
    cli->freshet = NULL;
    cli->session = NULL;
    freshet_config_free(cli->config);
    cli->config = NULL;
    free(cli->config_path);
    free(cli->state);
    free(cli->secrets);
    free(cli->tokens);
    free(cli->key_file);
    free(cli->keeper);
}
