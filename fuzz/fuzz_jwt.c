/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "profile/json.h"
#include "profile/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *claims = NULL;
    int64_t ms = 0;

    (void)fsh_profile_jwt_claims((const char *)data, size, &claims);
    if (claims && fsh_profile_jwt_lifetime(claims, &ms) && ms < 0)
        __builtin_trap();
    fsh_profile_json_done(claims);
    return 0;
}
