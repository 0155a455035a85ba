/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "base/bounds.h"
#include "keeper/browser.h"
#include "keeper/cookie.h"

#include <stdlib.h>
#include <string.h>

static void must(bool holds)
{
    if (!holds)
        __builtin_trap();
}

/* A cookie that is read is written as it stood in the header, once. */
static void read_header(const char *header)
{
    static const char *const origins[] = {"https://app.example.com", "http://127.0.0.1:8080"};

    for (size_t i = 0; i < 2; i++) {
        const struct fsh_cookie_kind kind = fsh_cookie_kind(origins[i]);
        char line[FSH_COOKIE_LINE];
        struct fsh_cookie cookie;
        const char *at;

        if (fsh_cookie_read(&kind, header, &cookie) != FSH_COOKIE_ONE)
            continue;
        fsh_cookie_line(&kind, &cookie, line);
        *strchr(line, ';') = '\0';
        must(strlen(line) == strlen(kind.name) + 1 + FSH_COOKIE_TEXT);
        at = strstr(header, line);
        must(at != NULL);
    }
}

/* A label that is read is written again as one that is read the same. */
static void read_label(const unsigned char *label, size_t len)
{
    char texts[FSH_LABEL_MAX + 3];
    char again_texts[FSH_LABEL_MAX + 3];
    unsigned char again[FSH_LABEL_MAX];
    struct fsh_browser_about about;
    struct fsh_browser_about same;
    const int64_t wall_ms = INT64_C(1790000000000);

    if (!fsh_browser_label_read(label, len, wall_ms, 1000, texts, &about))
        return;
    must(about.created_s <= 1000 && about.seen_s <= 1000);
    must(strlen(about.account) > 0 && strlen(about.account) <= FSH_BROWSER_ACCOUNT_MAX);
    len = fsh_browser_label_write(&about, wall_ms, 1000, again);
    must(len <= sizeof(again));
    must(fsh_browser_label_read(again, len, wall_ms, 1000, again_texts, &same));
    must(strcmp(about.account, same.account) == 0 && strcmp(about.agent, same.agent) == 0);
    must((about.partner == NULL) == (same.partner == NULL));
    must(about.created_s == same.created_s && about.seen_s == same.seen_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size == 0 || size > 16384)
        return 0;
    if (data[0] == 1) {
        read_label(data, size);
        return 0;
    }
    text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    read_header(text);
    free(text);
    return 0;
}
