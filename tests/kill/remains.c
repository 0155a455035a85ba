/* SPDX-License-Identifier: Apache-2.0 */
#include "base/secret.h"
#include "engine/clock.h"
#include "kill.h"
#include "store/codec.h"
#include "store/kept.h"
#include "store/keyring.h"
#include "store/seal.h"

#include <freshet/status.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const known_names[] = {
    [KNOWN_NOTHING] = "nothing", [KNOWN_LIVE] = "live", [KNOWN_OUT] = "signed out",
    [KNOWN_ENDED] = "ended",     [KNOWN_LOST] = "lost",
};

static const char *const phase_names[] = {
    [FSH_PHASE_NONE] = "none",   [FSH_PHASE_LIVE] = "live",
    [FSH_PHASE_ENDED] = "ended", [FSH_PHASE_SIGNED_OUT] = "signed out",
    [FSH_PHASE_HELD] = "held",
};

/* ---- reading ----------------------------------------------------------------------------- */

static void ask_platform(const struct kill_test *test, const char *token, struct remains *remains)
{
    char body[512];
    char answer[512];
    json_t *object;

    (void)snprintf(body, sizeof(body), "{\"refresh_token\": \"%s\"}", token);
    if (devclient_send(&test->server.dev, "POST", "/_dev/refresh_token", body, answer,
                       sizeof(answer)) != 200)
        worker_fail(test->shared, "the devserver does not say what it thinks of a token");
    object = json_loads(answer, 0, NULL);
    (void)snprintf(remains->platform, sizeof(remains->platform), "%s",
                   json_string_value(json_object_get(object, "state")));
    remains->superseded_for = -1;
    if (json_object_get(object, "superseded_for"))
        remains->superseded_for =
            (int64_t)(json_real_value(json_object_get(object, "superseded_for")) * 1000);
    json_decref(object);
}

static void open_kept(const struct kill_test *test, sqlite3_stmt *row, struct remains *remains)
{
    struct fsh_seal_context context = {
        .purpose = FSH_SEAL_SECRETS,
        .record = NAME,
        .incarnation = remains->record.incarnation,
        .generation = remains->record.generation,
    };
    struct fsh_keyring *keyring = NULL;
    struct fsh_secret bytes = {0};
    struct fsh_kept kept = {0};
    char why[160] = "";

    if (fsh_keyring_open(test->key_file, &keyring, NULL) != FRESHET_OK)
        worker_fail(test->shared, "the key file cannot be read");
    if (fsh_unseal(keyring, &context, sqlite3_column_blob(row, 1),
                   (size_t)sqlite3_column_bytes(row, 1), &bytes, why, sizeof(why)) != FRESHET_OK)
        worker_fail(test->shared, "what was left behind cannot be opened: %s", why);
    if (fsh_kept_decode(&bytes, &kept) != FRESHET_OK)
        worker_fail(test->shared, "what was left behind cannot be read");
    remains->kept = !fsh_base_secret_empty(&kept.refresh_token);
    if (remains->kept)
        ask_platform(test, fsh_base_secret_reveal(&kept.refresh_token), remains);
    fsh_store_kept_done(&kept);
    fsh_base_secret_done(&bytes);
    fsh_keyring_unref(keyring);
}

static void read_row(const struct kill_test *test, sqlite3_stmt *row, struct remains *remains)
{
    struct fsh_record *record = &remains->record;
    struct fsh_stamp now = {fsh_clock_mono().ms, fsh_clock_boot()};

    remains->exists = true;
    if (fsh_store_decode(sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0),
                         record) != FRESHET_OK)
        worker_fail(test->shared, "the record that was left behind cannot be read");
    remains->open_for = fsh_core_record_unresolved_ms(record, 0, now);
    if (record->lease.holder != 0 && record->lease.until.ms > now.ms)
        remains->lease_left = record->lease.until.ms - now.ms;
    if (sqlite3_column_bytes(row, 1) > 0)
        open_kept(test, row, remains);
    remains->asked_after = fsh_clock_mono().ms - now.ms;
}

