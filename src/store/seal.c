/* SPDX-License-Identifier: Apache-2.0 */
#include "store/seal.h"

#include "base/bounds.h"
#include "core/mutant.h"
#include "store/bytes.h"

#include <freshet/status.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONCE_LEN  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_LEN    crypto_aead_xchacha20poly1305_ietf_ABYTES
#define LAYERS_AT  1
#define ID_AT      2
#define HEAD_LEN   (ID_AT + FSH_KEY_ID_LEN)
#define LAYER_LEN  (NONCE_LEN + TAG_LEN) /* what a layer adds */
#define OUTER_LEN  (HEAD_LEN + LAYER_LEN)
#define SEALED_MAX (FSH_SEAL_PLAIN_MAX + OUTER_LEN + LAYER_LEN)
#define BINDS_MAX  (HEAD_LEN + 1 + 8 + 8 + FSH_NAME_MAX)

_Static_assert(FSH_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "one size of keys");

/* ---- one layer ------------------------------------------------------------------------------- */

/* The associated data. */
struct binds {
    unsigned char bytes[BINDS_MAX];
    size_t len;
};

/* The name stands last, so that nothing has two readings. False when it is too long. The inner
 * layer is not bound to the head, which another key of the host changes. */
static bool bind(const unsigned char *head, const struct fsh_seal_context *context,
                 struct binds *ret_binds)
{
    static const unsigned char inner[HEAD_LEN] = "inner";
    size_t name_len = strlen(context->record);
    struct fsh_writer writer = {ret_binds->bytes};

    if (name_len > FSH_NAME_MAX)
        return false;
    fsh_write(&writer, head ? head : inner, HEAD_LEN);
    fsh_write_u8(&writer, (unsigned char)context->purpose);
    fsh_write_u64(&writer, context->incarnation);
    fsh_write_u64(&writer, context->generation);
    fsh_write(&writer, context->record, name_len);
    ret_binds->len = (size_t)(writer.at - ret_binds->bytes);
    return true;
}

/* Writes len + LAYER_LEN bytes: a nonce, then the ciphertext. */
static void encrypt(const unsigned char *key, const struct binds *binds, const unsigned char *plain,
                    size_t len, unsigned char *layer)
{
    randombytes_buf(layer, NONCE_LEN);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(layer + NONCE_LEN, NULL, plain, len,
                                                     binds->bytes, binds->len, NULL, layer, key);
}

/* Writes len - LAYER_LEN bytes, and a NUL. */
static int decrypt(const unsigned char *key, const struct binds *binds, const unsigned char *layer,
                   size_t len, struct fsh_secret *ret_plain)
{
    size_t plain_len = len - LAYER_LEN;
    char *plain = malloc(plain_len + 1);

    if (!plain)
        return FRESHET_ENOMEM;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)plain, NULL, NULL,
                                                   layer + NONCE_LEN, len - NONCE_LEN, binds->bytes,
                                                   binds->len, layer, key) != 0) {
        free(plain);
        return FRESHET_ESTORE;
    }
    plain[plain_len] = '\0';
    fsh_base_secret_adopt(ret_plain, plain, plain_len);
    return FRESHET_OK;
}

/* ---- sealing --------------------------------------------------------------------------------- */

/* The outer layer, with the keyring's sealing key. */
static int wrap(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
                unsigned layers, const unsigned char *bytes, size_t len, unsigned char **ret_sealed,
                size_t *ret_len)
{
    unsigned char *sealed = malloc(len + OUTER_LEN);
    struct fsh_keys *keys;
    struct binds binds;

    if (!sealed)
        return FRESHET_ENOMEM;
    keys = fsh_keyring_keys(keyring);
    sealed[0] = FSH_SEAL_VERSION;
    sealed[LAYERS_AT] = (unsigned char)layers;
    memcpy(sealed + ID_AT, keys->list[0].id, FSH_KEY_ID_LEN);
    (void)bind(sealed, context, &binds);
    encrypt(keys->list[0].bytes, &binds, bytes, len, sealed + HEAD_LEN);
    fsh_keys_unref(keys);
    *ret_sealed = sealed;
    *ret_len = len + OUTER_LEN;
    return FRESHET_OK;
}

int fsh_seal(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
             const unsigned char *plain, size_t len, unsigned char **ret_sealed, size_t *ret_len)
{
    unsigned char *inner;
    struct binds binds;
    int status;

    if (len > FSH_SEAL_PLAIN_MAX || !bind(NULL, context, &binds))
        return FRESHET_ESTORE;
    if (!context->session_key)
        return wrap(keyring, context, 1, plain, len, ret_sealed, ret_len);
    inner = malloc(len + LAYER_LEN);
    if (!inner)
        return FRESHET_ENOMEM;
    encrypt(context->session_key, &binds, plain, len, inner);
    status = wrap(keyring, context, 2, inner, len + LAYER_LEN, ret_sealed, ret_len);
    free(inner);
    return status;
}

