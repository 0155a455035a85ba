/* SPDX-License-Identifier: Apache-2.0 */

/* What is wrong, and what to do about it. */

#include "cli.h"

#include <freshet/admin.h>
#include <freshet/config.h>
#include <jansson.h>
#include <string.h>

struct findings {
    struct fsh_cli *cli;
    json_t *documents; /* NULL: print them */
    bool bad;
};

static const char *health_name(enum freshet_health health)
{
    static const char *const names[] = {
        [FRESHET_HEALTH_OK] = "ok",
        [FRESHET_HEALTH_WARNING] = "warning",
        [FRESHET_HEALTH_BAD] = "bad",
    };

    return names[health];
}

static void found(void *data, const char *check, enum freshet_health health, const char *text)
{
    static const enum fsh_cli_colour colours[] = {
        [FRESHET_HEALTH_OK] = FSH_CLI_GREEN,
        [FRESHET_HEALTH_WARNING] = FSH_CLI_YELLOW,
        [FRESHET_HEALTH_BAD] = FSH_CLI_RED,
    };
    struct findings *findings = data;

    findings->bad |= health == FRESHET_HEALTH_BAD;
    if (findings->documents)
        (void)json_array_append_new(findings->documents,
                                    json_pack("{s:s, s:s, s:s}", "check", check, "health",
                                              health_name(health), "text", text));
    else
        fsh_cli_print(findings->cli, "%s%-7s%s  %-11s  %s\n", fsh_cli_colour(colours[health]),
                      health_name(health), fsh_cli_colour(FSH_CLI_PLAIN), check, text);
}

static void found_problem(void *data, const char *text)
{
    found(data, "config", FRESHET_HEALTH_BAD, text);
}

/* A configuration that cannot be read is a finding, too: all that is wrong in it. */
static int examine(struct findings *findings)
{
    struct fsh_cli *cli = findings->cli;
    int status = fsh_cli_place(cli);

    if (status == FRESHET_ECONFIG && cli->config_path && !cli->config)
        return freshet_config_check(cli->config_path, found_problem, findings, &cli->error);
    if (status != FRESHET_OK)
        return status;
    if (!cli->options.url && !cli->keeper)
        return fsh_cli_fail(cli, FRESHET_ECONFIG, FSH_CLI_WHICH_PLATFORM);
    fsh_cli_wait_begin(cli, "looking");
    status = freshet_doctor(cli->config, &cli->options, found, findings, &cli->error);
    fsh_cli_wait_end(cli);
    return status;
}

int fsh_cli_doctor_run(struct fsh_cli *cli)
{
    struct findings findings = {.cli = cli};
    int status = fsh_cli_operands_at_most(cli, 0);

    if (status != FRESHET_OK)
        return status;
    if (fsh_cli_wants_json(cli))
        findings.documents = json_array();
    status = examine(&findings);
    if (!findings.documents)
        return status;
    if (status != FRESHET_OK && !findings.bad) {
        json_decref(findings.documents);
        return status;
    }
    return fsh_cli_document(
        cli,
        json_pack("{s:b, s:o}", "healthy", status == FRESHET_OK, "findings", findings.documents),
        status);
}
