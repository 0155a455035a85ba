/* SPDX-License-Identifier: Apache-2.0 */

/* Memory runs out while a configuration is read, and under the doctor's hands. */

#include "alloc.h"
#include "unit.h"

#include <freshet/admin.h>
#include <freshet/config.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char folder[64];
    char config[96];
    char more[96];
    char bad[96];
    char password[96];
    char key[96];
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

/* Nobody listens at port 1. */
static int make_place(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    (void)snprintf(place->folder, sizeof(place->folder), P_tmpdir "/freshet-alloc-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->config, sizeof(place->config), "%s/freshet.conf", place->folder);
    (void)snprintf(place->more, sizeof(place->more), "%s/more.conf", place->folder);
    (void)snprintf(place->bad, sizeof(place->bad), "%s/bad.conf", place->folder);
    (void)snprintf(place->password, sizeof(place->password), "%s/password", place->folder);
    (void)snprintf(place->key, sizeof(place->key), "%s/store.key", place->folder);
    write_file(place->config, "include = more.conf\n[platform]\nurl = http://127.0.0.1:1\n"
                              "origins = https://a.example, https://b.example\n"
                              "origins = https://c.example\n"
                              "[store]\nkey_file = store.key\nsecrets = sqlite:secrets.db\n");
    write_file(place->more, "[session a]\nusername = a\npassword_file = password\n"
                            "allow = uid:0 read\nallow = gid:0 admin\n"
                            "[session b]\n[session c]\n[session d]\n[session e]\n[session f]\n"
                            "[session g]\n[session h]\n[session i]\n");
    write_file(place->bad, "[platform]\nulr = x\n[session a]\npassword = x\n[session a]\n");
    write_file(place->password, "not-a-secret\n");
    assert_int_equal(freshet_key_new(place->key, NULL), FRESHET_OK);
    *state = place;
    return 0;
}

static int drop_place(void **state)
{
    struct place *place = *state;

    (void)unlink(place->config);
    (void)unlink(place->more);
    (void)unlink(place->bad);
    (void)unlink(place->password);
    (void)unlink(place->key);
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
    return 0;
}

/* ---- the configuration ------------------------------------------------------------------- */

static void load(const void *what)
{
    const struct place *place = what;
    struct freshet_config *config = NULL;
    struct freshet_error error = {0};
    struct freshet_options options;
    int status;

    alloc_arm();
    status = freshet_config_load(place->config, &config, &error);
    if (status != FRESHET_OK) {
        assert_true(alloc_disarm());
        assert_int_equal(status, FRESHET_ENOMEM);
        assert_int_equal(error.status, FRESHET_ENOMEM);
        assert_null(config);
        return;
    }
    (void)alloc_disarm();
    freshet_config_options(config, &options);
    assert_int_equal(options.origins_count, 3);
    assert_int_equal(freshet_config_session_count(config), 9);
    assert_string_equal(freshet_config_get(config, "session a", "allow"),
                        "uid:0 read\ngid:0 admin");
    freshet_config_free(config);
}

static void configurations(void **state)
{
    assert_true(alloc_every(load, *state));
}

static void ignore(void *data, const char *text)
{
    (void)text;
    ++*(size_t *)data;
}

static void check_bad(const void *what)
{
    const struct place *place = what;
    size_t count = 0;
    int status;

    alloc_arm();
    status = freshet_config_check(place->bad, ignore, &count, NULL);
    if (alloc_disarm() && status == FRESHET_ENOMEM)
        return;
    assert_int_equal(status, FRESHET_ECONFIG);
    assert_int_equal(count, 4);
}

static void configurations_with_problems(void **state)
{
    assert_true(alloc_every(check_bad, *state));
}

/* Without memory only the advice is missing. */
static void ask_for_a_session(const void *what)
{
    const struct place *place = what;
    struct freshet_config *config = NULL;
    struct freshet_session_options options;
    struct freshet_error error = {0};

    assert_int_equal(freshet_config_load(place->config, &config, NULL), FRESHET_OK);
    alloc_arm();
    assert_int_equal(freshet_config_session(config, "aa", &options, &error), FRESHET_ENOSESSION);
    (void)alloc_disarm();
    assert_memory_equal(error.message, "no session aa in the configuration", 34);
    freshet_config_free(config);
}

static void sessions_by_name(void **state)
{
    assert_true(alloc_every(ask_for_a_session, *state));
}

/* ---- the doctor -------------------------------------------------------------------------- */

static void found(void *data, const char *check, enum freshet_health health, const char *text)
{
    assert_true(text[0] != '\0');
    if (health != FRESHET_HEALTH_OK && strcmp(check, "platform") != 0)
        ++*(size_t *)data;
}

/* The platform is never reached, so the doctor is never content; but he must not call sound what he
 * had no memory to look at. */
static void examine(const void *what)
{
    const struct place *place = what;
    struct freshet_config *config = NULL;
    struct freshet_options options;
    struct freshet_error error = {0};
    size_t troubles = 0;
    int status;

    assert_int_equal(freshet_config_load(place->config, &config, NULL), FRESHET_OK);
    freshet_config_options(config, &options);
    alloc_arm();
    status = freshet_doctor(config, &options, found, &troubles, &error);
    if (!alloc_disarm()) {
        assert_int_equal(status, FRESHET_EUNAVAILABLE);
        assert_int_equal(troubles, 0);
    } else {
        assert_true(status == FRESHET_ENOMEM || status == FRESHET_EUNAVAILABLE);
    }
    assert_int_equal(error.status, status);
    freshet_config_free(config);
}

static void the_doctor(void **state)
{
    assert_true(alloc_every(examine, *state));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations),
        cmocka_unit_test(configurations_with_problems),
        cmocka_unit_test(sessions_by_name),
        cmocka_unit_test(the_doctor),
    };

    alloc_init();
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests_name("alloc-config", tests, make_place, drop_place);
}
