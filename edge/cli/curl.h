/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CLI_CURL_H
#define FSH_CLI_CURL_H

/* What the files of `freshet curl` share. */

#include "cli.h"

#include <sys/types.h>

/* A command line for curl that was read. Its strings are borrowed. */
struct fsh_cli_curl_line {
    const char *url;
    const char *dump;      /* file that the user wants the answer's headers in, or NULL */
    const char *elsewhere; /* an option that leads past the name in the URL, or NULL */
    const char **passed;   /* the options, to be handed on as they are */
    size_t passed_count;
    const char **headers; /* the user's own */
    size_t header_count;
};

/* Reads what stands behind `freshet curl SESSION`, and refuses what could carry the headers
 * anywhere but to the one URL. FRESHET_EINVAL, FRESHET_ENOMEM. */
int fsh_cli_curl_line_read(struct fsh_cli *cli, char *const *arguments,
                           struct fsh_cli_curl_line *ret_line);
/* Refuses headers of the user's under names of ours: FRESHET_EINVAL. */
int fsh_cli_curl_line_check(struct fsh_cli *cli, const struct fsh_cli_curl_line *line,
                            const struct freshet_headers *headers);
void fsh_cli_curl_line_done(struct fsh_cli_curl_line *line);

/* The HTTP status of an answer, read off its headers as they come. Zeroed, it is new. */
struct fsh_cli_curl_answer {
    char line[32]; /* the beginning of the line that is being read */
    size_t len;    /* of the whole of it */
    bool inside;   /* the status line has been */
    int status;    /* of the last answer; 0 for none */
};

void fsh_cli_curl_answer_read(struct fsh_cli_curl_answer *answer, const char *bytes, size_t len);

/* How curl ended. */
struct fsh_cli_curl_end {
    int exit_code;   /* curl's; 126 or 127 when it cannot be run */
    int signal;      /* that ended it, or 0 */
    int http_status; /* 0 without an answer */
    bool told;       /* it took the headers */
};

/* Runs curl, forwards signals to it, and waits. */
int fsh_cli_curl_child_run(struct fsh_cli *cli, const struct fsh_cli_curl_line *line, bool loopback,
                           const struct freshet_headers *headers, struct fsh_cli_curl_end *ret_end);

#endif
