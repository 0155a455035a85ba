/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/signals.h"

#include "base/error.h"
#include "base/post.h"
#include "keeper/reload.h"

#include <errno.h>
#include <freshet/status.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void ready(struct fsh_watch *watch, uint32_t events)
{
    struct fsh_signals *signals = fsh_container_of(watch, struct fsh_signals, watch);
    struct signalfd_siginfo came;

    (void)events;
    if (read(watch->fd, &came, sizeof(came)) != (ssize_t)sizeof(came))
        return;
    if (came.ssi_signo != SIGHUP)
        fsh_drain_begin(&signals->drain, signals->keeper,
                        came.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
    else if (!signals->keeper->draining)
        fsh_reload(signals->keeper);
}

int fsh_signals_start(struct fsh_signals *signals, struct fsh_keeper *keeper,
                      struct freshet_error *error)
{
    sigset_t set;

    *signals = (struct fsh_signals){.keeper = keeper, .watch.ready = ready};
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    signals->watch.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals->watch.fd < 0 ||
        fsh_main_loop_watch(keeper->loop, &signals->watch, EPOLLIN) != FRESHET_OK)
        return fsh_base_fail(error, FRESHET_ELIMIT, "signals: %s", strerror(errno));
    return FRESHET_OK;
}

void fsh_signals_stop(struct fsh_signals *signals)
{
    if (!signals->keeper)
        return;
    fsh_drain_stop(&signals->drain);
    if (signals->watch.fd >= 0) {
        fsh_main_loop_unwatch(signals->keeper->loop, &signals->watch);
        (void)close(signals->watch.fd);
    }
}
