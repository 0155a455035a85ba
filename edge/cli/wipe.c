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
void __libc_free(void *ptr);
void *__libc_realloc(void *ptr, size_t size);

void free(void *ptr)
{
    fsh_cli_wipe(ptr, malloc_usable_size(ptr));
    __libc_free(ptr);
}

void *realloc(void *ptr, size_t size)
{
    size_t has = malloc_usable_size(ptr);
    void *larger;

    if (!ptr || size == 0 || size <= has) {
        if (ptr && size < has)
            fsh_cli_wipe((char *)ptr + size, has - size);
        return __libc_realloc(ptr, size);
    }
    larger = malloc(size);
    if (!larger)
        return NULL;
    memcpy(larger, ptr, has);
    free(ptr);
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
