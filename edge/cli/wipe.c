/* SPDX-License-Identifier: Apache-2.0 */

/* Secrets leave nothing behind in this process, and nobody looks into it.
 *
 * Whatever is freed is wiped: src/wipe/free.c. docs/decisions/0014-command-line.md */

#include "cli.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

void fsh_cli_wipe(void *bytes, size_t len)
{
    if (bytes)
        explicit_bzero(bytes, len);
}

static void wipe_and_free(void *block)
{
    fsh_cli_wipe(block, malloc_usable_size(block));
    free(block);
}

void fsh_cli_harden(void)
{
    const struct rlimit none = {0, 0};

#ifndef FSH_CLI_SANITIZED
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
    (void)setrlimit(RLIMIT_CORE, &none);
    json_set_alloc_funcs(malloc, wipe_and_free);
}
