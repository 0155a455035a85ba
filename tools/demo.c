/* SPDX-License-Identifier: Apache-2.0 */

/* The main job, shown on the terminal and checked against what the devserver counted. */

#include "demo.h"

#include <freshet/curl.h>
#include <freshet/freshet.h>
#include <freshet/multi.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS      20
#define TRANSFERS    20
#define NEW_PASSWORD "another-Demo-Password-1"

int64_t demo_now_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void demo_sleep_ms(int64_t ms)
{
    struct timespec pause = {ms / 1000, (ms % 1000) * 1000000};

    if (ms > 0)
        (void)nanosleep(&pause, NULL);
}

/* ---- saying what was expected and what was ------------------------------------------------ */

void demo_act(const char *title)
{
    printf("\n%s\n", title);
    (void)fflush(stdout);
}

void demo_check(struct demo *demo, bool good, const char *format, ...)
{
    va_list args;

    printf("  %s  ", good ? "ok    " : "FAILED");
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    printf("\n");
    (void)fflush(stdout);
    demo->failed += !good;
}

long demo_counter(struct demo *demo, const char *name)
{
    return devclient_counter(&demo->dev, name);
}

static void check_status(struct demo *demo, const char *what, int expected, int got,
                         const struct freshet_error *error)
{
    demo_check(demo, expected == got, "%s: expected %s, got %s%s%s", what,
               freshet_status_name(expected), freshet_status_name(got), expected == got ? "" : ": ",
               expected == got ? "" : error->message);
}

void demo_control(struct demo *demo, const char *method, const char *path, const char *body)
{
    long status = devclient_send(&demo->dev, method, path, body, NULL, 0);

    if (status < 200 || status > 299)
        demo_check(demo, false, "the devserver refuses %s %s: %ld", method, path, status);
}

/* ---- calling the API ----------------------------------------------------------------------- */

static size_t discard(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes;
    (void)data;
    return size * count;
}

static CURL *easy_new(struct demo *demo)
{
    CURL *easy = curl_easy_init();
    char url[256];

    (void)snprintf(url, sizeof(url), "%s/api/orders", demo->dev.url);
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    return easy;
}

/* Frees the handle of a transfer that ended with `status`. Its HTTP status, or a negative status of
 * Freshet. */
static long easy_end(CURL *easy, int status)
{
    long http_status = 0;

    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http_status);
    curl_easy_cleanup(easy);
    return status == FRESHET_OK ? http_status : status;
}

/* One call of the API through the interceptor. */
static long call_api(struct demo *demo, struct freshet_session *session,
                     struct freshet_error *error)
{
    CURL *easy = easy_new(demo);

    return easy_end(easy, freshet_curl_perform(session, easy, NULL, NULL, error));
}

struct herd {
    struct demo *demo;
    pthread_barrier_t start;
    atomic_long answered;
};

static void *herd_thread(void *data)
{
    struct herd *herd = data;
    struct freshet_error error;

    (void)pthread_barrier_wait(&herd->start);
    if (call_api(herd->demo, herd->demo->person, &error) == 200)
        atomic_fetch_add(&herd->answered, 1);
    return NULL;
}

static long run_herd(struct demo *demo)
{
    struct herd herd = {.demo = demo};
    pthread_t threads[THREADS];

    (void)pthread_barrier_init(&herd.start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, herd_thread, &herd) != 0)
            abort();
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_barrier_destroy(&herd.start);
    return atomic_load(&herd.answered);
}

/* A program's loop: 20 transfers whose token has run out, and after them one whose token is good.
 * Returns how many the platform answered, and how many of the 20 before the other one. */
