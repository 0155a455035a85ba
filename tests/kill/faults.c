/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#include "kill.h"
#include "profile/profile.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HTTP(name)                                                                                 \
    {name, FSH_EXCHANGE_SIGN_IN, "sign-in", NEEDS_SIGN_IN},                                        \
    {                                                                                              \
        name, FSH_EXCHANGE_REFRESH, "refresh", NEEDS_NOTHING                                       \
    }
#define WRITES(name)                                                                               \
    {name, FSH_CHANGE_LEASE, "lease", NEEDS_NOTHING},                                              \
        {name, FSH_CHANGE_RELEASE, "release", NEEDS_LOST_ANSWER},                                  \
        {name, FSH_CHANGE_COMMIT, "commit", NEEDS_NOTHING},                                        \
        {name, FSH_CHANGE_END, "end", NEEDS_END},                                                  \
        {name, FSH_CHANGE_SIGN_OUT, "sign-out", NEEDS_SIGN_OUT},                                   \
    {                                                                                              \
        name, FSH_CHANGE_LOSE, "lose", NEEDS_LOSS                                                  \
    }
#define GUEST(name)                                                                                \
    {name, FSH_CHANGE_LABEL, "label", NEEDS_GUEST},                                                \
    {                                                                                              \
        name, FSH_CHANGE_REMOVE, "remove", NEEDS_GUEST                                             \
    }
#define STORE(name)        {name, FSH_CHANGE_READ, "read", NEEDS_NOTHING}, WRITES(name)
#define STORE_LEDGER(name) {name, FSH_FAULT_LEDGER, "ledger", NEEDS_NOTHING}, STORE(name)
#define PLAIN(name, label)                                                                         \
    {                                                                                              \
        name, 0, label, NEEDS_NOTHING                                                              \
    }

/* Every point there is, in the order of a flight; a process that passes another one fails.
 *
 * store-begin is before BEGIN, store-written after the statement, store-commit before COMMIT when
 * the ledger's rows are written too; store-removing is between the rows of a session.
 * http-connected is before the first byte of the request, http-wait while it is on its way or the
 * platform is at it. The last four are inside SQLite, in the commits, checkpoints and recoveries of
 * both databases; a torn write is half done. */
const struct point fault_points[POINTS] = {
    STORE("engine-submit"),
    STORE_LEDGER("store-begin"),
    STORE_LEDGER("store-begun"),
    WRITES("store-written"),
    STORE_LEDGER("store-commit"),
    STORE_LEDGER("store-committed"),
    STORE("engine-stored"),
    HTTP("http-begin"),
    HTTP("http-connected"),
    HTTP("http-wait"),
    HTTP("http-answer"),
    PLAIN("engine-publish", "token"),
    PLAIN("engine-published", "token"),
    GUEST("store-begin"),
    GUEST("store-begun"),
    {"store-removing", FSH_CHANGE_REMOVE, "remove", NEEDS_GUEST},
    GUEST("store-written"),
    GUEST("store-commit"),
    GUEST("store-committed"),
    PLAIN("sqlite-write", "write"),
    PLAIN("sqlite-torn", "write"),
    PLAIN("sqlite-truncate", "truncate"),
    PLAIN("sqlite-unlink", "unlink"),
};

static struct shared *order; /* NULL: nobody is killed */
static const char *broken_order;

unsigned fault_point_count(void)
{
    unsigned count = 0;

    while (count < POINTS && fault_points[count].name)
        count++;
    return count;
}

static unsigned index_of(const char *name, int kind)
{
    for (unsigned i = 0; i < POINTS && fault_points[i].name; i++)
        if (fault_points[i].kind == kind && strcmp(fault_points[i].name, name) == 0)
            return i;
    worker_fail(order, "the fault point %s (%d) is not in the table", name, kind);
}

void fsh_fault(const char *name, int kind)
{
    unsigned index;

    if (!order || kind < 0)
        return;
    index = index_of(name, kind);
    atomic_fetch_add(&order->passed[index], 1);
    if ((int)index != order->point || --order->pass > 0)
        return;
    atomic_fetch_add(&order->killed[index], 1);
    /* What the other threads do too early, they have done by now. */
    if (broken_order)
        (void)usleep(5000);
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

/* ---- SQLite's own calls ------------------------------------------------------------------ */

static ssize_t (*true_write)(int fd, const void *bytes, size_t len, off_t at);
static int (*true_truncate)(int fd, off_t len);
static int (*true_unlink)(const char *path);

static ssize_t torn_write(int fd, const void *bytes, size_t len, off_t at)
{
    fsh_fault("sqlite-write", 0);
    if (order && order->point >= 0 && order->pass == 1 &&
        strcmp(fault_points[order->point].name, "sqlite-torn") == 0)
        (void)!true_write(fd, bytes, len / 2, at);
    fsh_fault("sqlite-torn", 0);
    return true_write(fd, bytes, len, at);
}

static int late_truncate(int fd, off_t len)
{
    fsh_fault("sqlite-truncate", 0);
    return true_truncate(fd, len);
}

static int late_unlink(const char *path)
{
    fsh_fault("sqlite-unlink", 0);
    return true_unlink(path);
}

static sqlite3_syscall_ptr replace(sqlite3_vfs *vfs, const char *name, sqlite3_syscall_ptr call)
{
    sqlite3_syscall_ptr before = vfs->xGetSystemCall(vfs, name);

    if (!before || vfs->xSetSystemCall(vfs, name, call) != SQLITE_OK)
        worker_fail(order, "SQLite here does not call %s", name);
    return before;
}

static void arm_sqlite(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

    true_write = (ssize_t(*)(int, const void *, size_t, off_t))replace(
        vfs, "pwrite64", (sqlite3_syscall_ptr)torn_write);
    true_truncate =
        (int (*)(int, off_t))replace(vfs, "ftruncate", (sqlite3_syscall_ptr)late_truncate);
    true_unlink = (int (*)(const char *))replace(vfs, "unlink", (sqlite3_syscall_ptr)late_unlink);
}

/* ---- arming ------------------------------------------------------------------------------ */

enum fsh_verdict __real_fsh_core_record_apply(struct fsh_record *record,
                                              const struct fsh_change *change,
                                              struct fsh_stamp now);
enum fsh_verdict __wrap_fsh_core_record_apply(struct fsh_record *record,
                                              const struct fsh_change *change,
                                              struct fsh_stamp now);

/* On purpose: a store that writes the lease without the intent. */
enum fsh_verdict __wrap_fsh_core_record_apply(struct fsh_record *record,
                                              const struct fsh_change *change, struct fsh_stamp now)
{
    enum fsh_verdict verdict = __real_fsh_core_record_apply(record, change, now);

    if (broken_order && strcmp(broken_order, "intent-not-written") == 0)
        record->unresolved = 0;
    return verdict;
}

void faults_arm(struct shared *shared, const char *broken)
{
    order = shared;
    broken_order = broken;
    arm_sqlite();
}
