/* SPDX-License-Identifier: Apache-2.0 */

/* Memory runs out in the profile and the stores: whatever is asked of them either works, as well as
 * ever, or says FRESHET_ENOMEM and leaves its outputs as they were. The core has no allocation that
 * could fail (tests/checks/check_symbols.py). Leaks are LeakSanitizer's to find. */

#include "alloc.h"
#include "base/heap.h"
#include "profile/profile.h"
#include "store/kept.h"
#include "store/memory/memory.h"
#include "store/token_codec.h"
#include "unit.h"

#include <freshet/status.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the section in which memory runs out: whether it came to nothing for that. */
static bool in_vain(int status)
{
    bool failed = alloc_disarm();

    if (status == FRESHET_OK)
        return false;
    assert_true(failed);
    assert_int_equal(status, FRESHET_ENOMEM);
    return true;
}

static struct fsh_secret secret(const char *text)
{
    struct fsh_secret copy = {0};

    assert_int_equal(fsh_base_secret_copy(text, strlen(text), &copy), FRESHET_OK);
    return copy;
}

/* ---- questions ------------------------------------------------------------------------------- */

struct asking {
    enum fsh_exchange_kind kind;
    struct fsh_question question;
};

static void ask(const void *what)
{
    const struct asking *asking = what;
    struct fsh_message message = {.path = "untouched"};
    int status;

    alloc_arm();
    status =
        fsh_profile_ask(fsh_profile_find("partner"), asking->kind, &asking->question, &message);
    if (in_vain(status))
        assert_string_equal(message.path, "untouched");
    else
        assert_string_not_equal(message.path, "untouched");
    fsh_profile_message_done(&message);
}

static void questions(void **state)
{
    struct fsh_secret word = secret("w\xc3\xb6rd");
    struct asking asking = {.question = {.username = "ann",
                                         .password = &word,
                                         .device_key = &word,
                                         .device_group_key = &word,
                                         .session = &word,
                                         .code = &word,
                                         .new_password = &word,
                                         .refresh_token = &word,
                                         .mfa_enabled = 1,
                                         .mfa_method = "totp"}};

    (void)state;
    for (int kind = 0; kind < FSH_EXCHANGE_KINDS; kind++) {
        asking.kind = (enum fsh_exchange_kind)kind;
        assert_true(alloc_every(ask, &asking));
    }
    fsh_base_secret_done(&word);
}

static void authorize(const void *what)
{
    struct fsh_secret value = {0};
    int status;

    alloc_arm();
    status = fsh_profile_authorization(fsh_profile_find("partner"), what, &value);
    assert_int_equal(in_vain(status), fsh_base_secret_empty(&value));
    fsh_base_secret_done(&value);
}

static void the_authorization_header(void **state)
{
    struct fsh_secret token = secret("token");

    (void)state;
    assert_true(alloc_every(authorize, &token));
    fsh_base_secret_done(&token);
}

/* ---- answers --------------------------------------------------------------------------------- */

struct reading {
    enum fsh_exchange_kind kind;
    int http_status;
    const char *body;
    enum fsh_outcome outcome; /* with memory */
};

static void compare(const struct fsh_answer *answer, const struct fsh_answer *whole)
{
    assert_int_equal(answer->outcome, whole->outcome);
    assert_int_equal(answer->status, whole->status);
    assert_string_equal(answer->code, whole->code);
    assert_true(fsh_base_secret_equal(&answer->grant.access_token, &whole->grant.access_token));
    assert_true(fsh_base_secret_equal(&answer->grant.refresh_token, &whole->grant.refresh_token));
    assert_true(fsh_base_secret_equal(&answer->challenge_session, &whole->challenge_session));
    assert_true(fsh_base_secret_equal(&answer->mfa.qr_secret, &whole->mfa.qr_secret));
    assert_int_equal(answer->grant.lifetime_ms, whole->grant.lifetime_ms);
    assert_int_equal(answer->grant.identified, whole->grant.identified);
    assert_int_equal(answer->grant.suspended, whole->grant.suspended);
    assert_int_equal(answer->grant.partner_count, whole->grant.partner_count);
}

