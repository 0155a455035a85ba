/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/glance.h"

#include "lib/internal.h"

/* Longer than the longest pause before a store that failed is tried again. */
#define OF_LATE_MS (2 * FSH_BACKOFF_LAST_MS)

const struct fsh_meter *fsh_lib_meter(const struct freshet *freshet)
{
    return fsh_engine_meter(fsh_loop_engine(freshet->loop));
}

void fsh_lib_glance(const struct freshet_session *session, struct fsh_glance *ret_glance)
{
    const struct fsh_session *engine = &session->engine;
    struct fsh_glance glance = {.state = FSH_METER_OPENING};
    struct fsh_freshness token;

    (void)fsh_engine_meter_read(atomic_load_explicit(&engine->metered, memory_order_relaxed),
                                &glance.state, &glance.challenged);
    if (fsh_engine_view(engine, &glance.generation, &token))
        glance.usable = fsh_clock_mono().ms < token.usable_until.ms;
    glance.failures = atomic_load_explicit(&engine->counters.failures, memory_order_relaxed);
    *ret_glance = glance;
}

static bool of_late(const atomic_int_fast64_t *failed_at)
{
    int64_t at = atomic_load_explicit(failed_at, memory_order_relaxed);

    return at != 0 && fsh_clock_mono().ms - at < OF_LATE_MS;
}

bool fsh_lib_secrets_down(const struct freshet *freshet)
{
    return of_late(&fsh_lib_meter(freshet)->secrets_failed_at);
}

bool fsh_lib_tokens_down(const struct freshet *freshet)
{
    return of_late(&fsh_lib_meter(freshet)->tokens_failed_at);
}
