/* SPDX-License-Identifier: Apache-2.0 */

/* What stands with a browser's session in the store: whose it is, and since when. Sealed with the
 * host's key alone, so that sessions time out, are listed and are ended without their cookies. */

#include "keeper/browser.h"

#include "base/error.h"
#include "engine/clock.h"
#include "lib/labels.h"
#include "store/bytes.h"

#include <stdlib.h>
#include <string.h>

#define VERSION 1

#define ACCOUNT_MAX FSH_BROWSER_ACCOUNT_MAX
#define PARTNER_MAX FSH_PARTNER_ID_MAX

#define FIXED (1 + 8 + 8 + 16 + 3 * FSH_TEXT_BYTES(0))

_Static_assert(FIXED + ACCOUNT_MAX + PARTNER_MAX + FSH_CLIENT_AGENT <= FSH_LABEL_MAX,
               "every label fits");

static int64_t to_wall(int32_t at_s, int64_t wall_ms, int32_t now_s)
{
    return wall_ms - ((int64_t)now_s - at_s) * 1000;
}

/* What lies ahead was written by a clock that was ahead: it counts as now. What is older than a
 * timeout can be is as good as that. */
static int32_t from_wall(int64_t at_ms, int64_t wall_ms, int32_t now_s)
{
    int64_t ago_s;

    if (at_ms >= wall_ms || at_ms < 0)
        return at_ms < 0 ? now_s - INT32_MAX / 2 : now_s;
    ago_s = (wall_ms - at_ms) / 1000;
    return now_s - (int32_t)(ago_s < INT32_MAX / 2 ? ago_s : INT32_MAX / 2);
}

size_t fsh_browser_label_write(const struct fsh_browser_about *about, int64_t wall_ms,
                               int32_t now_s, unsigned char *ret_label)
{
    struct fsh_writer writer = {ret_label};
    const char *partner = about->partner ? about->partner : "";

    fsh_write_u8(&writer, VERSION);
    fsh_write_u64(&writer, (uint64_t)to_wall(about->created_s, wall_ms, now_s));
    fsh_write_u64(&writer, (uint64_t)to_wall(about->seen_s, wall_ms, now_s));
    fsh_write(&writer, &about->address, sizeof(about->address));
    fsh_write_text(&writer, about->account, strnlen(about->account, ACCOUNT_MAX));
    fsh_write_text(&writer, partner, strnlen(partner, PARTNER_MAX));
    fsh_write_text(&writer, about->agent, strnlen(about->agent, FSH_CLIENT_AGENT - 1));
    return (size_t)(writer.at - ret_label);
}

/* A text within a label; *at is where the next one may be put. */
static const char *text(struct fsh_reader *reader, size_t most, char **at)
{
    size_t len = 0;
    const char *bytes = fsh_read_text(reader, most, &len);
    char *start = *at;

    if (reader->bad || memchr(bytes, '\0', len)) {
        reader->bad = true;
        return NULL;
    }
    memcpy(start, bytes, len);
    start[len] = '\0';
    *at = start + len + 1;
    return start;
}

bool fsh_browser_label_read(const unsigned char *label, size_t len, int64_t wall_ms, int32_t now_s,
                            char ret_texts[FSH_LABEL_MAX + 3], struct fsh_browser_about *ret_about)
{
    struct fsh_reader reader = {.at = label, .left = len};
    struct fsh_browser_about about = {0};
    char *at = ret_texts;

    if (len > FSH_LABEL_MAX || fsh_read_u8(&reader) != VERSION)
        return false;
    about.created_s = from_wall((int64_t)fsh_read_u64(&reader), wall_ms, now_s);
    about.seen_s = from_wall((int64_t)fsh_read_u64(&reader), wall_ms, now_s);
    for (size_t i = 0; i < sizeof(about.address); i++)
        about.address.s6_addr[i] = (uint8_t)fsh_read_u8(&reader);
    about.account = text(&reader, ACCOUNT_MAX, &at);
    about.partner = text(&reader, PARTNER_MAX, &at);
    about.agent = text(&reader, FSH_CLIENT_AGENT - 1, &at);
    if (!fsh_read_whole(&reader) || about.account[0] == '\0')
        return false;
    if (about.partner[0] == '\0')
        about.partner = NULL;
    *ret_about = about;
    return true;
}

