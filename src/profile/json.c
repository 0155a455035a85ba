/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/json.h"

#include "base/bounds.h"

#include <freshet/status.h>
#include <stdlib.h>

/* jansson's scanner leaves a character out when it cannot grow its buffer, and goes on: so it is
 * seen to beforehand that it can. */
static bool can_scan(size_t len)
{
    void *room = malloc(2 * len + 64);
    bool enough = room != NULL;

    free(room);
    return enough;
}

/* NULL for a bad text and without memory alike. */
static int load(const char *text, size_t len, json_t **ret_json)
{
    json_error_t error;

    if (!can_scan(len))
        return FRESHET_ENOMEM;
    *ret_json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    /* jansson has words for whatever is wrong with a text. */
    return *ret_json || error.text[0] != '\0' ? FRESHET_OK : FRESHET_ENOMEM;
}

int fsh_profile_json_object(const char *text, size_t len, json_t **ret_json)
{
    json_t *json = NULL;
    int status;

    if (len > FSH_BODY_MAX)
        return FRESHET_EBADBODY;
    status = load(text, len, &json);
    /* Where it has no memory for a string, its words are those for a bad text: what is bad stays
     * so, and a verdict must not hang on a lack of memory. */
    if (status == FRESHET_OK && !json)
        status = load(text, len, &json);
    if (status == FRESHET_OK && !json_is_object(json)) {
        fsh_profile_json_done(json);
        status = FRESHET_EBADBODY;
    }
    if (status == FRESHET_OK)
        *ret_json = json;
    return status;
}

/* jansson hands its strings out as const, but they are this tree's own heap memory. A library must
 * not set jansson's allocator, which belongs to the whole process, so it wipes here. */
static void wipe_string(const json_t *string)
{
    union {
        const char *read;
        char *write;
    } text = {.read = json_string_value(string)};

    fsh_base_wipe(text.write, json_string_length(string));
}

static void wipe(json_t *json)
{
    const char *key;
    json_t *member;
    size_t index;

    if (json_is_string(json)) {
        wipe_string(json);
    } else if (json_is_object(json)) {
        json_object_foreach (json, key, member)
            wipe(member);
    } else if (json_is_array(json)) {
        json_array_foreach (json, index, member)
            wipe(member);
    }
}

void fsh_profile_json_done(json_t *json)
{
    if (!json)
        return;
    wipe(json);
    json_decref(json);
}

int fsh_profile_json_dump(const json_t *json, struct fsh_secret *ret_text)
{
    size_t len = json_dumpb(json, NULL, 0, JSON_COMPACT);
    char *text = len > 0 ? malloc(len + 1) : NULL;

    if (!text)
        return FRESHET_ENOMEM;
    if (json_dumpb(json, text, len, JSON_COMPACT) != len) {
        fsh_base_wipe(text, len);
        free(text);
        return FRESHET_ENOMEM;
    }
    text[len] = '\0';
    fsh_base_secret_adopt(ret_text, text, len);
    return FRESHET_OK;
}

/* The length of the UTF-8 sequence at `text` (RFC 3629, section 4), 0 when it is none. */
static size_t sequence(const unsigned char *text, size_t len)
{
    unsigned char lead = text[0];
    size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    unsigned char least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;

    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || more >= len)
        return 0;
    for (size_t i = 1; i <= more; i++) {
        if (text[i] < (i == 1 ? least : 0x80) || text[i] > (i == 1 ? most : 0xbf))
            return 0;
    }
    return more + 1;
}

bool fsh_profile_json_utf8(const char *text, size_t len)
{
    size_t step = 1;

    for (size_t i = 0; i < len && step > 0; i += step)
        step = sequence((const unsigned char *)text + i, len - i);
    return step > 0;
}
