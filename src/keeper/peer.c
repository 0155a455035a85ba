/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/peer.h"

#include "base/error.h"

#include <errno.h>
#include <freshet/status.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GROUPS_MAX ((socklen_t)65536) /* NGROUPS_MAX of Linux */

/* ---- who it is --------------------------------------------------------------------------- */

/* SO_PEERGROUPS says how much room it wants when there is too little. */
static int read_groups(int fd, struct fsh_peer *peer)
{
    socklen_t len = 0;
    gid_t *groups;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || len == 0)
        return FRESHET_OK;
    if (errno != ERANGE || len > GROUPS_MAX * sizeof(gid_t))
        return FRESHET_ELIMIT;
    groups = malloc(len);
    if (!groups)
        return FRESHET_ENOMEM;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) != 0) {
        free(groups);
        return FRESHET_ELIMIT;
    }
    peer->groups = groups;
    peer->group_count = len / sizeof(gid_t);
    return FRESHET_OK;
}

int fsh_peer_read(int fd, struct fsh_peer *ret_peer)
{
    struct ucred credentials;
    socklen_t len = sizeof(credentials);
    struct fsh_peer peer = {0};
    int status;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) != 0)
        return FRESHET_ELIMIT;
    peer.uid = credentials.uid;
    peer.gid = credentials.gid;
    peer.pid = credentials.pid;
    status = read_groups(fd, &peer);
    if (status == FRESHET_OK)
        *ret_peer = peer;
    return status;
}

void fsh_peer_done(struct fsh_peer *peer)
{
    if (!peer)
        return;
    free(peer->groups);
    *peer = (struct fsh_peer){0};
}

bool fsh_peer_trusted(const struct fsh_peer *peer)
{
    return peer->uid == 0 || peer->uid == geteuid();
}

static bool in_group(const struct fsh_peer *peer, gid_t gid)
{
    if (peer->gid == gid)
        return true;
    for (size_t i = 0; i < peer->group_count; i++) {
        if (peer->groups[i] == gid)
            return true;
    }
    return false;
}

/* ---- what it may do ---------------------------------------------------------------------- */

struct fsh_grants {
    size_t count;
    struct grant {
        bool group;
        id_t id;
        unsigned verbs;
    } list[];
};

/* A name, or a number that needs no name. False: the system does not know it. */
static bool look_up(bool group, const char *name, id_t *ret_id)
{
    char *end;
    unsigned long number;

    if (name[0] >= '0' && name[0] <= '9') {
        errno = 0;
        number = strtoul(name, &end, 10);
        /* The highest means "none" to the kernel. */
        if (*end != '\0' || errno != 0 || number >= UINT32_MAX)
            return false;
        *ret_id = (id_t)number;
        return true;
    }
    if (group) {
        const struct group *found = getgrnam(name);

        if (found)
            *ret_id = found->gr_gid;
        return found != NULL;
    }
    const struct passwd *found = getpwnam(name);

    if (found)
        *ret_id = found->pw_uid;
    return found != NULL;
}

static unsigned verb_of(const char *word)
{
    if (strcmp(word, "read") == 0)
        return FSH_VERB_READ;
    if (strcmp(word, "report") == 0)
        return FSH_VERB_REPORT;
    if (strcmp(word, "admin") == 0)
        return FSH_VERB_ADMIN;
    return 0;
}

/* One line: "uid:NAME VERB ...", as src/config/value.c has checked it. */
static int read_line(char *line, struct grant *ret_grant, struct freshet_error *error)
{
    const char *who = line;
    char *rest = line;
    const char *word;
    struct grant grant = {.group = strncmp(line, "gid:", 4) == 0};

    (void)strsep(&rest, " "); /* ends `who` */
    if (!grant.group && strncmp(who, "uid:", 4) != 0)
        return fsh_base_fail(error, FRESHET_ECONFIG, "allow: %s: uid:NAME or gid:NAME", who);
    if (!look_up(grant.group, who + 4, &grant.id))
        return fsh_base_fail(error, FRESHET_ECONFIG, "allow: this system has no %s %s",
                             grant.group ? "group" : "user", who + 4);
    while ((word = strsep(&rest, " ")))
        grant.verbs |= verb_of(word);
    if (grant.verbs == 0)
        return fsh_base_fail(error, FRESHET_ECONFIG, "allow: %s: read, report or admin", who);
    *ret_grant = grant;
    return FRESHET_OK;
}

static size_t lines_in(const char *text)
{
    size_t count = 1;

    for (; *text; text++)
        count += *text == '\n';
    return count;
}

int fsh_grants_new(const char *lines, struct fsh_grants **ret_grants, struct freshet_error *error)
{
    size_t count = lines && lines[0] != '\0' ? lines_in(lines) : 0;
    struct fsh_grants *grants = calloc(1, sizeof(*grants) + count * sizeof(grants->list[0]));
    char *text = strdup(count ? lines : "");
    char *rest = text;
    char *line;
    int status = FRESHET_OK;

    if (!grants || !text) {
        free(grants);
        free(text);
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    }
    while (status == FRESHET_OK && grants->count < count && (line = strsep(&rest, "\n")))
        status = read_line(line, &grants->list[grants->count++], error);
    free(text);
    if (status != FRESHET_OK) {
        free(grants);
        return status;
    }
    *ret_grants = grants;
    return FRESHET_OK;
}

void fsh_grants_free(struct fsh_grants *grants)
{
    free(grants);
}

unsigned fsh_grants_verbs(const struct fsh_grants *grants, const struct fsh_peer *peer)
{
    unsigned verbs = 0;

    if (fsh_peer_trusted(peer))
        return FSH_VERB_ALL;
    for (size_t i = 0; grants && i < grants->count; i++) {
        const struct grant *grant = &grants->list[i];

        if (grant->group ? in_group(peer, grant->id) : peer->uid == grant->id)
            verbs |= grant->verbs;
    }
    return verbs;
}
