/* SPDX-License-Identifier: Apache-2.0 */

/* A session that is labelled and removed, as the keeper does with those of browsers. */

#include "base/bounds.h"
#include "kill.h"
#include "lib/labels.h"
#include "store/keyring.h"
#include "store/seal.h"

#include <freshet/async.h>
#include <freshet/status.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#define ACCOUNT     "load-2"
#define LABELS      2 /* of each */
#define LABEL_BYTES FSH_LABEL_MAX
#define PATIENCE_MS 30000
#define FLIGHT_MS   5000
#define TRIES       3

static void name_of(const struct guest *guest, char ret_name[32])
{
    (void)snprintf(ret_name, 32, "guest-%u", guest->number);
}

/* One is not taken for another, nor for a part of one. */
static void write_label(const struct guest *guest, unsigned number, char ret_label[LABEL_BYTES])
{
    unsigned first = guest->number * LABELS + number;

    for (size_t i = 0; i < LABEL_BYTES; i++)
        ret_label[i] = (char)('!' + (first + i) % 90);
}

/* ---- what is left ------------------------------------------------------------------------ */

struct left {
    unsigned sessions, labels, notes, tokens; /* rows of its name */
    struct fsh_secret label;
};

static void open_label(const struct kill_test *test, const char *name, sqlite3_stmt *row,
                       struct fsh_secret *ret_label)
{
    const struct fsh_seal_context context = {.purpose = FSH_SEAL_LABEL, .record = name};
    struct fsh_keyring *keyring = NULL;
    char why[FSH_SEAL_WHY] = "";

    if (fsh_keyring_open(test->key_file, &keyring, NULL) != FRESHET_OK)
        worker_fail(test->shared, "the key file cannot be read");
    if (fsh_unseal(keyring, &context, sqlite3_column_blob(row, 3),
                   (size_t)sqlite3_column_bytes(row, 3), ret_label, why, sizeof(why)) != FRESHET_OK)
        worker_fail(test->shared, "the label of %s cannot be opened: %s", name, why);
    fsh_keyring_unref(keyring);
}

static void take_secrets(const struct kill_test *test, const char *name, sqlite3_stmt *row,
                         struct left *left)
{
    left->sessions = (unsigned)sqlite3_column_int(row, 0);
    left->labels = (unsigned)sqlite3_column_int(row, 1);
    left->notes = (unsigned)sqlite3_column_int(row, 2);
    if (left->labels > 0)
        open_label(test, name, row, &left->label);
}

static void take_tokens(const struct kill_test *test, const char *name, sqlite3_stmt *row,
                        struct left *left)
{
    (void)test;
    (void)name;
    left->tokens = (unsigned)sqlite3_column_int(row, 0);
}

static void look(const struct kill_test *test, const char *path, const char *query,
                 const char *name,
                 void (*take)(const struct kill_test *test, const char *name, sqlite3_stmt *row,
                              struct left *left),
                 struct left *left)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *row = NULL;

    if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        worker_fail(test->shared, "%s does not open", path);
    /* What the dead left in the WAL is the next process's to find. */
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (sqlite3_prepare_v2(database, query, -1, &row, NULL) != SQLITE_OK ||
        sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_step(row) != SQLITE_ROW)
        worker_fail(test->shared, "%s: %s", query, sqlite3_errmsg(database));
    take(test, name, row, left);
    (void)sqlite3_finalize(row);
    (void)sqlite3_close(database);
}

static void read_left(const struct kill_test *test, const char *name, struct left *ret_left)
{
    *ret_left = (struct left){0};
    look(test, test->secrets,
         "SELECT (SELECT count(*) FROM session WHERE name=?1), "
         "(SELECT count(*) FROM label WHERE name=?1), "
         "(SELECT count(*) FROM ledger WHERE session=?1), "
         "(SELECT sealed FROM label WHERE name=?1)",
         name, take_secrets, ret_left);
    look(test, test->tokens, "SELECT count(*) FROM token WHERE name=?1", name, take_tokens,
         ret_left);
}

static bool is_label(const struct guest *guest, unsigned number, const struct left *left)
{
    char label[LABEL_BYTES];

    write_label(guest, number, label);
    return number == 0 ? left->labels == 0
                       : left->label.len == LABEL_BYTES &&
                             memcmp(fsh_base_secret_reveal(&left->label), label, LABEL_BYTES) == 0;
}

/* All of it went, in one: the token before the record, which alone tells of it. */
static void check_gone(struct shared *shared, const struct left *left)
{
    struct guest *guest = &shared->guest;
    bool went = guest->removed || guest->removing;

    if (!went && guest->label > 0)
        worker_fail(shared, "guest %u is gone, and nobody removed it", guest->number);
    if (left->labels > 0 || left->tokens > 0 || (went && left->notes > 0))
        worker_fail(shared, "of guest %u there are %u labels, %u notes and %u tokens left",
                    guest->number, left->labels, left->notes, left->tokens);
    guest->removed = went;
}

