/* SPDX-License-Identifier: Apache-2.0 */

/* Key files: what is made, what is refused, and what others see while one is replaced. */

#include "base/secret.h"
#include "store/keyfile.h"
#include "store/seal.h"
#include "unit.h"

#include <fcntl.h>
#include <freshet/status.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    char folder[64];
    char file[128];
    char beside[160];
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    (void)snprintf(place->folder, sizeof(place->folder), P_tmpdir "/freshet-keys-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->file, sizeof(place->file), "%s/store.key", place->folder);
    (void)snprintf(place->beside, sizeof(place->beside), "%s.new", place->file);
    *state = place;
    return 0;
}

static int drop_place(void **state)
{
    struct place *place = *state;

    (void)unlink(place->beside);
    (void)unlink(place->file);
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
    return 0;
}

static void write_file(const char *path, const char *text, size_t len, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

/* A set of `count` keys. */
static struct fsh_keys *some(unsigned count)
{
    struct fsh_keys *keys = NULL;

    assert_int_equal(fsh_keys_new(&keys), FRESHET_OK);
    while (count-- > 0)
        assert_int_equal(fsh_keys_add(keys, NULL), FRESHET_OK);
    return keys;
}

static struct fsh_keys *make_file(const struct place *place, unsigned count)
{
    struct fsh_keys *keys = some(count);
    struct freshet_error error;

    assert_int_equal(fsh_keyfile_create(place->file, keys, &error), FRESHET_OK);
    return keys;
}

static void refused(const char *path, const char *word)
{
    struct fsh_keyring *keyring = NULL;
    struct freshet_error error = {0};

    assert_int_equal(fsh_keyring_open(path, &keyring, &error), FRESHET_ECONFIG);
    assert_null(keyring);
    if (!strstr(error.message, word))
        fail_msg("\"%s\" does not say %s", error.message, word);
}

/* ---- the file -------------------------------------------------------------------------------- */

static void a_new_file_is_the_owners_alone(void **state)
{
    struct place *place = *state;
    mode_t mask = umask(0);
    struct fsh_keys *keys = make_file(place, 1);
    struct fsh_keyring *keyring = NULL;
    char id[FSH_KEY_ID_TEXT];
    char sealing[FSH_KEY_ID_TEXT];
    struct freshet_error error;
    struct stat about;

    (void)umask(mask);
    assert_int_equal(stat(place->file, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(fsh_keyring_open(place->file, &keyring, &error), FRESHET_OK);
    fsh_keyring_sealing(keyring, sealing);
    fsh_key_id_text(keys->list[0].id, id);
    assert_string_equal(sealing, id);
    assert_int_equal(fsh_keyfile_create(place->file, keys, &error), FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, "exists"));
    fsh_keyring_unref(keyring);
    fsh_keys_unref(keys);
}

static void who_makes_none_leaves_none(void **state)
{
    struct place *place = *state;
    struct fsh_keys *keys = some(1);
    char elsewhere[192];
    struct freshet_error error;

    (void)snprintf(elsewhere, sizeof(elsewhere), "%s/no/such.key", place->folder);
    assert_int_equal(fsh_keyfile_create(elsewhere, keys, &error), FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, "No such file"));
    refused(elsewhere, "freshet key new");
    /* A file of that name stays as it is; that nothing is left beside it, drop_place sees. */
    write_file(place->file, "mine", 4, 0600);
    assert_int_equal(fsh_keyfile_create(place->file, keys, &error), FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, "exists"));
    assert_int_equal(unlink(place->file), 0);
    /* A link to nowhere is not followed. */
    assert_int_equal(symlink(place->beside, place->file), 0);
    assert_int_equal(fsh_keyfile_create(place->file, keys, &error), FRESHET_ECONFIG);
    assert_int_equal(access(place->beside, F_OK), -1);
    fsh_keys_unref(keys);
}

static void one_that_others_can_read_is_refused(void **state)
{
    static const mode_t modes[] = {0604, 0620, 0660, 0644, 0606, 0601, 0610, 0777, 0444};
    struct place *place = *state;

    fsh_keys_unref(make_file(place, 1));
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(chmod(place->file, modes[i]), 0);
        refused(place->file, "chmod 600");
    }
}

