/* SPDX-License-Identifier: Apache-2.0 */

/* The cookie of a browser: what is one, and what is not. */

#include "keeper/cookie.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOOD  "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v"
#define OTHER "BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v"

static const struct {
    const char *header;
    enum fsh_cookie_found found;
} rows[] = {
    {NULL, FSH_COOKIE_NONE},
    {"", FSH_COOKIE_NONE},
    {";", FSH_COOKIE_NONE},
    {"a=b", FSH_COOKIE_NONE},
    {"__Host-freshet", FSH_COOKIE_NONE},
    {"__host-freshet=" GOOD, FSH_COOKIE_NONE},
    {"__Host-freshet2=" GOOD, FSH_COOKIE_NONE},
    {"x__Host-freshet=" GOOD, FSH_COOKIE_NONE},
    {"freshet-dev=" GOOD, FSH_COOKIE_NONE},
    {"a=__Host-freshet=" GOOD, FSH_COOKIE_NONE},
    {"__Host-freshet=" GOOD, FSH_COOKIE_ONE},
    {"  __Host-freshet=" GOOD " ;", FSH_COOKIE_ONE},
    {"a=b; __Host-freshet=" GOOD "; c=d", FSH_COOKIE_ONE},
    {"a;;b;__Host-freshet=" GOOD, FSH_COOKIE_ONE},
    {"__Host-freshet=", FSH_COOKIE_BAD},
    {"__Host-freshet=x", FSH_COOKIE_BAD},
    {"__Host-freshet=\"" GOOD "\"", FSH_COOKIE_BAD},
    {"__Host-freshet=" GOOD "A", FSH_COOKIE_BAD},
    {"__Host-freshet=" GOOD "=", FSH_COOKIE_BAD},
    {"__Host-freshet= " GOOD, FSH_COOKIE_BAD},
    {"__Host-freshet=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4",
     FSH_COOKIE_BAD},
    {"__Host-freshet=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4+",
     FSH_COOKIE_BAD},
    {"__Host-freshet=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygp issLS4v",
     FSH_COOKIE_BAD},
    /* libsodium would take these bytes for characters. */
    {"__Host-freshet=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKi\x8d\x8c\xb3\xac"
     "4v",
     FSH_COOKIE_BAD},
    {"__Host-freshet=" GOOD "; __Host-freshet=" GOOD, FSH_COOKIE_BAD},
    {"__Host-freshet=" GOOD "; __Host-freshet=" OTHER, FSH_COOKIE_BAD},
    {"__Host-freshet=x; __Host-freshet=" GOOD, FSH_COOKIE_BAD},
};

static void what_is_a_cookie(void **state)
{
    const struct fsh_cookie_kind kind = fsh_cookie_kind("https://app.example.com");
    unsigned char expected[sizeof(struct fsh_cookie)];

    (void)state;
    for (size_t i = 0; i < sizeof(expected); i++)
        expected[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fsh_cookie cookie = {{0}, {0}};
        const struct fsh_cookie untouched = {{0}, {0}};
        enum fsh_cookie_found found = fsh_cookie_read(&kind, rows[i].header, &cookie);

        if (found != rows[i].found)
            print_message("%s\n", rows[i].header ? rows[i].header : "NULL");
        assert_int_equal(found, rows[i].found);
        assert_memory_equal(&cookie, found == FSH_COOKIE_ONE ? (const void *)expected : &untouched,
                            sizeof(cookie));
    }
}

