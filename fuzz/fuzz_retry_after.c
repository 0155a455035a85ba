/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "base/bounds.h"
#include "profile/retry_after.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[128];
    int64_t ms;

    if (size >= sizeof(text))
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    ms = fsh_profile_retry_after(text, text, (struct fsh_wall){INT64_C(784111777000)});
    if (ms < -1 || ms > FSH_RETRY_AFTER_MS)
        __builtin_trap();
    return 0;
}
