/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_CONFIG_READING_H
#define FSH_CONFIG_READING_H

#include "config/config.h"
#include "config/source.h"

/* One load of the configuration, under way. */
struct fsh_config_reading {
    struct fsh_config *config;
    struct fsh_config_file *files; /* beside config->files */
    size_t room;                   /* of both */
    size_t session_room;
    fsh_config_problem_fn *problem; /* NULL: stop at the first */
    void *data;
    struct freshet_error *error;
    size_t problems;
    int status; /* of the first problem */
    bool stop;

    /* The file that is being read. */
    unsigned file;
    unsigned line;
    const char *folder;                 /* that its paths are relative to */
    const char *next;                   /* the next line */
    bool owed;                          /* the line is one that must have a key */
    struct fsh_config_section *section; /* NULL: none yet, or one that there is not */
    bool lost;                          /* ... the latter */
};

/* Where a file came from. */
struct fsh_config_file {
    unsigned parent; /* the file that includes it; its own number for the first */
    unsigned line;   /* ... and in which line */
    unsigned depth;
    dev_t device;
    ino_t inode;
};

/* Notes a problem at a place; line 0 is the file as a whole. */
void fsh_config_problem(struct fsh_config_reading *reading, unsigned file, unsigned line,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Notes that there is no memory, which ends the reading. */
void fsh_config_no_memory(struct fsh_config_reading *reading);

/* Adds the files that a value of `include` names to those that are to be read. */
void fsh_config_include(struct fsh_config_reading *reading, const char *pattern);

/* Reads the lines of one source. */
void fsh_config_read_lines(struct fsh_config_reading *reading,
                           const struct fsh_config_source *source);

/* Notes what is wrong with the whole, when every line is read. */
void fsh_config_judge(struct fsh_config_reading *reading);

/* A place as "FILE:LINE", for what is said of another one. */
const char *fsh_config_place(const struct fsh_config_reading *reading, unsigned file, unsigned line,
                             char ret_place[160]);

#endif
