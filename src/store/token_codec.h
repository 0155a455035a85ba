/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_TOKEN_CODEC_H
#define FSH_STORE_TOKEN_CODEC_H

#include "store/token.h"

/* A token with its headers as bytes, to be sealed: a version, then the fields in a fixed order. */

#define FSH_TOKEN_CODEC_VERSION 1

/* FRESHET_ENOMEM; FRESHET_ESTORE for a token that fsh_token_decode would refuse. *ret_bytes is as
 * it was then. */
int fsh_token_encode(const struct fsh_token *token, struct fsh_secret *ret_bytes);

/* *ret_token: one reference, the caller's. FRESHET_ESTORE for bytes of another version, incomplete,
 * over the bounds, or with what no header may hold (rule 4); FRESHET_ENOMEM. */
int fsh_token_decode(const struct fsh_secret *bytes, struct fsh_shelf *shelf,
                     struct fsh_token **ret_token);

#endif
