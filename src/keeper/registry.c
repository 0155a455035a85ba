/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/registry.h"

#include "base/error.h"
#include "lib/glance.h"

#include <freshet/status.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An insertion that finds no memory leaves `hh.tbl` NULL instead of ending the process. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define PEOPLE_MAX 4096 /* sessions of people that no configuration names */

/* A session in the registry. */
struct slot {
    struct fsh_entry entry; /* first */
    char *name;
    char *options; /* all that the configuration says of it but `allow`; "" for a person's */
    bool wanted;   /* a mark, while a configuration is applied */
    UT_hash_handle hh;
};

struct fsh_registry {
    struct freshet *freshet;
    struct slot *by_name;
    struct fsh_entry *first;
    struct fsh_entry **last;
    size_t people;
};

static struct slot *slot_of(struct fsh_entry *entry)
{
    return (struct slot *)(void *)entry;
}

/* ---- entries ----------------------------------------------------------------------------- */

static void slot_free(struct slot *slot)
{
    if (!slot)
        return;
    fsh_page_unref(slot->entry.rendered.page);
    fsh_grants_free(slot->entry.grants);
    free(slot->name);
    free(slot->options);
    free(slot);
}

struct fsh_entry *fsh_entry_ref(struct fsh_entry *entry)
{
    if (entry)
        entry->references++;
    return entry;
}

void fsh_entry_unref(struct fsh_entry *entry)
{
    if (entry && --entry->references == 0)
        slot_free(slot_of(entry));
}

/* Ends its use here; those who hold it keep the struct. */
static void close_entry(struct fsh_entry *entry)
{
    freshet_session_close(entry->session);
    entry->session = NULL;
    fsh_page_unref(entry->rendered.page);
    entry->rendered.page = NULL;
}

static void heed(struct fsh_entry *entry)
{
    struct fsh_glance glance;

    if (!entry->rendered.page)
        return;
    fsh_lib_glance(entry->session, &glance);
    if (glance.generation == entry->rendered.generation)
        return;
    fsh_page_unref(entry->rendered.page);
    entry->rendered.page = NULL;
}

/* ---- looking up -------------------------------------------------------------------------- */

struct fsh_entry *fsh_registry_find(struct fsh_registry *registry, const char *name)
{
    struct slot *slot = NULL;

    HASH_FIND_STR(registry->by_name, name, slot);
    return slot ? &slot->entry : NULL;
}

struct fsh_entry *fsh_registry_first(struct fsh_registry *registry)
{
    return registry->first;
}

void fsh_registry_heed(struct fsh_registry *registry, const char *name)
{
    struct fsh_entry *entry = name ? fsh_registry_find(registry, name) : registry->first;

    for (; entry; entry = name ? NULL : entry->next)
        heed(entry);
}

/* ---- opening ----------------------------------------------------------------------------- */

static int slot_new(const char *name, const char *options, struct slot **ret_slot)
{
    struct slot *slot = calloc(1, sizeof(*slot));

    if (!slot)
        return FRESHET_ENOMEM;
    slot->entry.references = 1;
    slot->name = strdup(name);
    slot->options = strdup(options);
    if (!slot->name || !slot->options) {
        slot_free(slot);
        return FRESHET_ENOMEM;
    }
    *ret_slot = slot;
    return FRESHET_OK;
}

/* Opens its session and enters it. */
static int enter(struct fsh_registry *registry, struct slot *slot,
                 const struct freshet_session_options *options, struct freshet_error *error)
{
    int status =
        freshet_session_open(registry->freshet, slot->name, options, &slot->entry.session, error);

    if (status != FRESHET_OK)
        return status;
    HASH_ADD_KEYPTR(hh, registry->by_name, slot->name, strlen(slot->name), slot);
    if (!slot->hh.tbl) {
        close_entry(&slot->entry);
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    }
    *registry->last = &slot->entry;
    registry->last = &slot->entry.next;
    return FRESHET_OK;
}

int fsh_registry_open(struct fsh_registry *registry, const char *name, struct fsh_entry **ret_entry,
                      struct freshet_error *error)
{
    const struct freshet_session_options person = FRESHET_SESSION_OPTIONS_INIT;
    struct fsh_entry *entry = fsh_registry_find(registry, name);
    struct slot *slot;
    int status;

    if (entry) {
        *ret_entry = entry;
        return FRESHET_OK;
    }
    if (registry->people == PEOPLE_MAX)
        return fsh_base_fail(error, FRESHET_ELIMIT, "%d sessions of people are open", PEOPLE_MAX);
    status = slot_new(name, "", &slot);
    if (status != FRESHET_OK)
        return fsh_base_fail(error, status, NULL);
    status = enter(registry, slot, &person, error);
    if (status != FRESHET_OK) {
        slot_free(slot);
        return status;
    }
    registry->people++;
    *ret_entry = &slot->entry;
    return FRESHET_OK;
}

/* ---- applying a configuration ------------------------------------------------------------ */

/* What the configuration says of a session, but `allow`, as one text to compare. */
static char *options_text(const struct freshet_config *config, const char *name)
{
    static const char *const keys[] = {"username",  "password_file", "partner_id",   "on_demand",
                                       "threshold", "first_party",   "sign_in_pause"};
    char section[160];
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);

    if (!stream)
        return NULL;
    (void)snprintf(section, sizeof(section), "session %s", name);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *value = freshet_config_get(config, section, keys[i]);

        (void)fprintf(stream, "%s=%s\n", keys[i], value ? value : "");
    }
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* What is to become of one session of a configuration. */
struct plan {
    const char *name;
    char *options;
    struct fsh_grants *grants;
};

