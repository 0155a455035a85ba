/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "lib/internal.h"
#include "lib/keeper.h"
#include "store/keyring.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- the page that knows of forks -------------------------------------------------------- */

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static int alive_new(const unsigned **ret_alive, struct freshet_error *error)
{
    unsigned *page =
        mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    if (madvise(page, page_size(), MADV_WIPEONFORK) != 0) {
        (void)munmap(page, page_size());
        return fsh_base_fail(error, FRESHET_ELIMIT,
                             "the kernel cannot tell of forks (MADV_WIPEONFORK, Linux 4.14)");
    }
    *page = FSH_ALIVE;
    *ret_alive = page;
    return FRESHET_OK;
}

static void alive_free(const unsigned *alive)
{
    union {
        const unsigned *read;
        void *unmap;
    } page = {.read = alive};

    if (alive)
        (void)munmap(page.unmap, page_size());
}

/* ---- options ----------------------------------------------------------------------------- */

int fsh_lib_options(const struct freshet_options *given, struct freshet_options *ret_options,
                    struct freshet_error *error)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;

    if (!given || given->size == 0 || given->size > sizeof(options))
        return fsh_base_fail(error, FRESHET_EINVAL,
                             "struct freshet_options: initialise it with FRESHET_OPTIONS_INIT");
    memcpy(&options, given, given->size);
    if (!options.profile)
        options.profile = "partner";
    if (!options.secrets)
        options.secrets = "memory:";
    if (!options.tokens)
        options.tokens = "memory:";
    *ret_options = options;
    return FRESHET_OK;
}

/* Those of a platform that is to be opened. */
static int read_options(const struct freshet_options *given, struct freshet_options *ret_options,
                        struct freshet_error *error)
{
    struct freshet_options options = FRESHET_OPTIONS_INIT;
    int status = fsh_lib_options(given, &options, error);

    if (status != FRESHET_OK)
        return status;
    if (!options.url && !fsh_lib_keeper_socket(options.secrets))
        return fsh_base_fail(error, FRESHET_ECONFIG,
                             "url is missing: name the platform's base URL");
    if (options.threshold_ms < 0)
        return fsh_base_fail(error, FRESHET_ECONFIG, "threshold_ms is negative");
    if (options.threshold_ms == 0)
        options.threshold_ms = FSH_THRESHOLD_MS;
    *ret_options = options;
    return FRESHET_OK;
}

int fsh_lib_unknown_profile(const char *name, struct freshet_error *error)
{
    char known[128] = "";

    for (const char *const *profile = fsh_profile_names(); *profile; profile++) {
        size_t len = strlen(known);

        (void)snprintf(known + len, sizeof(known) - len, "%s%s", len ? ", " : "", *profile);
    }
    return fsh_base_fail(error, FRESHET_ECONFIG, "profile %s is unknown; there are: %s", name,
                         known);
}

/* ---- open and close ---------------------------------------------------------------------- */

struct fsh_shared_origins *fsh_lib_origins_ref(struct fsh_shared_origins *shared)
{
    atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

void fsh_lib_origins_unref(struct fsh_shared_origins *shared)
{
    if (!shared || atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) != 1)
        return;
    fsh_engine_origins_done(&shared->origins);
    free(shared);
}

int fsh_lib_origins_check(const struct fsh_shared_origins *shared, const char *url,
                          bool *ret_loopback, struct freshet_error *error)
{
    struct fsh_origin origin;
    int status = fsh_engine_origins_check(&shared->origins, url, error);

    if (status == FRESHET_OK)
        status = fsh_engine_origin(url, &origin, error);
    if (status != FRESHET_OK)
        return status;
    *ret_loopback = fsh_engine_loopback_host(origin.host);
    fsh_engine_origin_done(&origin);
    return FRESHET_OK;
}

static int add_origins(struct freshet *freshet, const struct freshet_options *options,
                       struct freshet_error *error)
{
    struct fsh_shared_origins *shared = calloc(1, sizeof(*shared));
    int status = FRESHET_OK;

