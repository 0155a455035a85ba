/* SPDX-License-Identifier: Apache-2.0 */

/* The files of the stores in SQLite: what they survive, what they refuse, and what they say when a
 * disk or a person is in their way. What they keep of sessions is in test_sqlite_sessions.c. */

#include "sqlite_stores.h"
#include "store/sqlite/database.h"

#include <fcntl.h>
#include <freshet/status.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct content {
    char *bytes;
    size_t len;
};

static struct content read_file(const char *path)
{
    struct content content = {0};
    FILE *file = fopen(path, "rbe");

    assert_non_null(file);
    content.bytes = malloc(1 << 20);
    assert_non_null(content.bytes);
    content.len = fread(content.bytes, 1, 1 << 20, file);
    (void)fclose(file);
    return content;
}

static void write_file(const char *path, const struct content *content)
{
    FILE *file = fopen(path, "wbe");

    assert_non_null(file);
    assert_int_equal(fwrite(content->bytes, 1, content->len, file), content->len);
    assert_int_equal(fclose(file), 0);
}

static bool same_file(const char *path, const struct content *content)
{
    struct content now = read_file(path);
    bool same = now.len == content->len && memcmp(now.bytes, content->bytes, now.len) == 0;

    free(now.bytes);
    return same;
}

/* ---- what lasts ---------------------------------------------------------------------------- */

static void nothing_secret_lies_in_the_files(void **state)
{
    struct stores *stores = *state;
    char path[128];
    const char *const names[] = {"secrets.db", "secrets.db-wal", "tokens.db", "tokens.db-wal"};

    sign_in(stores->secrets, "ann", "canary-refresh", "canary-device");
    put(stores->tokens, "ann", 1);
    for (size_t i = 0; i < 4; i++) {
        struct content content;

        (void)snprintf(path, sizeof(path), "%s/%s", stores->folder, names[i]);
        content = read_file(path);
        assert_null(memmem(content.bytes, content.len, "canary", 6));
        assert_null(memmem(content.bytes, content.len, "Bearer", 6));
        free(content.bytes);
    }
}

static void the_log_is_brought_in_and_gone_at_the_end(void **state)
{
    struct stores *stores = *state;
    char wal[128];
    char *long_value = malloc(16001);
    struct stat file;

    assert_non_null(long_value);
    memset(long_value, 'x', 16000);
    long_value[16000] = '\0';
    (void)snprintf(wal, sizeof(wal), "%s-wal", stores->tokens_path);
    /* 5 pages each: 60 MB in all, where the log is to stay below 8,000 pages and what comes while
     * it is brought in. */
    for (uint64_t i = 1; i <= 3000; i++) {
        struct fsh_secret value = secret(long_value);
        struct fsh_cache_op op = {.session = "ann", .kind = FSH_CACHE_PUT};

        assert_int_equal(fsh_token_new(NULL, 1, i, (struct fsh_stamp){5, 1}, 1000, &value, "X",
                                       NULL, 0, &op.token),
                         FRESHET_OK);
        use(stores->tokens, &op);
        assert_int_equal(op.status, FRESHET_OK);
        fsh_token_unref(op.token);
    }
    free(long_value);
    assert_int_equal(stat(wal, &file), 0);
    assert_true(file.st_size < 45000000);
    stores_close(stores);
    assert_int_equal(stat(wal, &file), -1);
    stores_open(stores);
    assert_int_equal(get(stores->tokens, "ann"), 3000);
}

static int64_t now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The log cannot begin anew under it; that is waited for a moment, not for as long as a lock. */
static void who_reads_for_long_holds_nobody_up(void **state)
{
    struct stores *stores = *state;
    int64_t longest = 0;
    sqlite3 *reader;

    put(stores->tokens, "ann", 1);
    reader = raw_open(stores->tokens_path);
    raw(reader, "BEGIN; SELECT count(*) FROM token");
    for (uint64_t i = 2; i <= 2500; i++) {
        int64_t before = now_ms();

        put(stores->tokens, "ann", i);
        longest = now_ms() - before > longest ? now_ms() - before : longest;
    }
    assert_true(longest < FSH_SQLITE_BUSY_MS / 2);
    raw(reader, "COMMIT");
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    assert_int_equal(get(stores->tokens, "ann"), 2500);
}

/* ---- files --------------------------------------------------------------------------------- */

