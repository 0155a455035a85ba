/* SPDX-License-Identifier: Apache-2.0 */

/* The sessions that the keeper has open, and what a new configuration makes of them. The platform
 * answers nobody: sessions are opened all the same. */

#include "keeper/registry.h"
#include "unit.h"

#include <freshet/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "[platform]\nurl = http://127.0.0.1:1\n"

/* Neither root nor the test's own user. */
static const struct fsh_peer someone = {.uid = 4000001, .gid = 200};

struct place {
    char path[64];
    struct freshet *freshet;
    struct fsh_registry *registry;
};

static struct freshet_config *load(const struct place *place, const char *text)
{
    struct freshet_config *config = NULL;
    struct freshet_error error;
    FILE *file = fopen(place->path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    if (freshet_config_load(place->path, &config, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    return config;
}

static int apply(struct place *place, const char *text, struct freshet_error *error)
{
    struct freshet_config *config = load(place, text);
    int status = fsh_registry_apply(place->registry, config, error);

    freshet_config_free(config);
    return status;
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    int fd;

    assert_non_null(place);
    (void)snprintf(place->path, sizeof(place->path), P_tmpdir "/freshet-registry-XXXXXX");
    fd = mkstemp(place->path);
    assert_true(fd >= 0);
    (void)close(fd);
    options.url = "http://127.0.0.1:1";
    assert_int_equal(freshet_open(&options, &place->freshet, NULL), FRESHET_OK);
    assert_int_equal(fsh_registry_new(place->freshet, &place->registry), FRESHET_OK);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    fsh_registry_free(place->registry);
    freshet_close(place->freshet);
    (void)unlink(place->path);
    free(place);
    return 0;
}

/* The names in their order, with a space after each. */
static const char *names(const struct place *place)
{
    static char text[256];
    size_t len = 0;

    text[0] = '\0';
    for (const struct fsh_entry *entry = fsh_registry_first(place->registry); entry;
         entry = entry->next)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s ",
                                freshet_session_name(entry->session));
    return text;
}

static void sessions_stand_in_the_configurations_order(void **state)
{
    struct place *place = *state;
    struct fsh_entry *entry;

    assert_int_equal(apply(place,
                           HEAD "[session b]\nusername = u\npassword_file = /nowhere\n"
                                "[session a]\nallow = uid:4000001 read\n",
                           NULL),
                     FRESHET_OK);
    assert_string_equal(names(place), "b a ");
    entry = fsh_registry_find(place->registry, "b");
    assert_true(entry->service && entry->configured);
    assert_int_equal(fsh_grants_verbs(entry->grants, &someone), 0);
    entry = fsh_registry_find(place->registry, "a");
    assert_true(!entry->service && entry->configured);
    assert_int_equal(fsh_grants_verbs(entry->grants, &someone), FSH_VERB_READ);
    assert_null(fsh_registry_find(place->registry, "c"));
}

static void a_new_configuration_keeps_what_stays_as_it_was(void **state)
{
    struct place *place = *state;
    struct freshet_session *kept;
    struct fsh_entry *changed;

    assert_int_equal(apply(place,
                           HEAD "[session keep]\nallow = uid:4000001 read\n"
                                "[session change]\n[session gone]\n",
                           NULL),
                     FRESHET_OK);
    kept = fsh_registry_find(place->registry, "keep")->session;
    changed = fsh_entry_ref(fsh_registry_find(place->registry, "change"));
    assert_int_equal(apply(place,
                           HEAD "[session new]\n[session change]\npartner_id = fd1\n"
                                "[session keep]\nallow = uid:4000001 report\n",
                           NULL),
                     FRESHET_OK);
    assert_string_equal(names(place), "keep new change ");
    /* The same session, with other grants. */
    assert_ptr_equal(fsh_registry_find(place->registry, "keep")->session, kept);
    assert_int_equal(fsh_grants_verbs(fsh_registry_find(place->registry, "keep")->grants, &someone),
                     FSH_VERB_REPORT);
    /* Whoever holds the one that was closed sees that it was. */
    assert_ptr_not_equal(fsh_registry_find(place->registry, "change"), changed);
    assert_null(changed->session);
    fsh_entry_unref(changed);
    assert_null(fsh_registry_find(place->registry, "gone"));
}

static void nothing_changes_when_a_grant_cannot_be_read(void **state)
{
    struct place *place = *state;
    struct freshet_error error;

    assert_int_equal(apply(place, HEAD "[session a]\nallow = uid:4000001 read\n", NULL),
                     FRESHET_OK);
    assert_int_equal(
        apply(place, HEAD "[session b]\n[session a]\nallow = uid:no-such-user-here read\n", &error),
        FRESHET_ECONFIG);
    assert_non_null(strstr(error.message, "[session a]"));
    assert_non_null(strstr(error.message, "no-such-user-here"));
    assert_string_equal(names(place), "a ");
    assert_int_equal(fsh_grants_verbs(fsh_registry_find(place->registry, "a")->grants, &someone),
                     FSH_VERB_READ);
}

static void a_persons_session_is_opened_by_its_name(void **state)
{
    struct place *place = *state;
    struct fsh_entry *entry = NULL;
    struct fsh_entry *again = NULL;
    struct freshet_error error;

    assert_int_equal(apply(place, HEAD "[session a]\n", NULL), FRESHET_OK);
    assert_int_equal(fsh_registry_open(place->registry, "ann", &entry, NULL), FRESHET_OK);
    assert_true(!entry->configured && !entry->service);
    assert_int_equal(fsh_grants_verbs(entry->grants, &someone), 0);
    assert_int_equal(fsh_registry_open(place->registry, "ann", &again, NULL), FRESHET_OK);
    assert_ptr_equal(again, entry);
    assert_string_equal(names(place), "a ann ");
    assert_int_equal(fsh_registry_open(place->registry, "a b", &again, &error), FRESHET_EINVAL);
    /* A configuration says nothing of it, and so leaves it, until it names it. */
    assert_int_equal(apply(place, HEAD "[session b]\n", NULL), FRESHET_OK);
    assert_ptr_equal(fsh_registry_find(place->registry, "ann"), entry);
    assert_int_equal(apply(place, HEAD "[session ann]\n", NULL), FRESHET_OK);
    assert_string_equal(names(place), "ann ");
    assert_true(fsh_registry_find(place->registry, "ann")->configured);
}

static void only_a_persons_session_is_forgotten(void **state)
{
    struct place *place = *state;
    struct fsh_entry *entry = NULL;

    assert_int_equal(apply(place, HEAD "[session a]\n", NULL), FRESHET_OK);
    assert_int_equal(fsh_registry_open(place->registry, "ann", &entry, NULL), FRESHET_OK);
    assert_int_equal(fsh_registry_open(place->registry, "bob", &entry, NULL), FRESHET_OK);
    fsh_registry_forget(place->registry, fsh_registry_find(place->registry, "ann"));
    fsh_registry_forget(place->registry, fsh_registry_find(place->registry, "a"));
    assert_string_equal(names(place), "a bob ");
    /* And can be opened again, at the end. */
    assert_int_equal(fsh_registry_open(place->registry, "ann", &entry, NULL), FRESHET_OK);
    assert_string_equal(names(place), "a bob ann ");
}

static void show(struct fsh_entry *entry, struct fsh_page *page)
{
    entry->rendered.page = fsh_page_ref(page);
    entry->rendered.generation = 7;
}

/* These sessions have no token, so that the one of the page has gone. */
static void a_page_goes_with_the_token_that_it_shows(void **state)
{
    struct place *place = *state;
    struct fsh_page *page = fsh_page_new(200, NULL, "token", 5);
    struct fsh_entry *a;
    struct fsh_entry *b;

    assert_int_equal(apply(place, HEAD "[session a]\n[session b]\n", NULL), FRESHET_OK);
    a = fsh_registry_find(place->registry, "a");
    b = fsh_registry_find(place->registry, "b");
    show(a, page);
    show(b, page);
    fsh_registry_heed(place->registry, "nobody");
    fsh_registry_heed(place->registry, "a");
    assert_null(a->rendered.page);
    assert_ptr_equal(b->rendered.page, page);
    show(a, page);
    fsh_registry_heed(place->registry, NULL);
    assert_true(!a->rendered.page && !b->rendered.page);
    assert_int_equal(page->references, 1);
    fsh_page_unref(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sessions_stand_in_the_configurations_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_new_configuration_keeps_what_stays_as_it_was, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nothing_changes_when_a_grant_cannot_be_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_persons_session_is_opened_by_its_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_a_persons_session_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_page_goes_with_the_token_that_it_shows, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("keeper-registry", tests, NULL, NULL);
}
