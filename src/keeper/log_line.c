/* SPDX-License-Identifier: Apache-2.0 */

/* One line of the log, made of texts that may hold anything. */

#include "keeper/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const words[] = {"error", "warning", "info", "debug"};
static const char priorities[] = "3467"; /* of syslog(3) */

/* Room is kept for what ends a value and the line. */
#define END_ROOM 16

struct line {
    char *text;
    size_t len;
    bool json;
};

static void put(struct line *line, const char *text, size_t len)
{
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* How many bytes of `text` are one character of UTF-8 that may stand in a line as it is; 0: none.
 */
static size_t plain(const unsigned char *text)
{
    uint32_t point = text[0];
    size_t more = 0;

    if (point < 0x80)
        return point >= 0x20 && point != 0x7f;
    if (point >= 0xc2 && point <= 0xdf)
        more = 1;
    else if (point >= 0xe0 && point <= 0xef)
        more = 2;
    else if (point >= 0xf0 && point <= 0xf4)
        more = 3;
    else
        return 0;
    point &= 0x3fU >> more;
    for (size_t i = 1; i <= more; i++) {
        if ((text[i] & 0xc0) != 0x80) /* the NUL at the end among them */
            return 0;
        point = point << 6 | (text[i] & 0x3f);
    }
    if (point < (more == 1 ? 0xa0U : more == 2 ? 0x800U : 0x10000U) || point > 0x10ffff)
        return 0;
    if (point >= 0xd800 && point <= 0xdfff)
        return 0;
    /* What turns the reading order, or ends a line for some viewers. */
    if ((point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) ||
        point == 0xfeff)
        return 0;
    return more + 1;
}

static void put_escape(struct line *line, unsigned char byte)
{
    char escape[8];
    int len;

    if (byte == '"' || byte == '\\')
        len = snprintf(escape, sizeof(escape), "\\%c", byte);
    else if (byte == '\n' || byte == '\t')
        len = snprintf(escape, sizeof(escape), "\\%c", byte == '\n' ? 'n' : 't');
    else if (line->json)
        len = snprintf(escape, sizeof(escape), "\\u%04x", byte < 0x80 ? byte : 0xfffdU);
    else
        len = snprintf(escape, sizeof(escape), "\\x%02x", byte);
    put(line, escape, (size_t)len);
}

/* The text in quotes, cut when it is long. */
static void put_quoted(struct line *line, const char *text, size_t max)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t end = line->len + max;

    if (end > FSH_LOG_LINE_MAX - END_ROOM)
        end = FSH_LOG_LINE_MAX - END_ROOM;
    put_text(line, "\"");
    while (*at && line->len + 6 < end) {
        size_t len = plain(at);

        if (len > 0 && *at != '"' && *at != '\\') {
            put(line, (const char *)at, len);
            at += len;
        } else {
            put_escape(line, *at++);
        }
    }
    put_text(line, *at ? "...\"" : "\"");
}

/* Whether a text needs no quotes where pairs are parted by spaces. */
static bool bare(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c <= ' ' || *c == '"' || *c == '\\' || *c == '=' || *c >= 0x7f)
            return false;
    }
    return text[0] && strlen(text) < FSH_LOG_VALUE_MAX;
}

static void put_pair(struct line *line, const char *name, const char *text)
{
    bool number = name[0] == '#';

    name += number;
    if (!text || line->len + strlen(name) + 2 * END_ROOM + 24 > FSH_LOG_LINE_MAX)
        return;
    put_text(line, line->json ? ",\"" : " ");
    put_text(line, name);
    put_text(line, line->json ? "\":" : "=");
    if (number ||
        (!line->json && bare(text) && line->len + strlen(text) + END_ROOM < FSH_LOG_LINE_MAX))
        put_text(line, text);
    else
        put_quoted(line, text, FSH_LOG_VALUE_MAX);
}

static void put_time(struct line *line, int64_t unix_ms)
{
    char text[40];
    struct tm parts;
    time_t seconds = unix_ms / 1000;
    size_t len;

    (void)gmtime_r(&seconds, &parts);
    len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    put(line, text, len);
    (void)snprintf(text, sizeof(text), ".%03dZ", (int)(unix_ms % 1000));
    put_text(line, text);
}

static void put_head(struct line *line, const struct fsh_log_style *style, enum fsh_log_level level,
                     const char *event)
{
    char priority[] = {'<', priorities[level], '>', '\0'};

    if (style->journal)
        put_text(line, priority);
    if (style->json)
        put_text(line, style->journal ? "{" : "{\"time\":\"");
    if (!style->journal) {
        put_time(line, style->unix_ms);
        put_text(line, style->json ? "\"," : " ");
    }
    if (style->json)
        put_text(line, "\"level\":\"");
    if (style->json || !style->journal)
        put_text(line, words[level]);
    if (style->json)
        put_text(line, "\",\"event\":");
    else if (!style->journal)
        put_text(line, " ");
    if (!style->json && bare(event))
        put_text(line, event);
    else
        put_quoted(line, event, FSH_LOG_VALUE_MAX);
}

size_t fsh_log_line(char ret_line[FSH_LOG_LINE_MAX], const struct fsh_log_style *style,
                    enum fsh_log_level level, const char *event, va_list pairs)
{
    struct line line = {.text = ret_line, .json = style->json};
    const char *name;

    put_head(&line, style, level, event);
    while ((name = va_arg(pairs, const char *)) != NULL)
        put_pair(&line, name, va_arg(pairs, const char *));
    put_text(&line, style->json ? "}\n" : "\n");
    return line.len;
}
