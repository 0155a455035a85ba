/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/request.h"

const struct fsh_route fsh_browser_routes[] = {{0}};
