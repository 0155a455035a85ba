/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_KEPT_H
#define FSH_STORE_KEPT_H

#include "store/store.h"

/* The secrets beside a record as bytes, to be sealed: a version, then each with its length. */

#define FSH_KEPT_VERSION 1

/* FRESHET_ENOMEM; FRESHET_ESTORE for a secret over the bounds. *ret_bytes is as it was then. */
int fsh_kept_encode(const struct fsh_kept *kept, struct fsh_secret *ret_bytes);

/* FRESHET_ESTORE for bytes of another version, incomplete, or over the bounds; FRESHET_ENOMEM.
 * *ret_kept is as it was then; otherwise what it held before is wiped. */
int fsh_kept_decode(const struct fsh_secret *bytes, struct fsh_kept *ret_kept);

#endif
