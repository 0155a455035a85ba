/* SPDX-License-Identifier: Apache-2.0 */

/* What every store promises, on each of them. */

#include "stores.h"

#include <freshet/status.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

/* ---- secrets ------------------------------------------------------------------------------- */

static void reading_leaves_nothing_behind(void **state)
{
    struct stores *stores = *state;
    struct fsh_record record = look(stores->secrets, "ann");
    struct fsh_record none = {0};

    assert_memory_equal(&record, &none, sizeof(none));
    record = look(stores->secrets, "ann");
    assert_memory_equal(&record, &none, sizeof(none));
}

static void a_sign_in_is_kept(void **state)
{
    struct stores *stores = *state;
    struct fsh_record record;

    sign_in(stores->secrets, "ann", "ann-refresh", "");
    sign_in(stores->secrets, "bob", "bob-refresh", "");
    record = look(stores->secrets, "ann");
    assert_int_equal(record.phase, FSH_PHASE_LIVE);
    assert_int_equal(record.incarnation, 1);
    assert_int_equal(record.generation, 1);
    assert_true(hands_out(stores->secrets, "ann", "ann-refresh"));
    assert_true(hands_out(stores->secrets, "bob", "bob-refresh"));
}

static void one_holds_the_lease(void **state)
{
    struct stores *stores = *state;
    struct fsh_record record;
    struct fsh_store_op first;
    struct fsh_store_op second;

    sign_in(stores->secrets, "ann", "ann-refresh", "");
    record = look(stores->secrets, "ann");
    first = change("ann", FSH_CHANGE_LEASE, 1, &record);
    second = change("ann", FSH_CHANGE_LEASE, 2, &record);
    first.change.purpose = second.change.purpose = FSH_PURPOSE_REFRESH;
    submit(stores->secrets, &first);
    assert_int_equal(first.verdict, FSH_VERDICT_DONE);
    assert_int_equal(first.unresolved_ms, -1);
    assert_int_equal(first.record.reserved, 2);
    submit(stores->secrets, &second);
    assert_int_equal(second.status, FRESHET_OK);
    assert_int_equal(second.verdict, FSH_VERDICT_BUSY);
    assert_true(fsh_base_secret_empty(&second.kept.refresh_token));
    /* The clock of another boot says nothing of this lease: its holder went down with the machine,
     * and nobody knows how long ago. */
    second = change("ann", FSH_CHANGE_LEASE, 2, &record);
    second.change.purpose = FSH_PURPOSE_REFRESH;
    second.now = (struct fsh_stamp){1, 2};
    submit(stores->secrets, &second);
    assert_int_equal(second.verdict, FSH_VERDICT_DONE);
    assert_true(second.unresolved_ms == INT64_MAX);
    assert_string_equal(fsh_base_secret_reveal(&second.kept.refresh_token), "ann-refresh");
    fsh_store_kept_done(&first.kept);
    fsh_store_kept_done(&second.kept);
}

/* Takes the lease for a refresh: the generation that it reserves. */
static uint64_t take(struct fsh_secret_store *store, const char *session, uint64_t holder)
{
    struct fsh_record record = look(store, session);
    struct fsh_store_op op = change(session, FSH_CHANGE_LEASE, holder, &record);

    op.change.purpose = FSH_PURPOSE_REFRESH;
    submit(store, &op);
    assert_int_equal(op.status, FRESHET_OK);
    assert_int_equal(op.verdict, FSH_VERDICT_DONE);
    fsh_store_kept_done(&op.kept);
    return op.record.lease.generation;
}

static void of_two_commits_the_first_wins(void **state)
{
    struct stores *stores = *state;
    struct fsh_record record;
    struct fsh_store_op first;
    struct fsh_store_op second;

    sign_in(stores->secrets, "ann", "one", "");
    record = look(stores->secrets, "ann");
    first = change("ann", FSH_CHANGE_COMMIT, 1, &record);
    second = change("ann", FSH_CHANGE_COMMIT, 2, &record);
    first.change.purpose = second.change.purpose = FSH_PURPOSE_REFRESH;
    first.change.refreshable = second.change.refreshable = true;
    first.change.reserved = take(stores->secrets, "ann", 1);
    second.change.reserved = take(stores->secrets, "ann", 1);
    first.kept.refresh_token = secret("two");
    second.kept.refresh_token = secret("three");
    submit(stores->secrets, &first);
    submit(stores->secrets, &second);
    assert_int_equal(first.verdict, FSH_VERDICT_DONE);
    assert_int_equal(second.status, FRESHET_OK);
    assert_int_equal(second.verdict, FSH_VERDICT_STALE);
    assert_int_equal(second.record.generation, 2);
    assert_true(hands_out(stores->secrets, "ann", "two"));
    fsh_store_kept_done(&first.kept);
    fsh_store_kept_done(&second.kept);
}

