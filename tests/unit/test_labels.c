/* SPDX-License-Identifier: Apache-2.0 */

/* Labels of stored sessions, and sessions that are ended without their key: what the keeper builds
 * its browser sessions on. */

#include "lib/labels.h"

#include "lib.h"

#include <freshet/admin.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct labeled {
    struct world world;
    struct freshet_queue *queue;
    char secrets[128]; /* "sqlite:" and the path; or "memory:" */
    char tokens[128];
    char keys[128];
    struct freshet_options options;
};

static const unsigned char key[FSH_SESSION_KEY] = {1, 2, 3};

static void open_handle(struct labeled *labeled)
{
    struct freshet_error error = {0};

    if (freshet_open(&labeled->options, &labeled->world.freshet, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
}

static void restart(struct labeled *labeled)
{
    freshet_close(labeled->world.freshet);
    open_handle(labeled);
}

static int setup(void **state)
{
    static struct labeled labeled;
    const char *kind = *state;
    struct freshet_error error = {0};
    const char *folder;

    memset(&labeled, 0, sizeof(labeled));
    devserver_start(&labeled.world.server, "http", NULL);
    folder = labeled.world.server.folder;
    (void)snprintf(labeled.keys, sizeof(labeled.keys), "%s/keys", folder);
    labeled.options = (struct freshet_options)FRESHET_OPTIONS_INIT;
    labeled.options.url = labeled.world.server.dev.url;
    if (strcmp(kind, "sqlite:") == 0) {
        (void)snprintf(labeled.secrets, sizeof(labeled.secrets), "sqlite:%s/secrets.db", folder);
        (void)snprintf(labeled.tokens, sizeof(labeled.tokens), "sqlite:%s/tokens.db", folder);
        if (freshet_key_new(labeled.keys, &error) != FRESHET_OK)
            fail_msg("%s", error.message);
        labeled.options.secrets = labeled.secrets;
        labeled.options.tokens = labeled.tokens;
        labeled.options.key_file = labeled.keys;
    }
    open_handle(&labeled);
    assert_int_equal(freshet_queue_new(&labeled.queue, NULL), FRESHET_OK);
    *state = &labeled;
    return 0;
}

static int teardown(void **state)
{
    struct labeled *labeled = *state;

    freshet_queue_free(labeled->queue);
    freshet_close(labeled->world.freshet);
    if (labeled->options.key_file) {
        (void)unlink(labeled->secrets + strlen("sqlite:"));
        (void)unlink(labeled->tokens + strlen("sqlite:"));
        (void)unlink(labeled->keys);
    }
    devserver_stop(&labeled->world.server);
    return 0;
}

/* ---- what the tests do --------------------------------------------------------------------- */

struct outcome {
    int times;
    int status;
};

static void ended(void *data, int status, const struct freshet_freshness *freshness,
                  const struct freshet_error *error)
{
    struct outcome *outcome = data;

    assert_null(freshness);
    assert_true((status == FRESHET_OK) == (error == NULL));
    assert_true(!error || (error->status == status && error->message[0] != '\0'));
    outcome->times++;
    outcome->status = status;
}

static int wait_for(struct labeled *labeled, struct outcome *outcome)
{
    while (outcome->times == 0) {
        until_readable(freshet_queue_fd(labeled->queue));
        (void)freshet_queue_dispatch(labeled->queue);
    }
    assert_int_equal(outcome->times, 1);
    return outcome->status;
}

static int put(struct labeled *labeled, const char *name, const char *label)
{
    struct outcome outcome = {0};

    assert_int_equal(fsh_lib_label_put(labeled->world.freshet, name, label, strlen(label),
                                       labeled->queue, ended, &outcome, NULL),
                     FRESHET_OK);
    return wait_for(labeled, &outcome);
}

static int forget(struct labeled *labeled, const char *name, bool live)
{
    struct outcome outcome = {0};

    assert_int_equal((live ? fsh_lib_session_end : fsh_lib_session_remove)(
                         labeled->world.freshet, name, labeled->queue, ended, &outcome, NULL),
                     FRESHET_OK);
    return wait_for(labeled, &outcome);
}

static struct freshet_session *open_keyed(struct labeled *labeled, const char *name)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session *session = NULL;

    options.on_demand = true;
    options.session_key = key;
    assert_int_equal(freshet_session_open(labeled->world.freshet, name, &options, &session, NULL),
                     FRESHET_OK);
    return session;
}

static struct freshet_session *sign_in(struct labeled *labeled, const char *name)
{
    struct freshet_session *session = open_keyed(labeled, name);
    struct freshet_error error = {0};

    if (freshet_sign_in(session, "svc-demo", DEV_PASSWORD, 0, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    return session;
}

static int list_one(void *data, const struct fsh_labeled *session)
{
    char *text = data;
    size_t len = strlen(text);

    assert_null(session->unopened);
    assert_true((session->len == 0) == (session->label == NULL));
    (void)snprintf(text + len, 256 - len, "%s %d %.*s;", session->name, session->phase,
                   (int)session->len, session->label ? (const char *)session->label : "");
    return FRESHET_OK;
}

static const char *list(struct labeled *labeled)
{
    static char text[256];

    text[0] = '\0';
    assert_int_equal(fsh_lib_labels(labeled->world.freshet, "browser/", list_one, text, NULL),
                     FRESHET_OK);
    return text;
}

/* ---- the cases ----------------------------------------------------------------------------- */

static void a_label_is_as_durable_as_its_session(void **state)
{
    struct labeled *labeled = *state;

    (void)sign_in(labeled, "browser/one");
    (void)sign_in(labeled, "ann");
    assert_int_equal(put(labeled, "browser/one", "first"), FRESHET_OK);
    assert_int_equal(put(labeled, "browser/one", "account"), FRESHET_OK);
    assert_string_equal(list(labeled), "browser/one 1 account;");
    restart(labeled);
    assert_string_equal(list(labeled), labeled->options.key_file ? "browser/one 1 account;" : "");
}

static void who_was_never_signed_in_has_no_label(void **state)
{
    struct labeled *labeled = *state;
    char long_label[FSH_LABEL_MAX + 1];

    memset(long_label, 'x', sizeof(long_label));
    assert_int_equal(put(labeled, "browser/none", "label"), FRESHET_ESIGNEDOUT);
    assert_string_equal(list(labeled), "");
    assert_int_equal(fsh_lib_label_put(labeled->world.freshet, "browser/none", long_label,
                                       sizeof(long_label), NULL, NULL, NULL, NULL),
                     FRESHET_EINVAL);
    assert_int_equal(
        fsh_lib_label_put(labeled->world.freshet, "browser/none", "", 0, NULL, NULL, NULL, NULL),
        FRESHET_EINVAL);
    (void)sign_in(labeled, "browser/one");
    assert_int_equal(fsh_lib_label_put(labeled->world.freshet, "browser/one", long_label,
                                       FSH_LABEL_MAX, NULL, NULL, NULL, NULL),
                     FRESHET_OK);
    assert_int_equal(put(labeled, "browser/one", "short"), FRESHET_OK);
    assert_string_equal(list(labeled), "browser/one 1 short;");
}

static void a_session_that_is_over_goes_for_good(void **state)
{
    struct labeled *labeled = *state;
    struct freshet_session *session = sign_in(labeled, "browser/one");

    assert_int_equal(put(labeled, "browser/one", "label"), FRESHET_OK);
    assert_int_equal(forget(labeled, "browser/one", false), FRESHET_EBUSY);
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, NULL), FRESHET_OK);
    assert_int_equal(freshet_sign_out(session, false, NULL), FRESHET_OK);
    assert_string_equal(list(labeled), "browser/one 3 label;");
    freshet_session_close(session);
    assert_int_equal(forget(labeled, "browser/one", false), FRESHET_OK);
    assert_string_equal(list(labeled), "");
    assert_int_equal(forget(labeled, "browser/one", false), FRESHET_OK);
    assert_int_equal(put(labeled, "browser/one", "label"), FRESHET_ESIGNEDOUT);
}

/* By its name alone, whether or not anybody ever comes with its key. */
static void a_session_is_ended_without_its_key(void **state)
{
    struct labeled *labeled = *state;
    struct freshet_session *session = sign_in(labeled, "browser/one");

    assert_int_equal(put(labeled, "browser/one", "label"), FRESHET_OK);
    freshet_session_close(session);
    (void)sign_in(labeled, "browser/two");
    assert_int_equal(forget(labeled, "browser/one", true), FRESHET_OK);
    assert_string_equal(list(labeled), "browser/two 1 ;");
    session = open_keyed(labeled, "browser/one");
    assert_int_equal(freshet_ensure_fresh(session, NULL, NULL, NULL), FRESHET_ESIGNEDOUT);
    assert_int_equal(devserver_counter(&labeled->world.server, "refresh_attempts"), 0);
}

static void keys_that_sealed_labels_rotate(void **state)
{
    struct labeled *labeled = *state;
    struct freshet_key keys[4];
    struct freshet_error error = {0};
    size_t count = 0;

    (void)sign_in(labeled, "browser/one");
    assert_int_equal(put(labeled, "browser/one", "label"), FRESHET_OK);
    if (freshet_key_rotate(&labeled->options, NULL, NULL, &error) != FRESHET_OK ||
        freshet_key_prune(&labeled->options, NULL, &error) != FRESHET_OK)
        fail_msg("%s", error.message);
    assert_int_equal(freshet_key_list(&labeled->options, keys, 4, &count, NULL), FRESHET_OK);
    assert_int_equal(count, 1);
    assert_int_equal(keys[0].records, 3); /* secrets, label, token */
    restart(labeled);
    assert_string_equal(list(labeled), "browser/one 1 label;");
}

/* ---- ends ---------------------------------------------------------------------------------- */

/* Whoever frees the queue is told first, and what was begun is done. */
static void a_queue_waits_for_what_was_begun(void **state)
{
    struct labeled *labeled = *state;
    struct outcome outcomes[50] = {0};

    (void)sign_in(labeled, "browser/one");
    for (int i = 0; i < 50; i++) {
        char label[8];

        (void)snprintf(label, sizeof(label), "%d", i);
        assert_int_equal(fsh_lib_label_put(labeled->world.freshet, "browser/one", label,
                                           strlen(label), labeled->queue, ended, &outcomes[i],
                                           NULL),
                         FRESHET_OK);
    }
    freshet_queue_free(labeled->queue);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(outcomes[i].times, 1);
        assert_int_equal(outcomes[i].status, FRESHET_OK);
    }
    assert_string_equal(list(labeled), "browser/one 1 49;");
    assert_int_equal(freshet_queue_new(&labeled->queue, NULL), FRESHET_OK);
}

