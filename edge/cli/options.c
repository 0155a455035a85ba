/* SPDX-License-Identifier: Apache-2.0 */

/* The command line: read by the tables of options.def. */

#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct fsh_cli_verb_row fsh_cli_verbs[FSH_CLI_VERBS] = {
#define FRESHET_VERB(name, operands, help) {#name, operands, help, fsh_cli_##name##_run},
#define FRESHET_OPTION(name, argument, verbs, environment, help)
#include "options.def"
#undef FRESHET_VERB
#undef FRESHET_OPTION
};

const struct fsh_cli_option_row fsh_cli_options[FSH_CLI_OPTIONS] = {
#define FRESHET_VERB(name, operands, help)
#define FRESHET_OPTION(name, argument, verbs, environment, help)                                   \
    {#name, argument, verbs, environment, help},
#include "options.def"
#undef FRESHET_VERB
#undef FRESHET_OPTION
};

enum fsh_cli_verb fsh_cli_verb_find(const char *name)
{
    unsigned verb = 0;

    while (verb < FSH_CLI_VERBS && strcmp(fsh_cli_verbs[verb].name, name) != 0)
        verb++;
    return verb;
}

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = words; (at = strstr(at, word)); at += len) {
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    }
    return false;
}

bool fsh_cli_knows(enum fsh_cli_verb verb, enum fsh_cli_option option)
{
    const char *verbs = fsh_cli_options[option].verbs;

    return verbs[0] == '\0' || has_word(verbs, fsh_cli_verbs[verb].name);
}

const char *fsh_cli_option_name(enum fsh_cli_option option, char *ret_name, size_t size)
{
    (void)snprintf(ret_name, size, "%s", fsh_cli_options[option].name);
    for (char *dash = ret_name; (dash = strchr(dash, '_'));)
        *dash = '-';
    return ret_name;
}

/* Whether `text`, of `len` bytes, is an option's name, with - where the table has _. */
static bool is_called(const char *name, const char *text, size_t len)
{
    size_t i = 0;

    while (i < len && name[i] && text[i] == (name[i] == '_' ? '-' : name[i]))
        i++;
    return i == len && name[i] == '\0';
}

static enum fsh_cli_option option_find(const char *text, size_t len)
{
    unsigned option = 0;

    while (option < FSH_CLI_OPTIONS && !is_called(fsh_cli_options[option].name, text, len))
        option++;
    return option;
}

/* One argument that begins with --; moves *at over an argument of its own. A value may be a secret
 * that was put there by mistake, so no message shows one. */
static int read_option(struct fsh_cli *cli, int argc, char *const argv[], int *at)
{
    const char *text = argv[*at] + 2;
    size_t len = strcspn(text, "=");
    enum fsh_cli_option option = option_find(text, len);
    const char *value = text[len] == '=' ? text + len + 1 : NULL;

    if (len == strlen("password") && strncmp(text, "password", len) == 0)
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "a password is no argument, where every process could read it; use "
                            "--password-file, --password-command or the prompt");
    if (option == FSH_CLI_OPTIONS)
        return fsh_cli_fail(cli, FRESHET_EINVAL, "there is no option --%.*s; see `freshet help`",
                            (int)(len < 64 ? len : 64), text);
    if (cli->given[option])
        return fsh_cli_fail(cli, FRESHET_EINVAL, "--%.*s is given twice; leave one out", (int)len,
                            text);
    if (!fsh_cli_options[option].argument) {
        if (value)
            return fsh_cli_fail(cli, FRESHET_EINVAL, "--%.*s takes no value; leave it out",
                                (int)len, text);
        value = "";
    } else if (!value) {
        if (*at + 1 >= argc)
            return fsh_cli_fail(cli, FRESHET_EINVAL, "--%.*s lacks its %s; put it behind", (int)len,
                                text, fsh_cli_options[option].argument);
        value = argv[++*at];
    }
    cli->values[option] = value;
    cli->given[option] = true;
    return FRESHET_OK;
}

static int read_operand(struct fsh_cli *cli, const char *text, bool *has_verb)
{
    if (!*has_verb) {
        cli->verb = fsh_cli_verb_find(text);
        *has_verb = true;
        if (cli->verb == FSH_CLI_VERBS)
            return fsh_cli_fail(cli, FRESHET_EINVAL, "there is no verb %.64s; see `freshet help`",
                                text);
        return FRESHET_OK;
    }
    if (cli->operand_count == FSH_CLI_OPERANDS)
        return fsh_cli_operands_at_most(cli, FSH_CLI_OPERANDS - 1);
    cli->operands[cli->operand_count++] = text;
    return FRESHET_OK;
}

/* Whether what stands behind `--` is the verb's own. */
static bool takes_rest(enum fsh_cli_verb verb)
{
    return strstr(fsh_cli_verbs[verb].operands, "[--]") != NULL;
}

