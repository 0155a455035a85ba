/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_LIB_DOCTOR_H
#define FSH_LIB_DOCTOR_H

#include "base/time.h"

#include <freshet/admin.h>
#include <freshet/config.h>
#include <stdbool.h>

/* One round of the doctor's. It looks, and changes nothing. */
struct fsh_doctor {
    const struct freshet_config *config; /* NULL: there is none */
    struct freshet_options options;      /* with their defaults */
    freshet_finding_fn *found;
    void *data;
    struct freshet_error *error;
    int status;      /* of the first that is bad */
    size_t troubles; /* that were told of: warnings, and what is bad */
};

/* Tells of something that is as it should be, */
void fsh_doctor_good(struct fsh_doctor *doctor, const char *check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* that works and is better mended, */
void fsh_doctor_warn(struct fsh_doctor *doctor, const char *check, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* and that does not work, or must not be: `status` is what a call would fail with. */
void fsh_doctor_bad(struct fsh_doctor *doctor, const char *check, int status, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));

/* The rounds, in this order. */
void fsh_doctor_config(struct fsh_doctor *doctor);      /* doctor.c */
void fsh_doctor_permissions(struct fsh_doctor *doctor); /* doctor_files.c */
void fsh_doctor_key(struct fsh_doctor *doctor);         /* doctor_store.c */
void fsh_doctor_store(struct fsh_doctor *doctor);       /* doctor_store.c */
void fsh_doctor_keeper(struct fsh_doctor *doctor);   /* doctor_keeper.c: instead of these three */
void fsh_doctor_clock(struct fsh_doctor *doctor);    /* doctor_clock.c */
void fsh_doctor_limits(struct fsh_doctor *doctor);   /* doctor_clock.c */
void fsh_doctor_platform(struct fsh_doctor *doctor); /* doctor_platform.c */

/* Judges this machine's clock by the platform's: `date` is a Date header, `sent` and `came` are
 * when the request left and the answer came. */
void fsh_doctor_compare_clocks(struct fsh_doctor *doctor, const char *date, struct fsh_wall sent,
                               struct fsh_wall came);

/* The file of a store on a disk, or NULL. */
const char *fsh_doctor_store_path(const char *where);

/* ---- src/lib/config.c: what the doctor needs of a configuration besides its keys */

/* The name of one of its files; NULL behind the last. */
const char *fsh_lib_config_file(const struct freshet_config *config, size_t index);

#endif
