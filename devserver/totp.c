/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 4226 section 5.3: HMAC-SHA-1 of the counter, dynamic truncation, six digits. */
static void code_of_step(const unsigned char *secret, int64_t step, char out[7])
{
    unsigned char counter[8];
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    uint32_t value = 0;

    for (int i = 7; i >= 0; i--, step >>= 8)
        counter[i] = (unsigned char)(step & 0xff);
    if (!HMAC(EVP_sha1(), secret, DEV_TOTP_SECRET_LEN, counter, sizeof(counter), mac, &mac_len))
        abort();
    for (unsigned i = 0; i < 4; i++)
        value = (value << 8) | mac[(mac[mac_len - 1] & 15U) + i];
    (void)snprintf(out, 7, "%06u", (unsigned)((value & 0x7fffffffU) % 1000000U));
}

void dev_totp_code(const unsigned char secret[DEV_TOTP_SECRET_LEN], int64_t wall_s, char out[7])
{
    code_of_step(secret, wall_s / DEV_TOTP_STEP_S, out);
}

bool dev_totp_matches(const unsigned char secret[DEV_TOTP_SECRET_LEN], int64_t wall_s,
                      const char *code)
{
    bool matches = false;

    if (strlen(code) != 6)
        return false;
    for (int drift = -1; drift <= 1; drift++) {
        char expected[7];

        code_of_step(secret, wall_s / DEV_TOTP_STEP_S + drift, expected);
        if (CRYPTO_memcmp(expected, code, 6) == 0)
            matches = true;
    }
    return matches;
}
