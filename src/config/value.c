/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include "base/bounds.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define DURATION_MAX_MS (366 * INT64_C(86400000))
#define NUMBER_MAX      10000000

static bool one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static bool number(const char *text, size_t len, int64_t most, int64_t *ret_number)
{
    int64_t sum = 0;

    for (size_t i = 0; i < len; i++) {
        if (!one_of(text[i], DIGITS))
            return false;
        sum = sum * 10 + (text[i] - '0');
        if (sum > most)
            return false;
    }
    *ret_number = sum;
    return len > 0;
}

int64_t fsh_config_number(const char *text)
{
    int64_t count;

    return number(text, strlen(text), NUMBER_MAX, &count) && count > 0 ? count : -1;
}

static bool good_number(const char *text)
{
    return fsh_config_number(text) > 0;
}

/* ---- durations --------------------------------------------------------------------------- */

int64_t fsh_config_duration(const char *text)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {
        {"", 1000},         {"ms", 1},          {"s", 1000},
        {"min", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000},
    };
    size_t digits = strspn(text, DIGITS);
    const char *unit = text + digits + strspn(text + digits, " ");
    int64_t count;

    if (!number(text, digits, DURATION_MAX_MS, &count))
        return -1;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].name) != 0)
            continue;
        if (count == 0 || count > DURATION_MAX_MS / units[i].ms)
            return -1;
        return count * units[i].ms;
    }
    return -1;
}

static bool good_duration(const char *text)
{
    return fsh_config_duration(text) > 0;
}

/* ---- URLs -------------------------------------------------------------------------------- */

/* host, or [IPv6], and what follows it in *ret_rest. */
static bool host(const char *text, const char **ret_rest, size_t *ret_len)
{
    size_t len;

    if (text[0] == '[') {
        len = strspn(text + 1, DIGITS "abcdefABCDEF:.") + 1;
        if (len < 3 || text[len] != ']')
            return false;
        len++;
    } else {
        len = strspn(text, DIGITS LETTERS "-._");
    }
    *ret_rest = text + len;
    *ret_len = len;
    return len > 0 && len < 256;
}

/* Whether the host is loopback by its name or number; what a name leads to is looked at when it is
 * connected to. */
static bool loopback(const char *text, size_t len)
{
    return (len == 9 && strncmp(text, "localhost", len) == 0) ||
           (len == 5 && strncmp(text, "[::1]", len) == 0) ||
           (len > 4 && strncmp(text, "127.", 4) == 0 && strspn(text, DIGITS ".") >= len);
}

/* The path behind an origin, or NULL. */
static const char *behind_origin(const char *text)
{
    bool secure = strncmp(text, "https://", 8) == 0;
    const char *name = text + (secure ? 8 : 7);
    const char *rest;
    size_t len;
    size_t digits;
    int64_t port;

    if (!secure && strncmp(text, "http://", 7) != 0)
        return NULL;
    if (!host(name, &rest, &len) || (!secure && !loopback(name, len)))
        return NULL;
    if (*rest != ':')
        return rest;
    digits = strspn(rest + 1, DIGITS);
    if (!number(rest + 1, digits, 65535, &port) || port == 0)
        return NULL;
    return rest + 1 + digits;
}

static bool good_url(const char *text)
{
    const char *path = behind_origin(text);

    return path && (*path == '\0' || *path == '/') && strpbrk(path, " \t?#\"<>\\^`{|}") == NULL;
}

static bool good_origin(const char *text)
{
    const char *path = behind_origin(text);

    return path && (*path == '\0' || strcmp(path, "/") == 0);
}

/* A name or password in it would be a secret in this file. */
static bool good_proxy(const char *text)
{
    static const char *const schemes[] = {"http://", "https://", "socks5://", "socks5h://"};
    const char *rest = NULL;
    size_t len;
    int64_t port;

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
            text += strlen(schemes[i]);
    }
    if (!host(text, &rest, &len))
        return false;
    if (*rest == '\0')
        return true;
    len = strlen(rest + 1);
    return *rest == ':' && number(rest + 1, len, 65535, &port) && port > 0;
}

/* ---- words ------------------------------------------------------------------------------- */

static bool good_text(const char *text)
{
    return strlen(text) <= FSH_CREDENTIAL_MAX;
}

static bool good_word(const char *text)
{
    return text[strspn(text, DIGITS LETTERS "-_")] == '\0';
}

static bool good_partner(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c <= ' ' || *c > '~')
            return false;
    }
    return strlen(text) <= FSH_PARTNER_ID_MAX;
}

static bool among(const char *text, const char *const *words)
{
    while (*words && strcmp(text, *words) != 0)
        words++;
    return *words != NULL;
}

