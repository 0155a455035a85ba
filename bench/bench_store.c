/* SPDX-License-Identifier: Apache-2.0 */

/* Sign-ins and rotations through the secret store in a SQLite file, against a loop that writes as
 * many bytes to a SQLite file of the same settings: in transactions of one change, and of as many
 * as the store takes at once. Each sign-in and each rotation is two changes, its lease and its
 * commit, and each is on the disk when it is done. Rounds: nanoseconds a change. */

#include "rounds.h"

#include "store/codec.h"
#include "store/keyring.h"
#include "store/store.h"

#include <libgen.h>
#include <limits.h>
#include <semaphore.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GROUP   16   /* sessions under way at once */
#define REFRESH 1500 /* bytes of a refresh token */
#define SEALED  (REFRESH + 72)

static char folder[PATH_MAX];
static char refresh_token[REFRESH + 1];

/* Beside the program, so that it is the disk of the build, and not one in memory. */
static void make_folder(void)
{
    char program[PATH_MAX] = "";

    if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
        bench_die("/proc/self/exe cannot be read", NULL);
    (void)snprintf(folder, sizeof(folder), "%.4000s/bench-store-XXXXXX", dirname(program));
    if (!mkdtemp(folder))
        bench_die("no folder to be had", folder);
}

static void path_of(const char *name, char ret_path[PATH_MAX + 32])
{
    (void)snprintf(ret_path, PATH_MAX + 32, "%s/%s", folder, name);
}

