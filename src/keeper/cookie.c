/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/cookie.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define BYTES (FSH_COOKIE_ID + FSH_COOKIE_KEY)

_Static_assert(BYTES * 4 == FSH_COOKIE_TEXT * 3, "no bit of the text is without meaning");
_Static_assert(sizeof(struct fsh_cookie) == BYTES, "the struct is the bytes");

struct fsh_cookie_kind fsh_cookie_kind(const char *origin)
{
    if (origin && strncmp(origin, "http://", 7) == 0)
        return (struct fsh_cookie_kind){.name = "freshet-dev", .secure = false};
    return (struct fsh_cookie_kind){.name = "__Host-freshet", .secure = true};
}

void fsh_cookie_random(struct fsh_cookie *ret_cookie)
{
    randombytes_buf(ret_cookie, sizeof(*ret_cookie));
}

void fsh_cookie_hash(const struct fsh_cookie *cookie, unsigned char ret_hash[FSH_COOKIE_HASH])
{
    (void)crypto_generichash(ret_hash, FSH_COOKIE_HASH, (const unsigned char *)cookie, BYTES, NULL,
                             0);
}

bool fsh_cookie_same(const unsigned char a[FSH_COOKIE_HASH], const unsigned char b[FSH_COOKIE_HASH])
{
    return sodium_memcmp(a, b, FSH_COOKIE_HASH) == 0;
}

/* Decodes in constant time; what is no base64url, or of another length, is refused. libsodium takes
 * bytes above 127 for characters (1.0.18): what is decoded must be written as it was read. */
static bool decode(const char *text, size_t text_len, unsigned char *ret_bytes, size_t len)
{
    char again[FSH_COOKIE_TEXT + 1];
    size_t got = 0;
    bool good = text_len < sizeof(again) &&
                sodium_base642bin(ret_bytes, len, text, text_len, NULL, &got, NULL,
                                  sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
                got == len;

    if (good) {
        (void)sodium_bin2base64(again, sizeof(again), ret_bytes, len,
                                sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        good = sodium_memcmp(again, text, text_len) == 0;
        sodium_memzero(again, sizeof(again));
    }
    return good;
}

static enum fsh_cookie_found read_value(const char *value, size_t len,
                                        struct fsh_cookie *ret_cookie)
{
    struct fsh_cookie cookie;
    enum fsh_cookie_found found = FSH_COOKIE_BAD;

    if (len == FSH_COOKIE_TEXT && decode(value, len, (unsigned char *)&cookie, BYTES)) {
        *ret_cookie = cookie;
        found = FSH_COOKIE_ONE;
    }
    sodium_memzero(&cookie, sizeof(cookie));
    return found;
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* Whether the pair in [at, end) has that name; its value, trimmed, is in *ret_value. */
static bool is_ours(const char *name, const char *at, const char *end, const char **ret_value,
                    size_t *ret_len)
{
    size_t name_len = strlen(name);

    at = skip_blanks(at, end);
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if ((size_t)(end - at) <= name_len || memcmp(at, name, name_len) != 0 || at[name_len] != '=')
        return false;
    *ret_value = at + name_len + 1;
    *ret_len = (size_t)(end - *ret_value);
    return true;
}

enum fsh_cookie_found fsh_cookie_read(const struct fsh_cookie_kind *kind, const char *header,
                                      struct fsh_cookie *ret_cookie)
{
    const char *ours = NULL;
    size_t ours_len = 0;
    size_t len = header ? strnlen(header, FSH_COOKIE_HEADER_MAX + 1) : 0;
    const char *end;

    if (len == 0)
        return FSH_COOKIE_NONE;
    if (len > FSH_COOKIE_HEADER_MAX)
        return FSH_COOKIE_BAD;
    end = header + len;
    for (const char *at = header; at < end;) {
        const char *stop = memchr(at, ';', (size_t)(end - at));
        const char *value;
        size_t value_len;

        if (!stop)
            stop = end;
        if (is_ours(kind->name, at, stop, &value, &value_len)) {
            if (ours)
                return FSH_COOKIE_BAD;
            ours = value;
            ours_len = value_len;
        }
        at = stop + 1;
    }
    return ours ? read_value(ours, ours_len, ret_cookie) : FSH_COOKIE_NONE;
}

void fsh_cookie_line(const struct fsh_cookie_kind *kind, const struct fsh_cookie *cookie,
                     char ret_line[FSH_COOKIE_LINE])
{
    char text[FSH_COOKIE_TEXT + 1] = "";

    if (cookie)
        (void)sodium_bin2base64(text, sizeof(text), (const unsigned char *)cookie, BYTES,
                                sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    (void)snprintf(ret_line, FSH_COOKIE_LINE, "%s=%s; Path=/; %sHttpOnly; SameSite=Strict%s",
                   kind->name, text, kind->secure ? "Secure; " : "", cookie ? "" : "; Max-Age=0");
    sodium_memzero(text, sizeof(text));
}

void fsh_cookie_short(const unsigned char bytes[FSH_COOKIE_HASH], char ret_text[FSH_COOKIE_SHORT])
{
    (void)sodium_bin2base64(ret_text, FSH_COOKIE_SHORT, bytes, FSH_COOKIE_HASH,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool fsh_cookie_unshort(const char *text, unsigned char ret_bytes[FSH_COOKIE_HASH])
{
    unsigned char bytes[FSH_COOKIE_HASH];

    if (!text || strlen(text) != FSH_COOKIE_SHORT - 1 ||
        !decode(text, FSH_COOKIE_SHORT - 1, bytes, sizeof(bytes)))
        return false;
    memcpy(ret_bytes, bytes, sizeof(bytes));
    return true;
}
