/* SPDX-License-Identifier: Apache-2.0 */

/* Runs a fuzz target over files, without libFuzzer: so the corpora are tests of any build. A folder
 * stands for the files in it. */

#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static unsigned files;

/* A target need not have one. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static void replay(const char *path)
{
    static uint8_t data[1 << 21];
    FILE *file = fopen(path, "rbe");
    size_t size;

    if (!file) {
        printf("not ok %u - %s cannot be read\n", ++files, path);
        exit(1);
    }
    size = fread(data, 1, sizeof(data), file);
    (void)fclose(file);
    /* Said before it is run, so that a crash is of this one. */
    (void)fprintf(stderr, "# %s\n", path);
    (void)LLVMFuzzerTestOneInput(data, size);
    printf("ok %u - %s\n", ++files, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void replay_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, visible, alphasort);

    for (int i = 0; i < count; i++) {
        char path[1024];

        (void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        replay(path);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize)
        (void)LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        struct stat about;

        if (stat(argv[i], &about) == 0 && S_ISDIR(about.st_mode))
            replay_folder(argv[i]);
        else
            replay(argv[i]);
    }
    printf("1..%u\n", files);
    return files > 0 ? 0 : 1;
}
