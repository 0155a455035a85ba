/* SPDX-License-Identifier: Apache-2.0 */

/* The sessions that the configuration and the store know. */

#include "cli.h"

#include <freshet/admin.h>
#include <freshet/config.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct fsh_cli_known *)a)->name, ((const struct fsh_cli_known *)b)->name);
}

static struct fsh_cli_known *find(struct fsh_cli_known *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    }
    return NULL;
}

static int merge(struct fsh_cli *cli, const struct freshet_stored_session *stored,
                 size_t stored_count, struct fsh_cli_known **ret_list, size_t *ret_count)
{
    /* What a keeper does not show to this user is not his to see. */
    size_t configured = cli->config && !cli->keeper ? freshet_config_session_count(cli->config) : 0;
    struct fsh_cli_known *list = calloc(configured + stored_count + 1, sizeof(*list));
    size_t count = 0;

    if (!list)
        return fsh_cli_fail(cli, FRESHET_ENOMEM, NULL);
    for (; count < configured; count++) {
        const char *name = freshet_config_session_name(cli->config, count);

        (void)snprintf(list[count].name, sizeof(list[count].name), "%s", name);
        list[count].configured = true;
        list[count].service = fsh_cli_is_service(cli, name);
    }
    for (size_t i = 0; i < stored_count; i++) {
        struct fsh_cli_known *known = find(list, configured, stored[i].name);

        if (!known)
            known = &list[count++];
        (void)snprintf(known->name, sizeof(known->name), "%s", stored[i].name);
        known->configured |= fsh_cli_is_configured(cli, stored[i].name);
        known->service = fsh_cli_is_service(cli, stored[i].name);
        known->stored = true;
        known->phase = stored[i].phase;
        known->reason = stored[i].reason;
        known->parked = stored[i].parked;
        known->generation = stored[i].generation;
    }
    qsort(list, count, sizeof(*list), by_name);
    *ret_list = list;
    *ret_count = count;
    return FRESHET_OK;
}

int fsh_cli_known(struct fsh_cli *cli, struct fsh_cli_known **ret_list, size_t *ret_count)
{
    struct freshet_stored_session *stored = NULL;
    size_t count = 0;
    int status = FRESHET_OK;

    if (!fsh_cli_place_empty(cli))
        status = freshet_sessions_list(&cli->options, &stored, &count, &cli->error);
    if (status == FRESHET_OK)
        status = merge(cli, stored, count, ret_list, ret_count);
    free(stored);
    return status;
}

/* ---- the verb ---------------------------------------------------------------------------- */

static json_t *document(const struct fsh_cli_known *known)
{
    return json_pack("{s:s, s:b, s:b, s:b, s:s, s:s?, s:s?, s:I}", "session", known->name,
                     "service", known->service, "configured", known->configured, "stored",
                     known->stored, "phase", fsh_cli_phase(known->phase), "reason",
                     known->reason ? freshet_status_name(known->reason) : NULL, "parked",
                     known->parked ? freshet_status_name(known->parked) : NULL, "generation",
                     (json_int_t)known->generation);
}

static const char *in_words(const struct fsh_cli_known *known)
{
    static const char *const words[] = {
        [FRESHET_PHASE_NONE] = "not signed in",
        [FRESHET_PHASE_LIVE] = "signed in",
        [FRESHET_PHASE_ENDED] = "ended",
        [FRESHET_PHASE_SIGNED_OUT] = "signed out",
        [FRESHET_PHASE_HELD] = "signed out, and held",
    };

    return known->parked ? "needs an operator" : words[known->phase];
}

static int show(struct fsh_cli *cli, const struct fsh_cli_known *list, size_t count)
{
    json_t *documents;

    if (fsh_cli_wants_json(cli)) {
        documents = json_array();
        for (size_t i = 0; i < count; i++)
            (void)json_array_append_new(documents, document(&list[i]));
        return fsh_cli_document(cli, documents, FRESHET_OK);
    }
    for (size_t i = 0; i < count; i++)
        fsh_cli_print(cli, "%-24s %-12s %s\n", list[i].name,
                      list[i].service ? "service" : "interactive", in_words(&list[i]));
    if (count == 0)
        fsh_cli_say(cli, "there are no sessions; `freshet login` makes one");
    return FRESHET_OK;
}

int fsh_cli_sessions_run(struct fsh_cli *cli)
{
    struct fsh_cli_known *list = NULL;
    size_t count = 0;
    int status = fsh_cli_operands_at_most(cli, 0);

    if (status == FRESHET_OK)
        status = fsh_cli_place(cli);
    if (status == FRESHET_OK)
        status = fsh_cli_known(cli, &list, &count);
    if (status == FRESHET_OK)
        status = show(cli, list, count);
    free(list);
    return status;
}
