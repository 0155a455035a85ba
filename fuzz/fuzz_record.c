/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "store/codec.h"

#include <string.h>

/* What can be read is written again as it was. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fsh_record record;
    unsigned char again[FSH_CODEC_BYTES];

    if (fsh_store_decode(data, size, &record) != 0)
        return 0;
    fsh_store_encode(&record, again);
    if (memcmp(data, again, sizeof(again)) != 0)
        __builtin_trap();
    return 0;
}
