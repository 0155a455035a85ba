/* SPDX-License-Identifier: Apache-2.0 */

/* Memory runs out while a keeper's answer is read: what is good is never called bad for that. */

#include "alloc.h"
#include "engine/remote_read.h"
#include "unit.h"

#include <freshet/status.h>
#include <stdlib.h>

static char keeper_socket[] = "/run/freshet/control.sock";
static char keeper_url[] = "https://api.example.com";
static char *keeper_origins[] = {keeper_url};
static const struct fsh_remote_keeper keeper = {keeper_socket, {keeper_url, keeper_origins, 1}};

static const char document[] =
    "{\"platform\":{\"url\":\"https://api.example.com\",\"origins\":[\"https://api.example.com\"]},"
    "\"url\":\"https://api.example.com\",\"origins\":[\"https://api.example.com\"],"
    "\"authorization\":\"Bearer t\",\"partner_header\":\"X-P\",\"partners\":[\"fd1\",\"fd2\"],"
    "\"partner\":\"fd2\",\"generation\":1,\"age_ms\":0,\"lifetime_ms\":3600000,"
    "\"phase\":\"ended\",\"status\":\"FRESHET_EENDED\",\"code\":\"FRESHET_EENDED\","
    "\"entries\":[{\"number\":1,\"name\":\"refreshed\"}],"
    "\"sessions\":[{\"name\":\"ann\",\"phase\":\"live\"}],"
    "\"enabled\":true,\"preferred\":\"totp\",\"uri\":\"otpauth://x\",\"secret\":\"base32\"}";

static int read_token(const char *body, size_t len)
{
    struct fsh_fetched fetched;
    int status = fsh_remote_read_token(body, len, &fetched);

    if (status == FRESHET_OK) {
        fsh_remote_platform_done(&fetched.platform);
        fsh_token_unref(fetched.token);
    }
    return status;
}

static int read_platform(const char *body, size_t len)
{
    struct fsh_remote_platform platform;
    int status = fsh_remote_read_platform(body, len, &platform);

    if (status == FRESHET_OK) {
        status = fsh_remote_same_platform(&keeper, &platform, NULL);
        fsh_remote_platform_done(&platform);
    }
    return status;
}

static int read_problem(const char *body, size_t len)
{
    struct fsh_problem problem;

    fsh_remote_read_problem(401, body, len, &problem);
    return problem.status == FRESHET_EENDED ? FRESHET_OK : problem.status;
}

static int read_status(const char *body, size_t len)
{
    struct freshet_session_status status;

    return fsh_remote_read_status(body, len, &status);
}

static int read_ledger(const char *body, size_t len)
{
    struct freshet_ledger_entry entry;
    size_t count;

    return fsh_remote_read_ledger(body, len, &entry, 1, &count);
}

static int read_sessions(const char *body, size_t len)
{
    struct freshet_stored_session *list;
    size_t count;
    int status = fsh_remote_read_sessions(body, len, &list, &count);

    if (status == FRESHET_OK)
        free(list);
    return status;
}

static int read_mfa(const char *body, size_t len)
{
    char preferred[32];
    int enabled;

    return fsh_remote_read_mfa(body, len, &enabled, preferred, sizeof(preferred));
}

static int read_totp(const char *body, size_t len)
{
    struct fsh_secret uri = {0};
    struct fsh_secret secret = {0};
    int status = fsh_remote_read_totp(body, len, &uri, &secret);

    assert_int_equal(fsh_base_secret_empty(&uri), status != FRESHET_OK);
    fsh_base_secret_done(&uri);
    fsh_base_secret_done(&secret);
    return status;
}

static const struct reader {
    int (*read)(const char *body, size_t len);
} readers[] = {{read_token},  {read_platform}, {read_problem}, {read_status},
               {read_ledger}, {read_sessions}, {read_mfa},     {read_totp}};

static void read_document(const void *what)
{
    int status;

    alloc_arm();
    status = ((const struct reader *)what)->read(document, sizeof(document) - 1);
    if (!alloc_disarm())
        assert_int_equal(status, FRESHET_OK);
    else if (status != FRESHET_OK)
        assert_int_equal(status, FRESHET_ENOMEM);
}

static void documents(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
        assert_true(alloc_every(read_document, &readers[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents),
    };

    alloc_init();
    return cmocka_run_group_tests_name("alloc-remote-read", tests, NULL, NULL);
}