static void the_files_are_their_owners_alone_whatever_the_umask(void **state)
{
    static const mode_t masks[] = {0, 077, 0777};
    static const char *const ends[] = {"", "-wal", "-shm"};
    struct stores *stores = *state;
    char path[160];
    struct stat file;

    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        mode_t before;

        stores_close(stores);
        (void)unlink(stores->secrets_path);
        before = umask(masks[i]);
        stores_open(stores);
        works(stores->secrets, "ann");
        (void)umask(before);
        for (size_t j = 0; j < 3; j++) {
            (void)snprintf(path, sizeof(path), "%s%s", stores->secrets_path, ends[j]);
            assert_int_equal(stat(path, &file), 0);
            assert_int_equal(file.st_mode & 07777, 0600);
        }
    }
}

static void a_file_that_others_may_open_is_refused(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610};
    struct stores *stores = *state;
    char wal[160];
    struct content content;

    works(stores->secrets, "ann");
    stores_close(stores);
    content = read_file(stores->secrets_path);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(chmod(stores->secrets_path, modes[i]), 0);
        refused(stores, FRESHET_ECONFIG, "chmod 600");
    }
    assert_int_equal(chmod(stores->secrets_path, 0600), 0);
    (void)snprintf(wal, sizeof(wal), "%s-wal", stores->secrets_path);
    assert_int_equal(close(open(wal, O_CREAT | O_WRONLY | O_CLOEXEC, 0644)), 0);
    refused(stores, FRESHET_ECONFIG, "chmod 600");
    assert_int_equal(unlink(wal), 0);
    assert_true(same_file(stores->secrets_path, &content));
    free(content.bytes);
    stores_open(stores);
}

static void a_link_a_folder_and_anothers_file_are_refused(void **state)
{
    struct stores *stores = *state;
    struct stores other = *stores;

    (void)snprintf(other.secrets_path, sizeof(other.secrets_path), "%s/link", stores->folder);
    assert_int_equal(symlink(stores->secrets_path, other.secrets_path), 0);
    refused(&other, FRESHET_ECONFIG, "plain file");
    (void)snprintf(other.secrets_path, sizeof(other.secrets_path), "%s", stores->folder);
    refused(&other, FRESHET_ECONFIG, "plain file");
    (void)snprintf(other.secrets_path, sizeof(other.secrets_path), "%s/none/secrets.db",
                   stores->folder);
    refused(&other, FRESHET_ECONFIG, "cannot be created");
    if (geteuid() == 0) {
        stores_close(stores);
        assert_int_equal(chown(stores->secrets_path, 65534, 65534), 0);
        refused(stores, FRESHET_ECONFIG, "user 65534");
        assert_int_equal(chown(stores->secrets_path, 0, 0), 0);
        stores_open(stores);
    } else {
        (void)snprintf(other.secrets_path, sizeof(other.secrets_path), "/etc/passwd");
        refused(&other, FRESHET_ECONFIG, "user 0");
    }
}

static void another_file_in_the_place_of_the_store_is_not_written_to(void **state)
{
    struct stores *stores = *state;
    char text[] = "not a store";
    struct content content = {text, sizeof(text) - 1};
    char away[128];

    (void)snprintf(away, sizeof(away), "%s.away", stores->secrets_path);
    sign_in(stores->secrets, "ann", "ann-refresh", "");
    assert_int_equal(rename(stores->secrets_path, away), 0);
    fails(stores->secrets, "ann", "not there");
    write_file(stores->secrets_path, &content);
    assert_int_equal(chmod(stores->secrets_path, 0600), 0);
    fails(stores->secrets, "ann", "another file");
    assert_true(same_file(stores->secrets_path, &content));
    assert_int_equal(rename(away, stores->secrets_path), 0);
    assert_true(hands_out(stores->secrets, "ann", "ann-refresh"));
}

/* ---- versions ------------------------------------------------------------------------------ */

static void files_of_older_versions_are_brought_up(void **state)
{
    static const char *const undo[] = {
        "DROP TABLE ledger; DROP TABLE label; PRAGMA user_version=1",
        "DROP TABLE label; PRAGMA user_version=2",
    };
    struct stores *stores = *state;
    struct fsh_note_row rows[FSH_NOTES_KEPT];

    sign_in(stores->secrets, "ann", "ann-refresh", "");
    for (size_t i = 0; i < sizeof(undo) / sizeof(undo[0]); i++) {
        stores_close(stores);
        raw_once(stores->secrets_path, undo[i]);
        stores_open(stores);
        assert_true(hands_out(stores->secrets, "ann", "ann-refresh"));
        note(stores, "ann", i + 1, 1);
        put_label(stores, "ann", "a label");
        assert_int_equal(notes_of(stores, "ann", rows), i + 1);
        assert_int_equal(raw_number(stores->secrets_path, "PRAGMA user_version"), 3);
        assert_int_equal(raw_number(stores->secrets_path, "SELECT count(*) FROM label"), 1);
    }
}