/* What becomes of the secrets of a session with device keys. */
static void each_change_moves_its_secrets(void **state)
{
    static const struct {
        enum fsh_change_kind kind;
        const char *brings;
        const char *refresh_token; /* afterwards */
    } rows[] = {
        {FSH_CHANGE_COMMIT, "new", "new"}, {FSH_CHANGE_COMMIT, "", "old"},
        {FSH_CHANGE_RELEASE, "", "old"},   {FSH_CHANGE_PARK, "", "old"},
        {FSH_CHANGE_END, "", NULL},        {FSH_CHANGE_SIGN_OUT, "", NULL},
        {FSH_CHANGE_LOSE, "", NULL},
    };
    struct stores *stores = *state;
    struct fsh_kept kept = {0};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char name[16];
        struct fsh_record record;
        struct fsh_store_op op;

        (void)snprintf(name, sizeof(name), "session-%zu", i);
        sign_in(stores->secrets, name, "old", "device");
        record = look(stores->secrets, name);
        op = change(name, rows[i].kind, 1, &record);
        op.change.purpose = FSH_PURPOSE_REFRESH;
        op.change.refreshable = true;
        op.change.reserved = take(stores->secrets, name, 1);
        op.change.reason = rows[i].kind == FSH_CHANGE_PARK ? FRESHET_EMFA : FRESHET_EENDED;
        op.kept.refresh_token = secret(rows[i].brings);
        submit(stores->secrets, &op);
        fsh_store_kept_done(&op.kept);
        assert_int_equal(op.status, FRESHET_OK);
        assert_int_equal(op.verdict, FSH_VERDICT_DONE);
        if (rows[i].refresh_token)
            assert_true(hands_out(stores->secrets, name, rows[i].refresh_token));
        else
            assert_false(look(stores->secrets, name).refreshable);
        assert_int_equal(lease(stores->secrets, name, FSH_PURPOSE_SIGN_IN, &kept, NULL),
                         FRESHET_OK);
        assert_string_equal(fsh_base_secret_reveal(&kept.device_key), "device");
        assert_string_equal(fsh_base_secret_reveal(&kept.device_group_key), "device");
        assert_true(fsh_base_secret_empty(&kept.refresh_token));
        fsh_store_kept_done(&kept);
    }
}

static void a_sign_in_without_a_refresh_token_removes_the_old(void **state)
{
    struct stores *stores = *state;

    sign_in(stores->secrets, "ann", "old", "device");
    sign_in(stores->secrets, "ann", "", "");
    assert_false(look(stores->secrets, "ann").refreshable);
    sign_in(stores->secrets, "ann", "new", "");
    assert_true(hands_out(stores->secrets, "ann", "new"));
}

#define MANY 500

struct many {
    struct fsh_store_op ops[MANY];
    unsigned order[MANY];
    unsigned count;
    pthread_mutex_t lock;
    sem_t done;
};

static struct many many;

static void many_done(struct fsh_store_op *op)
{
    (void)pthread_mutex_lock(&many.lock);
    many.order[many.count++] = (unsigned)(op - many.ops);
    (void)pthread_mutex_unlock(&many.lock);
    (void)sem_post(&many.done);
}

static void operations_of_a_session_end_in_their_order(void **state)
{
    struct stores *stores = *state;

    memset(&many, 0, sizeof(many));
    (void)pthread_mutex_init(&many.lock, NULL);
    (void)sem_init(&many.done, 0, 0);
    for (unsigned i = 0; i < MANY; i++) {
        many.ops[i] = change(i % 3 ? "ann" : "bob", FSH_CHANGE_SIGN_OUT, 1, NULL);
        many.ops[i].done = many_done;
        stores->secrets->ops->submit(stores->secrets, &many.ops[i]);
    }
    for (unsigned i = 0; i < MANY; i++)
        (void)sem_wait(&many.done);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(many.order[i], i);
        assert_int_equal(many.ops[i].status, FRESHET_OK);
        assert_int_equal(many.ops[i].record.incarnation, i % 3 ? i - i / 3 : i / 3 + 1);
    }
    assert_int_equal(look(stores->secrets, "bob").incarnation, (MANY + 2) / 3);
}

