/* SPDX-License-Identifier: Apache-2.0 */
#include "store/kept.h"

#include "base/bounds.h"
#include "core/mutant.h"
#include "store/bytes.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>

static bool fits(const struct fsh_secret *secret)
{
    return secret->len <= FSH_TOKEN_MAX;
}

static void write_secret(struct fsh_writer *writer, const struct fsh_secret *secret)
{
    fsh_write_text(writer, fsh_base_secret_reveal(secret), secret->len);
}

int fsh_kept_encode(const struct fsh_kept *kept, struct fsh_secret *ret_bytes)
{
    size_t len = 1 + FSH_TEXT_BYTES(kept->refresh_token.len) +
                 FSH_TEXT_BYTES(kept->device_key.len) + FSH_TEXT_BYTES(kept->device_group_key.len);
    struct fsh_writer writer;
    char *bytes;

    if (!fits(&kept->refresh_token) || !fits(&kept->device_key) || !fits(&kept->device_group_key))
        return FRESHET_ESTORE;
    bytes = malloc(len + 1);
    if (!bytes)
        return FRESHET_ENOMEM;
    writer.at = (unsigned char *)bytes;
    fsh_write_u8(&writer, FSH_KEPT_VERSION);
    write_secret(&writer, &kept->refresh_token);
    write_secret(&writer, &kept->device_key);
    write_secret(&writer, &kept->device_group_key);
    bytes[len] = '\0';
    fsh_base_secret_adopt(ret_bytes, bytes, len);
    return FRESHET_OK;
}

/* Adds to a status that is FRESHET_OK so far. */
static int read_secret(struct fsh_reader *reader, struct fsh_secret *ret_secret, int status)
{
    size_t len;
    const char *bytes = fsh_read_text(reader, FSH_TOKEN_MAX, &len);

    if (status != FRESHET_OK || len == 0)
        return status;
    return fsh_base_secret_copy(bytes, len, ret_secret);
}

int fsh_kept_decode(const struct fsh_secret *bytes, struct fsh_kept *ret_kept)
{
    struct fsh_reader reader = {(const unsigned char *)fsh_base_secret_reveal(bytes), bytes->len,
                                false};
    struct fsh_kept kept = {0};
    int status = FRESHET_OK;

    if (fsh_read_u8(&reader) != FSH_KEPT_VERSION)
        return FRESHET_ESTORE;
    status = read_secret(&reader, &kept.refresh_token, status);
    status = read_secret(&reader, &kept.device_key, status);
    status = read_secret(&reader, &kept.device_group_key, status);
    if (status == FRESHET_OK && !fsh_read_whole(&reader))
        status = FRESHET_ESTORE;
    if (status != FRESHET_OK) {
        fsh_store_kept_done(&kept);
        return status;
    }
    fsh_store_kept_done(ret_kept);
    *ret_kept = kept;
    return FRESHET_OK;
}

/* ---- sealed ---------------------------------------------------------------------------------- */

bool fsh_kept_empty(const struct fsh_kept *kept)
{
    return fsh_base_secret_empty(&kept->refresh_token) &&
           fsh_base_secret_empty(&kept->device_key) &&
           fsh_base_secret_empty(&kept->device_group_key);
}

bool fsh_kept_concerns(enum fsh_change_kind kind)
{
    return kind == FSH_CHANGE_LEASE || kind == FSH_CHANGE_COMMIT || kind == FSH_CHANGE_END ||
           kind == FSH_CHANGE_SIGN_OUT || kind == FSH_CHANGE_LOSE;
}

bool fsh_kept_needed(const struct fsh_store_op *op, bool device)
{
    bool refresh = op->change.purpose == FSH_PURPOSE_REFRESH;

    if (!fsh_kept_concerns(op->change.kind))
        return false;
    if (op->change.kind == FSH_CHANGE_LEASE)
        return refresh || device;
    if (op->change.kind != FSH_CHANGE_COMMIT)
        return device;
    return (refresh && fsh_base_secret_empty(&op->kept.refresh_token)) ||
           (device && fsh_base_secret_empty(&op->kept.device_key));
}

static struct fsh_seal_context context_of(const char *name, const unsigned char *session_key,
                                          const struct fsh_record *record)
{
    return (struct fsh_seal_context){
        .purpose = FSH_SEAL_SECRETS,
        .record = name,
        .incarnation = record->incarnation,
        .generation = FSH_MUTANT(MISBOUND) ? record->reserved : record->generation,
        .session_key = session_key,
    };
}

int fsh_kept_seal(struct fsh_keyring *keyring, const char *name, const unsigned char *session_key,
                  const struct fsh_record *record, const struct fsh_kept *kept,
                  unsigned char **ret_sealed, size_t *ret_len)
{
    struct fsh_seal_context context = context_of(name, session_key, record);
    struct fsh_secret plain = {0};
    int status;

    if (fsh_kept_empty(kept)) {
        *ret_sealed = NULL;
        *ret_len = 0;
        return FRESHET_OK;
    }
    status = fsh_kept_encode(kept, &plain);
    if (status == FRESHET_OK)
        status = fsh_seal(keyring, &context, (const unsigned char *)fsh_base_secret_reveal(&plain),
                          plain.len, ret_sealed, ret_len);
    fsh_base_secret_done(&plain);
    return status;
}

int fsh_kept_unseal(struct fsh_keyring *keyring, const char *name, const unsigned char *session_key,
                    const struct fsh_record *record, const unsigned char *sealed, size_t len,
                    struct fsh_kept *ret_kept, char *why, size_t why_size)
{
    struct fsh_seal_context context = context_of(name, session_key, record);
    struct fsh_secret plain = {0};
    int status = fsh_unseal(keyring, &context, sealed, len, &plain, why, why_size);

    if (status == FRESHET_OK) {
        status = fsh_kept_decode(&plain, ret_kept);
        if (status != FRESHET_OK)
            (void)snprintf(why, why_size, "%s",
                           status == FRESHET_ENOMEM
                               ? "out of memory"
                               : "the secrets of this session were written by another version of "
                                 "Freshet; update this one");
    }
    fsh_base_secret_done(&plain);
    return status;
}

int fsh_kept_reseal(struct fsh_keyring *keyring, const char *name, const struct fsh_record *record,
                    const unsigned char *sealed, size_t len, unsigned char **ret_sealed,
                    size_t *ret_len, char *why, size_t why_size)
{
    struct fsh_seal_context context = context_of(name, NULL, record);

    return fsh_reseal(keyring, &context, sealed, len, ret_sealed, ret_len, why, why_size);
}
