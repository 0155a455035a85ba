/* SPDX-License-Identifier: Apache-2.0 */

/* The HTTP status of the last answer, off the headers that curl dumps. */

#include "curl.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* "HTTP/2 401", "HTTP/1.1 401 Unauthorized" */
static int status_of(const char *line)
{
    const char *space = strchr(line, ' ');

    if (strncmp(line, "HTTP/", 5) != 0 || !space || !isdigit((unsigned char)space[1]))
        return 0;
    return (int)strtol(space + 1, NULL, 10);
}

/* A status line stands first, and behind the empty line that ends the answer before it. */
static void end_line(struct fsh_cli_curl_answer *answer)
{
    size_t kept = answer->len < sizeof(answer->line) ? answer->len : sizeof(answer->line) - 1;
    bool empty = answer->len == 0 || (answer->len == 1 && answer->line[0] == '\r');

    answer->line[kept] = '\0';
    if (empty)
        answer->inside = false;
    else if (!answer->inside) {
        int status = status_of(answer->line);

        answer->inside = true;
        if (status != 0)
            answer->status = status;
    }
    answer->len = 0;
}

void fsh_cli_curl_answer_read(struct fsh_cli_curl_answer *answer, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n') {
            end_line(answer);
            continue;
        }
        if (answer->len < sizeof(answer->line) - 1)
            answer->line[answer->len] = bytes[i];
        answer->len++;
    }
}