static long run_loop(struct demo *demo, long *ret_before_other)
{
    CURLM *curl = curl_multi_init();
    struct freshet_multi *multi = NULL;
    struct freshet_multi_message message;
    CURL *other = easy_new(demo);
    int64_t until = demo_now_ms() + 10000;
    long answered = 0;
    int running;

    *ret_before_other = -1;
    if (freshet_multi_new(curl, &multi, NULL) != FRESHET_OK)
        abort();
    for (int i = 0; i < TRANSFERS; i++)
        (void)freshet_multi_add(multi, demo->person, easy_new(demo), NULL, NULL);
    (void)freshet_multi_add(multi, demo->service, other, NULL, NULL);
    while (freshet_multi_count(multi) > 0 && demo_now_ms() < until) {
        struct curl_waitfd extra = {.fd = freshet_multi_fd(multi), .events = CURL_WAIT_POLLIN};

        (void)curl_multi_poll(curl, &extra, 1, 1000, NULL);
        (void)curl_multi_perform(curl, &running);
        while (freshet_multi_info_read(multi, &message) == 1) {
            if (message.easy == other)
                *ret_before_other = answered;
            answered += easy_end(message.easy, message.status) == 200;
        }
    }
    freshet_multi_free(multi);
    (void)curl_multi_cleanup(curl);
    return answered;
}

/* Waits until no usable token is left. */
static void until_unusable(struct freshet_session *session)
{
    struct freshet_session_status status;

    while (freshet_session_status(session, &status, NULL) == FRESHET_OK && status.usable)
        demo_sleep_ms(status.freshness.usable_ms + 1);
}

/* ---- the acts ------------------------------------------------------------------------------ */

static void open_all(struct demo *demo)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet_session_options service = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_session_options person = FRESHET_SESSION_OPTIONS_INIT;
    char *password_file = strcpy(demo->password_file, "/tmp/freshet-demo-XXXXXX");
    int fd = mkstemp(password_file);
    struct freshet_error error = {0};
    int status;

    demo_act("1. A service and a person sign in");
    if (fd < 0 || write(fd, PASSWORD "\n", sizeof(PASSWORD)) != sizeof(PASSWORD) || close(fd) != 0)
        abort();
    options.url = demo->dev.url;
    status = freshet_open(&options, &demo->freshet, &error);
    check_status(demo, "freshet_open", FRESHET_OK, status, &error);
    service.kind = FRESHET_SERVICE;
    service.username = "svc-demo";
    service.password_file = password_file;
    status = freshet_session_open(demo->freshet, "billing", &service, &demo->service, &error);
    check_status(demo, "session billing", FRESHET_OK, status, &error);
    person.on_demand = true;
    status = freshet_session_open(demo->freshet, "ann", &person, &demo->person, &error);
    check_status(demo, "session ann", FRESHET_OK, status, &error);

    status = freshet_ensure_fresh(demo->service, NULL, NULL, &error);
    check_status(demo, "the service signed in by itself", FRESHET_OK, status, &error);
    status = freshet_ensure_fresh(demo->person, NULL, NULL, &error);
    check_status(demo, "nobody signs a person in", FRESHET_ESIGNEDOUT, status, &error);
    status = freshet_sign_in(demo->person, "load-1", "wrong-password", 0, &error);
    check_status(demo, "with a wrong password", FRESHET_ECREDENTIALS, status, &error);
    status = freshet_sign_in(demo->person, "load-1", PASSWORD, 0, &error);
    check_status(demo, "with the right one", FRESHET_OK, status, &error);
    demo_check(demo, demo_counter(demo, "sign_ins") == 2,
               "expected 2 sign-ins, the devserver counted %ld", demo_counter(demo, "sign_ins"));
}

static void herd_at_expiry(struct demo *demo)
{
    long before = devclient_refreshes_of(&demo->dev, "load-1");
    long answered;

    demo_act("2. 20 threads call the API when the token has run out");
    until_unusable(demo->person);
    answered = run_herd(demo);
    demo_check(demo, answered == THREADS, "expected %d answers, got %ld", THREADS, answered);
    demo_check(demo, demo_counter(demo, "api_requests") >= THREADS,
               "the devserver counted %ld API requests", demo_counter(demo, "api_requests"));
    demo_check(demo, devclient_refreshes_of(&demo->dev, "load-1") == before + 1,
               "expected one refresh, the devserver counted %ld",
               devclient_refreshes_of(&demo->dev, "load-1") - before);
    demo_check(demo,
               demo_counter(demo, "api_lacking_authorization") == 0 &&
                   demo_counter(demo, "api_lacking_partner") == 0,
               "expected both headers on every request; without: %ld and %ld",
               demo_counter(demo, "api_lacking_authorization"),
               demo_counter(demo, "api_lacking_partner"));
    demo_check(demo, demo_counter(demo, "api_expired_token") == 0,
               "expected no expired token at the API; counted %ld",
               demo_counter(demo, "api_expired_token"));
}

