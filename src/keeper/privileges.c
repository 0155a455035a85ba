/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/privileges.h"

#include "base/error.h"

#include <errno.h>
#include <freshet/status.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sanitizers look into their own process at its end. */
#ifdef FSH_SANITIZED
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

/* Also after the user changed: the kernel sets it anew then, to what suid_dumpable says. */
static bool hide(void)
{
    return sanitized || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

int fsh_privileges_harden(struct freshet_error *error)
{
    const struct rlimit none = {0, 0};

    if (!hide() || setrlimit(RLIMIT_CORE, &none) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fsh_base_fail(error, FRESHET_EINTERNAL, "privileges cannot be given up: %s",
                             strerror(errno));
    return FRESHET_OK;
}

/* Whether the kernel does not ask for the limit (CAP_IPC_LOCK). */
static bool above_the_limit(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capget, &header, sets) == 0 &&
           (sets[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK));
}

int fsh_privileges_lock(bool stays, struct freshet_error *error)
{
    const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    struct rlimit limit;

    if (sanitized)
        return FRESHET_OK;
    (void)setrlimit(RLIMIT_MEMLOCK, &all);
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
        (limit.rlim_cur != RLIM_INFINITY && !(stays && above_the_limit())))
        return fsh_base_fail(error, FRESHET_ELIMIT,
                             "RLIMIT_MEMLOCK is %llu bytes, so secrets may get into the swap; set "
                             "LimitMEMLOCK=infinity, or have no swap",
                             (unsigned long long)limit.rlim_cur);
    /* Pages are locked as they are touched: what is only reserved costs nothing. */
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
        return fsh_base_fail(error, FRESHET_ELIMIT,
                             "memory cannot be locked: %s; secrets may get into the swap",
                             strerror(errno));
    return FRESHET_OK;
}

/* A number that is one of a user: a longer one would be cut to another's, such as root's. */
static bool is_number(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text) &&
           strtoull(text, NULL, 10) < UINT32_MAX;
}

int fsh_privileges_drop(const char *user, struct freshet_error *error)
{
    const struct passwd *found =
        is_number(user) ? getpwuid((uid_t)strtoul(user, NULL, 10)) : getpwnam(user);
    uid_t uid;

    if (!found)
        return fsh_base_fail(error, FRESHET_ECONFIG, "there is no user %s", user);
    uid = found->pw_uid;
    if (geteuid() != 0) {
        if (uid == geteuid())
            return FRESHET_OK;
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "only root can become the user %s; start it as root or as that user",
                             user);
    }
    if (initgroups(found->pw_name, found->pw_gid) != 0 ||
        setresgid(found->pw_gid, found->pw_gid, found->pw_gid) != 0 ||
        setresuid(uid, uid, uid) != 0 || !hide())
        return fsh_base_fail(error, FRESHET_ECONFIG, "cannot become the user %s: %s", user,
                             strerror(errno));
    if (uid != 0 && setresuid(0, 0, 0) == 0)
        return fsh_base_fail(error, FRESHET_EINTERNAL, "root could be had back; the kernel is odd");
    return FRESHET_OK;
}
