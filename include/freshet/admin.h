/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRESHET_ADMIN_H
#define FRESHET_ADMIN_H

/** What an operator does to the stores and their keys, beside the programs that use them: the
 *  command line is made of this. */

#include <freshet/client.h>
#include <freshet/config.h>
#include <freshet/error.h>
#include <freshet/export.h>
#include <freshet/session.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- keys (docs/keys.md) ----------------------------------------------------------------- */

/** At most so many keys in one file. */
#define FRESHET_KEYS_MAX 64

/** One key of a key file. */
struct freshet_key {
    /** Its id, 16 hexadecimal digits. It says nothing of the key. */
    char id[17];
    /** How many records of the stores it seals. */
    uint64_t records;
    /** Whether it is in the key file. One that is not, and yet seals, has been lost. */
    bool present;
    /** Whether it is the one that seals what is written now. */
    bool sealing;
};

/** Makes a key file with one new key: readable by its owner alone (0600), on the disk before this
 *  returns.
 *
 *  @param path   a file that does not exist yet; its folder does.
 *  @param error  detail of a failure, or NULL.
 *  @return FRESHET_OK; FRESHET_EINVAL; FRESHET_ECONFIG when there is a file, or none can be made;
 *          FRESHET_ENOMEM.
 *
 *  Any thread. */
FRESHET_EXPORT int freshet_key_new(const char *path, struct freshet_error *error);

/** Adds a new key to the key file, which seals from then on, and seals every record of both stores
 *  anew with it. Other processes may use the stores meanwhile: each record is changed in a
 *  transaction of its own, and they find the new key by themselves. The old keys stay in the file;
 *  freshet_key_prune drops them.
 *
 *  May be interrupted at any point: every record can be read, and to call it again is all there is
 *  to do.
 *
 *  @param options   of freshet_open; `secrets`, `tokens` and `key_file` are looked at.
 *  @param progress  told how many of how many records are done, on this thread, at least once at
 * the end; NULL for none.
 *  @param data      for `progress`.
 *  @param error     detail of a failure, or NULL.
 *  @return FRESHET_OK: nothing is sealed by another key any more. FRESHET_EINVAL. FRESHET_ECONFIG
 *          for options that cannot be, and when the key file cannot be read or replaced (such as a
 *          systemd credential; the error says what to do). FRESHET_ELIMIT when the file has
 *          FRESHET_KEYS_MAX keys. FRESHET_ESTORE when a store cannot be used, or a record does not
 *          open; the others are sealed anew then. FRESHET_ENOMEM.
 *
 *  Any thread. */
FRESHET_EXPORT int freshet_key_rotate(const struct freshet_options *options,
                                      void (*progress)(void *data, size_t done, size_t all),
                                      void *data, struct freshet_error *error);

/** The keys of a key file, the sealing one first, and then those that seal records and are missing
 *  in it.
 *
 *  @param options    of freshet_open; `secrets`, `tokens` and `key_file` are looked at.
 *  @param ret_keys   room for `room` keys; FRESHET_KEYS_MAX is enough, unless keys are missing.
 *  @param ret_count  how many there are, which may be more than there is room for.
 *  @param error      detail of a failure, or NULL.
 *  @return FRESHET_OK; FRESHET_EINVAL; FRESHET_ECONFIG; FRESHET_ESTORE; FRESHET_ENOMEM.
 *
 *  Any thread. */
FRESHET_EXPORT int freshet_key_list(const struct freshet_options *options,
                                    struct freshet_key *ret_keys, size_t room, size_t *ret_count,
                                    struct freshet_error *error);

/** Drops the keys that seal no record of the stores any more from the key file, but for the sealing
 *  one. A key file belongs to one pair of stores: what it seals elsewhere, or in copies of the
 *  stores, cannot be read without the keys that this drops.
 *
 *  @param options      of freshet_open; `secrets`, `tokens` and `key_file` are looked at.
 *  @param ret_dropped  how many were dropped.
 *  @param error        detail of a failure, or NULL.
 *  @return FRESHET_OK; FRESHET_EINVAL; FRESHET_ECONFIG; FRESHET_ESTORE; FRESHET_ENOMEM.
 *
 *  Any thread. */
FRESHET_EXPORT int freshet_key_prune(const struct freshet_options *options, size_t *ret_dropped,
                                     struct freshet_error *error);

/* ---- sessions ---------------------------------------------------------------------------- */

/** A session as its store knows it. */
struct freshet_stored_session {
    /** Its name; ends with NUL. */
    char name[129];
    enum freshet_phase phase;
    /** Why it is not live, or can no longer be refreshed, as a status; FRESHET_OK otherwise. */
    int reason;
    /** Serial number of the last token that was granted. */
    uint64_t generation;
    /** The challenge that waits for an operator, as a status; FRESHET_OK for none. */
    int parked;
};

/** The sessions that the secret store knows, in the order of their names. Opens none, needs no key,
 *  and sends nothing.
 *
 *  @param options    of freshet_open; `secrets` is looked at. memory: knows none; a keeper tells
 * those that this user has any verb on.
 *  @param ret_list   NULL when there are none; else the caller frees it with free(3).
 *  @param ret_count  how many there are.
 *  @param error      detail of a failure, or NULL.
 *  @return FRESHET_OK; FRESHET_EINVAL; FRESHET_ECONFIG; FRESHET_ESTORE; FRESHET_ENOMEM;
 *          FRESHET_EUNAVAILABLE when the keeper does not answer.
 *
 *  Any thread. */
FRESHET_EXPORT int freshet_sessions_list(const struct freshet_options *options,
                                         struct freshet_stored_session **ret_list,
                                         size_t *ret_count, struct freshet_error *error);

/* ---- health ------------------------------------------------------------------------------ */

/** How grave a finding is. */
enum freshet_health {
    /** As it should be. */
    FRESHET_HEALTH_OK,
    /** It works, and is better mended. */
    FRESHET_HEALTH_WARNING,
    /** It does not work, or must not be. */
    FRESHET_HEALTH_BAD,
};

/** One finding of freshet_doctor.
 *
 *  @param check   what was looked at: "config", "permissions", "key", "store", "clock", "limits" or
 *                 "platform". Static storage.
 *  @param text    one sentence: what is the case and, if need be, what to do. Valid during the
 * call; holds no secret. */
typedef void freshet_finding_fn(void *data, const char *check, enum freshet_health health,
                                const char *text);

/** Looks whether everything is there that Freshet needs: the configuration, who may read and write
 *  its files, the keys, the stores, the clocks, the limits of this process, and whether the
 * platform answers. Changes nothing, and sends one HEAD request to the platform, without a token.
 * It may take 15 seconds.
 *
 *  @param config   what the options are from; NULL when they are from elsewhere. One that does not
 *                  load is freshet_config_check's to describe.
 *  @param options  of freshet_open.
 *  @param found    called for each finding, on this thread.
 *  @param error    the first finding that is bad, or NULL.
 *  @return FRESHET_OK: nothing is bad; otherwise what the first bad finding would make a call fail
 *          with; FRESHET_EINVAL, FRESHET_ECONFIG for options that cannot be; FRESHET_ENOMEM.
 *
 *  Any thread. */
FRESHET_EXPORT int freshet_doctor(const struct freshet_config *config,
                                  const struct freshet_options *options, freshet_finding_fn *found,
                                  void *data, struct freshet_error *error);

#ifdef __cplusplus
}
#endif

#endif
