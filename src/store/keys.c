/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keys.h"

#include "base/secret.h"

#include <freshet/status.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#define HEADER   "freshet-keys 1\n"
#define ID_HEX   ((size_t)2 * FSH_KEY_ID_LEN)
#define KEY_HEX  ((size_t)2 * FSH_KEY_BYTES)
#define LINE_LEN (ID_HEX + 1 + KEY_HEX + 1)

_Static_assert(sizeof(HEADER) + FSH_KEYS_MAX * LINE_LEN < FSH_KEYS_TEXT_MAX, "room for all keys");

int fsh_keys_new(struct fsh_keys **ret_keys)
{
    struct fsh_keys *keys;

    /* sodium_malloc needs it, and it may be called any number of times. */
    if (sodium_init() < 0)
        return FRESHET_EINTERNAL;
    keys = sodium_malloc(sizeof(*keys));
    if (!keys)
        return FRESHET_ENOMEM;
    memset(keys, 0, sizeof(*keys));
    atomic_init(&keys->references, 1);
    *ret_keys = keys;
    return FRESHET_OK;
}

struct fsh_keys *fsh_keys_ref(struct fsh_keys *keys)
{
    atomic_fetch_add_explicit(&keys->references, 1, memory_order_relaxed);
    return keys;
}

void fsh_keys_unref(struct fsh_keys *keys)
{
    if (keys && atomic_fetch_sub_explicit(&keys->references, 1, memory_order_acq_rel) == 1)
        sodium_free(keys); /* wipes */
}

static void name(struct fsh_key *key)
{
    static const unsigned char context[] = "freshet key id";
    unsigned char hash[crypto_generichash_BYTES_MIN];

    (void)crypto_generichash(hash, sizeof(hash), context, sizeof(context), key->bytes,
                             sizeof(key->bytes));
    memcpy(key->id, hash, sizeof(key->id));
}

int fsh_keys_add(struct fsh_keys *keys, const unsigned char *bytes)
{
    struct fsh_key *fresh = &keys->list[FSH_KEYS_MAX]; /* never on the stack */

    if (keys->count >= FSH_KEYS_MAX)
        return FRESHET_ELIMIT;
    if (bytes)
        memcpy(fresh->bytes, bytes, sizeof(fresh->bytes));
    else
        randombytes_buf(fresh->bytes, sizeof(fresh->bytes));
    name(fresh);
    if (fsh_keys_find(keys, fresh->id)) {
        fsh_base_wipe(fresh, sizeof(*fresh));
        return FRESHET_EINVAL;
    }
    memmove(&keys->list[1], &keys->list[0], keys->count * sizeof(struct fsh_key));
    keys->list[0] = *fresh;
    keys->count++;
    fsh_base_wipe(fresh, sizeof(*fresh));
    return FRESHET_OK;
}

void fsh_keys_lead(struct fsh_keys *keys, unsigned index)
{
    struct fsh_key *spare = &keys->list[FSH_KEYS_MAX]; /* never on the stack */

    *spare = keys->list[index];
    memmove(&keys->list[1], &keys->list[0], index * sizeof(struct fsh_key));
    keys->list[0] = *spare;
    fsh_base_wipe(spare, sizeof(*spare));
}

void fsh_keys_drop(struct fsh_keys *keys, unsigned index)
{
    keys->count--;
    memmove(&keys->list[index], &keys->list[index + 1],
            (keys->count - index) * sizeof(struct fsh_key));
    fsh_base_wipe(&keys->list[keys->count], sizeof(struct fsh_key));
}

const struct fsh_key *fsh_keys_find(const struct fsh_keys *keys,
                                    const unsigned char id[FSH_KEY_ID_LEN])
{
    for (unsigned i = 0; i < keys->count; i++) {
        if (memcmp(keys->list[i].id, id, FSH_KEY_ID_LEN) == 0)
            return &keys->list[i];
    }
    return NULL;
}

void fsh_key_id_text(const unsigned char id[FSH_KEY_ID_LEN], char ret_text[FSH_KEY_ID_TEXT])
{
    (void)sodium_bin2hex(ret_text, FSH_KEY_ID_TEXT, id, FSH_KEY_ID_LEN);
}

/* ---- as text --------------------------------------------------------------------------------- */

static bool hex(const char *text, size_t len, unsigned char *ret_bytes)
{
    size_t read = 0;

    return sodium_hex2bin(ret_bytes, len / 2, text, len, NULL, &read, NULL) == 0 && read == len / 2;
}

/* Reads the line at `line`, which is long enough, into the next place. */
static const char *read_key(const char *line, struct fsh_keys *keys)
{
    struct fsh_key *key = &keys->list[keys->count];
    unsigned char id[FSH_KEY_ID_LEN];

    if (keys->count >= FSH_KEYS_MAX)
        return "it has more than 64 keys";
    if (!hex(line, ID_HEX, id) || line[ID_HEX] != ' ' ||
        !hex(line + ID_HEX + 1, KEY_HEX, key->bytes) || line[LINE_LEN - 1] != '\n')
        return "a line is not `ID KEY` in hexadecimal";
    name(key);
    if (memcmp(key->id, id, sizeof(id)) != 0)
        return "the id of a key does not fit the key; the file is damaged";
    if (fsh_keys_find(keys, id))
        return "a key stands in it twice";
    keys->count++;
    return NULL;
}

int fsh_keys_parse(const char *text, size_t len, struct fsh_keys *keys, const char **ret_why)
{
    const char *end = text + len;
    const char *why = NULL;

    if (len < strlen(HEADER) || memcmp(text, HEADER, strlen(HEADER)) != 0) {
        *ret_why = "it does not begin with the line `freshet-keys 1`";
        return FRESHET_ECONFIG;
    }
    text += strlen(HEADER);
    while (!why && text < end) {
        why = (size_t)(end - text) < LINE_LEN ? "its last line is not whole" : read_key(text, keys);
        text += why ? 0 : LINE_LEN;
    }
    if (!why && keys->count == 0)
        why = "it has no key";
    if (!why)
        return FRESHET_OK;
    *ret_why = why;
    return FRESHET_ECONFIG;
}

size_t fsh_keys_format(const struct fsh_keys *keys, char ret_text[FSH_KEYS_TEXT_MAX])
{
    char *at = stpcpy(ret_text, HEADER);

    for (unsigned i = 0; i < keys->count; i++) {
        (void)sodium_bin2hex(at, ID_HEX + 1, keys->list[i].id, FSH_KEY_ID_LEN);
        at[ID_HEX] = ' ';
        (void)sodium_bin2hex(at + ID_HEX + 1, KEY_HEX + 1, keys->list[i].bytes, FSH_KEY_BYTES);
        at[LINE_LEN - 1] = '\n';
        at += LINE_LEN;
    }
    return (size_t)(at - ret_text);
}
