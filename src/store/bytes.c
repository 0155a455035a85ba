/* SPDX-License-Identifier: Apache-2.0 */
#include "store/bytes.h"

#include <string.h>

static void number(struct fsh_writer *writer, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *writer->at++ = (unsigned char)(value >> (8 * i));
}

void fsh_write(struct fsh_writer *writer, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(writer->at, bytes, len);
    writer->at += len;
}

void fsh_write_u8(struct fsh_writer *writer, unsigned value)
{
    number(writer, value, 1);
}

void fsh_write_u32(struct fsh_writer *writer, uint32_t value)
{
    number(writer, value, 4);
}

void fsh_write_u64(struct fsh_writer *writer, uint64_t value)
{
    number(writer, value, 8);
}

void fsh_write_text(struct fsh_writer *writer, const char *bytes, size_t len)
{
    fsh_write_u32(writer, (uint32_t)len);
    fsh_write(writer, bytes, len);
}

static uint64_t read_number(struct fsh_reader *reader, size_t bytes)
{
    uint64_t value = 0;

    if (reader->bad || reader->left < bytes) {
        reader->bad = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)reader->at[i] << (8 * i);
    reader->at += bytes;
    reader->left -= bytes;
    return value;
}

unsigned fsh_read_u8(struct fsh_reader *reader)
{
    return (unsigned)read_number(reader, 1);
}

uint32_t fsh_read_u32(struct fsh_reader *reader)
{
    return (uint32_t)read_number(reader, 4);
}

uint64_t fsh_read_u64(struct fsh_reader *reader)
{
    return read_number(reader, 8);
}

const char *fsh_read_text(struct fsh_reader *reader, size_t most, size_t *ret_len)
{
    size_t len = fsh_read_u32(reader);
    const char *bytes = (const char *)reader->at;

    if (reader->bad || len > most || len > reader->left) {
        reader->bad = true;
        *ret_len = 0;
        return "";
    }
    reader->at += len;
    reader->left -= len;
    *ret_len = len;
    return bytes;
}

bool fsh_read_whole(const struct fsh_reader *reader)
{
    return !reader->bad && reader->left == 0;
}
