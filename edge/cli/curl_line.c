/* SPDX-License-Identifier: Apache-2.0 */

/* The command line of curl, as far as the headers' way depends on it. It is read the way curl reads
 * it (tool_getparam.c), with two things less: no shortened names, and no option that is not known.
 */

#include "curl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum what {
    PASS,
    TEXT,
    OURS,
    HEADER,
    DUMP,
    ELSEWHERE,
    REDIRECT,
    MORE,
    HIDDEN,
    ANYBODY,
    SHOWS,
    AGAIN,
    SIGNS_IN,
};

/* Why an option is refused, and what to do; behind its name. */
static const char *const reasons[] = {
    [REDIRECT] = "may take the headers elsewhere; look at the Location and ask for that by itself",
    [MORE] = "is for several requests; one URL a call, at the end",
    [HIDDEN] = "hides options from the check of where the headers go; write them out",
    [ANYBODY] = "would hand the headers to whoever answers; name the CA with --cacert FILE",
    [SHOWS] = "would print the token; use -i to see the answer's headers",
    [AGAIN] = "would repeat a 401, which never helps; use --retry, which leaves it alone",
    [SIGNS_IN] = "is another way to sign in; the session's headers do it",
};

struct option {
    const char *name;
    char letter;
    bool argument;
    enum what what;
};

static const struct option options[] = {
#define CURL_OPTION(name, letter, argument, what) {name, letter, argument, what},
#include "curl_options.def"
#undef CURL_OPTION
};

#define OPTIONS (sizeof(options) / sizeof(options[0]))

static const struct option *find_letter(char letter)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        if (options[i].letter == letter)
            return &options[i];
    }
    return NULL;
}

static const struct option *find_name(const char *name)
{
    bool no = strncmp(name, "no-", 3) == 0;

    for (size_t i = 0; i < OPTIONS; i++) {
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
        if (no && options[i].what == PASS && !options[i].argument &&
            strcmp(options[i].name, name + 3) == 0)
            return &options[i];
    }
    return NULL;
}

static bool has_control(const char *text)
{
    for (const char *c = text; *c; c++) {
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
            return true;
    }
    return false;
}

/* The name by which the user called an option, for a message. */
struct called {
    char text[40];
};

static struct called call_letter(char letter)
{
    return (struct called){.text = {'-', letter, '\0'}};
}

static struct called call_name(const char *name)
{
    struct called called;

    (void)snprintf(called.text, sizeof(called.text), "--%s", name);
    return called;
}

static int unknown(struct fsh_cli *cli, const struct called *called)
{
    return fsh_cli_fail(
        cli, FRESHET_EINVAL,
        "`freshet curl` does not know curl's option %s, so it cannot tell where the "
        "headers would go; write option names in full, or leave it out",
        called->text);
}

static int read_header(struct fsh_cli *cli, struct fsh_cli_curl_line *line, const char *header)
{
    if (header[0] == '@')
        return fsh_cli_fail(
            cli, FRESHET_EINVAL,
            "headers from a file cannot be checked; give them one by one, each with "
            "-H");
    if (has_control(header) || header[0] == ' ' || header[0] == '\t')
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "a header begins with its name and is one line; mend the -H");
    line->headers[line->header_count++] = header;
    return FRESHET_OK;
}

/* One option with its argument; "" for a flag. */
static int read_option(struct fsh_cli *cli, struct fsh_cli_curl_line *line,
                       const struct option *option, const struct called *called,
                       const char *argument)
{
    switch (option->what) {
    case PASS:
    case OURS:
        return FRESHET_OK;
    case TEXT:
        if (has_control(argument))
            return fsh_cli_fail(cli, FRESHET_EINVAL, "the argument of %s is not one line; mend it",
                                called->text);
        return FRESHET_OK;
    case HEADER:
        return read_header(cli, line, argument);
    case DUMP:
        if (strcmp(argument, "-") == 0)
            return fsh_cli_fail(cli, FRESHET_EINVAL,
                                "write -i in place of -D -, or -D with a file");
        line->dump = argument;
        return FRESHET_OK;
    case ELSEWHERE:
        line->elsewhere = option->name;
        return FRESHET_OK;
    default:
        return fsh_cli_fail(cli, FRESHET_EINVAL, "curl's %s %s", called->text,
                            reasons[option->what]);
    }
}

static void pass(struct fsh_cli_curl_line *line, const char *argument)
{
    line->passed[line->passed_count++] = argument;
}

