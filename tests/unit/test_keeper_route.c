/* SPDX-License-Identifier: Apache-2.0 */

/* Which handler a request goes to, and what it finds of the path. The tables are this test's. */

#include "keeper/request.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static char handled[1200]; /* name of the handler, then the segments */
static struct fsh_page *answered;

static void handle(struct fsh_keeper_request *request, const char *name)
{
    size_t len = (size_t)snprintf(handled, sizeof(handled), "%s", name);

    for (size_t i = 0; i < 4 && request->segments[i]; i++)
        len += (size_t)snprintf(handled + len, sizeof(handled) - len, " %s", request->segments[i]);
    fsh_request_answer(request, fsh_page_new(204, NULL, "", 0));
}

static void handle_list(struct fsh_keeper_request *request)
{
    handle(request, "list");
}

static void handle_one(struct fsh_keeper_request *request)
{
    handle(request, "one");
}

static void handle_part(struct fsh_keeper_request *request)
{
    handle(request, "part");
}

static void handle_change(struct fsh_keeper_request *request)
{
    handle(request, "change");
}

static void handle_browser(struct fsh_keeper_request *request)
{
    handle(request, "browser");
}

static void handle_two(struct fsh_keeper_request *request)
{
    handle(request, "two");
}

const struct fsh_route fsh_control_routes[] = {
    {FSH_DOOR_CONTROL, "GET", "/v1/things", handle_list},
    {FSH_DOOR_CONTROL, "GET", "/v1/things/:name", handle_one},
    {FSH_DOOR_CONTROL, "GET", "/v1/things/:name/part", handle_part},
    {FSH_DOOR_CONTROL, "PUT", "/v1/things/:name/part", handle_change},
    {0},
};
const struct fsh_route fsh_events_routes[] = {
    {FSH_DOOR_CONTROL, "GET", "/:one/of/:two", handle_two},
    {0},
};
const struct fsh_route fsh_health_routes[] = {{0}};
const struct fsh_route fsh_authz_routes[] = {{0}};
const struct fsh_route fsh_browser_routes[] = {
    {FSH_DOOR_BROWSER, "GET", "/v1/things", handle_browser},
    {0},
};

static void take_answer(struct fsh_keeper_request *request, struct fsh_page *page)
{
    (void)request;
    assert_null(answered);
    answered = page;
}

static const struct fsh_request_source source = {.answer = take_answer};

/* The HTTP status; the rest is in `handled` and, until the next, in `answered`. */
static unsigned ask(enum fsh_door door, const char *method, const char *path)
{
    struct fsh_keeper_request request = {
        .door = door, .method = method, .path = path, .body = "", .source = &source};

    fsh_page_unref(answered);
    answered = NULL;
    handled[0] = '\0';
    fsh_route(&request);
    assert_non_null(answered);
    return answered->http;
}

struct row {
    const char *method;
    const char *path;
    unsigned http;
    const char *handled;
};

static const struct row rows[] = {
    {"GET", "/v1/things", 204, "list"},
    {"HEAD", "/v1/things", 204, "list"},
    {"GET", "/v1/things/a", 204, "one a"},
    {"GET", "/v1/things/part", 204, "one part"},
    {"GET", "/v1/things/a/part", 204, "part a"},
    {"PUT", "/v1/things/a/part", 204, "change a"},
    {"GET", "/x/of/y", 204, "two x y"},
    /* Segments are decoded, once, after they are told apart. */
    {"GET", "/v1/things/a%2Fb", 204, "one a/b"},
    {"GET", "/v1/things/%61%2f%2561", 204, "one a/%61"},
    {"GET", "/%2f/of/%C3%A9", 204, "two / \xc3\xa9"},
    {"GET", "/v1/things/..", 204, "one .."},
    {"GET", "/v1/things/%", 400, ""},
    {"GET", "/v1/things/%4", 400, ""},
    {"GET", "/v1/things/%4g", 400, ""},
    {"GET", "/v1/things/a%00b", 400, ""},
    {"GET", "/", 404, ""},
    {"GET", "", 404, ""},
    {"GET", "/v1/things/", 404, ""},
    {"GET", "/v1/things//part", 404, ""},
    {"GET", "/v1/things/a/part/", 404, ""},
    {"GET", "/v1/things/a/par", 404, ""},
    {"GET", "/v1/thing", 404, ""},
    {"GET", "/V1/things", 404, ""},
    {"GET", "//of/y", 404, ""},
    {"POST", "/v1/things", 405, ""},
    {"get", "/v1/things", 405, ""},
    {"HEAD", "/v1/things/a/part", 204, "part a"},
    {"DELETE", "/v1/things/a/part", 405, ""},
};

static void a_request_goes_where_its_path_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(ask(FSH_DOOR_CONTROL, rows[i].method, rows[i].path), rows[i].http);
        assert_string_equal(handled, rows[i].handled);
    }
}

static void each_socket_has_its_own_paths(void **state)
{
    (void)state;
    assert_int_equal(ask(FSH_DOOR_BROWSER, "GET", "/v1/things"), 204);
    assert_string_equal(handled, "browser");
    assert_int_equal(ask(FSH_DOOR_BROWSER, "GET", "/v1/things/a"), 404);
}

static void the_methods_of_a_path_are_told(void **state)
{
    (void)state;
    assert_int_equal(ask(FSH_DOOR_CONTROL, "DELETE", "/v1/things/a/part"), 405);
    assert_int_equal(answered->field_count, 1);
    assert_string_equal(answered->fields[0].name, "Allow");
    assert_string_equal(answered->fields[0].value, "GET, PUT");
}

static void the_longest_path_fits(void **state)
{
    char path[FSH_REQUEST_PATH_MAX + 1];

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    memcpy(path, "/v1/things/", 11);
    assert_int_equal(ask(FSH_DOOR_CONTROL, "GET", path), 204);
    assert_int_equal(strlen(handled), strlen("one ") + FSH_REQUEST_PATH_MAX - 11);
}

static int done(void **state)
{
    (void)state;
    fsh_page_unref(answered);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_goes_where_its_path_says),
        cmocka_unit_test(each_socket_has_its_own_paths),
        cmocka_unit_test(the_methods_of_a_path_are_told),
        cmocka_unit_test(the_longest_path_fits),
    };

    return cmocka_run_group_tests_name("keeper-route", tests, NULL, done);
}
