/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SUPPORT_CERTIFICATE_H
#define TESTS_SUPPORT_CERTIFICATE_H

/* A certificate for 127.0.0.1 that nobody vouches for, with its key, in files of its own. */
struct certificate {
    char folder[64];
    char cert[96];
    char key[96];
};

/* Aborts the test when it cannot be made. */
void certificate_make(struct certificate *certificate);
void certificate_remove(const struct certificate *certificate);

#endif
