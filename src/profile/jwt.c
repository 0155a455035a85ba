/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/jwt.h"

#include "base/bounds.h"
#include "base/secret.h"
#include "profile/json.h"

#include <freshet/status.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Decodes one part and reads it as a JSON object. */
static int part(const char *text, size_t len, json_t **ret_object)
{
    char *bytes = malloc(len + 1);
    size_t decoded = 0;
    const char *end = NULL;
    int status = FRESHET_EBADBODY;

    if (!bytes)
        return FRESHET_ENOMEM;
    /* libsodium refuses other characters, padding, and bits that are left over. */
    if (sodium_base642bin((unsigned char *)bytes, len + 1, text, len, NULL, &decoded, &end,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
        end == text + len)
        status = fsh_profile_json_object(bytes, decoded, ret_object);
    fsh_base_wipe(bytes, len + 1);
    free(bytes);
    return status;
}

static bool base64url(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return len > 0;
}

int fsh_profile_jwt_claims(const char *token, size_t len, json_t **ret_claims)
{
    const char *first = memchr(token, '.', len);
    const char *second = first ? memchr(first + 1, '.', len - (size_t)(first + 1 - token)) : NULL;
    json_t *header;
    int status;

    if (!second || len > FSH_TOKEN_MAX)
        return FRESHET_EBADBODY;
    if (!base64url(second + 1, len - (size_t)(second + 1 - token)))
        return FRESHET_EBADBODY;
    status = part(token, (size_t)(first - token), &header);
    if (status != FRESHET_OK)
        return status;
    fsh_profile_json_done(header);
    return part(first + 1, (size_t)(second - first - 1), ret_claims);
}

/* Seconds since 1970 as milliseconds, between then and the year 10000. */
static bool numeric_date(const json_t *claims, const char *name, int64_t *ret_ms)
{
    const json_t *value = json_object_get(claims, name);
    double seconds;

    if (!json_is_number(value))
        return false;
    seconds = json_number_value(value);
    if (!(seconds >= 0 && seconds < 253402300800.0))
        return false;
    *ret_ms = (int64_t)(seconds * 1000.0);
    return true;
}

bool fsh_profile_jwt_lifetime(const json_t *claims, int64_t *ret_ms)
{
    int64_t issued;
    int64_t expires;

    if (!numeric_date(claims, "iat", &issued) || !numeric_date(claims, "exp", &expires))
        return false;
    *ret_ms = expires > issued ? expires - issued : 0;
    return true;
}
