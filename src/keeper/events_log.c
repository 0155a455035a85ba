/* SPDX-License-Identifier: Apache-2.0 */

/* The log's lines of what happens to sessions. */

#include "keeper/events.h"
#include "keeper/log.h"

#include <freshet/status.h>
#include <string.h>

/* What an operator wants to see; all else is for debugging. */
static const struct {
    const char *name;
    enum fsh_log_level level;
} levels[] = {
    {"signed_in", FSH_LOG_INFO},        {"signed_out", FSH_LOG_INFO},
    {"failed", FSH_LOG_WARNING},        {"store_failed", FSH_LOG_ERROR},
    {"challenged", FSH_LOG_INFO},       {"parked", FSH_LOG_WARNING},
    {"401_counts", FSH_LOG_INFO},       {"probe_dead", FSH_LOG_WARNING},
    {"probe_failed", FSH_LOG_WARNING},  {"ended", FSH_LOG_WARNING},
    {"lost_rotation", FSH_LOG_WARNING},
};

static enum fsh_log_level level_of(const char *name)
{
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(levels[i].name, name) == 0)
            return levels[i].level;
    }
    return FSH_LOG_DEBUG;
}

void fsh_events_log(const struct freshet_event *event)
{
    const struct freshet_ledger_entry *entry = &event->entry;
    enum fsh_log_level level = level_of(entry->name);

    if (!fsh_log_wants(level))
        return;
    fsh_log(level, entry->name, "session", event->session, "status",
            entry->status == FRESHET_OK ? NULL : freshet_status_name(entry->status),
            FSH_LOG_NUMBER("value", entry->value), "what", entry->what, NULL);
}
