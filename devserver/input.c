/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* jansson's parser recurses, up to 2048 deep: more than the small stack of a connection's thread
 * should bear. So brackets are counted first. */
static bool shallow(const char *text, size_t len)
{
    unsigned depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '[' || c == '{') && ++depth > DEV_JSON_DEPTH_MAX)
            return false;
        else if (!quoted && (c == ']' || c == '}') && depth > 0)
            depth--;
    }
    return true;
}

static bool refuse(struct dev_reply *reply, const char *field, const char *what)
{
    char message[160];

    (void)snprintf(message, sizeof(message), "%s %s", field, what);
    dev_reply_error(reply, MHD_HTTP_BAD_REQUEST, "ValidationException", message);
    return false;
}

json_t *dev_input_object(struct dev_request *request, struct dev_reply *reply)
{
    json_t *object = NULL;

    if (request->body && shallow(request->body, request->body_len))
        object = json_loadb(request->body, request->body_len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        (void)refuse(reply, "the body", "must be a JSON object");
        return NULL;
    }
    return object;
}

bool dev_input_text(json_t *object, const char *field, size_t max, bool required,
                    const char **ret_text, struct dev_reply *reply)
{
    const json_t *value = json_object_get(object, field);

    if (!value && !required)
        return true;
    if (!json_is_string(value))
        return refuse(reply, field, "must be a string");
    if (json_string_length(value) == 0 || json_string_length(value) > max)
        return refuse(reply, field, "is empty or too long");
    *ret_text = json_string_value(value);
    return true;
}

bool dev_input_bool(json_t *object, const char *field, bool *ret, struct dev_reply *reply)
{
    const json_t *value = json_object_get(object, field);

    if (!value)
        return true;
    if (!json_is_boolean(value))
        return refuse(reply, field, "must be true or false");
    *ret = json_is_true(value);
    return true;
}

bool dev_input_integer(json_t *object, const char *field, int64_t min, int64_t max, int64_t *ret,
                       struct dev_reply *reply)
{
    const json_t *value = json_object_get(object, field);

    if (!value)
        return true;
    if (!json_is_integer(value))
        return refuse(reply, field, "must be an integer");
    if (json_integer_value(value) < min || json_integer_value(value) > max)
        return refuse(reply, field, "is out of range");
    *ret = json_integer_value(value);
    return true;
}

bool dev_input_seconds(json_t *object, const char *field, double min, double max, int64_t *ret_ns,
                       struct dev_reply *reply)
{
    const json_t *value = json_object_get(object, field);

    if (!value)
        return true;
    if (!json_is_number(value))
        return refuse(reply, field, "must be a number of seconds");
    if (json_number_value(value) < min || json_number_value(value) > max)
        return refuse(reply, field, "is out of range");
    *ret_ns = (int64_t)llround(json_number_value(value) * 1e9);
    return true;
}

json_t *dev_json_text(const char *text)
{
    json_t *value = json_string(text);
    char *copy;

    if (value || !(copy = strdup(text)))
        return value;
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    value = json_string(copy);
    free(copy);
    return value;
}
