/* SPDX-License-Identifier: Apache-2.0 */

/* The keys of stores in use: rotated while others write, killed on the way, dropped when they seal
 * nothing. Whatever was committed can be read, always. */

#include "store/keyfile.h"
#include "store/keyring.h"
#include "store/store.h"
#include "unit.h"

#include <fcntl.h>
#include <freshet/admin.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEADER "X-Preferred-Partner-Id"

struct place {
    char folder[64];
    char key_file[128];
    char secrets_path[128];
    char tokens_path[128];
    char secrets[160];
    char tokens[160];
    struct freshet_options options;
};

/* The stores as a program has them open. */
struct stores {
    struct fsh_secret_store *secrets;
    struct fsh_token_cache *tokens;
};

static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    struct freshet_options options = FRESHET_OPTIONS_INIT;

    assert_non_null(place);
    (void)snprintf(place->folder, sizeof(place->folder), P_tmpdir "/freshet-rotate-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->key_file, sizeof(place->key_file), "%s/key", place->folder);
    (void)snprintf(place->secrets_path, sizeof(place->secrets_path), "%s/s.db", place->folder);
    (void)snprintf(place->tokens_path, sizeof(place->tokens_path), "%s/t.db", place->folder);
    (void)snprintf(place->secrets, sizeof(place->secrets), "sqlite:%s", place->secrets_path);
    (void)snprintf(place->tokens, sizeof(place->tokens), "sqlite:%s", place->tokens_path);
    options.key_file = place->key_file;
    options.secrets = place->secrets;
    options.tokens = place->tokens;
    place->options = options;
    assert_int_equal(freshet_key_new(place->key_file, NULL), FRESHET_OK);
    *state = place;
    return 0;
}