/* ---- labels ---------------------------------------------------------------------------------- */

static enum fsh_verdict change_now(struct stores *stores, const char *session,
                                   enum fsh_change_kind kind, const char *label)
{
    struct fsh_record record = look(stores->secrets, session);
    struct fsh_store_op op = change(session, kind, 1, &record);

    op.change.purpose = FSH_PURPOSE_REFRESH;
    op.label = label;
    op.label_len = label ? strlen(label) : 0;
    submit(stores->secrets, &op);
    if (op.status != FRESHET_OK)
        fail_msg("%s", op.why);
    fsh_store_kept_done(&op.kept);
    return op.verdict;
}

struct listed {
    char text[256];
    int stop_after;
};

/* "name phase label; ..." */
static int list_one(void *data, const struct fsh_stored *session)
{
    struct listed *listed = data;
    size_t len = strlen(listed->text);

    assert_null(session->unopened);
    (void)snprintf(listed->text + len, sizeof(listed->text) - len, "%s %d %.*s;", session->name,
                   session->record->phase, (int)session->label_len,
                   session->label ? (const char *)session->label : "");
    return --listed->stop_after == 0 ? FRESHET_EBUSY : FRESHET_OK;
}

static const char *list(struct stores *stores, const char *prefix)
{
    static struct listed listed;

    listed = (struct listed){.stop_after = -1};
    assert_int_equal(stores->secrets->ops->list(stores->secrets, prefix, list_one, &listed, NULL),
                     FRESHET_OK);
    return listed.text;
}

static void labels_stand_beside_their_records(void **state)
{
    struct stores *stores = *state;
    struct listed listed = {.stop_after = 1};

    assert_string_equal(list(stores, ""), "");
    assert_int_equal(change_now(stores, "b/two", FSH_CHANGE_LABEL, "x"), FSH_VERDICT_STALE);
    sign_in(stores->secrets, "b/two", "two", "");
    sign_in(stores->secrets, "b/one", "one", "");
    sign_in(stores->secrets, "b", "b", "");
    sign_in(stores->secrets, "c/one", "one", "");
    assert_int_equal(change_now(stores, "b/two", FSH_CHANGE_LABEL, "y"), FSH_VERDICT_DONE);
    assert_int_equal(change_now(stores, "b/two", FSH_CHANGE_LABEL, "second"), FSH_VERDICT_DONE);
    assert_string_equal(list(stores, "b/"), "b/one 1 ;b/two 1 second;");
    assert_string_equal(list(stores, ""), "b 1 ;b/one 1 ;b/two 1 second;c/one 1 ;");
    assert_string_equal(list(stores, "d"), "");
    assert_int_equal(stores->secrets->ops->list(stores->secrets, "b/", list_one, &listed, NULL),
                     FRESHET_EBUSY);
    assert_string_equal(listed.text, "b/one 1 ;");
    /* Neither does a refresh touch it, nor does it touch what a refresh needs. */
    assert_int_equal(change_now(stores, "b/two", FSH_CHANGE_SIGN_OUT, NULL), FSH_VERDICT_DONE);
    assert_string_equal(list(stores, "b/t"), "b/two 3 second;");
    assert_true(hands_out(stores->secrets, "b/one", "one"));
}

static void only_what_is_over_is_removed(void **state)
{
    struct stores *stores = *state;

    assert_int_equal(change_now(stores, "ann", FSH_CHANGE_REMOVE, NULL), FSH_VERDICT_DONE);
    sign_in(stores->secrets, "ann", "ann-refresh", "device");
    assert_int_equal(change_now(stores, "ann", FSH_CHANGE_LABEL, "x"), FSH_VERDICT_DONE);
    assert_int_equal(change_now(stores, "ann", FSH_CHANGE_REMOVE, NULL), FSH_VERDICT_STALE);
    assert_true(hands_out(stores->secrets, "ann", "ann-refresh"));
    assert_int_equal(change_now(stores, "ann", FSH_CHANGE_SIGN_OUT, NULL), FSH_VERDICT_DONE);
    assert_int_equal(change_now(stores, "ann", FSH_CHANGE_REMOVE, NULL), FSH_VERDICT_DONE);
    assert_string_equal(list(stores, ""), "");
    assert_int_equal(change_now(stores, "ann", FSH_CHANGE_LABEL, "x"), FSH_VERDICT_STALE);
    assert_string_equal(list(stores, ""), "");
}

