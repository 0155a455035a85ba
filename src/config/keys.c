/* SPDX-License-Identifier: Apache-2.0 */
#include "config/keys.h"

#include <ctype.h>
#include <string.h>

/* Names longer than this are near to nothing. */
#define NAME_MAX_NEAR 128

static const char *const headings[] = {
#define FRESHET_SECTION(name, heading, doc) heading,
#define FRESHET_KEY(section, name, type, times, preset, doc)
#include "config/keys.def"
#undef FRESHET_SECTION
#undef FRESHET_KEY
};

static const struct fsh_config_key keys[] = {
#define FRESHET_SECTION(name, heading, doc)
#define FRESHET_KEY(section, name, type, times, preset, doc)                                       \
    {FSH_CONFIG_##section, #name, FSH_CONFIG_TYPE_##type, FSH_CONFIG_##times, preset},
#include "config/keys.def"
#undef FRESHET_SECTION
#undef FRESHET_KEY
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

const struct fsh_config_key *fsh_config_keys(enum fsh_config_kind kind, size_t *ret_count)
{
    size_t first = 0;
    size_t count = 0;

    while (first < KEYS && keys[first].kind != kind)
        first++;
    while (first + count < KEYS && keys[first + count].kind == kind)
        count++;
    *ret_count = count;
    return &keys[first < KEYS ? first : 0];
}

const char *fsh_config_heading(enum fsh_config_kind kind)
{
    return headings[kind];
}

const struct fsh_config_key *fsh_config_key(enum fsh_config_kind kind, const char *name)
{
    size_t count;
    const struct fsh_config_key *own = fsh_config_keys(kind, &count);

    for (size_t i = 0; i < count; i++) {
        if (strcmp(own[i].name, name) == 0)
            return &own[i];
    }
    return NULL;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters must be added, dropped, changed or swapped with their neighbour to make one of
 * the other (optimal string alignment), whatever their case. */
static size_t distance(const char *from, const char *to)
{
    size_t rows[3][NAME_MAX_NEAR + 1];
    size_t *before = rows[0];
    size_t *above = rows[1];
    size_t *row = rows[2];
    size_t width = strlen(to);

    for (size_t j = 0; j <= width; j++)
        above[j] = j;
    for (size_t i = 1; from[i - 1]; i++) {
        size_t *spare = before;

        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            bool same = tolower((unsigned char)from[i - 1]) == tolower((unsigned char)to[j - 1]);

            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + !same);
            if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
        row = spare;
    }
    return above[width];
}

const char *fsh_config_nearest(const char *name, const char *const *names, size_t count)
{
    size_t len = strlen(name);
    /* A third of a name wrong, or two letters, is a slip; more is another name. */
    size_t best = (len / 3 > 2 ? len / 3 : 2) + 1;
    const char *nearest = NULL;

    if (len == 0 || len > NAME_MAX_NEAR)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t far;

        if (strlen(names[i]) > NAME_MAX_NEAR)
            continue;
        far = distance(name, names[i]);
        /* Nothing of the name would be left. */
        if (far < best && far < least(len, strlen(names[i]))) {
            best = far;
            nearest = names[i];
        }
    }
    return nearest;
}
