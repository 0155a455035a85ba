/* SPDX-License-Identifier: Apache-2.0 */

/* The envelope and what goes into it: what was sealed is had back, and only as what it was sealed.
 */

#include "base/bounds.h"
#include "core/random.h"
#include "store/kept.h"
#include "store/seal.h"
#include "store/token_codec.h"
#include "unit.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

static const unsigned char key_one[FSH_KEY_BYTES] = {1};
static const unsigned char key_two[FSH_KEY_BYTES] = {2};
static const unsigned char cookie_one[FSH_KEY_BYTES] = {3};
static const unsigned char cookie_two[FSH_KEY_BYTES] = {4};

static const struct fsh_seal_context ann = {FSH_SEAL_SECRETS, "ann", 3, 7, NULL};

struct sealed {
    unsigned char *bytes;
    size_t len;
};

static struct fsh_keyring *ring(const unsigned char *key)
{
    struct fsh_keyring *keyring = NULL;

    assert_int_equal(fsh_keyring_fixed(key, &keyring), FRESHET_OK);
    return keyring;
}

static struct sealed seal(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
                          const char *plain)
{
    struct sealed sealed = {0};

    assert_int_equal(fsh_seal(keyring, context, (const unsigned char *)plain, strlen(plain),
                              &sealed.bytes, &sealed.len),
                     FRESHET_OK);
    return sealed;
}

/* Whether it opens, to `plain`. Otherwise nothing comes out, and a sentence says why. */
static bool opens(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
                  struct sealed sealed, const char *plain)
{
    struct fsh_secret out = {0};
    char why[FSH_SEAL_WHY] = "";
    int status = fsh_unseal(keyring, context, sealed.bytes, sealed.len, &out, why, sizeof(why));
    bool same = out.len == strlen(plain) && strcmp(fsh_base_secret_reveal(&out), plain) == 0;

    if (status == FRESHET_OK) {
        assert_true(same);
        assert_string_equal(why, "");
    } else {
        assert_int_equal(status, FRESHET_ESTORE);
        assert_null(out.bytes);
        assert_true(strlen(why) > 40);
    }
    fsh_base_secret_done(&out);
    return status == FRESHET_OK;
}

static void what_was_sealed_opens(void **state)
{
    struct fsh_keyring *keyring = ring(key_one);
    struct sealed first = seal(keyring, &ann, "refresh token");
    struct sealed second = seal(keyring, &ann, "refresh token");
    struct sealed empty = seal(keyring, &ann, "");
    char id[FSH_KEY_ID_TEXT];
    char by[FSH_KEY_ID_TEXT];

    (void)state;
    assert_true(opens(keyring, &ann, first, "refresh token"));
    assert_true(opens(keyring, &ann, second, "refresh token"));
    assert_true(opens(keyring, &ann, empty, ""));
    assert_int_equal(first.len, second.len);
    assert_memory_not_equal(first.bytes, second.bytes, first.len); /* a nonce each */
    assert_null(memmem(first.bytes, first.len, "refresh", 7));
    fsh_keyring_sealing(keyring, id);
    assert_true(fsh_sealed_by(first.bytes, first.len, by));
    assert_string_equal(by, id);
    free(first.bytes);
    free(second.bytes);
    free(empty.bytes);
    fsh_keyring_unref(keyring);
}

static void flip_every_bit(const struct fsh_seal_context *context)
{
    struct fsh_keyring *keyring = ring(key_one);
    struct sealed sealed = seal(keyring, context, "refresh token");

    for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
        sealed.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
        assert_false(opens(keyring, context, sealed, ""));
        sealed.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    assert_true(opens(keyring, context, sealed, "refresh token"));
    free(sealed.bytes);
    fsh_keyring_unref(keyring);
}

static void every_flipped_bit_is_refused(void **state)
{
    const struct fsh_seal_context browser = {FSH_SEAL_TOKEN, "browser", 1, 1, cookie_one};

    (void)state;
    flip_every_bit(&ann);
    flip_every_bit(&browser);
}