static int drop_place(void **state)
{
    static const char *const names[] = {"key",      "key.new", "key.kept", "s.db",    "s.db-wal",
                                        "s.db-shm", "t.db",    "t.db-wal", "t.db-shm"};
    struct place *place = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[160];

        (void)snprintf(path, sizeof(path), "%s/%s", place->folder, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
    return 0;
}

static struct stores open_stores(const struct place *place)
{
    struct fsh_keyring *keyring = NULL;
    struct fsh_store_options secrets = {place->secrets, NULL};
    struct fsh_store_options tokens = {place->tokens, NULL};
    struct stores stores;

    assert_int_equal(fsh_keyring_open(place->key_file, &keyring, NULL), FRESHET_OK);
    secrets.keyring = keyring;
    tokens.keyring = keyring;
    assert_int_equal(fsh_store_secrets_open(&secrets, &stores.secrets, NULL), FRESHET_OK);
    assert_int_equal(fsh_store_tokens_open(&tokens, &stores.tokens, NULL), FRESHET_OK);
    fsh_keyring_unref(keyring);
    return stores;
}

static void close_stores(struct stores *stores)
{
    stores->secrets->ops->close(stores->secrets);
    stores->tokens->ops->close(stores->tokens);
}

/* ---- operations, one at a time --------------------------------------------------------------- */

struct op {
    struct fsh_store_op op;
    sem_t done;
};

static void op_done(struct fsh_store_op *op)
{
    (void)sem_post(&((struct op *)op)->done);
}

static void submit(struct stores *stores, struct op *op, const char *name,
                   const struct fsh_change *change)
{
    op->op.done = op_done;
    op->op.session = name;
    op->op.change = *change;
    op->op.now = (struct fsh_stamp){1000, 1};
    (void)sem_init(&op->done, 0, 0);
    stores->secrets->ops->submit(stores->secrets, &op->op);
    while (sem_wait(&op->done) != 0) {
    }
    (void)sem_destroy(&op->done);
    if (op->op.status != FRESHET_OK)
        fail_msg("%s: %s", name, op->op.why);
    assert_int_equal(op->op.verdict, FSH_VERDICT_DONE);
}

static struct fsh_record record_of(struct stores *stores, const char *name)
{
    struct op op = {0};

    submit(stores, &op, name, &(struct fsh_change){.kind = FSH_CHANGE_READ});
    return op.op.record;
}

static struct fsh_change lease(const struct fsh_record *record, enum fsh_purpose purpose)
{
    return (struct fsh_change){.kind = FSH_CHANGE_LEASE,
                               .incarnation = record->incarnation,
                               .generation = record->generation,
                               .holder = 1,
                               .attempt = 3,
                               .purpose = purpose};
}

/* Commits `token` as the session's refresh token: by a sign-in at first, then by a rotation. The
 * refresh token of before is checked against `before`, when there is one. */
static void commit(struct stores *stores, const char *name, const char *before, const char *token)
{
    struct fsh_record record = record_of(stores, name);
    enum fsh_purpose purpose =
        record.phase == FSH_PHASE_LIVE ? FSH_PURPOSE_REFRESH : FSH_PURPOSE_SIGN_IN;
    struct fsh_change change = lease(&record, purpose);
    struct op op = {0};

    submit(stores, &op, name, &change);
    if (before)
        assert_string_equal(fsh_base_secret_reveal(&op.op.kept.refresh_token), before);
    fsh_store_kept_done(&op.op.kept);
    change.kind = FSH_CHANGE_COMMIT;
    change.reserved = op.op.record.reserved;
    change.refreshable = true;
    assert_int_equal(fsh_base_secret_copy(token, strlen(token), &op.op.kept.refresh_token),
                     FRESHET_OK);
    submit(stores, &op, name, &change);
    fsh_store_kept_done(&op.op.kept);
}

/* The refresh token that is there. */
static void check_token(struct stores *stores, const char *name, const char *token)
{
    struct fsh_record record = record_of(stores, name);
    struct fsh_change change = lease(&record, FSH_PURPOSE_REFRESH);
    struct op op = {0};

    submit(stores, &op, name, &change);
    assert_string_equal(fsh_base_secret_reveal(&op.op.kept.refresh_token), token);
    fsh_store_kept_done(&op.op.kept);
    change.kind = FSH_CHANGE_RELEASE;
    change.resolved = true;
    submit(stores, &op, name, &change);
}

struct use {
    struct fsh_cache_op op;
    sem_t done;
};

static void use_done(struct fsh_cache_op *op)
{
    (void)sem_post(&((struct use *)op)->done);
}

static void use(struct stores *stores, struct use *use)
{
    use->op.done = use_done;
    (void)sem_init(&use->done, 0, 0);
    stores->tokens->ops->submit(stores->tokens, &use->op);
    while (sem_wait(&use->done) != 0) {
    }
    (void)sem_destroy(&use->done);
    assert_int_equal(use->op.status, FRESHET_OK);
}

static void put_token(struct stores *stores, const char *name, uint64_t generation)
{
    char *partners[] = {(char[]){"fd1"}};
    struct use put = {.op = {.session = name, .kind = FSH_CACHE_PUT}};
    struct fsh_secret value = {0};

    assert_int_equal(fsh_base_secret_copy("Bearer abc", 10, &value), FRESHET_OK);
    assert_int_equal(fsh_token_new(NULL, 1, generation, (struct fsh_stamp){1, 1}, 3600000, &value,
                                   HEADER, partners, 1, &put.op.token),
                     FRESHET_OK);
    use(stores, &put);
    fsh_token_unref(put.op.token);
}

static bool has_token(struct stores *stores, const char *name)
{
    struct use get = {.op = {.session = name, .kind = FSH_CACHE_GET}};
    bool has;

    use(stores, &get);
    has = get.op.token != NULL;
    fsh_token_unref(get.op.token);
    return has;
}

/* ---- many sessions --------------------------------------------------------------------------- */

static void name_of(int number, char ret_name[32])
{
    (void)snprintf(ret_name, 32, "session-%d", number);
}

static void fill(struct stores *stores, int count)
{
    for (int i = 0; i < count; i++) {
        char name[32];

        name_of(i, name);
        commit(stores, name, NULL, name);
        put_token(stores, name, 1);
    }
}

static void check_all(const struct place *place, int count)
{
    struct stores stores = open_stores(place);

    for (int i = 0; i < count; i++) {
        char name[32];

        name_of(i, name);
        check_token(&stores, name, name);
        assert_true(has_token(&stores, name));
    }
    close_stores(&stores);
}

static size_t list(const struct place *place, struct freshet_key keys[FRESHET_KEYS_MAX])
{
    struct freshet_error error = {0};
    size_t count = 0;

    if (freshet_key_list(&place->options, keys, FRESHET_KEYS_MAX, &count, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    return count;
}

static void rotate(const struct place *place)
{
    struct freshet_error error = {0};

    if (freshet_key_rotate(&place->options, NULL, NULL, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
}

static size_t prune(const struct place *place)
{
    struct freshet_error error = {0};
    size_t dropped = 0;

    if (freshet_key_prune(&place->options, &dropped, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    return dropped;
}

/* ---- at rest --------------------------------------------------------------------------------- */

struct progress {
    size_t calls;
    size_t done;
    size_t all;
};

static void note_progress(void *data, size_t done, size_t all)
{
    struct progress *progress = data;

    assert_true(done >= progress->done && done <= all);
    *progress = (struct progress){progress->calls + 1, done, all};
}

static void all_is_sealed_anew_and_the_old_key_goes(void **state)
{
    const struct place *place = *state;
    struct stores stores = open_stores(place);
    struct freshet_key keys[FRESHET_KEYS_MAX];
    struct progress progress = {0};
    char old[17];

    fill(&stores, 10);
    assert_int_equal(list(place, keys), 1);
    assert_true(keys[0].sealing && keys[0].present);
    assert_int_equal(keys[0].records, 20);
    memcpy(old, keys[0].id, sizeof(old));

    assert_int_equal(freshet_key_rotate(&place->options, note_progress, &progress, NULL),
                     FRESHET_OK);
    assert_int_equal(progress.done, 20);
    assert_int_equal(progress.all, 20);
    assert_true(progress.calls >= 20);
    assert_int_equal(list(place, keys), 2);
    assert_string_not_equal(keys[0].id, old);
    assert_true(keys[0].sealing && keys[0].records == 20);
    assert_string_equal(keys[1].id, old);
    assert_true(!keys[1].sealing && keys[1].present && keys[1].records == 0);

    /* The stores that were open find the new key by themselves. */
    for (int i = 0; i < 10; i++) {
        char name[32];

        name_of(i, name);
        check_token(&stores, name, name);
        assert_true(has_token(&stores, name));
    }
    assert_int_equal(prune(place), 1);
    assert_int_equal(prune(place), 0);
    assert_int_equal(list(place, keys), 1);
    commit(&stores, "session-0", "session-0", "another");
    close_stores(&stores);
    stores = open_stores(place);
    check_token(&stores, "session-0", "another");
    check_token(&stores, "session-9", "session-9");
    close_stores(&stores);
}

static void stores_that_are_not_there_seal_nothing(void **state)
{
    struct place *place = *state;
    struct freshet_key keys[FRESHET_KEYS_MAX];

    rotate(place);
    assert_int_equal(list(place, keys), 2);
    assert_int_equal(keys[0].records + keys[1].records, 0);
    place->options.secrets = "memory:";
    place->options.tokens = NULL;
    assert_int_equal(prune(place), 1);
    assert_int_equal(access(place->secrets_path, F_OK), -1);
}

static void what_cannot_be_is_told(void **state)
{
    struct place *place = *state;
    struct freshet_error error;
    size_t count;

    assert_int_equal(freshet_key_new("", &error), FRESHET_EINVAL);
    assert_int_equal(freshet_key_rotate(NULL, NULL, NULL, &error), FRESHET_EINVAL);
    assert_int_equal(freshet_key_list(&place->options, NULL, 1, &count, &error), FRESHET_EINVAL);
    place->options.secrets = "postgresql:x";
    assert_int_equal(freshet_key_rotate(&place->options, NULL, NULL, &error), FRESHET_ECONFIG);
    place->options.secrets = place->secrets;
    place->options.key_file = NULL;
    assert_int_equal(freshet_key_prune(&place->options, NULL, &error), FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, "key_file"));
}

static void a_full_file_says_to_prune(void **state)
{
    const struct place *place = *state;
    struct freshet_error error;

    for (int i = 1; i < FRESHET_KEYS_MAX; i++)
        rotate(place);
    assert_int_equal(freshet_key_rotate(&place->options, NULL, NULL, &error), FRESHET_ELIMIT);
    assert_non_null(strstr(error.message, "freshet key prune"));
    assert_int_equal(prune(place), FRESHET_KEYS_MAX - 1);
    rotate(place);
}

/* ---- what is wrong --------------------------------------------------------------------------- */

static void execute(const char *path, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void what_does_not_open_stays_and_the_rest_goes_on(void **state)
{
    const struct place *place = *state;
    struct stores stores = open_stores(place);
    struct freshet_key keys[FRESHET_KEYS_MAX];
    struct freshet_error error;

    fill(&stores, 5);
    close_stores(&stores);
    /* Of one session into the row of another. */
    execute(place->secrets_path, "UPDATE session SET sealed=(SELECT sealed FROM session WHERE "
                                 "name='session-1') WHERE name='session-0'");
    assert_int_equal(freshet_key_rotate(&place->options, NULL, NULL, &error), FRESHET_ESTORE);
    assert_non_null(strstr(error.message, "1 records"));
    assert_non_null(strstr(error.message, "another session's"));
    assert_int_equal(list(place, keys), 2);
    assert_int_equal(keys[0].records, 9);
    assert_int_equal(keys[1].records, 1);
    assert_int_equal(prune(place), 0);
    stores = open_stores(place);
    for (int i = 1; i < 5; i++) {
        char name[32];

        name_of(i, name);
        check_token(&stores, name, name);
    }
    close_stores(&stores);
}

static void a_key_that_is_lost_shows(void **state)
{
    const struct place *place = *state;
    struct stores stores = open_stores(place);
    struct freshet_key keys[FRESHET_KEYS_MAX];
    struct freshet_error error;
    char kept[160];
    char lost[17];

    fill(&stores, 3);
    close_stores(&stores);
    (void)list(place, keys);
    memcpy(lost, keys[0].id, sizeof(lost));
    (void)snprintf(kept, sizeof(kept), "%s/key.kept", place->folder);
    assert_int_equal(rename(place->key_file, kept), 0);
    assert_int_equal(freshet_key_new(place->key_file, NULL), FRESHET_OK);

    assert_int_equal(list(place, keys), 2);
    assert_true(keys[0].sealing && keys[0].records == 0);
    assert_string_equal(keys[1].id, lost);
    assert_true(!keys[1].present && keys[1].records == 6);
    assert_int_equal(freshet_key_rotate(&place->options, NULL, NULL, &error), FRESHET_ESTORE);
    assert_non_null(strstr(error.message, lost));
    assert_non_null(strstr(error.message, "bring that key file"));

    assert_int_equal(rename(kept, place->key_file), 0);
    rotate(place);
    check_all(place, 3);
}

/* ---- under load ------------------------------------------------------------------------------ */

#define WRITERS  2
#define SESSIONS 4

/* Commits token after token to its sessions until the pipe's other end is closed, each on top of
 * the one before; then tells how far it came. */
static void write_until_told(const struct place *place, int me, int stop, int tell)
{
    struct stores stores = open_stores(place);
    int last[SESSIONS] = {0};
    char byte;

    for (int i = 0; i == 0 || read(stop, &byte, 1) != 0; i++) {
        int which = i % SESSIONS;
        char name[32];
        char before[48];
        char token[48];

        (void)snprintf(name, sizeof(name), "writer-%d-%d", me, which);
        (void)snprintf(before, sizeof(before), "%s-%d", name, last[which]);
        (void)snprintf(token, sizeof(token), "%s-%d", name, ++last[which]);
        commit(&stores, name, i < SESSIONS ? NULL : before, token);
        put_token(&stores, name, (uint64_t)last[which]);
    }
    close_stores(&stores);
    _exit(write(tell, last, sizeof(last)) == sizeof(last) ? 0 : 1);
}

struct writer {
    pid_t pid;
    int tell;
};

static struct writer start_writer(const struct place *place, int me, const int stop[2])
{
    struct writer writer;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    writer.pid = fork();
    assert_true(writer.pid >= 0);
    if (writer.pid == 0) {
        (void)setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failure is not to run the next test here */
        (void)close(stop[1]);
        write_until_told(place, me, stop[0], ends[1]);
    }
    (void)close(ends[1]);
    writer.tell = ends[0];
    return writer;
}

static void check_writer(const struct place *place, int me, const struct writer *writer)
{
    struct stores stores = open_stores(place);
    int last[SESSIONS];
    int ended;

    assert_int_equal(read(writer->tell, last, sizeof(last)), sizeof(last));
    assert_int_equal(waitpid(writer->pid, &ended, 0), writer->pid);
    assert_int_equal(ended, 0);
    for (int i = 0; i < SESSIONS; i++) {
        char name[32];
        char token[48];

        (void)snprintf(name, sizeof(name), "writer-%d-%d", me, i);
        (void)snprintf(token, sizeof(token), "%s-%d", name, last[i]);
        if (last[i] > 0)
            check_token(&stores, name, token);
    }
    (void)close(writer->tell);
    close_stores(&stores);
}

static void nothing_is_lost_that_others_write_meanwhile(void **state)
{
    const struct place *place = *state;
    struct stores stores = open_stores(place);
    struct freshet_key keys[FRESHET_KEYS_MAX];
    struct writer writers[WRITERS];
    int stop[2];

    fill(&stores, 20);
    close_stores(&stores);
    assert_int_equal(pipe2(stop, O_NONBLOCK), 0);
    for (int i = 0; i < WRITERS; i++)
        writers[i] = start_writer(place, i, stop);
    for (int i = 0; i < 5; i++) {
        rotate(place);
        /* Whoever seals nothing any more is dropped, at once: also while they write. */
        assert_int_equal(prune(place), 1);
        assert_int_equal(list(place, keys), 1);
    }
    (void)close(stop[0]);
    (void)close(stop[1]);
    for (int i = 0; i < WRITERS; i++)
        check_writer(place, i, &writers[i]);
    check_all(place, 20);
    assert_int_equal(list(place, keys), 1);
    assert_int_equal(keys[0].records, (20 + WRITERS * SESSIONS) * 2);
}

static void *rotate_once(void *place)
{
    rotate(place);
    return NULL;
}

static void rotations_at_once_end_with_one_key(void **state)
{
    struct place *place = *state;
    struct stores stores = open_stores(place);
    struct freshet_key keys[FRESHET_KEYS_MAX];
    pthread_t threads[3];

    fill(&stores, 10);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, rotate_once, place), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    close_stores(&stores);
    assert_int_equal(list(place, keys), 4);
    assert_int_equal(keys[0].records, 20);
    assert_int_equal(prune(place), 3);
    check_all(place, 10);
}

/* ---- killed ---------------------------------------------------------------------------------- */

struct killing {
    size_t at;
};

static void kill_me(void *data, size_t done, size_t all)
{
    const struct killing *killing = data;

    (void)all;
    if (done >= killing->at)
        (void)raise(SIGKILL);
}

static void rotate_and_die(const struct place *place, size_t at)
{
    struct killing killing = {at};
    int ended = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        (void)freshet_key_rotate(&place->options, kill_me, &killing, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL);
}

static void whoever_is_killed_while_rotating_loses_nothing(void **state)
{
    const struct place *place = *state;
    struct stores stores = open_stores(place);
    struct freshet_key keys[FRESHET_KEYS_MAX];

    fill(&stores, 6);
    close_stores(&stores);
    for (size_t at = 1; at <= 12; at++) {
        size_t count;

        rotate_and_die(place, at);
        count = list(place, keys);
        assert_true(count >= 2);
        assert_int_equal(keys[0].records, at);
        check_all(place, 6);
        /* What still seals is not dropped. */
        (void)prune(place);
        check_all(place, 6);
    }
    rotate(place);
    (void)prune(place);
    assert_int_equal(list(place, keys), 1);
    assert_int_equal(keys[0].records, 12);
    check_all(place, 6);
}

/* Between the new key's coming into the file and the first record: as a crash there leaves it. */
static void a_key_that_was_added_alone_is_no_harm(void **state)
{
    const struct place *place = *state;
    struct stores stores = open_stores(place);
    struct fsh_keys *keys = NULL;
    struct stat about;

    fill(&stores, 3);
    assert_int_equal(fsh_keyfile_read(place->key_file, &keys, &about, NULL), FRESHET_OK);
    assert_int_equal(fsh_keys_add(keys, NULL), FRESHET_OK);
    assert_int_equal(fsh_keyfile_replace(place->key_file, keys, NULL), FRESHET_OK);
    fsh_keys_unref(keys);
    commit(&stores, "session-1", "session-1", "session-1");
    close_stores(&stores);
    check_all(place, 3);
    rotate(place);
    assert_int_equal(prune(place), 2);
    check_all(place, 3);
}

/* ---- the file of before ---------------------------------------------------------------------- */

static struct {
    bool watched;
    size_t renames;
    size_t unknown; /* files whose first key the file of before had not */
} files;

/* In place of libc's: what is renamed takes the place of a key file. */
int rename(const char *from, const char *to)
{
    struct fsh_keys *before = NULL;
    struct fsh_keys *after = NULL;
    struct stat about;

    if (files.watched && fsh_keyfile_read(to, &before, &about, NULL) == FRESHET_OK &&
        fsh_keyfile_read(from, &after, &about, NULL) == FRESHET_OK) {
        files.renames++;
        files.unknown += fsh_keys_find(before, after->list[0].id) == NULL;
    }
    fsh_keys_unref(before);
    fsh_keys_unref(after);
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* A crash may undo the latest rename, and others may have sealed with the first key by then. */
static void a_key_seals_once_it_cannot_be_lost(void **state)
{
    const struct place *place = *state;
    struct stores stores = open_stores(place);
    struct freshet_key keys[FRESHET_KEYS_MAX];

    fill(&stores, 2);
    close_stores(&stores);
    files.watched = true;
    rotate(place);
    files.watched = false;
    assert_int_equal(files.renames, 2);
    assert_int_equal(files.unknown, 0);
    assert_int_equal(list(place, keys), 2);
    assert_int_equal(keys[0].records, 4);
    check_all(place, 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(all_is_sealed_anew_and_the_old_key_goes),
        CASE(stores_that_are_not_there_seal_nothing),
        CASE(what_cannot_be_is_told),
        CASE(a_full_file_says_to_prune),
        CASE(what_does_not_open_stays_and_the_rest_goes_on),
        CASE(a_key_that_is_lost_shows),
        CASE(nothing_is_lost_that_others_write_meanwhile),
        CASE(rotations_at_once_end_with_one_key),
        CASE(whoever_is_killed_while_rotating_loses_nothing),
        CASE(a_key_that_was_added_alone_is_no_harm),
        CASE(a_key_seals_once_it_cannot_be_lost),
    };

    return cmocka_run_group_tests_name("rotate", tests, NULL, NULL);
}
