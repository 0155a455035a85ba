/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "lib/doctor.h"
#include "lib/keeper.h"

#include <freshet/status.h>
#include <stdlib.h>

#define CHECK "keeper"

/* That the socket answers, that it is of the platform that is configured, and what this user may
 * see there. */
static void check_sessions(struct fsh_doctor *doctor, const char *socket)
{
    struct freshet_stored_session *list = NULL;
    struct freshet_error error = {0};
    size_t count = 0;
    int status = freshet_sessions_list(&doctor->options, &list, &count, &error);

    free(list);
    if (status != FRESHET_OK)
        fsh_doctor_bad(doctor, CHECK, status, "%s", error.message);
    else if (count == 0)
        fsh_doctor_warn(doctor, CHECK,
                        "the keeper at %s answers, and shows this user no session; name the user "
                        "in `allow` of a session",
                        socket);
    else
        fsh_doctor_good(doctor, CHECK,
                        "the keeper at %s answers, and shows this user %zu session%s", socket,
                        count, count == 1 ? "" : "s");
}

void fsh_doctor_keeper(struct fsh_doctor *doctor)
{
    const char *socket = fsh_lib_keeper_socket(doctor->options.secrets);
    struct fsh_remote_keeper *keeper = NULL;
    struct freshet_error error = {0};
    int status = fsh_lib_keeper_new(socket, doctor->options.url, &keeper, &error);

    if (status == FRESHET_OK)
        status = fsh_lib_keeper_meet(keeper, &error);
    fsh_lib_keeper_free(keeper);
    if (status == FRESHET_OK)
        check_sessions(doctor, socket);
    else
        fsh_doctor_bad(doctor, CHECK, status, "%s", error.message);
}
