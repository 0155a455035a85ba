/* SPDX-License-Identifier: Apache-2.0 */
#include "devserver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSWORD "demo-password-not-secret"

/* The secret of RFC 6238's test vectors, so that it could not be taken for a real one. */
#define TOTP_SECRET "12345678901234567890"

struct demo {
    const char *name;
    const char *groups[3];
    const char *about;
    bool new_password;
    bool mfa;
};

static const struct demo demos[] = {
    {.name = "svc-demo", .groups = {"fd42"}, .about = "plain service, partner fd42"},
    {.name = "svc-two", .groups = {"fd1", "partner-id-acme"}, .about = "two partners"},
    {.name = "mfa", .groups = {"fd42"}, .about = "TOTP, and SMS when preferred", .mfa = true},
    {.name = "newpass",
     .groups = {"fd42"},
     .about = "must set a new password",
     .new_password = true},
    {.name = "newmfa",
     .groups = {"fd42"},
     .about = "a new password, then TOTP",
     .new_password = true,
     .mfa = true},
    {.name = "suspended", .groups = {"fd42", "account-disabled"}, .about = "the API answers 403"},
    {.name = "external", .groups = {"fd42", "external-user"}, .about = "no first-party app"},
    {.name = "nopartner", .groups = {"staff"}, .about = "no group that names a partner"},
};

#define DEMOS (sizeof(demos) / sizeof(demos[0]))

static const struct demo load_account = {.groups = {"fd42"}};

static json_t *groups_of(const struct demo *demo)
{
    json_t *groups = json_array();

    for (size_t i = 0; i < sizeof(demo->groups) / sizeof(demo->groups[0]) && demo->groups[i]; i++)
        json_array_append_new(groups, json_string(demo->groups[i]));
    return groups;
}

/* A subject in the form of a UUID, the same for the same name in every run. */
static void set_subject(struct dev_account *account)
{
    unsigned char d[DEV_DIGEST_LEN];

    dev_digest(account->name, strlen(account->name), d);
    (void)snprintf(account->sub, sizeof(account->sub),
                   "%02x%02x%02x%02x-%02x%02x-4%01x%02x-a%01x%02x-%02x%02x%02x%02x%02x%02x", d[0],
                   d[1], d[2], d[3], d[4], d[5], d[6] & 15, d[7], d[8] & 15, d[9], d[10], d[11],
                   d[12], d[13], d[14], d[15]);
}

static struct dev_account *account_new(const char *name, const struct demo *demo)
{
    struct dev_account *account = calloc(1, sizeof(*account));

    if (!account)
        return NULL;
    account->groups = groups_of(demo);
    if (!account->groups) {
        free(account);
        return NULL;
    }
    (void)snprintf(account->name, sizeof(account->name), "%s", name);
    (void)snprintf(account->password, sizeof(account->password), "%s", PASSWORD);
    set_subject(account);
    account->new_password_required = demo->new_password;
    account->has_phone = demo->mfa;
    account->mfa_enabled = demo->mfa;
    account->totp_verified = demo->mfa;
    account->preferred = demo->mfa ? DEV_METHOD_TOTP : DEV_METHOD_NONE;
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): bytes of a key, no string. */
    memcpy(account->totp_secret, TOTP_SECRET, DEV_TOTP_SECRET_LEN);
    return account;
}

static void account_free(struct dev_account *account)
{
    if (account)
        json_decref(account->groups);
    free(account);
}

bool dev_accounts_init(struct dev_accounts *accounts)
{
    accounts->demo = calloc(DEMOS + 1, sizeof(struct dev_account *));
    if (!accounts->demo)
        return false;
    for (size_t i = 0; i < DEMOS; i++) {
        accounts->demo[i] = account_new(demos[i].name, &demos[i]);
        if (!accounts->demo[i])
            return false;
    }
    return true;
}

void dev_accounts_done(struct dev_accounts *accounts)
{
    for (size_t i = 0; accounts->demo && accounts->demo[i]; i++)
        account_free(accounts->demo[i]);
    free(accounts->demo);
    accounts->demo = NULL;
    for (size_t i = 0; i < DEV_LOAD_MAX; i++)
        account_free(accounts->load[i]);
}