static void plans_free(struct plan *plans, size_t count)
{
    for (size_t i = 0; plans && i < count; i++) {
        free(plans[i].options);
        fsh_grants_free(plans[i].grants);
    }
    free(plans);
}

static int plan_one(const struct freshet_config *config, const char *name, struct plan *plan,
                    struct freshet_error *error)
{
    char section[160];
    struct freshet_error detail = {.retry_after_ms = -1};
    int status;

    plan->name = name;
    plan->options = options_text(config, name);
    if (!plan->options)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    (void)snprintf(section, sizeof(section), "session %s", name);
    status = fsh_grants_new(freshet_config_get(config, section, "allow"), &plan->grants, &detail);
    if (status != FRESHET_OK)
        return fsh_base_fail(error, status, "[%s] %s", section, detail.message);
    return FRESHET_OK;
}

static int plan_all(const struct freshet_config *config, struct plan **ret_plans, size_t *ret_count,
                    struct freshet_error *error)
{
    size_t count = freshet_config_session_count(config);
    struct plan *plans = calloc(count + 1, sizeof(*plans));
    int status = FRESHET_OK;

    if (!plans)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    for (size_t i = 0; i < count && status == FRESHET_OK; i++)
        status = plan_one(config, freshet_config_session_name(config, i), &plans[i], error);
    if (status != FRESHET_OK) {
        plans_free(plans, count);
        return status;
    }
    *ret_plans = plans;
    *ret_count = count;
    return FRESHET_OK;
}

/* Swaps the grants of a session that stays; opens one that is new or changed. */
static int carry_out(struct fsh_registry *registry, const struct freshet_config *config,
                     struct plan *plan, struct freshet_error *error)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct fsh_entry *entry = fsh_registry_find(registry, plan->name);
    struct fsh_grants *grants = plan->grants;
    struct slot *slot;
    int status;

    if (entry) {
        plan->grants = entry->grants;
        entry->grants = grants;
        return FRESHET_OK;
    }
    status = freshet_config_session(config, plan->name, &options, error);
    if (status != FRESHET_OK)
        return status;
    status = slot_new(plan->name, plan->options, &slot);
    if (status != FRESHET_OK)
        return fsh_base_fail(error, status, NULL);
    slot->entry.service = options.kind == FRESHET_SERVICE;
    slot->entry.configured = true;
    slot->entry.proven = true;
    slot->entry.grants = grants;
    plan->grants = NULL;
    status = enter(registry, slot, &options, error);
    if (status != FRESHET_OK)
        slot_free(slot);
    return status;
}

/* Marks what stays as it is: those that are planned with the same options. */
static void mark(struct fsh_registry *registry, const struct plan *plans, size_t count)
{
    for (struct fsh_entry *entry = registry->first; entry; entry = entry->next)
        slot_of(entry)->wanted = !entry->configured;
    for (size_t i = 0; i < count; i++) {
        struct fsh_entry *entry = fsh_registry_find(registry, plans[i].name);

        if (entry)
            slot_of(entry)->wanted =
                entry->configured && strcmp(slot_of(entry)->options, plans[i].options) == 0;
    }
}

/* Closes those that are not marked. */
static void sweep(struct fsh_registry *registry)
{
    struct fsh_entry **place = &registry->first;

    while (*place) {
        struct fsh_entry *entry = *place;
        struct slot *slot = slot_of(entry);

        if (slot->wanted) {
            place = &entry->next;
            continue;
        }
        *place = entry->next;
        entry->next = NULL;
        /* The table is there while a slot is: uthash keeps it as one. */
        HASH_DEL(registry->by_name, slot); /* NOLINT(clang-analyzer-core.NullDereference) */
        registry->people -= !entry->configured;
        close_entry(entry);
        fsh_entry_unref(entry);
    }
    registry->last = place;
}

void fsh_registry_forget(struct fsh_registry *registry, struct fsh_entry *entry)
{
    for (struct fsh_entry *each = registry->first; each; each = each->next)
        slot_of(each)->wanted = each != entry || entry->configured;
    sweep(registry);
}

int fsh_registry_apply(struct fsh_registry *registry, const struct freshet_config *config,
                       struct freshet_error *error)
{
    size_t count = 0;
    struct plan *plans = NULL;
    int status = plan_all(config, &plans, &count, error);

    if (status != FRESHET_OK)
        return status;
    mark(registry, plans, count);
    sweep(registry);
    for (size_t i = 0; i < count; i++) {
        struct freshet_error detail;
        int failure = carry_out(registry, config, &plans[i], &detail);

        if (failure != FRESHET_OK && status == FRESHET_OK)
            status =
                fsh_base_fail(error, failure, "[session %s] %s", plans[i].name, detail.message);
    }
    plans_free(plans, count);
    return status;
}

/* ---- the registry ------------------------------------------------------------------------ */

int fsh_registry_new(struct freshet *freshet, struct fsh_registry **ret_registry)
{
    struct fsh_registry *registry = calloc(1, sizeof(*registry));

    if (!registry)
        return FRESHET_ENOMEM;
    registry->freshet = freshet;
    registry->last = &registry->first;
    *ret_registry = registry;
    return FRESHET_OK;
}

void fsh_registry_free(struct fsh_registry *registry)
{
    if (!registry)
        return;
    for (struct fsh_entry *entry = registry->first; entry; entry = entry->next)
        slot_of(entry)->wanted = false;
    sweep(registry);
    free(registry);
}