/* As systemd makes credentials: root's, with an access list whose mask shows as the group's. */
static void a_credential_of_roots_is_taken(void **state)
{
    struct place *place = *state;
    struct fsh_keyring *keyring = NULL;
    struct freshet_error error;

    fsh_keys_unref(make_file(place, 1));
    assert_int_equal(chmod(place->file, 0440), 0);
    if (geteuid() == 0) {
        assert_int_equal(fsh_keyring_open(place->file, &keyring, &error), FRESHET_OK);
        fsh_keyring_unref(keyring);
        assert_int_equal(chown(place->file, 65534, 65534), 0);
    }
    refused(place->file, "chmod 600");
    assert_int_equal(chmod(place->file, 0400), 0);
    assert_int_equal(fsh_keyring_open(place->file, &keyring, &error), FRESHET_OK);
    fsh_keyring_unref(keyring);
}

static void what_is_no_file_is_refused(void **state)
{
    struct place *place = *state;

    refused(place->folder, "not a regular file");
    assert_int_equal(mkfifo(place->file, 0600), 0);
    refused(place->file, "not a regular file"); /* and does not hang */
}

static void other_formats_are_refused(void **state)
{
    struct place *place = *state;
    struct fsh_keys *keys = some(FSH_KEYS_MAX);
    char text[FSH_KEYS_TEXT_MAX + 200] = "";
    size_t len = fsh_keys_format(keys, text);
    const size_t first = strlen("freshet-keys 1\n");
    const size_t line = 16 + 1 + 64 + 1;

    write_file(place->file, text, len, 0600);
    fsh_keys_unref(keys);
    assert_int_equal(fsh_keyfile_read(place->file, &keys, &(struct stat){0}, NULL), FRESHET_OK);
    assert_int_equal(keys->count, FSH_KEYS_MAX);
    fsh_keys_unref(keys);

    write_file(place->file, text, 0, 0600);
    refused(place->file, "does not begin");
    write_file(place->file, "freshet-keys 2\n", first, 0600);
    refused(place->file, "does not begin");
    write_file(place->file, text, first, 0600);
    refused(place->file, "has no key");
    write_file(place->file, text, len - 1, 0600);
    refused(place->file, "not whole");
    memcpy(text + len, text + len - line, line);
    write_file(place->file, text, len + line, 0600);
    refused(place->file, "more than 64");
    memcpy(text + first + line, text + first, line);
    write_file(place->file, text, first + 2 * line, 0600);
    refused(place->file, "twice");
    text[first + 20] = text[first + 20] == '0' ? '1' : '0';
    write_file(place->file, text, first + line, 0600);
    refused(place->file, "damaged");
    text[first + 20] = 'x';
    write_file(place->file, text, first + line, 0600);
    refused(place->file, "hexadecimal");
    memset(text, 'a', sizeof(text));
    write_file(place->file, text, sizeof(text), 0600);
    refused(place->file, "too large");
}

static void a_set_takes_64_keys_and_each_once(void **state)
{
    static const unsigned char bytes[FSH_KEY_BYTES] = {7};
    struct fsh_keys *keys = some(2);
    unsigned char id[FSH_KEY_ID_LEN];

    (void)state;
    assert_int_equal(fsh_keys_add(keys, bytes), FRESHET_OK);
    assert_int_equal(fsh_keys_add(keys, bytes), FRESHET_EINVAL);
    assert_memory_equal(keys->list[0].bytes, bytes, sizeof(bytes));
    memcpy(id, keys->list[0].id, sizeof(id));
    while (keys->count < FSH_KEYS_MAX)
        assert_int_equal(fsh_keys_add(keys, NULL), FRESHET_OK);
    assert_int_equal(fsh_keys_add(keys, NULL), FRESHET_ELIMIT);
    assert_ptr_equal(fsh_keys_find(keys, id), &keys->list[FSH_KEYS_MAX - 3]);
    fsh_keys_drop(keys, FSH_KEYS_MAX - 3);
    assert_null(fsh_keys_find(keys, id));
    assert_int_equal(keys->count, FSH_KEYS_MAX - 1);
    fsh_keys_unref(keys);
}

/* ---- another process changes it -------------------------------------------------------------- */

