/* SPDX-License-Identifier: Apache-2.0 */

/* Who is connected, for how long, and who has to go. */

#include "keeper/connection.h"

#include "base/post.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define TICK_MS 1000

struct fsh_guest {
    uid_t uid;
    size_t count;                  /* not those that are closing */
    size_t held;                   /* with them */
    struct fsh_connections silent; /* the longest first */
    struct fsh_connections idle;
    UT_hash_handle hh;
};

/* ---- guests ------------------------------------------------------------------------------ */

/* NULL without memory. */
static struct fsh_guest *guest_of(struct fsh_server *server, uid_t uid)
{
    struct fsh_guest *guest = NULL;

    HASH_FIND(hh, server->guests, &uid, sizeof(uid), guest);
    if (guest)
        return guest;
    guest = calloc(1, sizeof(*guest));
    if (!guest)
        return NULL;
    guest->uid = uid;
    TAILQ_INIT(&guest->silent);
    TAILQ_INIT(&guest->idle);
    HASH_ADD(hh, server->guests, uid, sizeof(guest->uid), guest);
    if (!guest->hh.tbl) {
        free(guest);
        return NULL;
    }
    return guest;
}

static void guest_left(struct fsh_server *server, struct fsh_guest *guest)
{
    if (guest->held > 0)
        return;
    HASH_DEL(server->guests, guest);
    free(guest);
}

/* Those that never asked anything go before those that did. */
static bool displace(struct fsh_guest *guest)
{
    struct fsh_connection *longest = TAILQ_FIRST(&guest->silent);

    if (!longest)
        longest = TAILQ_FIRST(&guest->idle);
    if (!longest)
        return false;
    longest->server->counts.displaced++;
    fsh_connection_shut(longest);
    return true;
}

static bool displace_any(struct fsh_server *server)
{
    struct fsh_guest *most = NULL;

    for (struct fsh_guest *guest = server->guests; guest; guest = guest->hh.next) {
        if (TAILQ_EMPTY(&guest->silent) && TAILQ_EMPTY(&guest->idle))
            continue;
        if (!most || guest->count > most->count)
            most = guest;
    }
    return most && displace(most);
}

/* Whether there is a place for one more of this guest, if need be by another's leaving. */
static bool admit(struct fsh_server *server, struct fsh_guest *guest, bool trusted)
{
    size_t places = FSH_SERVER_CONNECTIONS - (trusted ? 0 : FSH_SERVER_RESERVE);

    if (guest->count >= FSH_SERVER_SHARE)
        return displace(guest);
    if (server->counts.connections >= places)
        return displace_any(server);
    return true;
}

/* ---- stages ------------------------------------------------------------------------------ */

/* The list of its guest that a stage is in; NULL for none. */
static struct fsh_connections *idlers(const struct fsh_connection *connection)
{
    if (connection->stage == FSH_STAGE_SILENT)
        return &connection->guest->silent;
    return connection->stage == FSH_STAGE_IDLE ? &connection->guest->idle : NULL;
}

static bool at_work(enum fsh_stage stage)
{
    return stage == FSH_STAGE_READING || stage == FSH_STAGE_WORKING ||
           stage == FSH_STAGE_ANSWERING || stage == FSH_STAGE_STREAMING;
}

static void leave(struct fsh_connection *connection)
{
    struct fsh_connections *list = idlers(connection);

    if (list)
        TAILQ_REMOVE(list, connection, in_guest);
    TAILQ_REMOVE(&connection->server->stages[connection->stage], connection, in_stage);
    connection->server->counts.requests -= at_work(connection->stage);
}

static void enter(struct fsh_connection *connection, enum fsh_stage stage)
{
    struct fsh_connections *list;

    connection->stage = stage;
    connection->since_ms = fsh_main_loop_now(connection->server->loop);
    TAILQ_INSERT_TAIL(&connection->server->stages[stage], connection, in_stage);
    list = idlers(connection);
    if (list)
        TAILQ_INSERT_TAIL(list, connection, in_guest);
    connection->server->counts.requests += at_work(stage);
}

void fsh_connection_stage(struct fsh_connection *connection, enum fsh_stage stage)
{
    if (connection->stage == FSH_STAGE_CLOSING)
        return;
    leave(connection);
    enter(connection, stage);
}

void fsh_connection_shut(struct fsh_connection *connection)
{
    if (connection->stage == FSH_STAGE_CLOSING)
        return;
    leave(connection);
    enter(connection, FSH_STAGE_CLOSING);
    connection->guest->count--;
    connection->server->counts.connections--;
    (void)shutdown(connection->hang_up.fd, SHUT_RDWR);
}

