/* SPDX-License-Identifier: Apache-2.0 */

/* Rule 13: where the headers belong. */

#include "engine/origin.h"
#include "unit.h"

#include <freshet/status.h>

struct row {
    const char *url;
    int status;
};

static const struct row rows[] = {
    {"https://api.example.com", FRESHET_OK},
    {"https://api.example.com/", FRESHET_OK},
    {"https://api.example.com:443/x?y#z", FRESHET_OK},
    {"https://API.Example.COM/x", FRESHET_OK},
    {"https://files.example.com:8443/", FRESHET_OK},
    {"http://127.0.0.1:9000/x", FRESHET_OK},
    {"https://api.example.com:444/", FRESHET_EORIGIN},
    {"https://api.example.com.evil.example/", FRESHET_EORIGIN},
    {"https://example.com/", FRESHET_EORIGIN},
    {"https://files.example.com/", FRESHET_EORIGIN},
    {"http://127.0.0.1/x", FRESHET_EORIGIN},
    {"http://127.0.0.2:9000/x", FRESHET_EORIGIN},
    {"https://127.0.0.1:9000/x", FRESHET_EORIGIN},
    {"http://localhost:9000/", FRESHET_EORIGIN},
    {"http://api.example.com/", FRESHET_EINSECURE},
    {"http://127.0.0.1.evil.example:9000/", FRESHET_EINSECURE},
    {"http://[::2]:9000/", FRESHET_EINSECURE},
    {"https://api.example.com@evil.example/", FRESHET_EINVAL},
    {"https://user:pass@api.example.com/", FRESHET_EINVAL},
    {"ftp://api.example.com/", FRESHET_EINVAL},
    {"file:///etc/passwd", FRESHET_EINVAL},
    {"api.example.com", FRESHET_EINVAL},
    {"/x", FRESHET_EINVAL},
    {"", FRESHET_EINVAL},
    {"https://", FRESHET_EINVAL},
    {"https://a%7f.example/", FRESHET_EINVAL},
    {"https://a%25%34%34.example/", FRESHET_EINVAL},
    {"https://api.example.com:99999/", FRESHET_EINVAL},
};

static void only_exact_origins(void **state)
{
    struct fsh_origins origins = {0};

    (void)state;
    assert_int_equal(fsh_engine_origins_add(&origins, "https://api.example.com/v1", NULL), 0);
    assert_int_equal(fsh_engine_origins_add(&origins, "https://files.example.com:8443", NULL), 0);
    assert_int_equal(fsh_engine_origins_add(&origins, "http://127.0.0.1:9000", NULL), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int status = fsh_engine_origins_check(&origins, rows[i].url, NULL);

        if (status != rows[i].status)
            print_message("%s\n", rows[i].url);
        assert_int_equal(status, rows[i].status);
    }
    fsh_engine_origins_done(&origins);
}

static void loopback_is_known(void **state)
{
    (void)state;
    assert_true(fsh_engine_loopback_address("127.0.0.1"));
    assert_true(fsh_engine_loopback_address("127.255.0.3"));
    assert_true(fsh_engine_loopback_address("::1"));
    assert_true(fsh_engine_loopback_address("::ffff:127.0.0.1"));
    assert_false(fsh_engine_loopback_address("128.0.0.1"));
    assert_false(fsh_engine_loopback_address("::ffff:10.0.0.1"));
    assert_false(fsh_engine_loopback_address("localhost"));
    assert_false(fsh_engine_loopback_address(""));
    assert_true(fsh_engine_loopback_host("localhost"));
    assert_true(fsh_engine_loopback_host("[::1]"));
    assert_false(fsh_engine_loopback_host("localhost.evil.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_exact_origins),
        cmocka_unit_test(loopback_is_known),
    };

    return cmocka_run_group_tests_name("origin", tests, NULL, NULL);
}
