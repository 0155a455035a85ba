/* SPDX-License-Identifier: Apache-2.0 */

/* A program's own free(3): whatever is freed is wiped.
 *
 * libcurl and jansson have hooks for it, but libcurl's reaches neither its TLS library nor stdio,
 * and must be set before anything else uses libcurl; a program may replace free(3) for all of them.
 * It is linked into the programs, never into libfreshet: a library must not decide this for its
 * process. Not with sanitizers, which have their own. docs/decisions/0014-command-line.md */

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* glibc's own, under the names that it exports for this. */
void __libc_free(void *ptr);
void *__libc_realloc(void *ptr, size_t size);

/* The libraries' calls come here, too. */
#define FOR_ALL __attribute__((visibility("default")))

FOR_ALL void free(void *ptr)
{
    if (ptr)
        explicit_bzero(ptr, malloc_usable_size(ptr));
    __libc_free(ptr);
}

FOR_ALL void *realloc(void *ptr, size_t size)
{
    size_t has = malloc_usable_size(ptr);
    void *larger;

    if (!ptr || size == 0 || size <= has) {
        if (ptr && size < has)
            explicit_bzero((char *)ptr + size, has - size);
        return __libc_realloc(ptr, size);
    }
    larger = malloc(size);
    if (!larger)
        return NULL;
    memcpy(larger, ptr, has);
    free(ptr);
    return larger;
}
