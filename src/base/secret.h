/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_BASE_SECRET_H
#define FSH_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that must not be seen: a token, a password, a device key.
 *
 * The bytes stand on the heap, followed by a NUL that len does not count. They are wiped when the
 * secret is done or replaced. There is no formatter on purpose: the one way to the bytes is
 * fsh_base_secret_reveal, so that a search for it lists every place that sees a secret.
 *
 * The all-zero struct is the empty secret, and a valid argument everywhere. */
struct fsh_secret {
    char *bytes;
    size_t len;
};

/* Takes a copy of `len` bytes. FRESHET_ENOMEM leaves *ret_secret as it was; otherwise what
 * *ret_secret held before is wiped. */
int fsh_base_secret_copy(const char *bytes, size_t len, struct fsh_secret *ret_secret);

/* An independent copy of `from` in *ret_secret, as above. */
int fsh_base_secret_dup(const struct fsh_secret *from, struct fsh_secret *ret_secret);

/* Moves `from` into `to` and leaves `from` empty; what `to` held is wiped. Never fails. */
void fsh_base_secret_move(struct fsh_secret *to, struct fsh_secret *from);

/* Takes over a heap buffer of `len` bytes that is followed by a NUL. */
void fsh_base_secret_adopt(struct fsh_secret *to, char *bytes, size_t len);

/* Wipes and frees; `secret` is empty afterwards. Takes NULL. */
void fsh_base_secret_done(struct fsh_secret *secret);

bool fsh_base_secret_empty(const struct fsh_secret *secret);

/* In constant time for secrets of one length; the length itself is no secret. */
bool fsh_base_secret_equal(const struct fsh_secret *a, const struct fsh_secret *b);

/* The bytes, NUL-terminated, valid until the secret changes; "" for the empty secret. */
const char *fsh_base_secret_reveal(const struct fsh_secret *secret);

/* Wipes memory in a way that the compiler keeps. */
void fsh_base_wipe(void *memory, size_t len);

#endif
