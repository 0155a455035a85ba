/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_ASKED_H
#define TESTS_UNIT_ASKED_H

#include "keeper/keeper.h"
#include "keeper/request.h"

/* A request of the keeper that is made of text instead of a connection:
 *
 *     POST /freshet/sign-in
 *     Origin: https://app.example.com
 *
 *     {"username": "ann"}
 *
 * Lines end in \n. What cannot be read is left out, so that a fuzzer may write it. Allocates
 * nothing, so that memory may run out for the keeper alone. */
#define ASKED_HEADERS 32
#define ASKED_TEXT    16384

struct asked {
    struct fsh_keeper_request request; /* first */
    char text[ASKED_TEXT];
    char *names[ASKED_HEADERS];
    char *values[ASKED_HEADERS];
    size_t count;
    struct fsh_page *page; /* the answer; NULL before it, and when memory was short */
    unsigned answers;
};

void asked_init(struct asked *asked, struct fsh_keeper *keeper, const struct fsh_peer *peer,
                const char *text, size_t len);
void asked_done(struct asked *asked);

/* Hands it to its route. */
void asked_send(struct asked *asked);

/* The client goes before its answer. */
void asked_go(struct asked *asked);

/* A header of the answer, or NULL. */
const char *asked_field(const struct asked *asked, const char *name);

#endif
