/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_MEMORY_MEMORY_H
#define FSH_STORE_MEMORY_MEMORY_H

#include "store/store.h"

/* Stores in this process's memory, gone when they are closed. Several engines of the process may
 * share one. They complete before submit returns. Any thread. */
int fsh_store_memory_secrets(struct fsh_secret_store **ret_store, struct freshet_error *error);
int fsh_store_memory_tokens(struct fsh_token_cache **ret_cache, struct freshet_error *error);

#endif
