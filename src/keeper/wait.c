/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/wait.h"

#include "base/error.h"

#include <stdlib.h>

struct waiting {
    struct fsh_keeper_request *request; /* NULL: the client has gone */
    struct fsh_browser *browser;        /* a reference */
    struct freshet_operation *operation;
    fsh_browser_then *then;
};

/* The flight goes on, for others and for who comes next. */
static void gone(struct fsh_keeper_request *request)
{
    struct waiting *waiting = request->data;

    waiting->request = NULL;
    freshet_operation_cancel(waiting->operation);
}

static void end(struct waiting *waiting, int status, const struct freshet_freshness *freshness,
                const struct freshet_error *error)
{
    struct freshet_error over = {0};

    /* Sign-out wins (rule 10). */
    if (waiting->browser->over) {
        status = fsh_base_fail(&over, FRESHET_ESIGNEDOUT, NULL);
        error = &over;
    }
    if (waiting->request) {
        waiting->request->gone = NULL;
        waiting->then(waiting->request, waiting->browser, status, freshness, error);
    }
    fsh_browser_unref(waiting->browser);
    free(waiting);
}

static void done(void *data, int status, const struct freshet_freshness *freshness,
                 const struct freshet_error *error)
{
    end(data, status, freshness, error);
}

void fsh_browser_wait(struct fsh_keeper_request *request, struct fsh_browser *browser,
                      const struct freshet_demand *demand, fsh_browser_then *then)
{
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    struct freshet_error error = {0};
    int status;

    if (!waiting) {
        then(request, browser, FRESHET_ENOMEM, NULL, NULL);
        fsh_browser_unref(browser);
        return;
    }
    *waiting = (struct waiting){.request = request, .browser = browser, .then = then};
    status = freshet_ensure_fresh_async(browser->session, demand, request->keeper->queue, done,
                                        waiting, &waiting->operation, &error);
    if (status != FRESHET_OK) {
        end(waiting, status, NULL, &error);
        return;
    }
    request->data = waiting;
    request->gone = gone;
}
