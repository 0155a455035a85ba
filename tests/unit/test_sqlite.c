/* SPDX-License-Identifier: Apache-2.0 */

/* The stores in SQLite files: what they survive, what they refuse, and what they say when a disk or
 * a person is in their way. What they share with other stores is in test_stores.c. */

#include "store/sqlite/database.h"
#include "stores.h"

#include <fcntl.h>
#include <freshet/status.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int setup(void **state)
{
    static struct stores stores;

    stores_begin(&stores, "sqlite:");
    *state = &stores;
    return 0;
}

static int teardown(void **state)
{
    stores_end(*state);
    return 0;
}

/* ---- beside the store ---------------------------------------------------------------------- */

static sqlite3 *raw_open(const char *path)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 5000);
    return db;
}

static void raw(sqlite3 *db, const char *sql)
{
    char *why = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

static void raw_once(const char *path, const char *sql)
{
    sqlite3 *db = raw_open(path);

    raw(db, sql);
    (void)sqlite3_close(db);
}

static int raw_number(const char *path, const char *sql)
{
    sqlite3 *db = raw_open(path);
    sqlite3_stmt *statement = NULL;
    int number;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    number = sqlite3_column_int(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return number;
}

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

static void refused(const struct stores *stores, int status, const char *word)
{
    struct freshet_error error = {0};
    struct fsh_secret_store *store = NULL;

    assert_int_equal(secrets_open(stores, &store, &error), status);
    assert_null(store);
    if (!strstr(error.message, word))
        fail_msg("no \"%s\" in: %s", word, error.message);
}

static void fails(struct fsh_secret_store *store, const char *session, const char *word)
{
    struct fsh_store_op op = change(session, FSH_CHANGE_SIGN_OUT, 1, NULL);

    submit(store, &op);
    assert_int_equal(op.status, FRESHET_ESTORE);
    if (!strstr(op.why, word))
        fail_msg("no \"%s\" in: %s", word, op.why);
}

static void works(struct fsh_secret_store *store, const char *session)
{
    struct fsh_store_op op = change(session, FSH_CHANGE_SIGN_OUT, 1, NULL);

    submit(store, &op);
    if (op.status != FRESHET_OK)
        fail_msg("%s", op.why);
    assert_string_equal(op.why, "");
}

/* ---- what lasts ---------------------------------------------------------------------------- */

static void what_was_kept_is_there_after_a_restart(void **state)
{
    struct stores *stores = *state;
    struct fsh_record record;

    sign_in(stores->secrets, "ann", "ann-refresh", "device");
    put(stores->tokens, "ann", 1);
    record = look(stores->secrets, "ann");
    stores_close(stores);
    stores_open(stores);
    assert_int_equal(look(stores->secrets, "ann").incarnation, record.incarnation);
    assert_int_equal(look(stores->secrets, "ann").phase, FSH_PHASE_LIVE);
    assert_true(hands_out(stores->secrets, "ann", "ann-refresh"));
    assert_int_equal(get(stores->tokens, "ann"), 1);
}

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

/* ---- the ledger ---------------------------------------------------------------------------- */

static void note(const struct stores *stores, const char *session, uint64_t number, uint64_t times)
{
    struct fsh_note_row row = {
        .writer = UINT64_MAX - 4,
        .number = number,
        .at_ms = 1000,
        .name = "refreshed",
        .status = -3,
        .value = -7,
        .times = times,
    };

    stores->secrets->ops->note(stores->secrets, session, &row);
}

static size_t notes_of(const struct stores *stores, const char *session,
                       struct fsh_note_row rows[FSH_NOTES_KEPT])
{
    size_t count = 99;

    assert_int_equal(
        stores->secrets->ops->read_notes(stores->secrets, session, rows, FSH_NOTES_KEPT, &count),
        FRESHET_OK);
    return count;
}

static void the_last_entries_of_a_session_are_kept(void **state)
{
    struct stores *stores = *state;
    struct fsh_note_row rows[FSH_NOTES_KEPT];

    for (uint64_t i = 1; i <= 100; i++)
        note(stores, "ann", i, 1);
    note(stores, "bob", 101, 1);
    stores_close(stores);
    stores_open(stores);
    assert_int_equal(notes_of(stores, "ann", rows), FSH_NOTES_KEPT);
    for (size_t i = 0; i < FSH_NOTES_KEPT; i++)
        assert_int_equal(rows[i].number, 37 + i);
    assert_int_equal(notes_of(stores, "bob", rows), 1);
    assert_true(rows[0].writer == UINT64_MAX - 4);
    assert_int_equal(rows[0].at_ms, 1000);
    assert_string_equal(rows[0].name, "refreshed");
    assert_int_equal(rows[0].status, -3);
    assert_int_equal(rows[0].value, -7);
    assert_int_equal(rows[0].times, 1);
    assert_int_equal(notes_of(stores, "nobody", rows), 0);
}

static void the_same_again_is_one_entry(void **state)
{
    struct stores *stores = *state;
    struct fsh_note_row rows[FSH_NOTES_KEPT];

    note(stores, "ann", 1, 1);
    note(stores, "ann", 1, 2);
    works(stores->secrets, "ann"); /* takes them along */
    note(stores, "ann", 1, 3);
    note(stores, "ann", 1, 4);
    works(stores->secrets, "ann");
    assert_int_equal(notes_of(stores, "ann", rows), 1);
    assert_int_equal(rows[0].times, 4);
}

static void an_entry_is_written_though_nothing_else_is(void **state)
{
    struct stores *stores = *state;
    struct fsh_note_row rows[FSH_NOTES_KEPT];
    const struct timespec pause = {0, 10000000};
    int tries = 0;

    note(stores, "ann", 1, 1);
    while (notes_of(stores, "ann", rows) == 0 && tries++ < 1000)
        (void)nanosleep(&pause, NULL);
    assert_int_equal(notes_of(stores, "ann", rows), 1);
}

static void entries_that_cannot_be_written_are_bounded_and_wait(void **state)
{
    struct stores *stores = *state;
    struct fsh_note_row rows[FSH_NOTES_KEPT];
    char away[128];

    (void)snprintf(away, sizeof(away), "%s.away", stores->secrets_path);
    assert_int_equal(rename(stores->secrets_path, away), 0);
    for (uint64_t i = 1; i <= 3000; i++)
        note(stores, "ann", i, 1);
    fails(stores->secrets, "ann", "not there");
    assert_int_equal(rename(away, stores->secrets_path), 0);
    works(stores->secrets, "ann");
    assert_int_equal(notes_of(stores, "ann", rows), FSH_NOTES_KEPT);
    assert_int_equal(rows[FSH_NOTES_KEPT - 1].number, 3000);
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

static void put_label(struct stores *stores, const char *session, const char *label)
{
    struct fsh_store_op op = change(session, FSH_CHANGE_LABEL, 1, NULL);

    op.label = label;
    op.label_len = strlen(label);
    submit(stores->secrets, &op);
    if (op.status != FRESHET_OK)
        fail_msg("%s", op.why);
    assert_int_equal(op.verdict, FSH_VERDICT_DONE);
}

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

/* ---- labels -------------------------------------------------------------------------------- */

static int unopened(void *data, const struct fsh_stored *session)
{
    assert_null(session->label);
    assert_int_equal(session->label_len, 0);
    assert_non_null(session->unopened);
    assert_int_equal(session->record->phase, FSH_PHASE_LIVE);
    ++*(int *)data;
    return FRESHET_OK;
}

/* It says why, and the session is there all the same. */
static void a_label_that_does_not_open_is_told(void **state)
{
    static const char *const harm[] = {
        "UPDATE label SET sealed=x'01'",
        "UPDATE label SET sealed=(SELECT sealed FROM session)",
        "UPDATE label SET sealed=x'02'||substr(sealed, 2)",
    };
    struct stores *stores = *state;
    int count = 0;

    sign_in(stores->secrets, "ann", "ann-refresh", "");
    for (size_t i = 0; i < sizeof(harm) / sizeof(harm[0]); i++) {
        put_label(stores, "ann", "a label");
        raw_once(stores->secrets_path, harm[i]);
        assert_int_equal(stores->secrets->ops->list(stores->secrets, "", unopened, &count, NULL),
                         FRESHET_OK);
    }
    assert_int_equal(count, 3);
}

/* Not even what waits to be written. */
static void nothing_stays_of_what_is_removed(void **state)
{
    static const char *const tables[] = {"session", "label", "ledger"};
    struct stores *stores = *state;
    struct fsh_store_op op = change("ann", FSH_CHANGE_SIGN_OUT, 1, NULL);
    char sql[64];

    sign_in(stores->secrets, "ann", "ann-refresh", "");
    put_label(stores, "ann", "a label");
    note(stores, "ann", 1, 1);
    submit(stores->secrets, &op);
    assert_int_equal(raw_number(stores->secrets_path, "SELECT count(*) FROM ledger"), 1);
    note(stores, "ann", 2, 1);
    op = change("ann", FSH_CHANGE_REMOVE, 1, NULL);
    submit(stores->secrets, &op);
    assert_int_equal(op.status, FRESHET_OK);
    assert_int_equal(op.verdict, FSH_VERDICT_DONE);
    stores_close(stores);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", tables[i]);
        assert_int_equal(raw_number(stores->secrets_path, sql), 0);
    }
    stores_open(stores);
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

/* ---- sealing ------------------------------------------------------------------------------- */

static void secrets_that_do_not_open_are_unavailable_but_can_be_signed_out(void **state)
{
    static const struct {
        const char *what;
        const char *sql;
    } rows[] = {
        {"its end was changed",
         "UPDATE session SET sealed = CAST(substr(sealed, 1, length(sealed) - 8) || "
         "x'0000000000000000' AS BLOB) WHERE name='ann'"},
        {"of another session", "UPDATE session SET sealed = (SELECT sealed FROM session WHERE "
                               "name='bob') WHERE name='ann'"},
        {"of another version",
         "UPDATE session SET sealed = CAST(x'63' || substr(sealed, 2) AS BLOB) "
         "WHERE name='ann'"},
        {"cut short", "UPDATE session SET sealed = substr(sealed, 1, 5) WHERE name='ann'"},
        {"nothing", "UPDATE session SET sealed = x'' WHERE name='ann'"},
    };
    struct stores *stores = *state;
    struct fsh_kept kept = {0};
    char why[FSH_WHY_MAX];

    sign_in(stores->secrets, "bob", "bob-refresh", "");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fsh_record record;
        struct fsh_store_op end;

        sign_in(stores->secrets, "ann", "ann-refresh", "device");
        raw_once(stores->secrets_path, rows[i].sql);
        assert_int_equal(lease(stores->secrets, "ann", FSH_PURPOSE_REFRESH, &kept, why),
                         FRESHET_ESTORE);
        assert_true(strlen(why) > 20);
        assert_true(fsh_base_secret_empty(&kept.refresh_token));
        record = look(stores->secrets, "ann");
        end = change("ann", FSH_CHANGE_END, 1, &record);
        submit(stores->secrets, &end);
        assert_int_equal(end.status, FRESHET_ESTORE);
        assert_int_equal(look(stores->secrets, "ann").phase, FSH_PHASE_LIVE);
        works(stores->secrets, "ann"); /* a sign-out */
        assert_int_equal(look(stores->secrets, "ann").phase, FSH_PHASE_SIGNED_OUT);
        assert_true(hands_out(stores->secrets, "bob", "bob-refresh"));
    }
}

static void who_lost_the_key_signs_in_again(void **state)
{
    struct stores *stores = *state;

    sign_in(stores->secrets, "ann", "ann-refresh", "");
    raw_once(stores->secrets_path, "UPDATE session SET sealed = x'01'");
    assert_int_equal(lease(stores->secrets, "ann", FSH_PURPOSE_REFRESH, NULL, NULL),
                     FRESHET_ESTORE);
    sign_in(stores->secrets, "ann", "new-refresh", "");
    assert_true(hands_out(stores->secrets, "ann", "new-refresh"));
}

static void another_key_is_told_and_loses_nothing(void **state)
{
    static const unsigned char other_key[32] = {1};
    struct stores *stores = *state;
    struct stores other = *stores;
    struct fsh_secret_store *store = NULL;
    struct fsh_token_cache *cache = NULL;
    char why[FSH_WHY_MAX];

    sign_in(stores->secrets, "ann", "ann-refresh", "");
    put(stores->tokens, "ann", 1);
    assert_int_equal(fsh_keyring_fixed(other_key, &other.keyring), FRESHET_OK);
    assert_int_equal(secrets_open(&other, &store, NULL), FRESHET_OK);
    assert_int_equal(tokens_open(&other, &cache, NULL), FRESHET_OK);
    assert_int_equal(lease(store, "ann", FSH_PURPOSE_REFRESH, NULL, why), FRESHET_ESTORE);
    assert_non_null(strstr(why, "key"));
    assert_int_equal(get(cache, "ann"), 0);
    store->ops->close(store);
    cache->ops->close(cache);
    fsh_keyring_unref(other.keyring);
    assert_true(hands_out(stores->secrets, "ann", "ann-refresh"));
    assert_int_equal(get(stores->tokens, "ann"), 1);
}

static void a_record_that_cannot_be_read_stays(void **state)
{
    struct stores *stores = *state;

    sign_in(stores->secrets, "ann", "ann-refresh", "");
    raw_once(stores->secrets_path,
             "UPDATE session SET record = CAST(x'63' || substr(record, 2) AS BLOB)");
    fails(stores->secrets, "ann", "record cannot be read");
    works(stores->secrets, "bob");
    raw_once(stores->secrets_path,
             "UPDATE session SET record = CAST(x'01' || substr(record, 2) AS BLOB) WHERE "
             "name='ann'");
    assert_true(hands_out(stores->secrets, "ann", "ann-refresh"));
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
#define ROUNDS  25

static void *rotate(void *data)
{
    struct fsh_secret_store *store = NULL;
    unsigned *won = calloc(1, sizeof(*won));

    assert_non_null(won);
    assert_int_equal(secrets_open(data, &store, NULL), FRESHET_OK);
    for (int i = 0; i < ROUNDS; i++) {
        struct fsh_record record = look(store, "ann");
        struct fsh_store_op take = change("ann", FSH_CHANGE_LEASE, 1, &record);
        struct fsh_store_op op = change("ann", FSH_CHANGE_COMMIT, 1, &record);

        take.change.purpose = op.change.purpose = FSH_PURPOSE_REFRESH;
        submit(store, &take);
        assert_int_equal(take.status, FRESHET_OK);
        fsh_store_kept_done(&take.kept);
        op.change.refreshable = true;
        op.change.reserved = take.record.reserved;
        op.kept.refresh_token = secret("next");
        submit(store, &op);
        assert_int_equal(op.status, FRESHET_OK);
        *won += op.verdict == FSH_VERDICT_DONE;
        fsh_store_kept_done(&op.kept);
    }
    store->ops->close(store);
    return won;
}

static void many_handles_of_one_file_commit_each_generation_once(void **state)
{
    struct stores *stores = *state;
    pthread_t threads[WRITERS];
    uint64_t won = 0;

    sign_in(stores->secrets, "ann", "first", "");
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, rotate, stores), 0);
    for (int i = 0; i < WRITERS; i++) {
        void *count = NULL;

        (void)pthread_join(threads[i], &count);
        won += *(unsigned *)count;
        free(count);
    }
    /* Somebody wins each time, and whoever wins moves it on by one of those that were reserved. */
    assert_in_range(won, ROUNDS, WRITERS * ROUNDS);
    assert_in_range(look(stores->secrets, "ann").generation, 1 + won, 1 + WRITERS * ROUNDS);
    assert_true(hands_out(stores->secrets, "ann", "next"));
}

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

static int count_session(void *data, const char *name, const struct fsh_record *record)
{
    int *count = data;

    assert_string_equal(name, *count == 0 ? "ann" : "bob");
    assert_int_equal(record->phase, *count == 0 ? FSH_PHASE_LIVE : FSH_PHASE_SIGNED_OUT);
    ++*count;
    return FRESHET_OK;
}

static void the_sessions_can_be_listed_without_a_key(void **state)
{
    struct stores *stores = *state;
    char where[128];
    int count = 0;

    works(stores->secrets, "bob");
    sign_in(stores->secrets, "ann", "ann-refresh", "");
    (void)snprintf(where, sizeof(where), "sqlite:%s", stores->secrets_path);
    assert_int_equal(fsh_store_sessions(where, count_session, &count, NULL), FRESHET_OK);
    assert_int_equal(count, 2);
    count = 0;
    (void)snprintf(where, sizeof(where), "sqlite:%s/none", stores->folder);
    assert_int_equal(fsh_store_sessions(where, count_session, &count, NULL), FRESHET_OK);
    assert_int_equal(count, 0);
    assert_int_equal(access(where + strlen("sqlite:"), F_OK), -1);
    assert_int_equal(fsh_store_sessions("paper:", count_session, &count, NULL), FRESHET_ECONFIG);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_kept_is_there_after_a_restart),
        CASE(nothing_secret_lies_in_the_files),
        CASE(the_log_is_brought_in_and_gone_at_the_end),
        CASE(who_reads_for_long_holds_nobody_up),
        CASE(the_last_entries_of_a_session_are_kept),
        CASE(the_same_again_is_one_entry),
        CASE(an_entry_is_written_though_nothing_else_is),
        CASE(entries_that_cannot_be_written_are_bounded_and_wait),
        CASE(the_files_are_their_owners_alone_whatever_the_umask),
        CASE(a_file_that_others_may_open_is_refused),
        CASE(a_link_a_folder_and_anothers_file_are_refused),
        CASE(another_file_in_the_place_of_the_store_is_not_written_to),
        CASE(files_of_older_versions_are_brought_up),
        CASE(a_file_of_a_newer_version_is_left_alone),
        CASE(a_label_that_does_not_open_is_told),
        CASE(nothing_stays_of_what_is_removed),
        CASE(a_file_of_something_else_is_left_alone),
        CASE(secrets_that_do_not_open_are_unavailable_but_can_be_signed_out),
        CASE(who_lost_the_key_signs_in_again),
        CASE(another_key_is_told_and_loses_nothing),
        CASE(a_record_that_cannot_be_read_stays),
        CASE(a_damaged_file_is_told_and_left_and_then_mended),
        CASE(a_full_disk_is_told_and_loses_nothing),
        CASE(a_file_that_may_only_be_read_is_told),
        CASE(a_locked_file_is_told_and_waited_for),
        CASE(many_handles_of_one_file_commit_each_generation_once),
        CASE(many_make_a_new_file_at_once),
        CASE(the_sessions_can_be_listed_without_a_key),
    };

    return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}