/* The number of "load-<n>", or -1. One spelling each: no sign, no leading zero. */
static long load_number(const char *name)
{
    long number = 0;

    if (strncmp(name, "load-", 5) != 0 || name[5] == '\0' || (name[5] == '0' && name[6] != '\0'))
        return -1;
    for (const char *c = name + 5; *c; c++) {
        if (*c < '0' || *c > '9')
            return -1;
        number = number * 10 + (*c - '0');
        if (number >= DEV_LOAD_MAX)
            return -1;
    }
    return number;
}

struct dev_account *dev_account_find(struct dev_accounts *accounts, const char *name)
{
    long number = load_number(name);

    if (number >= 0) {
        if (!accounts->load[number])
            accounts->load[number] = account_new(name, &load_account);
        return accounts->load[number];
    }
    for (size_t i = 0; accounts->demo[i]; i++)
        if (strcmp(accounts->demo[i]->name, name) == 0)
            return accounts->demo[i];
    return NULL;
}

bool dev_account_in_group(const json_t *groups, const char *group)
{
    for (size_t i = 0; i < json_array_size(groups); i++) {
        const char *name = json_string_value(json_array_get(groups, i));

        if (name && strcmp(name, group) == 0)
            return true;
    }
    return false;
}

const char *dev_method_name(enum dev_method method)
{
    return method == DEV_METHOD_TOTP ? "totp" : method == DEV_METHOD_SMS ? "sms" : NULL;
}

bool dev_method_parse(const char *name, enum dev_method *ret_method)
{
    if (strcmp(name, "totp") == 0)
        *ret_method = DEV_METHOD_TOTP;
    else if (strcmp(name, "sms") == 0)
        *ret_method = DEV_METHOD_SMS;
    else
        return false;
    return true;
}

static void device_digest(const char *key, const char *group, unsigned char out[DEV_DIGEST_LEN])
{
    unsigned char both[2 * DEV_DIGEST_LEN];

    dev_digest(key, strlen(key), both);
    dev_digest(group, strlen(group), both + DEV_DIGEST_LEN);
    dev_digest(both, sizeof(both), out);
}

bool dev_account_has_device(const struct dev_account *account, const char *key, const char *group)
{
    unsigned char digest[DEV_DIGEST_LEN];
    unsigned known =
        account->device_count < DEV_DEVICES_MAX ? account->device_count : DEV_DEVICES_MAX;

    device_digest(key, group, digest);
    for (unsigned i = 0; i < known; i++)
        if (memcmp(account->devices[i], digest, DEV_DIGEST_LEN) == 0)
            return true;
    return false;
}

void dev_account_remember_device(struct dev_account *account, const char *key, const char *group)
{
    device_digest(key, group, account->devices[account->device_count % DEV_DEVICES_MAX]);
    account->device_count++;
}

static void reset_account(struct dev_account *account)
{
    account->refresh_in_flight_max = account->refresh_in_flight;
    account->sign_ins = account->refreshes = account->api_requests = 0;
}

void dev_accounts_counters_reset(struct dev_accounts *accounts)
{
    for (size_t i = 0; accounts->demo[i]; i++)
        reset_account(accounts->demo[i]);
    for (size_t i = 0; i < DEV_LOAD_MAX; i++)
        if (accounts->load[i])
            reset_account(accounts->load[i]);
}

void dev_accounts_print(void)
{
    char secret[33];

    for (size_t i = 0; i < DEMOS; i++)
        printf("  %-10s %s\n", demos[i].name, demos[i].about);
    printf("  %-10s plain accounts for load tests, n below %d\n", "load-<n>", DEV_LOAD_MAX);
    dev_base32((const unsigned char *)TOTP_SECRET, DEV_TOTP_SECRET_LEN, secret);
    printf("Password of all: %s\nTOTP secret of mfa and newmfa: %s\n", PASSWORD, secret);
}
