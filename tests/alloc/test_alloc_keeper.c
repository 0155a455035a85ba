/* SPDX-License-Identifier: Apache-2.0 */

/* Memory runs out in the keeper, while the control API is asked: each request is answered once, if
 * need be by the end of its connection, and the next one works. */

#include "alloc.h"
#include "devserver.h"
#include "keeper/keeper.h"
#include "unit.h"

#include <freshet/status.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 20000 /* longer than anything here takes, on a slow machine */

const struct fsh_route fsh_events_routes[] = {{0}};
const struct fsh_route fsh_health_routes[] = {{0}};
const struct fsh_route fsh_authz_routes[] = {{0}};
const struct fsh_route fsh_browser_routes[] = {{0}};

static struct world {
    struct devserver server;
    char folder[64];
    char config[96];
    char password[96];
    struct fsh_keeper keeper;
    struct freshet_config *other; /* that a reload finds */
    struct fsh_peer peer;
    int answers;
    unsigned http; /* of the last answer; 0: its connection ends */
} world;

/* ---- requests ---------------------------------------------------------------------------- */

static const char *no_header(const struct fsh_keeper_request *request, const char *name,
                             bool *ret_several)
{
    (void)request;
    (void)name;
    if (ret_several)
        *ret_several = false;
    return NULL;
}

static const char *no_argument(const struct fsh_keeper_request *request, const char *name)
{
    (void)request;
    (void)name;
    return NULL;
}

static void take_answer(struct fsh_keeper_request *request, struct fsh_page *page)
{
    (void)request;
    world.answers++;
    world.http = page ? page->http : 0;
    fsh_page_unref(page);
}

static const struct fsh_request_source source = {
    .header = no_header, .argument = no_argument, .answer = take_answer};

static void await_answer(void)
{
    struct pollfd completions = {.fd = freshet_queue_fd(world.keeper.queue), .events = POLLIN};

    while (world.answers == 0) {
        assert_int_equal(poll(&completions, 1, PATIENCE_MS), 1);
        (void)freshet_queue_dispatch(world.keeper.queue);
    }
    assert_int_equal(world.answers, 1);
}

struct row {
    const char *method;
    const char *path;
    const char *body;
    unsigned http; /* with memory */
};

static void ask(const void *what)
{
    const struct row *row = what;
    struct fsh_keeper_request request = {
        .keeper = &world.keeper,
        .peer = &world.peer,
        .method = row->method,
        .path = row->path,
        .body = row->body,
        .body_len = strlen(row->body),
        .source = &source,
    };

    world.answers = 0;
    alloc_arm();
    fsh_route(&request);
    await_answer();
    if (!alloc_disarm() && world.http != row->http)
        fail_msg("%s %s: %u", row->method, row->path, world.http);
}

static const struct row rows[] = {
    {"GET", "/v1/platform", "", 200},
    {"GET", "/v1/sessions", "", 200},
    {"GET", "/v1/sessions/svc", "", 200},
    {"GET", "/v1/sessions/svc/headers", "", 200},
    {"GET", "/v1/sessions/svc/token", "", 200},
    {"GET", "/v1/sessions/svc/explain", "", 200},
    {"GET", "/v1/sessions/svc/mfa-settings", "", 200},
    {"GET", "/v1/sessions/nobody", "", 404},
    {"GET", "/v1/sessions/person/headers", "", 401},
    {"GET", "/v1/sessions/a%20b", "", 400},
    {"GET", "/nowhere", "", 404},
    {"PUT", "/v1/sessions", "", 405},
    {"POST", "/v1/sessions/svc/unauthorized", "{\"generation\":999}", 204},
    {"POST", "/v1/sessions/svc/unauthorized", "{\"generation\":true}", 400},
    {"POST", "/v1/sessions/person/mfa", "{\"code\":\"123456\"}", 409},
    {"POST", "/v1/sessions/person/new-password", "{\"new_password\":\"x\"}", 409},
    {"PUT", "/v1/sessions/person/mfa-settings", "{\"enabled\":true}", 401},
    {"POST", "/v1/sessions/person/totp", "", 401},
    {"PUT", "/v1/sessions/person/totp", "{\"code\":\"1\"}", 401},
    {"POST", "/v1/sessions/person/sign-out", "{\"hold\":false}", 204},
};

static void requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(alloc_every(ask, &rows[i]));
        ask(&rows[i]);
    }
}

/* ---- the registry ------------------------------------------------------------------------ */

static void apply(const void *what)
{
    struct fsh_registry *registry = NULL;
    struct freshet_error error = {0};
    int status;

    (void)what;
    alloc_arm();
    status = fsh_registry_new(world.keeper.freshet, &registry);
    if (status == FRESHET_OK)
        status = fsh_registry_apply(registry, world.keeper.config, &error);
    if (!alloc_disarm())
        assert_int_equal(status, FRESHET_OK);
    else if (status != FRESHET_OK)
        assert_int_equal(status, FRESHET_ENOMEM);
    fsh_registry_free(registry);
}

