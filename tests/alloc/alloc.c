/* SPDX-License-Identifier: Apache-2.0 */
#include "alloc.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <search.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_long countdown; /* to the one that fails; 0: nothing does */
static atomic_bool lasting;
static atomic_bool failed;

static bool fails(void)
{
    long left = atomic_load(&countdown);

    while (left > 1 && !atomic_compare_exchange_weak(&countdown, &left, left - 1)) {
        /* Another thread was counted. */
    }
    if (left != 1)
        return false;
    if (!atomic_load(&lasting) && !atomic_compare_exchange_strong(&countdown, &left, 0))
        return false;
    atomic_store(&failed, true);
    errno = ENOMEM;
    return true;
}

/* More than any operation allocates. */
#define MOST 5000

static long nth;

bool alloc_every(void (*once)(const void *what), const void *what)
{
    for (int forever = 0; forever < 2; forever++) {
        atomic_store(&lasting, forever != 0);
        nth = 0;
        do {
            nth++;
            atomic_store(&failed, false);
            once(what);
        } while (atomic_load(&failed) && nth < MOST);
        if (nth == MOST)
            return false;
    }
    return true;
}

void alloc_arm(void)
{
    atomic_store(&countdown, nth);
}

bool alloc_disarm(void)
{
    atomic_store(&countdown, 0);
    return atomic_load(&failed);
}

/* ---- our own code: the linker's --wrap gives these names ------------------------------------- */

/* NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t most);
void *__real_tsearch(const void *key, void **root, int (*compare)(const void *, const void *));
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t most);
int __wrap_asprintf(char **ret_text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *, const void *));

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t most)
{
    return fails() ? NULL : __real_strndup(text, most);
}

int __wrap_asprintf(char **ret_text, const char *format, ...)
{
    va_list args;
    int len;

    if (fails())
        return -1;
    va_start(args, format);
    len = vasprintf(ret_text, format, args);
    va_end(args);
    return len;
}

/* It allocates a node by itself. */
void *__wrap_tsearch(const void *key, void **root, int (*compare)(const void *, const void *))
{
    return fails() ? NULL : __real_tsearch(key, root, compare);
}
/* NOLINTEND(bugprone-reserved-identifier) */

/* ---- jansson and libcurl ----------------------------------------------------------------------
 */

/* The scanner of jansson 2.14 does not look whether its buffer grew: it leaves a character out, and
 * may read beyond the end. The buffer doubles from 16 bytes, so blocks of such a size are left
 * alone; src/profile/json.c sees to it beforehand that there is room. */
static bool of_the_scanner(size_t size)
{
    return size >= 32 && (size & (size - 1)) == 0;
}

static void *json_malloc(size_t size)
{
    return !of_the_scanner(size) && fails() ? NULL : __real_malloc(size);
}

void alloc_init(void)
{
    json_set_alloc_funcs(json_malloc, free);
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, __wrap_malloc, free, __wrap_realloc,
                             __wrap_strdup, __wrap_calloc) != CURLE_OK)
        abort();
}
