/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_ERROR_H
#define FRESHET_ERROR_H

#include <freshet/status.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The detail of a failure. The caller owns it, usually on its stack, and may pass NULL wherever
 *  one is asked for. A function writes it only when it fails. It never holds a secret. */
struct freshet_error {
    /** What the function returned. */
    int status;
    /** The HTTP status that the platform answered with, 0 when it did not answer. */
    int http_status;
    /** Milliseconds until a new attempt makes sense, -1 when time alone does not help. */
    int64_t retry_after_ms;
    /** The platform's own error code, such as "NotAuthorizedException"; "" when there is none. */
    char code[64];
    /** What is the case and what to do next, for a person. Ends with NUL, no line break. */
    char message[256];
};

#ifdef __cplusplus
}
#endif

#endif
