/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <string.h>

/* Lock held. An entry may be forgotten or revoked while its refresh is in the air. */
static struct dev_refresh *record_of(struct dev_server *server, const struct dev_flight *flight)
{
    return dev_map_find(&server->tokens.refresh, flight->digest);
}

void dev_flight_start(struct dev_server *server, struct dev_flight *flight, const char *token)
{
    struct dev_refresh *record;

    *flight = (struct dev_flight){.aloft = true};
    dev_digest(token, strlen(token), flight->digest);
    pthread_mutex_lock(&server->lock);
    dev_gauge_up(&server->counters, DEV_COUNT_refresh_in_flight);
    record = record_of(server, flight);
    if (record) {
        struct dev_account *account = record->account;

        flight->account = account;
        if (record->in_flight++ > 0)
            dev_count(&server->counters, DEV_COUNT_refresh_same_token_concurrent);
        if (++account->refresh_in_flight > account->refresh_in_flight_max)
            account->refresh_in_flight_max = account->refresh_in_flight;
        dev_count_max(&server->counters, DEV_COUNT_refresh_in_flight_max_per_account,
                      account->refresh_in_flight);
    }
    pthread_mutex_unlock(&server->lock);
}

void dev_flight_start_sign_in(struct dev_server *server, struct dev_flight *flight,
                              const char *username)
{
    struct dev_account *account;

    *flight = (struct dev_flight){.aloft = true, .sign_in = true};
    pthread_mutex_lock(&server->lock);
    dev_gauge_up(&server->counters, DEV_COUNT_sign_in_in_flight);
    account = dev_account_find(&server->accounts, username);
    flight->account = account;
    if (account)
        dev_count_max(&server->counters, DEV_COUNT_sign_in_in_flight_max_per_account,
                      ++account->sign_in_in_flight);
    pthread_mutex_unlock(&server->lock);
}

static void land_sign_in(struct dev_server *server, struct dev_flight *flight)
{
    pthread_mutex_lock(&server->lock);
    dev_gauge_down(&server->counters, DEV_COUNT_sign_in_in_flight);
    if (flight->account)
        flight->account->sign_in_in_flight--;
    pthread_mutex_unlock(&server->lock);
}

void dev_flight_land(struct dev_server *server, struct dev_flight *flight)
{
    struct dev_refresh *record;

    if (!flight->aloft)
        return;
    flight->aloft = false;
    if (flight->sign_in) {
        land_sign_in(server, flight);
        return;
    }
    pthread_mutex_lock(&server->lock);
    dev_gauge_down(&server->counters, DEV_COUNT_refresh_in_flight);
    record = record_of(server, flight);
    if (record && record->in_flight > 0)
        record->in_flight--;
    if (flight->account)
        flight->account->refresh_in_flight--;
    pthread_mutex_unlock(&server->lock);
}
