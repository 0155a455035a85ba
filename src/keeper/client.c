/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/client.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* The last element of a list that the gateway has added to; all of it when it is no list. False:
 * there is no address. */
static bool last_address(const char *list, char ret_address[FSH_CLIENT_ADDRESS])
{
    const char *comma = list ? strrchr(list, ',') : NULL;
    const char *at = comma ? comma + 1 : list;
    size_t len;
    struct in6_addr address;

    if (!at)
        return false;
    at += strspn(at, " \t");
    len = strcspn(at, " \t");
    if (len == 0 || len >= FSH_CLIENT_ADDRESS || at[len + strspn(at + len, " \t")] != '\0')
        return false;
    memcpy(ret_address, at, len);
    ret_address[len] = '\0';
    return inet_pton(AF_INET, ret_address, &address) == 1 ||
           inet_pton(AF_INET6, ret_address, &address) == 1;
}

/* The network that an address counts for. */
static void network(const char *address, char ret_network[FSH_CLIENT_ADDRESS])
{
    struct in6_addr six;

    (void)snprintf(ret_network, FSH_CLIENT_ADDRESS, "%s", address);
    if (inet_pton(AF_INET6, address, &six) != 1)
        return;
    if (IN6_IS_ADDR_V4MAPPED(&six)) {
        (void)inet_ntop(AF_INET, &six.s6_addr[12], ret_network, FSH_CLIENT_ADDRESS);
        return;
    }
    memset(&six.s6_addr[8], 0, 8);
    (void)inet_ntop(AF_INET6, &six, ret_network, FSH_CLIENT_ADDRESS);
}

static void add(struct fsh_client *client, const struct fsh_keeper_request *request,
                const char *header)
{
    char address[FSH_CLIENT_ADDRESS];
    bool several = false;
    const char *value = request->source->header(request, header, &several);

    /* The gateway's is the last of several headers, and only the first is to be had. */
    if (several || !last_address(value, address))
        return;
    if (client->address[0] == '\0')
        memcpy(client->address, address, sizeof(address));
    network(address, client->networks[client->network_count]);
    if (client->network_count == 0 || strcmp(client->networks[0], client->networks[1]) != 0)
        client->network_count++;
}

void fsh_client_read(const struct fsh_keeper_request *request, struct fsh_client *ret_client)
{
    const char *agent = fsh_request_header(request, "User-Agent");
    size_t len = 0;

    *ret_client = (struct fsh_client){0};
    add(ret_client, request, "X-Forwarded-For");
    add(ret_client, request, "X-Real-IP");
    /* All whose address is not told are one. */
    if (ret_client->network_count == 0)
        ret_client->network_count = 1;
    for (; agent && agent[len] && len < FSH_CLIENT_AGENT - 1; len++)
        ret_client->agent[len] = (char)(agent[len] >= ' ' && agent[len] <= '~' ? agent[len] : '?');
}
