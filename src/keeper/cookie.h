/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_COOKIE_H
#define FSH_KEEPER_COOKIE_H

#include <stdbool.h>
#include <stddef.h>

/* The cookie of a browser: base64url of an id and of the key that seals the session's rows in the
 * store. Opaque to everybody else. Before a sign-in is granted the browser has one of the same form
 * that names the open challenge, and whose key seals nothing. */
#define FSH_COOKIE_ID   16
#define FSH_COOKIE_KEY  32
#define FSH_COOKIE_TEXT 64 /* characters: 48 bytes, and no bit is left over */

struct fsh_cookie {
    unsigned char id[FSH_COOKIE_ID];
    unsigned char key[FSH_COOKIE_KEY];
};

/* What the world sees of a cookie: BLAKE2b-16 of all of it. Who knows it knows neither. */
#define FSH_COOKIE_HASH 16

/* Longer ones are not looked at. */
#define FSH_COOKIE_HEADER_MAX 8192

enum fsh_cookie_found {
    FSH_COOKIE_NONE, /* there is no cookie of that name */
    FSH_COOKIE_ONE,
    FSH_COOKIE_BAD /* it is none of ours, or there is more than one, so that nobody can say which */
};

/* By which name, and how, the browser is to keep it. */
struct fsh_cookie_kind {
    const char *name;
    bool secure; /* https alone */
};

/* For the origin of [browser]: `__Host-freshet`, but `freshet-dev` on plain http, which the
 * configuration takes for loopback alone. */
struct fsh_cookie_kind fsh_cookie_kind(const char *origin);

void fsh_cookie_random(struct fsh_cookie *ret_cookie);
void fsh_cookie_hash(const struct fsh_cookie *cookie, unsigned char ret_hash[FSH_COOKIE_HASH]);

/* Whether two are the same, in constant time. */
bool fsh_cookie_same(const unsigned char a[FSH_COOKIE_HASH],
                     const unsigned char b[FSH_COOKIE_HASH]);

/* Reads the header Cookie, or NULL. `ret_cookie` is written with FSH_COOKIE_ONE alone. */
enum fsh_cookie_found fsh_cookie_read(const struct fsh_cookie_kind *kind, const char *header,
                                      struct fsh_cookie *ret_cookie);

/* The value of Set-Cookie; NULL takes the cookie away from the browser. */
#define FSH_COOKIE_LINE 192
void fsh_cookie_line(const struct fsh_cookie_kind *kind, const struct fsh_cookie *cookie,
                     char ret_line[FSH_COOKIE_LINE]);

/* base64url, without padding, of an id or a hash: 22 characters and a NUL. */
#define FSH_COOKIE_SHORT 23
void fsh_cookie_short(const unsigned char bytes[FSH_COOKIE_HASH], char ret_text[FSH_COOKIE_SHORT]);

/* The way back. False: it is none. */
bool fsh_cookie_unshort(const char *text, unsigned char ret_bytes[FSH_COOKIE_HASH]);

#endif
