/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_BASE_STATUS_H
#define FSH_BASE_STATUS_H

/* No status has this value. */
#define FSH_STATUS_UNKNOWN 1

/* The status of a name such as "FRESHET_EHELD", as freshet_status_name gives it;
 * FSH_STATUS_UNKNOWN for a name that this version does not know. */
int fsh_base_status_named(const char *name);

#endif
