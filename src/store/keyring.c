/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keyring.h"

#include "base/error.h"
#include "store/keyfile.h"

#include <freshet/status.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct fsh_keyring {
    atomic_uint references;
    pthread_mutex_t lock;  /* of what follows */
    struct fsh_keys *keys; /* read while the file was as `about` says */
    struct stat about;
    const char *path; /* NULL: a fixed one */
};

/* Takes over the keys, also when it fails. */
static int make(const char *path, struct fsh_keys *keys, const struct stat *about,
                struct fsh_keyring **ret_keyring)
{
    size_t len = path ? strlen(path) + 1 : 0;
    struct fsh_keyring *keyring = calloc(1, sizeof(*keyring) + len);

    if (!keyring) {
        fsh_keys_unref(keys);
        return FRESHET_ENOMEM;
    }
    atomic_init(&keyring->references, 1);
    (void)pthread_mutex_init(&keyring->lock, NULL);
    keyring->keys = keys;
    if (path) {
        keyring->path = memcpy(keyring + 1, path, len);
        keyring->about = *about;
    }
    *ret_keyring = keyring;
    return FRESHET_OK;
}

int fsh_keyring_open(const char *path, struct fsh_keyring **ret_keyring,
                     struct freshet_error *error)
{
    struct fsh_keys *keys = NULL;
    struct stat about;
    int status = fsh_keyfile_read(path, &keys, &about, error);

    if (status != FRESHET_OK)
        return status;
    status = make(path, keys, &about, ret_keyring);
    return status == FRESHET_OK ? status : fsh_base_fail(error, status, NULL);
}

int fsh_keyring_fixed(const unsigned char key[FSH_KEY_BYTES], struct fsh_keyring **ret_keyring)
{
    struct fsh_keys *keys = NULL;
    int status = fsh_keys_new(&keys);

    if (status == FRESHET_OK)
        status = fsh_keys_add(keys, key);
    if (status == FRESHET_OK)
        return make(NULL, keys, NULL, ret_keyring);
    fsh_keys_unref(keys);
    return status;
}

struct fsh_keyring *fsh_keyring_ref(struct fsh_keyring *keyring)
{
    if (keyring)
        atomic_fetch_add_explicit(&keyring->references, 1, memory_order_relaxed);
    return keyring;
}

void fsh_keyring_unref(struct fsh_keyring *keyring)
{
    if (!keyring || atomic_fetch_sub_explicit(&keyring->references, 1, memory_order_acq_rel) != 1)
        return;
    fsh_keys_unref(keyring->keys);
    (void)pthread_mutex_destroy(&keyring->lock);
    free(keyring);
}

static void reread(struct fsh_keyring *keyring)
{
    struct fsh_keys *keys = NULL;
    struct stat about;

    if (stat(keyring->path, &about) != 0 || fsh_keyfile_same(&about, &keyring->about) ||
        fsh_keyfile_read(keyring->path, &keys, &about, NULL) != FRESHET_OK)
        return;
    fsh_keys_unref(keyring->keys);
    keyring->keys = keys;
    keyring->about = about;
}

void fsh_keyring_refresh(struct fsh_keyring *keyring)
{
    if (!keyring->path)
        return;
    (void)pthread_mutex_lock(&keyring->lock);
    reread(keyring);
    (void)pthread_mutex_unlock(&keyring->lock);
}

void fsh_keyring_replace(struct fsh_keyring *keyring, struct fsh_keys *keys)
{
    (void)pthread_mutex_lock(&keyring->lock);
    fsh_keys_unref(keyring->keys);
    keyring->keys = fsh_keys_ref(keys);
    (void)pthread_mutex_unlock(&keyring->lock);
}

struct fsh_keys *fsh_keyring_keys(struct fsh_keyring *keyring)
{
    struct fsh_keys *keys;

    (void)pthread_mutex_lock(&keyring->lock);
    keys = fsh_keys_ref(keyring->keys);
    (void)pthread_mutex_unlock(&keyring->lock);
    return keys;
}

const char *fsh_keyring_where(const struct fsh_keyring *keyring)
{
    return keyring->path ? keyring->path : "memory";
}

void fsh_keyring_sealing(struct fsh_keyring *keyring, char ret_id[FSH_KEY_ID_TEXT])
{
    struct fsh_keys *keys = fsh_keyring_keys(keyring);

    fsh_key_id_text(keys->list[0].id, ret_id);
    fsh_keys_unref(keys);
}