static void shut_since(struct fsh_server *server, enum fsh_stage stage, int64_t ms)
{
    struct fsh_connection *connection;
    int64_t latest = fsh_main_loop_now(server->loop) - ms;

    while ((connection = TAILQ_FIRST(&server->stages[stage])) && connection->since_ms <= latest) {
        server->counts.timed_out++;
        fsh_connection_shut(connection);
    }
}

void fsh_connection_tick(struct fsh_server *server)
{
    shut_since(server, FSH_STAGE_SILENT, FSH_SERVER_REQUEST_MS);
    shut_since(server, FSH_STAGE_READING, FSH_SERVER_REQUEST_MS);
    shut_since(server, FSH_STAGE_IDLE, FSH_SERVER_IDLE_MS);
    shut_since(server, FSH_STAGE_ANSWERING, FSH_SERVER_IDLE_MS);
    if (server->counts.connections > 0)
        fsh_main_loop_alarm(server->loop, &server->tick, TICK_MS);
}

/* ---- suspended connections --------------------------------------------------------------- */

/* Who has shut down only its own direction may still wait for the answer: that is no hang-up. */
static void hung_up(struct fsh_watch *watch, uint32_t events)
{
    struct fsh_connection *connection = fsh_container_of(watch, struct fsh_connection, hang_up);

    (void)events;
    connection->dead = true;
    fsh_connection_gone(connection);
    fsh_connection_resume(connection);
}

void fsh_connection_suspend(struct fsh_connection *connection)
{
    connection->suspended = true;
    connection->hang_up.ready = hung_up;
    MHD_suspend_connection(connection->mhd);
    (void)fsh_main_loop_watch(connection->server->loop, &connection->hang_up, 0);
}

void fsh_connection_resume(struct fsh_connection *connection)
{
    struct fsh_server *server = connection->server;

    if (!connection->suspended)
        return;
    connection->suspended = false;
    fsh_main_loop_unwatch(server->loop, &connection->hang_up);
    MHD_resume_connection(connection->mhd);
    /* It has no descriptor of its own that would tell the loop. */
    fsh_main_loop_alarm(server->loop, &connection->listener->again, 0);
}

void fsh_connection_gone(struct fsh_connection *connection)
{
    struct fsh_keeper_request *request = &connection->request;
    void (*gone)(struct fsh_keeper_request *) = request->gone;

    if (!connection->routed || connection->answered ||
        (connection->stream && connection->stream->ended))
        return;
    request->gone = NULL;
    connection->answered = true;
    if (gone)
        gone(request);
}

/* ---- connections ------------------------------------------------------------------------- */

struct fsh_connection *fsh_connection_new(struct fsh_listener *listener, int fd,
                                          struct fsh_peer *peer)
{
    struct fsh_server *server = listener->server;
    struct fsh_guest *guest = guest_of(server, peer->uid);
    struct fsh_connection *connection = NULL;

    if (guest && admit(server, guest, fsh_peer_trusted(peer)))
        connection = calloc(1, sizeof(*connection));
    if (!connection) {
        if (guest)
            guest_left(server, guest);
        return NULL;
    }
    connection->server = server;
    connection->listener = listener;
    connection->hang_up.fd = fd;
    connection->peer = *peer;
    *peer = (struct fsh_peer){0};
    connection->guest = guest;
    guest->count++;
    guest->held++;
    server->counts.connections++;
    server->counts.accepted++;
    enter(connection, FSH_STAGE_SILENT);
    if (!server->tick.set)
        fsh_main_loop_alarm(server->loop, &server->tick, TICK_MS);
    return connection;
}

void fsh_connection_request_done(struct fsh_connection *connection)
{
    fsh_body_done(&connection->body);
    fsh_page_unref(connection->page);
    fsh_stream_free(connection->stream);
    connection->page = NULL;
    connection->stream = NULL;
    connection->begun = connection->routed = connection->answered = false;
    connection->too_long = false;
}

void fsh_connection_free(struct fsh_connection *connection)
{
    struct fsh_server *server = connection->server;
    struct fsh_guest *guest = connection->guest;

    fsh_connection_gone(connection);
    fsh_connection_request_done(connection);
    if (connection->stage != FSH_STAGE_CLOSING) {
        guest->count--;
        server->counts.connections--;
    }
    leave(connection);
    guest->held--;
    fsh_peer_done(&connection->peer);
    free(connection);
    guest_left(server, guest);
}
