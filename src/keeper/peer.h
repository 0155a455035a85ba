/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_PEER_H
#define FSH_KEEPER_PEER_H

#include <freshet/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Who is at the other end of a Unix socket, as the kernel says (SO_PEERCRED, SO_PEERGROUPS): taken
 * once, when the connection is accepted. */
struct fsh_peer {
    uid_t uid;
    gid_t gid;
    pid_t pid;
    size_t group_count;
    gid_t *groups; /* owned; supplementary ones */
};

int fsh_peer_read(int fd, struct fsh_peer *ret_peer);
void fsh_peer_done(struct fsh_peer *peer);

/* Root and the keeper's own user may do everything always. */
bool fsh_peer_trusted(const struct fsh_peer *peer);

/* What a peer may do with a session. */
enum fsh_verb {
    FSH_VERB_READ = 1 << 0,   /* headers, token, status, explain, events */
    FSH_VERB_REPORT = 1 << 1, /* 401s */
    FSH_VERB_ADMIN = 1 << 2,  /* sign in and out, hold, challenges, MFA settings */
    FSH_VERB_ALL = FSH_VERB_READ | FSH_VERB_REPORT | FSH_VERB_ADMIN
};

/* Who has which verbs: the lines `allow` of a session, resolved when the configuration is read. */
struct fsh_grants;

/* `lines` as freshet_config_get gives them; NULL: nobody but the trusted. A name that the system
 * does not know is an error. */
int fsh_grants_new(const char *lines, struct fsh_grants **ret_grants, struct freshet_error *error);
void fsh_grants_free(struct fsh_grants *grants);

/* The verbs of a peer; without grants (NULL) those of the trusted. */
unsigned fsh_grants_verbs(const struct fsh_grants *grants, const struct fsh_peer *peer);

#endif
