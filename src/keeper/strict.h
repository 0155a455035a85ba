/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_STRICT_H
#define FSH_KEEPER_STRICT_H

#include <stdbool.h>

struct MHD_Connection;

/* Whether the headers are without control characters (RFC 9110, section 5.5). */
bool fsh_strict_headers(struct MHD_Connection *mhd);

/* Whether the query has none but the arguments that a route takes, by its pattern, each once. */
bool fsh_strict_arguments(struct MHD_Connection *mhd, const char *pattern);

#endif
