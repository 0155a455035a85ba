/* SPDX-License-Identifier: Apache-2.0 */

/* Memory runs out in the stores in files, their threads and SQLite below them: a change works or
 * says so, one that said so has changed nothing, and the next works. */

#include "alloc.h"
#include "stores.h"

#include <freshet/status.h>
#include <malloc.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- SQLite's memory ----------------------------------------------------------------------- */

static void *sqlite_malloc(int size)
{
    return malloc((size_t)size);
}

static void *sqlite_realloc(void *memory, int size)
{
    return realloc(memory, (size_t)size);
}

static int sqlite_size(void *memory)
{
    return (int)malloc_usable_size(memory);
}

static int sqlite_roundup(int size)
{
    return (size + 7) & ~7;
}

static int sqlite_init(void *data)
{
    (void)data;
    return SQLITE_OK;
}

static void sqlite_shutdown(void *data)
{
    (void)data;
}

/* Without its own small pools, so that each allocation is one. */
static void take_sqlites_memory(void)
{
    static const sqlite3_mem_methods methods = {
        sqlite_malloc,  free,        sqlite_realloc,  sqlite_size,
        sqlite_roundup, sqlite_init, sqlite_shutdown, NULL,
    };

    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0) != SQLITE_OK ||
        sqlite3_initialize() != SQLITE_OK)
        abort();
}

/* ---- the cases ----------------------------------------------------------------------------- */

static struct stores stores;

/* Whether it came to nothing, for want of memory. */
static bool in_vain(int status, const char *why)
{
    bool failed = alloc_disarm();

    if (status == FRESHET_OK)
        return false;
    if (!failed || status != FRESHET_ENOMEM)
        fail_msg("%s: %s", freshet_status_name(status), why);
    return true;
}

static void open_and_close(const void *what)
{
    struct stores fresh = stores;
    struct freshet_error error = {0};
    struct fsh_secret_store *store = NULL;
    struct fsh_token_cache *cache = NULL;
    int status;

    if (what) {
        (void)snprintf(fresh.secrets_path, sizeof(fresh.secrets_path), "%s/new.db", stores.folder);
        (void)unlink(fresh.secrets_path);
    }
    alloc_arm();
    status = secrets_open(&fresh, &store, &error);
    if (status == FRESHET_OK)
        status = tokens_open(&fresh, &cache, &error);
    (void)in_vain(status, error.message);
    if (store)
        store->ops->close(store);
    if (cache)
        cache->ops->close(cache);
}

static void stores_are_opened(void **state)
{
    (void)state;
    assert_true(alloc_every(open_and_close, NULL));
    assert_true(alloc_every(open_and_close, "a new file"));
}

/* On a new connection, so that the statements are prepared, too. */
static struct fsh_secret_store *open_secrets(void)
{
    struct fsh_secret_store *store = NULL;

    assert_int_equal(secrets_open(&stores, &store, NULL), FRESHET_OK);
    return store;
}

static void change_once(const void *what)
{
    enum fsh_change_kind kind = *(const enum fsh_change_kind *)what;
    struct fsh_secret_store *store;
    struct fsh_record before;
    struct fsh_store_op op;
    struct fsh_note_row row = {.number = 1, .name = "refreshed", .times = 1};
    bool failed;

    sign_in(stores.secrets, "ann", "refresh-token", "device");
    before = look(stores.secrets, "ann");
    store = open_secrets();
    op = change("ann", kind, 1, &before);
    op.change.purpose = FSH_PURPOSE_REFRESH;
    op.change.refreshable = true;
    op.change.reserved = before.reserved;
    op.change.reason = FRESHET_EENDED;
    op.kept.refresh_token = kind == FSH_CHANGE_COMMIT ? secret("next") : (struct fsh_secret){0};
    alloc_arm();
    store->ops->note(store, "ann", &row);
    submit(store, &op);
    failed = in_vain(op.status, op.why);
    fsh_store_kept_done(&op.kept);
    if (failed) {
        struct fsh_record after = look(store, "ann");

        assert_memory_equal(&after, &before, sizeof(after));
        assert_true(hands_out(store, "ann", "refresh-token"));
    }
    op = change("ann", FSH_CHANGE_SIGN_OUT, 1, NULL);
    submit(store, &op);
    assert_int_equal(op.status, FRESHET_OK);
    store->ops->close(store);
}

static void changes_are_made(void **state)
{
    static const enum fsh_change_kind kinds[] = {
        FSH_CHANGE_READ, FSH_CHANGE_LEASE, FSH_CHANGE_COMMIT, FSH_CHANGE_END, FSH_CHANGE_SIGN_OUT};

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        assert_true(alloc_every(change_once, &kinds[i]));
}

static void use_cache(const void *what)
{
    struct fsh_cache_op op = {.session = "ann", .kind = FSH_CACHE_GET};
    struct fsh_token_cache *cache = NULL;

    put(stores.tokens, "ann", 1);
    assert_int_equal(tokens_open(&stores, &cache, NULL), FRESHET_OK);
    if (what) {
        struct fsh_secret value = secret("Bearer y");

        op.kind = FSH_CACHE_PUT;
        assert_int_equal(fsh_token_new(NULL, 1, 1, (struct fsh_stamp){5, 1}, 1000, &value, "X",
                                       NULL, 0, &op.token),
                         FRESHET_OK);
    }
    alloc_arm();
    use(cache, &op);
    if (!in_vain(op.status, op.why))
        assert_non_null(op.token);
    fsh_token_unref(op.token);
    assert_int_equal(get(cache, "ann"), 1);
    cache->ops->close(cache);
}

static void tokens_are_kept(void **state)
{
    (void)state;
    assert_true(alloc_every(use_cache, NULL));
    assert_true(alloc_every(use_cache, "put"));
}

static void read_notes(const void *what)
{
    struct fsh_note_row rows[4];
    size_t count = 99;
    int status;

    (void)what;
    alloc_arm();
    status = stores.secrets->ops->read_notes(stores.secrets, "ann", rows, 4, &count);
    if (in_vain(status, ""))
        assert_int_equal(count, 99);
    else
        assert_int_equal(count, 0);
}

static void the_ledger_is_read(void **state)
{
    (void)state;
    assert_true(alloc_every(read_notes, NULL));
}

static int setup(void **state)
{
    (void)state;
    /* Thousands of times; what a disk does is not asked here. */
    (void)setenv("TMPDIR", "/dev/shm", 1);
    stores_begin(&stores, "sqlite:");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stores_end(&stores);
    return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(stores_are_opened),
        CASE(changes_are_made),
        CASE(tokens_are_kept),
        CASE(the_ledger_is_read),
    };

    alloc_init();
    take_sqlites_memory();
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests_name("alloc-store", tests, NULL, NULL);
}
