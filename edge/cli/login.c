/* SPDX-License-Identifier: Apache-2.0 */

/* Signing in, with whatever the platform wants to know. */

#include "cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define TRIES 3 /* of a code or a new password that the platform refuses, at a terminal */

/* ---- username and password --------------------------------------------------------------- */

static int find_username(struct fsh_cli *cli, struct fsh_cli_secret *ret_username)
{
    const char *given = cli->values[FSH_CLI_username];

    if (!given)
        given = fsh_cli_account(cli, cli->name);
    if (!given && !fsh_cli_can_ask())
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "whose account? Standard input is no terminal to ask at; give "
                            "--username");
    if (!given)
        return fsh_cli_ask(cli, "Username: ", false, ret_username);
    if (strlen(given) > FSH_CLI_SECRET_MAX)
        return fsh_cli_fail(cli, FRESHET_EINVAL, "--username has at most %d bytes",
                            FSH_CLI_SECRET_MAX);
    (void)snprintf(ret_username->text, sizeof(ret_username->text), "%s", given);
    return FRESHET_OK;
}

static int find_password(struct fsh_cli *cli, const char *username,
                         struct fsh_cli_secret *ret_password)
{
    const char *file = cli->values[FSH_CLI_password_file];
    const char *command = cli->values[FSH_CLI_password_command];
    char question[128];

    if (file)
        return fsh_cli_secret_file(cli, "--password-file", file, ret_password);
    if (command)
        return fsh_cli_secret_command(cli, command, ret_password);
    if (!fsh_cli_can_ask())
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "standard input is no terminal to ask for the password at; give "
                            "--password-file or --password-command");
    (void)snprintf(question, sizeof(question), "Password of %.64s: ", username);
    return fsh_cli_ask(cli, question, true, ret_password);
}

/* A service signs in with the configuration's credentials; anybody else's are found. */
static int sign_in(struct fsh_cli *cli, int64_t timeout_ms)
{
    struct fsh_cli_secret username = {""};
    struct fsh_cli_secret password = {""};
    bool service = fsh_cli_is_service(cli, cli->name);
    int status = FRESHET_OK;

    if (service && (cli->values[FSH_CLI_username] || cli->values[FSH_CLI_password_file] ||
                    cli->values[FSH_CLI_password_command]))
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "the configuration has the account of %.64s; leave out --username and "
                            "--password-...",
                            cli->name);
    if (!service) {
        status = find_username(cli, &username);
        if (status == FRESHET_OK)
            status = find_password(cli, username.text, &password);
    }
    if (status == FRESHET_OK) {
        fsh_cli_wait_begin(cli, "signing in");
        status = freshet_sign_in(cli->session, service ? NULL : username.text,
                                 service ? NULL : password.text, timeout_ms, &cli->error);
        fsh_cli_wait_end(cli);
    }
    fsh_cli_wipe(&password, sizeof(password));
    return status;
}

/* ---- the answers to challenges ----------------------------------------------------------- */

/* The option's answer the first time; then a person's, if there is one. */
static int find_code(struct fsh_cli *cli, bool again, struct fsh_cli_secret *ret_code)
{
    const char *given = cli->values[FSH_CLI_mfa_code];

    if (given && !again) {
        if (strlen(given) > FSH_CLI_SECRET_MAX)
            return fsh_cli_fail(cli, FRESHET_EINVAL, "--mfa-code has at most %d bytes",
                                FSH_CLI_SECRET_MAX);
        (void)snprintf(ret_code->text, sizeof(ret_code->text), "%s", given);
        return FRESHET_OK;
    }
    if (fsh_cli_can_ask())
        return fsh_cli_ask(cli, again ? "That code is wrong. MFA code: " : "MFA code: ", false,
                           ret_code);
    if (again)
        return fsh_cli_fail(cli, FRESHET_EMFACODE, NULL);
    return fsh_cli_fail(cli, FRESHET_EMFA,
                        "the platform wants an MFA code; sign in at a terminal, or give "
                        "--mfa-code");
}

static int answer_mfa(struct fsh_cli *cli, bool again, int64_t timeout_ms)
{
    struct fsh_cli_secret code = {""};
    int status = find_code(cli, again, &code);

    if (status == FRESHET_OK) {
        fsh_cli_wait_begin(cli, "answering with the code");
        status = freshet_answer_mfa(cli->session, code.text,
                                    cli->values[FSH_CLI_remember_device] != NULL, timeout_ms,
                                    &cli->error);
        fsh_cli_wait_end(cli);
    }
    fsh_cli_wipe(&code, sizeof(code));
    return status;
}