static void add_to_file(const char *path)
{
    struct fsh_keys *keys = NULL;
    struct stat about;
    int lock;

    if (fsh_keyfile_lock(path, &lock, NULL) != FRESHET_OK ||
        fsh_keyfile_read(path, &keys, &about, NULL) != FRESHET_OK)
        abort();
    if (keys->count >= FSH_KEYS_MAX)
        fsh_keys_drop(keys, FSH_KEYS_MAX - 1);
    if (fsh_keys_add(keys, NULL) != FRESHET_OK ||
        fsh_keyfile_replace(path, keys, NULL) != FRESHET_OK)
        abort();
    (void)close(lock);
    fsh_keys_unref(keys);
}

static void a_key_that_is_not_known_is_looked_for_again(void **state)
{
    static const struct fsh_seal_context context = {FSH_SEAL_SECRETS, "ann", 1, 1, NULL};
    struct place *place = *state;
    struct fsh_keyring *before = NULL;
    struct fsh_keyring *after = NULL;
    struct fsh_secret plain = {0};
    unsigned char *sealed = NULL;
    size_t len;
    char why[FSH_SEAL_WHY];

    fsh_keys_unref(make_file(place, 1));
    assert_int_equal(fsh_keyring_open(place->file, &before, NULL), FRESHET_OK);
    add_to_file(place->file);
    assert_int_equal(fsh_keyring_open(place->file, &after, NULL), FRESHET_OK);
    assert_int_equal(fsh_seal(after, &context, (const unsigned char *)"x", 1, &sealed, &len),
                     FRESHET_OK);
    assert_int_equal(fsh_unseal(before, &context, sealed, len, &plain, why, sizeof(why)),
                     FRESHET_OK);
    assert_string_equal(fsh_base_secret_reveal(&plain), "x");
    fsh_base_secret_done(&plain);
    free(sealed);
    fsh_keyring_unref(before);
    fsh_keyring_unref(after);
}

static void a_changed_file_counts_when_it_is_looked_at(void **state)
{
    struct place *place = *state;
    struct fsh_keyring *keyring = NULL;
    char first[FSH_KEY_ID_TEXT];
    char now[FSH_KEY_ID_TEXT];

    fsh_keys_unref(make_file(place, 1));
    assert_int_equal(fsh_keyring_open(place->file, &keyring, NULL), FRESHET_OK);
    fsh_keyring_sealing(keyring, first);
    add_to_file(place->file);
    fsh_keyring_sealing(keyring, now);
    assert_string_equal(now, first);
    fsh_keyring_refresh(keyring);
    fsh_keyring_sealing(keyring, now);
    assert_string_not_equal(now, first);
    fsh_keyring_unref(keyring);
}

static void a_file_that_is_gone_or_open_to_all_leaves_the_keys(void **state)
{
    struct place *place = *state;
    struct fsh_keyring *keyring = NULL;
    char first[FSH_KEY_ID_TEXT];
    char now[FSH_KEY_ID_TEXT];

    fsh_keys_unref(make_file(place, 1));
    assert_int_equal(fsh_keyring_open(place->file, &keyring, NULL), FRESHET_OK);
    fsh_keyring_sealing(keyring, first);
    add_to_file(place->file);
    assert_int_equal(chmod(place->file, 0644), 0);
    fsh_keyring_refresh(keyring);
    fsh_keyring_sealing(keyring, now);
    assert_string_equal(now, first);
    write_file(place->file, "half", 4, 0600);
    fsh_keyring_refresh(keyring);
    fsh_keyring_sealing(keyring, now);
    assert_string_equal(now, first);
    assert_int_equal(unlink(place->file), 0);
    fsh_keyring_refresh(keyring);
    fsh_keyring_sealing(keyring, now);
    assert_string_equal(now, first);
    fsh_keyring_unref(keyring);
}

