/* SPDX-License-Identifier: Apache-2.0 */

/* MFA: completing a challenge, and the account's settings. */

#include "cli.h"

#include <jansson.h>
#include <string.h>

#define TRIES 3 /* of the first code of an authenticator app */

/* ---- settings ---------------------------------------------------------------------------- */

static int show(struct fsh_cli *cli, const struct freshet_mfa_settings *settings)
{
    static const char *const words[] = {"not known", "off", "on"};

    if (!fsh_cli_wants_json(cli)) {
        fsh_cli_print(cli, "%s: MFA is %s%s%s\n", cli->name, words[settings->enabled + 1],
                      settings->preferred[0] ? "; preferred: " : "", settings->preferred);
        return FRESHET_OK;
    }
    return fsh_cli_document(
        cli,
        json_pack("{s:s, s:o, s:s?}", "session", cli->name, "enabled",
                  settings->enabled < 0 ? json_null() : json_boolean(settings->enabled),
                  "preferred", settings->preferred[0] ? settings->preferred : NULL),
        FRESHET_OK);
}

static int read_and_show(struct fsh_cli *cli, int64_t timeout_ms)
{
    struct freshet_mfa_settings settings;
    int status;

    fsh_cli_wait_begin(cli, "asking for the settings");
    status = freshet_mfa_settings_get(cli->session, timeout_ms, &settings, &cli->error);
    fsh_cli_wait_end(cli);
    return status == FRESHET_OK ? show(cli, &settings) : status;
}

static int prefer(struct fsh_cli *cli, int64_t timeout_ms)
{
    int status;

    fsh_cli_wait_begin(cli, "changing the settings");
    status = freshet_mfa_settings_put(cli->session, -1, cli->operands[2], timeout_ms, &cli->error);
    fsh_cli_wait_end(cli);
    return status == FRESHET_OK ? read_and_show(cli, timeout_ms) : status;
}

/* ---- enrolment --------------------------------------------------------------------------- */

/* On the terminal itself: it is a secret, and standard output may be a file. */
static void show_totp(const struct fsh_cli *cli, const struct freshet_totp *totp)
{
    bool drawn = !cli->values[FSH_CLI_no_qr] && totp->uri && fsh_cli_qr_show(totp->uri);

    fsh_cli_show(drawn ? "Scan this with your authenticator app, or type its secret: "
                       : "Type this secret into your authenticator app: ");
    fsh_cli_show(totp->secret ? totp->secret : "");
    fsh_cli_show("\n");
}

static int confirm(struct fsh_cli *cli, int64_t timeout_ms)
{
    struct fsh_cli_secret code = {""};
    int status = FRESHET_EMFACODE;

    for (unsigned tries = 0; status == FRESHET_EMFACODE && tries < TRIES; tries++) {
        status = fsh_cli_ask(cli,
                             tries ? "That code is wrong. Code that the app shows: "
                                   : "Code that the app shows: ",
                             false, &code);
        if (status != FRESHET_OK)
            break;
        fsh_cli_wait_begin(cli, "verifying the code");
        status = freshet_totp_confirm(cli->session, code.text, timeout_ms, &cli->error);
        fsh_cli_wait_end(cli);
    }
    fsh_cli_wipe(&code, sizeof(code));
    return status;
}

static int enrol(struct fsh_cli *cli, int64_t timeout_ms)
{
    struct freshet_totp totp = {0};
    int status;

    if (!fsh_cli_can_ask())
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "to enrol takes a terminal, to show a secret and to ask for a code");
    fsh_cli_wait_begin(cli, "asking for a secret");
    status = freshet_totp_begin(cli->session, timeout_ms, &totp, &cli->error);
    fsh_cli_wait_end(cli);
    if (status != FRESHET_OK)
        return status;
    show_totp(cli, &totp);
    freshet_totp_done(&totp);
    status = confirm(cli, timeout_ms);
    /* To verify an app does not yet have the platform ask for it. */
    if (status == FRESHET_OK)
        status = freshet_mfa_settings_put(cli->session, 1, "totp", timeout_ms, &cli->error);
    return status == FRESHET_OK ? read_and_show(cli, timeout_ms) : status;
}

/* ---- the verb ---------------------------------------------------------------------------- */

static int show_status(struct fsh_cli *cli, int64_t timeout_ms)
{
    return read_and_show(cli, timeout_ms);
}

static const struct {
    const char *name;
    size_t operands;
    int (*run)(struct fsh_cli *cli, int64_t timeout_ms);
} actions[] = {
    {"status", 2, show_status},
    {"prefer", 3, prefer},
    {"enrol", 2, enrol},
};

#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

static size_t find_action(const char *name)
{
    size_t action = 0;

    while (action < ACTIONS && strcmp(actions[action].name, name) != 0)
        action++;
    return action;
}

static int misused(struct fsh_cli *cli)
{
    return fsh_cli_fail(cli, FRESHET_EINVAL, "it is `freshet mfa %s`",
                        fsh_cli_verbs[FSH_CLI_VERB_mfa].operands);
}

static int manage(struct fsh_cli *cli)
{
    size_t action = find_action(cli->operands[1]);
    int64_t timeout_ms;
    int status;

    if (action == ACTIONS || cli->operand_count != actions[action].operands)
        return misused(cli);
    status = fsh_cli_timeout(cli, &timeout_ms);
    if (status == FRESHET_OK)
        status = fsh_cli_open_session(cli, FSH_CLI_CALL);
    return status == FRESHET_OK ? actions[action].run(cli, timeout_ms) : status;
}

int fsh_cli_mfa_run(struct fsh_cli *cli)
{
    int status;

    if (cli->operand_count > 1)
        return manage(cli);
    /* `freshet mfa enrol` means a session, but who writes it does not. */
    if (cli->operand_count == 1 && find_action(cli->operands[0]) < ACTIONS)
        return misused(cli);
    status = fsh_cli_sign_in(cli);
    return status == FRESHET_OK ? fsh_cli_signed_in(cli) : status;
}
