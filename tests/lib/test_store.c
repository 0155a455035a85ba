/* SPDX-License-Identifier: Apache-2.0 */

/* Sessions in database files: they outlive the handle, two handles share them, and a disk that does
 * not answer holds up nobody who does not need it. */

#include "calls.h"
#include "lib.h"

#include <freshet/admin.h>
#include <freshet/async.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct stored {
    struct world world;
    char secrets[128]; /* "sqlite:" and the path */
    char tokens[128];
    char keys[128];
    struct freshet_options options;
};

static struct freshet *open_handle(const struct stored *stored)
{
    struct freshet *freshet = NULL;
    struct freshet_error error = {0};

    if (freshet_open(&stored->options, &freshet, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    return freshet;
}

static int setup(void **state)
{
    static struct stored stored;
    struct freshet_error error = {0};
    const char *folder;

    memset(&stored, 0, sizeof(stored));
    devserver_start(&stored.world.server, "http", NULL);
    folder = stored.world.server.folder;
    (void)snprintf(stored.secrets, sizeof(stored.secrets), "sqlite:%s/secrets.db", folder);
    (void)snprintf(stored.tokens, sizeof(stored.tokens), "sqlite:%s/tokens.db", folder);
    (void)snprintf(stored.keys, sizeof(stored.keys), "%s/keys", folder);
    if (freshet_key_new(stored.keys, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    stored.options = (struct freshet_options)FRESHET_OPTIONS_INIT;
    stored.options.url = stored.world.server.dev.url;
    stored.options.secrets = stored.secrets;
    stored.options.tokens = stored.tokens;
    stored.options.key_file = stored.keys;
    stored.world.freshet = open_handle(&stored);
    *state = &stored;
    return 0;
}

static int teardown(void **state)
{
    struct stored *stored = *state;

    freshet_close(stored->world.freshet);
    (void)unlink(stored->secrets + strlen("sqlite:"));
    (void)unlink(stored->tokens + strlen("sqlite:"));
    (void)unlink(stored->keys);
    devserver_stop(&stored->world.server);
    return 0;
}

static void restart(struct stored *stored)
{
    freshet_close(stored->world.freshet);
    stored->world.freshet = open_handle(stored);
}

static struct freshet_session *open_keyed(struct freshet *freshet, const char *name,
                                          const unsigned char *session_key)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session *session = NULL;

    options.on_demand = true;
    options.session_key = session_key;
    assert_int_equal(freshet_session_open(freshet, name, &options, &session, NULL), FRESHET_OK);
    return session;
}

static struct freshet_session *open_named(struct freshet *freshet, const char *name)
{
    return open_keyed(freshet, name, NULL);
}

static uint64_t generation_of(struct freshet_session *session)
{
    struct freshet_freshness freshness = {0};
    struct freshet_error error = {0};

    if (freshet_ensure_fresh(session, NULL, &freshness, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    return freshness.generation;
}

/* ---- restarts ------------------------------------------------------------------------------ */

static void a_session_outlives_its_handle(void **state)
{
    struct stored *stored = *state;
    struct freshet_session *session = open_signed_in(&stored->world, "svc-demo");
    char url[256];

    assert_int_equal(generation_of(session), 1);
    restart(stored);
    session = open_named(stored->world.freshet, "svc-demo");
    assert_int_equal(generation_of(session), 1);
    assert_int_equal(get(session, url_of(&stored->world, "/api/x", url), NULL, NULL), 200);
    assert_int_equal(devserver_counter(&stored->world.server, "sign_ins"), 1);
    assert_int_equal(devserver_counter(&stored->world.server, "refresh_attempts"), 0);
}

static void without_its_token_it_is_refreshed(void **state)
{
    struct stored *stored = *state;

    (void)open_signed_in(&stored->world, "svc-demo");
    freshet_close(stored->world.freshet);
    assert_int_equal(unlink(stored->tokens + strlen("sqlite:")), 0);
    stored->world.freshet = open_handle(stored);
    assert_int_equal(generation_of(open_named(stored->world.freshet, "svc-demo")), 2);
    assert_int_equal(devserver_counter(&stored->world.server, "sign_ins"), 1);
}

static void a_session_that_was_signed_out_stays_so(void **state)
{
    struct stored *stored = *state;
    struct freshet_session *session = open_signed_in(&stored->world, "svc-demo");

    assert_int_equal(freshet_sign_out(session, true, NULL), FRESHET_OK);
    restart(stored);
    session = open_named(stored->world.freshet, "svc-demo");
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, NULL), FRESHET_EHELD);
}

/* ---- sealed for their owner ---------------------------------------------------------------- */

static const unsigned char one_key[32] = {1, 2, 3};
static const unsigned char other_key[32] = {1, 2, 4};

static void sign_in_keyed(const struct stored *stored, const char *name)
{
    struct freshet_session *session = open_keyed(stored->world.freshet, name, one_key);
    struct freshet_error error = {0};

    if (freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    assert_int_equal(generation_of(session), 1);
}

static void a_session_key_comes_with_its_owner(void **state)
{
    struct stored *stored = *state;

    sign_in_keyed(stored, "browser/one");
    restart(stored);
    /* From the token cache; then by a refresh. */
    assert_int_equal(generation_of(open_keyed(stored->world.freshet, "browser/one", one_key)), 1);
    assert_int_equal(devserver_counter(&stored->world.server, "refresh_attempts"), 0);
    freshet_close(stored->world.freshet);
    assert_int_equal(unlink(stored->tokens + strlen("sqlite:")), 0);
    stored->world.freshet = open_handle(stored);
    assert_int_equal(generation_of(open_keyed(stored->world.freshet, "browser/one", one_key)), 2);
    assert_int_equal(devserver_counter(&stored->world.server, "sign_ins"), 1);
}

/* Who has not the key has no token, and harms nothing. */
static void without_its_key_a_session_is_unavailable(void **state)
{
    static const unsigned char *const wrong[] = {NULL, other_key};
    const struct freshet_demand demand = {.timeout_ms = 500};
    struct stored *stored = *state;
    struct freshet_session_status status;
    struct freshet_session *session;
    struct freshet_error error = {0};

    sign_in_keyed(stored, "browser/one");
    for (size_t i = 0; i < 2; i++) {
        restart(stored);
        session = open_keyed(stored->world.freshet, "browser/one", wrong[i]);
        assert_int_equal(freshet_ensure_fresh(session, &demand, NULL, &error), FRESHET_ESTORE);
        assert_non_null(strstr(error.message, i == 0 ? "owner" : "does not open"));
        assert_int_equal(freshet_session_status(session, &status, NULL), FRESHET_OK);
        assert_int_equal(status.phase, FRESHET_PHASE_LIVE);
        assert_false(status.usable);
    }
    assert_int_equal(devserver_counter(&stored->world.server, "refresh_attempts"), 0);
    restart(stored);
    session = open_keyed(stored->world.freshet, "browser/one", one_key);
    assert_int_equal(generation_of(session), 1);
}

static void to_sign_out_needs_no_key(void **state)
{
    struct stored *stored = *state;
    struct freshet_session *session;

    sign_in_keyed(stored, "browser/one");
    restart(stored);
    session = open_named(stored->world.freshet, "browser/one");
    assert_int_equal(freshet_sign_out(session, false, NULL), FRESHET_OK);
    restart(stored);
    session = open_keyed(stored->world.freshet, "browser/one", one_key);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, NULL), FRESHET_ESIGNEDOUT);
}

static void keys_of_the_host_rotate_without_the_owners(void **state)
{
    struct stored *stored = *state;
    struct freshet_error error = {0};
    size_t dropped = 0;

    sign_in_keyed(stored, "browser/one");
    freshet_close(stored->world.freshet);
    stored->world.freshet = NULL;
    if (freshet_key_rotate(&stored->options, NULL, NULL, &error) != FRESHET_OK ||
        freshet_key_prune(&stored->options, &dropped, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    assert_int_equal(dropped, 1);
    stored->world.freshet = open_handle(stored);
    assert_int_equal(generation_of(open_keyed(stored->world.freshet, "browser/one", one_key)), 1);
    assert_int_equal(devserver_counter(&stored->world.server, "refresh_attempts"), 0);
}

/* A program that was built before there were session keys says so by its size. */
static void options_of_an_older_program_have_no_key(void **state)
{
    struct stored *stored = *state;
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session *session = NULL;

    options.on_demand = true;
    options.session_key = one_key; /* beyond its end */
    options.size = offsetof(struct freshet_session_options, session_key);
    assert_int_equal(
        freshet_session_open(stored->world.freshet, "svc-demo", &options, &session, NULL),
        FRESHET_OK);
    assert_int_equal(freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, NULL), FRESHET_OK);
    restart(stored);
    assert_int_equal(generation_of(open_named(stored->world.freshet, "svc-demo")), 1);
}

/* ---- what is told -------------------------------------------------------------------------- */

static size_t find(const struct freshet_ledger_entry *entries, size_t count, const char *name)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += strcmp(entries[i].name, name) == 0;
    return found;
}

static void the_ledger_tells_of_earlier_processes(void **state)
{
    struct stored *stored = *state;
    struct freshet_ledger_entry entries[64];
    struct freshet_session *session = open_signed_in(&stored->world, "svc-demo");
    size_t count = 0;

    restart(stored);
    session = open_named(stored->world.freshet, "svc-demo");
    assert_int_equal(generation_of(session), 1);
    assert_int_equal(freshet_explain(session, entries, 64, &count), FRESHET_OK);
    assert_int_equal(find(entries, count, "signed_in"), 1);
    assert_int_equal(find(entries, count, "opened"), 1);
    assert_int_equal(find(entries, count, "adopted"), 1);
    for (size_t i = 1; i < count; i++)
        assert_true(entries[i - 1].at_ms <= entries[i].at_ms);
    /* The latest, when there is no room for all. */
    assert_int_equal(freshet_explain(session, entries, 1, &count), FRESHET_OK);
    assert_int_equal(count, 1);
    assert_string_equal(entries[0].name, "adopted");
    /* What this handle writes is not told twice. */
    assert_int_equal(freshet_sign_out(session, false, NULL), FRESHET_OK);
    assert_int_equal(freshet_explain(session, entries, 64, &count), FRESHET_OK);
    assert_int_equal(find(entries, count, "signed_out"), 1);
}

/* There may be a million of them. */
static void routine_refreshes_of_keyed_sessions_are_not_kept(void **state)
{
    struct stored *stored = *state;
    struct freshet_ledger_entry entries[64];
    struct freshet_session *session;
    size_t count = 0;

    devserver_control(&stored->world.server, "PUT", "/_dev/lifetime", "{\"seconds\": 1.3}");
    sign_in_keyed(stored, "browser/one");
    restart(stored);
    session = open_keyed(stored->world.freshet, "browser/one", one_key);
    until_unusable(session);
    devserver_control(&stored->world.server, "PUT", "/_dev/lifetime", "{\"seconds\": 3600}");
    assert_int_equal(generation_of(session), 2);
    assert_int_equal(freshet_explain(session, entries, 64, &count), FRESHET_OK);
    assert_int_equal(find(entries, count, "refreshed"), 1);
    restart(stored);
    session = open_keyed(stored->world.freshet, "browser/one", one_key);
    assert_int_equal(generation_of(session), 2);
    assert_int_equal(freshet_sign_out(session, false, NULL), FRESHET_OK);
    restart(stored);
    session = open_keyed(stored->world.freshet, "browser/one", one_key);
    assert_int_equal(freshet_explain(session, entries, 64, &count), FRESHET_OK);
    assert_int_equal(find(entries, count, "signed_in"), 1);
    assert_int_equal(find(entries, count, "refreshed"), 0);
    assert_int_equal(find(entries, count, "signed_out"), 1);
}

static void an_entry_of_another_version_is_told_as_such(void **state)
{
    struct stored *stored = *state;
    struct freshet_ledger_entry entries[64];
    struct freshet_session *session = open_named(stored->world.freshet, "ann");
    size_t count = 0;
    sqlite3 *other = NULL;

    assert_int_equal(sqlite3_open(stored->secrets + strlen("sqlite:"), &other), SQLITE_OK);
    (void)sqlite3_busy_timeout(other, 5000);
    assert_int_equal(sqlite3_exec(other,
                                  "INSERT INTO ledger(session, number, writer, entry, at, name, "
                                  "status, value, times) VALUES('ann', 1, 1, 1, 5, 'yodelled', "
                                  "-9999, 3, 2)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    (void)sqlite3_close(other);
    assert_int_equal(freshet_explain(session, entries, 64, &count), FRESHET_OK);
    assert_true(count >= 1);
    assert_string_equal(entries[0].name, "unknown");
    assert_int_equal(entries[0].at_ms, 5);
    assert_int_equal(entries[0].number, 0);
    assert_int_equal(entries[0].status, -9999);
    assert_int_equal(entries[0].value, 3);
    assert_int_equal(entries[0].times, 2);
}

static void the_sessions_of_a_store_are_listed(void **state)
{
    struct stored *stored = *state;
    struct freshet_stored_session *list = NULL;
    size_t count = 0;

    assert_int_equal(freshet_sessions_list(&stored->options, &list, &count, NULL), FRESHET_OK);
    assert_int_equal(count, 0);
    assert_null(list);
    (void)open_signed_in(&stored->world, "svc-demo");
    assert_int_equal(freshet_sessions_list(&stored->options, &list, &count, NULL), FRESHET_OK);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].name, "svc-demo");
    assert_int_equal(list[0].phase, FRESHET_PHASE_LIVE);
    assert_int_equal(list[0].generation, 1);
    assert_int_equal(list[0].reason, FRESHET_OK);
    assert_int_equal(list[0].parked, FRESHET_OK);
    free(list);
}

/* ---- two handles, slow disks --------------------------------------------------------------- */

static void two_handles_of_one_file_refresh_once(void **state)
{
    struct stored *stored = *state;
    struct calls calls = {.world = &stored->world};
    struct freshet *second = open_handle(stored);
    struct freshet_session *ours = open_used_up(&stored->world, "svc-demo");
    struct freshet_session *theirs = open_named(second, "svc-demo");
    struct end first = {0};
    struct end other = {0};

    delay_refreshes(&stored->world, 200);
    assert_int_equal(freshet_queue_new(&calls.queue, NULL), FRESHET_OK);
    (void)ask(&calls, ours, &first);
    (void)ask(&calls, theirs, &other);
    assert_int_equal(until_ended(&calls, &first), FRESHET_OK);
    assert_int_equal(until_ended(&calls, &other), FRESHET_OK);
    assert_int_equal(first.freshness.generation, 2);
    assert_int_equal(other.freshness.generation, 2);
    assert_int_equal(devserver_counter(&stored->world.server, "refresh_attempts"), 1);
    freshet_queue_free(calls.queue);
    freshet_close(second);
}

static sqlite3 *stall(const struct stored *stored)
{
    sqlite3 *disk = NULL;

    assert_int_equal(sqlite3_open(stored->secrets + strlen("sqlite:"), &disk), SQLITE_OK);
    (void)sqlite3_busy_timeout(disk, 5000);
    assert_int_equal(sqlite3_exec(disk, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    return disk;
}

/* While nothing can be written, one session waits for its lease, and the others do what they do. */
static void a_stalled_disk_holds_up_nobody_else(void **state)
{
    struct stored *stored = *state;
    struct calls calls = {.world = &stored->world};
    struct freshet_session *waits = open_used_up(&stored->world, "svc-demo");
    struct freshet_session *other = open_named(stored->world.freshet, "other");
    struct freshet_session_status status;
    struct end end = {0};
    char url[256];
    sqlite3 *disk;

    assert_int_equal(freshet_sign_in(other, "svc-two", DEV_PASSWORD, 0, NULL), FRESHET_OK);
    assert_int_equal(freshet_queue_new(&calls.queue, NULL), FRESHET_OK);
    disk = stall(stored);
    (void)ask(&calls, waits, &end);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(generation_of(other), 1);
        assert_int_equal(freshet_session_status(other, &status, NULL), FRESHET_OK);
        assert_true(status.usable);
    }
    assert_int_equal(freshet_partner_set(other, "fd1"), FRESHET_OK);
    (void)get(other, url_of(&stored->world, "/api/x", url), NULL, NULL);
    (void)freshet_queue_dispatch(calls.queue);
    assert_int_equal(end.times, 0);
    assert_int_equal(devserver_counter(&stored->world.server, "refresh_attempts"), 0);
    assert_int_equal(sqlite3_exec(disk, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(disk);
    assert_int_equal(until_ended(&calls, &end), FRESHET_OK);
    assert_int_equal(end.freshness.generation, 2);
    freshet_queue_free(calls.queue);
}

/* ---- options ------------------------------------------------------------------------------- */

static void a_store_on_a_disk_needs_its_keys(void **state)
{
    static const struct {
        const char *secrets;
        const char *tokens;
        const char *key_file;
        int status;
        const char *word;
    } rows[] = {
        {"sqlite:/nonexistent/s", NULL, NULL, FRESHET_ECONFIG, "freshet key new"},
        {NULL, "sqlite:/nonexistent/t", NULL, FRESHET_ECONFIG, "freshet key new"},
        {"sqlite:/nonexistent/s", NULL, "/nonexistent/k", FRESHET_ECONFIG, "/nonexistent/k"},
        {"sqlite:", NULL, NULL, FRESHET_ECONFIG, "lacks the path"},
        /* Nobody reads keys that are for nothing. */
        {NULL, NULL, "/nonexistent/k", FRESHET_OK, NULL},
    };

    struct stored *stored = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct freshet_options options = stored->options;
        struct freshet *freshet = NULL;
        struct freshet_error error = {0};

        options.secrets = rows[i].secrets;
        options.tokens = rows[i].tokens;
        options.key_file = rows[i].key_file;
        assert_int_equal(freshet_open(&options, &freshet, &error), rows[i].status);
        if (rows[i].word && !strstr(error.message, rows[i].word))
            fail_msg("no \"%s\" in: %s", rows[i].word, error.message);
        freshet_close(freshet);
    }
}

static void what_the_store_says_is_told(void **state)
{
    struct stored *stored = *state;
    struct freshet_session *session = open_signed_in(&stored->world, "svc-demo");
    struct freshet_error error = {0};
    char away[160];
    const char *path = stored->secrets + strlen("sqlite:");

    (void)snprintf(away, sizeof(away), "%s.away", path);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(freshet_sign_out(session, false, &error), FRESHET_ESTORE);
    assert_non_null(strstr(error.message, "is not there"));
    assert_int_equal(rename(away, path), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_session_outlives_its_handle),
        CASE(without_its_token_it_is_refreshed),
        CASE(a_session_that_was_signed_out_stays_so),
        CASE(a_session_key_comes_with_its_owner),
        CASE(without_its_key_a_session_is_unavailable),
        CASE(to_sign_out_needs_no_key),
        CASE(keys_of_the_host_rotate_without_the_owners),
        CASE(options_of_an_older_program_have_no_key),
        CASE(the_ledger_tells_of_earlier_processes),
        CASE(routine_refreshes_of_keyed_sessions_are_not_kept),
        CASE(an_entry_of_another_version_is_told_as_such),
        CASE(the_sessions_of_a_store_are_listed),
        CASE(two_handles_of_one_file_refresh_once),
        CASE(a_stalled_disk_holds_up_nobody_else),
        CASE(a_store_on_a_disk_needs_its_keys),
        CASE(what_the_store_says_is_told),
    };

    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
