/* SPDX-License-Identifier: Apache-2.0 */

/* The axios interceptor of C: many transfers, one loop. */

#include "base/error.h"
#include "lib/guard.h"

#include <freshet/multi.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

enum state {
    WAITING, /* for its token: `operation` is under way */
    RUNNING, /* libcurl has it */
    REFUSED, /* on the list, to be handed back: libcurl never had it */
    REMOVED  /* what is left of one that waited, until its operation ends */
};

/* One transfer, from its being added until it is handed back or removed. */
struct transfer {
    CURL *easy; /* first: what it is found by */
    struct freshet_multi *multi;
    enum state state;
    struct freshet_operation *operation;
    struct fsh_guard guard;
    char *partner;
    int status; /* REFUSED: why */
    struct freshet_error error;
    TAILQ_ENTRY(transfer) in_multi; /* in `all`, or in `refused` */
};

TAILQ_HEAD(transfers, transfer);

struct freshet_multi {
    CURLM *curl;
    struct freshet_queue *queue;
    void *by_easy; /* a tree of tsearch(3) */
    size_t count;
    struct transfers all; /* but the refused */
    struct transfers refused;
};

/* ---- transfers --------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uintptr_t left = (uintptr_t) * (CURL *const *)a;
    uintptr_t right = (uintptr_t) * (CURL *const *)b;

    return (left > right) - (left < right);
}

static struct transfer *find(const struct freshet_multi *multi, CURL *easy)
{
    struct transfer **node = tfind(&easy, &multi->by_easy, compare);

    return node ? *node : NULL;
}

static void transfer_free(struct transfer *transfer)
{
    fsh_lib_guard_done(&transfer->guard);
    free(transfer->partner);
    free(transfer);
}

static struct transfer *transfer_new(struct freshet_multi *multi, struct freshet_session *session,
                                     CURL *easy, const struct freshet_curl_request *request)
{
    struct transfer *transfer = calloc(1, sizeof(*transfer));

    if (!transfer)
        return NULL;
    transfer->easy = easy;
    transfer->multi = multi;
    fsh_lib_guard_init(&transfer->guard, session, easy, request->headers);
    if (request->partner)
        transfer->partner = strdup(request->partner);
    if ((request->partner && !transfer->partner) || !tsearch(transfer, &multi->by_easy, compare)) {
        transfer_free(transfer);
        return NULL;
    }
    multi->count++;
    TAILQ_INSERT_TAIL(&multi->all, transfer, in_multi);
    return transfer;
}

/* From here on the easy handle is the program's again. */
static void let_go(struct transfer *transfer)
{
    struct freshet_multi *multi = transfer->multi;

    (void)tdelete(transfer, &multi->by_easy, compare);
    multi->count--;
    TAILQ_REMOVE(transfer->state == REFUSED ? &multi->refused : &multi->all, transfer, in_multi);
}

static int failure(CURLMcode code, struct freshet_error *error)
{
    return fsh_base_fail(error, code == CURLM_OUT_OF_MEMORY ? FRESHET_ENOMEM : FRESHET_EINVAL,
                         "libcurl does not take the transfer: %s", curl_multi_strerror(code));
}

/* Hands it to libcurl, with the token in force. */
static int start(struct transfer *transfer, struct freshet_error *error)
{
    CURLMcode code;
    int status;

    /* Again: what the program has set on a handle that waited. */
    status = fsh_lib_guard_check(&transfer->guard, error);
    if (status == FRESHET_OK)
        status = fsh_lib_guard_put_on(&transfer->guard, transfer->partner, error);
    if (status != FRESHET_OK)
        return status;
    code = curl_multi_add_handle(transfer->multi->curl, transfer->easy);
    if (code != CURLM_OK) {
        (void)fsh_lib_guard_take_off(&transfer->guard, CURLE_OK, NULL);
        return failure(code, error);
    }
    transfer->state = RUNNING;
    return FRESHET_OK;
}

static void token_came(void *data, int status, const struct freshet_freshness *freshness,
                       const struct freshet_error *error)
{
    struct transfer *transfer = data;
    struct freshet_multi *multi = transfer->multi;

    (void)freshness;
    if (transfer->state == REMOVED) {
        transfer_free(transfer);
        return;
    }
    if (status == FRESHET_OK)
        status = start(transfer, &transfer->error);
    else
        transfer->error = *error;
    if (status == FRESHET_OK)
        return;
    TAILQ_REMOVE(&multi->all, transfer, in_multi);
    TAILQ_INSERT_TAIL(&multi->refused, transfer, in_multi);
    transfer->state = REFUSED;
    transfer->status = status;
}

static void transfer_remove(struct transfer *transfer)
{
    let_go(transfer);
    switch (transfer->state) {
    case WAITING:
        transfer->state = REMOVED;
        freshet_operation_cancel(transfer->operation);
        return;
    case RUNNING:
        (void)curl_multi_remove_handle(transfer->multi->curl, transfer->easy);
        (void)fsh_lib_guard_take_off(&transfer->guard, CURLE_OK, NULL);
        break;
    default:
        break;
    }
    transfer_free(transfer);
}

/* ---- the whole --------------------------------------------------------------------------- */

