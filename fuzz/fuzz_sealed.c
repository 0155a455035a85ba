/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "store/kept.h"
#include "store/seal.h"
#include "store/token_codec.h"

#include <stdlib.h>
#include <string.h>

/* What lies in a database: the envelope, and what is in it once it is open. The first byte chooses
 * which of them the rest is. */

static struct fsh_keyring *keyring;

static const unsigned char session_key[FSH_KEY_BYTES] = {2};

static const struct fsh_seal_context contexts[] = {
    {FSH_SEAL_SECRETS, "ann", 1, 2, NULL},
    {FSH_SEAL_TOKEN, "ann", 1, 2, session_key},
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const unsigned char key[FSH_KEY_BYTES] = {1};

    (void)argc;
    (void)argv;
    return fsh_keyring_fixed(key, &keyring);
}

static void must(bool holds)
{
    if (!holds)
        __builtin_trap();
}

static bool opens(const struct fsh_seal_context *context, const uint8_t *data, size_t size,
                  struct fsh_secret *ret_plain)
{
    char why[FSH_SEAL_WHY] = "";
    int status = fsh_unseal(keyring, context, data, size, ret_plain, why, sizeof(why));

    must((status == 0) == (why[0] == '\0'));
    return status == 0;
}

/* A record as it is found. */
static void found(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++) {
        struct fsh_secret plain = {0};
        unsigned char *anew = NULL;
        size_t len;
        char id[FSH_KEY_ID_TEXT];
        char why[FSH_SEAL_WHY];

        if (opens(&contexts[i], data, size, &plain)) {
            must(fsh_sealed_by(data, size, id));
            must(fsh_reseal(keyring, &contexts[i], data, size, &anew, &len, why, sizeof(why)) == 0);
            must(len == size && opens(&contexts[i], anew, len, &plain));
        }
        free(anew);
        fsh_base_secret_done(&plain);
    }
}

/* Anything is sealed, opens again, and does not when one bit is another. */
static void round_trip(const uint8_t *data, size_t size)
{
    const struct fsh_seal_context *context = &contexts[size & 1];
    struct fsh_secret plain = {0};
    unsigned char *sealed = NULL;
    size_t len;

    if (fsh_seal(keyring, context, data, size, &sealed, &len) != 0)
        return;
    must(opens(context, sealed, len, &plain));
    must(plain.len == size && memcmp(fsh_base_secret_reveal(&plain), data, size) == 0);
    sealed[(size > 0 ? data[0] : 0) % len] ^= 0x10;
    must(!opens(context, sealed, len, &plain));
    free(sealed);
    fsh_base_secret_done(&plain);
}

static void same(const struct fsh_secret *bytes, const struct fsh_secret *again)
{
    must(fsh_base_secret_equal(bytes, again));
}

static void kept_bytes(const struct fsh_secret *bytes)
{
    struct fsh_kept kept = {0};
    struct fsh_secret again = {0};

    if (fsh_kept_decode(bytes, &kept) == 0) {
        must(fsh_kept_encode(&kept, &again) == 0);
        same(bytes, &again);
    }
    fsh_base_secret_done(&again);
    fsh_store_kept_done(&kept);
}

static void clean(const char *text)
{
    for (; *text; text++)
        must((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void token_bytes(const struct fsh_secret *bytes)
{
    struct fsh_token *token = NULL;
    struct fsh_secret again = {0};

    if (fsh_token_decode(bytes, NULL, &token) == 0) {
        must(fsh_token_encode(token, &again) == 0);
        same(bytes, &again);
        for (size_t i = 0; i < token->partner_count; i++) {
            for (size_t j = 0; j < token->bundles[i].headers.count; j++) {
                clean(token->bundles[i].list[j].name);
                clean(token->bundles[i].list[j].value);
            }
        }
        fsh_token_unref(token);
    }
    fsh_base_secret_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fsh_secret bytes = {0};

    if (size == 0 || fsh_base_secret_copy((const char *)data + 1, size - 1, &bytes) != 0)
        return 0;
    switch (data[0]) {
    case 'e':
        found(data + 1, size - 1);
        break;
    case 's':
        round_trip(data + 1, size - 1);
        break;
    case 'k':
        kept_bytes(&bytes);
        break;
    case 't':
        token_bytes(&bytes);
        break;
    default:
        break;
    }
    fsh_base_secret_done(&bytes);
    return 0;
}