static void a_file_of_a_newer_version_is_left_alone(void **state)
{
    struct stores *stores = *state;
    struct content content;

    sign_in(stores->secrets, "ann", "ann-refresh", "");
    raw_once(stores->secrets_path, "PRAGMA user_version=77");
    fails(stores->secrets, "ann", "newer version");
    stores_close(stores);
    content = read_file(stores->secrets_path);
    refused(stores, FRESHET_ESTORE, "newer version");
    assert_true(same_file(stores->secrets_path, &content));
    free(content.bytes);
    raw_once(stores->secrets_path, "PRAGMA user_version=3");
    stores_open(stores);
    assert_true(hands_out(stores->secrets, "ann", "ann-refresh"));
}

static void a_file_of_something_else_is_left_alone(void **state)
{
    struct stores *stores = *state;
    struct stores other = *stores;
    struct freshet_error error = {0};
    struct fsh_token_cache *cache = NULL;
    char text[] = "just some text, and more than a header of a database is long; it is nobody's "
                  "store at all, and stays what it is\n";
    struct content content = {text, sizeof(text) - 1};

    (void)snprintf(other.secrets_path, sizeof(other.secrets_path), "%s", stores->tokens_path);
    refused(&other, FRESHET_ECONFIG, "no file of Freshet's secrets");
    (void)snprintf(other.tokens_path, sizeof(other.tokens_path), "%s", stores->secrets_path);
    assert_int_equal(tokens_open(&other, &cache, &error), FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, "no file of Freshet's tokens"));
    (void)snprintf(other.secrets_path, sizeof(other.secrets_path), "%s/other.db", stores->folder);
    raw_once(other.secrets_path, "CREATE TABLE session(name)");
    assert_int_equal(chmod(other.secrets_path, 0600), 0);
    refused(&other, FRESHET_ECONFIG, "no file of Freshet's secrets");
    (void)snprintf(other.secrets_path, sizeof(other.secrets_path), "%s/text", stores->folder);
    write_file(other.secrets_path, &content);
    assert_int_equal(chmod(other.secrets_path, 0600), 0);
    refused(&other, FRESHET_ESTORE, "damaged");
    assert_true(same_file(other.secrets_path, &content));
}

/* ---- disks --------------------------------------------------------------------------------- */

static void a_damaged_file_is_told_and_left_and_then_mended(void **state)
{
    struct stores *stores = *state;
    struct content good;
    struct content bad;
    char name[16];
    struct fsh_store_op op = change("session-20", FSH_CHANGE_READ, 1, NULL);

    for (int i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof(name), "session-%d", i);
        sign_in(stores->secrets, name, "some-refresh-token", "");
    }
    stores_close(stores);
    good = read_file(stores->secrets_path);
    bad = read_file(stores->secrets_path);
    /* All but the first page, which tells what it is. */
    memset(bad.bytes + 4096, 0x5a, bad.len - 4096);
    write_file(stores->secrets_path, &bad);
    stores_open(stores);
    submit(stores->secrets, &op);
    assert_int_equal(op.status, FRESHET_ESTORE);
    assert_non_null(strstr(op.why, "damaged"));
    fails(stores->secrets, "session-20", "damaged");
    assert_true(same_file(stores->secrets_path, &bad));
    write_file(stores->secrets_path, &good);
    assert_true(hands_out(stores->secrets, "session-20", "some-refresh-token"));
    free(good.bytes);
    free(bad.bytes);
}

