/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SUPPORT_DEVSERVER_H
#define TESTS_SUPPORT_DEVSERVER_H

#include "devclient.h"

#include <stdbool.h>
#include <sys/types.h>

/* A devserver of the test's own, on a port of the kernel's choice. */
struct devserver {
    struct devclient dev;
    pid_t pid;
    char folder[64];
};

/* The password of the demo accounts. */
#define DEV_PASSWORD "demo-password-not-secret"

/* Starts the program that the environment names as FRESHET_DEVSERVER, with further arguments (NULL
 * at their end). `scheme` is "http" or "https". Aborts the test when it does not come up. */
void devserver_start(struct devserver *server, const char *scheme, const char *const *arguments);
void devserver_stop(struct devserver *server);

/* Sends a control request and aborts the test when it is refused. */
void devserver_control(const struct devserver *server, const char *method, const char *path,
                       const char *body);

long devserver_counter(const struct devserver *server, const char *name);

#endif
