/* SPDX-License-Identifier: Apache-2.0 */
#include "store/seal.h"

#include "base/bounds.h"
#include "store/bytes.h"

#include <freshet/status.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONCE_LEN crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_LEN   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEAD_LEN  (1 + FSH_KEY_ID_LEN)
#define BEFORE    (HEAD_LEN + NONCE_LEN)
#define OVERHEAD  (BEFORE + TAG_LEN)
#define BINDS_MAX (HEAD_LEN + 1 + 8 + 8 + FSH_NAME_MAX)

_Static_assert(FSH_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "one size of keys");

/* The associated data: the envelope's head, then what it is bound to, the name last, so that
 * nothing has two readings. Returns its length, 0 for a name that is too long. */
static size_t bind(const unsigned char *head, const struct fsh_seal_context *context,
                   unsigned char ret_bytes[BINDS_MAX])
{
    size_t name_len = strlen(context->record);
    struct fsh_writer writer = {ret_bytes};

    if (name_len > FSH_NAME_MAX)
        return 0;
    fsh_write(&writer, head, HEAD_LEN);
    fsh_write_u8(&writer, (unsigned char)context->purpose);
    fsh_write_u64(&writer, context->incarnation);
    fsh_write_u64(&writer, context->generation);
    fsh_write(&writer, context->record, name_len);
    return (size_t)(writer.at - ret_bytes);
}

/* The key for a context: the host's own, or one that takes the session's owner too. */
static void derive(const struct fsh_key *key, const struct fsh_seal_context *context,
                   unsigned char ret_key[FSH_KEY_BYTES])
{
    static const unsigned char label[16] = "freshet session";
    crypto_generichash_state state;

    if (!context->session_key) {
        memcpy(ret_key, key->bytes, FSH_KEY_BYTES);
        return;
    }
    (void)crypto_generichash_init(&state, key->bytes, FSH_KEY_BYTES, FSH_KEY_BYTES);
    (void)crypto_generichash_update(&state, label, sizeof(label));
    (void)crypto_generichash_update(&state, context->session_key, FSH_KEY_BYTES);
    (void)crypto_generichash_final(&state, ret_key, FSH_KEY_BYTES);
    fsh_base_wipe(&state, sizeof(state));
}

/* Fills an envelope of len + OVERHEAD bytes. */
static bool fill(const struct fsh_key *key, const struct fsh_seal_context *context,
                 const unsigned char *plain, size_t len, unsigned char *sealed)
{
    unsigned char secret[FSH_KEY_BYTES];
    unsigned char binds[BINDS_MAX];
    size_t binds_len;

    sealed[0] = FSH_SEAL_VERSION;
    memcpy(sealed + 1, key->id, FSH_KEY_ID_LEN);
    randombytes_buf(sealed + HEAD_LEN, NONCE_LEN);
    binds_len = bind(sealed, context, binds);
    if (binds_len == 0)
        return false;
    derive(key, context, secret);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(sealed + BEFORE, NULL, plain, len, binds,
                                                     binds_len, NULL, sealed + HEAD_LEN, secret);
    fsh_base_wipe(secret, sizeof(secret));
    return true;
}

int fsh_seal(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
             const unsigned char *plain, size_t len, unsigned char **ret_sealed, size_t *ret_len)
{
    unsigned char *sealed;
    struct fsh_keys *keys;
    bool filled;

    if (len > FSH_SEAL_PLAIN_MAX)
        return FRESHET_ESTORE;
    sealed = malloc(len + OVERHEAD);
    if (!sealed)
        return FRESHET_ENOMEM;
    keys = fsh_keyring_keys(keyring);
    filled = fill(&keys->list[0], context, plain, len, sealed);
    fsh_keys_unref(keys);
    if (!filled) {
        free(sealed);
        return FRESHET_ESTORE;
    }
    *ret_sealed = sealed;
    *ret_len = len + OVERHEAD;
    return FRESHET_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

static bool open_with(const struct fsh_key *key, const struct fsh_seal_context *context,
                      const unsigned char *sealed, size_t len, char *ret_plain)
{
    unsigned char secret[FSH_KEY_BYTES];
    unsigned char binds[BINDS_MAX];
    size_t binds_len = bind(sealed, context, binds);
    bool opened;

    if (binds_len == 0)
        return false;
    derive(key, context, secret);
    opened = crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)ret_plain, NULL, NULL,
                                                        sealed + BEFORE, len - BEFORE, binds,
                                                        binds_len, sealed + HEAD_LEN, secret) == 0;
    fsh_base_wipe(secret, sizeof(secret));
    return opened;
}

