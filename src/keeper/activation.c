/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/activation.h"

#include "base/error.h"

#include <fcntl.h>
#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static const char *const names[] = {[FSH_DOOR_CONTROL] = "control", [FSH_DOOR_BROWSER] = "browser"};

static int door_of(const char *name)
{
    for (int door = FSH_DOOR_CONTROL; door <= FSH_DOOR_BROWSER; door++) {
        if (strcmp(name, names[door]) == 0)
            return door;
    }
    return -1;
}

static int take(struct fsh_activation *activation, int fd, const char *name,
                struct freshet_error *error)
{
    int door = door_of(name);
    int flags = fcntl(fd, F_GETFL);

    if (door < 0)
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "the service manager passed a socket named %s; let its unit say "
                             "FileDescriptorName=control or browser",
                             name);
    if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0)
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "what the service manager passed as %s is no listening Unix stream "
                             "socket; use ListenStream= with a path, and Accept=no",
                             name);
    if (activation->doors[door].count == FSH_ACTIVATION_MAX)
        return fsh_base_fail(error, FRESHET_ECONFIG, "more than %d sockets are passed as %s",
                             FSH_ACTIVATION_MAX, name);
    /* The loop never waits in accept(2). */
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return fsh_base_fail(error, FRESHET_ELIMIT, "the socket %s cannot be set up", name);
    activation->doors[door].fds[activation->doors[door].count++] = fd;
    return FRESHET_OK;
}

int fsh_activation_take(struct fsh_activation *ret_activation, struct freshet_error *error)
{
    struct fsh_activation activation = {0};
    char **passed = NULL;
    int count = sd_listen_fds_with_names(1, &passed);
    int status = FRESHET_OK;

    if (count < 0)
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES make no sense: %s",
                             strerror(-count));
    for (int i = 0; i < count; i++) {
        if (status == FRESHET_OK)
            status = take(&activation, SD_LISTEN_FDS_START + i, passed[i], error);
        free(passed[i]);
    }
    free(passed);
    if (status != FRESHET_OK) {
        for (int i = 0; i < count; i++)
            (void)close(SD_LISTEN_FDS_START + i);
        return status;
    }
    *ret_activation = activation;
    return FRESHET_OK;
}

void fsh_activation_done(struct fsh_activation *activation)
{
    for (int door = FSH_DOOR_CONTROL; door <= FSH_DOOR_BROWSER; door++) {
        for (int i = 0; i < activation->doors[door].count; i++) {
            if (activation->doors[door].fds[i] >= 0)
                (void)close(activation->doors[door].fds[i]);
        }
        activation->doors[door].count = 0;
    }
}
