/* SPDX-License-Identifier: Apache-2.0 */

/* What libmicrohttpd lets through, and no honest client sends. */

#include "keeper/strict.h"

#include <microhttpd.h>
#include <stddef.h>
#include <string.h>

/* What a path takes in its query, where that is anything. Each word has a space behind it. */
static const struct {
    const char *pattern;
    const char *names;
} takers[] = {
    {"/v1/sessions/:name/headers", "partner min_valid_ms timeout_ms "},
    {"/v1/sessions/:name/token", "min_valid_ms timeout_ms "},
};

/* Gateways such as Caddy ask with the query of the request that they ask for. */
static bool takes_anything(const char *pattern)
{
    return strncmp(pattern, "/authz", sizeof("/authz") - 1) == 0;
}

static const char *names_of(const char *pattern)
{
    for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
        if (strcmp(takers[i].pattern, pattern) == 0)
            return takers[i].names;
    }
    return "";
}

/* The place of a name among names that end in spaces, as a bit; 0: it is none of them. */
static unsigned bit_of(const char *names, const char *name, size_t len)
{
    unsigned bit = 1;

    while (*names) {
        size_t word = strcspn(names, " ");

        if (word == len && memcmp(names, name, len) == 0)
            return bit;
        bit <<= 1;
        names += word + 1;
    }
    return 0;
}

struct arguments {
    const char *names;
    unsigned seen;
    bool strange;
};

static enum MHD_Result look_at_argument(void *data, enum MHD_ValueKind kind, const char *name,
                                        size_t name_len, const char *value, size_t value_len)
{
    struct arguments *arguments = data;
    unsigned bit = bit_of(arguments->names, name, name_len);

    (void)kind;
    /* One that comes twice means two things, and one with a NUL ends early. */
    if (bit == 0 || (arguments->seen & bit) || !value || memchr(value, '\0', value_len))
        arguments->strange = true;
    arguments->seen |= bit;
    return arguments->strange ? MHD_NO : MHD_YES;
}

bool fsh_strict_arguments(struct MHD_Connection *mhd, const char *pattern)
{
    struct arguments arguments = {.names = names_of(pattern)};

    if (takes_anything(pattern))
        return true;
    (void)MHD_get_connection_values_n(mhd, MHD_GET_ARGUMENT_KIND, look_at_argument, &arguments);
    return !arguments.strange;
}

static enum MHD_Result look_at_header(void *data, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    bool *sound = data;

    (void)kind;
    (void)name;
    for (const unsigned char *c = (const unsigned char *)value; c && *c && *sound; c++)
        *sound = (*c >= ' ' && *c != 0x7f) || *c == '\t';
    return *sound ? MHD_YES : MHD_NO;
}

bool fsh_strict_headers(struct MHD_Connection *mhd)
{
    bool sound = true;

    (void)MHD_get_connection_values(mhd, MHD_HEADER_KIND, look_at_header, &sound);
    return sound;
}
