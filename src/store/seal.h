/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_SEAL_H
#define FSH_STORE_SEAL_H

#include "base/secret.h"
#include "store/keyring.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a store keeps of secrets: an envelope that only a key of the keyring opens, and only as what
 * it was sealed as (docs/decisions/0012-envelope.md).
 *
 *   version   1 byte, 1
 *   layers    1 byte: 1, or 2 with a session key
 *   key id    8 bytes
 *   nonce     24 bytes, random
 *   the rest  XChaCha20-Poly1305 (IETF) of the plain bytes; of two layers, of another nonce and the
 *             same of the plain bytes under the session key
 *
 * The associated data is the version, the layers, the key id, and the context below. The session
 * key has a layer of its own so that the host's keys can be rotated without it. Any thread. */

#define FSH_SEAL_VERSION   1
#define FSH_SEAL_PLAIN_MAX 65536 /* bytes of a record before it is sealed */
#define FSH_SEAL_WHY       160   /* room for the sentence that says why not */

enum fsh_seal_purpose { FSH_SEAL_SECRETS = 1, FSH_SEAL_TOKEN = 2, FSH_SEAL_LABEL = 3 };

/* What a sealed record is bound to. */
struct fsh_seal_context {
    enum fsh_seal_purpose purpose;
    const char *record; /* id: the session's name */
    uint64_t incarnation;
    uint64_t generation;
    /* 32 bytes that only the session's owner carries (a browser's cookie), without which the record
     * does not open; or NULL. */
    const unsigned char *session_key;
};

/* Seals with the keyring's sealing key. *ret_sealed is the caller's to free(3). FRESHET_ENOMEM;
 * FRESHET_ESTORE for more than FSH_SEAL_PLAIN_MAX bytes or too long a name. */
int fsh_seal(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
             const unsigned char *plain, size_t len, unsigned char **ret_sealed, size_t *ret_len);

/* Opens. A key that the keyring does not know makes it look at its file once more. FRESHET_ENOMEM;
 * FRESHET_ESTORE for what it cannot open: never the end of a session. `why` (which has room for
 * FSH_SEAL_WHY) then says what is the case and what to do. */
int fsh_unseal(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
               const unsigned char *sealed, size_t len, struct fsh_secret *ret_plain, char *why,
               size_t why_size);

/* Seals what is sealed anew with the keyring's sealing key. The context's session key is not needed
 * and not looked at. As fsh_unseal otherwise. */
int fsh_reseal(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
               const unsigned char *sealed, size_t len, unsigned char **ret_sealed, size_t *ret_len,
               char *why, size_t why_size);

/* The id of the key that sealed a record; false when it is no sealed record of this version. */
bool fsh_sealed_by(const unsigned char *sealed, size_t len, char ret_id[FSH_KEY_ID_TEXT]);

#endif
