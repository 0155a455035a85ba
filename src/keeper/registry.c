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

/* Opens its session and enters it by its name, before one that has the same. */
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
    return FRESHET_OK;
}

/* Gives it its place in the order. */
static void append(struct fsh_registry *registry, struct slot *slot)
{
    *registry->last = &slot->entry;
    registry->last = &slot->entry.next;
}

/* Takes one out that has no place in the order. */
static void leave(struct fsh_registry *registry, struct slot *slot)
{
    /* The table is there while a slot is: uthash keeps it as one. */
    HASH_DEL(registry->by_name, slot); /* NOLINT(clang-analyzer-core.NullDereference) */
    close_entry(&slot->entry);
    fsh_entry_unref(&slot->entry);
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
    append(registry, slot);
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
    struct fsh_entry *stays;    /* its grants are swapped; or */
    struct fsh_entry *replaced; /* by a new one; NULL: there was none */
    struct slot *opened;        /* it has no place in the order yet */
};

struct fsh_registry_change {
    struct fsh_registry *registry;
    size_t count;
    struct plan plans[];
};

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

/* Opens a session that is new, or is not as it was. */
static int open_planned(struct fsh_registry *registry, const struct freshet_config *config,
                        struct plan *plan, struct freshet_error *error)
{
    struct freshet_session_options options = FRESHET_SESSION_OPTIONS_INIT;
    struct slot *slot;
    int status = freshet_config_session(config, plan->name, &options, error);

    if (status != FRESHET_OK)
        return status;
    status = slot_new(plan->name, plan->options, &slot);
    if (status != FRESHET_OK)
        return fsh_base_fail(error, status, NULL);
    slot->entry.service = options.kind == FRESHET_SERVICE;
    slot->entry.configured = true;
    slot->entry.proven = true;
    status = enter(registry, slot, &options, error);
    if (status != FRESHET_OK) {
        slot_free(slot);
        return status;
    }
    plan->opened = slot;
    return FRESHET_OK;
}

/* One that is there with the same options stays. */
static int prepare(struct fsh_registry *registry, const struct freshet_config *config,
                   struct plan *plan, struct freshet_error *error)
{
    struct fsh_entry *entry = fsh_registry_find(registry, plan->name);
    struct freshet_error detail;
    int status;

    if (entry && entry->configured && strcmp(slot_of(entry)->options, plan->options) == 0) {
        plan->stays = entry;
        return FRESHET_OK;
    }
    plan->replaced = entry;
    status = open_planned(registry, config, plan, &detail);
    if (status != FRESHET_OK)
        return fsh_base_fail(error, status, "[session %s] %s", plan->name, detail.message);
    return FRESHET_OK;
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
        registry->people -= !entry->configured;
        leave(registry, slot);
    }
    registry->last = place;
}

void fsh_registry_forget(struct fsh_registry *registry, struct fsh_entry *entry)
{
    for (struct fsh_entry *each = registry->first; each; each = each->next)
        slot_of(each)->wanted = each != entry || entry->configured;
    sweep(registry);
}

/* The change and what is left in it. */
static void change_free(struct fsh_registry_change *change)
{
    for (size_t i = 0; i < change->count; i++) {
        free(change->plans[i].options);
        fsh_grants_free(change->plans[i].grants);
    }
    free(change);
}

void fsh_registry_undo(struct fsh_registry_change *change)
{
    if (!change)
        return;
    for (size_t i = change->count; i-- > 0;) {
        if (change->plans[i].opened)
            leave(change->registry, change->plans[i].opened);
    }
    change_free(change);
}

int fsh_registry_prepare(struct fsh_registry *registry, const struct freshet_config *config,
                         struct fsh_registry_change **ret_change, struct freshet_error *error)
{
    size_t count = freshet_config_session_count(config);
    struct fsh_registry_change *change =
        calloc(1, sizeof(*change) + count * sizeof(change->plans[0]));
    int status = FRESHET_OK;

    if (!change)
        return fsh_base_fail(error, FRESHET_ENOMEM, NULL);
    change->registry = registry;
    change->count = count;
    for (size_t i = 0; i < count && status == FRESHET_OK; i++)
        status = plan_one(config, freshet_config_session_name(config, i), &change->plans[i], error);
    for (size_t i = 0; i < count && status == FRESHET_OK; i++)
        status = prepare(registry, config, &change->plans[i], error);
    if (status != FRESHET_OK) {
        fsh_registry_undo(change);
        return status;
    }
    *ret_change = change;
    return FRESHET_OK;
}

static void swap_grants(struct fsh_entry *entry, struct plan *plan)
{
    struct fsh_grants *grants = entry->grants;

    entry->grants = plan->grants;
    plan->grants = grants;
}

void fsh_registry_carry_out(struct fsh_registry_change *change)
{
    struct fsh_registry *registry = change->registry;

    for (struct fsh_entry *entry = registry->first; entry; entry = entry->next)
        slot_of(entry)->wanted = !entry->configured;
    for (size_t i = 0; i < change->count; i++) {
        struct plan *plan = &change->plans[i];

        if (plan->stays) {
            slot_of(plan->stays)->wanted = true;
            swap_grants(plan->stays, plan);
        }
        if (plan->replaced)
            slot_of(plan->replaced)->wanted = false;
        if (plan->opened)
            swap_grants(&plan->opened->entry, plan);
    }
    sweep(registry);
    for (size_t i = 0; i < change->count; i++) {
        if (change->plans[i].opened)
            append(registry, change->plans[i].opened);
    }
    change_free(change);
}

int fsh_registry_apply(struct fsh_registry *registry, const struct freshet_config *config,
                       struct freshet_error *error)
{
    struct fsh_registry_change *change = NULL; /* set with FRESHET_OK alone */
    int status = fsh_registry_prepare(registry, config, &change, error);

    if (change)
        fsh_registry_carry_out(change);
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