void remains_read(const struct kill_test *test, struct remains *ret_remains)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *row = NULL;

    *ret_remains = (struct remains){.superseded_for = -1, .open_for = -1};
    if (sqlite3_open_v2(test->secrets, &database, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
        /* What the dead left in the WAL is the next process's to find. */
        (void)sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        if (sqlite3_prepare_v2(database, "SELECT record, sealed FROM session WHERE name = ?", -1,
                               &row, NULL) == SQLITE_OK) {
            (void)sqlite3_bind_text(row, 1, NAME, -1, SQLITE_STATIC);
            if (sqlite3_step(row) == SQLITE_ROW)
                read_row(test, row, ret_remains);
        }
    }
    (void)sqlite3_finalize(row);
    (void)sqlite3_close(database);
}

/* ---- checking ---------------------------------------------------------------------------- */

static enum known known_of(const struct fsh_record *record)
{
    switch (record->phase) {
    case FSH_PHASE_LIVE:
        return record->refreshable ? KNOWN_LIVE : KNOWN_LOST;
    case FSH_PHASE_ENDED:
        return record->reason == FRESHET_ELOSTROTATION ? KNOWN_LOST : KNOWN_ENDED;
    case FSH_PHASE_SIGNED_OUT:
    case FSH_PHASE_HELD:
        return KNOWN_OUT;
    case FSH_PHASE_NONE:
        break;
    }
    return KNOWN_NOTHING;
}

/* Whether a process may have come to `found` on its own, without the program being told yet. */
static bool by_itself(const struct kill_test *test, enum known found)
{
    const struct shared *shared = test->shared;

    /* Rule 7: a loss is found, not done. */
    if (shared->known == KNOWN_LIVE && found == KNOWN_LOST)
        return true;
    if (shared->known == KNOWN_LIVE && found == KNOWN_ENDED)
        return shared->revoked;
    /* Rule 8: a service that nobody holds signs in. */
    return test->service && shared->known != KNOWN_OUT && found == KNOWN_LIVE;
}

/* Nothing that the program was told is undone, and what is different is what was under way. */
static void check_known(const struct kill_test *test, const struct remains *remains)
{
    struct shared *shared = test->shared;
    enum known found = known_of(&remains->record);

    if (found != shared->known && found != shared->begun && !by_itself(test, found))
        worker_fail(shared, "the program knows: %s, under way: %s; the store says: %s (%s, %d)",
                    known_names[shared->known], known_names[shared->begun], known_names[found],
                    phase_names[remains->record.phase], remains->record.reason);
    if (found == KNOWN_LIVE && !remains->kept)
        worker_fail(shared, "the refresh token of a live session is gone");
    if (found != KNOWN_LIVE && remains->kept)
        worker_fail(shared, "a refresh token is kept of a session that is %s", known_names[found]);
    shared->known = found;
    shared->begun = KNOWN_NOTHING;
}

static void check_numbers(struct shared *shared, const struct remains *remains)
{
    const struct fsh_record *record = &remains->record;

    if (record->generation < shared->record_generation ||
        record->incarnation < shared->record_incarnation)
        worker_fail(shared, "generation %llu or incarnation %llu went back",
                    (unsigned long long)record->generation,
                    (unsigned long long)record->incarnation);
    /* The token of each generation that was given out was committed before. */
    if (record->generation < shared->generation)
        worker_fail(shared, "generation %llu was given out, and %llu is the last in the store",
                    (unsigned long long)shared->generation, (unsigned long long)record->generation);
    shared->record_generation = record->generation;
    shared->record_incarnation = record->incarnation;
}

static void check_token(struct shared *shared, const struct remains *remains)
{
    if (!remains->kept || strcmp(remains->platform, "current") == 0)
        return;
    if (strcmp(remains->platform, "revoked") == 0 && shared->revoked)
        return;
    if (strcmp(remains->platform, "superseded") != 0)
        worker_fail(shared, "the platform calls the refresh token %s", remains->platform);
    if (remains->open_for < 0)
        worker_fail(shared, "a spent refresh token is kept, and the record does not know");
    /* The lease was written before the request left; clocks are read to the millisecond. */
    if (remains->open_for + remains->asked_after < remains->superseded_for - 1)
        worker_fail(shared, "the refresh token was spent %lld ms ago, its lease is %lld ms old",
                    (long long)remains->superseded_for,
                    (long long)(remains->open_for + remains->asked_after));
}

void remains_check(const struct kill_test *test, const struct remains *remains)
{
    struct shared *shared = test->shared;

    check_known(test, remains);
    check_numbers(shared, remains);
    /* It was about to be, when the process died. */
    if (remains->kept && strcmp(remains->platform, "revoked") != 0)
        shared->revoked = false;
    check_token(shared, remains);
}
