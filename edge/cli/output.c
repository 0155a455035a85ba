/* SPDX-License-Identifier: Apache-2.0 */

/* What is printed: collected, since it may be a token, written at the end, and wiped. */

#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fsh_cli_fail(struct fsh_cli *cli, int status, const char *format, ...)
{
    struct freshet_error *error = &cli->error;
    va_list args;

    *error = (struct freshet_error){.status = status, .retry_after_ms = -1};
    if (format) {
        va_start(args, format);
        (void)vsnprintf(error->message, sizeof(error->message), format, args);
        va_end(args);
    } else {
        (void)snprintf(error->message, sizeof(error->message), "%s", freshet_status_text(status));
    }
    for (char *c = error->message; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    }
    return status;
}

/* ---- standard output --------------------------------------------------------------------- */

static bool reserve(struct fsh_cli_output *out, size_t more)
{
    size_t room = out->room ? out->room : 4096;
    char *bytes;

    if (out->failed)
        return false;
    if (out->len + more <= out->room)
        return true;
    while (room < out->len + more)
        room *= 2;
    bytes = malloc(room);
    out->failed = !bytes;
    if (!bytes)
        return false;
    if (out->len > 0)
        memcpy(bytes, out->bytes, out->len);
    fsh_cli_wipe(out->bytes, out->room);
    free(out->bytes);
    out->bytes = bytes;
    out->room = room;
    return true;
}

void fsh_cli_write(struct fsh_cli *cli, const char *bytes, size_t len)
{
    if (!reserve(&cli->out, len))
        return;
    memcpy(cli->out.bytes + cli->out.len, bytes, len);
    cli->out.len += len;
}

void fsh_cli_print(struct fsh_cli *cli, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0 || !reserve(&cli->out, (size_t)len + 1))
        return;
    va_start(args, format);
    (void)vsnprintf(cli->out.bytes + cli->out.len, (size_t)len + 1, format, args);
    va_end(args);
    cli->out.len += (size_t)len;
}

int fsh_cli_flush(struct fsh_cli *cli)
{
    struct fsh_cli_output *out = &cli->out;
    int failure = out->failed ? ENOMEM : 0;
    size_t done = 0;

    while (failure == 0 && done < out->len) {
        ssize_t wrote = write(STDOUT_FILENO, out->bytes + done, out->len - done);

        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            failure = errno;
    }
    fsh_cli_output_done(out);
    return failure;
}

void fsh_cli_output_done(struct fsh_cli_output *out)
{
    if (out->bytes)
        fsh_cli_wipe(out->bytes, out->room);
    free(out->bytes);
    *out = (struct fsh_cli_output){0};
}

/* ---- standard error ---------------------------------------------------------------------- */

void fsh_cli_say(const struct fsh_cli *cli, const char *format, ...)
{
    va_list args;

    /* A document says it all; but what curl prints is none of ours. */
    if (fsh_cli_wants_json(cli) && cli->verb != FSH_CLI_VERB_curl)
        return;
    (void)fputs("freshet: ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

void fsh_cli_complain(struct fsh_cli *cli, int status)
{
    const char *text = cli->error.message;

    if (cli->error.status != status || !text[0])
        text = freshet_status_text(status);
    if (!fsh_cli_wants_json(cli))
        fsh_cli_say(cli, "%s", text);
    else if (cli->out.len == 0)
        fsh_cli_document_error(cli, status);
}

const char *fsh_cli_colour(enum fsh_cli_colour colour)
{
    static const char *const codes[] = {
        [FSH_CLI_PLAIN] = "\033[0m", [FSH_CLI_GREEN] = "\033[32m", [FSH_CLI_YELLOW] = "\033[33m",
        [FSH_CLI_RED] = "\033[31m",  [FSH_CLI_BOLD] = "\033[1m",
    };
    const char *none = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    bool bare = (none && none[0]) || !term || strcmp(term, "dumb") == 0;

    return bare || !isatty(STDOUT_FILENO) ? "" : codes[colour];
}
