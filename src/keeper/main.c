/* SPDX-License-Identifier: Apache-2.0 */

/* freshetd: the keeper. */

#include "keeper/log.h"
#include "keeper/peer.h"
#include "keeper/program.h"

#include <freshet/status.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

struct arguments {
    const char *config;
    bool check;
};

static const char usage[] = "usage: freshetd --config FILE [--check]\n"
                            "\n"
                            "Keeps sessions fresh and hands out their headers on Unix sockets.\n"
                            "\n"
                            "  -c, --config FILE  the configuration; else FRESHET_CONFIG says it\n"
                            "      --check        read the configuration, say what is wrong, end\n"
                            "  -h, --help         this text\n"
                            "  -V, --version      the version\n";

/* ---- options ----------------------------------------------------------------------------- */

/* FRESHET_OK and *ret_done: all is said. */
static int parse(int argc, char *argv[], struct arguments *ret_arguments, bool *ret_done)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int option;

    ret_arguments->config = getenv("FRESHET_CONFIG");
    while ((option = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            ret_arguments->config = optarg;
            break;
        case 'k':
            ret_arguments->check = true;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            *ret_done = true;
            return FRESHET_OK;
        case 'V':
            (void)puts("freshetd " FRESHET_VERSION);
            *ret_done = true;
            return FRESHET_OK;
        default:
            return FRESHET_EINVAL;
        }
    }
    if (optind < argc || !ret_arguments->config || ret_arguments->config[0] == '\0') {
        (void)fputs(usage, stderr);
        return FRESHET_EINVAL;
    }
    return FRESHET_OK;
}

static void tell_problem(void *data, const char *text)
{
    (void)data;
    (void)fprintf(stderr, "freshetd: %s\n", text);
}

/* What only starting would show besides: who is granted what. */
static int check(const char *path)
{
    struct freshet_error error;
    struct freshet_config *config = NULL;
    int status = freshet_config_check(path, tell_problem, NULL, NULL);

    if (status != FRESHET_OK || freshet_config_load(path, &config, NULL) != FRESHET_OK)
        return status;
    for (size_t i = 0; i < freshet_config_session_count(config); i++) {
        char section[160];
        struct fsh_grants *grants = NULL;

        (void)snprintf(section, sizeof(section), "session %s",
                       freshet_config_session_name(config, i));
        if (fsh_grants_new(freshet_config_get(config, section, "allow"), &grants, &error) !=
            FRESHET_OK) {
            status = error.status;
            (void)fprintf(stderr, "freshetd: [%s] %s\n", section, error.message);
        }
        fsh_grants_free(grants);
    }
    freshet_config_free(config);
    return status;
}

int main(int argc, char *argv[])
{
    struct fsh_program program = {0};
    struct arguments arguments = {0};
    struct freshet_error error;
    bool done = false;
    int status = parse(argc, argv, &arguments, &done);

    if (status != FRESHET_OK || done)
        return freshet_status_exit_code(status);
    if (arguments.check)
        return freshet_status_exit_code(check(arguments.config));
    status = fsh_program_start(&program, arguments.config, &error);
    if (status == FRESHET_OK)
        status = fsh_program_run(&program, &error);
    if (status != FRESHET_OK)
        fsh_log(FSH_LOG_ERROR, "failed", "status", freshet_status_name(status), "message",
                error.message, NULL);
    fsh_program_stop(&program);
    return freshet_status_exit_code(status);
}
