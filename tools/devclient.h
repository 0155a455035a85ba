/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOLS_DEVCLIENT_H
#define TOOLS_DEVCLIENT_H

#include <stddef.h>

/* The control interface of freshet-devserver, for the demonstration, the live view and the
 * benchmarks. */
struct devclient {
    char url[128];
};

/* Sends one control request ("PUT", "/_dev/lifetime", "{...}"; body may be NULL) and returns the
 * HTTP status, 0 when the devserver does not answer. The answer's body, NUL-terminated and cut to
 * `size`, goes to `ret_body` unless that is NULL. */
long devclient_send(const struct devclient *client, const char *method, const char *path,
                    const char *body, char *ret_body, size_t size);

/* One of the devserver's counters; -1 when there is no such. */
long devclient_counter(const struct devclient *client, const char *name);

/* How often an account's tokens were refreshed; -1 when there is no such account. */
long devclient_refreshes_of(const struct devclient *client, const char *username);

/* The current TOTP code of an account, 6 digits and NUL. 0 on success. */
int devclient_totp(const struct devclient *client, const char *username, char ret_code[16]);

#endif
