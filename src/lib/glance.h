/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_LIB_GLANCE_H
#define FSH_LIB_GLANCE_H

#include "engine/meter.h"

#include <freshet/session.h>

/* What freshetd shows of a handle and its sessions, which nothing of it waits for. Any thread. */

const struct fsh_meter *fsh_lib_meter(const struct freshet *freshet);

struct fsh_glance {
    enum fsh_meter_state state;
    bool challenged;     /* a challenge is open, or it is parked on one */
    bool usable;         /* a token is in force and may be used now */
    uint64_t generation; /* of the token in force; 0: none is */
    uint32_t failures;   /* exchanges that granted nothing */
};

/* How a session is, without asking its engine. */
void fsh_lib_glance(const struct freshet_session *session, struct fsh_glance *ret_glance);

/* Whether a store could not be used when it last was: of late, since who needs it tries again. */
bool fsh_lib_secrets_down(const struct freshet *freshet);
bool fsh_lib_tokens_down(const struct freshet *freshet);

#endif