static void every_shorter_and_longer_one_is_refused(void **state)
{
    struct fsh_keyring *keyring = ring(key_one);
    struct sealed sealed = seal(keyring, &ann, "refresh token");
    struct sealed longer = {calloc(1, sealed.len + 1), sealed.len + 1};
    char id[FSH_KEY_ID_TEXT];

    (void)state;
    for (size_t len = 0; len < sealed.len; len++)
        assert_false(opens(keyring, &ann, (struct sealed){sealed.bytes, len}, ""));
    assert_non_null(longer.bytes);
    memcpy(longer.bytes, sealed.bytes, sealed.len);
    assert_false(opens(keyring, &ann, longer, ""));
    assert_false(fsh_sealed_by(sealed.bytes, 20, id));
    free(longer.bytes);
    free(sealed.bytes);
    fsh_keyring_unref(keyring);
}

static void it_opens_only_as_what_it_was_sealed(void **state)
{
    const struct fsh_seal_context others[] = {
        {FSH_SEAL_TOKEN, "ann", 3, 7, NULL},         {FSH_SEAL_SECRETS, "bob", 3, 7, NULL},
        {FSH_SEAL_SECRETS, "an", 3, 7, NULL},        {FSH_SEAL_SECRETS, "anna", 3, 7, NULL},
        {FSH_SEAL_SECRETS, "", 3, 7, NULL},          {FSH_SEAL_SECRETS, "ann", 4, 7, NULL},
        {FSH_SEAL_SECRETS, "ann", 3, 8, NULL},       {FSH_SEAL_SECRETS, "ann", 7, 3, NULL},
        {FSH_SEAL_SECRETS, "ann", 3, 7, cookie_one},
    };
    struct fsh_keyring *keyring = ring(key_one);
    struct sealed sealed = seal(keyring, &ann, "refresh token");

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(opens(keyring, &others[i], sealed, ""));
    free(sealed.bytes);
    fsh_keyring_unref(keyring);
}

static void swapped_records_are_refused(void **state)
{
    const struct fsh_seal_context bob = {FSH_SEAL_SECRETS, "bob", 3, 7, NULL};
    struct fsh_keyring *keyring = ring(key_one);
    struct sealed of_ann = seal(keyring, &ann, "of ann");
    struct sealed of_bob = seal(keyring, &bob, "of bob");

    (void)state;
    assert_false(opens(keyring, &ann, of_bob, ""));
    assert_false(opens(keyring, &bob, of_ann, ""));
    assert_true(opens(keyring, &ann, of_ann, "of ann"));
    assert_true(opens(keyring, &bob, of_bob, "of bob"));
    free(of_ann.bytes);
    free(of_bob.bytes);
    fsh_keyring_unref(keyring);
}

static void a_session_key_is_needed_beside_the_hosts(void **state)
{
    struct fsh_seal_context context = {FSH_SEAL_TOKEN, "browser", 1, 1, cookie_one};
    struct fsh_keyring *keyring = ring(key_one);
    struct fsh_keyring *other = ring(key_two);
    struct sealed sealed = seal(keyring, &context, "token");

    (void)state;
    assert_true(opens(keyring, &context, sealed, "token"));
    assert_false(opens(other, &context, sealed, ""));
    context.session_key = cookie_two;
    assert_false(opens(keyring, &context, sealed, ""));
    context.session_key = NULL;
    assert_false(opens(keyring, &context, sealed, ""));
    free(sealed.bytes);
    fsh_keyring_unref(keyring);
    fsh_keyring_unref(other);
}

static struct sealed reseal(struct fsh_keyring *keyring, const struct fsh_seal_context *context,
                            struct sealed old)
{
    struct sealed sealed = {0};
    char why[FSH_SEAL_WHY];

    assert_int_equal(fsh_reseal(keyring, context, old.bytes, old.len, &sealed.bytes, &sealed.len,
                                why, sizeof(why)),
                     FRESHET_OK);
    free(old.bytes);
    return sealed;
}