/* The option's argument is the rest of its own word, or the next. */
static int take_argument(struct fsh_cli *cli, struct fsh_cli_curl_line *line,
                         const struct called *called, char *const **at, const char **ret_argument)
{
    if (!(*at)[1])
        return fsh_cli_fail(cli, FRESHET_EINVAL, "curl's %s lacks its argument; put it behind",
                            called->text);
    *ret_argument = *++*at;
    pass(line, *ret_argument);
    return FRESHET_OK;
}

static int read_long(struct fsh_cli *cli, struct fsh_cli_curl_line *line, char *const **at)
{
    const char *name = **at + 2;
    const struct option *option = find_name(name);
    const struct called called = call_name(name);
    const char *argument = "";

    if (!option)
        return unknown(cli, &called);
    pass(line, **at);
    if (option->argument) {
        int status = take_argument(cli, line, &called, at, &argument);

        if (status != FRESHET_OK)
            return status;
    }
    return read_option(cli, line, option, &called, argument);
}

/* A word of letters, such as -sSo. */
static int read_letters(struct fsh_cli *cli, struct fsh_cli_curl_line *line, char *const **at)
{
    const char *letter = **at + 1;
    int status = FRESHET_OK;
    bool last = false;

    pass(line, **at);
    while (status == FRESHET_OK && *letter && !last) {
        const struct option *option = find_letter(*letter);
        const struct called called = call_letter(*letter);
        const char *argument = "";

        if (!option)
            return unknown(cli, &called);
        letter++;
        last = option->argument;
        if (last && *letter)
            argument = letter;
        else if (last)
            status = take_argument(cli, line, &called, at, &argument);
        if (status == FRESHET_OK)
            status = read_option(cli, line, option, &called, argument);
    }
    return status;
}

static int read_url(struct fsh_cli *cli, struct fsh_cli_curl_line *line, const char *url)
{
    if (line->url)
        return fsh_cli_fail(cli, FRESHET_EINVAL,
                            "more than one URL (%.100s); one a call, so that each answer is told "
                            "by itself",
                            url);
    line->url = url;
    return FRESHET_OK;
}

static int read_all(struct fsh_cli *cli, struct fsh_cli_curl_line *line, char *const *at)
{
    bool only_urls = false;
    int status = FRESHET_OK;

    for (; status == FRESHET_OK && *at; at++) {
        if (only_urls || (*at)[0] != '-')
            status = read_url(cli, line, *at);
        else if (strcmp(*at, "--") == 0)
            only_urls = true;
        else if ((*at)[1] == '-')
            status = read_long(cli, line, &at);
        else if ((*at)[1] == '\0')
            status = fsh_cli_fail(cli, FRESHET_EINVAL, "- is no URL; it stands behind -d @ or -T");
        else
            status = read_letters(cli, line, &at);
    }
    if (status == FRESHET_OK && !line->url)
        status = fsh_cli_fail(cli, FRESHET_EINVAL,
                              "which URL? It is `freshet curl [SESSION] [-- CURL-OPTIONS] URL`");
    return status;
}

int fsh_cli_curl_line_read(struct fsh_cli *cli, char *const *arguments,
                           struct fsh_cli_curl_line *ret_line)
{
    struct fsh_cli_curl_line line = {0};
    size_t count = 0;
    int status;

    while (arguments[count])
        count++;
    line.passed = calloc(count + 1, sizeof(*line.passed));
    line.headers = calloc(count + 1, sizeof(*line.headers));
    if (!line.passed || !line.headers)
        status = fsh_cli_fail(cli, FRESHET_ENOMEM, NULL);
    else
        status = read_all(cli, &line, arguments);
    if (status == FRESHET_OK)
        *ret_line = line;
    else
        fsh_cli_curl_line_done(&line);
    return status;
}

/* Servers differ in what they make of a space before the colon. */
static bool bears(const char *header, const char *name)
{
    size_t len = strlen(name);

    if (strncasecmp(header, name, len) != 0)
        return false;
    len += strspn(header + len, " \t");
    return header[len] == ':' || header[len] == ';' || header[len] == '\0';
}

int fsh_cli_curl_line_check(struct fsh_cli *cli, const struct fsh_cli_curl_line *line,
                            const struct freshet_headers *headers)
{
    for (size_t i = 0; i < line->header_count; i++) {
        for (size_t j = 0; j < headers->count; j++) {
            if (bears(line->headers[i], headers->list[j].name))
                return fsh_cli_fail(cli, FRESHET_EINVAL,
                                    "%s is the session's own header; leave out the -H, and choose "
                                    "the partner with --partner before the --",
                                    headers->list[j].name);
        }
    }
    return FRESHET_OK;
}

void fsh_cli_curl_line_done(struct fsh_cli_curl_line *line)
{
    free(line->passed);
    free(line->headers);
    *line = (struct fsh_cli_curl_line){0};
}
