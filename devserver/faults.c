/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIANT_MAX (INT64_C(1) << 30)

static const char *const kinds[] = {
    [DEV_FAULT_LATENCY] = "latency",
    [DEV_FAULT_STATUS] = "status",
    [DEV_FAULT_RESET_BEFORE] = "reset_before",
    [DEV_FAULT_RESET_AFTER] = "reset_after",
    [DEV_FAULT_TRUNCATE] = "truncate",
    [DEV_FAULT_HTML] = "html",
    [DEV_FAULT_GIANT] = "giant",
    [DEV_FAULT_DRIP] = "drip",
    [DEV_FAULT_BODY] = "body",
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char html_page[] =
    "<!DOCTYPE html><html><head><title>Sign in to the network</title></head>"
    "<body><h1>Welcome</h1><p>This page is no answer of the platform.</p></body></html>";

const char *dev_fault_name(enum dev_fault_kind kind)
{
    return kinds[kind];
}

/* Whether the fault gives an answer of its own, in place of the platform's. */
static bool replaces(const struct dev_fault *fault)
{
    return fault->kind == DEV_FAULT_STATUS || fault->kind == DEV_FAULT_HTML ||
           fault->kind == DEV_FAULT_GIANT || fault->kind == DEV_FAULT_BODY;
}

bool dev_fault_processes(const struct dev_fault *fault)
{
    return fault->kind != DEV_FAULT_RESET_BEFORE && (fault->after || !replaces(fault));
}

static const char *code_of_status(unsigned status)
{
    if (status == MHD_HTTP_TOO_MANY_REQUESTS)
        return "TooManyRequestsException";
    if (status == MHD_HTTP_UNAUTHORIZED)
        return "NotAuthorizedException";
    return status >= 500 ? "InternalErrorException" : "BadRequestException";
}

void dev_fault_replace(const struct dev_fault *fault, struct dev_reply *reply)
{
    if (!replaces(fault))
        return;
    dev_reply_done(reply);
    if (fault->kind == DEV_FAULT_HTML)
        dev_reply_text(reply, fault->status, "text/html; charset=utf-8",
                       fault->body ? fault->body : html_page);
    else if (fault->kind == DEV_FAULT_STATUS && !fault->body)
        dev_reply_error(reply, fault->status, code_of_status(fault->status), "an injected fault");
    else
        dev_reply_text(reply, fault->status, "application/json", fault->body ? fault->body : "");
    if (fault->retry_after[0] != '\0')
        reply->retry_after = strdup(fault->retry_after);
}

/* --- which requests it strikes --- */

static const char *username_of(const struct dev_request *request)
{
    const struct dev_account *account =
        request->flight.account ? request->flight.account : request->caller.account;

    return account ? account->name : "";
}

static bool fits(const struct dev_fault *fault, const struct dev_request *request)
{
    return strncmp(request->path, fault->match, strlen(fault->match)) == 0 &&
           (fault->method[0] == '\0' || strcmp(request->method, fault->method) == 0) &&
           (fault->username[0] == '\0' || strcmp(username_of(request), fault->username) == 0);
}

static void forget(struct dev_faults *faults, size_t index)
{
    free(faults->list[index].body);
    faults->count--;
    memmove(&faults->list[index], &faults->list[index + 1],
            (faults->count - index) * sizeof(faults->list[0]));
}

bool dev_fault_take(struct dev_request *request, struct dev_fault *ret_fault)
{
    struct dev_faults *faults = &request->server->faults;
    bool taken = false;

    pthread_mutex_lock(&request->server->lock);
    for (size_t i = 0; i < faults->count && !taken; i++) {
        struct dev_fault *fault = &faults->list[i];

        if (!fits(fault, request))
            continue;
        taken = true;
        *ret_fault = *fault;
        ret_fault->body = fault->body ? strdup(fault->body) : NULL;
        if (fault->count > 0 && --fault->count == 0)
            forget(faults, i);
    }
    pthread_mutex_unlock(&request->server->lock);
    if (taken)
        dev_count(&request->server->counters, DEV_COUNT_faults);
    return taken;
}

void dev_faults_clear(struct dev_faults *faults)
{
    while (faults->count > 0)
        forget(faults, faults->count - 1);
    faults->cleared++;
}

/* --- POST /_dev/faults --- */

static bool parse_kind(const char *text, struct dev_fault *fault)
{
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(kinds[i], text) == 0) {
            fault->kind = (enum dev_fault_kind)i;
            return true;
        }
    return false;
}

static bool parse_when(const char *text, struct dev_fault *fault)
{
    fault->after = fault->kind == DEV_FAULT_RESET_AFTER || (text && strcmp(text, "after") == 0);
    return !text || fault->after || strcmp(text, "before") == 0;
}

/* The texts of the body, borrowed from it. */
struct texts {
    const char *kind;
    const char *match;
    const char *method;
    const char *username;
    const char *retry_after;
    const char *when;
};

