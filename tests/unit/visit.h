/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_VISIT_H
#define TESTS_UNIT_VISIT_H

#include "asked.h"
#include "devserver.h"
#include "unit.h"

#include "keeper/browser.h"

/* What the tests of the browser API begin with: a devserver, a handle with stores on the disk, and
 * the keeper's part for browsers; no socket and no loop. */
struct visit {
    struct devserver server;
    char folder[64];
    struct fsh_keeper keeper;
    struct fsh_peer peer;
};

/* A browser that keeps its cookie, and what it was answered last. */
struct page {
    struct visit *visit;
    char cookie[128]; /* "NAME=VALUE", or "" */
    unsigned http;
    char body[16384];
    char fields[2048]; /* "name: value\n", in lower case up to the colon */
};

#define ORIGIN "https://app.example.com"

int visit_setup(void **state);
int visit_teardown(void **state);

/* The keeper ends, in order, and starts anew on the same stores. */
void visit_restart(struct visit *visit);

/* Dispatches until the request is answered; fails the test after half a minute. */
void visit_answer(struct visit *visit, struct asked *asked);

/* Dispatches until no session is being ended. */
void visit_settle(struct visit *visit);

/* A request with the page's cookie and further lines of headers, each with its \n, or NULL. One
 * that changes something has the origin and the mark. Returns the HTTP status. */
unsigned page_send(struct page *page, const char *method, const char *path, const char *headers,
                   const char *body);

/* As above, without waiting for the answer. */
void page_ask(struct page *page, struct asked *asked, const char *method, const char *path,
              const char *headers, const char *body);

/* Takes over what an answer says. */
void page_read(struct page *page, const struct asked *asked);

/* Signs in, to 200. */
void page_sign_in(struct page *page, const char *username);

/* GET /authz for a GET, with further headers. */
unsigned page_authz(struct page *page, const char *headers);

/* The value of a header of the last answer; "" without one. */
const char *page_field(const struct page *page, const char *name, char ret_value[2048]);

bool page_says(const struct page *page, const char *text);

/* The entry of the page's session, or NULL. */
struct fsh_browser *page_browser(const struct page *page);

#endif
