/* SPDX-License-Identifier: Apache-2.0 */
#include "store/codec.h"

#include "core/mutant.h"

#include <endian.h>
#include <freshet/status.h>
#include <string.h>

/* One walk over the fields serves both directions, so that they cannot drift apart. */
struct walk {
    bool writing;
    unsigned char *write;
    const unsigned char *read;
    bool good;
};

static void u64(struct walk *walk, uint64_t *field)
{
    uint64_t value = htole64(*field);

    if (walk->writing) {
        memcpy(walk->write, &value, sizeof(value));
        walk->write += sizeof(value);
        return;
    }
    memcpy(&value, walk->read, sizeof(value));
    walk->read += sizeof(value);
    *field = le64toh(value);
}

static void i64(struct walk *walk, int64_t *field)
{
    uint64_t bits = (uint64_t)*field;

    u64(walk, &bits);
    *field = (int64_t)bits;
}

/* A small number between 0 and `most`, in one byte. */
static unsigned small(struct walk *walk, unsigned value, unsigned most)
{
    if (walk->writing) {
        *walk->write++ = (unsigned char)value;
        return value;
    }
    value = *walk->read++;
    walk->good = walk->good && value <= most;
    return value;
}

/* A status: 0, or its negative in a byte. */
static int status(struct walk *walk, int value)
{
    return -(int)small(walk, (unsigned)-value, 255);
}

static void u32(struct walk *walk, uint32_t *field)
{
    uint64_t wide = *field;

    u64(walk, &wide);
    walk->good = walk->good && wide <= UINT32_MAX;
    *field = (uint32_t)wide;
}

static void stamp(struct walk *walk, struct fsh_stamp *field)
{
    i64(walk, &field->ms);
    u64(walk, &field->boot);
}

static void lease(struct walk *walk, struct fsh_lease *field)
{
    if (FSH_MUTANT(LOSSY))
        field->holder = 0;
    u64(walk, &field->holder);
    u64(walk, &field->attempt);
    u64(walk, &field->generation);
    stamp(walk, &field->until);
    field->purpose = (enum fsh_purpose)small(walk, field->purpose, FSH_PURPOSE_SIGN_IN);
}

static void fields(struct walk *walk, struct fsh_record *record)
{
    u64(walk, &record->incarnation);
    u64(walk, &record->generation);
    u64(walk, &record->reserved);
    record->phase = (enum fsh_phase)small(walk, record->phase, FSH_PHASE_HELD);
    record->reason = status(walk, record->reason);
    record->refreshable = small(walk, record->refreshable, 1) != 0;
    record->parked = status(walk, record->parked);
    i64(walk, &record->refresh_until.ms);
    i64(walk, &record->sign_in_at.ms);
    u32(walk, &record->refusals);
    lease(walk, &record->lease);
    u64(walk, &record->unresolved);
    stamp(walk, &record->unresolved_at);
}

void fsh_store_encode(const struct fsh_record *record, unsigned char ret_bytes[FSH_CODEC_BYTES])
{
    struct fsh_record copy = *record;
    struct walk walk = {.writing = true, .write = ret_bytes, .good = true};

    (void)small(&walk, FSH_CODEC_VERSION, FSH_CODEC_VERSION);
    fields(&walk, &copy);
}

int fsh_store_decode(const unsigned char *bytes, size_t len, struct fsh_record *ret_record)
{
    struct fsh_record record = {0};
    struct walk walk = {.read = bytes, .good = true};

    if (len != FSH_CODEC_BYTES || small(&walk, 0, FSH_CODEC_VERSION) != FSH_CODEC_VERSION)
        return FRESHET_ESTORE;
    fields(&walk, &record);
    if (!walk.good || record.generation > record.reserved)
        return FRESHET_ESTORE;
    *ret_record = record;
    return FRESHET_OK;
}