static bool good_level(const char *text)
{
    return among(text, (const char *const[]){"error", "warning", "info", "debug", NULL});
}

static bool good_format(const char *text)
{
    return among(text, (const char *const[]){"text", "json", NULL});
}

static const char *const yes[] = {"yes", "true", "on", NULL};
static const char *const no[] = {"no", "false", "off", NULL};

static bool good_boolean(const char *text)
{
    return among(text, yes) || among(text, no);
}

/* uid:NAME, uid:NUMBER, or the same with gid. Numbers as the kernel has them; -1 is none. */
static bool good_peer(const char *text)
{
    size_t len = strlen(text);
    int64_t id;

    if (strncmp(text, "uid:", 4) != 0 && strncmp(text, "gid:", 4) != 0)
        return false;
    text += 4;
    len -= 4;
    if (one_of(text[0], DIGITS))
        return number(text, len, INT64_C(4294967294), &id);
    return len > 0 && len <= 32 && text[0] != '-' &&
           text[strspn(text, DIGITS LETTERS "-_.")] == '\0';
}

/* `words` separated by one space each: who, then verbs, none of them twice. */
static bool good_permission(const char *words)
{
    static const char *const verbs[] = {"read", "report", "admin"};
    unsigned seen = 0;
    char word[64];
    size_t len = strcspn(words, " ");

    if (len >= sizeof(word))
        return false;
    (void)snprintf(word, sizeof(word), "%.*s", (int)len, words);
    if (!good_peer(word))
        return false;
    for (words += len; *words; words += len) {
        unsigned verb = 0;

        words++;
        len = strcspn(words, " ");
        while (verb < 3 && (len != strlen(verbs[verb]) || strncmp(words, verbs[verb], len) != 0))
            verb++;
        if (verb == 3 || seen & 1U << verb)
            return false;
        seen |= 1U << verb;
    }
    return seen != 0;
}

static bool good_origins(const char *words)
{
    char word[512];
    size_t len;

    for (; *words; words += len + (words[len] == ' ')) {
        len = strcspn(words, " ");
        if (len >= sizeof(word))
            return false;
        (void)snprintf(word, sizeof(word), "%.*s", (int)len, words);
        if (!good_origin(word))
            return false;
    }
    return true;
}

/* ---- paths ------------------------------------------------------------------------------- */

/* Nobody expands ~ here; a file that is called so is written ./~. */
static bool good_path(const char *text)
{
    return text[0] != '~' && text[0] != '\0' && text[strlen(text) - 1] != '/';
}

static bool good_socket(const char *path)
{
    struct sockaddr_un address;

    return good_path(path) && strlen(path) < sizeof(address.sun_path);
}

static bool good_store(const char *text)
{
    if (strncmp(text, "sqlite:", 7) == 0)
        return good_path(text + 7) && text[7] != ':' && strncmp(text + 7, "file:", 5) != 0;
    if (strncmp(text, "keeper:", 7) == 0)
        return text[7] == '/' && good_socket(text + 7);
    return strcmp(text, "memory:") == 0;
}

static char *in_folder(const char *prefix, const char *path, const char *folder)
{
    char *joined;
    bool absolute = path[0] == '/';

    if (asprintf(&joined, "%s%s%s%s", prefix, absolute ? "" : folder,
                 absolute || strcmp(folder, "/") == 0 ? "" : "/", path) < 0)
        return NULL;
    return joined;
}

/* A file among the credentials that systemd hands to a service. For who has none, such as the
 * command line on the same configuration, it stays as it is written, and is no file. */
static char *credential(const char *text)
{
    const char *folder = secure_getenv("CREDENTIALS_DIRECTORY");
    char *joined;

    if (!folder || folder[0] != '/')
        return strdup(text);
    return asprintf(&joined, "%s%s", folder, text + strlen(FSH_CONFIG_CREDENTIALS) - 1) < 0
               ? NULL
               : joined;
}

/* As a browser writes it in the header Origin (RFC 6454, 6.2): it is compared byte by byte. */
static char *serialized(const char *text)
{
    char *made = strdup(text);
    size_t len = made ? strlen(made) : 0;

    if (!made || !good_origin(text))
        return made;
    for (size_t i = 0; i < len; i++)
        made[i] = (char)(made[i] >= 'A' && made[i] <= 'Z' ? made[i] + 32 : made[i]);
    if (made[len - 1] == '/')
        made[--len] = '\0';
    if (len > 12 && strncmp(made, "https:", 6) == 0 && strcmp(made + len - 4, ":443") == 0)
        made[len - 4] = '\0';
    else if (len > 10 && strncmp(made, "http:", 5) == 0 && strcmp(made + len - 3, ":80") == 0)
        made[len - 3] = '\0';
    return made;
}