int fsh_browser_save(struct fsh_browsers *browsers, struct fsh_browser *browser,
                     freshet_done_fn *done, void *data, struct freshet_error *error)
{
    const struct fsh_browser_about about = {
        .account = browser->account->text,
        .agent = browser->agent->text,
        .partner = browser->partner,
        .address = browser->address,
        .created_s = browser->created_s,
        .seen_s = browser->seen_s,
    };
    unsigned char label[FSH_LABEL_MAX];
    char name[FSH_BROWSER_NAME];
    size_t len = fsh_browser_label_write(&about, fsh_clock_wall().ms, fsh_browsers_now(), label);
    int status;

    fsh_browser_name(browser->hash, name);
    status = fsh_lib_label_put(browsers->keeper->freshet, name, label, len,
                               done ? browsers->keeper->queue : NULL, done, data, error);
    /* A write that fails is tried again in a minute, by the next use. */
    if (status == FRESHET_OK)
        browser->saved_s = browser->seen_s;
    return status;
}

/* ---- at the start ------------------------------------------------------------------------ */

struct loading {
    struct fsh_browsers *browsers;
    struct fsh_browser **list;
    size_t count;
    size_t room;
    char (*remains)[FSH_BROWSER_NAME]; /* rows that belong to nothing */
    size_t remain_count;
    size_t remain_room;
};

static int make_room(void **list, size_t size, size_t count, size_t *room)
{
    size_t more = *room ? 2 * *room : 64;
    void *grown;

    if (count < *room)
        return FRESHET_OK;
    grown = reallocarray(*list, more, size);
    if (!grown)
        return FRESHET_ENOMEM;
    *list = grown;
    *room = more;
    return FRESHET_OK;
}

/* A sign-in that was not granted when the keeper ended, or a session that was over. */
static int remain(struct loading *loading, const char *name)
{
    if (strlen(name) >= FSH_BROWSER_NAME)
        return FRESHET_OK;
    if (make_room((void **)&loading->remains, FSH_BROWSER_NAME, loading->remain_count,
                  &loading->remain_room) != FRESHET_OK)
        return FRESHET_ENOMEM;
    memcpy(loading->remains[loading->remain_count++], name, strlen(name) + 1);
    return FRESHET_OK;
}

static int load_one(void *data, const struct fsh_labeled *session)
{
    struct loading *loading = data;
    unsigned char hash[FSH_COOKIE_HASH];
    char texts[FSH_LABEL_MAX + 3];
    struct fsh_browser_about about;

    /* A label that does not open now, for want of its key, may do so again. */
    if (session->unopened ||
        !fsh_cookie_unshort(session->name + sizeof(FSH_BROWSER_PREFIX) - 1, hash))
        return FRESHET_OK;
    if (!session->label || session->phase != FRESHET_PHASE_LIVE)
        return remain(loading, session->name);
    if (!fsh_browser_label_read(session->label, session->len, fsh_clock_wall().ms,
                                fsh_browsers_now(), texts, &about))
        return FRESHET_OK; /* of a later version */
    if (make_room((void **)&loading->list, sizeof(struct fsh_browser *), loading->count,
                  &loading->room) != FRESHET_OK)
        return FRESHET_ENOMEM;
    if (fsh_browsers_add(loading->browsers, hash, &about, &loading->list[loading->count]) !=
        FRESHET_OK)
        return FRESHET_ENOMEM;
    loading->count++;
    return FRESHET_OK;
}

static int by_use(const void *a, const void *b)
{
    int32_t first = (*(struct fsh_browser *const *)a)->seen_s;
    int32_t second = (*(struct fsh_browser *const *)b)->seen_s;

    return (first > second) - (first < second);
}

/* The store's order is that of the names. */
static void sort(struct fsh_browsers *browsers, struct loading *loading)
{
    if (loading->count > 0)
        qsort(loading->list, loading->count, sizeof(struct fsh_browser *), by_use);
    TAILQ_INIT(&browsers->used);
    for (size_t i = 0; i < loading->count; i++) {
        fsh_browser_to_front(loading->list[i]);
        TAILQ_INSERT_TAIL(&browsers->used, loading->list[i], in_used);
    }
}

int fsh_browsers_load(struct fsh_browsers *browsers, struct freshet_error *error)
{
    struct loading loading = {.browsers = browsers};
    int status =
        fsh_lib_labels(browsers->keeper->freshet, FSH_BROWSER_PREFIX, load_one, &loading, error);

    if (status == FRESHET_ENOMEM)
        (void)fsh_base_fail(error, status, NULL);
    sort(browsers, &loading);
    for (size_t i = 0; status == FRESHET_OK && i < loading.remain_count; i++)
        fsh_browser_end_name(browsers, loading.remains[i]);
    free(loading.list);
    free(loading.remains);
    return status;
}
