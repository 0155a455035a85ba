/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_SOCKET_H
#define FSH_KEEPER_SOCKET_H

#include <freshet/error.h>
#include <sys/types.h>

/* A listening Unix socket at a path. All zero: none. */
struct fsh_socket {
    char *path;
    dev_t device; /* which file it is: another's at the same path is left alone */
    ino_t inode;
};

/* Makes it. A socket that is there already is replaced only when nobody answers at it. Nobody can
 * connect before its mode is right.
 *
 *  group  owner group of the file, by name or number; NULL: as it comes.
 *  FRESHET_ECONFIG: the path cannot be used, or somebody serves it. */
int fsh_socket_listen(const char *path, mode_t mode, const char *group,
                      struct fsh_socket *ret_socket, int *ret_fd, struct freshet_error *error);

/* Removes the file, if it is still the one that was made. Before the descriptor is closed: until
 * then nobody replaces it, and an inode's number may come again. */
void fsh_socket_done(struct fsh_socket *socket);

#endif
