/* SPDX-License-Identifier: Apache-2.0 */

/* Pages and the problems that they tell (RFC 9457). */

#include "base/error.h"
#include "keeper/page.h"
#include "unit.h"

#include <freshet/status.h>
#include <string.h>

static const char *field(const struct fsh_page *page, const char *name)
{
    for (size_t i = 0; i < page->field_count; i++) {
        if (strcmp(page->fields[i].name, name) == 0)
            return page->fields[i].value;
    }
    return NULL;
}

static json_t *read(const struct fsh_page *page)
{
    json_t *value = json_loadb(page->body, page->len, JSON_REJECT_DUPLICATES, NULL);

    assert_non_null(value);
    return value;
}

static void a_page_has_what_it_was_given(void **state)
{
    struct fsh_page *page = fsh_page_new(200, "text/plain", "abc", 3);

    (void)state;
    assert_int_equal(page->http, 200);
    assert_string_equal(page->type, "text/plain");
    assert_int_equal(page->len, 3);
    assert_string_equal(page->body, "abc");
    page = fsh_page_header(page, "ETag", "\"1\"");
    assert_string_equal(field(page, "ETag"), "\"1\"");
    fsh_page_unref(page);
}

static int freed;

static void count_freed(void *made)
{
    (void)made;
    freed++;
}

static void a_page_goes_with_its_last_reference(void **state)
{
    struct fsh_page *page = fsh_page_new(204, NULL, "", 0);

    (void)state;
    freed = 0;
    page->made = page;
    page->made_free = count_freed;
    assert_ptr_equal(fsh_page_ref(page), page);
    fsh_page_unref(page);
    assert_int_equal(freed, 0);
    fsh_page_unref(page);
    assert_int_equal(freed, 1);
    fsh_page_unref(NULL);
    assert_null(fsh_page_ref(NULL));
}

static void a_page_has_few_headers(void **state)
{
    struct fsh_page *page = fsh_page_new(204, NULL, "", 0);

    (void)state;
    for (int i = 0; i < FSH_PAGE_FIELDS; i++) {
        page = fsh_page_header(page, "A", "b");
        assert_non_null(page);
    }
    assert_null(fsh_page_header(page, "A", "b"));
    assert_null(fsh_page_header(NULL, "A", "b"));
}

static void no_memory_is_no_page(void **state)
{
    (void)state;
    assert_null(fsh_page_json(200, NULL));
}

struct row {
    int status;
    int http;
    const char *title;
    int64_t retry_after_ms;
    const char *retry_after; /* the header */
};

static const struct row rows[] = {
    {FRESHET_EHELD, 403, "Forbidden", -1, NULL},
    {FRESHET_EMFA, 401, "Unauthorized", -1, NULL},
    {FRESHET_ERATE, 429, "Too Many Requests", 1, "1"},
    {FRESHET_EUNAVAILABLE, 503, "Service Unavailable", 0, "1"},
    {FRESHET_EUNAVAILABLE, 503, "Service Unavailable", 1000, "1"},
    {FRESHET_EUNAVAILABLE, 503, "Service Unavailable", 1001, "2"},
    {FRESHET_EBADBODY, 502, "Bad Gateway", 30000, "30"},
    {FRESHET_ENOMEM, 500, "Internal Server Error", -1, NULL},
};

static void a_problem_says_what_its_status_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        struct freshet_error error;
        struct fsh_page *page;
        json_t *problem;

        (void)fsh_base_fail(&error, row->status, "what is the case");
        error.retry_after_ms = row->retry_after_ms;
        page = fsh_page_problem(row->status, &error);
        assert_int_equal(page->http, row->http);
        assert_string_equal(page->type, "application/problem+json");
        problem = read(page);
        assert_string_equal(json_string_value(json_object_get(problem, "type")), "about:blank");
        assert_string_equal(json_string_value(json_object_get(problem, "title")), row->title);
        assert_int_equal(json_integer_value(json_object_get(problem, "status")), row->http);
        assert_string_equal(json_string_value(json_object_get(problem, "detail")),
                            "what is the case");
        assert_string_equal(json_string_value(json_object_get(problem, "code")),
                            freshet_status_name(row->status));
        assert_null(json_object_get(problem, "platform_code"));
        if (row->retry_after) {
            assert_string_equal(field(page, "Retry-After"), row->retry_after);
            assert_int_equal(json_integer_value(json_object_get(problem, "retry_after_ms")),
                             row->retry_after_ms);
        } else {
            assert_null(field(page, "Retry-After"));
            assert_null(json_object_get(problem, "retry_after_ms"));
        }
        json_decref(problem);
        fsh_page_unref(page);
    }
}

static void a_problem_has_the_platforms_code_and_status(void **state)
{
    struct freshet_error error;
    struct fsh_page *page;
    json_t *problem;

    (void)state;
    (void)fsh_base_fail(&error, FRESHET_ECREDENTIALS, NULL);
    (void)strcpy(error.code, "NotAuthorizedException");
    error.http_status = 400;
    page = fsh_page_problem(FRESHET_ECREDENTIALS, &error);
    problem = read(page);
    assert_string_equal(json_string_value(json_object_get(problem, "platform_code")),
                        "NotAuthorizedException");
    assert_int_equal(json_integer_value(json_object_get(problem, "platform_status")), 400);
    json_decref(problem);
    fsh_page_unref(page);
}

static void a_problem_needs_no_error(void **state)
{
    struct fsh_page *page = fsh_page_problem(FRESHET_EACCESS, NULL);
    json_t *problem = read(page);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(problem, "detail")),
                        freshet_status_text(FRESHET_EACCESS));
    assert_null(json_object_get(problem, "platform_status"));
    json_decref(problem);
    fsh_page_unref(page);
}

static void what_is_no_utf_8_is_not_told(void **state)
{
    struct freshet_error error;
    struct fsh_page *page;
    json_t *problem;

    (void)state;
    (void)fsh_base_fail(&error, FRESHET_EBADBODY, "%s", "caf\xe9");
    (void)strcpy(error.code, "\xff");
    page = fsh_page_problem(FRESHET_EBADBODY, &error);
    problem = read(page);
    assert_string_equal(json_string_value(json_object_get(problem, "detail")),
                        freshet_status_text(FRESHET_EBADBODY));
    assert_null(json_object_get(problem, "platform_code"));
    json_decref(problem);
    fsh_page_unref(page);
}

static void an_http_status_alone_has_no_code(void **state)
{
    struct fsh_page *page = fsh_page_http(405, "the path takes %s", "GET");
    json_t *problem = read(page);

    (void)state;
    assert_int_equal(page->http, 405);
    assert_string_equal(json_string_value(json_object_get(problem, "title")), "Method Not Allowed");
    assert_string_equal(json_string_value(json_object_get(problem, "detail")),
                        "the path takes GET");
    assert_null(json_object_get(problem, "code"));
    json_decref(problem);
    fsh_page_unref(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_has_what_it_was_given),
        cmocka_unit_test(a_page_goes_with_its_last_reference),
        cmocka_unit_test(a_page_has_few_headers),
        cmocka_unit_test(no_memory_is_no_page),
        cmocka_unit_test(a_problem_says_what_its_status_says),
        cmocka_unit_test(a_problem_has_the_platforms_code_and_status),
        cmocka_unit_test(a_problem_needs_no_error),
        cmocka_unit_test(what_is_no_utf_8_is_not_told),
        cmocka_unit_test(an_http_status_alone_has_no_code),
    };

    return cmocka_run_group_tests_name("keeper-page", tests, NULL, NULL);
}