int freshet_multi_new(CURLM *curl, struct freshet_multi **ret_multi, struct freshet_error *error)
{
    struct freshet_multi *multi;
    int status;

    if (!curl)
        return fsh_base_fail(error, FRESHET_EINVAL, "a CURLM is needed");
    multi = calloc(1, sizeof(*multi));
    if (!multi)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    status = freshet_queue_new(&multi->queue, error);
    if (status != FRESHET_OK) {
        free(multi);
        return status;
    }
    multi->curl = curl;
    TAILQ_INIT(&multi->all);
    TAILQ_INIT(&multi->refused);
    *ret_multi = multi;
    return FRESHET_OK;
}

void freshet_multi_free(struct freshet_multi *multi)
{
    struct transfer *transfer;

    /* In a child of fork(2) libcurl's connections are the parent's. */
    if (!multi || fsh_lib_queue_forked(multi->queue))
        return;
    while ((transfer = TAILQ_FIRST(&multi->all)) || (transfer = TAILQ_FIRST(&multi->refused)))
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): transfer_remove takes it off the list. */
        transfer_remove(transfer);
    freshet_queue_free(multi->queue);
    free(multi);
}

int freshet_multi_fd(const struct freshet_multi *multi)
{
    return freshet_queue_fd(multi->queue);
}

size_t freshet_multi_count(const struct freshet_multi *multi)
{
    return multi->count;
}

/* ---- adding and removing ----------------------------------------------------------------- */

static int add(struct transfer *transfer, struct freshet_session *session,
               const struct freshet_demand *demand, struct freshet_error *error)
{
    int status = fsh_lib_guard_check(&transfer->guard, error);

    if (status != FRESHET_OK)
        return status;
    if (fsh_lib_at_hand(session, demand, NULL)) {
        status = start(transfer, &transfer->error);
        if (status == FRESHET_OK)
            return FRESHET_OK;
        if (status != FRESHET_EUNAVAILABLE) {
            if (error)
                *error = transfer->error;
            return status;
        }
        /* The token was withdrawn in this very moment: the transfer waits for the next one. */
    }
    return freshet_ensure_fresh_async(session, demand, transfer->multi->queue, token_came, transfer,
                                      &transfer->operation, error);
}

int freshet_multi_add(struct freshet_multi *multi, struct freshet_session *session, CURL *easy,
                      const struct freshet_curl_request *request, struct freshet_error *error)
{
    static const struct freshet_curl_request plain = {0};
    struct transfer *transfer;
    int status;

    if (fsh_lib_queue_forked(multi->queue) || fsh_lib_forked(session->freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    if (!easy || find(multi, easy))
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "a transfer needs an easy handle that is not here already");
    if (!request)
        request = &plain;
    transfer = transfer_new(multi, session, easy, request);
    if (!transfer)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    status = add(transfer, session, request->demand, error);
    if (status != FRESHET_OK) {
        let_go(transfer);
        transfer_free(transfer);
    }
    return status;
}

int freshet_multi_remove(struct freshet_multi *multi, CURL *easy)
{
    struct transfer *transfer;

    if (fsh_lib_queue_forked(multi->queue))
        return FRESHET_EFORKED;
    transfer = find(multi, easy);
    if (!transfer)
        return FRESHET_EINVAL;
    transfer_remove(transfer);
    return FRESHET_OK;
}

/* ---- handing back ------------------------------------------------------------------------ */

static bool next_refused(struct freshet_multi *multi, struct freshet_multi_message *ret_message)
{
    struct transfer *transfer = TAILQ_FIRST(&multi->refused);

    if (!transfer)
        return false;
    *ret_message = (struct freshet_multi_message){
        .easy = transfer->easy,
        .status = transfer->status,
        .code = CURLE_ABORTED_BY_CALLBACK,
        .error = transfer->error,
    };
    transfer_remove(transfer);
    return true;
}

/* A transfer that is none of ours: told as libcurl tells it. */
static void tell_other(CURLcode code, struct freshet_multi_message *ret_message)
{
    if (code != CURLE_OK)
        ret_message->status = fsh_base_fail(&ret_message->error, FRESHET_EOUTCOME, "libcurl: %s",
                                            curl_easy_strerror(code));
}

static void tell_ours(struct transfer *transfer, CURLcode code,
                      struct freshet_multi_message *ret_message)
{
    (void)curl_multi_remove_handle(transfer->multi->curl, transfer->easy);
    ret_message->status = fsh_lib_guard_take_off(&transfer->guard, code, &ret_message->error);
    let_go(transfer);
    transfer_free(transfer);
}

static bool next_ended(struct freshet_multi *multi, struct freshet_multi_message *ret_message)
{
    struct transfer *transfer;
    CURLMsg *message;
    int left;

    do {
        message = curl_multi_info_read(multi->curl, &left);
        if (!message)
            return false;
    } while (message->msg != CURLMSG_DONE);
    /* Copied: libcurl's message goes with its handle. */
    *ret_message = (struct freshet_multi_message){
        .easy = message->easy_handle,
        .code = message->data.result,
    };
    transfer = find(multi, ret_message->easy);
    if (transfer)
        tell_ours(transfer, ret_message->code, ret_message);
    else
        tell_other(ret_message->code, ret_message);
    return true;
}

int freshet_multi_info_read(struct freshet_multi *multi, struct freshet_multi_message *ret_message)
{
    int dispatched;

    if (fsh_lib_queue_forked(multi->queue))
        return FRESHET_EFORKED;
    if (next_refused(multi, ret_message))
        return 1;
    dispatched = freshet_queue_dispatch(multi->queue);
    if (dispatched < 0)
        return dispatched;
    return next_refused(multi, ret_message) || next_ended(multi, ret_message);
}