/* The host's keys rotate without the session's, and the old one is not needed afterwards. */
static void what_is_sealed_is_sealed_anew_with_another_key(void **state)
{
    const struct fsh_seal_context plain = {FSH_SEAL_TOKEN, "service", 1, 1, NULL};
    struct fsh_seal_context browser = {FSH_SEAL_TOKEN, "browser", 1, 1, cookie_one};
    struct fsh_keyring *keyring = ring(key_one);
    struct fsh_keyring *after = ring(key_two);
    struct fsh_keys *both = NULL;
    struct sealed one = seal(keyring, &plain, "of a service");
    struct sealed two = seal(keyring, &browser, "of a browser");

    (void)state;
    assert_int_equal(fsh_keys_new(&both), FRESHET_OK);
    assert_int_equal(fsh_keys_add(both, key_one), FRESHET_OK);
    assert_int_equal(fsh_keys_add(both, key_two), FRESHET_OK);
    fsh_keyring_replace(keyring, both);
    fsh_keys_unref(both);
    assert_false(opens(after, &plain, one, ""));
    browser.session_key = NULL;
    one = reseal(keyring, &plain, one);
    two = reseal(keyring, &browser, two);
    assert_true(opens(after, &plain, one, "of a service"));
    assert_false(opens(after, &browser, two, ""));
    browser.session_key = cookie_one;
    assert_true(opens(after, &browser, two, "of a browser"));
    free(one.bytes);
    free(two.bytes);
    fsh_keyring_unref(keyring);
    fsh_keyring_unref(after);
}

static void what_does_not_open_is_not_sealed_anew(void **state)
{
    const struct fsh_seal_context bob = {FSH_SEAL_SECRETS, "bob", 3, 7, NULL};
    struct fsh_keyring *keyring = ring(key_one);
    struct sealed sealed = seal(keyring, &ann, "of ann");
    struct sealed out = {0};
    char why[FSH_SEAL_WHY] = "";

    (void)state;
    assert_int_equal(
        fsh_reseal(keyring, &bob, sealed.bytes, sealed.len, &out.bytes, &out.len, why, sizeof(why)),
        FRESHET_ESTORE);
    assert_null(out.bytes);
    assert_true(strlen(why) > 40);
    free(sealed.bytes);
    fsh_keyring_unref(keyring);
}

static void why_not_says_what_to_do(void **state)
{
    struct fsh_keyring *keyring = ring(key_one);
    struct fsh_keyring *other = ring(key_two);
    struct sealed sealed = seal(keyring, &ann, "refresh token");
    struct fsh_secret out = {0};
    char why[FSH_SEAL_WHY];
    char id[FSH_KEY_ID_TEXT];

    (void)state;
    fsh_keyring_sealing(keyring, id);
    assert_int_equal(fsh_unseal(other, &ann, sealed.bytes, sealed.len, &out, why, sizeof(why)),
                     FRESHET_ESTORE);
    assert_non_null(strstr(why, id));
    assert_non_null(strstr(why, "bring that key file back"));
    sealed.bytes[0] = 2;
    assert_int_equal(fsh_unseal(keyring, &ann, sealed.bytes, sealed.len, &out, why, sizeof(why)),
                     FRESHET_ESTORE);
    assert_non_null(strstr(why, "newer Freshet"));
    sealed.bytes[0] = 1;
    sealed.bytes[sealed.len - 1] ^= 1;
    assert_int_equal(fsh_unseal(keyring, &ann, sealed.bytes, sealed.len, &out, why, sizeof(why)),
                     FRESHET_ESTORE);
    assert_non_null(strstr(why, "sign in again"));
    free(sealed.bytes);
    fsh_keyring_unref(keyring);
    fsh_keyring_unref(other);
}

static void what_is_over_the_bounds_is_not_sealed(void **state)
{
    struct fsh_keyring *keyring = ring(key_one);
    unsigned char *plain = calloc(1, FSH_SEAL_PLAIN_MAX + 1);
    char name[FSH_NAME_MAX + 2];
    struct fsh_seal_context context = {FSH_SEAL_SECRETS, name, 0, 0, NULL};
    struct sealed sealed = {0};

    (void)state;
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    assert_non_null(plain);
    assert_int_equal(
        fsh_seal(keyring, &ann, plain, FSH_SEAL_PLAIN_MAX + 1, &sealed.bytes, &sealed.len),
        FRESHET_ESTORE);
    assert_int_equal(fsh_seal(keyring, &context, plain, 1, &sealed.bytes, &sealed.len),
                     FRESHET_ESTORE);
    assert_null(sealed.bytes);
    name[FSH_NAME_MAX] = '\0';
    assert_int_equal(
        fsh_seal(keyring, &context, plain, FSH_SEAL_PLAIN_MAX, &sealed.bytes, &sealed.len),
        FRESHET_OK);
    free(sealed.bytes);
    free(plain);
    fsh_keyring_unref(keyring);
}

