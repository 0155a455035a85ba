/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOLS_DEMO_H
#define TOOLS_DEMO_H

#include "devclient.h"

#include <stdbool.h>
#include <stdint.h>

#define PASSWORD "demo-password-not-secret"

struct freshet;
struct freshet_session;

/* The demonstration: what it runs against, and what it has found. */
struct demo {
    struct devclient dev;
    struct freshet *freshet;
    struct freshet_session *service;
    struct freshet_session *person;
    char password_file[32];
    int64_t began_ms;
    unsigned failed;
};

int64_t demo_now_ms(void);
void demo_sleep_ms(int64_t ms);

/* A new act. */
void demo_act(const char *title);

/* Says what was expected and what was. */
void demo_check(struct demo *demo, bool good, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One of the devserver's counters, and one of its controls. */
long demo_counter(struct demo *demo, const char *name);
void demo_control(struct demo *demo, const char *method, const char *path, const char *body);

/* The act of the keeper: starts the program `freshetd` with FOLDER/freshet.conf, whose control
 * socket is FOLDER/control.sock and whose session is "shared". */
void demo_keeper(struct demo *demo, const char *freshetd, const char *folder);

/* What each of its 20 processes does: takes the headers of a session at a control socket, calls the
 * API with them, and prints the generation and the API's status. Exit code. */
int demo_keeper_call(const char *socket, const char *session, const char *url);

#endif
