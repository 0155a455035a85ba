/* SPDX-License-Identifier: Apache-2.0 */

/* `make run`: a session that calls the stand-in platform, and a live view of it until Ctrl-C. */

#include "devclient.h"

#include <freshet/curl.h>
#include <freshet/freshet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CALLERS 8

struct live {
    struct devclient dev;
    struct freshet *freshet;
    struct freshet_session *session;
    atomic_bool stop;
    atomic_long answered;
    atomic_long unauthorized;
    atomic_long refused;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void pause_ms(long ms)
{
    struct timespec pause = {ms / 1000, (ms % 1000) * 1000000};

    (void)nanosleep(&pause, NULL);
}

static size_t discard(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes;
    (void)data;
    return size * count;
}

static void call_once(struct live *live, CURL *easy)
{
    long http_status = 0;

    if (freshet_curl_perform(live->session, easy, NULL, NULL, NULL) != FRESHET_OK) {
        atomic_fetch_add(&live->refused, 1);
        return;
    }
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &http_status);
    if (http_status == 200)
        atomic_fetch_add(&live->answered, 1);
    else if (http_status == 401)
        atomic_fetch_add(&live->unauthorized, 1);
}

static void *caller(void *data)
{
    struct live *live = data;
    CURL *easy = curl_easy_init();
    char url[256];

    (void)snprintf(url, sizeof(url), "%s/api/orders", live->dev.url);
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
    while (!atomic_load(&live->stop)) {
        call_once(live, easy);
        pause_ms(100);
    }
    curl_easy_cleanup(easy);
    return NULL;
}

static void bar(const struct freshet_session_status *status, char *ret_text, size_t width)
{
    int64_t life = status->age_ms + status->freshness.expires_ms;
    size_t left = 0;

    if (status->usable && life > 0)
        left = (size_t)(status->freshness.expires_ms * (int64_t)width / life);
    for (size_t i = 0; i < width; i++)
        ret_text[i] = i < left ? '#' : '.';
    ret_text[width] = '\0';
}

static void show(struct live *live, bool terminal)
{
    struct freshet_session_status status;
    char life[31];

    if (freshet_session_status(live->session, &status, NULL) != FRESHET_OK)
        return;
    bar(&status, life, sizeof(life) - 1);
    printf("%stoken %-4llu [%s] %4.1f s old, %4.1f s left | refreshes %llu, sign-ins %llu, callers "
           "coalesced "
           "%llu | API 200: %ld, 401: %ld, not sent: %ld%s%s%s",
           terminal ? "\r\033[K" : "", (unsigned long long)status.freshness.generation, life,
           status.age_ms < 0 ? 0.0 : (double)status.age_ms / 1000.0,
           status.age_ms < 0 ? 0.0 : (double)status.freshness.expires_ms / 1000.0,
           (unsigned long long)status.refreshes, (unsigned long long)status.sign_ins,
           (unsigned long long)status.waited, atomic_load(&live->answered),
           atomic_load(&live->unauthorized), atomic_load(&live->refused),
           status.status == FRESHET_OK ? "" : " | ",
           status.status == FRESHET_OK ? "" : freshet_status_name(status.status),
           terminal ? "" : "\n");
    (void)fflush(stdout);
}

static void show_events(struct live *live, bool terminal)
{
    struct freshet_event event;

    while (freshet_event_next(live->freshet, &event, NULL) == 1) {
        time_t at = (time_t)(event.entry.at_ms / 1000);
        char clock[16];
        struct tm local;

        (void)strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&at, &local));
        printf("%s%s  %s: %s%s%s\n", terminal ? "\r\033[K" : "", clock, event.session,
               event.entry.what, event.entry.status ? ", " : "",
               event.entry.status ? freshet_status_name(event.entry.status) : "");
    }
}

static int open_session(struct live *live, const char *password_file)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    struct freshet_session_options service = FRESHET_SESSION_OPTIONS_INIT;
    struct freshet_error error;
    int status;

    options.url = live->dev.url;
    service.kind = FRESHET_SERVICE;
    service.username = "svc-demo";
    service.password_file = password_file;
    status = freshet_open(&options, &live->freshet, &error);
    if (status == FRESHET_OK)
        status = freshet_session_open(live->freshet, "billing", &service, &live->session, &error);
    if (status != FRESHET_OK)
        (void)fprintf(stderr, "freshet-live: %s\n", error.message);
    return status;
}

static void run(struct live *live)
{
    bool terminal = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
    pthread_t callers[CALLERS];
    int started = 0;

    while (started < CALLERS && pthread_create(&callers[started], NULL, caller, live) == 0)
        started++;
    for (int tick = 0; !interrupted; tick++) {
        show_events(live, terminal);
        /* Where nothing can be written over, every fifth second will do. */
        if (terminal || tick % 20 == 0)
            show(live, terminal);
        pause_ms(250);
    }
    atomic_store(&live->stop, true);
    for (int i = 0; i < started; i++)
        (void)pthread_join(callers[i], NULL);
    printf("\n");
}

int main(int argc, char **argv)
{
    struct live live = {0};
    struct sigaction action = {.sa_handler = on_signal};

    if (argc != 3) {
        (void)fprintf(stderr, "usage: freshet-live URL-OF-A-DEVSERVER PASSWORD-FILE\n");
        return 64;
    }
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)snprintf(live.dev.url, sizeof(live.dev.url), "%s", argv[1]);
    if (open_session(&live, argv[2]) == FRESHET_OK)
        run(&live);
    freshet_close(live.freshet);
    return live.session ? 0 : 1;
}
