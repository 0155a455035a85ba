/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>

/* What the platforms of the benchmarks say, and as much of HTTP as that takes. */

/* The end of the message, its body included, that a text begins with; 0 while it is not whole. */
size_t bench_wire_end(const char *text);

/* A socket that listens on loopback, and its URL. Before anything below. */
int bench_wire_listen(char *ret_url, size_t size);

/* The refresh token that every sign-in brings. */
const char *bench_wire_refresh_token(void);

/* A grant as a whole message, of tokens as long as they usually are; the connection stays open, or
 * closes. Returns its length. */
size_t bench_wire_grant(int expires_in, bool with_refresh_token, bool closes, char *ret_message,
                        size_t size);

#endif
