/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FSH_BASE_POST_H
#define FSH_BASE_POST_H

/* Something to be done on another thread. It is embedded in what it is about, so that posting
 * allocates nothing and cannot fail; one post is in at most one inbox at a time. */
struct fsh_post {
    void (*run)(struct fsh_post *post);
    struct fsh_post *next; /* the inbox's */
};

/* The struct of type `type` whose member `member` is at `pointer`. */
#define fsh_container_of(pointer, type, member)                                                    \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
