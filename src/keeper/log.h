/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_LOG_H
#define FSH_KEEPER_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the keeper tells its operator: one line an event, on standard error.
 *
 *     fsh_log(FSH_LOG_INFO, "signed-out", "session", name, FSH_LOG_NUMBER("uid", peer->uid), NULL);
 *
 * gives `2026-11-25T09:12:00.123Z info signed-out session=billing uid=1000`; when standard error is
 * the journal `<6>signed-out session=billing uid=1000`; or, with log_format = json, an object a
 * line. A token, a password or a key is never an argument: secrets have no text to give. Any
 * thread; never waits: a line that standard error has no room for is counted, and the next one that
 * goes tells how many were lost. */

enum fsh_log_level { FSH_LOG_ERROR, FSH_LOG_WARNING, FSH_LOG_INFO, FSH_LOG_DEBUG };

/* What a line holds at the most, with its end; and one value. Longer ones end in "...". */
#define FSH_LOG_LINE_MAX  4000
#define FSH_LOG_VALUE_MAX 1024

/* Takes the words of [keeper] log_level and log_format; NULL leaves it as it is (info, text). */
void fsh_log_setup(const char *level, const char *format);

/* `event` is a few words with dashes, then pairs of name and text, then NULL. A pair whose text is
 * NULL is left out. Texts may hold any bytes: controls and broken UTF-8 are escaped. */
void fsh_log(enum fsh_log_level level, const char *event, ...) __attribute__((sentinel));

/* A pair whose value is a whole number, in JSON too. `name` is a literal. */
#define FSH_LOG_NUMBER(name, number) "#" name, fsh_log_number((char[24]){0}, (int64_t)(number))
const char *fsh_log_number(char ret_text[24], int64_t number);

/* Whether such a line would be written, for what costs something to find out. */
bool fsh_log_wants(enum fsh_log_level level);

/* ---- how a line looks; for fsh_log and the tests */

struct fsh_log_style {
    bool json;
    bool journal;    /* "<N>" in front, and no time: the journal has its own */
    int64_t unix_ms; /* the time of the line */
};

/* Writes a whole line with its newline, without a NUL, and returns its length. */
size_t fsh_log_line(char ret_line[FSH_LOG_LINE_MAX], const struct fsh_log_style *style,
                    enum fsh_log_level level, const char *event, va_list pairs);

#endif