/* A sign-in is under way, here or elsewhere. */
static void what_is_about_to_live_is_not_removed(void **state)
{
    struct stores *stores = *state;
    struct fsh_store_op op = change("ann", FSH_CHANGE_LEASE, 2, NULL);

    op.change.purpose = FSH_PURPOSE_SIGN_IN;
    submit(stores->secrets, &op);
    assert_int_equal(op.verdict, FSH_VERDICT_DONE);
    assert_int_equal(change_now(stores, "ann", FSH_CHANGE_REMOVE, NULL), FSH_VERDICT_BUSY);
    op = change("ann", FSH_CHANGE_REMOVE, 1, NULL);
    op.now.boot = 2; /* its holder went down with the machine */
    submit(stores->secrets, &op);
    assert_int_equal(op.verdict, FSH_VERDICT_DONE);
}

/* ---- session keys ---------------------------------------------------------------------------- */

static const unsigned char one_key[FSH_SESSION_KEY] = {1, 2, 3};
static const unsigned char other_key[FSH_SESSION_KEY] = {1, 2, 4};

/* Signs in with a device's keys besides. */
static void sign_in_keyed(struct stores *stores, const char *session)
{
    struct fsh_store_op op = change(session, FSH_CHANGE_LEASE, 1, NULL);

    op.session_key = one_key;
    op.change.purpose = FSH_PURPOSE_SIGN_IN;
    submit(stores->secrets, &op);
    assert_int_equal(op.verdict, FSH_VERDICT_DONE);
    op = change(session, FSH_CHANGE_COMMIT, 1, &op.record);
    op.session_key = one_key;
    op.change.purpose = FSH_PURPOSE_SIGN_IN;
    op.change.refreshable = true;
    op.kept.refresh_token = secret("refresh");
    op.kept.device_key = secret("device");
    op.kept.device_group_key = secret("group");
    submit(stores->secrets, &op);
    assert_int_equal(op.status, FRESHET_OK);
    assert_int_equal(op.verdict, FSH_VERDICT_DONE);
    fsh_store_kept_done(&op.kept);
}

static int lease_keyed(struct stores *stores, const char *session, const unsigned char *session_key)
{
    struct fsh_record record = look(stores->secrets, session);
    struct fsh_store_op op = change(session, FSH_CHANGE_LEASE, 1, &record);

    op.session_key = session_key;
    op.change.purpose = FSH_PURPOSE_REFRESH;
    submit(stores->secrets, &op);
    if (op.status == FRESHET_OK)
        assert_string_equal(fsh_base_secret_reveal(&op.kept.refresh_token), "refresh");
    else
        assert_true(op.why[0] != '\0' && fsh_base_secret_empty(&op.kept.refresh_token));
    fsh_store_kept_done(&op.kept);
    return op.status;
}

static void secrets_need_the_session_key_they_came_with(void **state)
{
    struct stores *stores = *state;
    struct fsh_record before;
    struct fsh_record after;
    struct fsh_store_op op;

    sign_in_keyed(stores, "ann");
    before = look(stores->secrets, "ann");
    assert_int_equal(lease_keyed(stores, "ann", NULL), FRESHET_ESTORE);
    assert_int_equal(lease_keyed(stores, "ann", other_key), FRESHET_ESTORE);
    after = look(stores->secrets, "ann");
    assert_memory_equal(&before, &after, sizeof(before));
    /* An end keeps the device's keys, so it needs them. */
    op = change("ann", FSH_CHANGE_END, 1, &before);
    op.session_key = other_key;
    submit(stores->secrets, &op);
    assert_int_equal(op.status, FRESHET_ESTORE);
    assert_int_equal(lease_keyed(stores, "ann", one_key), FRESHET_OK);
    /* A sign-out wins, with or without. */
    op = change("ann", FSH_CHANGE_SIGN_OUT, 1, &before);
    submit(stores->secrets, &op);
    assert_int_equal(op.status, FRESHET_OK);
    assert_int_equal(look(stores->secrets, "ann").phase, FSH_PHASE_SIGNED_OUT);
}

static struct fsh_token *get_keyed(struct stores *stores, const unsigned char *session_key)
{
    struct fsh_cache_op op = {.session = "ann", .session_key = session_key, .kind = FSH_CACHE_GET};

