/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/events.h"

#include "base/error.h"
#include "base/post.h"
#include "engine/clock.h"
#include "keeper/loop.h"

#include <errno.h>
#include <freshet/status.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/queue.h>

/* Taken in one turn of the loop, which has others to serve. */
#define TAKEN_AT_ONCE 64

/* What a reader who comes back gets at once; the stream has room for it. */
#define REPLAYED_MAX (FSH_REQUEST_STREAM_MAX / 2)

static const char alive[] = ": keep-alive\n\n";
static const char type[] = "text/event-stream";

struct kept {
    uint64_t number; /* of the ledger */
    char session[sizeof(((struct freshet_event *)0)->session)];
    char *text; /* as it is sent; owned */
    size_t len;
};

struct reader {
    struct fsh_keeper_request *request;
    struct fsh_events_hub *hub;
    LIST_ENTRY(reader) in_hub;
};

struct fsh_events_hub {
    struct fsh_keeper *keeper;
    struct fsh_watch watch;
    struct fsh_alarm alive;
    LIST_HEAD(, reader) readers;
    struct fsh_events_counts counts;
    /* When this process began to count: numbers begin anew with each. */
    int64_t epoch;
    size_t first;
    size_t count;
    struct kept kept[FSH_EVENTS_KEPT];
};

/* ---- readers ----------------------------------------------------------------------------- */

static void reader_free(struct reader *reader)
{
    LIST_REMOVE(reader, in_hub);
    reader->hub->counts.readers--;
    free(reader);
}

static void on_gone(struct fsh_keeper_request *request)
{
    reader_free(request->data);
}

/* Its stream is over, after the last words. */
static void end(struct reader *reader, const char *words)
{
    struct fsh_keeper_request *request = reader->request;

    reader_free(reader);
    fsh_request_end(request, words, strlen(words));
}

/* Who does not keep up is told so, and must come back: nothing grows. */
static bool tell(struct reader *reader, const char *text, size_t len)
{
    if (fsh_request_write(reader->request, text, len) == FRESHET_OK)
        return true;
    reader->hub->counts.dropped++;
    end(reader, "event: lost\ndata: {\"lost\": 1}\n\n");
    return false;
}

/* As the grants are now. Sessions that no entry knows, such as browsers', are for the trusted. */
static bool may_read(const struct reader *reader, const char *session)
{
    const struct fsh_keeper_request *request = reader->request;
    const struct fsh_entry *entry = fsh_registry_find(reader->hub->keeper->registry, session);

    return (fsh_grants_verbs(entry ? entry->grants : NULL, request->peer) & FSH_VERB_READ) != 0;
}

static void tell_all(struct fsh_events_hub *hub, const char *text, size_t len)
{
    struct reader *reader = LIST_FIRST(&hub->readers);

    while (reader) {
        struct reader *next = LIST_NEXT(reader, in_hub);

        (void)tell(reader, text, len);
        reader = next;
    }
}

static void ring_alive(struct fsh_alarm *alarm)
{
    struct fsh_events_hub *hub = fsh_container_of(alarm, struct fsh_events_hub, alive);

    tell_all(hub, alive, sizeof(alive) - 1);
    if (!LIST_EMPTY(&hub->readers))
        fsh_main_loop_alarm(hub->keeper->loop, &hub->alive, FSH_EVENTS_ALIVE_MS);
}

/* ---- events ------------------------------------------------------------------------------ */

json_t *fsh_events_entry(const struct freshet_ledger_entry *entry)
{
    return json_pack("{s:I, s:I, s:s, s:s, s:s, s:I, s:I}", "number", (json_int_t)entry->number,
                     "at_ms", (json_int_t)entry->at_ms, "name", entry->name, "what", entry->what,
                     "status", freshet_status_name(entry->status), "value",
                     (json_int_t)entry->value, "times", (json_int_t)entry->times);
}

/* One event of the stream; NULL without memory. The caller frees it. */
static char *render(const struct fsh_events_hub *hub, const struct freshet_event *event)
{
    json_t *data = json_pack("{s:s, s:o}", "session", event->session, "entry",
                             fsh_events_entry(&event->entry));
    char *json = data ? json_dumps(data, JSON_COMPACT) : NULL;
    char *text = NULL;

    if (json && asprintf(&text, "id: %" PRId64 "-%" PRIu64 "\nevent: %s\ndata: %s\n\n", hub->epoch,
                         event->entry.number, event->entry.name, json) < 0)
        text = NULL;
    free(json);
    json_decref(data);
    return text;
}

