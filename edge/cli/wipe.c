/* SPDX-License-Identifier: Apache-2.0 */

/* Secrets leave nothing behind in this process, and nobody looks into it.
 *
 * Whatever is freed is wiped. libcurl and jansson have hooks for it, but libcurl's would set it up
 * before it is known to be needed, and its TLS library and stdio have none; a program may replace
 * free(3) for all of them. docs/decisions/0014-command-line.md */

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

#ifndef FSH_CLI_SANITIZED /* which have their own free(3), and look into the process */

/* glibc's own, under the names that it exports for this. */
void __libc_free(void *block);
void *__libc_realloc(void *block, size_t size);

void free(void *block)
{
    fsh_cli_wipe(block, malloc_usable_size(block));
    __libc_free(block);
}

void *realloc(void *block, size_t size)
{
    size_t has = malloc_usable_size(block);
    void *larger;

    if (!block || size == 0 || size <= has) {
        if (block && size < has)
            fsh_cli_wipe((char *)block + size, has - size);
        return __libc_realloc(block, size);
    }
    larger = malloc(size);
    if (!larger)
        return NULL;
    memcpy(larger, block, has);
    free(block);
    return larger;
}

#endif

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
