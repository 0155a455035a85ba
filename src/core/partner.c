/* SPDX-License-Identifier: Apache-2.0 */
#include "core/partner.h"

#include "core/mutant.h"

#include <freshet/status.h>
#include <string.h>

int fsh_core_partner(char *const *allowed, size_t count, const char *asked, const char *setting,
                     const char *preset, size_t *ret_index)
{
    const char *chosen = asked ? asked : setting ? setting : preset;

    if (!chosen) {
        if (count > 1)
            return FRESHET_EPARTNERCHOICE;
        if (count == 0)
            return FRESHET_EPARTNER;
        *ret_index = 0;
        return FRESHET_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(allowed[i], chosen) == 0) {
            *ret_index = i;
            return FRESHET_OK;
        }
    }
    if (FSH_MUTANT(FALLS_BACK) && count > 0) {
        *ret_index = 0;
        return FRESHET_OK;
    }
    return FRESHET_EPARTNER;
}
