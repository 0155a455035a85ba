/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"SOFTWARE_TOKEN_MFA", "SMS_MFA", "NEW_PASSWORD_REQUIRED"};

/* Lock held. The "SMS" is read at /_dev/sms/USERNAME. */
static void send_sms(struct dev_server *server, struct dev_account *account)
{
    uint32_t random;

    dev_random(&random, sizeof(random));
    (void)snprintf(account->sms_code, sizeof(account->sms_code), "%06u",
                   (unsigned)(random % 1000000U));
    dev_count(&server->counters, DEV_COUNT_sms_sent);
}

void dev_challenge_pose(struct dev_server *server, struct dev_account *account,
                        enum dev_challenge_kind kind, struct dev_reply *reply)
{
    char *session = dev_random_text("dev-session-");
    unsigned char digest[DEV_DIGEST_LEN];
    struct dev_challenge *challenge;

    if (!session) {
        dev_reply_json(reply, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL);
        return;
    }
    dev_digest(session, strlen(session), digest);
    pthread_mutex_lock(&server->lock);
    challenge = dev_map_put(&server->challenges, digest);
    *challenge =
        (struct dev_challenge){.kind = kind,
                               .account = account,
                               .expires_ns = dev_mono_ns() + server->tokens.challenge_lifetime_ns};
    if (kind == DEV_CHALLENGE_SMS)
        send_sms(server, account);
    pthread_mutex_unlock(&server->lock);
    dev_count(&server->counters, kind == DEV_CHALLENGE_NEW_PASSWORD
                                     ? DEV_COUNT_new_password_challenges
                                     : DEV_COUNT_mfa_challenges);
    dev_reply_json(reply, MHD_HTTP_OK,
                   json_pack("{s:s, s:s}", "Challenge", names[kind], "Session", session));
    free(session);
}

struct dev_challenge *dev_challenge_find(struct dev_server *server, const char *session)
{
    unsigned char digest[DEV_DIGEST_LEN];
    struct dev_challenge *challenge;

    dev_digest(session, strlen(session), digest);
    challenge = dev_map_find(&server->challenges, digest);
    return challenge && dev_mono_ns() < challenge->expires_ns ? challenge : NULL;
}

void dev_challenge_end(struct dev_server *server, const char *session)
{
    unsigned char digest[DEV_DIGEST_LEN];

    dev_digest(session, strlen(session), digest);
    dev_map_remove(&server->challenges, digest);
}