static void transfers_at_expiry(struct demo *demo)
{
    long before = devclient_refreshes_of(&demo->dev, "load-1");
    long before_other;
    long answered;

    demo_act("3. 20 curl-multi transfers when the token has run out: one refresh");
    until_unusable(demo->person);
    demo_control(demo, "POST", "/_dev/faults",
                 "{\"match\": \"/auth/refresh_token\", \"username\": \"load-1\", \"count\": -1,"
                 " \"kind\": \"latency\", \"ms\": 500}");
    answered = run_loop(demo, &before_other);
    demo_control(demo, "DELETE", "/_dev/faults", NULL);
    demo_check(demo, answered == TRANSFERS + 1, "expected %d answers in one loop, got %ld",
               TRANSFERS + 1, answered);
    demo_check(demo, devclient_refreshes_of(&demo->dev, "load-1") == before + 1,
               "expected one refresh, the devserver counted %ld",
               devclient_refreshes_of(&demo->dev, "load-1") - before);
    demo_check(
        demo, before_other == 0,
        "none blocks the loop: a transfer with a good token, added last, ended before %ld of %d",
        before_other < 0 ? 0 : TRANSFERS - before_other, TRANSFERS);
}

static void background(struct demo *demo)
{
    struct freshet_session_status before;
    struct freshet_session_status after;
    struct freshet_error error;
    int64_t slowest = 0;
    int64_t until = demo_now_ms() + 6000;
    int status = FRESHET_OK;

    demo_act("4. Six seconds of a service whose token lives four: refreshed before anyone notices");
    (void)freshet_session_status(demo->service, &before, NULL);
    while (demo_now_ms() < until && status == FRESHET_OK) {
        int64_t began = demo_now_ms();

        status = freshet_ensure_fresh(demo->service, NULL, NULL, &error);
        slowest = demo_now_ms() - began > slowest ? demo_now_ms() - began : slowest;
        demo_sleep_ms(1);
    }
    (void)freshet_session_status(demo->service, &after, NULL);
    check_status(demo, "every call", FRESHET_OK, status, &error);
    demo_check(demo, after.refreshes - before.refreshes >= 1, "expected a refresh or two, had %llu",
               (unsigned long long)(after.refreshes - before.refreshes));
    demo_check(demo, after.waited == before.waited,
               "expected no caller to wait, had %llu; the slowest call took %lld ms",
               (unsigned long long)(after.waited - before.waited), (long long)slowest);
}

