/* SPDX-License-Identifier: Apache-2.0 */

/* The keys that the stores are sealed with. */

#include "cli.h"

#include <freshet/admin.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- new --------------------------------------------------------------------------------- */

static int run_new(struct fsh_cli *cli)
{
    const char *path = cli->operands[1];
    int status = FRESHET_OK;

    if (!path) {
        status = fsh_cli_place(cli);
        path = cli->options.key_file;
    }
    if (status == FRESHET_OK && !path)
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "the configuration names no key_file; name the file to be made");
    if (status == FRESHET_OK && !cli->operands[1])
        status = fsh_cli_state_make(cli);
    if (status == FRESHET_OK)
        status = freshet_key_new(path, &cli->error);
    if (status != FRESHET_OK)
        return status;
    if (fsh_cli_wants_json(cli))
        return fsh_cli_document(cli, json_pack("{s:s}", "key_file", path), status);
    fsh_cli_print(cli, "made %s; keep it apart from copies of the stores\n", path);
    return status;
}

/* ---- list -------------------------------------------------------------------------------- */

static json_t *document(const struct freshet_key *key)
{
    return json_pack("{s:s, s:b, s:b, s:I}", "id", key->id, "present", key->present, "sealing",
                     key->sealing, "records", (json_int_t)key->records);
}

static void print(struct fsh_cli *cli, const struct freshet_key *key)
{
    const char *what = key->sealing ? "seals" : key->records ? "still needed" : "can be pruned";

    fsh_cli_print(cli, "%s  %6llu record%s  %s\n", key->id, (unsigned long long)key->records,
                  key->records == 1 ? " " : "s",
                  key->present ? what : "missing: bring its key file back");
}

static int run_list(struct fsh_cli *cli)
{
    struct freshet_key keys[FRESHET_KEYS_MAX];
    json_t *documents = NULL;
    size_t count = 0;
    int status = fsh_cli_place(cli);

    if (status == FRESHET_OK)
        status = freshet_key_list(&cli->options, keys, FRESHET_KEYS_MAX, &count, &cli->error);
    if (status != FRESHET_OK)
        return status;
    if (fsh_cli_wants_json(cli))
        documents = json_array();
    for (size_t i = 0; i < count && i < FRESHET_KEYS_MAX; i++) {
        if (fsh_cli_wants_json(cli))
            (void)json_array_append_new(documents, document(&keys[i]));
        else
            print(cli, &keys[i]);
    }
    return fsh_cli_wants_json(cli) ? fsh_cli_document(cli, documents, status) : status;
}

/* ---- rotate and prune -------------------------------------------------------------------- */

struct rotation {
    bool shown; /* on a terminal alone */
    size_t all;
};

static void progress(void *data, size_t done, size_t all)
{
    struct rotation *rotation = data;

    rotation->all = all;
    if (rotation->shown)
        (void)fprintf(stderr, "\r\033[Kfreshet: sealing anew: %zu of %zu%s", done, all,
                      done == all ? "\r\033[K" : "");
}

static int run_rotate(struct fsh_cli *cli)
{
    struct rotation rotation = {.shown = !fsh_cli_wants_json(cli) && isatty(STDERR_FILENO)};
    int status = fsh_cli_place(cli);

    if (status == FRESHET_OK)
        status = freshet_key_rotate(&cli->options, progress, &rotation, &cli->error);
    if (status != FRESHET_OK)
        return status;
    if (fsh_cli_wants_json(cli))
        return fsh_cli_document(cli, json_pack("{s:I}", "records", (json_int_t)rotation.all),
                                status);
    fsh_cli_print(cli,
                  "a new key seals; %zu record%s sealed anew. Once no copy of the stores needs the "
                  "old keys, `freshet key prune` drops them\n",
                  rotation.all, rotation.all == 1 ? " was" : "s were");
    return status;
}

static int run_prune(struct fsh_cli *cli)
{
    size_t dropped = 0;
    int status = fsh_cli_place(cli);

    if (status == FRESHET_OK)
        status = freshet_key_prune(&cli->options, &dropped, &cli->error);
    if (status != FRESHET_OK)
        return status;
    if (fsh_cli_wants_json(cli))
        return fsh_cli_document(cli, json_pack("{s:I}", "dropped", (json_int_t)dropped), status);
    fsh_cli_print(cli, "%zu key%s dropped\n", dropped, dropped == 1 ? "" : "s");
    return status;
}

int fsh_cli_key_run(struct fsh_cli *cli)
{
    static const struct {
        const char *name;
        size_t operands;
        int (*run)(struct fsh_cli *cli);
    } actions[] = {
        {"new", 2, run_new},
        {"list", 1, run_list},
        {"rotate", 1, run_rotate},
        {"prune", 1, run_prune},
    };
    const char *name = cli->operands[0] ? cli->operands[0] : "";

    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        int status;

        if (strcmp(actions[i].name, name) != 0)
            continue;
        status = fsh_cli_operands_at_most(cli, actions[i].operands);
        return status == FRESHET_OK ? actions[i].run(cli) : status;
    }
    return fsh_cli_fail(cli, FRESHET_EINVAL, "what of the keys? It is `freshet key %s`",
                        fsh_cli_verbs[FSH_CLI_VERB_key].operands);
}
