/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *dev_base64url(const void *bytes, size_t len)
{
    const unsigned char *in = bytes;
    char *text = malloc(len / 3 * 4 + 5);
    size_t at = 0;
    uint32_t bits = 0;
    unsigned held = 0;

    if (!text)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        bits = (bits << 8) | in[i];
        for (held += 8; held >= 6; held -= 6)
            text[at++] = base64url_digits[(bits >> (held - 6)) & 63];
    }
    if (held > 0)
        text[at++] = base64url_digits[(bits << (6 - held)) & 63];
    text[at] = '\0';
    return text;
}

static int base64url_value(char c)
{
    const char *digit = c == '\0' ? NULL : strchr(base64url_digits, c);

    return digit ? (int)(digit - base64url_digits) : -1;
}

ptrdiff_t dev_base64url_decode(const char *text, size_t len, unsigned char *out, size_t room)
{
    size_t at = 0;
    uint32_t bits = 0;
    unsigned held = 0;

    if (len % 4 == 1)
        return -1;
    for (size_t i = 0; i < len; i++) {
        int value = base64url_value(text[i]);

        if (value < 0)
            return -1;
        bits = (bits << 6) | (uint32_t)value;
        held += 6;
        if (held < 8)
            continue;
        if (at == room)
            return -1;
        held -= 8;
        out[at++] = (unsigned char)(bits >> held);
    }
    /* Bits that say nothing must be zero, else a token would have several spellings. */
    return (bits & ((1U << held) - 1)) == 0 ? (ptrdiff_t)at : -1;
}

void dev_base32(const unsigned char *bytes, size_t len, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint32_t bits = 0;
    unsigned held = 0;

    for (size_t i = 0; i < len; i++) {
        bits = (bits << 8) | bytes[i];
        for (held += 8; held >= 5; held -= 5)
            *out++ = digits[(bits >> (held - 5)) & 31];
    }
    if (held > 0)
        *out++ = digits[(bits << (5 - held)) & 31];
    *out = '\0';
}

void dev_digest(const void *bytes, size_t len, unsigned char out[DEV_DIGEST_LEN])
{
    if (EVP_Digest(bytes, len, out, NULL, EVP_sha256(), NULL) != 1)
        abort(); /* SHA-256 is built in; only a lack of memory gets here */
}

void dev_random(void *out, size_t len)
{
    if (RAND_bytes(out, (int)len) != 1)
        abort();
}

char *dev_random_text(const char *prefix)
{
    unsigned char bytes[32];
    char *random;
    char *text = NULL;

    dev_random(bytes, sizeof(bytes));
    random = dev_base64url(bytes, sizeof(bytes));
    if (random) {
        size_t room = strlen(prefix) + strlen(random) + 1;

        text = malloc(room);
        if (text)
            (void)snprintf(text, room, "%s%s", prefix, random);
    }
    free(random);
    return text;
}