/* ---- opening --------------------------------------------------------------------------------- */

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
    if (len < OUTER_LEN || len > SEALED_MAX || sealed[LAYERS_AT] < 1 || sealed[LAYERS_AT] > 2 ||
        (sealed[LAYERS_AT] == 2 && len < OUTER_LEN + LAYER_LEN)) {
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

    fsh_key_id_text(sealed + ID_AT, id);
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

static struct fsh_keys *keys_with(struct fsh_keyring *keyring,
                                  const unsigned char id[FSH_KEY_ID_LEN])
{
    struct fsh_keys *keys = fsh_keyring_keys(keyring);

    if (fsh_keys_find(keys, id))
        return keys;
    fsh_keys_unref(keys);
    fsh_keyring_refresh(keyring);
    return fsh_keyring_keys(keyring);
}

/* Takes the outer layer off. */
static int unwrap(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
                  const unsigned char *sealed, size_t len, struct fsh_secret *ret_bytes, char *why,
                  size_t why_size)
{
    const struct fsh_key *key;
    struct fsh_keys *keys;
    struct binds binds;
    int status = read_head(sealed, len, why, why_size);

    if (status != FRESHET_OK)
        return status;
    keys = keys_with(keyring, sealed + ID_AT);
    key = fsh_keys_find(keys, sealed + ID_AT);
    if (FSH_MUTANT(NEWEST_KEY) && key != &keys->list[0])
        key = NULL;
    status = FRESHET_ESTORE;
    if (key && bind(sealed, context, &binds))
        status = decrypt(key->bytes, &binds, sealed + HEAD_LEN, len - HEAD_LEN, ret_bytes);
    tell(status, sealed, fsh_keyring_where(keyring), key != NULL, why, why_size);
    fsh_keys_unref(keys);
    return status;
}

static int open_inner(const struct fsh_seal_context *context, const unsigned char *sealed,
                      struct fsh_secret *bytes, char *why, size_t why_size)
{
    const unsigned char *layer = (const unsigned char *)fsh_base_secret_reveal(bytes);
    struct fsh_secret plain = {0};
    struct binds binds;
    int status = FRESHET_ESTORE;

    if (sealed[LAYERS_AT] == (context->session_key ? 1 : 2)) {
        (void)snprintf(why, why_size, "the record is %s; sign in again",
                       context->session_key ? "not sealed for its owner alone, as it should be"
                                            : "sealed for its owner alone, who did not come along");
        return FRESHET_ESTORE;
    }
    if (!context->session_key)
        return FRESHET_OK;
    if (bind(NULL, context, &binds))
        status = decrypt(context->session_key, &binds, layer, bytes->len, &plain);
    if (status == FRESHET_OK)
        fsh_base_secret_move(bytes, &plain);
    tell(status, sealed, "", true, why, why_size);
    return status;
}

int fsh_unseal(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
               const unsigned char *sealed, size_t len, struct fsh_secret *ret_plain, char *why,
               size_t why_size)
{
    struct fsh_secret bytes = {0};
    int status = unwrap(keyring, context, sealed, len, &bytes, why, why_size);

    if (status == FRESHET_OK)
        status = open_inner(context, sealed, &bytes, why, why_size);
    if (status == FRESHET_OK)
        fsh_base_secret_move(ret_plain, &bytes);
    fsh_base_secret_done(&bytes);
    return status;
}

int fsh_reseal(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
               const unsigned char *sealed, size_t len, unsigned char **ret_sealed, size_t *ret_len,
               char *why, size_t why_size)
{
    struct fsh_secret bytes = {0};
    int status = unwrap(keyring, context, sealed, len, &bytes, why, why_size);

    if (status != FRESHET_OK)
        return status;
    status =
        wrap(keyring, context, sealed[LAYERS_AT],
             (const unsigned char *)fsh_base_secret_reveal(&bytes), bytes.len, ret_sealed, ret_len);
    fsh_base_secret_done(&bytes);
    if (status != FRESHET_OK)
        (void)snprintf(why, why_size, "out of memory");
    return status;
}

bool fsh_sealed_by(const unsigned char *sealed, size_t len, char ret_id[FSH_KEY_ID_TEXT])
{
    if (len < OUTER_LEN || sealed[0] != FSH_SEAL_VERSION)
        return false;
    fsh_key_id_text(sealed + ID_AT, ret_id);
    return true;
}
