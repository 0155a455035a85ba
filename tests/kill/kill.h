/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_KILL_H
#define TESTS_KILL_H

/* The kill test: a process that signs in and refreshes, with refresh tokens that rotate, is killed
 * again and again, and started again on what it left behind. Each process is a fork of one parent,
 * which has no threads and opens no store; what must survive a kill to be judged stands in memory
 * that they share. Time is a number in a file that the devserver follows too, so that an hour
 * passes at once. */

#include "core/record.h"
#include "devserver.h"

#include <freshet/freshet.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)
#define GRACE  (10 * SECOND) /* of the profile partner-rotating, and of the devserver */
#define LIFE   HOUR          /* of access tokens */
#define POINTS 96
#define NAME   "killed" /* of the session */

/* What the program was told, or has begun and not yet been told the end of. */
enum known {
    KNOWN_NOTHING,
    KNOWN_LIVE,
    KNOWN_OUT,   /* signed out */
    KNOWN_ENDED, /* by the platform */
    KNOWN_LOST,  /* FRESHET_ELOSTROTATION */
};

/* What a process is to do before it closes in peace. */
struct script {
    unsigned refreshes;
    bool again;       /* signs in though the session is live */
    bool lose_answer; /* the platform's answer to the first refresh is lost, once */
    bool lose_grace;  /* ... and nobody asks again within the grace */
    bool sign_out;    /* at its end */
    bool end;         /* at its end: the platform ends the session */
    bool guest;       /* before that: another session comes, is labelled, and goes for good */
    bool look_early;  /* asks while the lease of the dead may still be in force */
};

/* What a kill left behind, as the store and the platform tell. */
struct remains {
    bool exists;
    struct fsh_record record;
    bool kept;              /* a refresh token stands beside the record */
    char platform[16];      /* what the platform says of it */
    int64_t superseded_for; /* ms; -1: it is not */
    int64_t open_for;       /* ms since the refresh whose outcome is not known; -1: there is none */
    int64_t lease_left;     /* ms */
    int64_t asked_after;    /* ms from the look at the record to the platform's answer */
};

/* One fault point: where, with which kind, and what makes a process pass it. */
struct point {
    const char *name;
    int kind;
    const char *label; /* of the kind */
    unsigned needs;
};

enum needs {
    NEEDS_NOTHING,
    NEEDS_SIGN_IN,
    NEEDS_LOST_ANSWER, /* a refresh whose answer is lost */
    NEEDS_LOSS,        /* ... for good */
    NEEDS_SIGN_OUT,
    NEEDS_END,
    NEEDS_GUEST,
};

/* What is known of the session that comes and goes (guest.c). */
struct guest {
    unsigned number; /* of its name, which is never used again; 0: there was none yet */
    unsigned label;  /* the last that was put; 0: none */
    bool labelling;  /* ... and the next is under way */
    bool removing;   /* its removal is under way, */
    bool removed;    /* or done */
};

/* Shared by all processes of the test. */
struct shared {
    /* What the program knows. */
    enum known known;
    enum known begun;    /* KNOWN_NOTHING: nothing is under way */
    uint64_t generation; /* the highest that it was given */
    uint64_t record_generation;
    uint64_t record_incarnation;
    bool revoked; /* by the platform, and the program was not told yet */

    struct guest guest;

    /* The order of this round. */
    unsigned round;
    uint64_t random;
    struct script script;
    int point;     /* index of the fault point that kills, or -1 */
    unsigned pass; /* ... the time that it is passed */

    /* Counted. */
    _Atomic unsigned passed[POINTS]; /* how often each point was passed */
    _Atomic unsigned killed[POINTS];
    unsigned refreshes, sign_ins, sign_outs, ends;
    unsigned guests; /* that were removed */
    unsigned losses; /* told as lost_rotation */
    unsigned spent;  /* ... of which the platform had handled the refresh before the kill */
    unsigned waited; /* times that the lease of a dead process was met */

    char problem[512]; /* of the process that failed */
};

struct kill_test {
    struct shared *shared;
    struct devserver server;
    bool service;
    const char *account;
    const char *broken; /* order that is broken on purpose, or NULL */
    char folder[64];
    char key_file[96];
    char secrets[96]; /* path */
    char tokens[96];
};

/* --- clock.c: this program's clocks are ahead by a number that it shares with the devserver --- */

void clock_follow(_Atomic int64_t *ahead_ns);
void clock_advance(int64_t ms);

/* --- faults.c --- */

extern const struct point fault_points[POINTS];
unsigned fault_point_count(void);

/* This process is killed as `shared` says. `broken` as struct kill_test. */
void faults_arm(struct shared *shared, const char *broken);

/* --- remains.c --- */

/* Reads what is left behind, with a connection of its own. */
void remains_read(const struct kill_test *test, struct remains *ret_remains);

/* Fails unless it is what the program was told. Moves what is known on, where a kill left that
 * open. */
void remains_check(const struct kill_test *test, const struct remains *remains);

/* --- guest.c --- */

/* Fails unless what is left of the guest is what the program was told, or had begun, whole. */
void guest_check(const struct kill_test *test);

/* Removes the guest that is left; then the next one comes and goes. */
void guest_visit(const struct kill_test *test, struct freshet *freshet);

/* --- worker.c --- */

/* One process from its start to its end in peace; writes a byte to `started` once it opens. */
_Noreturn void worker_run(const struct kill_test *test, int started);

/* Opens the library and the session. */
void worker_open(const struct kill_test *test, struct freshet **ret_freshet,
                 struct freshet_session **ret_session);

/* Ends this process: the test has failed. */
__attribute__((format(printf, 2, 3))) _Noreturn void worker_fail(struct shared *shared,
                                                                 const char *format, ...);

/* One of `count` numbers, by the seed. */
unsigned draw(struct shared *shared, unsigned count);

/* --- several.c --- */

/* Several processes, each with several threads, share the session; its token expires again and
 * again while all of them ask for it. False: something is wrong, as `problem` says. */
bool several_share(const struct kill_test *test, unsigned processes, unsigned expiries);

#endif
