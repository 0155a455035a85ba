/* SPDX-License-Identifier: Apache-2.0 */

/* What the stores in SQLite files keep of sessions: records, secrets, labels and the ledger. The
 * files are tested in test_sqlite.c, what all stores share in test_stores.c. */

#include "sqlite_stores.h"

#include <freshet/status.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

/* ---- the ledger ---------------------------------------------------------------------------- */

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

#define CASE(test) cmocka_unit_test_setup_teardown(test, sqlite_begin, sqlite_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_kept_is_there_after_a_restart),
        CASE(the_last_entries_of_a_session_are_kept),
        CASE(the_same_again_is_one_entry),
        CASE(an_entry_is_written_though_nothing_else_is),
        CASE(entries_that_cannot_be_written_are_bounded_and_wait),
        CASE(a_label_that_does_not_open_is_told),
        CASE(nothing_stays_of_what_is_removed),
        CASE(secrets_that_do_not_open_are_unavailable_but_can_be_signed_out),
        CASE(who_lost_the_key_signs_in_again),
        CASE(another_key_is_told_and_loses_nothing),
        CASE(a_record_that_cannot_be_read_stays),
        CASE(many_handles_of_one_file_commit_each_generation_once),
        CASE(the_sessions_can_be_listed_without_a_key),
    };

    return cmocka_run_group_tests_name("sqlite_sessions", tests, NULL, NULL);
}
