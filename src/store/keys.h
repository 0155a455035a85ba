/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_KEYS_H
#define FSH_STORE_KEYS_H

#include <stdatomic.h>
#include <stddef.h>

/* The keys that records are sealed with. The first seals; the others only open what they sealed
 * before. A set lies in memory that is locked, fenced and wiped (sodium_malloc), and does not
 * change once it is shared: who wants other keys makes another set. */

#define FSH_KEY_ID_LEN    8  /* bytes of an id */
#define FSH_KEY_ID_TEXT   17 /* ... as hex, with its NUL */
#define FSH_KEY_BYTES     32
#define FSH_KEYS_MAX      64
#define FSH_KEYS_TEXT_MAX 8192 /* bytes of a key file */

struct fsh_key {
    /* A hash of the bytes, so that a key file whose bytes were damaged is noticed, and a key has
     * the same name wherever it is kept. */
    unsigned char id[FSH_KEY_ID_LEN];
    unsigned char bytes[FSH_KEY_BYTES];
};

struct fsh_keys {
    atomic_uint references;
    unsigned count;
    struct fsh_key list[FSH_KEYS_MAX + 1]; /* the last is where a new one is made */
};

/* An empty set; one reference is the caller's. FRESHET_ENOMEM. */
int fsh_keys_new(struct fsh_keys **ret_keys);
struct fsh_keys *fsh_keys_ref(struct fsh_keys *keys);
void fsh_keys_unref(struct fsh_keys *keys);

/* Adds a key that seals from now on; with NULL for `bytes` a new one. FRESHET_ELIMIT when the set
 * is full, FRESHET_EINVAL when it has that key. */
int fsh_keys_add(struct fsh_keys *keys, const unsigned char *bytes);

/* The key at `index` seals from now on; the others stay in their order behind it. */
void fsh_keys_lead(struct fsh_keys *keys, unsigned index);

/* Takes the key at `index` out. */
void fsh_keys_drop(struct fsh_keys *keys, unsigned index);

/* The key of that id, or NULL. */
const struct fsh_key *fsh_keys_find(const struct fsh_keys *keys,
                                    const unsigned char id[FSH_KEY_ID_LEN]);

void fsh_key_id_text(const unsigned char id[FSH_KEY_ID_LEN], char ret_text[FSH_KEY_ID_TEXT]);

/* Reads the text of a key file into an empty set: the line `freshet-keys 1`, then a line `ID HEX` a
 * key, nothing else. FRESHET_ECONFIG and what is wrong in *ret_why, static, when it is none. */
int fsh_keys_parse(const char *text, size_t len, struct fsh_keys *keys, const char **ret_why);

/* Writes that text; returns its length. */
size_t fsh_keys_format(const struct fsh_keys *keys, char ret_text[FSH_KEYS_TEXT_MAX]);

#endif
