/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define AUTHORIZATION "Authorization"
#define PARTNER       "X-Preferred-Partner-Id"
#define REQUEST_ID    "X-Request-Id"

/* --- what is seen of a request at its arrival --- */

struct tally {
    unsigned authorizations;
    unsigned partners;
};

static enum MHD_Result tally_header(void *context, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    struct tally *tally = context;

    (void)kind;
    (void)value;
    if (strcasecmp(name, AUTHORIZATION) == 0)
        tally->authorizations++;
    else if (strcasecmp(name, PARTNER) == 0)
        tally->partners++;
    return MHD_YES;
}

static struct tally tally_headers(const struct dev_request *request)
{
    struct tally tally = {0};

    (void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND, tally_header, &tally);
    return tally;
}

static void count_headers(struct dev_request *request)
{
    struct dev_counters *counters = &request->server->counters;
    struct tally tally = tally_headers(request);

    if (tally.authorizations == 0)
        dev_count(counters, DEV_COUNT_api_lacking_authorization);
    if (tally.partners == 0)
        dev_count(counters, DEV_COUNT_api_lacking_partner);
    if (tally.authorizations == 0 || tally.partners == 0)
        dev_count(counters, DEV_COUNT_api_lacking_header);
    if (tally.authorizations > 1 || tally.partners > 1)
        dev_count(counters, DEV_COUNT_api_duplicate_header);
}

static void count_verdict(struct dev_request *request)
{
    struct dev_counters *counters = &request->server->counters;

    if (request->caller.verdict == DEV_TOKEN_EXPIRED)
        dev_count(counters, DEV_COUNT_api_expired_token);
    else if (request->caller.verdict == DEV_TOKEN_REVOKED)
        dev_count(counters, DEV_COUNT_api_revoked_token);
    else if (request->caller.verdict == DEV_TOKEN_BAD)
        dev_count(counters, DEV_COUNT_api_bad_token);
}

/* A request id that was seen before means that somebody sent the request again. */
static void note_request_id(struct dev_request *request)
{
    const char *id = dev_request_header(request, REQUEST_ID);
    unsigned char digest[DEV_DIGEST_LEN];
    bool seen;

    if (!id)
        return;
    dev_digest(id, strlen(id), digest);
    pthread_mutex_lock(&request->server->lock);
    seen = dev_map_find(&request->server->request_ids, digest) != NULL;
    if (!seen)
        (void)dev_map_put(&request->server->request_ids, digest);
    pthread_mutex_unlock(&request->server->lock);
    if (seen)
        dev_count(&request->server->counters, DEV_COUNT_resent_requests);
}

void dev_api_observe(struct dev_request *request)
{
    dev_count(&request->server->counters, DEV_COUNT_api_requests);
    dev_caller_init(&request->caller, request->server, dev_request_header(request, AUTHORIZATION));
    count_headers(request);
    count_verdict(request);
    note_request_id(request);
    if (request->caller.account) {
        pthread_mutex_lock(&request->server->lock);
        request->caller.account->api_requests++;
        pthread_mutex_unlock(&request->server->lock);
    }
}

/* --- who may pass --- */

/* ^(partner-id-.+|fd[0-9]+)$ */
static bool names_partner(const char *group)
{
    if (strncmp(group, "partner-id-", 11) == 0)
        return group[11] != '\0';
    return strncmp(group, "fd", 2) == 0 && group[2] != '\0' &&
           strspn(group + 2, "0123456789") == strlen(group + 2);
}

static bool refuse(struct dev_reply *reply, unsigned status, const char *code, const char *message)
{
    dev_reply_error(reply, status, code, message);
    return false;
}

static bool disabled_now(struct dev_request *request)
{
    bool disabled;

    pthread_mutex_lock(&request->server->lock);
    disabled = dev_account_in_group(request->caller.account->groups, "account-disabled");
    pthread_mutex_unlock(&request->server->lock);
    return disabled;
}

static bool partner_passes(struct dev_request *request, const json_t *groups,
                           struct dev_reply *reply)
{
    const char *partner = dev_request_header(request, PARTNER);

    if (!partner || partner[0] == '\0')
        return refuse(reply, MHD_HTTP_BAD_REQUEST, "ValidationException", PARTNER " is missing");
    if (names_partner(partner) && dev_account_in_group(groups, partner))
        return true;
    dev_count(&request->server->counters, DEV_COUNT_api_wrong_partner);
    return refuse(reply, MHD_HTTP_FORBIDDEN, "AccessDeniedException",
                  PARTNER " is none of the account's");
}