/* ---- all --------------------------------------------------------------------------------- */

static const struct {
    bool (*good)(const char *text);
    const char *expects;
} types[] = {
    [FSH_CONFIG_TYPE_BOOLEAN] = {good_boolean, "yes or no"},
    [FSH_CONFIG_TYPE_DURATION] = {good_duration,
                                  "a duration such as 300, 500ms, 30s, 5min or 12h, at most 366d"},
    [FSH_CONFIG_TYPE_FILE] = {good_path, "the path of a file; ~ is not expanded"},
    [FSH_CONFIG_TYPE_FORMAT] = {good_format, "text or json"},
    [FSH_CONFIG_TYPE_INCLUDE] = {good_path,
                                 "the path of a file, or a pattern of paths; ~ is not expanded"},
    [FSH_CONFIG_TYPE_LEVEL] = {good_level, "error, warning, info or debug"},
    [FSH_CONFIG_TYPE_NUMBER] = {good_number, "a whole number from 1 to 10000000"},
    [FSH_CONFIG_TYPE_ORIGIN] = {good_origin, "https://HOST or https://HOST:PORT and no path (http "
                                             "for loopback only)"},
    [FSH_CONFIG_TYPE_ORIGINS] = {good_origins, "https://HOST or https://HOST:PORT and no path "
                                               "(http for loopback only), several separated by "
                                               "spaces or commas"},
    [FSH_CONFIG_TYPE_PARTNER] = {good_partner, "a partner id: printable ASCII without spaces"},
    [FSH_CONFIG_TYPE_PERMISSION] = {good_permission, "uid:NAME or gid:NAME (or a number), then "
                                                     "one or more of read, report and admin"},
    [FSH_CONFIG_TYPE_PROXY] = {good_proxy, "[http://|https://|socks5://|socks5h://]HOST[:PORT], "
                                           "without a user name"},
    [FSH_CONFIG_TYPE_SOCKET] = {good_socket,
                                "the path of a Unix socket, at most 107 bytes; ~ is not expanded"},
    [FSH_CONFIG_TYPE_STORE] = {good_store, "memory:, sqlite:FILE or keeper:SOCKET"},
    [FSH_CONFIG_TYPE_TEXT] = {good_text, "a text"},
    [FSH_CONFIG_TYPE_URL] = {good_url, "https://HOST[:PORT][/PATH] (http for loopback only), "
                                       "without a user name, query or fragment"},
    [FSH_CONFIG_TYPE_WORD] = {good_word, "one word"},
};

/* The words of `text`, separated by one space. */
static char *words_of(const char *text, const char *separators)
{
    char *words = calloc(1, strlen(text) + 2);
    size_t at = 0;

    if (!words)
        return NULL;
    for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
        size_t len = strcspn(text, separators);

        if (at > 0)
            words[at++] = ' ';
        memcpy(words + at, text, len);
        at += len;
        text += len;
    }
    return words;
}

static char *canonical(enum fsh_config_type type, const char *text, const char *folder)
{
    switch (type) {
    case FSH_CONFIG_TYPE_ORIGIN:
        return serialized(text);
    case FSH_CONFIG_TYPE_ORIGINS:
        return words_of(text, " \t,");
    case FSH_CONFIG_TYPE_PERMISSION:
        return words_of(text, " \t");
    case FSH_CONFIG_TYPE_BOOLEAN:
        return strdup(among(text, yes) ? "yes" : among(text, no) ? "no" : text);
    case FSH_CONFIG_TYPE_FILE:
        if (strncmp(text, FSH_CONFIG_CREDENTIALS, strlen(FSH_CONFIG_CREDENTIALS)) == 0)
            return credential(text);
        /* fall through */
    case FSH_CONFIG_TYPE_INCLUDE:
    case FSH_CONFIG_TYPE_SOCKET:
        return text[0] == '~' ? strdup(text) : in_folder("", text, folder);
    case FSH_CONFIG_TYPE_STORE:
        if (strncmp(text, "sqlite:", 7) == 0 && good_store(text))
            return in_folder("sqlite:", text + 7, folder);
        return strdup(text);
    default:
        return strdup(text);
    }
}

int fsh_config_value(enum fsh_config_type type, const char *text, const char *folder,
                     char **ret_text, const char **ret_expects)
{
    char *made = canonical(type, text, folder);

    if (!made)
        return FRESHET_ENOMEM;
    if (made[0] == '\0' || !types[type].good(made)) {
        free(made);
        *ret_expects = types[type].expects;
        return FRESHET_EINVAL;
    }
    *ret_text = made;
    return FRESHET_OK;
}
