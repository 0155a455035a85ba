/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_LIB_H
#define TESTS_LIB_H

#include "devserver.h"
#include "keeper.h"
#include "unit.h"

#include <freshet/curl.h>
#include <freshet/freshet.h>

/* What the tests of the library begin with: a devserver and an open handle; over a keeper, when the
 * environment wants one. */
struct world {
    struct devserver server;
    struct keeper keeper;
    struct freshet *freshet;
};

/* Whether the rest of a case makes no sense here, since it runs over a keeper; says why. */
bool embedded_only(const char *why);

/* The options of the world's handle, for another one like it. */
void world_options(const struct world *world, struct freshet_options *ret_options);

/* A session of a person, refreshed only when used, not signed in. */
struct freshet_session *open_person(struct world *world, const char *name);

/* The same, signed in with an account of the devserver. */
struct freshet_session *open_signed_in(struct world *world, const char *username);

/* The same, whose token has run out: the next call needs a refresh, whose token lives an hour. */
struct freshet_session *open_used_up(struct world *world, const char *username);

/* Answers to refreshes come `ms` late from now on, until the faults are deleted. */
void delay_refreshes(struct world *world, int ms);

/* One GET through the interceptor: the HTTP status, or Freshet's (negative). */
long get(struct freshet_session *session, const char *url,
         const struct freshet_curl_request *request, struct freshet_error *error);

/* The URL of a path of the devserver, in a buffer of the caller's. */
const char *url_of(const struct world *world, const char *path, char ret_url[256]);

/* Waits until the session has no usable token, with the clock that counts. */
void until_unusable(struct freshet_session *session);
void until_below_threshold(struct freshet_session *session);

/* Waits until so many refreshes of the session have landed, or have failed. */
void until_refreshes(struct freshet_session *session, uint64_t count);

/* Waits until `fd` is readable; fails the test after half a minute. */
void until_readable(int fd);

void sleep_ms(long ms);

int world_setup(void **state);
int world_teardown(void **state);

#endif