static void registries(void **state)
{
    (void)state;
    assert_true(alloc_every(apply, NULL));
}

static const struct fsh_peer granted = {.uid = 4000001, .gid = 200};

static bool is_as_before(struct fsh_registry *registry, const struct freshet_session *svc,
                         const struct freshet_session *person)
{
    const struct fsh_entry *entry = fsh_registry_find(registry, "svc");

    return entry && entry->session == svc &&
           fsh_grants_verbs(entry->grants, &granted) == FSH_VERB_READ &&
           fsh_registry_find(registry, "person")->session == person &&
           !fsh_registry_find(registry, "more") && fsh_registry_first(registry)->next->next == NULL;
}

/* With the last of them, or with none. */
static void reload(const void *what)
{
    struct fsh_registry *registry = NULL;
    struct freshet_error error = {0};
    const struct freshet_session *person;
    const struct freshet_session *svc;
    int status;

    (void)what;
    assert_int_equal(fsh_registry_new(world.keeper.freshet, &registry), FRESHET_OK);
    assert_int_equal(fsh_registry_apply(registry, world.keeper.config, NULL), FRESHET_OK);
    svc = fsh_registry_find(registry, "svc")->session;
    person = fsh_registry_find(registry, "person")->session;
    alloc_arm();
    status = fsh_registry_apply(registry, world.other, &error);
    if (!alloc_disarm())
        assert_int_equal(status, FRESHET_OK);
    if (status == FRESHET_OK) {
        assert_true(fsh_registry_find(registry, "svc")->session == svc);
        assert_int_equal(fsh_grants_verbs(fsh_registry_find(registry, "svc")->grants, &granted),
                         FSH_VERB_REPORT);
        assert_true(fsh_registry_find(registry, "person")->session != person);
        assert_non_null(fsh_registry_find(registry, "more"));
    } else {
        assert_int_equal(status, FRESHET_ENOMEM);
        assert_true(is_as_before(registry, svc, person));
    }
    fsh_registry_free(registry);
}

static void a_reload_is_all_or_nothing(void **state)
{
    (void)state;
    assert_true(alloc_every(reload, NULL));
}

/* ---- the world --------------------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void configure(const char *more, struct freshet_config **ret_config)
{
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "[platform]\nurl = %s\norigins = https://files.example.com\n"
                   "[session svc]\nusername = svc-demo\npassword_file = %s\n%s",
                   world.server.dev.url, world.password, more);
    write_file(world.config, text);
    assert_int_equal(freshet_config_load(world.config, ret_config, NULL), FRESHET_OK);
}

static int set_up(void **state)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct fsh_keeper *keeper = &world.keeper;

    (void)state;
    alloc_init();
    devserver_start(&world.server, "http", NULL);
    (void)snprintf(world.folder, sizeof(world.folder), P_tmpdir "/freshet-alloc-XXXXXX");
    assert_non_null(mkdtemp(world.folder));
    (void)snprintf(world.config, sizeof(world.config), "%s/conf", world.folder);
    (void)snprintf(world.password, sizeof(world.password), "%s/password", world.folder);
    write_file(world.password, DEV_PASSWORD);
    configure("allow = uid:4000001 report\n[session person]\npartner_id = fd1\n[session more]\n",
              &world.other);
    configure("allow = uid:4000001 read\n[session person]\n", &keeper->config);
    freshet_config_options(keeper->config, &options);
    assert_int_equal(freshet_open(&options, &keeper->freshet, NULL), FRESHET_OK);
    assert_int_equal(freshet_queue_new(&keeper->queue, NULL), FRESHET_OK);
    assert_int_equal(fsh_registry_new(keeper->freshet, &keeper->registry), FRESHET_OK);
    assert_int_equal(fsh_registry_apply(keeper->registry, keeper->config, NULL), FRESHET_OK);
    return freshet_ensure_fresh(fsh_registry_find(keeper->registry, "svc")->session, NULL, NULL,
                                NULL);
}

static int tear_down(void **state)
{
    struct fsh_keeper *keeper = &world.keeper;

    (void)state;
    fsh_registry_free(keeper->registry);
    freshet_queue_free(keeper->queue);
    freshet_close(keeper->freshet);
    freshet_config_free(keeper->config);
    freshet_config_free(world.other);
    devserver_stop(&world.server);
    (void)unlink(world.config);
    (void)unlink(world.password);
    return rmdir(world.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(registries),
        cmocka_unit_test(a_reload_is_all_or_nothing),
    };

    return cmocka_run_group_tests_name("alloc-keeper", tests, set_up, tear_down);
}