/* ---- what is sealed -------------------------------------------------------------------------- */

static struct fsh_secret secret(const char *text)
{
    struct fsh_secret copy = {0};

    assert_int_equal(fsh_base_secret_copy(text, strlen(text), &copy), FRESHET_OK);
    return copy;
}

static void kept_secrets_come_back(void **state)
{
    struct fsh_kept kept = {.refresh_token = secret("refresh"),
                            .device_group_key = secret("group")};
    struct fsh_kept read = {.device_key = secret("of before")};
    struct fsh_secret bytes = {0};

    (void)state;
    assert_int_equal(fsh_kept_encode(&kept, &bytes), FRESHET_OK);
    assert_int_equal(fsh_kept_decode(&bytes, &read), FRESHET_OK);
    assert_true(fsh_base_secret_equal(&read.refresh_token, &kept.refresh_token));
    assert_true(fsh_base_secret_empty(&read.device_key));
    assert_true(fsh_base_secret_equal(&read.device_group_key, &kept.device_group_key));
    fsh_base_secret_done(&bytes);
    fsh_store_kept_done(&kept);
    fsh_store_kept_done(&read);
}

/* Each prefix, and each with a byte more, is refused and leaves the output alone. */
static void kept_secrets_are_read_whole_or_not(void **state)
{
    struct fsh_kept kept = {.refresh_token = secret("refresh"), .device_key = secret("device")};
    struct fsh_kept read = {.device_key = secret("of before")};
    struct fsh_secret bytes = {0};
    struct fsh_secret part = {0};

    (void)state;
    assert_int_equal(fsh_kept_encode(&kept, &bytes), FRESHET_OK);
    for (size_t len = 0; len <= bytes.len; len++) {
        const char *from = fsh_base_secret_reveal(&bytes);

        /* At the end with the NUL behind it: one more. */
        assert_int_equal(fsh_base_secret_copy(from, len == bytes.len ? len + 1 : len, &part),
                         FRESHET_OK);
        assert_int_equal(fsh_kept_decode(&part, &read), FRESHET_ESTORE);
        assert_string_equal(fsh_base_secret_reveal(&read.device_key), "of before");
    }
    bytes.bytes[0]++;
    assert_int_equal(fsh_kept_decode(&bytes, &read), FRESHET_ESTORE);
    fsh_base_secret_done(&part);
    fsh_base_secret_done(&bytes);
    fsh_store_kept_done(&kept);
    fsh_store_kept_done(&read);
}

static struct fsh_token *token(const char *authorization, const char *header, const char *partner)
{
    char *partners[] = {strdup("fd1"), strdup(partner)};
    struct fsh_secret value = secret(authorization);
    struct fsh_token *made = NULL;

    assert_int_equal(fsh_token_new(NULL, 4, 9, (struct fsh_stamp){-5, UINT64_MAX}, 3600000, &value,
                                   header, partners, 2, &made),
                     FRESHET_OK);
    free(partners[0]);
    free(partners[1]);
    return made;
}

static void tokens_come_back_with_their_headers(void **state)
{
    struct fsh_token *made = token("Bearer abc", "X-Partner", "partner-id-\xc3\xb6");
    struct fsh_token *read = NULL;
    struct fsh_secret bytes = {0};

    (void)state;
    assert_int_equal(fsh_token_encode(made, &bytes), FRESHET_OK);
    assert_int_equal(fsh_token_decode(&bytes, NULL, &read), FRESHET_OK);
    assert_int_equal(read->incarnation, 4);
    assert_int_equal(read->generation, 9);
    assert_true(read->sent_at.ms == -5 && read->sent_at.boot == UINT64_MAX);
    assert_true(read->lifetime_ms == 3600000);
    assert_int_equal(read->partner_count, 2);
    assert_string_equal(read->bundles[1].list[0].value, "Bearer abc");
    assert_string_equal(read->bundles[1].list[1].name, "X-Partner");
    assert_string_equal(read->bundles[1].list[1].value, "partner-id-\xc3\xb6");
    fsh_base_secret_done(&bytes);
    fsh_token_unref(made);
    fsh_token_unref(read);
}