    use(stores->tokens, &op);
    assert_int_equal(op.status, FRESHET_OK);
    return op.token;
}

static void a_token_needs_the_session_key_it_came_with(void **state)
{
    struct stores *stores = *state;
    struct fsh_cache_op bob = {.session = "bob", .kind = FSH_CACHE_GET};
    struct fsh_cache_op op = {.session = "ann", .session_key = one_key, .kind = FSH_CACHE_PUT};
    struct fsh_token *token;

    put(stores->tokens, "bob", 3);
    use(stores->tokens, &bob);
    op.token = bob.token;
    use(stores->tokens, &op);
    assert_int_equal(op.status, FRESHET_OK);
    fsh_token_unref(op.token);
    assert_null(get_keyed(stores, NULL));
    assert_null(get_keyed(stores, other_key));
    token = get_keyed(stores, one_key);
    assert_non_null(token);
    assert_int_equal(token->generation, 3);
    fsh_token_unref(token);
}

/* ---- tokens -------------------------------------------------------------------------------- */

static void drop(struct fsh_token_cache *cache, const char *session, uint64_t generation)
{
    struct fsh_cache_op op = {.session = session, .kind = FSH_CACHE_DROP};

    op.generation = generation;
    use(cache, &op);
    assert_int_equal(op.status, FRESHET_OK);
}

static void a_token_comes_back_whole(void **state)
{
    struct stores *stores = *state;
    struct fsh_cache_op op = {.session = "ann", .kind = FSH_CACHE_GET};

    put(stores->tokens, "ann", 3);
    use(stores->tokens, &op);
    assert_int_equal(op.status, FRESHET_OK);
    assert_non_null(op.token);
    assert_int_equal(op.token->generation, 3);
    assert_int_equal(op.token->incarnation, 1);
    assert_int_equal(op.token->sent_at.ms, 5);
    assert_int_equal(op.token->sent_at.boot, 1);
    assert_int_equal(op.token->lifetime_ms, 1000);
    assert_int_equal(op.token->partner_count, 1);
    assert_string_equal(op.token->bundles[0].list[0].value, "Bearer x");
    assert_string_equal(op.token->bundles[0].list[1].name, "X-Preferred-Partner-Id");
    assert_string_equal(op.token->bundles[0].list[1].value, "fd42");
    fsh_token_unref(op.token);
}

static void the_cache_never_goes_back(void **state)
{
    struct stores *stores = *state;

    assert_int_equal(get(stores->tokens, "ann"), 0);
    put(stores->tokens, "ann", 3);
    put(stores->tokens, "ann", 2);
    assert_int_equal(get(stores->tokens, "ann"), 3);
    assert_int_equal(get(stores->tokens, "bob"), 0);
    drop(stores->tokens, "ann", 2);
    assert_int_equal(get(stores->tokens, "ann"), 3);
    put(stores->tokens, "ann", 4);
    assert_int_equal(get(stores->tokens, "ann"), 4);
    drop(stores->tokens, "ann", 4);
    assert_int_equal(get(stores->tokens, "ann"), 0);
    drop(stores->tokens, "ann", 9);
}

/* ---- on each ------------------------------------------------------------------------------- */

static int setup(void **state)
{
    static struct stores stores;

    stores_begin(&stores, *state);
    *state = &stores;
    return 0;
}

static int teardown(void **state)
{
    stores_end(*state);
    return 0;
}

static char memory[] = "memory:";
static char sqlite[] = "sqlite:";

#define EACH(test)                                                                                 \
    {"memory: " #test, test, setup, teardown, memory},                                             \
    {                                                                                              \
        "sqlite: " #test, test, setup, teardown, sqlite                                            \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(reading_leaves_nothing_behind),
        EACH(a_sign_in_is_kept),
        EACH(one_holds_the_lease),
        EACH(of_two_commits_the_first_wins),
        EACH(each_change_moves_its_secrets),
        EACH(a_sign_in_without_a_refresh_token_removes_the_old),
        EACH(operations_of_a_session_end_in_their_order),
        EACH(labels_stand_beside_their_records),
        EACH(only_what_is_over_is_removed),
        EACH(what_is_about_to_live_is_not_removed),
        EACH(secrets_need_the_session_key_they_came_with),
        EACH(a_token_needs_the_session_key_it_came_with),
        EACH(a_token_comes_back_whole),
        EACH(the_cache_never_goes_back),
    };

    return cmocka_run_group_tests_name("stores", tests, NULL, NULL);
}
