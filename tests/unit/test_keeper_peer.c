/* SPDX-License-Identifier: Apache-2.0 */

/* Who is at the other end of a Unix socket, and what the configuration grants them. */

#include "keeper/peer.h"
#include "unit.h"

#include <freshet/status.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static gid_t groups[] = {300, 301};

/* Neither root nor the test's own user. */
static const struct fsh_peer someone = {.uid = 4000001, .gid = 200, .group_count = 2, groups};

struct row {
    const char *lines;
    unsigned verbs; /* of `someone` */
};

static const struct row rows[] = {
    {NULL, 0},
    {"", 0},
    {"uid:4000001 read", FSH_VERB_READ},
    {"uid:4000001 report", FSH_VERB_REPORT},
    {"uid:4000001 read report admin", FSH_VERB_ALL},
    {"uid:4000002 read", 0},
    /* A group's number is no user's. */
    {"uid:200 read", 0},
    {"gid:4000001 read", 0},
    {"gid:200 read", FSH_VERB_READ},
    {"gid:300 read", FSH_VERB_READ},
    {"gid:301 admin", FSH_VERB_ADMIN},
    {"gid:302 admin", 0},
    /* Lines add up. */
    {"uid:4000001 read\ngid:301 report", FSH_VERB_READ | FSH_VERB_REPORT},
    {"gid:302 admin\nuid:4000001 read", FSH_VERB_READ},
    {"uid:root admin\ngid:root read", 0},
};

static void lines_grant_what_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fsh_grants *grants = NULL;

        assert_int_equal(fsh_grants_new(rows[i].lines, &grants, NULL), FRESHET_OK);
        assert_int_equal(fsh_grants_verbs(grants, &someone), rows[i].verbs);
        fsh_grants_free(grants);
    }
    assert_int_equal(fsh_grants_verbs(NULL, &someone), 0);
}

static void root_and_the_own_user_may_do_everything(void **state)
{
    const struct fsh_peer root = {.uid = 0, .gid = 5};
    const struct fsh_peer own = {.uid = geteuid(), .gid = 5};
    struct fsh_grants *grants = NULL;

    (void)state;
    assert_int_equal(fsh_grants_new("uid:4000001 read", &grants, NULL), FRESHET_OK);
    assert_int_equal(fsh_grants_verbs(grants, &root), FSH_VERB_ALL);
    assert_int_equal(fsh_grants_verbs(grants, &own), FSH_VERB_ALL);
    assert_int_equal(fsh_grants_verbs(NULL, &root), FSH_VERB_ALL);
    assert_true(fsh_peer_trusted(&root) && fsh_peer_trusted(&own));
    assert_false(fsh_peer_trusted(&someone));
    fsh_grants_free(grants);
}

static void what_cannot_be_granted_is_told(void **state)
{
    static const struct {
        const char *lines;
        const char *named; /* by the message */
    } bad[] = {
        {"uid:no-such-user-here read", "no-such-user-here"},
        {"gid:no-such-group-here read", "no-such-group-here"},
        {"uid:4294967295 read", "4294967295"},
        {"uid:12x read", "12x"},
        {"uid: read", "no user"},
        {"root read", "root"},
        {"uid:0", "read, report or admin"},
        {"uid:0 read\nuid:no-such-user-here read", "no-such-user-here"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct freshet_error error;
        struct fsh_grants *grants = NULL;

        assert_int_equal(fsh_grants_new(bad[i].lines, &grants, &error), FRESHET_ECONFIG);
        assert_non_null(strstr(error.message, bad[i].named));
        assert_null(grants);
    }
}

static void the_kernel_says_who_a_peer_is(void **state)
{
    gid_t own[256];
    int count = getgroups(256, own);
    struct fsh_peer peer = {0};
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fsh_peer_read(pair[0], &peer), FRESHET_OK);
    assert_int_equal(peer.uid, geteuid());
    assert_int_equal(peer.gid, getegid());
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.group_count, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(peer.groups[i], own[i]);
    fsh_peer_done(&peer);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void what_is_no_socket_has_no_peer(void **state)
{
    struct fsh_peer peer = {0};
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_not_equal(fsh_peer_read(ends[0], &peer), FRESHET_OK);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_grant_what_they_say),
        cmocka_unit_test(root_and_the_own_user_may_do_everything),
        cmocka_unit_test(what_cannot_be_granted_is_told),
        cmocka_unit_test(the_kernel_says_who_a_peer_is),
        cmocka_unit_test(what_is_no_socket_has_no_peer),
    };

    return cmocka_run_group_tests_name("keeper-peer", tests, NULL, NULL);
}
