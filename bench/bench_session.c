/* SPDX-License-Identifier: Apache-2.0 */

/* What a session that is signed in and at rest takes of the heap, and of what that consists:
 * prints "PART BYTES" lines, bytes a session.
 *
 * Everything is measured as growth of the heap in use, so it counts malloc's own bytes:
 *   session   what goes when sessions are closed: all of what they have but tokens and rows,
 *   handle    what their handle needs more for so many, and keeps when they are closed,
 *   snapshot  what is left when the handle is closed too, and their headers are still held,
 *   rows      the rest: the stores' rows, which are the database of a handle with memory: stores,
 *             without the refresh tokens in them. */

#include "platform.h"
#include "rounds.h"
#include "wire.h"

#include <freshet/freshet.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WARM     100 /* sessions before the measurement */
#define SESSIONS 20000

static struct freshet_session *sessions[WARM + SESSIONS];
static const struct freshet_headers *headers[SESSIONS];

/* Of all arenas. */
static double heap(void)
{
    struct mallinfo2 info = mallinfo2();

    return (double)info.uordblks + (double)info.hblkhd;
}

static void tell(const char *part, double bytes)
{
    printf("%s %.1f\n", part, bytes / SESSIONS);
}

static void name_of(int index, char ret_name[32])
{
    (void)snprintf(ret_name, 32, "session-%d", index);
}

/* Heap of so many copies of a text. */
static double copies(const char *text)
{
    static char *copy[SESSIONS];
    double before = heap();
    double grown;

    for (int i = 0; i < SESSIONS; i++)
        copy[i] = strdup(text);
    grown = heap() - before;
    for (int i = 0; i < SESSIONS; i++)
        free(copy[i]);
    return grown;
}

/* What follows a call on the engine's thread has been done when it answers. */
static void settle(struct freshet_session *session)
{
    struct freshet_session_status status;

    bench_sleep_ms(100);
    (void)freshet_session_status(session, &status, NULL);
}

static void open_sessions(struct freshet *freshet, int from, int to)
{
    for (int i = from; i < to; i++) {
        char name[32];

        name_of(i, name);
        sessions[i] = bench_session_open(freshet, name);
    }
}

static void close_sessions(int from, int to)
{
    for (int i = from; i < to; i++)
        freshet_session_close(sessions[i]);
    settle(sessions[0]);
}

static void open_and_sign_in(struct freshet *freshet, int from, int to)
{
    open_sessions(freshet, from, to);
    for (int i = from; i < to; i++)
        bench_session_sign_in(sessions[i]);
    settle(sessions[0]);
}

/* Sessions that never sign in leave nothing behind but what the handle keeps. */
static double of_handle(struct freshet *freshet)
{
    double before = heap();

    open_sessions(freshet, WARM, WARM + SESSIONS);
    settle(sessions[0]);
    close_sessions(WARM, WARM + SESSIONS);
    return heap() - before;
}

static void hold_headers(void)
{
    struct freshet_error error;

    for (int i = 0; i < SESSIONS; i++) {
        if (freshet_headers_get(sessions[WARM + i], NULL, &headers[i], &error) != FRESHET_OK)
            bench_die("freshet_headers_get", error.message);
    }
}

static double snapshots(void)
{
    double before = heap();

    for (int i = 0; i < SESSIONS; i++)
        freshet_headers_unref(headers[i]);
    return before - heap();
}

int main(void)
{
    struct bench_platform platform;
    struct freshet *freshet;
    char name[32];
    double refresh_tokens;
    double before;
    double all;
    double stored;
    double snapshot;

    bench_platform_start(&platform);
    refresh_tokens = copies(bench_wire_refresh_token());
    freshet = bench_platform_open(&platform);
    open_and_sign_in(freshet, 0, WARM);
    tell("handle", of_handle(freshet));
    before = heap();
    open_and_sign_in(freshet, WARM, WARM + SESSIONS);
    all = heap() - before;
    hold_headers();
    close_sessions(WARM, WARM + SESSIONS);
    stored = heap() - before;
    freshet_close(freshet);
    snapshot = snapshots();
    name_of(WARM, name);
    tell("session", all - stored);
    tell("name", (double)(strlen(name) + 1) * SESSIONS);
    tell("snapshot", snapshot);
    tell("refresh_token", refresh_tokens);
    tell("rows", stored - snapshot - refresh_tokens);
    return 0;
}
