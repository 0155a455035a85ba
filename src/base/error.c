/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int fsh_base_fail(struct freshet_error *error, int status, const char *format, ...)
{
    va_list args;

    if (!error)
        return status;
    *error = (struct freshet_error){.status = status, .retry_after_ms = -1};
    if (format) {
        va_start(args, format);
        (void)vsnprintf(error->message, sizeof(error->message), format, args);
        va_end(args);
    } else {
        (void)snprintf(error->message, sizeof(error->message), "%s", freshet_status_text(status));
    }
    for (char *c = error->message; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    }
    return status;
}