static void check_there(struct shared *shared, const struct left *left)
{
    struct guest *guest = &shared->guest;
    bool next = guest->labelling && is_label(guest, guest->label + 1, left);

    if (guest->removed)
        worker_fail(shared, "guest %u was removed, and is there", guest->number);
    if (!next && !is_label(guest, guest->label, left))
        worker_fail(shared, "guest %u was given label %u%s, and has another", guest->number,
                    guest->label, guest->labelling ? ", the next was under way" : "");
    guest->label += next;
}

void guest_check(const struct kill_test *test)
{
    struct guest *guest = &test->shared->guest;
    struct left left;
    char name[32];

    if (guest->number == 0)
        return;
    name_of(guest, name);
    read_left(test, name, &left);
    if (left.sessions == 0)
        check_gone(test->shared, &left);
    else
        check_there(test->shared, &left);
    guest->labelling = false;
    guest->removing = false;
    fsh_base_secret_done(&left.label);
}

/* ---- its coming and going ---------------------------------------------------------------- */

struct visit {
    const struct kill_test *test;
    struct guest *guest;
    struct freshet *freshet;
    struct freshet_queue *queue;
    char name[32];
    bool ended;
    int status;
};

static void on_end(void *data, int status, const struct freshet_freshness *freshness,
                   const struct freshet_error *error)
{
    struct visit *visit = data;

    (void)freshness;
    (void)error;
    visit->ended = true;
    visit->status = status;
}

static int await_end(struct visit *visit)
{
    struct pollfd ready = {.fd = freshet_queue_fd(visit->queue), .events = POLLIN};

    while (!visit->ended) {
        if (poll(&ready, 1, PATIENCE_MS) != 1)
            worker_fail(visit->test->shared, "the store does not answer for %s", visit->name);
        (void)freshet_queue_dispatch(visit->queue);
    }
    visit->ended = false;
    return visit->status;
}

static void put_label(struct visit *visit)
{
    struct guest *guest = visit->guest;
    char label[LABEL_BYTES];

    write_label(guest, guest->label + 1, label);
    guest->labelling = true;
    if (fsh_lib_label_put(visit->freshet, visit->name, label, sizeof(label), visit->queue, on_end,
                          visit, NULL) != FRESHET_OK ||
        await_end(visit) != FRESHET_OK)
        worker_fail(visit->test->shared, "%s is given no label", visit->name);
    guest->label++;
    guest->labelling = false;
}

/* `live`: it was not signed out. The lease of a dead process may hold it for a while. */
static void take_away(struct visit *visit, bool live)
{
    struct guest *guest = visit->guest;
    int status = FRESHET_EBUSY;

    guest->removing = true;
    for (int tries = 0; tries < TRIES && status == FRESHET_EBUSY; tries++) {
        if (tries > 0)
            clock_advance(31 * SECOND);
        status = (live ? fsh_lib_session_end : fsh_lib_session_remove)(
            visit->freshet, visit->name, visit->queue, on_end, visit, NULL);
        if (status == FRESHET_OK)
            status = await_end(visit);
    }
    if (status != FRESHET_OK)
        worker_fail(visit->test->shared, "%s cannot be removed: %d", visit->name, status);
    guest->removed = true;
    guest->removing = false;
    visit->test->shared->guests++;
}

static void come(struct visit *visit, struct freshet_session **ret_session)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_error error = {0};

    *visit->guest = (struct guest){.number = visit->guest->number + 1};
    name_of(visit->guest, visit->name);
    options.on_demand = true;
    if (freshet_session_open(visit->freshet, visit->name, &options, ret_session, &error) !=
            FRESHET_OK ||
        freshet_sign_in(*ret_session, ACCOUNT, DEV_PASSWORD, FLIGHT_MS, &error) != FRESHET_OK)
        worker_fail(visit->test->shared, "%s does not come: %s", visit->name, error.message);
}

void guest_visit(const struct kill_test *test, struct freshet *freshet)
{
    struct visit visit = {.test = test, .guest = &test->shared->guest, .freshet = freshet};
    struct freshet_session *session = NULL;
    bool live;

    if (freshet_queue_new(&visit.queue, NULL) != FRESHET_OK)
        worker_fail(test->shared, "there is no queue");
    name_of(visit.guest, visit.name);
    if (visit.guest->number > 0 && !visit.guest->removed)
        take_away(&visit, true);
    come(&visit, &session);
    for (unsigned i = 0; i < LABELS; i++)
        put_label(&visit);
    live = visit.guest->number % 2 == 0;
    if (!live && freshet_sign_out(session, false, NULL) != FRESHET_OK)
        worker_fail(test->shared, "%s cannot sign out", visit.name);
    freshet_session_close(session);
    take_away(&visit, live);
    freshet_queue_free(visit.queue);
}