/* Within the bound it is found wherever it stands; beyond it nothing is. */
static void long_headers_are_bounded(void **state)
{
    const struct fsh_cookie_kind kind = fsh_cookie_kind("https://app.example.com");
    static const char own[] = "; __Host-freshet=" GOOD;
    struct fsh_cookie cookie;
    char *header = malloc(FSH_COOKIE_HEADER_MAX + 2);

    (void)state;
    assert_non_null(header);
    memset(header, 'a', FSH_COOKIE_HEADER_MAX + 1);
    header[FSH_COOKIE_HEADER_MAX + 1] = '\0';
    memcpy(header + FSH_COOKIE_HEADER_MAX - (sizeof(own) - 1), own, sizeof(own));
    assert_int_equal(strlen(header), FSH_COOKIE_HEADER_MAX);
    assert_int_equal(fsh_cookie_read(&kind, header, &cookie), FSH_COOKIE_ONE);
    memmove(header + 1, header, FSH_COOKIE_HEADER_MAX + 1);
    assert_int_equal(fsh_cookie_read(&kind, header, &cookie), FSH_COOKIE_BAD);
    free(header);
}

static void what_is_written_is_read(void **state)
{
    static const struct {
        const char *origin;
        const char *begins;
        const char *ends;
    } kinds[] = {
        {"https://app.example.com",
         "__Host-freshet=", "; Path=/; Secure; HttpOnly; SameSite=Strict"},
        {"http://127.0.0.1:8080", "freshet-dev=", "; Path=/; HttpOnly; SameSite=Strict"},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const struct fsh_cookie_kind kind = fsh_cookie_kind(kinds[i].origin);
        char line[FSH_COOKIE_LINE];
        struct fsh_cookie cookie;
        struct fsh_cookie again;
        size_t name = strlen(kinds[i].begins);

        fsh_cookie_random(&cookie);
        fsh_cookie_line(&kind, &cookie, line);
        assert_memory_equal(line, kinds[i].begins, name);
        assert_string_equal(line + name + FSH_COOKIE_TEXT, kinds[i].ends);
        line[name + FSH_COOKIE_TEXT] = '\0';
        assert_int_equal(fsh_cookie_read(&kind, line, &again), FSH_COOKIE_ONE);
        assert_memory_equal(&cookie, &again, sizeof(cookie));
        fsh_cookie_line(&kind, NULL, line);
        assert_memory_equal(line, kinds[i].begins, name);
        assert_string_equal(strstr(line, "; Max-Age"), "; Max-Age=0");
        assert_int_equal(line[name], ';');
    }
}

/* Every byte of a cookie counts, and the public id gives nothing of it away. */
static void hashes_tell_cookies_apart(void **state)
{
    unsigned char hash[FSH_COOKIE_HASH];
    unsigned char other[FSH_COOKIE_HASH];
    unsigned char back[FSH_COOKIE_HASH];
    char text[FSH_COOKIE_SHORT];
    struct fsh_cookie cookie;

    (void)state;
    fsh_cookie_random(&cookie);
    fsh_cookie_hash(&cookie, hash);
    for (size_t i = 0; i < sizeof(cookie); i++) {
        ((unsigned char *)&cookie)[i] ^= 1;
        fsh_cookie_hash(&cookie, other);
        assert_false(fsh_cookie_same(hash, other));
        ((unsigned char *)&cookie)[i] ^= 1;
    }
    fsh_cookie_hash(&cookie, other);
    assert_true(fsh_cookie_same(hash, other));
    assert_memory_not_equal(hash, cookie.id, sizeof(hash));
    fsh_cookie_short(hash, text);
    assert_true(fsh_cookie_unshort(text, back));
    assert_memory_equal(hash, back, sizeof(hash));
    text[21] = 'B'; /* the last character has four bits that must be zero */
    assert_false(fsh_cookie_unshort(text, back));
    assert_false(fsh_cookie_unshort("", back));
    assert_false(fsh_cookie_unshort("AAAAAAAAAAAAAAAAAAAAAAA", back));
    assert_false(fsh_cookie_unshort(NULL, back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_a_cookie),
        cmocka_unit_test(long_headers_are_bounded),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(hashes_tell_cookies_apart),
    };

    return cmocka_run_group_tests_name("keeper_cookie", tests, NULL, NULL);
}
