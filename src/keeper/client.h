/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_CLIENT_H
#define FSH_KEEPER_CLIENT_H

#include "keeper/request.h"

/* Who is behind the gateway, as it says: for limits, the list of sessions and the audit log. */
#define FSH_CLIENT_ADDRESS 46 /* INET6_ADDRSTRLEN */
#define FSH_CLIENT_AGENT   128

struct fsh_client {
    /* The last hop of X-Forwarded-For, else X-Real-IP; "" when the gateway says neither. */
    char address[FSH_CLIENT_ADDRESS];
    /* What counts as one: an address of IPv4, or the half of one of IPv6 that a network is given.
     * When the gateway sends both headers, and one may be the client's own, both count. */
    char networks[2][FSH_CLIENT_ADDRESS];
    size_t network_count;
    char agent[FSH_CLIENT_AGENT]; /* User-Agent, shortened, printable */
};

void fsh_client_read(const struct fsh_keeper_request *request, struct fsh_client *ret_client);

#endif