/* It is read wholly and rightly, or not at all. */
static void read_answer(const void *what)
{
    const struct reading *reading = what;
    struct fsh_reply reply = {.complete = true,
                              .sent = true,
                              .http_status = reading->http_status,
                              .body = reading->body,
                              .body_len = strlen(reading->body)};
    struct fsh_answer whole;
    struct fsh_answer answer;

    fsh_profile_read(fsh_profile_find("partner"), reading->kind, &reply, (struct fsh_wall){0},
                     &whole);
    assert_int_equal(whole.outcome, reading->outcome);
    alloc_arm();
    fsh_profile_read(fsh_profile_find("partner"), reading->kind, &reply, (struct fsh_wall){0},
                     &answer);
    if (alloc_disarm() && answer.status == FRESHET_ENOMEM)
        assert_true(answer.outcome == FSH_OUTCOME_TRANSIENT ||
                    answer.outcome == FSH_OUTCOME_UNKNOWN);
    else
        compare(&answer, &whole);
    fsh_profile_answer_done(&answer);
    fsh_profile_answer_done(&whole);
}

/* A grant whose access token lives for a minute by its claims, and an hour by ExpiresIn. */
static const char *grant_body(char *ret_body, size_t size)
{
    static const char claims[] = "{\"iat\":100,\"exp\":160}";
    static const char groups[] =
        "{\"cognito:groups\":[\"fd42\",\"partner-id-a\",\"account-disabled\"]}";
    char access[128];
    char id[256];

    sodium_bin2base64(access, sizeof(access), (const unsigned char *)claims, strlen(claims),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_bin2base64(id, sizeof(id), (const unsigned char *)groups, strlen(groups),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    (void)snprintf(
        ret_body, size,
        "{\"AccessToken\":\"e30.%s.c2ln\",\"IdToken\":\"e30.%s.c2ln\",\"ExpiresIn\":3600,"
        "\"RefreshToken\":\"refresh-token\",\"TokenType\":\"Bearer\",\"DeviceKey\":\"dk\","
        "\"DeviceGroupKey\":\"dgk\"}",
        access, id);
    return ret_body;
}

static void answers(void **state)
{
    char grant[1024];
    const struct reading rows[] = {
        {FSH_EXCHANGE_SIGN_IN, 200, grant_body(grant, sizeof(grant)), FSH_OUTCOME_GRANT},
        {FSH_EXCHANGE_REFRESH, 200, grant, FSH_OUTCOME_GRANT},
        {FSH_EXCHANGE_SIGN_IN, 200, "{\"Challenge\":\"SMS_MFA\",\"Session\":\"open\"}",
         FSH_OUTCOME_CHALLENGE},
        {FSH_EXCHANGE_TOTP_GET, 200, "{\"qr_uri\":\"otpauth://x\",\"qr_secret\":\"base32\"}",
         FSH_OUTCOME_GRANT},
        {FSH_EXCHANGE_MFA_SETTINGS_GET, 200, "{\"mfa_enabled\":true,\"preferred\":\"totp\"}",
         FSH_OUTCOME_GRANT},
        {FSH_EXCHANGE_REFRESH, 401, "{\"code\":\"UserDisabledException\"}", FSH_OUTCOME_DEFINITE},
        {FSH_EXCHANGE_REFRESH, 400, "{\"__type\":\"ns#NotAuthorizedException\"}",
         FSH_OUTCOME_DEFINITE},
        {FSH_EXCHANGE_REFRESH, 503, "busy", FSH_OUTCOME_UNKNOWN},
        {FSH_EXCHANGE_REFRESH, 200, "[]", FSH_OUTCOME_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(alloc_every(read_answer, &rows[i]));
}

/* ---- tokens and timers ----------------------------------------------------------------------- */

static void make_token(const void *what)
{
    char first[] = "fd1";
    char second[] = "fd2";
    char *partners[] = {first, second};
    struct fsh_secret value = secret(what);
    struct fsh_token *token = NULL;
    int status;

    alloc_arm();
    status = fsh_token_new(NULL, 1, 1, (struct fsh_stamp){0, 1}, 1000, &value, "X-Partner",
                           partners, 2, &token);
    if (in_vain(status))
        assert_null(token);
    /* The bytes are the token's, or the caller's as before. */
    assert_int_equal(fsh_base_secret_empty(&value), token != NULL);
    fsh_token_unref(token);
    fsh_base_secret_done(&value);
}

static void a_token(void **state)
{
    (void)state;
    assert_true(alloc_every(make_token, "Bearer x"));
}

static void grow_heap(const void *what)
{
    struct fsh_heap heap = {0};
    struct fsh_timer timer = {0};
    int status;

    (void)what;
    assert_int_equal(fsh_base_heap_reserve(&heap, 1), FRESHET_OK);
    fsh_base_heap_set(&heap, &timer, (struct fsh_mono){5});
    alloc_arm();
    status = fsh_base_heap_reserve(&heap, 1000);
    (void)in_vain(status);
    assert_ptr_equal(fsh_base_heap_first(&heap), &timer);
    fsh_base_heap_done(&heap);
}

static void timers(void **state)
{
    (void)state;
    assert_true(alloc_every(grow_heap, NULL));
}

/* ---- stores ---------------------------------------------------------------------------------- */

static void nothing(struct fsh_store_op *op)
{
    (void)op;
}

static void cache_nothing(struct fsh_cache_op *op)
{
    (void)op;
}

static struct fsh_store_op change(enum fsh_change_kind kind, uint64_t generation)
{
    return (struct fsh_store_op){
        .done = nothing,
        .session = "ann",
        .change = {.kind = kind,
                   .incarnation = generation,
                   .generation = generation,
                   .holder = 1,
                   .attempt = 1,
                   .reserved = 1,
                   .refreshable = true,
                   .purpose = generation ? FSH_PURPOSE_REFRESH : FSH_PURPOSE_SIGN_IN},
        .now = {1000, 1},
    };
}

/* A lease that could not be handed out with its secrets was not taken. */
static void lease(struct fsh_secret_store *store)
{
    struct fsh_store_op op = change(FSH_CHANGE_LEASE, 1);
    struct fsh_store_op look = change(FSH_CHANGE_READ, 1);
    bool failed;

    alloc_arm();
    store->ops->submit(store, &op);
    failed = in_vain(op.status);
    store->ops->submit(store, &look);
    assert_int_equal(look.status, FRESHET_OK);
    assert_int_equal(look.record.lease.holder, failed ? 0 : 1);
    if (!failed)
        assert_string_equal(fsh_base_secret_reveal(&op.kept.refresh_token), "refresh-token");
    fsh_store_kept_done(&op.kept);
}

static void use_secrets(const void *what)
{
    struct fsh_secret_store *store = NULL;
    struct fsh_store_op first = change(FSH_CHANGE_LEASE, 0);
    struct fsh_store_op second = change(FSH_CHANGE_COMMIT, 0);
    int status = FRESHET_OK;

    if (what) {
        alloc_arm();
        status = fsh_store_memory_secrets(&store, NULL);
        if (status == FRESHET_OK)
            store->ops->submit(store, &first);
        status = status == FRESHET_OK ? first.status : status;
        (void)in_vain(status);
        if (store)
            store->ops->close(store);
        fsh_store_kept_done(&first.kept);
        return;
    }
    assert_int_equal(fsh_store_memory_secrets(&store, NULL), FRESHET_OK);
    store->ops->submit(store, &first);
    second.kept.refresh_token = secret("refresh-token");
    store->ops->submit(store, &second);
    assert_int_equal(second.status, FRESHET_OK);
    lease(store);
    store->ops->close(store);
}

static void the_secret_store(void **state)
{
    (void)state;
    assert_true(alloc_every(use_secrets, "opening"));
    assert_true(alloc_every(use_secrets, NULL));
}

static void use_tokens(const void *what)
{
    struct fsh_token_cache *cache = NULL;
    struct fsh_secret value = secret(what);
    struct fsh_token *token = NULL;
    struct fsh_cache_op put = {.done = cache_nothing, .session = "ann", .kind = FSH_CACHE_PUT};
    struct fsh_cache_op get = {.done = cache_nothing, .session = "ann", .kind = FSH_CACHE_GET};

    assert_int_equal(fsh_store_memory_tokens(&cache, NULL), FRESHET_OK);
    assert_int_equal(
        fsh_token_new(NULL, 1, 1, (struct fsh_stamp){0, 1}, 1000, &value, "X", NULL, 0, &token),
        FRESHET_OK);
    put.token = fsh_token_ref(token);
    alloc_arm();
    cache->ops->submit(cache, &put);
    (void)in_vain(put.status);
    cache->ops->submit(cache, &get);
    assert_int_equal(get.status, FRESHET_OK);
    assert_ptr_equal(get.token, put.status == FRESHET_OK ? token : NULL);
    fsh_token_unref(put.token);
    fsh_token_unref(get.token);
    fsh_token_unref(token);
    cache->ops->close(cache);
}

static void the_token_cache(void **state)
{
    (void)state;
    assert_true(alloc_every(use_tokens, "Bearer x"));
}

/* ---- what is sealed -------------------------------------------------------------------------- */

static const unsigned char host_key[FSH_KEY_BYTES] = {1};
static const unsigned char session_key[FSH_KEY_BYTES] = {2};

static void make_keyring(const void *what)
{
    struct fsh_keyring *keyring = NULL;
    int status;

    alloc_arm();
    status = fsh_keyring_fixed(what, &keyring);
    assert_int_equal(in_vain(status), keyring == NULL);
    fsh_keyring_unref(keyring);
}

/* Seals, seals anew and opens: with a key of the host, or with one of the session too. */
static void use_seal(const void *what)
{
    struct fsh_seal_context context = {FSH_SEAL_TOKEN, "ann", 1, 1, what};
    struct fsh_keyring *keyring = NULL;
    struct fsh_secret plain = {0};
    unsigned char *sealed = NULL;
    unsigned char *anew = NULL;
    size_t len = 0;
    char why[FSH_SEAL_WHY];
    int status;

    assert_int_equal(fsh_keyring_fixed(host_key, &keyring), FRESHET_OK);
    alloc_arm();
    status = fsh_seal(keyring, &context, (const unsigned char *)"plain", 5, &sealed, &len);
    if (status == FRESHET_OK)
        status = fsh_reseal(keyring, &context, sealed, len, &anew, &len, why, sizeof(why));
    if (status == FRESHET_OK)
        status = fsh_unseal(keyring, &context, anew, len, &plain, why, sizeof(why));
    assert_string_equal(in_vain(status) ? "plain" : fsh_base_secret_reveal(&plain), "plain");
    assert_int_equal(plain.len, status == FRESHET_OK ? 5 : 0);
    free(sealed);
    free(anew);
    fsh_base_secret_done(&plain);
    fsh_keyring_unref(keyring);
}

static void use_kept(const void *what)
{
    struct fsh_kept kept = {.refresh_token = secret(what), .device_key = secret("device")};
    struct fsh_kept read = {.device_key = secret("of before")};
    struct fsh_secret bytes = {0};
    int status;

    alloc_arm();
    status = fsh_kept_encode(&kept, &bytes);
    if (status == FRESHET_OK)
        status = fsh_kept_decode(&bytes, &read);
    assert_string_equal(fsh_base_secret_reveal(&read.device_key),
                        in_vain(status) ? "of before" : "device");
    fsh_base_secret_done(&bytes);
    fsh_store_kept_done(&kept);
    fsh_store_kept_done(&read);
}

static void use_token_bytes(const void *what)
{
    char *partners[] = {(char[]){"fd1"}};
    struct fsh_secret value = secret(what);
    struct fsh_secret bytes = {0};
    struct fsh_token *token = NULL;
    struct fsh_token *read = NULL;
    int status;

    assert_int_equal(
        fsh_token_new(NULL, 1, 1, (struct fsh_stamp){0, 1}, 1000, &value, "X", partners, 1, &token),
        FRESHET_OK);
    alloc_arm();
    status = fsh_token_encode(token, &bytes);
    if (status == FRESHET_OK)
        status = fsh_token_decode(&bytes, NULL, &read);
    assert_int_equal(in_vain(status), read == NULL);
    fsh_base_secret_done(&bytes);
    fsh_token_unref(read);
    fsh_token_unref(token);
}

static void keys_and_seals(void **state)
{
    (void)state;
    assert_true(alloc_every(make_keyring, host_key));
    assert_true(alloc_every(use_seal, NULL));
    assert_true(alloc_every(use_seal, session_key));
    assert_true(alloc_every(use_kept, "refresh"));
    assert_true(alloc_every(use_token_bytes, "Bearer x"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions),       cmocka_unit_test(the_authorization_header),
        cmocka_unit_test(answers),         cmocka_unit_test(a_token),
        cmocka_unit_test(timers),          cmocka_unit_test(the_secret_store),
        cmocka_unit_test(the_token_cache), cmocka_unit_test(keys_and_seals),
    };

    alloc_init();
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
