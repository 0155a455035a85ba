/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/control.h"

#include <errno.h>
#include <freshet/status.h>
#include <stdlib.h>

const struct fsh_route fsh_control_routes[] = {
    {FSH_DOOR_CONTROL, "GET", "/v1/sessions/:name/headers", fsh_control_headers},
    {0},
};

/* ---- sessions and verbs ------------------------------------------------------------------ */

struct fsh_entry *fsh_control_entry(struct fsh_keeper_request *request, enum fsh_verb verb)
{
    struct fsh_entry *entry = fsh_registry_find(request->keeper->registry, request->segments[0]);
    unsigned verbs = fsh_grants_verbs(entry ? entry->grants : NULL, request->peer);

    if (entry && (verbs & verb))
        return entry;
    if (verbs & verb)
        fsh_request_answer(request, fsh_page_problem(FRESHET_ENOSESSION, NULL));
    else
        fsh_request_answer(request, fsh_page_problem(FRESHET_EACCESS, NULL));
    return NULL;
}

bool fsh_control_number(struct fsh_keeper_request *request, const char *name, int64_t *number)
{
    const char *text = fsh_request_argument(request, name);
    long long value;
    char *end;

    if (!text)
        return true;
    errno = 0;
    value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0) {
        fsh_request_answer(request,
                           fsh_page_fail(FRESHET_EINVAL, "%s: a whole number is expected", name));
        return false;
    }
    *number = value;
    return true;
}

/* ---- requests that wait ------------------------------------------------------------------ */

static void ask_gone(struct fsh_keeper_request *request)
{
    struct fsh_ask *ask = request->data;

    ask->request = NULL;
    if (ask->cancels && ask->operation)
        freshet_operation_cancel(ask->operation);
}

struct fsh_ask *fsh_ask_new(struct fsh_keeper_request *request, struct fsh_entry *entry,
                            void (*answer)(struct fsh_ask *ask, int status,
                                           const struct freshet_error *error))
{
    struct fsh_ask *ask = calloc(1, sizeof(*ask));

    if (!ask) {
        fsh_request_answer(request, fsh_page_problem(FRESHET_ENOMEM, NULL));
        return NULL;
    }
    ask->request = request;
    ask->entry = fsh_entry_ref(entry);
    ask->answer = answer;
    request->data = ask;
    request->gone = ask_gone;
    return ask;
}

void fsh_ask_done(void *data, int status, const struct freshet_freshness *freshness,
                  const struct freshet_error *error)
{
    struct fsh_ask *ask = data;

    (void)freshness;
    if (ask->request)
        ask->answer(ask, status, error);
    fsh_entry_unref(ask->entry);
    free(ask);
}

void fsh_ask_made(struct fsh_ask *ask, int status, const struct freshet_error *error)
{
    if (status != FRESHET_OK)
        fsh_ask_done(ask, status, NULL, error);
}
