/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CORE_PARTNER_H
#define FSH_CORE_PARTNER_H

#include <stddef.h>

/* Rule 4: which of the allowed partner ids a request carries. The first of `asked` (the request's
 * own choice), `setting` (the session's) and `preset` (the configuration's) that is not NULL
 * decides, and there is no falling back from it; with none of them it is the only one there is.
 *
 * FRESHET_EPARTNER: none is allowed, or the one chosen is not. FRESHET_EPARTNERCHOICE: several are
 * allowed and none is chosen. *ret_index is the place in `allowed`. */
int fsh_core_partner(char *const *allowed, size_t count, const char *asked, const char *setting,
                     const char *preset, size_t *ret_index);

#endif
