/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/clock.h"

#include <ctype.h>
#include <stdio.h>

uint64_t fsh_clock_boot(void)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    uint64_t id = 0;
    int digits = 0;
    int c;

    if (!file)
        return 0;
    /* The first 16 of its hexadecimal digits. */
    while (digits < 16 && (c = fgetc(file)) != EOF) {
        if (!isxdigit(c))
            continue;
        id = id << 4 | (uint64_t)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
        digits++;
    }
    (void)fclose(file);
    return id;
}