/* Whether a word is the first that is not ours, though no `--` stands before it: an option that we
 * do not have, or a URL. */
static bool begins_rest(const struct fsh_cli *cli, const char *text)
{
    enum fsh_cli_option option;

    if (!takes_rest(cli->verb))
        return false;
    if (text[0] != '-')
        return strstr(text, "://") != NULL;
    if (text[1] != '-')
        return strcmp(text, "-h") != 0;
    option = option_find(text + 2, strcspn(text + 2, "="));
    return option == FSH_CLI_OPTIONS || !fsh_cli_knows(cli->verb, option);
}

static void begin_rest(struct fsh_cli *cli, char *const *rest)
{
    cli->rest = rest;
    /* A --json among the rest is not ours. */
    if (!cli->given[FSH_CLI_json])
        cli->values[FSH_CLI_json] = NULL;
}

static int check_options(struct fsh_cli *cli)
{
    char name[32];

    for (unsigned option = 0; option < FSH_CLI_OPTIONS; option++) {
        if (!cli->given[option] || fsh_cli_knows(cli->verb, option))
            continue;
        return fsh_cli_fail(
            cli, FRESHET_EINVAL, "`freshet %s` has no option --%s; see `freshet help %s`",
            fsh_cli_verbs[cli->verb].name, fsh_cli_option_name(option, name, sizeof(name)),
            fsh_cli_verbs[cli->verb].name);
    }
    if (cli->rest && !takes_rest(cli->verb))
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "`freshet %s` takes nothing behind --; leave it out",
                            fsh_cli_verbs[cli->verb].name);
    return FRESHET_OK;
}

static void read_environment(struct fsh_cli *cli)
{
    for (unsigned option = 0; option < FSH_CLI_OPTIONS; option++) {
        const char *name = fsh_cli_options[option].environment;
        const char *value = name && !cli->given[option] ? getenv(name) : NULL;

        if (value && value[0])
            cli->values[option] = value;
    }
}

int fsh_cli_parse(struct fsh_cli *cli, int argc, char *const argv[])
{
    bool has_verb = false;
    int status = FRESHET_OK;

    /* So that an error on the way is told as it was asked for. */
    for (int at = 1; at < argc && strcmp(argv[at], "--") != 0; at++) {
        if (strcmp(argv[at], "--json") == 0)
            cli->values[FSH_CLI_json] = "";
    }
    cli->verb = FSH_CLI_VERB_help;
    for (int at = 1; status == FRESHET_OK && at < argc && !cli->rest; at++) {
        if (strcmp(argv[at], "--") == 0)
            begin_rest(cli, argv + at + 1);
        else if (has_verb && begins_rest(cli, argv[at]))
            begin_rest(cli, argv + at);
        else if (strncmp(argv[at], "--", 2) == 0)
            status = strcmp(argv[at], "--version") == 0 && !has_verb
                         ? read_operand(cli, "version", &has_verb)
                         : read_option(cli, argc, argv, &at);
        else if (strcmp(argv[at], "-h") == 0)
            cli->values[FSH_CLI_help] = "";
        else if (argv[at][0] == '-' && argv[at][1] != '\0')
            status = fsh_cli_fail(cli, FRESHET_EINVAL,
                                  "there is no option %.2s; options are words, see `freshet help`",
                                  argv[at]);
        else
            status = read_operand(cli, argv[at], &has_verb);
    }
    if (status == FRESHET_OK && has_verb)
        status = check_options(cli);
    if (status == FRESHET_OK && !has_verb && !cli->values[FSH_CLI_help])
        status = fsh_cli_fail(cli, FRESHET_EINVAL, "what to do? See `freshet help`");
    read_environment(cli);
    return status;
}

int fsh_cli_operands_at_most(struct fsh_cli *cli, size_t most)
{
    if (cli->operand_count <= most)
        return FRESHET_OK;
    return fsh_cli_fail(cli, FRESHET_EINVAL, "too many words; it is `freshet %s %s`",
                        fsh_cli_verbs[cli->verb].name, fsh_cli_verbs[cli->verb].operands);
}

int fsh_cli_timeout(struct fsh_cli *cli, int64_t *ret_timeout_ms)
{
    const char *text = cli->values[FSH_CLI_timeout];
    char *end = NULL;
    double seconds;

    *ret_timeout_ms = 0;
    if (!text)
        return FRESHET_OK;
    errno = 0;
    seconds = strtod(text, &end);
    if (errno != 0 || end == text || *end || !(seconds >= 0.001) || !(seconds <= 86400))
        return fsh_cli_fail(cli, FRESHET_EINVAL, "--timeout is a number of seconds up to 86400");
    *ret_timeout_ms = (int64_t)(seconds * 1000);
    return FRESHET_OK;
}