static void tokens_are_read_whole_or_not(void **state)
{
    struct fsh_token *made = token("Bearer abc", "X-Partner", "fd2");
    struct fsh_token *read = NULL;
    struct fsh_secret bytes = {0};
    struct fsh_secret part = {0};

    (void)state;
    assert_int_equal(fsh_token_encode(made, &bytes), FRESHET_OK);
    for (size_t len = 0; len <= bytes.len; len++) {
        assert_int_equal(fsh_base_secret_copy(fsh_base_secret_reveal(&bytes),
                                              len == bytes.len ? len + 1 : len, &part),
                         FRESHET_OK);
        assert_int_equal(fsh_token_decode(&part, NULL, &read), FRESHET_ESTORE);
    }
    assert_null(read);
    fsh_base_secret_done(&part);
    fsh_base_secret_done(&bytes);
    fsh_token_unref(made);
}

/* Rule 4: no control character in a token or an id, whatever a database says. */
static void what_no_header_may_hold_is_refused(void **state)
{
    static const struct {
        const char *authorization, *header, *partner;
    } rows[] = {
        {"Bearer a\r\nX-Evil: 1", "X-Partner", "fd2"},
        {"Bearer abc", "X-Partner", "fd2\r\nX-Evil: 1"},
        {"Bearer abc", "X-Partner: fd3\r\nX-Evil", "fd2"},
        {"Bearer abc", "X Partner", "fd2"},
        {"Bearer abc", "", "fd2"},
        {"Bearer abc", "X-Partner", ""},
        {"", "X-Partner", "fd2"},
        {"Bearer \x7f", "X-Partner", "fd2"},
    };
    struct fsh_token *fine = token("Bearer abcd", "X-Partner", "fd2");
    struct fsh_token *read = NULL;
    struct fsh_secret bytes = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fsh_token *bad = token(rows[i].authorization, rows[i].header, rows[i].partner);

        assert_int_equal(fsh_token_encode(bad, &bytes), FRESHET_ESTORE);
        fsh_token_unref(bad);
    }
    assert_int_equal(fsh_token_encode(fine, &bytes), FRESHET_OK);
    for (size_t i = 41; i < bytes.len; i++) {
        char kept = bytes.bytes[i];

        bytes.bytes[i] = '\n'; /* in a text, or in its length */
        assert_int_equal(fsh_token_decode(&bytes, NULL, &read), FRESHET_ESTORE);
        bytes.bytes[i] = kept;
    }
    assert_int_equal(fsh_token_decode(&bytes, NULL, &read), FRESHET_OK);
    fsh_token_unref(read);
    fsh_token_unref(fine);
    fsh_base_secret_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens),
        cmocka_unit_test(every_flipped_bit_is_refused),
        cmocka_unit_test(every_shorter_and_longer_one_is_refused),
        cmocka_unit_test(it_opens_only_as_what_it_was_sealed),
        cmocka_unit_test(swapped_records_are_refused),
        cmocka_unit_test(a_session_key_is_needed_beside_the_hosts),
        cmocka_unit_test(what_is_sealed_is_sealed_anew_with_another_key),
        cmocka_unit_test(what_does_not_open_is_not_sealed_anew),
        cmocka_unit_test(why_not_says_what_to_do),
        cmocka_unit_test(what_is_over_the_bounds_is_not_sealed),
        cmocka_unit_test(kept_secrets_come_back),
        cmocka_unit_test(kept_secrets_are_read_whole_or_not),
        cmocka_unit_test(tokens_come_back_with_their_headers),
        cmocka_unit_test(tokens_are_read_whole_or_not),
        cmocka_unit_test(what_no_header_may_hold_is_refused),
    };

    return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
