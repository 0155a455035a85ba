/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_KEEPER_REGISTRY_H
#define FSH_KEEPER_REGISTRY_H

#include "keeper/page.h"
#include "keeper/peer.h"

#include <freshet/config.h>
#include <freshet/freshet.h>
#include <stdbool.h>

/* The sessions that control.sock knows, by name: those of the configuration, and a person's that
 * was asked for by name. Those of browsers are browser.c's, and are not here. */
struct fsh_registry;

/* One session. It goes when the configuration no longer names it and nobody holds it. */
struct fsh_entry {
    struct freshet_session *session; /* NULL once it is closed */
    struct fsh_grants *grants;
    bool service;
    bool configured;
    bool proven; /* it is configured, in the store, or being signed in: not just asked for */
    unsigned references;
    struct fsh_entry *next; /* in its order */
    /* The page that answered last without a choice of partner, as long as token and second are the
     * same. It holds the token, and goes when that is no longer in force. */
    struct {
        struct fsh_page *page;
        uint64_t generation;
        int64_t usable_s;
    } rendered; /* control_headers.c's */
};

/* What a configuration makes of a registry, all of it or nothing: new sessions are opened, those
 * that are gone are closed (not signed out), changed ones are opened anew, grants are swapped. */
struct fsh_registry_change;

/* Does whatever may fail: reads the grants, opens what is new. Until it is carried out or undone
 * the registry serves nobody. The failure names the session. Waits for the engine's thread, not for
 * the platform. */
int fsh_registry_prepare(struct fsh_registry *registry, const struct freshet_config *config,
                         struct fsh_registry_change **ret_change, struct freshet_error *error);
void fsh_registry_carry_out(struct fsh_registry_change *change);
void fsh_registry_undo(struct fsh_registry_change *change); /* NULL is allowed */

/* Both at once. */
int fsh_registry_apply(struct fsh_registry *registry, const struct freshet_config *config,
                       struct freshet_error *error);

/* A session that is open, or NULL. */
struct fsh_entry *fsh_registry_find(struct fsh_registry *registry, const char *name);

/* Finds it, or opens a person's session of that name. FRESHET_EINVAL for a name that cannot be. */
int fsh_registry_open(struct fsh_registry *registry, const char *name, struct fsh_entry **ret_entry,
                      struct freshet_error *error);

/* Closes a person's session that was opened for nothing. */
void fsh_registry_forget(struct fsh_registry *registry, struct fsh_entry *entry);

/* Something happened to the session of that name; NULL: to whichever. The page of a token that is
 * no longer in force is wiped. */
void fsh_registry_heed(struct fsh_registry *registry, const char *name);

/* In the order of the configuration, then of opening. */
struct fsh_entry *fsh_registry_first(struct fsh_registry *registry);

struct fsh_entry *fsh_entry_ref(struct fsh_entry *entry);
void fsh_entry_unref(struct fsh_entry *entry);

int fsh_registry_new(struct freshet *freshet, struct fsh_registry **ret_registry);
void fsh_registry_free(struct fsh_registry *registry);

#endif
