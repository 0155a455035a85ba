/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_PROFILE_JSON_H
#define FSH_PROFILE_JSON_H

#include "base/secret.h"

#include <jansson.h>
#include <stdbool.h>

/* JSON whose strings may be secrets. */

/* Reads an object: UTF-8, no key twice, nothing behind it, within FSH_BODY_MAX. FRESHET_EBADBODY
 * otherwise; FRESHET_ENOMEM. The caller ends it with fsh_profile_json_done. */
int fsh_profile_json_object(const char *text, size_t len, json_t **ret_json);

/* Wipes all strings below `json` and frees it. Takes NULL. For trees of one owner. */
void fsh_profile_json_done(json_t *json);

/* Writes it compactly. FRESHET_ENOMEM. */
int fsh_profile_json_dump(const json_t *json, struct fsh_secret *ret_text);

/* Whether a text is UTF-8 (RFC 3629). jansson refuses what is not, but in the same way as it says
 * that memory ran out. */
bool fsh_profile_json_utf8(const char *text, size_t len);

#endif
