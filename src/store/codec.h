/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_STORE_CODEC_H
#define FSH_STORE_CODEC_H

#include "core/record.h"

#include <stddef.h>

/* A record as bytes, for stores that keep it on a disk or elsewhere: a version, then the fields in
 * a fixed order, little-endian, so that any host reads what any other wrote. */

#define FSH_CODEC_VERSION 1
#define FSH_CODEC_BYTES   118

void fsh_store_encode(const struct fsh_record *record, unsigned char ret_bytes[FSH_CODEC_BYTES]);

/* FRESHET_ESTORE, and *ret_record as it was, for bytes of another version or length, or with a
 * field out of its range: a record that cannot be read is unavailable, never an ended session. */
int fsh_store_decode(const unsigned char *bytes, size_t len, struct fsh_record *ret_record);

#endif