static void challenges(struct demo *demo)
{
    struct freshet_session *mfa = NULL;
    struct freshet_session *newcomer = NULL;
    struct freshet_error error;
    char code[16] = "";
    int status;

    demo_act("5. MFA and a new password");
    status = freshet_session_open(demo->freshet, "mfa", NULL, &mfa, &error);
    check_status(demo, "session mfa", FRESHET_OK, status, &error);
    status = freshet_sign_in(mfa, "mfa", PASSWORD, 0, &error);
    check_status(demo, "sign-in", FRESHET_EMFA, status, &error);
    status = freshet_answer_mfa(mfa, "000000", false, 0, &error);
    check_status(demo, "a wrong code", FRESHET_EMFACODE, status, &error);
    (void)devclient_totp(&demo->dev, "mfa", code);
    status = freshet_answer_mfa(mfa, code, true, 0, &error);
    check_status(demo, "the right code, and remember this device", FRESHET_OK, status, &error);
    demo_check(demo, call_api(demo, mfa, &error) == 200, "the API answers");
    status = freshet_sign_in(mfa, "mfa", PASSWORD, 0, &error);
    check_status(demo, "sign-in again, on the remembered device", FRESHET_OK, status, &error);

    status = freshet_session_open(demo->freshet, "newcomer", NULL, &newcomer, &error);
    check_status(demo, "session newcomer", FRESHET_OK, status, &error);
    status = freshet_sign_in(newcomer, "newpass", PASSWORD, 0, &error);
    check_status(demo, "sign-in with a first password", FRESHET_ENEWPASSWORD, status, &error);
    status = freshet_answer_new_password(newcomer, NEW_PASSWORD, 0, &error);
    check_status(demo, "the new password", FRESHET_OK, status, &error);
    demo_check(demo, call_api(demo, newcomer, &error) == 200, "the API answers");
    freshet_session_close(mfa);
    freshet_session_close(newcomer);
}

static void outage(struct demo *demo)
{
    struct freshet_session_status status;
    struct freshet_freshness freshness;
    struct freshet_error error;
    int64_t began;
    int got;

    demo_act("6. The platform's sign-in is down (503); the token in hand carries on");
    demo_control(demo, "PUT", "/_dev/lifetime", "{\"seconds\": 12}");
    (void)freshet_sign_in(demo->person, "load-1", PASSWORD, 0, &error);
    demo_control(demo, "POST", "/_dev/faults",
                 "{\"match\": \"/auth/refresh_token\", \"count\": -1, \"kind\": \"status\","
                 " \"status\": 503}");
    demo_sleep_ms(9200); /* past the threshold of a quarter, before the end of its use */
    began = demo_now_ms();
    got = freshet_ensure_fresh(demo->person, NULL, &freshness, &error);
    check_status(demo, "below the threshold, a call", FRESHET_OK, got, &error);
    demo_check(demo, demo_now_ms() - began < 100, "expected no wait, took %lld ms",
               (long long)(demo_now_ms() - began));
    demo_check(demo, call_api(demo, demo->person, &error) == 200, "the API answers");
    demo_sleep_ms(300);
    (void)freshet_session_status(demo->person, &status, NULL);
    demo_check(demo, status.failures >= 1 && status.phase == FRESHET_PHASE_LIVE,
               "refreshes failed meanwhile (%llu), and nothing was thrown away",
               (unsigned long long)status.failures);
    /* While it is down: else a retry may land, and this would await the end of its token. */
    until_unusable(demo->person);
    demo_control(demo, "DELETE", "/_dev/faults", NULL);
    demo_control(demo, "PUT", "/_dev/lifetime", "{\"seconds\": 60}");
    got = freshet_ensure_fresh(demo->person, NULL, NULL, &error);
    check_status(demo, "when it is up again", FRESHET_OK, got, &error);
}

static void unauthorized(struct demo *demo)
{
    struct freshet_error error;
    long before = demo_counter(demo, "api_401");
    int64_t wait;
    int status;

    demo_act("7. The platform revokes the tokens: one 401, passed on once, and signed in anew");
    demo_control(demo, "POST", "/_dev/revoke", "{\"username\": \"svc-demo\", \"what\": \"all\"}");
    demo_control(demo, "POST", "/_dev/revoke", "{\"username\": \"load-1\", \"what\": \"all\"}");
    demo_check(demo, call_api(demo, demo->person, &error) == 401,
               "ann: the 401 goes to the caller");
    status = freshet_ensure_fresh(demo->person, NULL, NULL, &error);
    check_status(demo, "ann: the session has ended", FRESHET_EENDED, status, &error);
    demo_check(demo, demo_counter(demo, "api_401") == before + 1,
               "expected one request answered 401, the devserver counted %ld",
               demo_counter(demo, "api_401") - before);
    status = freshet_sign_in(demo->person, "load-1", PASSWORD, 0, &error);
    check_status(demo, "ann: signs in again", FRESHET_OK, status, &error);

    wait = demo->began_ms + 31000 - demo_now_ms();
    if (wait > 0) {
        printf("  ...     (a service signs in by itself at most once in 30 s: %lld s to go)\n",
               (long long)(wait / 1000));
        (void)fflush(stdout);
        demo_sleep_ms(wait);
    }
    before = demo_counter(demo, "probes");
    if (call_api(demo, demo->service, &error) == 401) {
        demo_check(demo, true, "billing: the 401 goes to the caller");
        demo_sleep_ms(500);
        demo_check(demo, demo_counter(demo, "probes") == before + 1,
                   "billing: expected one probe to confirm it, the devserver counted %ld",
                   demo_counter(demo, "probes") - before);
    }
    status = freshet_ensure_fresh(demo->service, NULL, NULL, &error);
    check_status(demo, "billing: signed in anew by itself", FRESHET_OK, status, &error);
    demo_check(demo, call_api(demo, demo->service, &error) == 200, "billing: the API answers");
}

