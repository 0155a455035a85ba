/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CONFIG_SOURCE_H
#define FSH_CONFIG_SOURCE_H

#include <stddef.h>
#include <sys/types.h>

#define FSH_CONFIG_SOURCE_MAX (1024 * 1024) /* bytes of one file */

/* The bytes of one file of the configuration. */
struct fsh_config_source {
    char *text; /* ends with NUL, and has no other */
    size_t len;
    dev_t device;
    ino_t inode;
};

/* Reads a file whole. FRESHET_ECONFIG when it is not what a configuration can be in: then `why`
 * says what it is, as the rest of a sentence that begins with the file's name; FRESHET_ENOMEM. */
int fsh_config_source_read(const char *path, struct fsh_config_source *ret_source, char *why,
                           size_t why_size);

void fsh_config_source_done(struct fsh_config_source *source);

#endif
