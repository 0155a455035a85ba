/* SPDX-License-Identifier: Apache-2.0 */

/* A program that uses libfreshet as the commands on its standard input say, and prints all that the
 * library tells: everything that a program could put into its own log. Prints "." after each. */

#include <freshet/freshet.h>
#include <freshet/mfa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 3

struct program {
    struct freshet *freshet;
    struct freshet_session *session;
};

static void tell(const char *what, int status, const struct freshet_error *error)
{
    printf("%s: %d %s: %s\n", what, status, freshet_status_text(status),
           status == FRESHET_OK ? "" : error->message);
}

/* The first line of a file: a password must not come by arguments or the environment. */
static void read_line(const char *path, char ret_line[256])
{
    FILE *file = fopen(path, "re");

    ret_line[0] = '\0';
    if (!file || !fgets(ret_line, 256, file))
        exit(EXIT_FAILURE);
    ret_line[strcspn(ret_line, "\n")] = '\0';
    (void)fclose(file);
}

static void tell_status(struct program *program)
{
    struct freshet_session_status status;

    (void)freshet_session_status(program->session, &status, NULL);
    printf("phase %d status %d usable %d challenge %d generation %llu\n", (int)status.phase,
           status.status, status.usable, status.challenge,
           (unsigned long long)status.freshness.generation);
}

static void tell_ledger(struct program *program)
{
    struct freshet_ledger_entry entries[64];
    struct freshet_event event;
    uint64_t lost;
    size_t count = 0;

    (void)freshet_explain(program->session, entries, 64, &count);
    for (size_t i = 0; i < count; i++)
        printf("%s (%s) %d %lld\n", entries[i].what, entries[i].name, entries[i].status,
               (long long)entries[i].value);
    while (freshet_event_next(program->freshet, &event, &lost) > 0)
        printf("%s: %s\n", event.session, event.entry.what);
}

static void obey(struct program *program, char words[WORDS][256])
{
    struct freshet_error error = {0};
    char secret[256];
    int status = FRESHET_OK;

    if (strcmp(words[0], "sign-in") == 0) {
        read_line(words[2], secret);
        status = freshet_sign_in(program->session, words[1], secret, 0, &error);
    } else if (strcmp(words[0], "mfa") == 0) {
        status = freshet_answer_mfa(program->session, words[1], true, 0, &error);
    } else if (strcmp(words[0], "new-password") == 0) {
        read_line(words[1], secret);
        status = freshet_answer_new_password(program->session, secret, 0, &error);
    } else if (strcmp(words[0], "ensure") == 0) {
        struct freshet_demand demand = {.min_valid_ms = atol(words[1]), .timeout_ms = 3000};

        status = freshet_ensure_fresh(program->session, &demand, NULL, &error);
    } else if (strcmp(words[0], "partner") == 0) {
        const struct freshet_headers *headers = NULL;

        status = freshet_headers_get(program->session, words[1], &headers, &error);
        freshet_headers_unref(headers);
    } else if (strcmp(words[0], "sign-out") == 0) {
        status = freshet_sign_out(program->session, false, &error);
    }
    tell(words[0], status, &error);
    tell_status(program);
    tell_ledger(program);
}

/* "-" stands for nothing. */
static const char *given(const char *argument)
{
    return strcmp(argument, "-") == 0 ? NULL : argument;
}

static void open_all(struct program *program, char **argv)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet_session_options session = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_error error = {0};
    int status;

    options.url = given(argv[1]);
    options.profile = "partner-rotating";
    options.secrets = argv[2];
    options.tokens = argv[3];
    options.key_file = given(argv[4]);
    session.on_demand = true;
    status = freshet_open(&options, &program->freshet, &error);
    if (status == FRESHET_OK)
        status = freshet_session_open(program->freshet, argv[5] ? argv[5] : "canary", &session,
                                      &program->session, &error);
    if (status != FRESHET_OK) {
        tell("open", status, &error);
        exit(EXIT_FAILURE);
    }
}

int main(int argc, char **argv)
{
    struct program program = {0};
    char line[1024];

    if (argc != 5 && argc != 6)
        return 2;
    open_all(&program, argv);
    while (fgets(line, sizeof(line), stdin)) {
        char words[WORDS][256] = {"", "", ""};

        (void)sscanf(line, "%255s %255s %255s", words[0], words[1], words[2]);
        obey(&program, words);
        (void)puts(".");
        (void)fflush(stdout);
    }
    freshet_close(program.freshet);
    return EXIT_SUCCESS;
}
