/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "store/keys.h"

#include <string.h>
#include <strings.h>

/* A key file that is read is written again as it was. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[FSH_KEYS_TEXT_MAX];
    struct fsh_keys *keys = NULL;
    const char *why = NULL;
    size_t len;

    if (size > sizeof(text) || fsh_keys_new(&keys) != 0)
        return 0;
    if (fsh_keys_parse((const char *)data, size, keys, &why) == 0) {
        len = fsh_keys_format(keys, text);
        if (keys->count == 0 || keys->count > FSH_KEYS_MAX || len != size ||
            strncasecmp(text, (const char *)data, len) != 0)
            __builtin_trap();
    } else if (!why || strlen(why) == 0) {
        __builtin_trap();
    }
    fsh_keys_unref(keys);
    return 0;
}
