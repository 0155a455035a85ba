/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"

#include <freshet/status.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int fsh_base_secret_copy(const char *bytes, size_t len, struct fsh_secret *ret_secret)
{
    char *copy = malloc(len + 1);

    if (!copy)
        return FRESHET_ENOMEM;
    if (len > 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    fsh_base_secret_adopt(ret_secret, copy, len);
    return FRESHET_OK;
}

int fsh_base_secret_dup(const struct fsh_secret *from, struct fsh_secret *ret_secret)
{
    if (fsh_base_secret_empty(from)) {
        fsh_base_secret_done(ret_secret);
        return FRESHET_OK;
    }
    return fsh_base_secret_copy(from->bytes, from->len, ret_secret);
}

void fsh_base_secret_move(struct fsh_secret *to, struct fsh_secret *from)
{
    if (to == from)
        return;
    fsh_base_secret_done(to);
    *to = *from;
    *from = (struct fsh_secret){0};
}

void fsh_base_secret_adopt(struct fsh_secret *to, char *bytes, size_t len)
{
    fsh_base_secret_done(to);
    to->bytes = bytes;
    to->len = len;
}

void fsh_base_secret_done(struct fsh_secret *secret)
{
    if (!secret || !secret->bytes)
        return;
    fsh_base_wipe(secret->bytes, secret->len);
    free(secret->bytes);
    *secret = (struct fsh_secret){0};
}

bool fsh_base_secret_empty(const struct fsh_secret *secret)
{
    return secret->len == 0;
}

bool fsh_base_secret_equal(const struct fsh_secret *a, const struct fsh_secret *b)
{
    if (a->len != b->len)
        return false;
    return a->len == 0 || sodium_memcmp(a->bytes, b->bytes, a->len) == 0;
}

const char *fsh_base_secret_reveal(const struct fsh_secret *secret)
{
    return secret->bytes ? secret->bytes : "";
}

void fsh_base_wipe(void *memory, size_t len)
{
    sodium_memzero(memory, len);
}
