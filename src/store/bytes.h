/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_BYTES_H
#define FSH_STORE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers and strings as bytes, little-endian. Who writes has made room before; who reads finds out
 * at the end whether all of it was good. */

struct fsh_writer {
    unsigned char *at;
};

void fsh_write(struct fsh_writer *writer, const void *bytes, size_t len);
void fsh_write_u8(struct fsh_writer *writer, unsigned value);
void fsh_write_u32(struct fsh_writer *writer, uint32_t value);
void fsh_write_u64(struct fsh_writer *writer, uint64_t value);

/* A length in four bytes, then as many bytes. */
void fsh_write_text(struct fsh_writer *writer, const char *bytes, size_t len);
#define FSH_TEXT_BYTES(len) (4 + (size_t)(len))

struct fsh_reader {
    const unsigned char *at;
    size_t left;
    bool bad; /* something was missing or over its bound; what is read from then on is nothing */
};

unsigned fsh_read_u8(struct fsh_reader *reader);
uint32_t fsh_read_u32(struct fsh_reader *reader);
uint64_t fsh_read_u64(struct fsh_reader *reader);

/* The bytes within what is read, at most `most` of them; *ret_len is 0 when it is bad. */
const char *fsh_read_text(struct fsh_reader *reader, size_t most, size_t *ret_len);

/* Whether all was good and nothing is left. */
bool fsh_read_whole(const struct fsh_reader *reader);

#endif
