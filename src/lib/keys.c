/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "lib/keeper.h"
#include "store/keyfile.h"
#include "store/store.h"
#include "store/tend.h"

#include <freshet/admin.h>
#include <string.h>
#include <unistd.h>

_Static_assert(FRESHET_KEYS_MAX == FSH_KEYS_MAX, "as the public header says");

/* ---- what is tended: both stores, and the keys they share ------------------------------------ */

enum { SECRETS, TOKENS, STORES };

struct tended {
    const char *key_file;
    struct fsh_keyring *keyring;
    struct fsh_tend *stores[STORES]; /* NULL: seals nothing */
};

static void done(struct tended *tended)
{
    for (int i = 0; i < STORES; i++)
        fsh_tend_close(tended->stores[i]);
    fsh_keyring_unref(tended->keyring);
}

/* FRESHET_OK or not, *ret_tended is to be done with. */
static int open_all(const struct freshet_options *given, struct tended *ret_tended,
                    struct freshet_error *error)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    int status;

    *ret_tended = (struct tended){0};
    if (!given || given->size == 0 || given->size > sizeof(options))
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "struct freshet_options: initialise it with FRESHET_OPTIONS_INIT");
    memcpy(&options, given, given->size);
    if (fsh_lib_keeper_socket(options.secrets))
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "the keys are the keeper's; name its stores and its key file instead "
                             "of its socket");
    if (!options.key_file)
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "key_file is missing: name the file of the keys");
    ret_tended->key_file = options.key_file;
    status = fsh_keyring_open(options.key_file, &ret_tended->keyring, error);
    if (status == FRESHET_OK && options.secrets)
        status =
            fsh_tend_open(options.secrets, FSH_SEAL_SECRETS, &ret_tended->stores[SECRETS], error);
    if (status == FRESHET_OK && options.tokens)
        status = fsh_tend_open(options.tokens, FSH_SEAL_TOKEN, &ret_tended->stores[TOKENS], error);
    return status;
}

/* Hands the keys that seal in any of the stores to `each`; one that seals in both comes twice. */
static int count_all(struct tended *tended,
                     int (*each)(void *data, const char *id, uint64_t records), void *data,
                     struct freshet_error *error)
{
    int status = FRESHET_OK;

    for (int i = 0; status == FRESHET_OK && i < STORES; i++) {
        if (tended->stores[i])
            status = fsh_tend_count(tended->stores[i], each, data, error);
    }
    return status;
}

/* ---- new ------------------------------------------------------------------------------------- */

int freshet_key_new(const char *path, struct freshet_error *error)
{
    struct fsh_keys *keys = NULL;
    int status;

    if (!path || path[0] == '\0')
        return fsh_base_fail(error, FRESHET_EINVAL, "a key file needs a name");
    status = fsh_keys_new(&keys);
    if (status == FRESHET_OK)
        status = fsh_keys_add(keys, NULL);
    if (status == FRESHET_OK)
        status = fsh_keyfile_create(path, keys, error);
    else
        (void)fsh_base_fail(error, status, NULL);
    fsh_keys_unref(keys);
    return status;
}

/* ---- rotate ---------------------------------------------------------------------------------- */

/* Edits the key file: `edit` adds or drops keys, or has another one lead. */
static int edit_file(struct tended *tended,
                     int (*edit)(struct fsh_keys *keys, void *data, struct freshet_error *error),
                     void *data, struct freshet_error *error)
{
    struct fsh_keys *keys = NULL;
    struct stat about;
    unsigned char leading[FSH_KEY_ID_LEN];
    unsigned before = 0;
    int lock;
    int status = fsh_keyfile_lock(tended->key_file, &lock, error);

    if (status != FRESHET_OK)
        return status;
    status = fsh_keyfile_read(tended->key_file, &keys, &about, error);
    if (status == FRESHET_OK) {
        before = keys->count;
        memcpy(leading, keys->list[0].id, sizeof(leading));
        status = edit(keys, data, error);
    }
    if (status == FRESHET_OK &&
        (keys->count != before || memcmp(leading, keys->list[0].id, sizeof(leading)) != 0))
        status = fsh_keyfile_replace(tended->key_file, keys, error);
    fsh_keys_unref(keys);
    (void)close(lock);
    fsh_keyring_refresh(tended->keyring);
    return status;
}