static void remove_files(void)
{
    static const char *const names[] = {"ours.db", "ours.db-wal", "ours.db-shm",
                                        "bare.db", "bare.db-wal", "bare.db-shm"};
    char path[PATH_MAX + 32];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_of(names[i], path);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

/* ---- ours -------------------------------------------------------------------------------- */

/* One session after another signs in and rotates, a chain of changes. */
struct chain {
    struct fsh_store_op op;
    char name[32];
    struct fsh_record record;
    unsigned step; /* of its changes: lease, commit of a sign-in; lease, commit of a refresh */
};

static struct fsh_secret_store *store;
static struct chain chains[GROUP];
static int left;    /* changes that are not submitted yet */
static int landing; /* and not done */
static sem_t landed;

static void begin(struct chain *chain);

static void done(struct fsh_store_op *op)
{
    struct chain *chain = fsh_container_of(op, struct chain, op);

    if (op->status != 0 || op->verdict != FSH_VERDICT_DONE)
        bench_die("a change failed", op->why);
    chain->record = op->record;
    fsh_store_kept_done(&op->kept);
    chain->step++;
    if (left > 0)
        begin(chain);
    if (--landing == 0)
        (void)sem_post(&landed);
}

/* A grant brings a refresh token of its own. */
static void begin(struct chain *chain)
{
    bool commit = chain->step % 2 == 1;

    left--;
    chain->op = (struct fsh_store_op){
        .done = done,
        .session = chain->name,
        .change =
            {
                .kind = commit ? FSH_CHANGE_COMMIT : FSH_CHANGE_LEASE,
                .incarnation = chain->record.incarnation,
                .generation = chain->record.generation,
                .holder = 1,
                .attempt = 3,
                .reserved = chain->record.lease.generation,
                .purpose = chain->step % 4 < 2 ? FSH_PURPOSE_SIGN_IN : FSH_PURPOSE_REFRESH,
                .refreshable = true,
            },
        .now = {1000, 1},
    };
    if (commit && fsh_base_secret_copy(refresh_token, REFRESH, &chain->op.kept.refresh_token) != 0)
        bench_die("no memory", NULL);
    store->ops->submit(store, &chain->op);
}

static double run_chains(int changes, int count)
{
    double before = bench_now_ns();

    left = landing = changes;
    for (int i = 0; i < count; i++)
        begin(&chains[i]);
    while (sem_wait(&landed) != 0) {
        /* Interrupted. */
    }
    return (bench_now_ns() - before) / changes;
}

static double single(int changes)
{
    return run_chains(changes, 1);
}

static double grouped(int changes)
{
    return run_chains(changes, GROUP);
}

/* ---- bare -------------------------------------------------------------------------------- */

static sqlite3 *bare;
static sqlite3_stmt *write_record;
static sqlite3_stmt *write_all;
static unsigned bare_step;

static void sql(const char *text)
{
    if (sqlite3_exec(bare, text, NULL, NULL, NULL) != SQLITE_OK)
        bench_die(text, sqlite3_errmsg(bare));
}

static sqlite3_stmt *statement(const char *text)
{
    sqlite3_stmt *made = NULL;

    if (sqlite3_prepare_v2(bare, text, -1, &made, NULL) != SQLITE_OK)
        bench_die(text, sqlite3_errmsg(bare));
    return made;
}

static void write_bare(unsigned step)
{
    static unsigned char record[FSH_CODEC_BYTES];
    static unsigned char sealed[SEALED];
    sqlite3_stmt *write = step / GROUP % 2 ? write_all : write_record;
    char name[32];

    (void)snprintf(name, sizeof(name), "session-%u", step % GROUP);
    memcpy(record, &step, sizeof(step));
    memcpy(sealed, &step, sizeof(step));
    (void)sqlite3_bind_text(write, 1, name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_blob(write, 2, record, sizeof(record), SQLITE_STATIC);
    if (write == write_all)
        (void)sqlite3_bind_blob(write, 3, sealed, sizeof(sealed), SQLITE_STATIC);
    if (sqlite3_step(write) != SQLITE_DONE)
        bench_die("a write failed", sqlite3_errmsg(bare));
    (void)sqlite3_reset(write);
}

static double run_bare(int changes, int group)
{
    double before = bench_now_ns();

    for (int i = 0; i < changes; i += group) {
        sql("BEGIN IMMEDIATE");
        for (int j = 0; j < group; j++)
            write_bare(bare_step++);
        sql("COMMIT");
    }
    return (bench_now_ns() - before) / changes;
}

static double bare_single(int changes)
{
    return run_bare(changes, 1);
}

static double bare_grouped(int changes)
{
    return run_bare(changes, GROUP);
}

/* ---- both -------------------------------------------------------------------------------- */

static void open_ours(void)
{
    static const unsigned char key[32] = {1};
    char where[PATH_MAX + 64] = "sqlite:";
    struct fsh_store_options options = {.where = where};
    struct freshet_error error = {0};

    path_of("ours.db", where + strlen(where));
    if (sodium_init() < 0 || fsh_keyring_fixed(key, &options.keyring) != 0 ||
        fsh_store_secrets_open(&options, &store, &error) != 0)
        bench_die("the store", error.message);
    fsh_keyring_unref(options.keyring);
    (void)sem_init(&landed, 0, 0);
    for (int i = 0; i < GROUP; i++)
        (void)snprintf(chains[i].name, sizeof(chains[i].name), "session-%d", i);
}

static void open_bare(void)
{
    char path[PATH_MAX + 32];

    path_of("bare.db", path);
    if (sqlite3_open(path, &bare) != SQLITE_OK)
        bench_die(path, sqlite3_errmsg(bare));
    sql("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; "
        "CREATE TABLE session(name TEXT NOT NULL PRIMARY KEY, record BLOB, sealed BLOB)");
    write_record =
        statement("INSERT INTO session(name, record) VALUES(?1, ?2) ON CONFLICT(name) DO "
                  "UPDATE SET record=excluded.record");
    write_all = statement("INSERT INTO session(name, record, sealed) VALUES(?1, ?2, ?3) ON "
                          "CONFLICT(name) DO UPDATE SET record=excluded.record, "
                          "sealed=excluded.sealed");
}

int main(void)
{
    static const struct bench_round rounds[] = {
        {"single", single},
        {"grouped", grouped},
        {"bare_single", bare_single},
        {"bare_grouped", bare_grouped},
    };
    int status;

    make_folder();
    memset(refresh_token, 'r', REFRESH);
    open_ours();
    open_bare();
    status = bench_rounds(rounds, sizeof(rounds) / sizeof(rounds[0]));
    store->ops->close(store);
    (void)sqlite3_finalize(write_record);
    (void)sqlite3_finalize(write_all);
    (void)sqlite3_close(bare);
    remove_files();
    return status;
}
