/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_BASE_ERROR_H
#define FSH_BASE_ERROR_H

#include <freshet/error.h>

/* Fills `error` (NULL is fine) and returns `status`, so that a failure is one statement. The
 * message is the formatted text; with a NULL format it is the status's own text. Line breaks and
 * other control characters, which a platform may have sent, become spaces. Never a secret. */
int fsh_base_fail(struct freshet_error *error, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
