/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "base/error.h"
#include "store/memory/memory.h"
#include "store/sqlite/sqlite.h"

#include <freshet/status.h>
#include <string.h>

void fsh_store_kept_done(struct fsh_kept *kept)
{
    fsh_base_secret_done(&kept->refresh_token);
    fsh_base_secret_done(&kept->device_key);
    fsh_base_secret_done(&kept->device_group_key);
}

static int hand_out(const struct fsh_kept *kept, struct fsh_store_op *op)
{
    int status;

    if (op->change.purpose == FSH_PURPOSE_REFRESH)
        return fsh_base_secret_dup(&kept->refresh_token, &op->kept.refresh_token);
    status = fsh_base_secret_dup(&kept->device_key, &op->kept.device_key);
    if (status == FRESHET_OK)
        status = fsh_base_secret_dup(&kept->device_group_key, &op->kept.device_group_key);
    return status;
}

static void replace(struct fsh_kept *kept, struct fsh_store_op *op)
{
    if (!fsh_base_secret_empty(&op->kept.refresh_token))
        fsh_base_secret_move(&kept->refresh_token, &op->kept.refresh_token);
    else if (op->change.purpose == FSH_PURPOSE_SIGN_IN)
        fsh_base_secret_done(&kept->refresh_token);
    if (fsh_base_secret_empty(&op->kept.device_key))
        return;
    fsh_base_secret_move(&kept->device_key, &op->kept.device_key);
    fsh_base_secret_move(&kept->device_group_key, &op->kept.device_group_key);
}

int fsh_store_keep(struct fsh_kept *kept, struct fsh_store_op *op)
{
    if (op->verdict != FSH_VERDICT_DONE)
        return FRESHET_OK;
    switch (op->change.kind) {
    case FSH_CHANGE_LEASE:
        return hand_out(kept, op);
    case FSH_CHANGE_COMMIT:
        replace(kept, op);
        break;
    case FSH_CHANGE_END:
    case FSH_CHANGE_SIGN_OUT:
    case FSH_CHANGE_LOSE:
        fsh_base_secret_done(&kept->refresh_token);
        break;
    case FSH_CHANGE_REMOVE:
        fsh_store_kept_done(kept);
        break;
    case FSH_CHANGE_READ:
    case FSH_CHANGE_RELEASE:
    case FSH_CHANGE_PARK:
    case FSH_CHANGE_LABEL:
        break;
    }
    return FRESHET_OK;
}

/* The path behind the name of the kind; NULL for another kind. */
static const char *path_of(const char *where)
{
    static const char kind[] = "sqlite:";

    return strncmp(where, kind, sizeof(kind) - 1) == 0 ? where + sizeof(kind) - 1 : NULL;
}

bool fsh_store_seals(const char *where)
{
    return path_of(where) != NULL;
}

static int no_store(const char *key, const char *where, struct freshet_error *error)
{
    return fsh_base_fail(error, FRESHET_ECONFIG,
                         "%s = %s: no such kind of store; this version knows memory: and "
                         "sqlite:/path/of/file",
                         key, where);
}

/* The path of a database that can be opened. */
static int check(const char *key, const struct fsh_store_options *options, const char **ret_path,
                 struct freshet_error *error)
{
    const char *path = path_of(options->where);

    if (!path)
        return no_store(key, options->where, error);
    if (path[0] == '\0')
        return fsh_base_fail(error, FRESHET_ECONFIG, "%s = sqlite: lacks the path of its file",
                             key);
    if (!options->keyring)
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "%s = %s: what it keeps is sealed, so it needs a key_file; make one "
                             "with `freshet key new FILE`",
                             key, options->where);
    *ret_path = path;
    return FRESHET_OK;
}

int fsh_store_secrets_open(const struct fsh_store_options *options,
                           struct fsh_secret_store **ret_store, struct freshet_error *error)
{
    const char *path = NULL;
    int status;

    if (strcmp(options->where, "memory:") == 0)
        return fsh_store_memory_secrets(ret_store, error);
    status = check("secrets", options, &path, error);
    if (status != FRESHET_OK)
        return status;
    return fsh_store_sqlite_secrets(path, options->keyring, ret_store, error);
}

int fsh_store_tokens_open(const struct fsh_store_options *options,
                          struct fsh_token_cache **ret_cache, struct freshet_error *error)
{
    const char *path = NULL;
    int status;

    if (strcmp(options->where, "memory:") == 0)
        return fsh_store_memory_tokens(ret_cache, error);
    status = check("tokens", options, &path, error);
    if (status != FRESHET_OK)
        return status;
    return fsh_store_sqlite_tokens(path, options->keyring, ret_cache, error);
}

int fsh_store_sessions(const char *where,
                       int (*each)(void *data, const char *name, const struct fsh_record *record),
                       void *data, struct freshet_error *error)
{
    const char *path = path_of(where);

    if (strcmp(where, "memory:") == 0)
        return FRESHET_OK; /* a new one is empty */
    if (!path)
        return no_store("secrets", where, error);
    return fsh_store_sqlite_sessions(path, each, data, error);
}

int fsh_tend_open(const char *where, enum fsh_seal_purpose purpose, struct fsh_tend **ret_tend,
                  struct freshet_error *error)
{
    const char *path = path_of(where);

    *ret_tend = NULL;
    if (strcmp(where, "memory:") == 0)
        return FRESHET_OK;
    if (!path)
        return no_store(purpose == FSH_SEAL_TOKEN ? "tokens" : "secrets", where, error);
    return fsh_store_sqlite_tend(path, purpose, ret_tend, error);
}
