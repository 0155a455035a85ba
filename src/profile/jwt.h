/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_PROFILE_JWT_H
#define FSH_PROFILE_JWT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The claims of a JWT (RFC 7519), by a small strict decoder: three parts of base64url without
 * padding, of which the first two are JSON objects.
 *
 * The signature is not checked, on purpose: the token comes straight from the platform over TLS,
 * and the platform is whom one would ask for the key. Whoever gets a token from elsewhere must not
 * use this. */

/* The claims as a JSON object, which the caller ends with fsh_profile_json_done. FRESHET_EBADBODY
 * when it is no JWT; FRESHET_ENOMEM. */
int fsh_profile_jwt_claims(const char *token, size_t len, json_t **ret_claims);

/* exp - iat in milliseconds: false when the claims lack one of them, or they make no sense. A token
 * that expires before it was issued lives for 0. */
bool fsh_profile_jwt_lifetime(const json_t *claims, int64_t *ret_ms);

#endif