static const struct kept *keep(struct fsh_events_hub *hub, const struct freshet_event *event,
                               char *text)
{
    struct kept *kept = &hub->kept[(hub->first + hub->count) % FSH_EVENTS_KEPT];

    if (hub->count == FSH_EVENTS_KEPT)
        hub->first = (hub->first + 1) % FSH_EVENTS_KEPT;
    else
        hub->count++;
    free(kept->text);
    kept->number = event->entry.number;
    memcpy(kept->session, event->session, sizeof(kept->session));
    kept->text = text;
    kept->len = strlen(text);
    return kept;
}

static void take(struct fsh_events_hub *hub, const struct freshet_event *event)
{
    struct reader *reader = LIST_FIRST(&hub->readers);
    char *text = render(hub, event);
    const struct kept *kept;

    hub->counts.events++;
    fsh_registry_heed(hub->keeper->registry, event->session);
    fsh_events_log(event);
    if (!text) {
        hub->counts.lost++;
        return;
    }
    kept = keep(hub, event, text);
    while (reader) {
        struct reader *next = LIST_NEXT(reader, in_hub);

        if (may_read(reader, kept->session))
            (void)tell(reader, kept->text, kept->len);
        reader = next;
    }
}

/* They came faster than they were taken: whose they were is not known any more. */
static void tell_lost(struct fsh_events_hub *hub, uint64_t lost)
{
    char text[80];
    int len = snprintf(text, sizeof(text), "event: lost\ndata: {\"lost\": %" PRIu64 "}\n\n", lost);

    hub->counts.lost += lost;
    fsh_registry_heed(hub->keeper->registry, NULL);
    tell_all(hub, text, (size_t)len);
}

static void on_events(struct fsh_watch *watch, uint32_t events)
{
    struct fsh_events_hub *hub = fsh_container_of(watch, struct fsh_events_hub, watch);
    struct freshet_event event;
    uint64_t lost = 0;

    (void)events;
    for (int i = 0; i < TAKEN_AT_ONCE; i++) {
        int found = freshet_event_next(hub->keeper->freshet, &event, &lost);

        if (lost > 0)
            tell_lost(hub, lost);
        if (found != 1)
            return;
        take(hub, &event);
    }
}

/* ---- who comes back ---------------------------------------------------------------------- */

static const struct kept *kept_at(const struct fsh_events_hub *hub, size_t i)
{
    return &hub->kept[(hub->first + i) % FSH_EVENTS_KEPT];
}

/* The number behind an id of this process. False: it is of another, or nothing that we gave. */
static bool read_id(const struct fsh_events_hub *hub, const char *id, uint64_t *ret_number)
{
    char own[32];
    int len = snprintf(own, sizeof(own), "%" PRId64 "-", hub->epoch);
    char *rest;

    if (strncmp(id, own, (size_t)len) != 0 || id[len] < '0' || id[len] > '9')
        return false;
    errno = 0;
    *ret_number = strtoull(id + len, &rest, 10);
    return errno == 0 && *rest == '\0';
}

/* From where what a reader may read fits into what is sent at once. */
static size_t replay_from(const struct reader *reader, uint64_t after)
{
    const struct fsh_events_hub *hub = reader->hub;
    size_t from = hub->count;
    size_t len = 0;

    while (from > 0) {
        const struct kept *kept = kept_at(hub, from - 1);

        if (kept->number <= after)
            break;
        if (may_read(reader, kept->session))
            len += kept->len;
        if (len > REPLAYED_MAX)
            break;
        from--;
    }
    return from;
}

/* False: the reader is gone. */
static bool replay(struct reader *reader, const char *id)
{
    const struct fsh_events_hub *hub = reader->hub;
    uint64_t after = 0;
    bool known = read_id(hub, id, &after);
    size_t from = replay_from(reader, known ? after : 0);
    uint64_t next = from < hub->count ? kept_at(hub, from)->number : after + 1;
    char text[80];

    /* What happened while the keeper was away nobody has counted. */
    if (!known)
        (void)snprintf(text, sizeof(text), "event: lost\ndata: {\"lost\": null}\n\n");
    else
        (void)snprintf(text, sizeof(text), "event: lost\ndata: {\"lost\": %" PRIu64 "}\n\n",
                       next - after - 1);
    if ((!known || next > after + 1) && !tell(reader, text, strlen(text)))
        return false;
    for (size_t i = from; i < hub->count; i++) {
        const struct kept *kept = kept_at(hub, i);

        if (may_read(reader, kept->session) && !tell(reader, kept->text, kept->len))
            return false;
    }
    return true;
}

