/* SPDX-License-Identifier: Apache-2.0 */

/* What options.def says, for a person or a program. */

#include "cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define INDENT 26 /* columns that an option's name takes */
#define WIDTH  80

/* ---- text -------------------------------------------------------------------------------- */

/* Prints words from column `column` on, in lines that end at WIDTH. */
static void print_words(struct fsh_cli *cli, const char *text, int column)
{
    int at = column;

    while (*text) {
        int len = (int)strcspn(text, " ");

        if (at > column && at + 1 + len > WIDTH) {
            fsh_cli_print(cli, "\n%*s", column, "");
            at = column;
        } else if (at > column) {
            fsh_cli_print(cli, " ");
            at++;
        }
        fsh_cli_print(cli, "%.*s", len, text);
        at += len;
        text += len + (text[len] == ' ');
    }
    fsh_cli_print(cli, "\n");
}

static void print_option(struct fsh_cli *cli, enum fsh_cli_option option)
{
    const struct fsh_cli_option_row *row = &fsh_cli_options[option];
    char name[32];
    char left[64];

    (void)snprintf(left, sizeof(left), "  --%s%s%s",
                   fsh_cli_option_name(option, name, sizeof(name)), row->argument ? " " : "",
                   row->argument ? row->argument : "");
    fsh_cli_print(cli, "%-*s", INDENT, left);
    if (strlen(left) >= INDENT)
        fsh_cli_print(cli, "\n%*s", INDENT, "");
    print_words(cli, row->help, INDENT);
    if (row->environment)
        fsh_cli_print(cli, "%*s(or %s in the environment)\n", INDENT, "", row->environment);
}

static void print_options(struct fsh_cli *cli, enum fsh_cli_verb verb, bool global)
{
    for (unsigned option = 0; option < FSH_CLI_OPTIONS; option++) {
        if ((fsh_cli_options[option].verbs[0] == '\0') == global && fsh_cli_knows(verb, option))
            print_option(cli, option);
    }
}

static bool has_own_options(enum fsh_cli_verb verb)
{
    bool found = false;

    for (unsigned option = 0; option < FSH_CLI_OPTIONS; option++)
        found |= fsh_cli_options[option].verbs[0] && fsh_cli_knows(verb, option);
    return found;
}

static void print_verb(struct fsh_cli *cli, enum fsh_cli_verb verb)
{
    const struct fsh_cli_verb_row *row = &fsh_cli_verbs[verb];

    fsh_cli_print(cli, "usage: freshet %s%s%s%s\n\n", row->name, row->operands[0] ? " " : "",
                  row->operands, " [option ...]");
    print_words(cli, row->help, 0);
    if (has_own_options(verb)) {
        fsh_cli_print(cli, "\nIts options:\n");
        print_options(cli, verb, false);
    }
    fsh_cli_print(cli, "\nOptions of every verb:\n");
    print_options(cli, verb, true);
}

static void print_all(struct fsh_cli *cli)
{
    fsh_cli_print(cli, "usage: freshet [--config FILE] VERB [SESSION] [option ...]\n\n"
                       "Keeps API sessions fresh. The verbs:\n\n");
    for (unsigned verb = 0; verb < FSH_CLI_VERBS; verb++) {
        fsh_cli_print(cli, "  %-10s", fsh_cli_verbs[verb].name);
        print_words(cli, fsh_cli_verbs[verb].help, 12);
    }
    fsh_cli_print(cli, "\nOptions of every verb:\n");
    print_options(cli, FSH_CLI_VERB_help, true);
    fsh_cli_print(cli, "\n`freshet help VERB` explains one.\n");
}

/* ---- JSON -------------------------------------------------------------------------------- */

static json_t *option_document(enum fsh_cli_option option)
{
    const struct fsh_cli_option_row *row = &fsh_cli_options[option];
    char name[32];

    return json_pack("{s:s, s:s?, s:s?, s:s}", "name",
                     fsh_cli_option_name(option, name, sizeof(name)), "argument", row->argument,
                     "environment", row->environment, "help", row->help);
}

static json_t *verb_document(enum fsh_cli_verb verb)
{
    const struct fsh_cli_verb_row *row = &fsh_cli_verbs[verb];
    json_t *options = json_array();

    for (unsigned option = 0; option < FSH_CLI_OPTIONS; option++) {
        if (fsh_cli_knows(verb, option))
            (void)json_array_append_new(options, option_document(option));
    }
    return json_pack("{s:s, s:s, s:s, s:o}", "name", row->name, "operands", row->operands, "help",
                     row->help, "options", options);
}

static json_t *all_document(void)
{
    json_t *verbs = json_array();

    for (unsigned verb = 0; verb < FSH_CLI_VERBS; verb++)
        (void)json_array_append_new(verbs, verb_document(verb));
    return json_pack("{s:o}", "verbs", verbs);
}

int fsh_cli_help_run(struct fsh_cli *cli)
{
    enum fsh_cli_verb verb = cli->verb;
    bool all = verb == FSH_CLI_VERB_help && cli->operand_count == 0;

    if (verb == FSH_CLI_VERB_help && cli->operand_count > 1)
        return fsh_cli_operands_at_most(cli, 1);
    if (verb == FSH_CLI_VERB_help && cli->operand_count == 1)
        verb = fsh_cli_verb_find(cli->operands[0]);
    if (verb == FSH_CLI_VERBS)
        return fsh_cli_fail(cli, FRESHET_EINVAL, "there is no verb %.64s; see `freshet help`",
                            cli->operands[0]);
    if (fsh_cli_wants_json(cli))
        return fsh_cli_document(cli, all ? all_document() : verb_document(verb), FRESHET_OK);
    if (all)
        print_all(cli);
    else
        print_verb(cli, verb);
    return FRESHET_OK;
}