static void a_handle_that_closes_does_what_was_begun(void **state)
{
    struct labeled *labeled = *state;
    struct outcome outcome = {0};

    (void)sign_in(labeled, "browser/one");
    (void)sign_in(labeled, "browser/two");
    assert_int_equal(fsh_lib_session_end(labeled->world.freshet, "browser/one", labeled->queue,
                                         ended, &outcome, NULL),
                     FRESHET_OK);
    assert_int_equal(
        fsh_lib_label_put(labeled->world.freshet, "browser/two", "x", 1, NULL, NULL, NULL, NULL),
        FRESHET_OK);
    restart(labeled);
    assert_int_equal(wait_for(labeled, &outcome), FRESHET_OK);
    assert_string_equal(list(labeled), labeled->options.key_file ? "browser/two 1 x;" : "");
}

static void what_the_store_says_is_told(void **state)
{
    struct labeled *labeled = *state;
    const char *path = labeled->secrets + strlen("sqlite:");
    char away[160];

    (void)sign_in(labeled, "browser/one");
    assert_int_equal(put(labeled, "browser/one", "before"), FRESHET_OK);
    (void)snprintf(away, sizeof(away), "%s.away", path);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(put(labeled, "browser/one", "after"), FRESHET_ESTORE);
    assert_int_equal(forget(labeled, "browser/one", true), FRESHET_ESTORE);
    assert_int_equal(rename(away, path), 0);
    assert_string_equal(list(labeled), "browser/one 1 before;");
}

static char memory[] = "memory:";
static char sqlite[] = "sqlite:";

#define ON_DISK(test)                                                                              \
    {                                                                                              \
        "sqlite: " #test, test, setup, teardown, sqlite                                            \
    }
#define EACH(test)                                                                                 \
    {"memory: " #test, test, setup, teardown, memory},                                             \
    {                                                                                              \
        "sqlite: " #test, test, setup, teardown, sqlite                                            \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(a_label_is_as_durable_as_its_session),     EACH(who_was_never_signed_in_has_no_label),
        EACH(a_session_that_is_over_goes_for_good),     EACH(a_session_is_ended_without_its_key),
        ON_DISK(keys_that_sealed_labels_rotate),        EACH(a_queue_waits_for_what_was_begun),
        EACH(a_handle_that_closes_does_what_was_begun), ON_DISK(what_the_store_says_is_told),
    };

    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    return cmocka_run_group_tests_name("labels", tests, NULL, NULL);
}
