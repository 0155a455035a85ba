/* SPDX-License-Identifier: Apache-2.0 */

/* What sessions are. Looking sends nothing and changes nothing. */

#include "cli.h"

#include <freshet/admin.h>
#include <freshet/config.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- one session ------------------------------------------------------------------------- */

static json_t *document(const char *name, bool service, const struct freshet_session_status *now)
{
    return json_pack("{s:s, s:b, s:s, s:s, s:b, s:s?, s:I, s:I, s:I, s:I, s:I}", "session", name,
                     "service", service, "phase", fsh_cli_phase(now->phase), "status",
                     freshet_status_name(now->status), "usable", now->usable, "challenge",
                     now->challenge ? freshet_status_name(now->challenge) : NULL, "generation",
                     (json_int_t)now->freshness.generation, "usable_ms",
                     (json_int_t)(now->usable ? now->freshness.usable_ms : 0), "expires_ms",
                     (json_int_t)(now->usable ? now->freshness.expires_ms : 0), "age_ms",
                     (json_int_t)now->age_ms, "partners", (json_int_t)now->partners);
}

/* Nobody has signed it in, and nothing says why that would fail. */
static bool untouched(const struct freshet_session_status *now)
{
    return now->phase == FRESHET_PHASE_NONE &&
           (now->status == FRESHET_ESIGNEDOUT || now->status == FRESHET_EUNAVAILABLE);
}

static void print(struct fsh_cli *cli, const char *name, bool service,
                  const struct freshet_session_status *now)
{
    bool live = now->phase == FRESHET_PHASE_LIVE;
    char left[32];

    fsh_cli_print(cli, "%s%s%s%s: ", fsh_cli_colour(FSH_CLI_BOLD), name,
                  fsh_cli_colour(FSH_CLI_PLAIN), service ? " (service)" : "");
    if (now->usable)
        fsh_cli_print(cli, "%ssigned in%s; token %llu may be used for %s more",
                      fsh_cli_colour(FSH_CLI_GREEN), fsh_cli_colour(FSH_CLI_PLAIN),
                      (unsigned long long)now->freshness.generation,
                      fsh_cli_duration(now->freshness.usable_ms, left, sizeof(left)));
    else if (live)
        fsh_cli_print(cli, "%ssigned in%s; its next use fetches a new token",
                      fsh_cli_colour(FSH_CLI_GREEN), fsh_cli_colour(FSH_CLI_PLAIN));
    else if (service && untouched(now))
        fsh_cli_print(cli, "not used yet; its first use signs it in");
    else
        fsh_cli_print(cli, "%s%s%s", fsh_cli_colour(FSH_CLI_YELLOW),
                      freshet_status_text(now->status), fsh_cli_colour(FSH_CLI_PLAIN));
    if (now->challenge)
        fsh_cli_print(cli, "\n    %s%s%s: `freshet mfa %s` completes it",
                      fsh_cli_colour(FSH_CLI_RED), freshet_status_text(now->challenge),
                      fsh_cli_colour(FSH_CLI_PLAIN), name);
    fsh_cli_print(cli, "\n");
}

/* Adds one to the documents (with --json), or prints it. */
static int show(struct fsh_cli *cli, const char *name, json_t *documents)
{
    struct freshet_session *session = NULL;
    struct freshet_session_status now;
    int status = fsh_cli_session(cli, name, FSH_CLI_LOOK, &session);

    if (status == FRESHET_OK)
        status = freshet_session_status(session, &now, &cli->error);
    freshet_session_close(session);
    if (status != FRESHET_OK)
        return status;
    if (now.status == FRESHET_ESTORE)
        return fsh_cli_fail(cli, FRESHET_ESTORE, NULL);
    if (documents)
        (void)json_array_append_new(documents, document(name, fsh_cli_is_service(cli, name), &now));
    else
        print(cli, name, fsh_cli_is_service(cli, name), &now);
    return FRESHET_OK;
}

static int status_of_one(struct fsh_cli *cli)
{
    json_t *documents = fsh_cli_wants_json(cli) ? json_array() : NULL;
    int status = show(cli, cli->operands[0], documents);

    if (status == FRESHET_OK && documents)
        status = fsh_cli_document(cli, json_incref(json_array_get(documents, 0)), status);
    json_decref(documents);
    return status;
}

/* ---- all of them ------------------------------------------------------------------------- */

static int status_of_all(struct fsh_cli *cli)
{
    struct fsh_cli_known *list = NULL;
    json_t *documents = fsh_cli_wants_json(cli) ? json_array() : NULL;
    size_t count = 0;
    int status = fsh_cli_known(cli, &list, &count);

    for (size_t i = 0; status == FRESHET_OK && i < count; i++)
        status = show(cli, list[i].name, documents);
    free(list);
    if (status != FRESHET_OK) {
        json_decref(documents);
        return status;
    }
    if (documents)
        return fsh_cli_document(cli, documents, status);
    if (count == 0)
        fsh_cli_say(cli, "there are no sessions; `freshet login` makes one");
    return status;
}

int fsh_cli_status_run(struct fsh_cli *cli)
{
    int status = fsh_cli_operands_at_most(cli, 1);

    if (status == FRESHET_OK)
        status = fsh_cli_place(cli);
    if (status == FRESHET_OK && cli->operand_count == 0 && fsh_cli_place_empty(cli))
        return status_of_all(cli);
    if (status == FRESHET_OK)
        status = fsh_cli_open(cli);
    if (status != FRESHET_OK)
        return status;
    if (cli->keeper)
        fsh_cli_say(cli, "as the keeper at %s has it", fsh_cli_keeper_socket(cli));
    return cli->operand_count ? status_of_one(cli) : status_of_all(cli);
}
