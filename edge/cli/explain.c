/* SPDX-License-Identifier: Apache-2.0 */

/* The ledger of a session, in words. */

#include "cli.h"

#include <jansson.h>
#include <string.h>

#define ENTRIES 64 /* as many as there ever are */

/* What this process's own look adds. */
static bool says_nothing(const struct freshet_ledger_entry *entry)
{
    return strcmp(entry->name, "opened") == 0 || strcmp(entry->name, "adopted") == 0;
}

static json_t *document(const struct freshet_ledger_entry *entry)
{
    return json_pack("{s:I, s:s, s:s, s:s?, s:I, s:I}", "at_ms", (json_int_t)entry->at_ms, "name",
                     entry->name, "what", entry->what, "status",
                     entry->status ? freshet_status_name(entry->status) : NULL, "value",
                     (json_int_t)entry->value, "times", (json_int_t)entry->times);
}

static void print(struct fsh_cli *cli, const struct freshet_ledger_entry *entry)
{
    char when[32];

    fsh_cli_print(cli, "%s  %s", fsh_cli_time(entry->at_ms, when, sizeof(when)), entry->what);
    /* A plain sign-out has been said. */
    if (entry->status && entry->status != FRESHET_ESIGNEDOUT)
        fsh_cli_print(cli, ": %s", freshet_status_text(entry->status));
    if (entry->times > 1)
        fsh_cli_print(cli, " (%llu times)", (unsigned long long)entry->times);
    fsh_cli_print(cli, "\n");
}

int fsh_cli_explain_run(struct fsh_cli *cli)
{
    struct freshet_ledger_entry entries[ENTRIES];
    struct freshet_session_status now;
    json_t *documents = NULL;
    size_t count = 0;
    size_t told = 0;
    int status = fsh_cli_operands_at_most(cli, 1);

    if (status == FRESHET_OK)
        status = fsh_cli_open_session(cli, FSH_CLI_LOOK);
    /* Which waits for the store. */
    if (status == FRESHET_OK)
        status = freshet_session_status(cli->session, &now, &cli->error);
    if (status == FRESHET_OK)
        status = freshet_explain(cli->session, entries, ENTRIES, &count);
    if (status != FRESHET_OK)
        return status;
    if (fsh_cli_wants_json(cli))
        documents = json_array();
    for (size_t i = 0; i < count; i++) {
        if (says_nothing(&entries[i]))
            continue;
        told++;
        if (fsh_cli_wants_json(cli))
            (void)json_array_append_new(documents, document(&entries[i]));
        else
            print(cli, &entries[i]);
    }
    if (fsh_cli_wants_json(cli))
        return fsh_cli_document(cli, documents, status);
    if (told == 0)
        fsh_cli_say(cli, "nothing is on record of the session %s", cli->name);
    return status;
}
