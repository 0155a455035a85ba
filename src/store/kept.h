/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_KEPT_H
#define FSH_STORE_KEPT_H

#include "store/seal.h"
#include "store/store.h"

/* The secrets beside a record: as bytes (a version, then each with its length), and sealed, as
 * every store keeps them. */

#define FSH_KEPT_VERSION 1

/* FRESHET_ENOMEM; FRESHET_ESTORE for a secret over the bounds. *ret_bytes is as it was then. */
int fsh_kept_encode(const struct fsh_kept *kept, struct fsh_secret *ret_bytes);

/* FRESHET_ESTORE for bytes of another version, incomplete, or over the bounds; FRESHET_ENOMEM.
 * *ret_kept is as it was then; otherwise what it held before is wiped. */
int fsh_kept_decode(const struct fsh_secret *bytes, struct fsh_kept *ret_kept);

/* Whether there is nothing to keep. */
bool fsh_kept_empty(const struct fsh_kept *kept);

/* Whether a change that took effect has to look at the secrets, or binds them anew: any that moves
 * them, or the incarnation or generation that their seal is bound to. */
bool fsh_kept_concerns(enum fsh_change_kind kind);

/* Whether a change that took effect needs anything of what stands sealed beside the record, where
 * `device` says whether a device's keys are among it: not when all of it goes, is replaced, or
 * stays as it is. So who lost the keys can sign in again. (Who signs out wants it gone, readable or
 * not.)
 */
bool fsh_kept_needed(const struct fsh_store_op *op, bool device);

/* Seals secrets as those of `name`, whose record is `record`; *ret_sealed is NULL when there is
 * nothing to keep, else the caller's to free(3). As fsh_seal. */
int fsh_kept_seal(struct fsh_keyring *keyring, const char *name, const unsigned char *session_key,
                  const struct fsh_record *record, const struct fsh_kept *kept,
                  unsigned char **ret_sealed, size_t *ret_len);

/* Opens them. As fsh_unseal; what was sealed by another version is FRESHET_ESTORE too. */
int fsh_kept_unseal(struct fsh_keyring *keyring, const char *name, const unsigned char *session_key,
                    const struct fsh_record *record, const unsigned char *sealed, size_t len,
                    struct fsh_kept *ret_kept, char *why, size_t why_size);

/* Seals them anew with the key that seals now. As fsh_reseal. */
int fsh_kept_reseal(struct fsh_keyring *keyring, const char *name, const struct fsh_record *record,
                    const unsigned char *sealed, size_t len, unsigned char **ret_sealed,
                    size_t *ret_len, char *why, size_t why_size);

#endif
