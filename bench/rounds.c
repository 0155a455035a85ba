/* SPDX-License-Identifier: Apache-2.0 */
#include "rounds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double bench_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void bench_sleep_ms(long ms)
{
    struct timespec pause = {ms / 1000, (ms % 1000) * 1000000};

    (void)nanosleep(&pause, NULL);
}

void bench_die(const char *why, const char *detail)
{
    (void)fprintf(stderr, "%s%s%s\n", why, detail ? ": " : "", detail ? detail : "");
    exit(1);
}

static const struct bench_round *find(const struct bench_round *rounds, size_t count,
                                      const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rounds[i].name, name) == 0)
            return &rounds[i];
    }
    bench_die("no such round", name);
}

int bench_rounds(const struct bench_round *rounds, size_t count)
{
    char line[64];

    while (fgets(line, sizeof(line), stdin)) {
        char *number = strchr(line, ' ');

        if (!number)
            bench_die("not NAME NUMBER", line);
        *number++ = '\0';
        printf("%.2f\n", find(rounds, count, line)->run(atoi(number)));
        (void)fflush(stdout);
    }
    return 0;
}