static bool read_texts(json_t *body, struct texts *texts, struct dev_fault *fault,
                       struct dev_reply *reply)
{
    return dev_input_text(body, "kind", 32, true, &texts->kind, reply) &&
           dev_input_text(body, "match", sizeof(fault->match) - 1, false, &texts->match, reply) &&
           dev_input_text(body, "method", sizeof(fault->method) - 1, false, &texts->method,
                          reply) &&
           dev_input_text(body, "username", sizeof(fault->username) - 1, false, &texts->username,
                          reply) &&
           dev_input_text(body, "retry_after", sizeof(fault->retry_after) - 1, false,
                          &texts->retry_after, reply) &&
           dev_input_text(body, "when", 16, false, &texts->when, reply);
}

static bool read_numbers(json_t *body, struct dev_fault *fault, struct dev_reply *reply)
{
    int64_t status = 0;

    fault->count = 1;
    fault->bytes = -1;
    if (!dev_input_integer(body, "count", -1, INT32_MAX, &fault->count, reply) ||
        !dev_input_integer(body, "ms", 0, DEV_WAIT_MAX_MS, &fault->ms, reply) ||
        !dev_input_integer(body, "bytes", 0, GIANT_MAX, &fault->bytes, reply) ||
        !dev_input_integer(body, "status", 200, 599, &status, reply))
        return false;
    if (status == 0)
        status = fault->kind == DEV_FAULT_STATUS ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK;
    fault->status = (unsigned)status;
    return true;
}

static void copy_text(char *out, size_t room, const char *text)
{
    (void)snprintf(out, room, "%s", text ? text : "");
}

static bool refuse(struct dev_reply *reply, const char *message)
{
    dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "ValidationException", message);
    return false;
}

static bool read_fault(json_t *body, struct dev_fault *fault, struct dev_reply *reply)
{
    struct texts texts = {0};
    const json_t *text = json_object_get(body, "body");

    if (!read_texts(body, &texts, fault, reply))
        return false;
    if (!parse_kind(texts.kind, fault))
        return refuse(reply, "kind is unknown");
    if (!parse_when(texts.when, fault))
        return refuse(reply, "when must be before or after");
    if (!read_numbers(body, fault, reply))
        return false;
    if (fault->count == 0)
        return refuse(reply, "count must be above 0, or -1");
    if (text && !json_is_string(text))
        return refuse(reply, "body must be a string");
    copy_text(fault->match, sizeof(fault->match), texts.match);
    copy_text(fault->method, sizeof(fault->method), texts.method);
    copy_text(fault->username, sizeof(fault->username), texts.username);
    copy_text(fault->retry_after, sizeof(fault->retry_after), texts.retry_after);
    fault->body = text ? strdup(json_string_value(text)) : NULL;
    return true;
}

void dev_faults_add(struct dev_request *request, struct dev_reply *reply)
{
    struct dev_faults *faults = &request->server->faults;
    json_t *body = dev_input_object(request, reply);
    struct dev_fault fault = {0};
    bool full;

    if (!body || !read_fault(body, &fault, reply)) {
        json_decref(body);
        return;
    }
    pthread_mutex_lock(&request->server->lock);
    full = faults->count == DEV_FAULTS_MAX;
    if (!full) {
        fault.id = ++faults->last_id;
        faults->list[faults->count++] = fault;
    }
    pthread_mutex_unlock(&request->server->lock);
    if (full) {
        free(fault.body);
        dev_reply_error(reply, MHD_HTTP_CONFLICT, "LimitExceededException", "too many faults");
    } else {
        dev_reply_json(reply, MHD_HTTP_CREATED, json_pack("{s:I}", "id", (json_int_t)fault.id));
    }
    json_decref(body);
}

void dev_faults_list(struct dev_request *request, struct dev_reply *reply)
{
    struct dev_faults *faults = &request->server->faults;
    json_t *list = json_array();

    pthread_mutex_lock(&request->server->lock);
    for (size_t i = 0; i < faults->count; i++)
        json_array_append_new(
            list, json_pack("{s:I, s:s, s:s, s:I}", "id", (json_int_t)faults->list[i].id, "kind",
                            kinds[faults->list[i].kind], "match", faults->list[i].match, "count",
                            (json_int_t)faults->list[i].count));
    pthread_mutex_unlock(&request->server->lock);
    dev_reply_json(reply, MHD_HTTP_OK, json_pack("{s:o}", "faults", list));
}

void dev_faults_delete(struct dev_request *request, struct dev_reply *reply)
{
    pthread_mutex_lock(&request->server->lock);
    dev_faults_clear(&request->server->faults);
    pthread_cond_broadcast(&request->server->wake_signal);
    pthread_mutex_unlock(&request->server->lock);
    dev_reply_json(reply, MHD_HTTP_OK, json_pack("{s:b}", "ok", true));
}
