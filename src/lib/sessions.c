/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "lib/internal.h"
#include "lib/keeper.h"

#include <freshet/admin.h>
#include <stdio.h>
#include <stdlib.h>

/* The sessions of a store, without opening any. */

struct list {
    struct freshet_stored_session *sessions;
    size_t count;
    size_t room;
};

static int add(void *data, const char *name, const struct fsh_record *record)
{
    struct list *list = data;
    struct freshet_stored_session *session;

    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 16;

        session = reallocarray(list->sessions, room, sizeof(*session));
        if (!session)
            return FRESHET_ENOMEM;
        list->sessions = session;
        list->room = room;
    }
    session = &list->sessions[list->count++];
    *session = (struct freshet_stored_session){
        .phase = fsh_lib_phase(record->phase),
        .reason = record->reason,
        .generation = record->generation,
        .parked = record->parked,
    };
    (void)snprintf(session->name, sizeof(session->name), "%s", name);
    return FRESHET_OK;
}

/* Those that this process may see. */
static int ask_keeper(const char *socket, struct freshet_stored_session **ret_list,
                      size_t *ret_count, struct freshet_error *error)
{
    struct fsh_secret body = {0};
    int status = fsh_lib_keeper_check(socket, error);

    if (status == FRESHET_OK)
        status = fsh_lib_keeper_get(socket, "/v1/sessions", &body, error);
    if (status != FRESHET_OK)
        return status;
    status = fsh_remote_read_sessions(fsh_base_secret_reveal(&body), body.len, ret_list, ret_count);
    fsh_base_secret_done(&body);
    return status == FRESHET_OK ? status : fsh_base_fail(error, status, NULL);
}

int freshet_sessions_list(const struct freshet_options *options,
                          struct freshet_stored_session **ret_list, size_t *ret_count,
                          struct freshet_error *error)
{
    struct freshet_options known = FRESHET_OPTIONS_INIT;
    struct list list = {0};
    int status = fsh_lib_options(options, &known, error);

    if (status == FRESHET_OK && fsh_lib_keeper_socket(known.secrets))
        return ask_keeper(fsh_lib_keeper_socket(known.secrets), ret_list, ret_count, error);
    if (status == FRESHET_OK) {
        status = fsh_store_sessions(known.secrets, add, &list, error);
        if (status == FRESHET_ENOMEM)
            (void)fsh_base_fail(error, status, NULL);
    }
    if (status != FRESHET_OK) {
        free(list.sessions);
        return status;
    }
    *ret_list = list.sessions;
    *ret_count = list.count;
    return FRESHET_OK;
}
