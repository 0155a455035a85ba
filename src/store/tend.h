/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_TEND_H
#define FSH_STORE_TEND_H

#include "store/seal.h"

#include <freshet/error.h>

/* A store as it is to who tends its keys, beside the programs that use it. One thread. */
struct fsh_tend;

/* Opens the store at `where`: the secret store for FSH_SEAL_SECRETS, the token cache for
 * FSH_SEAL_TOKEN. *ret_tend is NULL for one that seals nothing: memory:, or a file that is not
 * there yet. FRESHET_ECONFIG and FRESHET_ESTORE as fsh_store_secrets_open. */
int fsh_tend_open(const char *where, enum fsh_seal_purpose purpose, struct fsh_tend **ret_tend,
                  struct freshet_error *error);
void fsh_tend_close(struct fsh_tend *tend);

/* Hands each key that seals records, and how many, to `each`, until it returns something else than
 * FRESHET_OK, which is returned. Within fsh_tend_lock they stay so many. */
int fsh_tend_count(struct fsh_tend *tend, int (*each)(void *data, const char *id, uint64_t records),
                   void *data, struct freshet_error *error);

/* Keeps everybody else from writing, until it is unlocked. */
int fsh_tend_lock(struct fsh_tend *tend, struct freshet_error *error);
void fsh_tend_unlock(struct fsh_tend *tend);

/* What a round has come to. */
struct fsh_reseals {
    uint64_t done;
    uint64_t failed;        /* that do not open, and stay as they are */
    char why[FSH_SEAL_WHY]; /* of the first of those */
};

/* Goes once over all records that another key seals than the one that seals now, and seals each
 * anew, as it then is, in a transaction of its own; calls `told` after each. Others get their turn
 * in between. What fails with a status is the store; what does not open is counted. */
int fsh_tend_reseal(struct fsh_tend *tend, struct fsh_keyring *keyring, void (*told)(void *data),
                    void *data, struct fsh_reseals *ret_reseals, struct freshet_error *error);

#endif