static void owner_and_permissions_stay(void **state)
{
    struct place *place = *state;
    struct stat about;

    fsh_keys_unref(make_file(place, 1));
    assert_int_equal(chmod(place->file, 0400), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(place->file, 65534, 65533), 0);
    write_file(place->beside, "left by a crash", 15, 0600);
    add_to_file(place->file);
    assert_int_equal(stat(place->file, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0400);
    assert_int_equal(about.st_uid, geteuid() == 0 ? 65534 : geteuid());
    assert_int_equal(about.st_gid, geteuid() == 0 ? 65533 : getegid());
    assert_int_equal(access(place->beside, F_OK), -1);
}

static void what_a_link_names_is_replaced(void **state)
{
    struct place *place = *state;
    char link[160];
    struct stat about;

    fsh_keys_unref(make_file(place, 1));
    (void)snprintf(link, sizeof(link), "%s/link", place->folder);
    assert_int_equal(symlink("store.key", link), 0);
    add_to_file(link);
    assert_int_equal(lstat(link, &about), 0);
    assert_true(S_ISLNK(about.st_mode));
    assert_int_equal(stat(place->file, &about), 0);
    assert_int_equal(about.st_size, 15 + 2 * 82);
    assert_int_equal(unlink(link), 0);
}

/* Its name leaves no room for another beside it. */
static void one_that_cannot_be_replaced_says_what_to_do(void **state)
{
    struct place *place = *state;
    struct fsh_keys *keys = some(1);
    struct freshet_error error;
    char path[PATH_MAX];
    struct stat before;
    struct stat after;

    (void)snprintf(path, sizeof(path), "%s/%0252d", place->folder, 1);
    assert_int_equal(fsh_keyfile_create(path, keys, &error), FRESHET_OK);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(fsh_keyfile_replace(path, keys, &error), FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, "LoadCredential="));
    assert_non_null(strstr(error.message, "docs/keys.md"));
    assert_int_equal(stat(path, &after), 0);
    assert_true(fsh_keyfile_same(&before, &after));
    assert_int_equal(unlink(path), 0);
    fsh_keys_unref(keys);
}

#define EDITORS 4
#define EDITS   8

static void *edit(void *path)
{
    for (int i = 0; i < EDITS; i++)
        add_to_file(path);
    return NULL;
}

static void editors_lose_nothing_of_each_other(void **state)
{
    struct place *place = *state;
    struct fsh_keys *keys = make_file(place, 1);
    pthread_t threads[EDITORS];
    struct stat about;

    fsh_keys_unref(keys);
    for (int i = 0; i < EDITORS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, edit, place->file), 0);
    for (int i = 0; i < EDITORS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(fsh_keyfile_read(place->file, &keys, &about, NULL), FRESHET_OK);
    assert_int_equal(keys->count, 1 + EDITORS * EDITS);
    fsh_keys_unref(keys);
}

/* Replaces without an end, and tells of each time. */
static void replace_until_killed(const struct place *place, int tell)
{
    for (;;) {
        add_to_file(place->file);
        if (write(tell, "", 1) != 1)
            _exit(1);
    }
}

static void whoever_is_killed_leaves_a_whole_file(void **state)
{
    struct place *place = *state;

    fsh_keys_unref(make_file(place, 2));
    for (int round = 0; round < 60; round++) {
        struct fsh_keys *keys = NULL;
        struct stat about;
        int ends[2];
        char byte;
        pid_t child;

        assert_int_equal(pipe(ends), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            replace_until_killed(place, ends[1]);
        (void)close(ends[1]);
        for (int i = 0; i < 1 + round % 5; i++)
            assert_int_equal(read(ends[0], &byte, 1), 1);
        /* The child goes on while this reads, and is killed wherever it is. */
        for (int i = 0; i < round; i++) {
            assert_int_equal(fsh_keyfile_read(place->file, &keys, &about, NULL), FRESHET_OK);
            fsh_keys_unref(keys);
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        (void)close(ends[0]);
        assert_int_equal(fsh_keyfile_read(place->file, &keys, &about, NULL), FRESHET_OK);
        assert_true(keys->count >= 2);
        fsh_keys_unref(keys);
    }
    add_to_file(place->file);
    assert_int_equal(access(place->beside, F_OK), -1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_new_file_is_the_owners_alone),
        CASE(who_makes_none_leaves_none),
        CASE(one_that_others_can_read_is_refused),
        CASE(a_credential_of_roots_is_taken),
        CASE(what_is_no_file_is_refused),
        CASE(other_formats_are_refused),
        cmocka_unit_test(a_set_takes_64_keys_and_each_once),
        CASE(a_key_that_is_not_known_is_looked_for_again),
        CASE(a_changed_file_counts_when_it_is_looked_at),
        CASE(a_file_that_is_gone_or_open_to_all_leaves_the_keys),
        CASE(owner_and_permissions_stay),
        CASE(what_a_link_names_is_replaced),
        CASE(one_that_cannot_be_replaced_says_what_to_do),
        CASE(editors_lose_nothing_of_each_other),
        CASE(whoever_is_killed_leaves_a_whole_file),
    };

    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