static bool passes(struct dev_request *request, struct dev_reply *reply)
{
    const json_t *groups = json_object_get(request->caller.claims, "cognito:groups");
    struct tally tally = tally_headers(request);

    if (tally.authorizations > 1 || tally.partners > 1)
        return refuse(reply, MHD_HTTP_BAD_REQUEST, "ValidationException",
                      AUTHORIZATION " or " PARTNER " came more than once");
    if (request->caller.verdict != DEV_TOKEN_GOOD)
        return refuse(reply, MHD_HTTP_UNAUTHORIZED, "NotAuthorizedException",
                      dev_verdict_text(request->caller.verdict));
    if (dev_account_in_group(groups, "account-disabled") || disabled_now(request))
        return refuse(reply, MHD_HTTP_FORBIDDEN, "AccessDeniedException",
                      "the account is disabled");
    return partner_passes(request, groups, reply);
}

/* --- the endpoints --- */

static void echo(struct dev_request *request, unsigned status, struct dev_reply *reply)
{
    dev_reply_json(reply, status,
                   json_pack("{s:o, s:o, s:o, s:s, s:I, s:O}", "method",
                             dev_json_text(request->method), "path", dev_json_text(request->path),
                             "partner", dev_json_text(dev_request_header(request, PARTNER)),
                             "username", request->caller.account->name, "body_bytes",
                             (json_int_t)request->body_len, "jti",
                             json_object_get(request->caller.claims, "jti")));
}

/* The number that the text is, or -1. */
static int64_t number(const char *text)
{
    size_t len = text ? strlen(text) : 0;

    if (len == 0 || len > 9 || strspn(text, "0123456789") != len)
        return -1;
    return strtoll(text, NULL, 10);
}

static void slow(struct dev_request *request, struct dev_reply *reply)
{
    int64_t ms = number(dev_request_query(request, "ms"));

    if (ms < 0 || ms > DEV_WAIT_MAX_MS) {
        dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "ValidationException", "ms is out of range");
        return;
    }
    (void)dev_server_sleep(request->server, ms);
    echo(request, MHD_HTTP_OK, reply);
}

static void redirect(struct dev_request *request, struct dev_reply *reply)
{
    const char *to = dev_request_query(request, "to");
    const char *code = dev_request_query(request, "code");
    int64_t status = code ? number(code) : MHD_HTTP_FOUND;

    for (const char *c = to; c && *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
            to = NULL;
    if (!to || to[0] == '\0' || status < 300 || status > 399) {
        dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "ValidationException",
                        "to must be a URL, code 300 to 399");
        return;
    }
    echo(request, (unsigned)status, reply);
    reply->location = strdup(to);
}

static void status(struct dev_request *request, const char *text, struct dev_reply *reply)
{
    int64_t code = number(text);

    if (code < 200 || code > 599)
        dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "ValidationException",
                        "the status must be 200 to 599");
    else if (code == MHD_HTTP_NO_CONTENT || code == MHD_HTTP_NOT_MODIFIED)
        dev_reply_text(reply, (unsigned)code, NULL, "");
    else
        echo(request, (unsigned)code, reply);
}

/* Names of headers and cookies as they came, to see what a gateway lets through. The values of
 * Authorization and of cookies are nobody's business, not even here. */
static enum MHD_Result list_header(void *context, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    json_t *object = context;
    json_t *list = json_object_get(object, name);
    bool secret = kind == MHD_COOKIE_KIND || strcasecmp(name, AUTHORIZATION) == 0 ||
                  strcasecmp(name, "Cookie") == 0;

    if (!list) {
        json_t *key = dev_json_text(name);

        list = json_array();
        if (json_object_set_new(object, key ? json_string_value(key) : "?", list) != 0)
            list = NULL;
        json_decref(key);
    }
    json_array_append_new(list, dev_json_text(secret ? "(not shown)" : value ? value : ""));
    return MHD_YES;
}

static void headers(struct dev_request *request, struct dev_reply *reply)
{
    json_t *found = json_object();
    json_t *cookies = json_object();

    (void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND, list_header, found);
    (void)MHD_get_connection_values(request->connection, MHD_COOKIE_KIND, list_header, cookies);
    dev_reply_json(reply, MHD_HTTP_OK,
                   json_pack("{s:o, s:o}", "headers", found, "cookies", cookies));
}

static void serve(struct dev_request *request, struct dev_reply *reply)
{
    const char *path = request->path + strlen("/api");

    if (strcmp(path, "/slow") == 0)
        slow(request, reply);
    else if (strcmp(path, "/redirect") == 0)
        redirect(request, reply);
    else if (strcmp(path, "/headers") == 0)
        headers(request, reply);
    else if (strncmp(path, "/status/", 8) == 0)
        status(request, path + 8, reply);
    else
        echo(request, MHD_HTTP_OK, reply);
}

void dev_api_handle(struct dev_request *request, struct dev_reply *reply)
{
    const char *id = dev_request_header(request, REQUEST_ID);

    if (passes(request, reply))
        serve(request, reply);
    if (id)
        reply->request_id = strdup(id);
}
