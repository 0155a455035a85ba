/* SPDX-License-Identifier: Apache-2.0 */

/* Lines of the keeper's log: whatever a text holds, a line is one line, and within its bounds. */

#include "keeper/log.h"
#include "unit.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct fsh_log_style text_style = {.unix_ms = 1795599120123};
static const struct fsh_log_style journal_style = {.journal = true};
static const struct fsh_log_style json_style = {.json = true, .unix_ms = 1795599120123};

static const char *line_of(const struct fsh_log_style *style, const char *event, ...)
{
    static char line[FSH_LOG_LINE_MAX + 1];
    va_list pairs;
    size_t len;

    va_start(pairs, event);
    len = fsh_log_line(line, style, FSH_LOG_WARNING, event, pairs);
    va_end(pairs);
    assert_in_range(len, 1, FSH_LOG_LINE_MAX);
    assert_int_equal(line[len - 1], '\n');
    line[len - 1] = '\0';
    assert_null(strchr(line, '\n'));
    return line;
}

static void each_format(void **state)
{
    (void)state;
    assert_string_equal(
        line_of(&text_style, "signed-out", "session", "billing", FSH_LOG_NUMBER("uid", 7), NULL),
        "2026-11-25T09:32:00.123Z warning signed-out session=billing uid=7");
    assert_string_equal(
        line_of(&journal_style, "signed-out", "session", "billing", FSH_LOG_NUMBER("uid", 7), NULL),
        "<4>signed-out session=billing uid=7");
    assert_string_equal(
        line_of(&json_style, "signed-out", "session", "billing", FSH_LOG_NUMBER("uid", 7), NULL),
        "{\"time\":\"2026-11-25T09:32:00.123Z\",\"level\":\"warning\",\"event\":\"signed-out\","
        "\"session\":\"billing\",\"uid\":7}");
    assert_string_equal(line_of(&journal_style, "ready", "left", NULL, "taken", "x", NULL),
                        "<4>ready taken=x");
}

static void what_is_escaped(void **state)
{
    static const struct {
        const char *value;
        const char *text;
        const char *json;
    } rows[] = {
        {"", "\"\"", "\"\""},
        {"a b", "\"a b\"", "\"a b\""},
        {"a=b", "\"a=b\"", "\"a=b\""},
        {"a\"b\\", "\"a\\\"b\\\\\"", "\"a\\\"b\\\\\""},
        {"a\nfake=1", "\"a\\nfake=1\"", "\"a\\nfake=1\""},
        {"\t\r\x1b[31m", "\"\\t\\x0d\\x1b[31m\"", "\"\\t\\u000d\\u001b[31m\""},
        {"\x7f", "\"\\x7f\"", "\"\\u007f\""},
        {"\xc3\xa9", "\"\xc3\xa9\"", "\"\xc3\xa9\""},
        {"\xc3", "\"\\xc3\"", "\"\\ufffd\""},                 /* cut off */
        {"\xff", "\"\\xff\"", "\"\\ufffd\""},                 /* never a lead */
        {"\xc0\x8a", "\"\\xc0\\x8a\"", "\"\\ufffd\\ufffd\""}, /* overlong newline */
        {"\xe0\x80\x8a", "\"\\xe0\\x80\\x8a\"", "\"\\ufffd\\ufffd\\ufffd\""},
        {"\xed\xa0\x80", "\"\\xed\\xa0\\x80\"", "\"\\ufffd\\ufffd\\ufffd\""}, /* surrogate */
        {"\xc2\x85", "\"\\xc2\\x85\"", "\"\\ufffd\\ufffd\""}, /* next line, a control */
        {"\xe2\x80\xae", "\"\\xe2\\x80\\xae\"", "\"\\ufffd\\ufffd\\ufffd\""}, /* turns the order */
        {"\xf0\x9f\x99\x82", "\"\xf0\x9f\x99\x82\"", "\"\xf0\x9f\x99\x82\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *line = line_of(&journal_style, "e", "v", rows[i].value, NULL);
        json_t *parsed;

        assert_string_equal(line + strlen("<4>e v="), rows[i].text);
        line = line_of(&json_style, "e", "v", rows[i].value, NULL);
        assert_non_null(strstr(line, rows[i].json));
        parsed = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(parsed);
        json_decref(parsed);
    }
}

static void long_texts_are_cut(void **state)
{
    char *text = malloc(100001);
    const char *line;
    json_t *parsed;

    (void)state;
    assert_non_null(text);
    for (int fill = 1; fill < 256; fill += 6) {
        memset(text, fill, 100000);
        text[100000] = '\0';
        line =
            line_of(&text_style, "e", "a", text, "b", text, "c", text, "d", text, "e", text, NULL);
        assert_non_null(strstr(line, "...\""));
        line = line_of(&json_style, text, "a", text, "b", text, "c", text, "d", text, NULL);
        parsed = json_loads(line, 0, NULL);
        assert_non_null(parsed);
        json_decref(parsed);
    }
    free(text);
}

/* Runs with standard error in a pipe, and gives what came. */
static int stderr_pipe(int *ret_old)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    *ret_old = dup(STDERR_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(ends[1]);
    return ends[0];
}

static void a_reader_that_stops_loses_lines_and_holds_nobody_up(void **state)
{
    char text[FSH_LOG_LINE_MAX + 1] = {0};
    int old;
    int end = stderr_pipe(&old);

    (void)state;
    for (int i = 0; i < 10000; i++)
        fsh_log(FSH_LOG_INFO, "filling", "with", "a text of some length that fills the pipe", NULL);
    while (read(end, text, FSH_LOG_LINE_MAX) > 0)
        continue;
    fsh_log(FSH_LOG_INFO, "again", NULL);
    memset(text, 0, sizeof(text));
    assert_true(read(end, text, FSH_LOG_LINE_MAX) > 0);
    (void)dup2(old, STDERR_FILENO);
    (void)close(old);
    (void)close(end);
    assert_non_null(strstr(text, "warning lines-lost lines="));
    assert_non_null(strstr(text, "info again\n"));
}

static void levels_and_the_journal(void **state)
{
    char text[FSH_LOG_LINE_MAX + 1] = {0};
    char stream[64];
    struct stat about;
    int old;
    int end = stderr_pipe(&old);

    (void)state;
    assert_int_equal(fstat(STDERR_FILENO, &about), 0);
    (void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)about.st_dev,
                   (uintmax_t)about.st_ino);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    fsh_log_setup("warning", NULL);
    fsh_log(FSH_LOG_INFO, "not-wanted", NULL);
    fsh_log(FSH_LOG_ERROR, "wanted", NULL);
    (void)setenv("JOURNAL_STREAM", "8:1", 1);
    fsh_log_setup("debug", "json");
    fsh_log(FSH_LOG_DEBUG, "elsewhere", NULL);
    (void)unsetenv("JOURNAL_STREAM");
    fsh_log_setup("info", "text");
    assert_true(read(end, text, FSH_LOG_LINE_MAX) > 0);
    (void)dup2(old, STDERR_FILENO);
    (void)close(old);
    (void)close(end);
    assert_memory_equal(text, "<3>wanted\n{\"time\":", 18);
    assert_null(strstr(text, "not-wanted"));
    assert_non_null(strstr(text, "\"level\":\"debug\",\"event\":\"elsewhere\"}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format),
        cmocka_unit_test(what_is_escaped),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(a_reader_that_stops_loses_lines_and_holds_nobody_up),
        cmocka_unit_test(levels_and_the_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