static void a_full_disk_is_told_and_loses_nothing(void **state)
{
    struct stores *stores = *state;
    struct rlimit before;
    struct rlimit full;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction handled;

    sign_in(stores->secrets, "ann", "ann-refresh", "");
    assert_int_equal(sigaction(SIGXFSZ, &ignore, &handled), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    fails(stores->secrets, "ann", "full");
    fails(stores->secrets, "bob", "full");
    assert_int_equal(look(stores->secrets, "ann").phase, FSH_PHASE_LIVE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(sigaction(SIGXFSZ, &handled, NULL), 0);
    assert_true(hands_out(stores->secrets, "ann", "ann-refresh"));
    works(stores->secrets, "bob");
    stores_close(stores);
    stores_open(stores);
    assert_true(hands_out(stores->secrets, "ann", "ann-refresh"));
}

/* Likewise what SQLite has made beside it, with the file's own mode. */
static void make_writable(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm"};
    char name[160];

    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        assert_true(chmod(name, 0600) == 0 || i > 0);
    }
}

/* Root may write anything, so it stands aside for somebody who may not. */
static void a_file_that_may_only_be_read_is_told(void **state)
{
    struct stores *stores = *state;
    bool root = geteuid() == 0;

    sign_in(stores->secrets, "ann", "ann-refresh", "");
    stores_close(stores);
    if (root) {
        assert_int_equal(chown(stores->secrets_path, 65534, 65534), 0);
        assert_int_equal(chown(stores->tokens_path, 65534, 65534), 0);
        assert_int_equal(chown(stores->folder, 65534, 65534), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    assert_int_equal(chmod(stores->secrets_path, 0400), 0);
    assert_int_equal(chmod(stores->folder, 0500), 0);
    refused(stores, FRESHET_ESTORE, "make it writable");
    assert_int_equal(chmod(stores->folder, 0700), 0);
    assert_int_equal(secrets_open(stores, &stores->secrets, NULL), FRESHET_OK);
    assert_int_equal(look(stores->secrets, "ann").phase, FSH_PHASE_LIVE);
    fails(stores->secrets, "ann", "make it writable");
    /* The same store goes on when it may. */
    make_writable(stores->secrets_path);
    assert_true(hands_out(stores->secrets, "ann", "ann-refresh"));
    stores->secrets->ops->close(stores->secrets);
    stores->secrets = NULL;
    if (root) {
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(chown(stores->secrets_path, 0, 0), 0);
        assert_int_equal(chown(stores->tokens_path, 0, 0), 0);
    }
    stores_open(stores);
}

static void a_locked_file_is_told_and_waited_for(void **state)
{
    struct stores *stores = *state;
    sqlite3 *other = raw_open(stores->secrets_path);

    sign_in(stores->secrets, "ann", "ann-refresh", "");
    raw(other, "BEGIN EXCLUSIVE");
    /* Reading goes on. */
    assert_int_equal(look(stores->secrets, "ann").phase, FSH_PHASE_LIVE);
    fails(stores->secrets, "ann", "locked");
    raw(other, "ROLLBACK");
    assert_true(hands_out(stores->secrets, "ann", "ann-refresh"));
    (void)sqlite3_close(other);
}

/* ---- many ---------------------------------------------------------------------------------- */

#define WRITERS 4

static void *open_new(void *data)
{
    struct fsh_secret_store *store = NULL;
    struct freshet_error error = {0};

    if (secrets_open(data, &store, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    works(store, "ann");
    store->ops->close(store);
    return NULL;
}

static void many_make_a_new_file_at_once(void **state)
{
    struct stores *stores = *state;
    struct stores fresh = *stores;
    pthread_t threads[WRITERS];

    for (int round = 0; round < 10; round++) {
        (void)snprintf(fresh.secrets_path, sizeof(fresh.secrets_path), "%s/new-%d.db",
                       stores->folder, round);
        for (int i = 0; i < WRITERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, open_new, &fresh), 0);
        for (int i = 0; i < WRITERS; i++)
            (void)pthread_join(threads[i], NULL);
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, sqlite_begin, sqlite_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_secret_lies_in_the_files),
        CASE(the_log_is_brought_in_and_gone_at_the_end),
        CASE(who_reads_for_long_holds_nobody_up),
        CASE(the_files_are_their_owners_alone_whatever_the_umask),
        CASE(a_file_that_others_may_open_is_refused),
        CASE(a_link_a_folder_and_anothers_file_are_refused),
        CASE(another_file_in_the_place_of_the_store_is_not_written_to),
        CASE(files_of_older_versions_are_brought_up),
        CASE(a_file_of_a_newer_version_is_left_alone),
        CASE(a_file_of_something_else_is_left_alone),
        CASE(a_damaged_file_is_told_and_left_and_then_mended),
        CASE(a_full_disk_is_told_and_loses_nothing),
        CASE(a_file_that_may_only_be_read_is_told),
        CASE(a_locked_file_is_told_and_waited_for),
        CASE(many_make_a_new_file_at_once),
    };

    return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}
