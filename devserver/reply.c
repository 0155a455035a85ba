/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <stdlib.h>
#include <string.h>

void dev_reply_done(struct dev_reply *reply)
{
    free(reply->body);
    free(reply->location);
    free(reply->retry_after);
    free(reply->request_id);
    *reply = (struct dev_reply){0};
}

/* Takes the body; without one, for lack of memory, the answer is a bare 500. */
static void set_body(struct dev_reply *reply, unsigned status, const char *content_type, char *body)
{
    free(reply->body);
    reply->status = body ? status : MHD_HTTP_INTERNAL_SERVER_ERROR;
    reply->content_type = content_type;
    reply->body = body;
    reply->len = body ? strlen(body) : 0;
}

void dev_reply_text(struct dev_reply *reply, unsigned status, const char *content_type,
                    const char *text)
{
    set_body(reply, status, content_type, strdup(text));
}

void dev_reply_json(struct dev_reply *reply, unsigned status, json_t *stolen)
{
    set_body(reply, status, "application/json", stolen ? json_dumps(stolen, JSON_COMPACT) : NULL);
    json_decref(stolen);
}

void dev_reply_error(struct dev_reply *reply, unsigned status, const char *code,
                     const char *message)
{
    dev_reply_json(reply, status, json_pack("{s:s, s:s}", "code", code, "message", message));
}
