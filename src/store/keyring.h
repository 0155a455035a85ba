/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_KEYRING_H
#define FSH_STORE_KEYRING_H

#include "store/keys.h"

#include <freshet/error.h>

/* The keys of a key file, as they are now. Any thread; both stores of a handle share one.
 *
 * Another process may rotate or drop keys at any time. Two habits of the stores make that safe: who
 * writes calls fsh_keyring_refresh after it has the database's write lock and before it seals; and
 * keys are dropped by who holds that lock and counted that they seal nothing. So nobody seals by a
 * key that is about to go. */
struct fsh_keyring;

/* Opens a key file; fsh_keyfile_read says what is refused. FRESHET_ECONFIG with the reason. */
int fsh_keyring_open(const char *path, struct fsh_keyring **ret_keyring,
                     struct freshet_error *error);

/* One key, in memory alone: for tests, benchmarks and the simulator. */
int fsh_keyring_fixed(const unsigned char key[FSH_KEY_BYTES], struct fsh_keyring **ret_keyring);

struct fsh_keyring *fsh_keyring_ref(struct fsh_keyring *keyring);
void fsh_keyring_unref(struct fsh_keyring *keyring);

/* Reads the file again if it changed. A file that cannot be read leaves the keys as they are. */
void fsh_keyring_refresh(struct fsh_keyring *keyring);

/* Puts other keys in the place of a fixed keyring's, as a changed file would. */
void fsh_keyring_replace(struct fsh_keyring *keyring, struct fsh_keys *keys);

/* The keys as they are now: a reference, the caller's. */
struct fsh_keys *fsh_keyring_keys(struct fsh_keyring *keyring);

/* The file's name, for messages. */
const char *fsh_keyring_where(const struct fsh_keyring *keyring);

/* The id of the key that would seal now. */
void fsh_keyring_sealing(struct fsh_keyring *keyring, char ret_id[FSH_KEY_ID_TEXT]);

#endif