static int unseal(const struct fsh_key *key, const struct fsh_seal_context *context,
                  const unsigned char *sealed, size_t len, struct fsh_secret *ret_plain)
{
    size_t plain_len = len - OVERHEAD;
    char *plain = malloc(plain_len + 1);

    if (!plain)
        return FRESHET_ENOMEM;
    if (!open_with(key, context, sealed, len, plain)) {
        free(plain);
        return FRESHET_ESTORE;
    }
    plain[plain_len] = '\0';
    fsh_base_secret_adopt(ret_plain, plain, plain_len);
    return FRESHET_OK;
}

/* FRESHET_ESTORE for what no key could open. */
static int read_head(const unsigned char *sealed, size_t len, char *why, size_t why_size)
{
    if (len > 0 && sealed[0] != FSH_SEAL_VERSION) {
        (void)snprintf(why, why_size,
                       "the record is sealed in format %u, which this version does not know; use a "
                       "newer Freshet",
                       sealed[0]);
        return FRESHET_ESTORE;
    }
    if (len < OVERHEAD || len > FSH_SEAL_PLAIN_MAX + OVERHEAD) {
        (void)snprintf(why, why_size,
                       "the sealed record is damaged (%zu bytes); restore the database, or sign in "
                       "again",
                       len);
        return FRESHET_ESTORE;
    }
    return FRESHET_OK;
}

static void tell(int status, const unsigned char *sealed, const char *where, bool known, char *why,
                 size_t why_size)
{
    char id[FSH_KEY_ID_TEXT];

    fsh_key_id_text(sealed + 1, id);
    if (status == FRESHET_ENOMEM)
        (void)snprintf(why, why_size, "out of memory");
    else if (status != FRESHET_OK && known)
        (void)snprintf(why, why_size,
                       "a record sealed by key %s does not open: it was changed, or is another "
                       "session's; restore the database, or sign in again",
                       id);
    else if (status != FRESHET_OK)
        (void)snprintf(why, why_size,
                       "the record is sealed by key %s, which is not in %.50s; bring that key file "
                       "back (docs/keys.md)",
                       id, where);
}

int fsh_unseal(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
               const unsigned char *sealed, size_t len, struct fsh_secret *ret_plain, char *why,
               size_t why_size)
{
    const struct fsh_key *key;
    struct fsh_keys *keys;
    int status = read_head(sealed, len, why, why_size);

    if (status != FRESHET_OK)
        return status;
    keys = fsh_keyring_keys(keyring);
    key = fsh_keys_find(keys, sealed + 1);
    if (!key) {
        fsh_keys_unref(keys);
        fsh_keyring_refresh(keyring);
        keys = fsh_keyring_keys(keyring);
        key = fsh_keys_find(keys, sealed + 1);
    }
    status = key ? unseal(key, context, sealed, len, ret_plain) : FRESHET_ESTORE;
    tell(status, sealed, fsh_keyring_where(keyring), key != NULL, why, why_size);
    fsh_keys_unref(keys);
    return status;
}

bool fsh_sealed_by(const unsigned char *sealed, size_t len, char ret_id[FSH_KEY_ID_TEXT])
{
    if (len < OVERHEAD || sealed[0] != FSH_SEAL_VERSION)
        return false;
    fsh_key_id_text(sealed + 1, ret_id);
    return true;
}
