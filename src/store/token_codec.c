/* SPDX-License-Identifier: Apache-2.0 */
#include "store/token_codec.h"

#include "base/bounds.h"
#include "store/bytes.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

#define AUTHORIZATION_MAX (FSH_TOKEN_MAX + 64) /* with its scheme */
#define HEADER_NAME_MAX   64

/* ---- what a token may be --------------------------------------------------------------------- */

/* No control character goes into a header, and nothing ends early. */
static bool clean(const char *bytes, size_t len, size_t most)
{
    if (len == 0 || len > most)
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c < 0x20 || c == 0x7f)
            return false;
    }
    return true;
}

static bool header_name(const char *bytes, size_t len)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    return clean(bytes, len, HEADER_NAME_MAX) && strspn(bytes, allowed) >= len;
}

static bool good(const struct fsh_token *token)
{
    if (token->lifetime_ms < 1 || token->partner_count > FSH_PARTNERS_MAX ||
        !clean(fsh_base_secret_reveal(&token->authorization), token->authorization.len,
               AUTHORIZATION_MAX) ||
        !header_name(token->partner_header, strlen(token->partner_header)))
        return false;
    for (size_t i = 0; i < token->partner_count; i++) {
        if (!clean(token->partners[i], strlen(token->partners[i]), FSH_PARTNER_ID_MAX))
            return false;
    }
    return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

static size_t size_of(const struct fsh_token *token)
{
    size_t size = 1 + (size_t)5 * 8 + FSH_TEXT_BYTES(token->authorization.len) +
                  FSH_TEXT_BYTES(strlen(token->partner_header)) + 4;

    for (size_t i = 0; i < token->partner_count; i++)
        size += FSH_TEXT_BYTES(strlen(token->partners[i]));
    return size;
}

static void write_token(struct fsh_writer *writer, const struct fsh_token *token)
{
    fsh_write_u8(writer, FSH_TOKEN_CODEC_VERSION);
    fsh_write_u64(writer, token->incarnation);
    fsh_write_u64(writer, token->generation);
    fsh_write_u64(writer, (uint64_t)token->sent_at.ms);
    fsh_write_u64(writer, token->sent_at.boot);
    fsh_write_u64(writer, (uint64_t)token->lifetime_ms);
    fsh_write_text(writer, fsh_base_secret_reveal(&token->authorization), token->authorization.len);
    fsh_write_text(writer, token->partner_header, strlen(token->partner_header));
    fsh_write_u32(writer, (uint32_t)token->partner_count);
    for (size_t i = 0; i < token->partner_count; i++)
        fsh_write_text(writer, token->partners[i], strlen(token->partners[i]));
}

int fsh_token_encode(const struct fsh_token *token, struct fsh_secret *ret_bytes)
{
    struct fsh_writer writer;
    size_t len;
    char *bytes;

    if (!good(token))
        return FRESHET_ESTORE;
    len = size_of(token);
    bytes = malloc(len + 1);
    if (!bytes)
        return FRESHET_ENOMEM;
    writer.at = (unsigned char *)bytes;
    write_token(&writer, token);
    bytes[len] = '\0';
    fsh_base_secret_adopt(ret_bytes, bytes, len);
    return FRESHET_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A token's fields on the way. The strings are copies, for they end with NUL. */
struct parts {
    uint64_t incarnation;
    uint64_t generation;
    struct fsh_stamp sent_at;
    int64_t lifetime_ms;
    struct fsh_secret authorization;
    char header[HEADER_NAME_MAX + 1];
    char *partners[FSH_PARTNERS_MAX];
    size_t partner_count;
};

static void parts_done(struct parts *parts)
{
    fsh_base_secret_done(&parts->authorization);
    for (size_t i = 0; i < parts->partner_count; i++)
        free(parts->partners[i]);
}

static int read_partners(struct fsh_reader *reader, struct parts *parts)
{
    uint32_t count = fsh_read_u32(reader);

    if (count > FSH_PARTNERS_MAX)
        return FRESHET_ESTORE;
    for (uint32_t i = 0; i < count; i++) {
        size_t len;
        const char *bytes = fsh_read_text(reader, FSH_PARTNER_ID_MAX, &len);

        if (!clean(bytes, len, FSH_PARTNER_ID_MAX))
            return FRESHET_ESTORE;
        parts->partners[i] = strndup(bytes, len);
        if (!parts->partners[i])
            return FRESHET_ENOMEM;
        parts->partner_count++;
    }
    return FRESHET_OK;
}

static int read_headers(struct fsh_reader *reader, struct parts *parts)
{
    size_t len;
    const char *bytes = fsh_read_text(reader, AUTHORIZATION_MAX, &len);
    int status;

    if (!clean(bytes, len, AUTHORIZATION_MAX))
        return FRESHET_ESTORE;
    status = fsh_base_secret_copy(bytes, len, &parts->authorization);
    if (status != FRESHET_OK)
        return status;
    bytes = fsh_read_text(reader, HEADER_NAME_MAX, &len);
    memcpy(parts->header, bytes, len);
    if (!header_name(parts->header, len))
        return FRESHET_ESTORE;
    return read_partners(reader, parts);
}

static int read_parts(struct fsh_reader *reader, struct parts *parts)
{
    int status;

    if (fsh_read_u8(reader) != FSH_TOKEN_CODEC_VERSION)
        return FRESHET_ESTORE;
    parts->incarnation = fsh_read_u64(reader);
    parts->generation = fsh_read_u64(reader);
    parts->sent_at.ms = (int64_t)fsh_read_u64(reader);
    parts->sent_at.boot = fsh_read_u64(reader);
    parts->lifetime_ms = (int64_t)fsh_read_u64(reader);
    if (parts->lifetime_ms < 1)
        return FRESHET_ESTORE;
    status = read_headers(reader, parts);
    if (status == FRESHET_OK && !fsh_read_whole(reader))
        status = FRESHET_ESTORE;
    return status;
}

int fsh_token_decode(const struct fsh_secret *bytes, struct fsh_shelf *shelf,
                     struct fsh_token **ret_token)
{
    struct fsh_reader reader = {(const unsigned char *)fsh_base_secret_reveal(bytes), bytes->len,
                                false};
    struct parts parts = {0};
    int status = read_parts(&reader, &parts);

    if (status == FRESHET_OK)
        status = fsh_token_new(shelf, parts.incarnation, parts.generation, parts.sent_at,
                               parts.lifetime_ms, &parts.authorization, parts.header,
                               parts.partners, parts.partner_count, ret_token);
    parts_done(&parts);
    return status;
}
