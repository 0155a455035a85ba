/* SPDX-License-Identifier: Apache-2.0 */

/* Any sequence of events into the core: bytes choose them, the model judges what it makes of them.
 */

#include "fuzz.h"

#include "base/bounds.h"
#include "core/mutant.h"
#include "model.h"

#include <freshet/status.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 400

struct input {
    const uint8_t *data;
    size_t size;
};

static unsigned byte(struct input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

static int64_t pick(struct input *input, const int64_t *list, size_t count)
{
    return list[byte(input) % count];
}
#define PICK(input, list) pick(input, list, sizeof(list) / sizeof((list)[0]))

static struct fsh_policy read_policy(struct input *input)
{
    static const int64_t thresholds[] = {300000, 0, 1000, 60000, 7200000};
    static const int64_t graces[] = {10000, 0, 60000};
    static const int64_t lives[] = {INT64_C(30) * 86400000, 0, 3600000, 600000};
    unsigned flags = byte(input);

    return (struct fsh_policy){
        .service = flags & 1,
        .background = (flags & 2) != 0,
        .rotating = (flags & 4) != 0,
        .probe = (flags & 8) != 0,
        .first_party = (flags & 16) != 0,
        .threshold_ms = PICK(input, thresholds),
        .grace_ms = PICK(input, graces),
        .refresh_life_ms = PICK(input, lives),
        .sign_in_pause_ms = FSH_SIGN_IN_PAUSE_MS,
    };
}

static const int64_t lifetimes[] = {3600000, 300000, 60000, 5000, 2000,
                                    1100,    1000,   1,     0,    FSH_LIFETIME_ABSURD_MS};

static int status_of(enum fsh_result_kind kind, unsigned choice)
{
    static const int challenges[] = {FRESHET_EMFA, FRESHET_ENEWPASSWORD, FRESHET_ECHALLENGEUNKNOWN};
    static const int definite[] = {FRESHET_EENDED,         FRESHET_ECREDENTIALS,
                                   FRESHET_ESUSPENDED,     FRESHET_EMFACODE,
                                   FRESHET_ECHALLENGEOVER, FRESHET_EPASSWORDPOLICY};

    switch (kind) {
    case FSH_RESULT_GRANT:
        return FRESHET_OK;
    case FSH_RESULT_CHALLENGE:
        return challenges[choice % 3];
    case FSH_RESULT_DEFINITE:
        return definite[choice % 6];
    case FSH_RESULT_LOCAL:
        return FRESHET_ENOMEM;
    default:
        return FRESHET_EUNAVAILABLE;
    }
}

static struct fsh_result read_result(struct input *input)
{
    static const enum fsh_result_kind kinds[] = {
        FSH_RESULT_GRANT,   FSH_RESULT_CHALLENGE, FSH_RESULT_DEFINITE,  FSH_RESULT_TRANSIENT,
        FSH_RESULT_UNKNOWN, FSH_RESULT_LOCAL,     FSH_RESULT_TRANSIENT, FSH_RESULT_GRANT};
    static const int64_t retry_after[] = {-1, -1, -1, 0, 1000, 300000, INT64_MAX};
    unsigned kind = byte(input);
    unsigned more = byte(input);
    struct fsh_result result = {
        .kind = kinds[kind % 8],
        .status = status_of(kinds[kind % 8], kind / 8),
        .retry_after_ms = -1,
        .lifetime_ms = lifetimes[more % 10],
        .refresh_token = kind & 128,
    };

    if (result.kind == FSH_RESULT_GRANT) {
        result.identified = (kind & 64) != 0;
        result.suspended = (kind & 96) == 96;
        result.external = (kind & 80) == 80;
    } else {
        result.lifetime_ms = 0;
        result.refresh_token = false;
        result.retry_after_ms = retry_after[more % 7];
    }
    return result;
}

static void pass(struct model *model, struct input *input)
{
    static const int64_t steps[] = {0,     1,     50,      999,     1000,     10000,     14999,
                                    15001, 30000, 300000,  3300000, 3600000,  86400000,  20000,
                                    27000, 60000, 3000000, 900000,  28800000, 2592000000};

    model_pass(model, PICK(input, steps));
}

static void step_wall(struct model *model, struct input *input)
{
    static const int64_t steps[] = {3600000, -3600000, 86400000, -86400000, INT64_C(-31536000000)};

    model->wall.ms += PICK(input, steps);
    model->stepped = true;
}

static void ask(struct model *model, struct input *input)
{
    static const int64_t patience[] = {20000, 0, 1000, 60000};
    static const int64_t min_valid[] = {0, 0, 0, 300000, 3600000, 1, INT64_MAX};
    unsigned choice = byte(input);

    model_ask(model, choice % MODEL_CALLERS, min_valid[choice / 16 % 7], patience[choice / 4 % 4]);
}

static void report(struct model *model, struct input *input)
{
    unsigned choice = byte(input);

    if (choice < 128)
        model_unauthorized(model, model->core.published);
    else
        model_unauthorized(model, choice - 128);
}

static void other(struct model *model, struct input *input)
{
    static const enum fsh_change_kind kinds[] = {
        FSH_CHANGE_LEASE, FSH_CHANGE_COMMIT, FSH_CHANGE_RELEASE, FSH_CHANGE_SIGN_OUT,
        FSH_CHANGE_END,   FSH_CHANGE_PARK,   FSH_CHANGE_LOSE};
    unsigned choice = byte(input);

    model_other(model, kinds[choice % 7], choice & 128);
}

static void adopted(struct model *model, struct input *input)
{
    static const int64_t ages[] = {0, 1000, 60000, 3400000, 86400000, -60000};
    unsigned choice = byte(input);

    model_adopted(model, ages[choice % 6], lifetimes[choice / 8 % 10]);
}

static void answered(struct model *model, struct input *input, bool probe)
{
    struct fsh_result result = read_result(input);

    model_answered(model, probe, &result);
}

static void event(struct model *model, struct input *input)
{
    unsigned what = byte(input);

    switch (what % 16) {
    case 0:
    case 1:
        model_stored(model, MODEL_DONE);
        break;
    case 2:
        model_stored(model, what & 128 ? MODEL_FAILED : MODEL_WORD_LOST);
        break;
    case 3:
        answered(model, input, false);
        break;
    case 4:
        answered(model, input, true);
        break;
    case 5:
        adopted(model, input);
        break;
    case 6:
        pass(model, input);
        break;
    case 7:
        (void)model_pass_to_wake(model);
        break;
    case 8:
        ask(model, input);
        break;
    case 9:
        report(model, input);
        break;
    case 10:
        model_command(model, what & 128  ? FSH_ERRAND_MFA
                             : what & 64 ? FSH_ERRAND_NEW_PASSWORD
                                         : FSH_ERRAND_SIGN_IN);
        break;
    case 11:
        model_sign_out(model, what & 128);
        break;
    case 12:
        other(model, input);
        break;
    case 13:
        step_wall(model, input);
        break;
    case 14:
        model_strangers(model, byte(input));
        break;
    default:
        if (what & 128)
            model_tick(model);
        else if (what & 64)
            model_close(model);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct fsh_policy policy = read_policy(&input);
    struct model model;

    model_init(&model, &policy, byte(&input), getenv("FRESHET_TRACE") != NULL);
    for (int i = 0; i < EVENTS_MAX && input.size > 0; i++)
        event(&model, &input);
    model_recover(&model);
    model_drain(&model);
    return 0;
}

#ifdef FSH_MUTANTS
enum fsh_mutant fsh_core_mutant;

/* A core that is broken on purpose, by the number that the environment gives: see core/mutant.h. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *number = getenv("FRESHET_MUTANT");

    (void)argc;
    (void)argv;
    if (number)
        fsh_core_mutant = (enum fsh_mutant)strtol(number, NULL, 10);
    return 0;
}
#endif
