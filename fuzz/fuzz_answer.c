/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "profile/profile.h"

#include <freshet/status.h>
#include <string.h>

/* The first byte chooses the kind of exchange, the second the HTTP status; the rest is the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 201, 302, 400, 401, 403, 429, 500};
    struct fsh_reply reply = {.complete = true, .sent = true};
    struct fsh_answer answer;

    if (size < 2)
        return 0;
    reply.http_status = statuses[data[1] % 8];
    reply.body = (const char *)data + 2;
    reply.body_len = size - 2;
    fsh_profile_read(fsh_profile_find("partner"), data[0] % FSH_EXCHANGE_KINDS, &reply,
                     (struct fsh_wall){0}, &answer);
    if ((answer.outcome == FSH_OUTCOME_GRANT) != (answer.status == FRESHET_OK))
        __builtin_trap();
    for (const char *c = answer.detail; *c; c++) {
        if (*c < ' ' || *c > '~')
            __builtin_trap();
    }
    fsh_profile_answer_done(&answer);
    return 0;
}