/* Twice the same, as a slip would lock its owner out. */
static int ask_new_password(struct fsh_cli *cli, const char *question,
                            struct fsh_cli_secret *ret_password)
{
    struct fsh_cli_secret second = {""};
    bool same = false;
    int status = FRESHET_OK;

    for (unsigned tries = 0; status == FRESHET_OK && !same && tries < TRIES; tries++) {
        status =
            fsh_cli_ask(cli, tries ? "They differ. New password: " : question, true, ret_password);
        if (status == FRESHET_OK)
            status = fsh_cli_ask(cli, "The same again: ", true, &second);
        same = strcmp(ret_password->text, second.text) == 0;
    }
    fsh_cli_wipe(&second, sizeof(second));
    if (status == FRESHET_OK && !same)
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "the two new passwords differ; nothing was changed, sign in again");
    return status;
}

static int find_new_password(struct fsh_cli *cli, bool again, struct fsh_cli_secret *ret_password)
{
    const char *file = cli->values[FSH_CLI_new_password_file];

    if (file && !again)
        return fsh_cli_secret_file(cli, "--new-password-file", file, ret_password);
    if (fsh_cli_can_ask())
        return ask_new_password(cli,
                                again ? "That one is too weak. New password: "
                                      : "The platform wants a new password. New password: ",
                                ret_password);
    if (again)
        return fsh_cli_fail(cli, FRESHET_EPASSWORDPOLICY, NULL);
    return fsh_cli_fail(cli, FRESHET_ENEWPASSWORD,
                        "the platform wants a new password; sign in at a terminal, or give "
                        "--new-password-file");
}

static int answer_new_password(struct fsh_cli *cli, bool again, int64_t timeout_ms)
{
    struct fsh_cli_secret password = {""};
    int status = find_new_password(cli, again, &password);

    if (status == FRESHET_OK) {
        fsh_cli_wait_begin(cli, "setting the new password");
        status = freshet_answer_new_password(cli->session, password.text, timeout_ms, &cli->error);
        fsh_cli_wait_end(cli);
    }
    fsh_cli_wipe(&password, sizeof(password));
    return status;
}

/* Answers until the platform grants or gives up, there is nobody to ask, or a person has tried
 * often enough. */
static int answer(struct fsh_cli *cli, int status, int64_t timeout_ms)
{
    unsigned refused = 0;

    while (refused < TRIES) {
        int challenge = status;

        if (challenge == FRESHET_EMFA || challenge == FRESHET_EMFACODE)
            status = answer_mfa(cli, challenge == FRESHET_EMFACODE, timeout_ms);
        else if (challenge == FRESHET_ENEWPASSWORD || challenge == FRESHET_EPASSWORDPOLICY)
            status = answer_new_password(cli, challenge == FRESHET_EPASSWORDPOLICY, timeout_ms);
        else
            return status;
        if (!fsh_cli_can_ask() && status == challenge)
            return status;
        refused +=
            status == challenge || status == FRESHET_EMFACODE || status == FRESHET_EPASSWORDPOLICY;
    }
    return status;
}

int fsh_cli_sign_in(struct fsh_cli *cli)
{
    int64_t timeout_ms;
    int status = fsh_cli_timeout(cli, &timeout_ms);

    if (status == FRESHET_OK)
        status = fsh_cli_open_session(cli, FSH_CLI_SIGN_IN);
    if (status == FRESHET_OK)
        status = sign_in(cli, timeout_ms);
    return answer(cli, status, timeout_ms);
}

/* ---- the verb ---------------------------------------------------------------------------- */

int fsh_cli_signed_in(struct fsh_cli *cli)
{
    struct freshet_session_status now;
    int status = freshet_session_status(cli->session, &now, &cli->error);
    char left[32];

    if (status != FRESHET_OK)
        return status;
    if (fsh_cli_wants_json(cli))
        return fsh_cli_document(
            cli,
            json_pack("{s:s, s:b, s:I, s:I, s:I}", "session", cli->name, "signed_in", 1,
                      "generation", (json_int_t)now.freshness.generation, "expires_ms",
                      (json_int_t)now.freshness.expires_ms, "partners", (json_int_t)now.partners),
            status);
    fsh_cli_print(cli, "%s: signed in; the token lives %s and is renewed when used\n", cli->name,
                  fsh_cli_duration(now.freshness.expires_ms, left, sizeof(left)));
    return status;
}

int fsh_cli_login_run(struct fsh_cli *cli)
{
    int status = fsh_cli_operands_at_most(cli, 1);

    if (status == FRESHET_OK)
        status = fsh_cli_sign_in(cli);
    return status == FRESHET_OK ? fsh_cli_signed_in(cli) : status;
}