/* The new key stands behind the one that seals, which goes on sealing. */
static int add_key(struct fsh_keys *keys, void *data, struct freshet_error *error)
{
    int status = fsh_keys_add(keys, NULL);

    if (status == FRESHET_ELIMIT)
        return fsh_base_fail(error, status,
                             "the key file has %d keys, which is the limit; drop those that seal "
                             "nothing with `freshet key prune`",
                             FSH_KEYS_MAX);
    if (status != FRESHET_OK)
        return fsh_base_fail(error, status, NULL);
    memcpy(data, keys->list[0].id, FSH_KEY_ID_LEN);
    fsh_keys_lead(keys, 1);
    return FRESHET_OK;
}

static int lead_key(struct fsh_keys *keys, void *data, struct freshet_error *error)
{
    const struct fsh_key *key = fsh_keys_find(keys, data);

    if (!key)
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "the new key was dropped from the key file meanwhile; rotate again "
                             "when no `freshet key prune` runs");
    fsh_keys_lead(keys, (unsigned)(key - keys->list));
    return FRESHET_OK;
}

/* In two steps: what the folder has of a file that took another's place is not durable at once, but
 * others seal with its first key at once. So that key stands in the file of before, too. */
static int new_key(struct tended *tended, struct freshet_error *error)
{
    unsigned char id[FSH_KEY_ID_LEN];
    int status = edit_file(tended, add_key, id, error);

    return status == FRESHET_OK ? edit_file(tended, lead_key, id, error) : status;
}

struct rotation {
    struct tended *tended;
    char sealing[FSH_KEY_ID_TEXT];
    uint64_t others; /* records that other keys seal */
    void (*progress)(void *data, size_t done, size_t all);
    void *data;
    size_t done;
    size_t all;
};

static int count_others(void *data, const char *id, uint64_t records)
{
    struct rotation *rotation = data;

    if (strcmp(id, rotation->sealing) != 0)
        rotation->others += records;
    return FRESHET_OK;
}

static int look(struct rotation *rotation, struct freshet_error *error)
{
    rotation->others = 0;
    fsh_keyring_refresh(rotation->tended->keyring);
    fsh_keyring_sealing(rotation->tended->keyring, rotation->sealing);
    return count_all(rotation->tended, count_others, rotation, error);
}

static void told(void *data)
{
    struct rotation *rotation = data;

    rotation->done++;
    if (rotation->all < rotation->done)
        rotation->all = rotation->done;
    if (rotation->progress)
        rotation->progress(rotation->data, rotation->done, rotation->all);
}

/* One round over both stores. */
static int go_round(struct rotation *rotation, struct fsh_reseals *ret_sum,
                    struct freshet_error *error)
{
    struct fsh_reseals sum = {0};
    int status = FRESHET_OK;

    for (int i = 0; status == FRESHET_OK && i < STORES; i++) {
        struct fsh_reseals part = {0};

        if (!rotation->tended->stores[i])
            continue;
        status = fsh_tend_reseal(rotation->tended->stores[i], rotation->tended->keyring, told,
                                 rotation, &part, error);
        if (sum.failed == 0)
            memcpy(sum.why, part.why, sizeof(sum.why));
        sum.done += part.done;
        sum.failed += part.failed;
    }
    *ret_sum = sum;
    return status;
}

/* Until nothing is left but what does not open. Who writes seals with the new key from its next
 * transaction on, so this ends; a round that did nothing ends it too. */
static int seal_all(struct rotation *rotation, struct freshet_error *error)
{
    struct fsh_reseals round = {.done = 1};
    int status = look(rotation, error);

    rotation->all = (size_t)rotation->others;
    while (status == FRESHET_OK && rotation->others > 0 && round.done > 0) {
        status = go_round(rotation, &round, error);
        if (status == FRESHET_OK)
            status = look(rotation, error);
    }
    if (status == FRESHET_OK && rotation->others > 0)
        return fsh_base_fail(error, FRESHET_ESTORE, "%llu records stay sealed by an old key: %s",
                             (unsigned long long)rotation->others, round.why);
    return status;
}

int freshet_key_rotate(const struct freshet_options *options,
                       void (*progress)(void *data, size_t done, size_t all), void *data,
                       struct freshet_error *error)
{
    struct tended tended;
    struct rotation rotation = {.tended = &tended, .progress = progress, .data = data};
    int status = open_all(options, &tended, error);

