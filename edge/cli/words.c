/* SPDX-License-Identifier: Apache-2.0 */

/* What the library's numbers are called. */

#include "cli.h"

#include <stdio.h>
#include <time.h>

const char *fsh_cli_phase(enum freshet_phase phase)
{
    static const char *const names[] = {
        [FRESHET_PHASE_NONE] = "none",   [FRESHET_PHASE_LIVE] = "live",
        [FRESHET_PHASE_ENDED] = "ended", [FRESHET_PHASE_SIGNED_OUT] = "signed_out",
        [FRESHET_PHASE_HELD] = "held",
    };

    return names[phase];
}

const char *fsh_cli_duration(int64_t ms, char *ret_text, size_t size)
{
    int64_t seconds = ms / 1000;

    if (ms < 0)
        (void)snprintf(ret_text, size, "no time");
    else if (seconds < 60)
        (void)snprintf(ret_text, size, "%d s", (int)seconds);
    else if (seconds < 3600)
        (void)snprintf(ret_text, size, "%d min %d s", (int)(seconds / 60), (int)(seconds % 60));
    else if (seconds < 86400 * 2)
        (void)snprintf(ret_text, size, "%d h %d min", (int)(seconds / 3600),
                       (int)(seconds / 60 % 60));
    else
        (void)snprintf(ret_text, size, "%lld days", (long long)(seconds / 86400));
    return ret_text;
}

const char *fsh_cli_time(int64_t at_ms, char *ret_text, size_t size)
{
    time_t at = at_ms / 1000;
    struct tm local;

    if (!localtime_r(&at, &local) || strftime(ret_text, size, "%Y-%m-%d %H:%M:%S", &local) == 0)
        (void)snprintf(ret_text, size, "%lld", (long long)at);
    return ret_text;
}