    if (!shared)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    atomic_init(&shared->references, 1);
    freshet->origins = shared;
    if (options->url)
        status = fsh_engine_origins_add(&shared->origins, options->url, error);
    for (size_t i = 0; status == FRESHET_OK && i < options->origins_count; i++)
        status = fsh_engine_origins_add(&shared->origins, options->origins[i], error);
    return status;
}

/* Both stores are sealed with the keys of one file, which nobody reads whose stores need none. */
static int open_stores(struct freshet *freshet, const struct freshet_options *options,
                       struct freshet_error *error)
{
    struct fsh_store_options secrets = {.where = options->secrets};
    struct fsh_store_options tokens = {.where = options->tokens};
    struct fsh_keyring *keyring = NULL;
    int status = FRESHET_OK;

    if (options->key_file && (fsh_store_seals(secrets.where) || fsh_store_seals(tokens.where)))
        status = fsh_keyring_open(options->key_file, &keyring, error);
    secrets.keyring = keyring;
    tokens.keyring = keyring;
    if (status == FRESHET_OK)
        status = fsh_store_secrets_open(&secrets, &freshet->secrets, error);
    if (status == FRESHET_OK)
        status = fsh_store_tokens_open(&tokens, &freshet->tokens, error);
    fsh_keyring_unref(keyring);
    return status;
}

/* Takes the origins over from the keeper when the options name no url; with one, a keeper of
 * another platform is a mistake, and one that is away for now is none: each token that it hands out
 * says of which platform it is. */
static int meet_keeper(struct freshet *freshet, const struct freshet_options *options,
                       struct freshet_error *error)
{
    const struct fsh_remote_platform *platform = &freshet->keeper->platform;
    struct fsh_origins *origins = &freshet->origins->origins;
    int status = fsh_lib_keeper_meet(freshet->keeper, error);

    if (options->url)
        return status == FRESHET_EUNAVAILABLE ? FRESHET_OK : status;
    if (status == FRESHET_OK)
        status = fsh_engine_origins_add(origins, platform->url, error);
    for (size_t i = 0; status == FRESHET_OK && i < platform->origins_count; i++)
        status = fsh_engine_origins_add(origins, platform->origins[i], error);
    return status;
}

/* Where the sessions are: with a keeper, or in stores of our own. */
static int find_sessions(struct freshet *freshet, const struct freshet_options *options,
                         struct fsh_loop_options *loop, struct freshet_error *error)
{
    const char *socket = fsh_lib_keeper_socket(options->secrets);
    int status;

    if (socket) {
        status = fsh_lib_keeper_new(socket, options->url, &freshet->keeper, error);
        loop->engine.keeper = freshet->keeper;
        loop->http = (struct fsh_http_options){.url = "http://keeper", .socket = socket};
        return status == FRESHET_OK ? meet_keeper(freshet, options, error) : status;
    }
    status = open_stores(freshet, options, error);
    loop->engine.secrets = freshet->secrets;
    loop->engine.tokens = freshet->tokens;
    return status;
}

static int start(struct freshet *freshet, const struct freshet_options *options,
                 struct freshet_error *error)
{
    struct fsh_loop_options loop = {
        .engine.profile = fsh_profile_find(options->profile),
        .http = {options->url, options->ca_file, options->proxy, NULL},
        .event = fsh_lib_event,
        .closed = fsh_lib_session_closed,
        .event_data = freshet,
    };
    int status;

    if (!loop.engine.profile)
        return fsh_lib_unknown_profile(options->profile, error);
    status = add_origins(freshet, options, error);
    if (status == FRESHET_OK)
        status = alive_new(&freshet->alive, error);
    if (status == FRESHET_OK)
        status = fsh_lib_events_init(&freshet->events, error);
    if (status == FRESHET_OK)
        status = find_sessions(freshet, options, &loop, error);
    if (status == FRESHET_OK)
        status = fsh_loop_start(&loop, &freshet->loop, error);
    return status;
}