    if (status == FRESHET_OK)
        status = new_key(&tended, error);
    if (status == FRESHET_OK)
        status = seal_all(&rotation, error);
    if (status == FRESHET_OK && progress)
        progress(data, rotation.all, rotation.all);
    done(&tended);
    return status;
}

/* ---- list ------------------------------------------------------------------------------------ */

struct listing {
    struct freshet_key *keys;
    size_t room;
    size_t count;
};

/* The place of a key, which is new when it is not there yet; NULL beyond the room. */
static struct freshet_key *place(struct listing *listing, const char *id)
{
    struct freshet_key *key;

    for (size_t i = 0; i < listing->count && i < listing->room; i++) {
        if (strcmp(listing->keys[i].id, id) == 0)
            return &listing->keys[i];
    }
    if (listing->count++ >= listing->room)
        return NULL;
    key = &listing->keys[listing->count - 1];
    *key = (struct freshet_key){0};
    memcpy(key->id, id, strnlen(id, sizeof(key->id) - 1));
    return key;
}

static int add_count(void *data, const char *id, uint64_t records)
{
    struct freshet_key *key = place(data, id);

    if (key)
        key->records += records;
    return FRESHET_OK;
}

/* Those of the file, in its order. */
static void list_file(struct fsh_keyring *keyring, struct listing *listing)
{
    struct fsh_keys *keys = fsh_keyring_keys(keyring);

    for (unsigned i = 0; i < keys->count; i++) {
        char id[FSH_KEY_ID_TEXT];
        struct freshet_key *key;

        fsh_key_id_text(keys->list[i].id, id);
        key = place(listing, id);
        if (key) {
            key->present = true;
            key->sealing = i == 0;
        }
    }
    fsh_keys_unref(keys);
}

int freshet_key_list(const struct freshet_options *options, struct freshet_key *ret_keys,
                     size_t room, size_t *ret_count, struct freshet_error *error)
{
    struct listing listing = {ret_keys, ret_keys ? room : 0, 0};
    struct tended tended;
    int status;

    if (!ret_count || (!ret_keys && room > 0)) {
        (void)fsh_base_fail(error, FRESHET_EINVAL, NULL);
        return FRESHET_EINVAL;
    }
    status = open_all(options, &tended, error);
    if (status == FRESHET_OK) {
        list_file(tended.keyring, &listing);
        status = count_all(&tended, add_count, &listing, error);
    }
    if (status == FRESHET_OK)
        *ret_count = listing.count;
    done(&tended);
    return status;
}

/* ---- prune ----------------------------------------------------------------------------------- */

struct pruning {
    struct tended *tended;
    struct fsh_keys *keys; /* of the file */
    bool used[FSH_KEYS_MAX];
    size_t dropped;
};

static int mark_used(void *data, const char *id, uint64_t records)
{
    struct pruning *pruning = data;

    for (unsigned i = 0; records > 0 && i < pruning->keys->count; i++) {
        char text[FSH_KEY_ID_TEXT];

        fsh_key_id_text(pruning->keys->list[i].id, text);
        if (strcmp(text, id) == 0)
            pruning->used[i] = true;
    }
    return FRESHET_OK;
}

static int drop_unused(struct fsh_keys *keys, void *data, struct freshet_error *error)
{
    struct pruning *pruning = data;
    int status;

    pruning->keys = keys;
    status = count_all(pruning->tended, mark_used, pruning, error);
    for (unsigned i = keys->count; status == FRESHET_OK && i-- > 1;) {
        if (!pruning->used[i]) {
            fsh_keys_drop(keys, i);
            pruning->dropped++;
        }
    }
    return status;
}

int freshet_key_prune(const struct freshet_options *options, size_t *ret_dropped,
                      struct freshet_error *error)
{
    struct tended tended;
    struct pruning pruning = {.tended = &tended};
    int locked = 0;
    int status = open_all(options, &tended, error);

    /* Nobody seals anything until the file is written, and then by what is in it. */
    for (; status == FRESHET_OK && locked < STORES; locked++) {
        if (tended.stores[locked])
            status = fsh_tend_lock(tended.stores[locked], error);
        if (status != FRESHET_OK)
            break;
    }
    if (status == FRESHET_OK)
        status = edit_file(&tended, drop_unused, &pruning, error);
    while (locked-- > 0) {
        if (tended.stores[locked])
            fsh_tend_unlock(tended.stores[locked]);
    }
    if (status == FRESHET_OK && ret_dropped)
        *ret_dropped = pruning.dropped;
    done(&tended);
    return status;
}