static void sign_out(struct demo *demo)
{
    struct freshet_error error;
    int status;

    demo_act("8. Sign-out");
    status = freshet_sign_out(demo->person, false, &error);
    check_status(demo, "ann", FRESHET_OK, status, &error);
    status = freshet_ensure_fresh(demo->person, NULL, NULL, &error);
    check_status(demo, "a call afterwards", FRESHET_ESIGNEDOUT, status, &error);
    demo_check(demo, call_api(demo, demo->person, &error) == FRESHET_ESIGNEDOUT,
               "nothing is sent without a session");
}

static void sums(struct demo *demo)
{
    demo_act("What the devserver counted in all");
    demo_check(demo,
               demo_counter(demo, "api_lacking_authorization") == 0 &&
                   demo_counter(demo, "api_lacking_partner") == 0,
               "requests lacking a header: %ld, expected 0",
               demo_counter(demo, "api_lacking_authorization") +
                   demo_counter(demo, "api_lacking_partner"));
    demo_check(demo, demo_counter(demo, "api_expired_token") == 0,
               "expired tokens seen: %ld, expected 0", demo_counter(demo, "api_expired_token"));
    demo_check(demo, demo_counter(demo, "refresh_in_flight_max_per_account") == 1,
               "refreshes of one account in the air at once: %ld, expected 1",
               demo_counter(demo, "refresh_in_flight_max_per_account"));
    printf("  sign-ins %ld, refreshes %ld, API requests %ld\n", demo_counter(demo, "sign_ins"),
           demo_counter(demo, "refreshes"), demo_counter(demo, "api_requests"));
}

int main(int argc, char **argv)
{
    struct demo demo = {.began_ms = demo_now_ms()};

    if (argc == 5 && strcmp(argv[1], "call") == 0)
        return demo_keeper_call(argv[2], argv[3], argv[4]);
    if (argc != 4) {
        (void)fprintf(stderr, "usage: freshet-demo URL-OF-A-DEVSERVER FRESHETD FOLDER\n");
        return 64;
    }
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)snprintf(demo.dev.url, sizeof(demo.dev.url), "%s", argv[1]);
    demo_control(&demo, "POST", "/_dev/counters/reset", NULL);
    demo_control(&demo, "PUT", "/_dev/lifetime", "{\"seconds\": 4}");
    if (demo.failed == 0)
        open_all(&demo);
    if (demo.failed == 0) {
        herd_at_expiry(&demo);
        transfers_at_expiry(&demo);
        background(&demo);
        challenges(&demo);
        outage(&demo);
        unauthorized(&demo);
        sign_out(&demo);
        demo_keeper(&demo, argv[2], argv[3]);
        sums(&demo);
    }
    freshet_close(demo.freshet);
    (void)unlink(demo.password_file);
    printf("\n%s, in %lld s\n", demo.failed ? "FAILED" : "All as expected",
           (long long)(demo_now_ms() - demo.began_ms) / 1000);
    return demo.failed ? 1 : 0;
}
