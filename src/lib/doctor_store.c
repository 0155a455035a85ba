/* SPDX-License-Identifier: Apache-2.0 */

/* The stores, and the keys that they are sealed with. */

#include "lib/doctor.h"
#include "store/seal.h"
#include "store/sqlite/examine.h"
#include "store/sqlite/file.h"

#include <errno.h>
#include <freshet/status.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MIB (1024 * 1024)

/* Below this a disk is full soon; above that a log has not been brought in for long. */
#define FREE_LEAST ((uint64_t)64 * MIB)
#define LOG_MOST   ((uint64_t)64 * MIB)

const char *fsh_doctor_store_path(const char *where)
{
    return strncmp(where, "sqlite:", 7) == 0 ? where + 7 : NULL;
}

/* ---- the key ----------------------------------------------------------------------------- */

/* Seals something and opens it again. */
static int try_key(struct fsh_keyring *keyring, char *why, size_t why_size)
{
    const struct fsh_seal_context context = {.purpose = FSH_SEAL_SECRETS, .record = "doctor"};
    const unsigned char plain[] = "a record";
    struct fsh_secret opened = {0};
    unsigned char *sealed = NULL;
    size_t len = 0;
    int status = fsh_seal(keyring, &context, plain, sizeof(plain), &sealed, &len);

    (void)snprintf(why, why_size, "%s", freshet_status_text(status));
    if (status == FRESHET_OK)
        status = fsh_unseal(keyring, &context, sealed, len, &opened, why, why_size);
    fsh_base_secret_done(&opened);
    free(sealed);
    return status;
}

void fsh_doctor_key(struct fsh_doctor *doctor)
{
    const char *path = doctor->options.key_file;
    bool needed = fsh_doctor_store_path(doctor->options.secrets) ||
                  fsh_doctor_store_path(doctor->options.tokens);
    struct fsh_keyring *keyring = NULL;
    struct freshet_error error = {0};
    char why[FSH_SEAL_WHY] = "";
    char id[FSH_KEY_ID_TEXT];
    int status;

    if (!path && !needed)
        return;
    if (!path) {
        fsh_doctor_bad(doctor, "key", FRESHET_ECONFIG,
                       "a store on a disk needs a key file; make one with `freshet key new FILE` "
                       "and name it as key_file");
        return;
    }
    status = fsh_keyring_open(path, &keyring, &error);
    if (status != FRESHET_OK) {
        fsh_doctor_bad(doctor, "key", status, "%s", error.message);
        return;
    }
    fsh_keyring_sealing(keyring, id);
    status = try_key(keyring, why, sizeof(why));
    if (status == FRESHET_OK)
        fsh_doctor_good(doctor, "key", "%s opens; key %s seals, and what it seals opens", path, id);
    else
        fsh_doctor_bad(doctor, "key", status, "key %s of %s is of no use: %s", id, path, why);
    fsh_keyring_unref(keyring);
}

/* ---- the stores -------------------------------------------------------------------------- */

static void check_uses(struct fsh_doctor *doctor, const char *what,
                       const struct fsh_sqlite_examined *examined)
{
    struct fsh_keyring *keyring = NULL;
    struct fsh_keys *keys;

    int status = FRESHET_ECONFIG;

    if (doctor->options.key_file)
        status = fsh_keyring_open(doctor->options.key_file, &keyring, NULL);
    if (status == FRESHET_ENOMEM)
        fsh_doctor_bad(doctor, "key", status, "out of memory for the keys");
    /* A key file that does not open has been told of. */
    if (status != FRESHET_OK)
        return;
    keys = fsh_keyring_keys(keyring);
    for (size_t i = 0; i < examined->use_count; i++) {
        const struct fsh_sqlite_use *use = &examined->uses[i];
        char id[FSH_KEY_ID_TEXT] = "";

        for (unsigned k = 0; k < keys->count && strcmp(id, use->key) != 0; k++)
            fsh_key_id_text(keys->list[k].id, id);
        if (strcmp(id, use->key) != 0)
            fsh_doctor_bad(doctor, "key", FRESHET_ESTORE,
                           "key %s seals %" PRIu64 " of the %s and is not in %s; bring back the "
                           "key file that has it, or sign in anew",
                           use->key, use->records, what, doctor->options.key_file);
    }
    fsh_keys_unref(keys);
    fsh_keyring_unref(keyring);
}

/* It is made at the first use, if it can be. */
static void absent(struct fsh_doctor *doctor, const char *what, const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');

    (void)snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
                   slash ? path : ".");
    if (access(folder, W_OK | X_OK) != 0)
        fsh_doctor_bad(doctor, "store", FRESHET_ECONFIG,
                       "%s: %s cannot be made (%s); make its folder, writable for this user", what,
                       path, strerror(errno));
    else
        fsh_doctor_good(doctor, "store", "%s: %s is not there yet; the first use makes it", what,
                        path);
}

static void present(struct fsh_doctor *doctor, const char *what, const char *path,
                    const struct fsh_sqlite_examined *examined)
{
    if (access(path, W_OK) != 0)
        fsh_doctor_bad(doctor, "store", FRESHET_ESTORE,
                       "%s: %s cannot be written to (%s); make it writable for this user", what,
                       path, strerror(errno));
    else
        fsh_doctor_good(doctor, "store", "%s: %s is sound; %" PRIu64 " record%s, version %d", what,
                        path, examined->records, examined->records == 1 ? "" : "s",
                        examined->version);
    if (examined->free < FREE_LEAST)
        fsh_doctor_warn(doctor, "store", "%s: the disk of %s has %" PRIu64 " MiB left; make room",
                        what, path, examined->free / MIB);
    if (examined->log > LOG_MOST)
        fsh_doctor_warn(doctor, "store",
                        "%s: the write-ahead log of %s has %" PRIu64 " MiB; end the program that "
                        "keeps an old state of it open",
                        what, path, examined->log / MIB);
}

static void check_store(struct fsh_doctor *doctor, const char *what, const char *where)
{
    bool secrets = strcmp(what, "secrets") == 0;
    const char *path = fsh_doctor_store_path(where);
    struct fsh_sqlite_examined *examined;
    struct freshet_error error = {0};
    int status;

    if (!path && strcmp(where, "memory:") == 0)
        fsh_doctor_good(doctor, "store", "%s: kept in memory, and gone with the program", what);
    else if (!path)
        fsh_doctor_bad(doctor, "store", FRESHET_ECONFIG,
                       "%s: no such kind of store; write memory: or sqlite:FILE", what);
    if (!path)
        return;
    if (!fsh_sqlite_file_exists(path)) {
        absent(doctor, what, path);
        return;
    }
    examined = malloc(sizeof(*examined));
    status = examined ? fsh_sqlite_examine(path, secrets, examined, &error) : FRESHET_ENOMEM;
    if (status == FRESHET_OK) {
        present(doctor, what, path, examined);
        check_uses(doctor, what, examined);
    } else {
        fsh_doctor_bad(doctor, "store", status, "%s: %s", what,
                       examined ? error.message : freshet_status_text(status));
    }
    free(examined);
}

void fsh_doctor_store(struct fsh_doctor *doctor)
{
    check_store(doctor, "secrets", doctor->options.secrets);
    check_store(doctor, "tokens", doctor->options.tokens);
}