/* ---- the route --------------------------------------------------------------------------- */

/* Whether there is a place for one more reader of this peer; else *ret_most says how many may be.
 */
static bool admits(const struct fsh_events_hub *hub, const struct fsh_peer *peer, int *ret_most)
{
    const struct reader *reader;
    int own = 0;

    *ret_most = FSH_EVENTS_READERS;
    if (hub->counts.readers >= FSH_EVENTS_READERS)
        return false;
    if (fsh_peer_trusted(peer))
        return true;
    *ret_most = FSH_EVENTS_SHARE;
    LIST_FOREACH (reader, &hub->readers, in_hub)
        own += reader->request->peer->uid == peer->uid;
    return own < FSH_EVENTS_SHARE;
}

/* NULL, and the request is answered. */
static struct reader *reader_new(struct fsh_events_hub *hub, struct fsh_keeper_request *request)
{
    struct reader *reader;
    int most;

    if (!admits(hub, request->peer, &most)) {
        fsh_request_answer(request,
                           fsh_page_fail(FRESHET_ELIMIT, "there are %d readers already", most));
        return NULL;
    }
    reader = calloc(1, sizeof(*reader));
    if (!reader || fsh_request_stream(request, type) != FRESHET_OK) {
        free(reader);
        fsh_request_answer(request, fsh_page_problem(FRESHET_ENOMEM, NULL));
        return NULL;
    }
    reader->request = request;
    reader->hub = hub;
    request->data = reader;
    request->gone = on_gone;
    LIST_INSERT_HEAD(&hub->readers, reader, in_hub);
    if (hub->counts.readers++ == 0)
        fsh_main_loop_alarm(hub->keeper->loop, &hub->alive, FSH_EVENTS_ALIVE_MS);
    return reader;
}

static void handle(struct fsh_keeper_request *request)
{
    struct fsh_events_hub *hub = request->keeper->events;
    const char *id = fsh_request_header(request, "Last-Event-ID");
    struct reader *reader;

    if (request->keeper->draining) {
        fsh_request_answer(request, fsh_page_problem(FRESHET_ECLOSED, NULL));
        return;
    }
    if (strcmp(request->method, "HEAD") == 0) {
        fsh_request_answer(request, fsh_page_new(200, type, "", 0));
        return;
    }
    reader = reader_new(hub, request);
    /* At once, so that a reader knows that it hears what happens from now on. */
    if (reader && tell(reader, alive, sizeof(alive) - 1) && id && id[0] != '\0')
        (void)replay(reader, id);
}

const struct fsh_route fsh_events_routes[] = {
    {FSH_DOOR_CONTROL, "GET", "/v1/events", handle},
    {0},
};

/* ---- the hub ----------------------------------------------------------------------------- */

int fsh_events_new(struct fsh_keeper *keeper, struct fsh_events_hub **ret_hub,
                   struct freshet_error *error)
{
    struct fsh_events_hub *hub = calloc(1, sizeof(*hub));

    if (!hub)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    hub->keeper = keeper;
    hub->epoch = fsh_clock_wall().ms;
    hub->alive.ring = ring_alive;
    LIST_INIT(&hub->readers);
    hub->watch.fd = freshet_event_fd(keeper->freshet);
    hub->watch.ready = on_events;
    if (fsh_main_loop_watch(keeper->loop, &hub->watch, EPOLLIN) != FRESHET_OK) {
        free(hub);
        return fsh_base_fail(error, FRESHET_ELIMIT, "events cannot be watched: %s",
                             strerror(errno));
    }
    *ret_hub = hub;
    return FRESHET_OK;
}

void fsh_events_free(struct fsh_events_hub *hub)
{
    if (!hub)
        return;
    fsh_main_loop_unset(hub->keeper->loop, &hub->alive);
    fsh_main_loop_unwatch(hub->keeper->loop, &hub->watch);
    for (size_t i = 0; i < FSH_EVENTS_KEPT; i++)
        free(hub->kept[i].text);
    free(hub);
}

void fsh_events_drain(struct fsh_events_hub *hub)
{
    struct reader *reader = LIST_FIRST(&hub->readers);

    while (reader) {
        struct reader *next = LIST_NEXT(reader, in_hub);

        end(reader, "");
        reader = next;
    }
}

void fsh_events_counts(const struct fsh_events_hub *hub, struct fsh_events_counts *ret_counts)
{
    *ret_counts = hub->counts;
}
