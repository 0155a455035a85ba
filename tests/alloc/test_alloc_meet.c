/* SPDX-License-Identifier: Apache-2.0 */

/* Memory runs out while a keeper is met: a handle opens and knows the platform, or says why not;
 * what the keeper lists is told whole or not at all; and the next time it works. */

#include "alloc.h"
#include "keeper.h"
#include "unit.h"

#include <freshet/admin.h>
#include <freshet/freshet.h>
#include <stdlib.h>

#define URL "http://127.0.0.1:9" /* nobody is there, and nobody is asked */

static struct keeper keeper;

/* What libcurl has no memory for may be a failure of the connection. */
static void check(int status, bool failed, const struct freshet_error *error)
{
    if (status == FRESHET_OK)
        return;
    if (!failed || (status != FRESHET_ENOMEM && status != FRESHET_EUNAVAILABLE))
        fail_msg("%s: %s", freshet_status_name(status), error->message);
    assert_int_equal(error->status, status);
    assert_true(error->message[0] != '\0');
}

static void open_and_close(const void *what)
{
    const char *const *url = what;
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet_session_options mine = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet *freshet = NULL;
    struct freshet_session *session = NULL;
    struct freshet_error error = {0};
    bool failed;
    int status;

    options.secrets = keeper.secrets;
    options.url = *url;
    mine.on_demand = true;
    alloc_arm();
    status = freshet_open(&options, &freshet, &error);
    if (status == FRESHET_OK)
        status = freshet_session_open(freshet, "ann", &mine, &session, &error);
    failed = alloc_disarm();
    check(status, failed, &error);
    if (freshet)
        assert_int_equal(freshet_url_check(freshet, URL "/orders", NULL, NULL), FRESHET_OK);
    /* With memory throughout; else the session may ask again a little later only. */
    if (session && !failed)
        assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, NULL), FRESHET_ESIGNEDOUT);
    freshet_close(freshet);
}

static void handles(void **state)
{
    static const char *const urls[] = {NULL, URL};

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        assert_true(alloc_every(open_and_close, &urls[i]));
}

static void list(const void *what)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet_stored_session *sessions = NULL;
    struct freshet_error error = {0};
    size_t count = 0;
    int status;

    (void)what;
    options.secrets = keeper.secrets;
    alloc_arm();
    status = freshet_sessions_list(&options, &sessions, &count, &error);
    check(status, alloc_disarm(), &error);
    assert_int_equal(count, status == FRESHET_OK ? 2 : 0);
    if (status == FRESHET_OK)
        assert_string_equal(sessions[0].name, "ann");
    free(sessions);
}

static void lists(void **state)
{
    (void)state;
    assert_true(alloc_every(list, NULL));
}

static int setup(void **state)
{
    (void)state;
    keeper_start(&keeper, URL, "[session ann]\n[session bob]\n");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    keeper_stop(&keeper);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles),
        cmocka_unit_test(lists),
    };

    alloc_init();
    return cmocka_run_group_tests_name("alloc-meet", tests, setup, teardown);
}