static void release(struct freshet *freshet)
{
    /* What ends in the token cache may yet go on in the secret store (lib/labels.c). */
    if (freshet->tokens)
        freshet->tokens->ops->close(freshet->tokens);
    if (freshet->secrets)
        freshet->secrets->ops->close(freshet->secrets);
    fsh_lib_events_done(&freshet->events);
    fsh_lib_keeper_free(freshet->keeper);
    fsh_lib_origins_unref(freshet->origins);
    alive_free(freshet->alive);
    free(freshet);
}

int freshet_open(const struct freshet_options *options, struct freshet **ret_freshet,
                 struct freshet_error *error)
{
    struct freshet_options known = FRESHET_OPTIONS_INIT;
    struct freshet *freshet;
    int status = read_options(options, &known, error);

    if (status != FRESHET_OK)
        return status;
    /* May be called at any time, in any number. */
    if (sodium_init() < 0)
        return fsh_base_fail(error, FRESHET_EINTERNAL, "libsodium cannot be initialised");
    freshet = calloc(1, sizeof(*freshet));
    if (!freshet)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    freshet->events.fd = -1;
    freshet->threshold_ms = known.threshold_ms;
    freshet->boot = fsh_clock_boot();
    status = start(freshet, &known, error);
    if (status != FRESHET_OK) {
        release(freshet);
        return status;
    }
    *ret_freshet = freshet;
    return FRESHET_OK;
}

void freshet_close(struct freshet *freshet)
{
    /* In a child of fork(2) there is no thread to end, and its locks may be held for ever: what the
     * handle has is left alone, until the child execs or exits. */
    if (!freshet || fsh_lib_forked(freshet))
        return;
    fsh_loop_stop(freshet->loop);
    release(freshet);
}

int freshet_url_check(const struct freshet *freshet, const char *url, bool *ret_loopback,
                      struct freshet_error *error)
{
    bool loopback = false;
    int status;

    if (fsh_lib_forked(freshet))
        return fsh_base_fail(error, FRESHET_EFORKED, NULL);
    status = fsh_lib_origins_check(freshet->origins, url ? url : "", &loopback, error);
    if (status == FRESHET_OK && ret_loopback)
        *ret_loopback = loopback;
    return status;
}

/* ---- the engine's thread ----------------------------------------------------------------- */

struct errand {
    struct fsh_post post;
    void (*fn)(void *data);
    void *data;
    sem_t done;
};

static void errand_run(struct fsh_post *post)
{
    struct errand *errand = fsh_container_of(post, struct errand, post);

    errand->fn(errand->data);
    (void)sem_post(&errand->done);
}

static void await(sem_t *done)
{
    while (sem_wait(done) != 0) {
        /* Interrupted by a signal of the program's. */
    }
}

void fsh_lib_on_engine(struct freshet *freshet, void (*fn)(void *data), void *data)
{
    struct errand errand = {.post.run = errand_run, .fn = fn, .data = data};

    (void)sem_init(&errand.done, 0, 0);
    fsh_loop_post(freshet->loop, &errand.post);
    await(&errand.done);
    (void)sem_destroy(&errand.done);
}

static void call_run(struct fsh_post *post)
{
    fsh_engine_call(fsh_container_of(post, struct fsh_call, post));
}

static void call_done(struct fsh_call *call)
{
    (void)sem_post(call->data);
}

static int64_t patience(int64_t timeout_ms)
{
    if (timeout_ms == 0)
        return FSH_CALL_MS;
    return timeout_ms < 0 ? 0 : timeout_ms;
}

void fsh_lib_submit(struct freshet_session *session, struct fsh_call *call, int64_t timeout_ms)
{
    call->session = &session->engine;
    call->deadline = fsh_mono_add(fsh_clock_mono(), patience(timeout_ms));
    call->post.run = call_run;
    fsh_loop_post(session->freshet->loop, &call->post);
}

int fsh_lib_call(struct freshet_session *session, struct fsh_call *call, int64_t timeout_ms,
                 struct freshet_error *error)
{
    sem_t done;

    (void)sem_init(&done, 0, 0);
    call->done = call_done;
    call->data = &done;
    fsh_lib_submit(session, call, timeout_ms);
    await(&done);
    (void)sem_destroy(&done);
    if (call->status != FRESHET_OK && error)
        *error = call->error;
    return call->status;
}
